"""Workbooks of the older formats, which neither openpyxl nor XlsxWriter can write."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence

import pyxlsbwriter
import xlwt

Row = Sequence[object]


def xls(sheets: Mapping[str, Sequence[Row]], hidden: str | None = None) -> bytes:
    """Return an .xls with these sheets, one of them hidden if asked for."""
    book = xlwt.Workbook()
    dated = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm:ss")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        sheet.visibility = int(name == hidden)
        for y, row in enumerate(rows):
            for x, cell in enumerate(row):
                if cell is not None:
                    style = dated if isinstance(cell, dt.datetime) else xlwt.Style.default_style
                    sheet.write(y, x, cell, style)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def xlsb(sheets: Mapping[str, Sequence[Row]], hidden: str | None = None) -> bytes:
    """Return an .xlsb with these sheets, one of them hidden if asked for."""
    made = io.BytesIO()
    with pyxlsbwriter.XlsbWriter(made) as book:
        for name, rows in sheets.items():
            book.add_sheet(name, hidden=name == hidden)
            book.write_sheet([list(row) for row in rows])
    return made.getvalue()


WRITERS = {".xls": xls, ".xlsb": xlsb}
