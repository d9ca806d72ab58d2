"""Delimited text as a lazy frame: encoding, separator and header found, every field kept as text."""

from __future__ import annotations

import codecs
import csv
import io
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import polars as pl

from jobbatch.errors import InputError, UsageError
from jobbatch.tables import ragged
from jobbatch.tables.formats import BAD_LINES
from jobbatch.tables.header_row import clean_headers
from jobbatch.tables.ragged import Header

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
        n_bad: lines put aside, which are in `BAD_LINES` of the workspace.
        warnings: what a person should know of how it was read.
    """

    frame: pl.LazyFrame
    headers: tuple[str, ...]
    separator: str
    n_bad: int = 0
    warnings: tuple[str, ...] = ()


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
        InputError: if the file does not decode, is empty, or its header or a line is malformed.
        UsageError: if there is no such encoding.
    """
    text = _as_utf8(path, workspace, encoding)
    with text.open(encoding="utf-8-sig", newline="\n") as file:
        head = file.read(_BLOCK)
    if "\r" in head and "\n" not in head:
        text, head = _with_line_feeds(text, workspace), head.replace("\r", "\n")
    stated = _STATED_SEPARATOR.match(head)
    separators = stated[1] if stated else "\t" if ending == ".tsv" else ",;\t|"
    try:
        found = _header_rows(head, separators, skip=1 if stated else 0)
    except csv.Error as error:
        raise InputError(
            f"{path}: the header is malformed (a quote left open?). Save it again as .csv"
        ) from error
    if not found:
        raise InputError(f"{path} is empty")
    header = max(found, key=_HeaderRow.likelihood)
    columns, headers = clean_headers(header.cells)
    shape = Header(header.separator, len(columns), header.last_line)
    n_bad = 0
    warnings = []
    try:
        if quarantine:
            good = workspace / "good.csv"
            n_bad = ragged.put_aside(text, good, workspace / BAD_LINES, shape)
            text = good
        text = plainly_named(text, workspace)
        frame = _scan(text, columns, shape)
        try:
            blanks = frame.null_count().collect()
        except pl.exceptions.PolarsError:
            mended = workspace / "mended.csv"
            n_dropped = ragged.rewrite(text, mended, shape)
            frame = _scan(mended, columns, shape._replace(last_line=0))
            blanks = frame.null_count().collect()
            warnings.append(
                "quotes stand within fields: each line was read as a row of its own"
                + (f"; {n_dropped:,} lines lost quotes around parts of fields" if n_dropped else "")
            )
        # A field that is missing is blank.
        missing = ragged.short(text, shape) if blanks.row(0)[-1] else ragged.Short(0, 0)
    except csv.Error as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if missing.number:
        warnings.append(
            f"{missing.number:,} lines have fewer fields than the header, the first is line "
            f"{missing.first}; the missing ones are empty"
        )
    return Delimited(
        frame=frame,
        headers=tuple(headers),
        separator=header.separator,
        n_bad=n_bad,
        warnings=tuple(warnings),
    )


def _scan(text: Path, columns: Sequence[str], header: Header) -> pl.LazyFrame:
    return pl.scan_csv(
        text,
        separator=header.separator,
        has_header=False,
        skip_lines=header.last_line,
        schema=dict.fromkeys(columns, pl.String),
        missing_columns="insert",
        glob=False,
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


def _with_line_feeds(text: Path, workspace: Path) -> Path:
    """Return a copy of a text whose lines end with CR alone, as on old Macs."""
    copy = workspace / "lines.csv"
    with text.open(encoding="utf-8") as source, copy.open("w", encoding="utf-8") as target:
        shutil.copyfileobj(source, target, _BLOCK)
    return copy


def _shown_encoding(start: bytes) -> str | None:
    """Return the encoding that a file's first four bytes show; none: not one of two or four bytes a letter."""
    if start in {codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE}:
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    match [byte == 0 for byte in start]:
        case [False, True, False, True]:
            return "utf-16-le"
        case [True, False, True, False]:
            return "utf-16-be"
        case _:
            return None


def _as_utf8(path: Path, workspace: Path, encoding: str | None) -> Path:
    """Return the file itself if it is UTF-8, else a copy that is."""
    with path.open("rb") as file:
        start = file.read(4)
    if encoding is None:
        encoding = _shown_encoding(start)
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
