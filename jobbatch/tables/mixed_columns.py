"""Columns whose cells are of several kinds, of which the fast parser makes one: what it changes is undone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import fastexcel
import polars as pl
from polars import selectors as cs

Kind = Literal["string", "duration", "float"]
Again = Callable[[Sequence[str], Kind], pl.DataFrame]
"""Reads the sheet again, with some of its columns as a kind."""

_MOMENT = r"^\d{4,5}-\d\d-\d\d \d\d:\d\d:\d\d"
_SECONDS_OF_DAY = 86_400
_LATEST_HOURS = dt.timedelta(days=60)
"""What is shown as hours; later moments are days of 1900 and after. So are whole days before."""
_NO_DAY = dt.date(1899, 12, 31)
"""The day before a spreadsheet's first: what a time of day gets from the parser."""
_NO_DAY_OF_1904 = dt.date(1904, 1, 1)
"""The same in a workbook that counts days as old Macs did, where it may also be a day."""
_CUT_NUMBER = r"^-?\d+\.\d{9}$"
"""How a number among texts is shown that has more decimals."""


def with_lost_text(
    frame: pl.DataFrame, again: Again, holding_text: Callable[[Sequence[int]], Sequence[int]]
) -> pl.DataFrame:
    """Return the rows with columns that hold text anywhere as text, numbers and days as seen.

    The parser takes 'n/a' in a column of numbers for null.

    Args:
        frame: what the parser made of the rows.
        again: reads them again.
        holding_text: which columns of some may hold text.
    """
    doubtful = [i for i, c in enumerate(frame) if c.dtype != pl.String and c.null_count()]
    names = [frame.columns[i] for i in holding_text(doubtful)]
    if names:
        text = again(names, "string")
        lossy = [c for c in names if text[c].null_count() < frame[c].null_count()]
        frame = frame.with_columns(text.select(lossy))
    return frame.with_columns(_plain(column) for column in frame)


def with_truth_values(frame: pl.DataFrame, again: Again) -> pl.DataFrame:
    """Return the rows with columns of numbers that hold truth values as text: the parser makes 1 of TRUE."""
    doubtful = [c.name for c in frame.select(cs.numeric()) if c.is_between(0, 1).any()]
    if not doubtful:
        return frame
    text = again(doubtful, "string")
    return frame.with_columns(c for c in text.select(doubtful) if c.is_in(["true", "false"]).any())


def with_errors(
    frame: pl.DataFrame, cells: Iterable[tuple[int, int, str]]
) -> tuple[pl.DataFrame, int]:
    """Return the rows with errors among texts as they are seen, and how many: the parser makes null of them.

    Args:
        frame: what the parser made of the rows.
        cells: row and column of each error in it, and its text.
    """
    n_seen = 0
    by_column: dict[int, dict[int, str]] = {}
    for row, column, text in cells:
        by_column.setdefault(column, {})[row] = text
    for column, errors in by_column.items():
        if 0 <= column < frame.width and frame.dtypes[column] == pl.String:
            values = frame.to_series(column).to_list()
            for row, text in errors.items():
                if 0 <= row < len(values) and values[row] is None:
                    values[row] = text
                    n_seen += 1
            frame = frame.with_columns(pl.Series(frame.columns[column], values, pl.String))
    return frame, n_seen


def with_all_digits(frame: pl.DataFrame, again: Again) -> pl.DataFrame:
    """Return the rows with all digits of numbers among texts: the parser shows nine decimals."""
    cut = [c.name for c in frame.select(cs.string()) if c.str.contains(_CUT_NUMBER).any()]
    if not cut:
        return frame
    # Of a text that reads as a number too, but then it is the same.
    numbers = again(cut, "float")
    return frame.with_columns(
        pl.when(shown.cast(pl.Float64, strict=False) != numbers[shown.name])
        .then(numbers[shown.name].cast(pl.String))
        .otherwise(shown)
        .alias(shown.name)
        for shown in frame.select(cut)
    )


def with_days_and_times(frame: pl.DataFrame, again: Again) -> pl.DataFrame:
    """Return the rows with days and times among texts as they are seen.

    The parser shows all of them as moments, times of day and hours as some of 1899 and 1900.
    """
    mixed = [c.name for c in frame.select(cs.string()) if c.str.contains(_MOMENT).any()]
    if not mixed:
        return frame
    try:
        # Null for what only looks like a moment: text.
        since = again(mixed, "duration")
    except fastexcel.FastExcelError:
        return frame  # which has been read
    return frame.with_columns(_as_seen(frame[c], since[c]) for c in mixed)


def _as_seen(shown: pl.Series, since: pl.Series) -> pl.Series:
    """Return texts of which some are moments by the time `since` the parser's first day."""
    seconds = since.dt.total_seconds().abs()
    sign = pl.when(since.dt.total_milliseconds() < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    clock = pl.format(
        "{}{}:{}:{}",
        sign,
        *(part.cast(pl.String).str.zfill(2) for part in _clock(seconds)),
    )
    is_day = seconds % _SECONDS_OF_DAY == 0
    is_time = (since < _LATEST_HOURS) & ~(is_day & (since >= dt.timedelta(days=1)))
    seen = (
        pl.when(since.is_null())
        .then(shown)
        .when(is_time)
        .then(clock)
        .when(is_day)
        .then(shown.str.head(10))
        .otherwise(shown)
    )
    return pl.select(seen.alias(shown.name)).to_series()


def _clock(seconds: pl.Series) -> tuple[pl.Series, pl.Series, pl.Series]:
    return seconds // 3_600, seconds // 60 % 60, seconds % 60


def _plain(column: pl.Series) -> pl.Series:
    """Show whole numbers, days and times as such: a spreadsheet stores all as decimals."""
    if column.dtype == pl.Float64 and ((column % 1 == 0) & (column.abs() < 2**53)).all():
        return column.cast(pl.Int64)
    if column.dtype != pl.Datetime:
        return column
    days = column.dt.date()
    has_times = not (column == column.dt.truncate("1d")).all()
    if (days == _NO_DAY).all() or (has_times and (days == _NO_DAY_OF_1904).all()):
        return column.dt.time()
    return column if has_times else days
