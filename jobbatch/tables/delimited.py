"""Delimited text as a lazy frame: encoding, separator and header found, every field kept as text."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import polars as pl

from jobbatch.errors import InputError, UsageError
from jobbatch.tables.formats import BAD_LINES
from jobbatch.tables.header_row import clean_headers

_BLOCK = 1 << 20
_SAMPLE_ROWS = 100
"""Rows below the header by which its separator is told."""
_STATED_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?\r?\n', re.IGNORECASE)
"""A first line of Excel's own, which is neither header nor row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited:
    """Delimited text opened for reading.

    Attributes:
        frame: all its columns as text, under unique names.
        headers: the headers as they stand in the file, one per column.
        separator: between the fields.
        text: the file in UTF-8, less what was put aside.
        n_bad: lines put aside, which are in `BAD_LINES` of the workspace.
    """

    frame: pl.LazyFrame
    headers: tuple[str, ...]
    separator: str
    text: Path
    n_bad: int = 0

    def fault(self) -> str | None:
        """Return the first fault of the rows and its line, if there is one."""
        with self.text.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=self.separator)
            try:
                for row in rows:
                    if len(row) > len(self.headers):
                        return (
                            f"line {rows.line_num} has {len(row)} fields, the header has "
                            f"{len(self.headers)}. Mend it, or put such lines aside with --bad-rows "
                            "quarantine"
                        )
            except csv.Error as fault:
                return f"line {rows.line_num}: {fault}"
        return None


def codec(encoding: str | None) -> codecs.CodecInfo:
    """Return the codec of an encoding; none: of UTF-8.

    Raises:
        UsageError: if there is no such encoding of text.
    """
    try:
        found = codecs.lookup(encoding or "utf-8")
        "x".encode(found.name)  # refuses codecs that are not of text, as 'hex'
    except LookupError as error:
        raise UsageError(f"--encoding {encoding}: there is no such encoding") from error
    return found


def open_text(
    path: Path, workspace: Path, ending: str, encoding: str | None, *, quarantine: bool = False
) -> Delimited:
    """Read the header and scan the rows below it.

    Args:
        path: the file.
        workspace: a folder for a copy in UTF-8.
        ending: '.tsv', or '.csv' whose separator is found.
        encoding: of the file; none: UTF-8, or what its byte order mark says.
        quarantine: put lines with more fields than the header aside.

    Raises:
        InputError: if the file does not decode, is empty, or its header is malformed.
        UsageError: if there is no such encoding.
    """
    text = _as_utf8(path, workspace, encoding)
    with text.open(encoding="utf-8-sig", newline="\n") as file:
        head = file.read(_BLOCK)
    stated = _STATED_SEPARATOR.match(head)
    separators = stated[1] if stated else "\t" if ending == ".tsv" else ",;\t|"
    try:
        found = _header_rows(head, separators, skip=1 if stated else 0)
    except csv.Error as error:
        raise InputError(
            f"{path}: the header is malformed (a quote left open, or lines that end with CR "
            "alone?). Save it again as .csv"
        ) from error
    if not found:
        raise InputError(f"{path} is empty")
    header = max(found, key=_HeaderRow.likelihood)
    columns, headers = clean_headers(header.cells)
    n_bad = 0
    if quarantine:
        text, n_bad = _sorted_out(path, text, workspace, header)
    frame = pl.scan_csv(
        plainly_named(text, workspace),
        separator=header.separator,
        has_header=False,
        skip_lines=header.last_line,
        schema=dict.fromkeys(columns, pl.String),
        missing_columns="insert",
        glob=False,
    )
    return Delimited(
        frame=frame,
        headers=tuple(headers),
        separator=header.separator,
        text=text,
        n_bad=n_bad,
    )


def plainly_named(path: Path, workspace: Path) -> Path:
    """Return the path, or a link to it if its name is not UTF-8, as the parsers need it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        link = workspace / f"input{path.suffix}"
        link.symlink_to(path.absolute())
        return link
    return path


@dataclass(frozen=True, slots=True)
class _HeaderRow:
    """The first row that is not blank, with one way to separate its cells."""

    separator: str
    cells: list[str]
    last_line: int
    fields: list[int]
    """Of the first rows below."""

    def likelihood(self) -> tuple[float, bool, int]:
        """Return what is larger for the separator that is meant.

        It divides the rows too, into no more fields than the header; no header begins with a blank, as
        after a comma in a sentence, or holds a quote, as where it divides within quotes; and it makes
        many fields.
        """
        n = len(self.cells)
        divided = sum(1 < row <= n for row in self.fields) / max(len(self.fields), 1)
        odd = any(cell.startswith(" ") or '"' in cell for cell in self.cells)
        return divided, not odd, n


def _header_rows(head: str, separators: str, skip: int) -> list[_HeaderRow]:
    """Return the header for each separator with which it can be read; none if all is blank.

    Args:
        head: the beginning of the text.
        separators: those that may be meant.
        skip: rows before the header.

    Raises:
        csv.Error: if it can be read with none.
    """
    found: list[_HeaderRow] = []
    faults: list[csv.Error] = []
    for separator in separators:
        # Lines end where they do for Polars, which skips so many.
        lines = io.StringIO(head, newline="\n")
        rows = csv.reader(lines, delimiter=separator, strict=True)
        try:
            below = islice(rows, skip, None)
            cells = next((row for row in below if any(map(str.strip, row))), None)
        except csv.Error as error:
            faults.append(error)
            continue
        if cells is not None:
            found.append(_HeaderRow(separator, cells, rows.line_num, _fields(lines, separator)))
    if faults and not found:
        raise faults[0]
    return found


def _fields(lines: Iterable[str], separator: str) -> list[int]:
    """Return the number of fields of the first rows that are not blank."""
    rows = csv.reader(lines, delimiter=separator)
    found: list[int] = []
    with suppress(csv.Error):  # what is wrong with a row is told where all are read
        found += (len(row) for row in islice(rows, _SAMPLE_ROWS) if row)
    return found


def _sorted_out(path: Path, text: Path, workspace: Path, header: _HeaderRow) -> tuple[Path, int]:
    """Return a copy without the lines that have more fields than the header, and their number.

    What stays and what goes is copied as it stands; the latter into `BAD_LINES`, below the header.
    """
    good, n_bad = workspace / "good.csv", 0
    with (
        text.open(encoding="utf-8-sig", newline="") as source,
        good.open("w", encoding="utf-8", newline="") as kept,
        (workspace / BAD_LINES).open("w", encoding="utf-8", newline="") as aside,
    ):
        record: list[str] = []

        def lines() -> Iterator[str]:
            for line in source:
                record.append(line)
                yield line

        rows = csv.reader(lines(), delimiter=header.separator)
        try:
            for row in rows:
                heading = rows.line_num <= header.last_line
                bad = not heading and len(row) > len(header.cells)
                n_bad += bad
                if heading or bad:
                    aside.writelines(record)
                if not bad:
                    kept.writelines(record)
                record.clear()
        except csv.Error as error:
            raise InputError(f"{path} cannot be read: line {rows.line_num}: {error}") from error
    return good, n_bad


def _as_utf8(path: Path, workspace: Path, encoding: str | None) -> Path:
    """Return the file itself if it is UTF-8, else a copy that is."""
    with path.open("rb") as file:
        start = file.read(4)
    if encoding is None and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    found = codec(encoding)
    decoder = found.incrementaldecoder("strict")
    copy = workspace / "utf8.csv"
    offset = 0
    with path.open("rb") as source, copy.open("wb") as target:
        for block in chain(iter(partial(source.read, _BLOCK), b""), [b""]):
            start_of_text = offset - len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                where = start_of_text + error.start
                raise InputError(
                    f"{path} is not {found.name}: byte {where} does not decode. "
                    "Name its encoding, for example --encoding cp1252"
                ) from error
            if found.name != "utf-8":
                target.write(text.encode())
            offset += len(block)
    return path if found.name == "utf-8" else copy
