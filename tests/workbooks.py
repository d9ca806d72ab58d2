"""Workbooks of the older formats, which neither openpyxl nor XlsxWriter can write."""

from __future__ import annotations

import datetime as dt
import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from hashlib import md5

import olefile
import pyxlsbwriter
import xlwt
from msoffcrypto.format.ooxml import OOXMLFile
from msoffcrypto.method.rc4 import DocumentRC4

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


def protected_xlsx(plain: bytes, password: str) -> bytes:
    """Return an .xlsx that needs a password."""
    made = io.BytesIO()
    OOXMLFile(io.BytesIO(plain)).encrypt(password, made)
    return made.getvalue()


_BOF, _FILE_PASS, _BOUND_SHEET, _INTERFACE = 0x809, 0x2F, 0x85, 0xE1
_SALT = bytes(range(16))


def protected_xls(plain: bytes, password: str) -> bytes:
    """Return an .xls that needs a password; its records are encrypted by RC4, as [MS-XLS] 2.2.10 says."""
    book = olefile.OleFileIO(io.BytesIO(plain)).openstream("Workbook").read()
    verifier = _rc4(bytes(16) + md5(bytes(16)).digest(), password)  # noqa: S324 - the format's
    key = struct.pack("<HHHHH", _FILE_PASS, 54, 1, 1, 1) + _SALT + verifier
    clear = b""
    for kind, body in _records(book):
        moved = body
        if kind == _BOUND_SHEET:
            moved = struct.pack("<I", struct.unpack_from("<I", body)[0] + len(key)) + body[4:]
        clear += struct.pack("<HH", kind, len(moved)) + moved + (b"" if clear else key)
    coded = bytearray(_rc4(clear, password))
    place = 0
    for kind, body in _records(clear):
        legible = {_BOUND_SHEET: 4, _BOF: len(body), _FILE_PASS: len(body), _INTERFACE: len(body)}
        end = place + 4 + legible.get(kind, 0)
        coded[place:end] = clear[place:end]
        place += 4 + len(body)
    made = io.BytesIO()
    # The zeros that fill the last sector are read as records of four bytes.
    odd = -len(coded) % 4
    filling = struct.pack("<HH", 0, odd) + bytes(odd)
    xlwt.CompoundDoc.XlsDoc().save(made, bytes(coded) + filling)
    return made.getvalue()


def _rc4(content: bytes, password: str) -> bytes:
    return DocumentRC4.decrypt(password, _SALT, io.BytesIO(content), blocksize=1024).read()


def _records(book: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while kind_and_size := book[place : place + 4]:
        kind, size = struct.unpack("<HH", kind_and_size)
        if kind == 0:  # the filling at the stream's end
            return
        yield kind, book[place + 4 : place + 4 + size]
        place += 4 + size


WRITERS = {".xls": xls, ".xlsb": xlsb}
