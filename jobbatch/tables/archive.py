"""What a zipped spreadsheet holds, looked at before any of it is unzipped or parsed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from xml.parsers import expat

from jobbatch.errors import InputError, ResourceError

MAX_UNZIPPED = 4 << 30
"""Bytes that all parts may unzip to; a sheet of a million rows has 400 MiB."""
_LARGE_PART = 64 << 20
_MAX_RATIO = 100
"""A large part may unzip to so many times its size; those of real workbooks do to 6 or 7."""
_BLOCK = 1 << 15
_XML = (".xml", ".rels", ".vml")


def check_archive(path: Path, max_unzipped: int, *, about: Path) -> None:
    """Check that a spreadsheet is neither a bomb nor a trap; what is no archive passes.

    Args:
        path: the spreadsheet.
        max_unzipped: bytes that all parts may unzip to.
        about: the file that it comes from, for messages.

    Raises:
        InputError: if a part declares a document type, and with it entities that expand or reach out.
        ResourceError: if it unzips to more than `max_unzipped` bytes, or a large part is far too
            much compressed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(about, archive.infolist(), max_unzipped)
            for part in archive.infolist():
                if part.filename.lower().endswith(_XML) and _declares_type(archive, part):
                    raise InputError(
                        f"{about}: its part {part.filename} declares a document type or entities, "
                        "as no spreadsheet program does: it is not opened"
                    )
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return  # its reader will say what is wrong
    except (EOFError, OSError, ValueError, LookupError):
        return


def _check_sizes(about: Path, parts: list[zipfile.ZipInfo], max_unzipped: int) -> None:
    total = sum(part.file_size for part in parts)
    if total > max_unzipped:
        raise ResourceError(
            f"{about} would unzip to {total:,} bytes, more than {max_unzipped:,}: allow more with "
            "--max-unzipped if you know who made it"
        )
    for part in parts:
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > _LARGE_PART and ratio > _MAX_RATIO:
            raise ResourceError(
                f"{about}: its part {part.filename} would unzip to {part.file_size:,} bytes, "
                f"{ratio:.0f} times its size, as bombs do. If you know who made it, save it as .csv"
            )


class _Told(Exception):  # noqa: N818 - not an error
    """The beginning of a part was read far enough."""


def _declares_type(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Return whether a document type is declared before the part's first element."""
    found: list[str] = []

    def declared(name: str, *_: object) -> None:
        found.append(name)
        raise _Told

    def begun(*_: object) -> None:
        raise _Told

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = begun
    try:
        with archive.open(part) as file:
            while block := file.read(_BLOCK):
                parser.Parse(block)
    except (_Told, expat.ExpatError):
        pass
    return bool(found)
