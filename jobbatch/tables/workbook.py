"""Writes .xlsx in constant memory. Text is always text, never a formula."""

from __future__ import annotations

import datetime as dt
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import xlsxwriter
from polars import selectors as cs

from jobbatch.errors import WriteError

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

MAX_ROWS = 1_048_575
"""Data rows of a sheet, the header apart."""
MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767
_EXACT_INTEGERS = 10**15
"""Whole numbers from here on lose digits in a spreadsheet's decimals, so they are kept as text."""
_EXACT_DIGITS = 15
_BATCH_ROWS = 20_000
_BLOCK = 1 << 20
_ROW = re.compile(rb'<row r="([0-9]+)"')
_LONGEST_ROW_TAG = 32
_CREATED = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""A fixed date, so that equal work gives equal bytes."""


def write_workbook(
    frame: pl.LazyFrame, path: Path, headers: Sequence[str], metadata: Mapping[str, str]
) -> None:
    """Write one sheet: bold, frozen headers, then the frame's rows.

    Raises:
        OSError: if the file cannot be written.
        WriteError: if its archive is damaged.
    """
    options = {"constant_memory": True, "nan_inf_to_errors": True}
    try:
        with xlsxwriter.Workbook(str(path), options) as book:
            book.set_properties({"created": _CREATED.replace(tzinfo=None)})
            for name, value in metadata.items():
                book.set_custom_property(name, value[:255], "text")
            sheet = book.add_worksheet("labels")
            _Rows(sheet, book, frame, headers).write()
    except xlsxwriter.exceptions.FileCreateError as error:
        raise error.args[0] from error  # the OSError that it wraps
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise WriteError(f"{path}: part {damaged} came out damaged: run it again")


def last_row(path: Path) -> int:
    """Return the number of the last row that has a cell, the header's being 0."""
    last, rest = 1, b""
    with zipfile.ZipFile(path) as archive, archive.open("xl/worksheets/sheet1.xml") as sheet:
        while block := sheet.read(_BLOCK):
            text = rest + block
            for found in _ROW.finditer(text):
                last = int(found[1])
            rest = text[-_LONGEST_ROW_TAG:]
    return last - 1


class _Rows:
    """The sheet being written, row after row."""

    def __init__(
        self,
        sheet: Worksheet,
        book: xlsxwriter.Workbook,
        frame: pl.LazyFrame,
        headers: Sequence[str],
    ) -> None:
        self._sheet = sheet
        self._frame = frame
        self._headers = headers
        self._bold = book.add_format({"bold": True})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._time = book.add_format({"num_format": "hh:mm:ss"})
        self._span = book.add_format({"num_format": "[h]:mm:ss"})

    def write(self) -> None:
        schema = self._frame.collect_schema()
        for i, (header, dtype) in enumerate(zip(self._headers, schema.dtypes(), strict=True)):
            width = 28 if dtype == pl.String else 14
            self._sheet.set_column(i, i, max(width, min(len(header) + 2, 40)))
            self._sheet.write_string(0, i, header, self._bold)
        self._sheet.freeze_panes(1, 0)
        row = 1
        plain = self._frame.with_columns(
            cs.by_name(name).cast(pl.String)
            for name, dtype in schema.items()
            if not dtype.is_numeric() and dtype not in _NATIVE
        )
        for batch in plain.collect_batches(chunk_size=_BATCH_ROWS):
            for cells in batch.iter_rows():
                for i, cell in enumerate(cells):
                    if cell is not None:
                        self._write_cell(row, i, cell)
                row += 1
        self._sheet.autofilter(0, 0, row - 1, max(len(self._headers) - 1, 0))

    def _write_cell(self, row: int, column: int, cell: object) -> None:
        if isinstance(cell, str):
            self._sheet.write_string(row, column, cell)
        elif isinstance(cell, bool):
            self._sheet.write_boolean(row, column, cell)
        elif isinstance(cell, dt.datetime):
            self._write_date(row, column, cell, self._moment)
        elif isinstance(cell, dt.date):
            self._write_date(row, column, cell, self._day)
        elif isinstance(cell, dt.time):
            self._sheet.write_datetime(row, column, cell, self._time)
        elif isinstance(cell, dt.timedelta):
            self._sheet.write_datetime(row, column, cell, self._span)
        elif (
            (isinstance(cell, int) and abs(cell) >= _EXACT_INTEGERS)
            or (isinstance(cell, float) and not math.isfinite(cell))
            or (isinstance(cell, Decimal) and len(cell.as_tuple().digits) > _EXACT_DIGITS)
        ):
            self._sheet.write_string(row, column, str(cell))
        else:
            self._sheet.write_number(row, column, cell)

    def _write_date(self, row: int, column: int, cell: dt.date, form: Format) -> None:
        if cell.year < 1900:
            self._sheet.write_string(row, column, str(cell))
        else:
            self._sheet.write_datetime(row, column, cell, form)


_NATIVE = (
    pl.String,
    pl.Boolean,
    pl.Date,
    pl.Time,
    *(kind(unit) for kind in (pl.Datetime, pl.Duration) for unit in ("ms", "us", "ns")),
)
