"""Any table as a lazy frame.

Spreadsheets are converted by a process of their own into an Arrow file; everything else is
scanned where it is. CSV is read as text, so that what is written is what was read.
"""

from __future__ import annotations

import codecs
import csv
import glob
import io
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from jobbatch import errors
from jobbatch.errors import InputError, PasswordError, ResourceError, UsageError
from jobbatch.tables import formats
from jobbatch.tables.convert import Request, Sheet
from jobbatch.tables.header_row import clean_headers

READ_TIMEOUT_SECONDS = 1_800
_BLOCK = 1 << 20
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIP = b"PK\x03\x04"
_PROTECTED = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table opened for reading.

    Attributes:
        frame: all its columns, under unique names.
        headers: the headers as they stand in the file, one per column.
        sheet: the sheet's name and header row, for a spreadsheet.
        separator: between the fields, for delimited text.
    """

    frame: pl.LazyFrame
    headers: tuple[str, ...]
    sheet: Sheet | None = None
    separator: str | None = None


def open_table(
    path: Path,
    *,
    workspace: Path,
    sheet: str | None = None,
    title_column: str | None = None,
    encoding: str | None = None,
) -> Table:
    """Open a table.

    Args:
        path: the file.
        workspace: a folder for intermediate files, which must outlive the frame.
        sheet: of a spreadsheet; none: the one that holds job titles.
        title_column: its header, which helps to find the header row under banners.
        encoding: of delimited text that is not UTF-8.

    Raises:
        InputError: if the file is missing, unreadable or not what its name says.
        PasswordError, ResourceError, TitleColumnError, UsageError: as their names say.
    """
    ending = formats.readable(path)
    if not path.is_file():
        raise InputError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}")
    if ending in formats.SPREADSHEETS:
        return _open_spreadsheet(path, workspace, sheet, title_column)
    try:
        if ending in formats.DELIMITED:
            return _open_delimited(path, workspace, ending, encoding)
        return _scan(path, ending)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _scan(path: Path, ending: str) -> Table:
    if ending == ".parquet":
        frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    elif ending in formats.JSON_LINES:
        frame = pl.scan_ndjson(glob.escape(str(path)), infer_schema_length=None)
    else:
        frame = pl.scan_ipc(path, glob=False, hive_partitioning=False)
    return Table(frame=frame, headers=tuple(frame.collect_schema().names()))


def _open_delimited(path: Path, workspace: Path, ending: str, encoding: str | None) -> Table:
    text = _as_utf8(path, workspace, encoding)
    head = _first_line_of(text)
    if not head.strip():
        raise InputError(f"{path} is empty")
    separator = "\t" if ending == ".tsv" else max(",;\t|", key=head.count)
    cells = next(csv.reader(io.StringIO(head), delimiter=separator))
    columns, headers = clean_headers(cells)
    frame = pl.scan_csv(
        text,
        separator=separator,
        infer_schema=False,
        new_columns=columns,
        glob=False,
        empty_string_is_null=False,
    )
    return Table(frame=frame, headers=tuple(headers), separator=separator)


def _first_line_of(path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(_BLOCK)
        while line.count('"') % 2 and (more := file.readline(_BLOCK)):
            line += more
    return line


def _as_utf8(path: Path, workspace: Path, encoding: str | None) -> Path:
    """Return the file itself if it is UTF-8, else a copy that is."""
    with path.open("rb") as file:
        start = file.read(4)
    if encoding is None and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        codec = codecs.lookup(encoding or "utf-8")
    except LookupError as error:
        raise UsageError(f"--encoding {encoding}: there is no such encoding") from error
    decoder = codec.incrementaldecoder("strict")
    copy = workspace / "utf8.csv"
    offset = 0
    with path.open("rb") as source, copy.open("wb") as target:
        while block := source.read(_BLOCK):
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path} is not {codec.name}: byte {offset + error.start} does not decode. "
                    "Name its encoding, for example --encoding latin-1"
                ) from error
            if codec.name != "utf-8":
                target.write(text.encode())
            offset += len(block)
    return path if codec.name == "utf-8" else copy


def _open_spreadsheet(
    path: Path, workspace: Path, sheet: str | None, title_column: str | None
) -> Table:
    _check_signature(path)
    target = workspace / "sheet.arrow"
    request = Request(source=str(path), target=str(target), sheet=sheet, title_column=title_column)
    answer = _run_converter(path, request)
    if "error" in answer:
        raise getattr(errors, str(answer["error"]))(answer["message"])
    found = Sheet(**answer)
    return Table(frame=pl.scan_ipc(target, glob=False), headers=tuple(found.headers), sheet=found)


def _run_converter(path: Path, request: Request) -> dict[str, Any]:
    # -P: not to import from the current folder, which may hold somebody else's files.
    command = [sys.executable, "-P", "-m", "jobbatch.tables.convert", json.dumps(asdict(request))]
    try:
        child = subprocess.run(  # noqa: S603 - our own module
            command, capture_output=True, timeout=READ_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ResourceError(f"{path} was not read within {READ_TIMEOUT_SECONDS} seconds") from error
    try:
        return dict(json.loads(child.stdout))
    except ValueError:
        raise ResourceError(
            f"{path}: reading it failed (the reader ended with {child.returncode}): it needs too "
            "much memory or is damaged. Save it again as .xlsx, or as .csv"
        ) from None


def _check_signature(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(_BLOCK)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise InputError(f"{path} is empty")
    if start.startswith(_OLE) and path.suffix.lower() != ".xls":
        if _PROTECTED in start:
            raise PasswordError(f"{path} is protected by a password. Save it without one")
        raise InputError(f"{path} is an old .xls workbook, or protected: rename or save it again")
    if not start.startswith((_OLE, _ZIP)):
        looks = "CSV" if b"\0" not in start and any(s in start for s in b",;\t") else "other data"
        raise InputError(f"{path} is not a spreadsheet (looks like {looks})")
