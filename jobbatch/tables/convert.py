"""Run as a process of its own: turns one sheet of a spreadsheet into an Arrow file.

`python -m jobbatch.tables.convert REQUEST`, both request and answer JSON objects. A spreadsheet
is somebody else's file: what it does to its parser it does here, not to the labelling run.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import fastexcel
import polars as pl

from jobbatch.errors import (
    InputError,
    JobbatchError,
    ResourceError,
    TitleColumnError,
    WriteError,
)
from jobbatch.tables.header_row import PREVIEW_ROWS, clean_headers, find_header_row
from jobbatch.tables.title_column import header_worth, normalise_header

MEMORY_LIMIT_BYTES = 12 * 2**30
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
        reader = fastexcel.read_excel(request.source)
        name, rows = _choose_sheet(reader, request)
        header_row = find_header_row(rows, request.title_column)
        if header_row is None:
            raise InputError(f"{request.source}: sheet {name!r} is empty")
        cells = list(rows[header_row])
        frame = _load(reader, name, header_row, width=len(cells))
    except fastexcel.FastExcelError as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{request.source} cannot be read as a spreadsheet: {problem}") from error
    columns, headers = clean_headers(cells)
    frame.columns = columns
    try:
        frame.write_ipc(request.target)
    except (pl.exceptions.PolarsError, OSError) as error:
        folder = Path(request.target).parent
        raise WriteError(f"{folder} is full: free some space, or set TMPDIR ({error})") from error
    return Sheet(name=name, header_row=header_row + 1, headers=headers, columns=columns)


def _choose_sheet(
    reader: fastexcel.ExcelReader, request: Request
) -> tuple[str, list[tuple[str | None, ...]]]:
    names = reader.sheet_names
    if request.sheet is not None:
        if request.sheet not in names:
            raise TitleColumnError(
                f"{request.source}: there is no sheet {request.sheet!r}. Sheets: {', '.join(names)}"
            )
        return request.sheet, _preview(reader, request.sheet)[1]
    previews = {name: _preview(reader, name) for name in names}
    visible = {name: rows for name, (is_visible, rows) in previews.items() if is_visible}
    candidates = visible or {name: rows for name, (_, rows) in previews.items()}
    filled = {n: rows for n, rows in candidates.items() if any(c for r in rows for c in r)}
    candidates = filled or candidates
    if len(candidates) > 1:
        worth = {n: _worth(rows, request.title_column) for n, rows in candidates.items()}
        best = max(worth.values())
        titled = [n for n in candidates if worth[n] == best and best > 0]
        if len(titled) > 1:
            raise TitleColumnError(
                f"{request.source}: several sheets may hold job titles: {', '.join(titled)}. "
                "Choose one with --sheet"
            )
        chosen = titled[0] if titled else next(iter(candidates))
        return chosen, candidates[chosen]
    return next(iter(candidates.items()))


def _worth(rows: Sequence[Sequence[str | None]], asked: str | None) -> float:
    """Return how clearly a cell of a sheet is the header of the titles' column."""
    cells = [cell for row in rows for cell in row if cell]
    if asked is not None and normalise_header(asked) in map(normalise_header, cells):
        return 3.0
    return max(map(header_worth, cells), default=0.0)


def _preview(reader: fastexcel.ExcelReader, name: str) -> tuple[bool, list[tuple[str | None, ...]]]:
    sheet = reader.load_sheet(
        name, header_row=None, skip_rows=0, n_rows=PREVIEW_ROWS, dtypes="string"
    )
    return sheet.visible == "visible", sheet.to_polars().rows()


def _load(reader: fastexcel.ExcelReader, name: str, header_row: int, width: int) -> pl.DataFrame:
    columns = [f"c{i}" for i in range(width)]
    typed = _rows(reader, name, header_row, columns, text=[])
    # The parser takes 'n/a' in a column of numbers for null: such columns are read as text.
    doubtful = [c.name for c in typed if c.dtype != pl.String and c.null_count()]
    if doubtful:
        text = _rows(reader, name, header_row, columns, text=doubtful)
        lossy = [c for c in doubtful if text[c].null_count() < typed[c].null_count()]
        typed = typed.with_columns(text.select(lossy))
    return typed.with_columns(_plain(column) for column in typed)


def _rows(
    reader: fastexcel.ExcelReader, name: str, header_row: int, columns: list[str], text: list[str]
) -> pl.DataFrame:
    sheet = reader.load_sheet(
        name,
        header_row=None,
        skip_rows=header_row + 1,
        column_names=columns,
        schema_sample_rows=None,
        dtypes=dict.fromkeys(text, "string"),
    )
    return sheet.to_polars()


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
    """Answer the request of the command line on standard output."""
    _limit_memory()
    try:
        answer: dict[str, object] = asdict(convert(Request(**json.loads(sys.argv[1]))))
    except MemoryError:
        answer = {"error": ResourceError.__name__, "message": "out of memory"}
    except JobbatchError as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
