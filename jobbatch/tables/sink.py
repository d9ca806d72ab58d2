"""Writes a lazy frame in any format, streaming, and reopens what was written."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from jobbatch.errors import OutputFormatError, WriteError
from jobbatch.tables import formats
from jobbatch.tables.workbook import MAX_CHARACTERS, MAX_COLUMNS, MAX_ROWS, write_workbook

LIST_SEPARATOR = "; "
"""Between the items of a list in a format that has no lists."""
_FLAT = (*formats.DELIMITED, ".xlsx")


def check_fits(frame: pl.LazyFrame, ending: str, n_rows: int, added_columns: int) -> None:
    """Check that the format can hold the table, before any work is done for it.

    Raises:
        OutputFormatError: saying what does not fit, and which format does.
    """
    if ending not in _FLAT:
        return
    schema = frame.collect_schema()
    nested = [n for n, t in schema.items() if t.is_nested() and t != pl.List(pl.String)]
    if nested:
        raise OutputFormatError(
            f"{ending} cannot hold the nested columns {', '.join(nested)}: write .parquet or .jsonl"
        )
    if ending != ".xlsx":
        return
    if n_rows > MAX_ROWS:
        raise OutputFormatError(
            f"{n_rows:,} rows are more than the {MAX_ROWS:,} of an .xlsx sheet: write .parquet "
            "or .csv"
        )
    if len(schema) + added_columns > MAX_COLUMNS:
        raise OutputFormatError(f"more than {MAX_COLUMNS:,} columns do not fit an .xlsx sheet")
    texts = [n for n, t in schema.items() if t == pl.String]
    longest = frame.select(pl.col(texts).str.len_chars().max()).collect().row(0, named=True)
    too_long = [n for n, length in longest.items() if (length or 0) > MAX_CHARACTERS]
    if too_long:
        raise OutputFormatError(
            f"cells of {', '.join(too_long)} are longer than the {MAX_CHARACTERS:,} characters of "
            "an .xlsx cell: write .parquet or .csv"
        )


def write(
    frame: pl.LazyFrame,
    path: Path,
    ending: str,
    *,
    headers: Sequence[str],
    metadata: Mapping[str, str],
    separator: str | None = None,
) -> None:
    """Write the frame's rows in order.

    Args:
        frame: what to write.
        path: the file to make.
        ending: which format.
        headers: one per column, used where the format allows any header.
        metadata: goes into the file's own metadata, where the format has some.
        separator: between fields of .csv.
    """
    if ending in _FLAT:
        lists = [n for n, t in frame.collect_schema().items() if t == pl.List(pl.String)]
        frame = frame.with_columns(pl.col(lists).list.join(LIST_SEPARATOR))
    if ending == ".parquet":
        frame.sink_parquet(path, metadata=dict(metadata))
    elif ending in formats.DELIMITED:
        _write_delimited(frame, path, headers, "\t" if ending == ".tsv" else separator or ",")
    elif ending == ".xlsx":
        write_workbook(frame, path, headers, metadata)
    elif ending in formats.JSON_LINES:
        frame.sink_ndjson(path, check_extension=False)
    else:
        frame.sink_ipc(path)


def _write_delimited(
    frame: pl.LazyFrame, path: Path, headers: Sequence[str], separator: str
) -> None:
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="\n").writerow(headers)
    with path.open("wb") as file:
        file.write(line.getvalue().encode())
        frame.sink_csv(file, include_header=False, separator=separator)


def verify(path: Path, ending: str, n_rows: int, columns: Sequence[str]) -> None:
    """Reopen a written file and compare it with what it must hold.

    Raises:
        WriteError: if it differs.
    """
    if ending == ".xlsx":
        return  # write_workbook counted its rows and tested the archive
    if ending == ".parquet":
        frame = pl.scan_parquet(path, glob=False)
    elif ending in formats.DELIMITED:
        separator = "\t" if ending == ".tsv" else ","
        frame = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
    elif ending in formats.JSON_LINES:
        frame = pl.scan_lines(path)
    else:
        frame = pl.scan_ipc(path, glob=False)
    found = frame.select(pl.len()).collect().item()
    typed = ending == ".parquet" or ending in formats.ARROW
    if found != n_rows or (typed and frame.collect_schema().names() != list(columns)):
        raise WriteError(f"{path} came out with {found:,} rows instead of {n_rows:,}: run it again")
