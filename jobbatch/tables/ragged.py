"""Lines of delimited text that are not as the header says: counted, put aside, or read leniently."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl


class Header(NamedTuple):
    """What the rows of a text have to fit.

    Attributes:
        separator: between the fields.
        n_fields: of the header.
        last_line: of the header, the first line being 1.
    """

    separator: str
    n_fields: int
    last_line: int


class Short(NamedTuple):
    """Lines with fewer fields than the header.

    Attributes:
        number: how many.
        first: the number of the first one; 0 if there is none.
    """

    number: int
    first: int


def put_aside(text: Path, good: Path, bad: Path, header: Header) -> int:
    """Divide a text into lines that fit and lines with too many fields; return how many the latter are.

    Both files begin with the header, and have all lines as they stood.

    Raises:
        csv.Error: if the text cannot be read, naming the line.
    """
    n_bad = 0
    with (
        text.open(encoding="utf-8-sig", newline="\n") as source,
        good.open("w", encoding="utf-8", newline="") as kept,
        bad.open("w", encoding="utf-8", newline="") as aside,
    ):
        for line, row, record in _rows(source, header.separator):
            heading = line <= header.last_line
            is_bad = not heading and len(row) > header.n_fields
            n_bad += is_bad
            if heading or is_bad:
                aside.writelines(record)
            if not is_bad:
                kept.writelines(record)
    return n_bad


def short(text: Path, header: Header) -> Short:
    """Return which lines have fewer fields than the header; blank ones do not count.

    Args:
        text: a text that has been read, under a name in UTF-8.
        header: its header.
    """
    line = pl.col("line").str.strip_suffix("\r")
    below = (
        pl.scan_lines(text, row_index_name="n", row_index_offset=1, glob=False)
        .slice(header.last_line)
        .with_columns(line, fields=line.str.count_matches(header.separator, literal=True) + 1)
    )
    is_short = (pl.col("fields") < header.n_fields) & (pl.col("line") != "")
    quoted, count, first = (
        below.select(
            pl.col("line").str.contains('"', literal=True).any().alias("quoted"),
            is_short.sum().alias("count"),
            pl.col("n").filter(is_short).first(),
        )
        .collect()
        .row(0)
    )
    if not quoted:
        return Short(count, first or 0)
    found = Short(0, 0)
    limit = csv.field_size_limit(sys.maxsize)  # what has been read needs none
    try:
        with text.open(encoding="utf-8-sig", newline="\n") as file:
            for n, row, _ in _rows(file, header.separator):
                if n > header.last_line and 0 < len(row) < header.n_fields:
                    found = Short(found.number + 1, found.first or n)
    finally:
        csv.field_size_limit(limit)
    return found


def rewrite(text: Path, target: Path, header: Header) -> int:
    """Write the rows below the header so that any parser takes them.

    A quote within a field is a part of it. Each line is a row: where one would go on in the next,
    it is unclear which quote is not meant as such.

    Returns:
        In how many lines quotes stand around the beginning of a field only, and are dropped.

    Raises:
        csv.Error: if a line cannot be read so, naming it.
    """
    dropped, before, unclosed = 0, 0, 0
    with (
        text.open(encoding="utf-8-sig", newline="\n") as source,
        target.open("w", encoding="utf-8", newline="") as copy,
    ):
        writer = csv.writer(copy, delimiter=header.separator, lineterminator="\n")
        for n, row, record in _rows(source, header.separator, exact=True):
            if n > header.last_line:
                if len(row) > header.n_fields:
                    raise csv.Error(
                        f"line {n} has {len(row)} fields, the header has {header.n_fields}. Mend "
                        "it, or put such lines aside with --bad-rows quarantine"
                    )
                if any("\n" in field for field in row):
                    unclosed = unclosed or before + 1
                dropped += not _is_strict(record, header.separator)
                writer.writerow(row)
            before = n
    if unclosed:
        raise csv.Error(f"line {unclosed} has a quote that is not closed in it. Mend it")
    return dropped


def _is_strict(record: list[str], separator: str) -> bool:
    try:
        list(csv.reader(record, delimiter=separator, strict=True))
    except csv.Error:
        return False
    return True


def _rows(
    lines: Iterable[str], separator: str, *, exact: bool = False
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield the number of each row's last line, its fields and its lines, which end where they do for Polars.

    Args:
        lines: of the text.
        separator: between the fields.
        exact: whether the fields are wanted as they are, and not only their number.

    Raises:
        csv.Error: if a row cannot be read, naming the line.
    """
    record: list[str] = []

    def read() -> Iterator[str]:
        for line in lines:
            record.append(line)
            # A CR within a line is a character as any.
            yield (
                line
                if exact and line.endswith("\n")
                else line.rstrip("\r\n").replace("\r", " ") + "\n"
            )

    rows = csv.reader(read(), delimiter=separator)
    try:
        for row in rows:
            yield rows.line_num, row, record
            record.clear()
    except csv.Error as error:
        raise csv.Error(f"line {rows.line_num}: {error}") from error
