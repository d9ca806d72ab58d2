"""What a person should know of a sheet that was read: what it hides, computes and has lost."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars import selectors as cs

from jobbatch.tables import sheet_xml
from jobbatch.tables.header_row import clean_headers
from jobbatch.tables.sheet_xml import Preview

_EXACT_BELOW = 10**15
_LONGEST_NUMBER = 10**21
"""What is larger is a quantity rather than a number that identifies something."""


def of_xml(path: Path, name: str, peeked: Preview | None) -> list[str]:
    """Return what to say of a sheet whose XML can be looked at."""
    if peeked is None:
        return []
    try:
        hidden, formulas, numbers = sheet_xml.counts(path, peeked.part)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError):
        return []  # the parser says what is wrong
    said = []
    if hidden:
        said.append(f"{hidden:,} rows of sheet {name!r} are hidden; they are labelled all the same")
    if formulas:
        said.append(
            f"{formulas:,} cells of sheet {name!r} are formulas; the values that they had when the "
            "workbook was saved are read"
        )
    if numbers:
        said.append(_lost(numbers, f"sheet {name!r}"))
    return said


def of_numbers(frame: pl.DataFrame, header: Sequence[str | None]) -> list[str]:
    """Return what to say of long numbers in a sheet whose XML cannot be looked at."""
    names = dict(zip(frame.columns, clean_headers(header)[0], strict=True))
    too_long = cs.numeric().abs().is_between(_EXACT_BELOW, _LONGEST_NUMBER).sum()
    counts = {n: c for row in frame.select(too_long).to_dicts() for n, c in row.items() if c}
    where = ", ".join(names[name] for name in counts)
    return [_lost(sum(counts.values()), where)] if counts else []


def _lost(count: int, where: str) -> str:
    return (
        f"{count:,} numbers in {where} have more than 15 digits; a spreadsheet keeps 15, so the "
        "others were lost before this file was saved"
    )
