"""The cells of a spreadsheet as XML, by Polars expressions: no Python object for a row or a cell.

    <c r="B7" s="2"><v>45351</v></c>      a number, a truth value or a date
    <c r="A7" t="inlineStr"><is><t xml:space="preserve">CEO</t></is></c>      text, never a formula

The form is ECMA-376's SpreadsheetML; how control characters stand in text is Excel's own _x000D_.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal, NamedTuple

import polars as pl
from polars import selectors as cs

from jobbatch.tables.sheet_xml import column_letters

Style = Literal["day", "moment", "time", "span"]
"""The number formats that dates and times need to be seen as such."""
_EXACT_INTEGERS = 10**15
"""Whole numbers from here on lose digits in a spreadsheet's decimals, so they are kept as text."""
_EXACT_DIGITS = 15
_FIRST_DAY = dt.date(1900, 1, 1)
_LAST_YEAR = 9_999
_LEAP_DAY = dt.date(1900, 3, 1)
"""Lotus 1-2-3 took 1900 for a leap year, and spreadsheets count days as it did."""
_EPOCH = 25_569
"""The number of 1970-01-01."""
_DAY_US = 86_400_000_000
_CONTROL = [chr(i) for i in (*range(9), 11, 12, *range(13, 32), 0xFFFE, 0xFFFF)]


def row(schema: pl.Schema, styles: Mapping[Style, int], number: pl.Expr) -> pl.Expr:
    """Return the XML of a whole row, from the columns of `schema`.

    Args:
        schema: the columns in order; neither lists nor binary ones.
        styles: the index of each number format in the workbook.
        number: each row's number in the sheet, the header's being 1.
    """
    number = number.cast(pl.String)
    cells = [
        _cell(cs.by_name(name).as_expr(), dtype, column_letters(i), number, styles)
        for i, (name, dtype) in enumerate(schema.items())
    ]
    inside = pl.concat_str(cells, ignore_nulls=True)
    return pl.format('<row r="{}">{}</row>', number, inside)


class _Number(NamedTuple):
    """A cell that shows a number.

    Attributes:
        shown: the number as text.
        attributes: of the cell's tag.
        fits: where it can be shown so; elsewhere the cell is text.
    """

    shown: pl.Expr
    attributes: str = ""
    fits: pl.Expr | None = None


def _cell(
    value: pl.Expr, dtype: pl.DataType, letters: str, row: pl.Expr, styles: Mapping[Style, int]
) -> pl.Expr:
    """Return the XML of one cell; null where it is empty."""
    plain = value.cast(pl.String)
    form = f'<c r="{letters}{{}}" t="inlineStr"><is><t xml:space="preserve">{{}}</t></is></c>'
    text = pl.format(form, row, _escaped(plain))
    number = _date(value, dtype, styles) or _number(value, dtype)
    if number is None:
        return text
    form = f'<c r="{letters}{{}}"{number.attributes}><v>{{}}</v></c>'
    shown = pl.format(form, row, number.shown)
    return shown if number.fits is None else pl.when(number.fits).then(shown).otherwise(text)


def _number(value: pl.Expr, dtype: pl.DataType) -> _Number | None:
    plain = value.cast(pl.String)
    if dtype == pl.Boolean:
        return _Number(value.cast(pl.Int8).cast(pl.String), ' t="b"')
    if dtype.is_integer():
        return _Number(plain, fits=(value < _EXACT_INTEGERS) & (value > -_EXACT_INTEGERS))
    if dtype.is_float():
        return _Number(plain, fits=value.is_finite())
    if dtype.is_decimal():
        digits = plain.str.replace_all(r"\D", "").str.strip_chars_start("0").str.len_bytes()
        return _Number(plain, fits=digits <= _EXACT_DIGITS)
    return None


def _date(value: pl.Expr, dtype: pl.DataType, styles: Mapping[Style, int]) -> _Number | None:
    """Return days since the spreadsheet's first, their fractions for times."""
    style: Style
    if dtype == pl.Time:
        style, days = "time", value.to_physical() / (1_000 * _DAY_US)
    elif dtype == pl.Duration:
        style, days = "span", value.dt.total_microseconds() / _DAY_US
    elif dtype == pl.Date:
        style, days = "day", value.to_physical()
    elif isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        style, days = "moment", value.dt.epoch("us") / _DAY_US
    else:
        return None
    fits = None
    if style in ("day", "moment"):
        days = days + pl.when(value < _LEAP_DAY).then(_EPOCH - 1).otherwise(_EPOCH)
        fits = (value >= _FIRST_DAY) & (value.dt.year() <= _LAST_YEAR)
    return _Number(days.cast(pl.String), f' s="{styles[style]}"', fits)


def _escaped(text: pl.Expr) -> pl.Expr:
    """Return text as it stands in XML."""
    # What looks like an escape of Excel's is none of ours: its underscore is escaped itself.
    text = text.str.replace_all(r"_(x[0-9A-Fa-f]{4}_)", "_x005F_$1")
    text = text.str.replace_many(["&", "<", ">"], ["&amp;", "&lt;", "&gt;"])
    return text.str.replace_many(_CONTROL, [f"_x{ord(c):04X}_" for c in _CONTROL])
