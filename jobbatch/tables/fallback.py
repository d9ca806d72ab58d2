"""A workbook read by openpyxl, where the fast parser refuses it. Every cell becomes text."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from jobbatch.tables.header_row import PREVIEW_ROWS
from jobbatch.tables.sheet_xml import Rows

_BATCH_ROWS = 20_000


class FallbackBook:
    """A workbook, streamed; defusedxml, which openpyxl takes where it is installed, parses its XML."""

    def __init__(self, path: Path) -> None:
        import openpyxl  # noqa: PLC0415 - needed for few files

        with warnings.catch_warnings(action="ignore"):  # of styles that it does not know
            self._book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        self.names = [sheet.title for sheet in self._book.worksheets]

    def beginning(self, name: str) -> tuple[bool, Rows]:
        """Return whether a sheet is visible, and its first rows."""
        rows = list(islice(self._rows(name), PREVIEW_ROWS))
        width = max(map(len, rows), default=0)
        visible = self._book[name].sheet_state == "visible"
        return visible, [row + (None,) * (width - len(row)) for row in rows]

    def rows(self, name: str, header_row: int) -> pl.DataFrame:
        """Return the rows below the header, as many columns as the widest of them has."""
        below = islice(self._rows(name), header_row + 1, None)
        frames = [pl.DataFrame()]
        while batch := list(islice(below, _BATCH_ROWS)):
            width = max(map(len, batch))
            schema = {f"c{i}": pl.String for i in range(width)}
            rows = [row + (None,) * (width - len(row)) for row in batch]
            frames.append(pl.DataFrame(rows, schema=schema, orient="row"))
        return pl.concat(frames, how="diagonal")

    def _rows(self, name: str) -> Iterator[tuple[str | None, ...]]:
        sheet = self._book[name]
        sheet.reset_dimensions()  # what the file says of them need not be so
        for row in sheet.iter_rows(values_only=True):
            yield tuple(map(_text, row))


def _text(value: Any) -> str | None:
    """Return a cell as the fast parser shows it in a column of mixed kinds."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return str(value.date())
    if isinstance(value, dt.timedelta):
        seconds = abs(round(value.total_seconds()))
        sign = "-" if value < dt.timedelta() else ""
        return f"{sign}{seconds // 3_600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)
