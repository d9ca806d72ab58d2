"""Looks into the XML of an .xlsx without parsing all of it, which fastexcel does at every call.

What a sheet begins with, and whether a column holds text anywhere. Both give up, rather than
guess, on what they do not expect; fastexcel then answers.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

Rows = list[tuple[str | None, ...]]

_BLOCK = 1 << 15
_LONGEST = 1 << 24
"""Bytes of a part that are looked at; a sheet whose first rows are longer is left to fastexcel."""
_ZERO_FILLED = re.compile(r"00[0\- \\\"/.()]*(?:;.*)?")
TO_VALUE = rb"(?:<(?:\w+:)?f(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>))?<(?:\w+:)?v>"
"""What stands between the tag of a cell and its value: its formula, if it has one."""
_CELL = re.compile(r"([A-Z]{1,3})([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a sheet begins with.

    Attributes:
        part: the sheet's file in the archive.
        visible: whether a spreadsheet program shows it.
        rows: the first rows, the topmost first, from the first column that one of them fills to
            the last.
        first_column: the number of that first column, A being 0.
        exact: the rows whose cells are all texts, so that they are shown here as they are; of
            numbers and dates only what the file has is known, not how they look.
    """

    part: str
    visible: bool
    rows: Rows
    first_column: int
    exact: frozenset[int]


class _Unexpected(Exception):  # noqa: N818 - not an error: fastexcel answers instead
    """The workbook is not as nearly all are."""


def previews(path: Path, n_rows: int) -> dict[str, Preview] | None:
    """Return what each sheet begins with, by name and in order; None if that cannot be told.

    Args:
        path: the workbook.
        n_rows: from the top.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name: _preview(archive, part, n_rows, visible=visible)
                for name, part, visible in _sheets(archive)
            }
    except (_Unexpected, ET.ParseError, zipfile.BadZipFile, KeyError, ValueError, IndexError):
        return None
    except (OSError, EOFError, zlib.error, NotImplementedError, RuntimeError):
        # Damaged, odd or encrypted archives.
        return None


def columns_with_text(path: Path, part: str, columns: Collection[int], below: int) -> set[int]:
    """Return which of some columns have a cell of text, or of an error, below a row.

    Args:
        path: the workbook.
        part: the sheet's file in the archive.
        columns: their numbers, A being 0.
        below: the number of the row, the first being 1.
    """
    letters = {column_letters(column): column for column in columns}
    if not letters:
        return set()
    # Attributes stand in any order.
    text = re.compile(
        rb'<(?:\w+:)?c(?=\s)(?=[^>]*\sr="(%s)([0-9]+)")(?=[^>]*\st="(?:s|str|inlineStr|e)")'
        % "|".join(letters).encode()
    )
    found: set[int] = set()
    with zipfile.ZipFile(path) as archive:
        for block in blocks(archive, part):
            for cell in text.finditer(block):
                if int(cell[2]) > below:
                    found.add(letters[cell[1].decode()])
            if len(found) == len(letters):
                break
    return found


def zero_filled_styles(archive: zipfile.ZipFile) -> list[int]:
    """Return the cell styles that show whole numbers with leading zeros, as `00000` does postcodes."""
    try:
        root = _small(archive, "xl/styles.xml")
    except (_Unexpected, ET.ParseError, KeyError):
        return []  # the workbook has none, or odd ones
    formats = {
        element.get("numFmtId")
        for element in root.iter()
        if _name(element) == "numFmt" and _ZERO_FILLED.fullmatch(element.get("formatCode", ""))
    }
    styles = next((e for e in root if _name(e) == "cellXfs"), ())
    return [i for i, style in enumerate(styles) if style.get("numFmtId") in formats]


def error_cells(path: Path, part: str) -> list[tuple[int, int, str]]:
    """Return the cells that hold errors, such as #N/A: row, the first being 1, column, A being 0, text."""
    cell = re.compile(
        rb'<(?:\w+:)?c(?=\s)(?=[^>]*\st="e")[^>]*\sr="([A-Z]{1,3})([0-9]{1,7})"[^>]*>'
        + TO_VALUE
        + rb"([^<]*)<"
    )
    with zipfile.ZipFile(path) as archive:
        return [
            (int(row), _column_index(letters.decode()), text.decode(errors="replace"))
            for block in blocks(archive, part)
            for letters, row, text in cell.findall(block)
        ]


def column_letters(index: int) -> str:
    """Return the name of a column counted from 0: A, B, ... Z, AA."""
    letters = ""
    rest = index + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return letters


def _column_index(letters: str) -> int:
    index = 0
    for letter in letters:
        index = 26 * index + ord(letter) - ord("A") + 1
    return index - 1


def blocks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield the part's content in blocks that end before a cell or, without any, a tag begins."""
    rest = b""
    with archive.open(part) as file:
        while block := file.read(32 * _BLOCK):
            text = rest + block
            cell = max(text.rfind(b"<c "), text.rfind(b"<", 0, text.rfind(b":c ") + 1))
            end = cell if cell > 0 else text.rfind(b"<")
            yield text[:end]
            rest = text[end:]
    yield rest


def _sheets(archive: zipfile.ZipFile) -> Iterator[tuple[str, str, bool]]:
    """Yield name, part and visibility of each sheet."""
    targets = {}
    for relation in _small(archive, "xl/_rels/workbook.xml.rels"):
        target = relation.attrib["Target"]
        targets[relation.attrib["Id"]] = (
            target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        )
    for element in _small(archive, "xl/workbook.xml").iter():
        if _name(element) == "sheet":
            (identifier,) = (v for k, v in element.attrib.items() if k.endswith("}id"))
            visible = element.attrib.get("state", "visible") == "visible"
            yield element.attrib["name"], targets[identifier], visible


def _small(archive: zipfile.ZipFile, part: str) -> ET.Element:
    """Return the tree of a part that is never large."""
    with archive.open(part) as file:
        content = file.read(_LONGEST)
    return ET.fromstring(_plain(content))  # noqa: S314 - `_plain` refuses what expands


def _preview(archive: zipfile.ZipFile, part: str, n_rows: int, *, visible: bool) -> Preview:
    cells: dict[tuple[int, int], str | int] = {}
    inexact = set()
    for row in _elements(archive, part, "row"):
        for cell in row:
            place = _CELL.fullmatch(cell.attrib["r"])
            if place is None:
                raise _Unexpected
            value = _value(cell)
            if value is None:
                continue
            cells[int(place[2]), _column_index(place[1])] = value
            if cell.attrib.get("t", "n") not in {"s", "str", "inlineStr"}:
                inexact.add(int(place[2]) - 1)
        if int(row.attrib["r"]) >= n_rows:
            break
    shown = {place: value for place, value in cells.items() if place[0] <= n_rows}
    wanted = {value for value in shown.values() if isinstance(value, int)}
    strings = _shared_strings(archive, wanted) if wanted else {}
    columns = {column for _, column in shown}
    first, last = min(columns, default=0), max(columns, default=-1)
    rows: Rows = []
    for number in range(1, max((row for row, _ in shown), default=0) + 1):
        values = [shown.get((number, column)) for column in range(first, last + 1)]
        rows.append(tuple(strings[v] if isinstance(v, int) else v for v in values))
    exact = frozenset(range(len(rows))) - inexact
    return Preview(part=part, visible=visible, rows=rows, first_column=first, exact=exact)


def _value(cell: ET.Element) -> str | int | None:
    """Return a cell's text, or the number of its shared string."""
    kind = cell.attrib.get("t", "n")
    if kind == "inlineStr":
        return "".join(_texts(cell)) or None
    text = next((child.text for child in cell if _name(child) == "v"), None)
    if text is None:
        return None
    if kind == "b":
        return "true" if text == "1" else "false"
    return int(text) if kind == "s" else text


def _shared_strings(archive: zipfile.ZipFile, wanted: Collection[int]) -> dict[int, str]:
    found = {}
    for i, item in enumerate(_elements(archive, "xl/sharedStrings.xml", "si")):
        if i in wanted:
            found[i] = "".join(_texts(item))
        if i >= max(wanted):
            break
    return found


def _texts(element: ET.Element) -> Iterator[str]:
    """Yield the texts of an element, without those that say how they are pronounced."""
    for child in element:
        if _name(child) == "t":
            yield child.text or ""
        elif _name(child) != "rPh":
            yield from _texts(child)


def _elements(archive: zipfile.ZipFile, part: str, name: str) -> Iterator[ET.Element]:
    """Yield the elements of a name one by one, reading no further than is asked for."""
    parser: Any = ET.XMLPullParser(["end"])  # events of this kind are not typed
    seen = 0
    with archive.open(part) as file:
        while block := file.read(_BLOCK):
            seen += len(block)
            if seen > _LONGEST:
                raise _Unexpected
            parser.feed(_plain(block))
            for _, element in parser.read_events():
                if _name(element) == name:
                    yield element
                    element.clear()


def _plain(content: bytes) -> bytes:
    """Return the content, unless it declares entities, which can expand without end."""
    if b"<!" in content and (b"<!DOCTYPE" in content or b"<!ENTITY" in content):
        raise _Unexpected
    return content


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
