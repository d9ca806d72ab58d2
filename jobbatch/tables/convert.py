"""Run as a process of its own: turns one sheet of a spreadsheet into an Arrow file.

A spreadsheet is somebody else's file: what it does to its parser it does here, under a limit of
memory.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import fastexcel
import polars as pl

from jobbatch import child
from jobbatch.errors import InputError, TitleColumnError, WriteError
from jobbatch.tables import sheet_xml
from jobbatch.tables.header_row import PREVIEW_ROWS, clean_headers, find_header_row
from jobbatch.tables.sheet_xml import Preview, Rows
from jobbatch.tables.title_column import header_worth, normalise_header

MEMORY_LIMIT_BYTES = 12 * 2**30
_ZIPPED = (".xlsx", ".xlsm")
_NO_DAY = dt.date(1899, 12, 31)
"""The day before a spreadsheet's first: what a time of day gets from the parser."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to read and where to put it."""

    source: str
    target: str
    sheet: str | None
    title_column: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What was read.

    Attributes:
        name: the sheet's name.
        header_row: the header's row, counted from 1 as the spreadsheet does.
        headers: the headers as they stand; '' where one is blank.
        columns: the unique names that they got.
    """

    name: str
    header_row: int
    headers: list[str]
    columns: list[str]


def convert(request: Request) -> Sheet:
    """Write the sheet's rows below its header to `request.target`, every cell as it was read.

    Raises:
        InputError: if the file is not a readable spreadsheet.
        TitleColumnError: if the sheet is not there, or several may be meant.
        WriteError: if its rows cannot be written.
    """
    try:
        book = _Book(Path(request.source))
        name = _choose_sheet(book, request)
        found = _read(book, name, request.title_column)
    except fastexcel.FastExcelError as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{request.source} cannot be read as a spreadsheet: {problem}") from error
    if found is None:
        raise InputError(f"{request.source}: sheet {name!r} is empty")
    columns, headers = clean_headers(found.header)
    found.frame.columns = columns
    try:
        found.frame.write_ipc(request.target)
    except (pl.exceptions.PolarsError, OSError) as error:
        folder = Path(request.target).parent
        raise WriteError(f"{folder} is full: free some space, or set TMPDIR ({error})") from error
    return Sheet(name=name, header_row=found.header_row + 1, headers=headers, columns=columns)


class _Book:
    """A workbook and what its sheets begin with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = fastexcel.read_excel(str(path))
        peeked = sheet_xml.previews(path, PREVIEW_ROWS) if path.suffix.lower() in _ZIPPED else None
        whole = peeked is not None and list(peeked) == self.reader.sheet_names
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
        self, name: str, header_row: int, columns: list[str], text: Sequence[str]
    ) -> pl.DataFrame:
        """Return the rows below the header, those of the columns `text` as text."""
        sheet = self.reader.load_sheet(
            name,
            header_row=None,
            skip_rows=header_row + 1,
            column_names=columns,
            schema_sample_rows=None,
            dtypes=dict.fromkeys(text, "string"),
        )
        return sheet.to_polars()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The rows of a sheet, the cells above them and the index of these."""

    frame: pl.DataFrame
    header: Sequence[str | None]
    header_row: int


def _choose_sheet(book: _Book, request: Request) -> str:
    names = book.reader.sheet_names
    if request.sheet is not None:
        if request.sheet not in names:
            raise TitleColumnError(
                f"{request.source}: there is no sheet {request.sheet!r}. Sheets: {', '.join(names)}"
            )
        return request.sheet
    if len(names) == 1:
        return names[0]
    beginnings = {name: book.beginning(name) for name in names}
    visible = {name: rows for name, (is_visible, rows) in beginnings.items() if is_visible}
    candidates = visible or {name: rows for name, (_, rows) in beginnings.items()}
    filled = {n: rows for n, rows in candidates.items() if any(c for r in rows for c in r)}
    candidates = filled or candidates
    worth = {n: _worth(rows, request.title_column) for n, rows in candidates.items()}
    best = max(worth.values())
    titled = [n for n in candidates if worth[n] == best and best > 0]
    if len(titled) > 1:
        raise TitleColumnError(
            f"{request.source}: several sheets may hold job titles: {', '.join(titled)}. "
            "Choose one with --sheet"
        )
    return titled[0] if titled else next(iter(candidates))


def _worth(rows: Rows, asked: str | None) -> float:
    """Return how clearly a cell of a sheet is the header of the titles' column."""
    cells = [cell for row in rows for cell in row if cell]
    if asked is not None and normalise_header(asked) in map(normalise_header, cells):
        return 3.0
    return max(map(header_worth, cells), default=0.0)


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
    frame = book.rows(name, header_row, [f"c{i}" for i in range(len(header))], text=[])
    frame = _with_lost_text(book, name, header_row, frame, peeked)
    return _Found(frame=frame, header=header, header_row=header_row)


def _with_lost_text(
    book: _Book, name: str, header_row: int, frame: pl.DataFrame, peeked: Preview | None
) -> pl.DataFrame:
    """Return the rows with columns that hold text anywhere as text.

    The parser takes 'n/a' in a column of numbers for null.
    """
    doubtful = [i for i, c in enumerate(frame) if c.dtype != pl.String and c.null_count()]
    if doubtful and peeked is not None:
        places = {peeked.first_column + i: i for i in doubtful}
        texts = sheet_xml.columns_with_text(book.path, peeked.part, places, below=header_row + 1)
        doubtful = sorted(places[place] for place in texts)
    if doubtful:
        names = [frame.columns[i] for i in doubtful]
        text = book.rows(name, header_row, frame.columns, text=names)
        lossy = [c for c in names if text[c].null_count() < frame[c].null_count()]
        frame = frame.with_columns(text.select(lossy))
    return frame.with_columns(_plain(column) for column in frame)


def _plain(column: pl.Series) -> pl.Series:
    """Show whole numbers, days and times as such: a spreadsheet stores all as decimals."""
    if column.dtype == pl.Float64 and ((column % 1 == 0) & (column.abs() < 2**53)).all():
        return column.cast(pl.Int64)
    if column.dtype == pl.Datetime and (column.dt.date() == _NO_DAY).all():
        return column.dt.time()
    if column.dtype == pl.Datetime and (column == column.dt.truncate("1d")).all():
        return column.cast(pl.Date)
    return column


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 - does not exist on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = MEMORY_LIMIT_BYTES if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_AS, (min(MEMORY_LIMIT_BYTES, limit), hard))


def main() -> None:
    """Answer the request of standard input."""
    _limit_memory()
    child.serve(lambda request, _: asdict(convert(Request(**request))))


if __name__ == "__main__":
    main()
