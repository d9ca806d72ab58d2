"""Whether a folder can be written, and how much there is room for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from jobbatch.doctor.checks import DoubtError
from jobbatch.tables.publish import check_writable

SCARCE_BYTES = 1 << 30
"""Free space below which a folder is worth a warning: a spreadsheet is unpacked into some GiB."""


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free where `folder` is or would be made.

    Raises:
        WriteError: if it cannot be written.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    check_writable(there / "probe")
    return shutil.disk_usage(there).free


def plenty(free: int) -> str:
    """Return how much is free.

    Raises:
        DoubtError: if it is little.
    """
    if free < SCARCE_BYTES:
        raise DoubtError(f"only {mib(free)} are free")
    return f"{mib(free)} free"


def mib(size: int) -> str:
    """Return a size in bytes for a person."""
    return f"{size / 2**20:,.0f} MiB"
