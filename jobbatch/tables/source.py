"""Any table as a lazy frame.

Spreadsheets are converted by a process of their own into an Arrow file; everything else is
scanned where it is. CSV is read as text, so that what is written is what was read.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from polars import selectors as cs

from jobbatch import child, paths
from jobbatch.errors import InputError, WriteError
from jobbatch.tables import formats
from jobbatch.tables.archive import MAX_UNZIPPED
from jobbatch.tables.convert import Request, Sheet
from jobbatch.tables.delimited import open_text, plainly_named
from jobbatch.tables.json_lines import open_lines
from jobbatch.tables.publish import is_full

READ_TIMEOUT_SECONDS = 3_600.0
_PATIENCE_SECONDS = 300.0
_SLOWEST_BYTES_PER_SECOND = 10_000
"""A small spreadsheet that takes longer is damaged: its cells are said to be in millions of columns."""
READ_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What reading a damaged file may raise; a panic of Polars' Rust code is no `Exception`."""
_BLOCK = 1 << 20
_ARROW_STREAM = b"\xff" * 4
"""How Arrow's stream begins, which has no table of contents to scan by."""
_OFFSET = re.compile(r"[+-]\d\d:?\d\d")
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What to do about files that are not as they should be.

    Attributes:
        password_file: holds the password of a spreadsheet in its first line.
        max_unzipped: bytes that a spreadsheet may unzip to.
        quarantine: put lines of delimited text that have more fields than the header aside.
    """

    password_file: Path | None = None
    max_unzipped: int = MAX_UNZIPPED
    quarantine: bool = False


_PLAIN = Handling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table opened for reading.

    Attributes:
        frame: all its columns, under unique names.
        headers: the headers as they stand in the file, one per column.
        sheet: the sheet's name and header row, for a spreadsheet.
        separator: between the fields, for delimited text.
        n_bad: lines of delimited text put aside, which are in `BAD_LINES` of the workspace.
        warnings: what a person should know of how it was read.
    """

    frame: pl.LazyFrame
    headers: tuple[str, ...]
    sheet: Sheet | None = None
    separator: str | None = None
    n_bad: int = 0
    warnings: tuple[str, ...] = ()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def open_table(
    path: Path,
    *,
    workspace: Path,
    sheet: str | None = None,
    title_column: str | None = None,
    encoding: str | None = None,
    handling: Handling = _PLAIN,
) -> Table:
    """Open a table.

    Args:
        path: the file.
        workspace: a folder for intermediate files, which must outlive the frame.
        sheet: of a spreadsheet; none: the one that holds job titles.
        title_column: its header, which helps to find the header row under banners.
        encoding: of delimited text that is not UTF-8.
        handling: what to do about files that are not as they should be.

    Raises:
        InputError: if the file is missing, unreadable or not what its name says.
        PasswordError, ResourceError, TitleColumnError, UsageError, WriteError: as their names say.
    """
    ending = formats.readable(path)
    if not os.path.isfile(path):
        raise InputError(f"{path} {paths.fault(path)}")
    if ending in formats.SPREADSHEETS:
        return _open_spreadsheet(path, workspace, sheet, title_column, handling)
    try:
        if ending in formats.DELIMITED:
            text = open_text(path, workspace, ending, encoding, quarantine=handling.quarantine)
            return Table(
                frame=text.frame,
                headers=text.headers,
                separator=text.separator,
                n_bad=text.n_bad,
                warnings=text.warnings,
            )
        named = plainly_named(path, workspace)
        if ending in formats.JSON_LINES:
            frame, warnings = open_lines(named, workspace, path)
        else:
            frame, warnings = _in_known_zones(_scan(named, ending))
        headers = tuple(frame.collect_schema().names())
        return Table(frame=frame, headers=headers, warnings=tuple(warnings))
    except READ_ERRORS as error:
        if is_full(error):
            raise WriteError(f"{workspace} is full: free some space, or set TMPDIR") from error
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error


def _scan(path: Path, ending: str) -> pl.LazyFrame:
    if ending == ".parquet":
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)
    with path.open("rb") as file:
        is_stream = file.read(len(_ARROW_STREAM)) == _ARROW_STREAM
    if is_stream:
        return pl.read_ipc_stream(path).lazy()
    return pl.scan_ipc(path, glob=False, hive_partitioning=False)


def _in_known_zones(frame: pl.LazyFrame) -> tuple[pl.LazyFrame, list[str]]:
    """Return the rows with times of zones that are no more than an offset as UTC, and what to say of them."""
    offsets = [
        name
        for name, dtype in frame.collect_schema().items()
        if isinstance(dtype, pl.Datetime) and _OFFSET.fullmatch(dtype.time_zone or "")
    ]
    if not offsets:
        return frame, []
    said = f"the times of {', '.join(map(repr, offsets))} are in UTC here: the same moments"
    return frame.with_columns(cs.by_name(*offsets).dt.convert_time_zone("UTC")), [said]


def _open_spreadsheet(
    path: Path,
    workspace: Path,
    sheet: str | None,
    title_column: str | None,
    handling: Handling,
) -> Table:
    _check_signature(path)
    target = workspace / "sheet.arrow"
    source = str(plainly_named(path, workspace))
    password = None if handling.password_file is None else str(handling.password_file)
    request = Request(
        source=source,
        target=str(target),
        sheet=sheet,
        title_column=title_column,
        max_unzipped=handling.max_unzipped,
        password_file=password,
    )
    patience = _PATIENCE_SECONDS + path.stat().st_size / _SLOWEST_BYTES_PER_SECOND
    answer = child.run(
        "jobbatch.tables.convert",
        asdict(request),
        about=path,
        silence=min(patience, READ_TIMEOUT_SECONDS),
        hint="is its disk in reach? Otherwise it is damaged or hostile: save it again, or as .csv",
    )
    found = Sheet(**answer)
    return Table(
        frame=pl.scan_ipc(target, glob=False),
        headers=tuple(found.headers),
        sheet=found,
        warnings=tuple(found.warnings),
    )


def _check_signature(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(_BLOCK)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise InputError(f"{path} is empty")
    if not start.startswith((_OLE, _ZIP)):
        looks = "CSV" if b"\0" not in start and any(s in start for s in b",;\t") else "other data"
        raise InputError(f"{path} is not a spreadsheet (looks like {looks})")
