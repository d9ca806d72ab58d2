"""What a person should know of a sheet that was read: what it hides, computes and has lost."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
from polars import selectors as cs

from jobbatch.tables.header_row import clean_headers
from jobbatch.tables.sheet_xml import TO_VALUE, Preview, blocks, zero_filled_styles

_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row(?=\s)[^>]*\shidden="(?:1|true)"')
_FORMULA = re.compile(rb"<f[\s/>]")
_ERROR = re.compile(rb'<(?:\w+:)?c(?=\s)[^>]*\st="e"')
_TRUTH_VALUE = re.compile(rb'<(?:\w+:)?c(?=\s)[^>]*\st="b"')
_UNSAVED = re.compile(
    rb"(?:<(?:\w+:)?f(?:\s[^>]*)?/>|</(?:\w+:)?f>)"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>"
)
_PREFIXED_FORMULA = re.compile(rb"<\w+:f[\s/>]")


_ODS_SPAN = re.compile(
    rb'office:time-value="(?:-|P[0-9]*[1-9][0-9]*D|PT0*(?:2[4-9]|[3-9][0-9]|[1-9][0-9]{2,})H)'
)
_ODS_BREAK = re.compile(rb"<text:(?:line-break|tab)[\s/>]")
_LONG = rb"(?:[0-9]{16,21}|[0-9](?:\.[0-9]+)?[eE]\+?(?:1[5-9]|20))<"
_LONG_VALUE = re.compile(rb"v>-?" + _LONG)  # no tag that ends has digits behind it
_LONG_TEXT = re.compile(rb'<(?:\w+:)?c(?=\s)[^>]*\st="str"[^>]*>' + TO_VALUE + rb"-?" + _LONG)
"""A formula's, which loses no digits."""
_EXACT_BELOW = 10**15
_LONGEST_NUMBER = 10**21
"""What is larger is a quantity rather than a number that identifies something."""


class Counts(NamedTuple):
    """What there is in a sheet.

    Attributes:
        hidden_rows: that a spreadsheet program does not show.
        formulas: cells that hold one.
        unsaved: those of them that hold no value.
        errors: cells that hold one, such as #N/A, which the parser takes for empty.
        long_numbers: cells with a number of more than 15 digits, which a spreadsheet rounds.
        truth_values: cells that hold one.
        zero_filled: numbers whose format fills them up with leading zeros.
    """

    hidden_rows: int
    formulas: int
    unsaved: int
    errors: int
    long_numbers: int
    truth_values: int
    zero_filled: int


def counts(path: Path, peeked: Preview | None) -> Counts | None:
    """Return what there is in a sheet; None if its XML cannot be looked at.

    Args:
        path: the workbook.
        peeked: what the sheet begins with; None if that is unclear.
    """
    if peeked is None:
        return None
    hidden = formulas = unsaved = errors = numbers = truths = zeros = 0
    try:
        with zipfile.ZipFile(path) as archive:
            zero_filled = _of_styles(zero_filled_styles(archive))
            for block in blocks(archive, peeked.part):
                zeros += 0 if zero_filled is None else len(zero_filled.findall(block))
                # Plain searches first: they take a tenth of the time that the patterns do.
                hidden += len(_HIDDEN_ROW.findall(block)) if b"hidden=" in block else 0
                before = formulas
                formulas += len(_FORMULA.findall(block)) if b"<f" in block else 0
                formulas += len(_PREFIXED_FORMULA.findall(block)) if b":f" in block else 0
                unsaved += len(_UNSAVED.findall(block)) if formulas > before else 0
                errors += len(_ERROR.findall(block)) if b't="e"' in block else 0
                truths += len(_TRUTH_VALUE.findall(block)) if b't="b"' in block else 0
                if _LONG_VALUE.search(block):
                    numbers += len(_LONG_VALUE.findall(block)) - len(_LONG_TEXT.findall(block))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError):
        return None  # the parser says what is wrong
    return Counts(hidden, formulas, unsaved, errors, numbers, truths, zeros)


def _of_styles(styles: Sequence[int]) -> re.Pattern[bytes] | None:
    """Return the pattern of cells with numbers in one of the styles."""
    if not styles:
        return None
    either = b"|".join(str(style).encode() for style in styles)
    number = rb'(?![^>]*\st="[^n])[^>]*>' + TO_VALUE + rb"[0-9]"
    return re.compile(rb'<(?:\w+:)?c(?=\s)(?=[^>]*\ss="(?:%s)")' % either + number)


def of_counts(found: Counts, name: str) -> list[str]:
    """Return what to say of the sheet of that name."""
    hidden, formulas, unsaved, errors, numbers, _, zeros = found
    said = []
    if hidden:
        said.append(f"{hidden:,} rows of sheet {name!r} are hidden; they are read all the same")
    if formulas:
        said.append(
            f"{formulas:,} cells of sheet {name!r} are formulas; the values that they had when the "
            "workbook was saved are read"
        )
    if unsaved:
        said.append(
            f"{unsaved:,} formulas of sheet {name!r} were saved without a value: their cells are empty "
            "here, until the workbook is opened and saved in a spreadsheet program"
        )
    if errors:
        said.append(
            f"{errors:,} cells of sheet {name!r} hold errors such as #N/A; they are empty here"
        )
    if numbers:
        said.append(_lost(numbers, f"sheet {name!r}"))
    if zeros:
        said.append(
            f"{zeros:,} numbers of sheet {name!r} have a format that fills them up with zeros, which are "
            "no part of them: they are read without"
        )
    return said


def of_ods(path: Path) -> list[str]:
    """Return what to say of what the parser does not read in an .ods, which it has read, in any sheet."""
    times = breaks = 0
    with zipfile.ZipFile(path) as archive:
        for block in blocks(archive, "content.xml"):
            times += len(_ODS_SPAN.findall(block))
            breaks += len(_ODS_BREAK.findall(block))
    said = []
    if times:
        said.append(
            f"{times:,} times of the workbook are negative or have 24 hours or more: they are empty "
            "here. Save it as .xlsx"
        )
    if breaks:
        said.append(
            f"{breaks:,} line breaks and tabs within cells of the workbook are lost. Save it as .xlsx"
        )
    return said


def of_numbers(frame: pl.DataFrame, header: Sequence[str | None]) -> list[str]:
    """Return what to say of long numbers in a sheet whose XML cannot be looked at."""
    names = dict(zip(frame.columns, clean_headers(header)[0], strict=True))
    too_long = cs.numeric().abs().is_between(_EXACT_BELOW, _LONGEST_NUMBER).sum()
    found = {n: c for row in frame.select(too_long).to_dicts() for n, c in row.items() if c}
    where = ", ".join(names[name] for name in found)
    return [_lost(sum(found.values()), where)] if found else []


def _lost(count: int, where: str) -> str:
    return (
        f"{count:,} numbers in {where} have more than 15 digits; a spreadsheet keeps 15, so the "
        "others were lost before this file was saved"
    )
