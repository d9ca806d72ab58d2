"""What a person should know of a sheet that was read: what it hides, computes and has lost."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import polars as pl
from polars import selectors as cs

from jobbatch.tables import sheet_xml
from jobbatch.tables.sheet_xml import Preview

_EXACT_BELOW = 10**15
_LONGEST_NUMBER = 10**21
"""What is larger is a quantity rather than a number that identifies something."""


def of_xml(path: Path, name: str, peeked: Preview | None) -> list[str]:
    """Return what to say of hidden rows and formulas, where the sheet's XML can be looked at."""
    if peeked is None:
        return []
    try:
        hidden, formulas = sheet_xml.hidden_rows_and_formulas(path, peeked.part)
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
    return said


def of_numbers(frame: pl.DataFrame) -> list[str]:
    """Return what to say of numbers with more digits than a spreadsheet keeps."""
    too_long = cs.numeric().abs().is_between(_EXACT_BELOW, _LONGEST_NUMBER)
    counts = frame.select(too_long.sum()).to_dicts()
    columns = [name for row in counts for name, count in row.items() if count]
    if not columns:
        return []
    total = sum(counts[0].values())
    said = (
        f"{total:,} numbers in {', '.join(columns)} have more than 15 digits; a spreadsheet keeps "
        "15, so the others were lost before this file was saved"
    )
    return [said]
