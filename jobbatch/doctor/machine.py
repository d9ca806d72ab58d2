"""The machine: ONNX Runtime, the score cache, the folder for temporary files."""

from __future__ import annotations

import tempfile
from importlib import metadata
from pathlib import Path

from jobbatch import devices
from jobbatch.doctor.space import free_bytes, mib, plenty
from jobbatch.errors import MissingExtraError, WriteError


def runtime() -> str:
    """Return which ONNX Runtime is installed.

    Raises:
        MissingExtraError: if there is none, or there are two.
    """
    names = ("onnxruntime", "onnxruntime-gpu")
    installed = [d.name for d in metadata.distributions() if d.name in names]
    if len(set(installed)) > 1:
        raise MissingExtraError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'jobbatch[cpu]' (or "
            "'jobbatch[cuda]')"
        )
    module = devices.onnx_runtime()
    return f"{module.__version__} with {', '.join(module.get_available_providers())}"


def cache(folder: Path) -> str:
    """Return how large the score cache is, and may become."""
    free = free_bytes(folder)
    size = sum(part.stat().st_size for part in folder.glob("scores/*/*.parquet"))
    return f"{folder}: {mib(size)} used, {plenty(free)}"


def temporary() -> str:
    """Return where temporary files go, and how many may."""
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise WriteError(f"there is no folder for temporary files: {error.strerror}") from error
    return f"{folder}: {plenty(free_bytes(folder))}"
