"""Run as a process of its own: turns one sheet of a spreadsheet into an Arrow file.

A spreadsheet is somebody else's file: what it does to its parser it does here, under a limit of
memory.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import zipfile
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import fastexcel
import polars as pl

from jobbatch import child
from jobbatch.errors import (
    InputError,
    JobbatchError,
    PasswordError,
    WriteError,
)
from jobbatch.tables import caveats, mixed_columns, protected, sheet_xml
from jobbatch.tables.archive import MAX_UNZIPPED, check_archive
from jobbatch.tables.caveats import Counts
from jobbatch.tables.fallback import FallbackBook
from jobbatch.tables.header_row import PREVIEW_ROWS, clean_headers, find_header_row
from jobbatch.tables.mixed_columns import Kind
from jobbatch.tables.sheet_choice import choose_sheet
from jobbatch.tables.sheet_xml import Preview, Rows

# A column without any cell is nothing to be told of, least of all by its number.
logging.getLogger("fastexcel").setLevel(logging.ERROR)

MEMORY_LIMIT_BYTES = 12 * 2**30
_MEMORY_OF_ANY = 3 * 2**30
"""What the smallest file may take; half of it are libraries' addresses that hold no memory."""
_MEMORY_PER_CORE = 128 * 2**20
"""Addresses that the threads of a core take, though they hold little."""
_MEMORY_PER_BYTE = 500
"""What each byte of a file may take besides. A small file that needs more has cells far apart, or says so:
the parser fills the space between them, which takes it an hour before the memory is out."""
_ZIPPED = (".xlsx", ".xlsm")
_UNDECIDED = re.compile(r"could not determine dtype for column (\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to read and where to put it."""

    source: str
    target: str
    sheet: str | None = None
    title_column: str | None = None
    max_unzipped: int = MAX_UNZIPPED
    password_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What was read.

    Attributes:
        name: the sheet's name.
        header_row: the header's row, counted from 1 as the spreadsheet does.
        headers: the headers as they stand; '' where one is blank.
        columns: the unique names that they got.
        warnings: what a person should know of how it was read.
    """

    name: str
    header_row: int
    headers: list[str]
    columns: list[str]
    warnings: list[str]


def convert(request: Request) -> Sheet:
    """Write the sheet's rows below its header to `request.target`, every cell as it was read.

    Raises:
        InputError: if the file is not a readable spreadsheet.
        PasswordError: if it needs a password.
        ResourceError: if it would unzip to too much.
        TitleColumnError: if the sheet is not there, or several may be meant.
        WriteError: if its rows cannot be written.
    """
    source, target = Path(request.source), Path(request.target)
    password_file = None if request.password_file is None else Path(request.password_file)
    path = protected.opened(source, target.parent, password_file)
    check_archive(path, request.max_unzipped, about=source)
    try:
        found = _parsed(path, request)
    except fastexcel.FastExcelError as error:
        problem = str(error).splitlines()[0]
        if "password" in problem.lower():
            raise PasswordError(protected.needed(source)) from error
        mixed = ". Save it as .xlsx" if "column type" in problem else ""  # of .ods alone
        refused = InputError(f"{source} cannot be read as a spreadsheet: {problem}{mixed}")
        if path.suffix.lower() not in _ZIPPED:
            raise refused from error
        found = _read_slowly(path, request, refused)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{source} cannot be read as a spreadsheet: {error}") from error
    columns, headers = clean_headers(found.header)
    found.frame.columns = columns
    try:
        found.frame.write_ipc(target)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise WriteError(
            f"{target.parent} is full: free some space, or set TMPDIR ({error})"
        ) from error
    return Sheet(
        name=found.name,
        header_row=found.header_row + 1,
        headers=headers,
        columns=columns,
        warnings=list(found.warnings),
    )


class _Book:
    """A workbook and what its sheets begin with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = fastexcel.read_excel(str(path))
        self.names = self.reader.sheet_names
        peeked = sheet_xml.previews(path, PREVIEW_ROWS) if path.suffix.lower() in _ZIPPED else None
        whole = peeked is not None and list(peeked) == self.names
        self.peeked = peeked if peeked is not None and whole else {}

    def beginning(self, name: str) -> tuple[bool, Rows]:
        """Return whether a sheet is visible, and its first rows."""
        peeked = self.peeked.get(name)
        return (peeked.visible, peeked.rows) if peeked is not None else self.parsed_beginning(name)

    def parsed_beginning(self, name: str) -> tuple[bool, Rows]:
        """Return the same by fastexcel, which parses the whole sheet for it."""
        sheet = self.reader.load_sheet(
            name, header_row=None, skip_rows=0, n_rows=PREVIEW_ROWS, dtypes="string"
        )
        return sheet.visible == "visible", sheet.to_polars().rows()

    def rows(
        self,
        name: str,
        header_row: int,
        columns: list[str],
        only: Sequence[str] = (),
        kind: Kind = "string",
    ) -> pl.DataFrame:
        """Return the rows below the header, those of the columns `only` as that kind.

        A column of cells that the parser finds no kind for is text.
        """
        kinds: dict[str | int, Any] = dict.fromkeys(only, kind)
        while True:
            try:
                sheet = self.reader.load_sheet(
                    name,
                    header_row=None,
                    skip_rows=header_row + 1,
                    column_names=columns,
                    schema_sample_rows=None,
                    dtypes=kinds,
                )
                return sheet.to_polars()
            except fastexcel.FastExcelError as error:
                undecided = _UNDECIDED.search(str(error))
                # As text, .ods would lose its times.
                is_ods = self.path.suffix.lower() == ".ods"
                if undecided is None or undecided[1] in kinds or is_ods:
                    raise
                kinds[undecided[1]] = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The rows of a sheet, the cells above them, the index of these, and of the first column if known."""

    name: str
    frame: pl.DataFrame
    header: Sequence[str | None]
    header_row: int
    first_column: int | None = None
    warnings: tuple[str, ...] = ()


def _parsed(path: Path, request: Request) -> _Found:
    book = _Book(path)
    name, passed_over = choose_sheet(book, request.source, request.sheet, request.title_column)
    peeked = book.peeked.get(name)
    with ThreadPoolExecutor(1) as beside:
        counting = beside.submit(caveats.counts, path, peeked)
        found = _read(book, name, request.title_column)
    if found is None:
        raise InputError(f"{request.source}: sheet {name!r} is empty")
    counts = counting.result()
    found, n_seen = _with_rare_cells(book, found, counts)
    said = (
        caveats.of_numbers(found.frame, found.header)
        if counts is None
        else caveats.of_counts(counts._replace(errors=counts.errors - n_seen), name)
    )
    if path.suffix.lower() == ".ods":
        said += caveats.of_ods(path)
    return replace(found, warnings=(*passed_over, *said))


def _with_rare_cells(book: _Book, found: _Found, counts: Counts | None) -> tuple[_Found, int]:
    """Return the rows with truth values and errors, where there are any, and how many of the latter."""
    frame, n_seen = found.frame, 0
    peeked = book.peeked.get(found.name)
    if (
        counts is not None
        and counts.errors
        and peeked is not None
        and found.first_column is not None
    ):
        first_row = found.header_row + 2
        cells = (
            (row - first_row, column - found.first_column, text)
            for row, column, text in sheet_xml.error_cells(book.path, peeked.part)
        )
        frame, n_seen = mixed_columns.with_errors(frame, cells)
    if counts is None or counts.truth_values:
        again = partial(book.rows, found.name, found.header_row, frame.columns)
        frame = mixed_columns.with_truth_values(frame, again)
    return replace(found, frame=frame), n_seen


def _read_slowly(path: Path, request: Request, refused: InputError) -> _Found:
    """Return what openpyxl reads of a workbook that the fast parser refuses.

    Raises:
        InputError: `refused`, if openpyxl cannot read it either.
    """
    try:
        book = FallbackBook(path)
        name, passed_over = choose_sheet(book, request.source, request.sheet, request.title_column)
        _, beginning = book.beginning(name)
        header_row = find_header_row(beginning, request.title_column)
        frame = pl.DataFrame() if header_row is None else book.rows(name, header_row)
    except JobbatchError:
        raise
    except Exception as error:
        raise refused from error
    if header_row is None:
        raise InputError(f"{request.source}: sheet {name!r} is empty")
    header = list(beginning[header_row])
    header += [None] * (frame.width - len(header))
    missing = (pl.lit(None, pl.String).alias(f"c{i}") for i in range(frame.width, len(header)))
    slowly = "the fast parser refuses the workbook: it was read by openpyxl, every cell as text"
    peeked = (sheet_xml.previews(path, PREVIEW_ROWS) or {}).get(name)
    counts = caveats.counts(path, peeked)
    said = [] if counts is None else caveats.of_counts(counts._replace(errors=0), name)
    return _Found(
        name=name,
        frame=frame.with_columns(missing),
        header=header,
        header_row=header_row,
        warnings=(slowly, *passed_over, *said),
    )


def _read(book: _Book, name: str, title_column: str | None) -> _Found | None:
    """Return what a sheet holds; None if it is empty."""
    peeked = book.peeked.get(name)
    if peeked is not None:
        header_row = find_header_row(peeked.rows, title_column)
        if header_row in peeked.exact:
            found = _below(book, name, header_row, peeked.rows[header_row], peeked)
            # Otherwise a later row has cells further out, and it is unclear which column is which.
            if found.frame.width == len(found.header):
                return found
    _, rows = book.parsed_beginning(name)
    header_row = find_header_row(rows, title_column)
    return None if header_row is None else _below(book, name, header_row, rows[header_row], None)


def _below(
    book: _Book, name: str, header_row: int, header: Sequence[str | None], peeked: Preview | None
) -> _Found:
    """Return the rows below a header."""
    frame = book.rows(name, header_row, [f"c{i}" for i in range(len(header))])
    again = partial(book.rows, name, header_row, frame.columns)
    frame = mixed_columns.with_lost_text(
        frame, again, partial(_holding_text, book.path, peeked, header_row)
    )
    frame = mixed_columns.with_days_and_times(frame, again)
    frame = mixed_columns.with_all_digits(frame, again)
    first_column = None if peeked is None else peeked.first_column
    return _Found(
        name=name, frame=frame, header=header, header_row=header_row, first_column=first_column
    )


def _holding_text(
    path: Path, peeked: Preview | None, header_row: int, columns: Sequence[int]
) -> list[int]:
    """Return which of some columns may hold text below the header."""
    if peeked is None or not columns:
        return list(columns)
    places = {peeked.first_column + i: i for i in columns}
    texts = sheet_xml.columns_with_text(path, peeked.part, places, below=header_row + 1)
    return sorted(places[place] for place in texts)


def _limit_memory(source: Path) -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - does not exist on Windows

        size = source.stat().st_size if source.exists() else 0
        least = _MEMORY_OF_ANY + _MEMORY_PER_CORE * (os.cpu_count() or 1)
        wanted = min(MEMORY_LIMIT_BYTES, least + _MEMORY_PER_BYTE * size)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _answer(request: child.Message, _: object) -> child.Message:
    _limit_memory(Path(request["source"]))
    return asdict(convert(Request(**request)))


def main() -> None:
    """Answer the request of standard input."""
    child.serve(_answer)


if __name__ == "__main__":
    main()
