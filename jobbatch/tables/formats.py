"""Which formats are read and written, told by the file name's ending."""

from __future__ import annotations

from pathlib import Path

from jobbatch.errors import UsageError

SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
DELIMITED = (".csv", ".tsv")
JSON_LINES = (".jsonl", ".ndjson")
ARROW = (".arrow", ".feather", ".ipc")
READABLE = (*SPREADSHEETS, *DELIMITED, ".parquet", *JSON_LINES, *ARROW)
BAD_LINES = "bad.csv"
"""The file in the workspace that has the header and the lines put aside, in UTF-8."""
WRITABLE = (".parquet", ".xlsx", *DELIMITED, *JSON_LINES, *ARROW)


def readable(path: Path) -> str:
    """Return the lower-case ending of a table that can be read.

    Raises:
        UsageError: if it is a URL or of another format.
    """
    return _ending(path, READABLE, "read")


def writable(path: Path) -> str:
    """Return the lower-case ending of a table that can be written.

    Raises:
        UsageError: if it is a URL or of another format.
    """
    return _ending(path, WRITABLE, "written")


def _ending(path: Path, known: tuple[str, ...], verb: str) -> str:
    scheme = path.parts[0] if path.parts else ""
    if scheme.endswith(":") and len(scheme) > 2:
        raise UsageError(f"{path} is a URL, which is not supported yet: name a local path")
    ending = path.suffix.lower()
    if ending not in known:
        raise UsageError(
            f"{path.name}: files ending in {ending or 'nothing'} cannot be {verb}. "
            f"Can be: {', '.join(known)}"
        )
    return ending
