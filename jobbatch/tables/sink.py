"""Writes a lazy frame in any format, streaming, and reopens what was written."""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars import selectors as cs

from jobbatch.errors import OutputFormatError, WriteError
from jobbatch.tables import formats
from jobbatch.tables.workbook import MAX_CHARACTERS, MAX_COLUMNS, MAX_ROWS, last_row, write_workbook

LIST_SEPARATOR = "; "
"""Between the items of a list in a format that has no lists."""
_FLAT = (*formats.DELIMITED, ".xlsx")
_TEXT = cs.string() | cs.categorical() | cs.enum()
_RUNS = r"^[=+\-@\t\r]"
"""How a text begins that a spreadsheet may take for a formula."""
_NUMBER = r"^[+\-]?\d+(?:[.,]\d+)*$"


def check_fits(frame: pl.LazyFrame, ending: str, n_rows: int, added_columns: int) -> None:
    """Check that the format can hold the table, before any work is done for it.

    Raises:
        OutputFormatError: saying what does not fit, and which format does.
    """
    schema = frame.collect_schema()
    raw = [n for n, t in schema.items() if t == pl.Binary]
    if raw and ending in (*_FLAT, *formats.JSON_LINES):
        raise OutputFormatError(
            f"{ending} cannot hold the binary columns {', '.join(raw)}: write .parquet or .arrow"
        )
    if ending not in _FLAT:
        return
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
    longest = _flat(frame).select(cs.string().str.len_chars().max()).collect().to_dicts()
    too_long = [n for row in longest for n, length in row.items() if (length or 0) > MAX_CHARACTERS]
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
    n_rows: int,
    separator: str | None = None,
) -> None:
    """Write the frame's rows in order.

    Args:
        frame: what to write.
        path: the file to make.
        ending: which format.
        headers: one per column, used where the format allows any header.
        metadata: goes into the file's own metadata, where the format has some.
        n_rows: of the frame, which some formats state before the rows.
        separator: between fields of .csv.
    """
    if ending in _FLAT:
        frame = _flat(frame)
    if ending == ".parquet":
        frame.sink_parquet(path, metadata=dict(metadata))
    elif ending in formats.DELIMITED:
        _write_delimited(frame, path, headers, "\t" if ending == ".tsv" else separator or ",")
    elif ending == ".xlsx":
        write_workbook(frame, path, headers, metadata, n_rows)
    elif ending in formats.JSON_LINES:
        frame.sink_ndjson(path, check_extension=False)
    else:
        # Not string views: their buffers show in which order the threads met the titles.
        frame.sink_ipc(path, compat_level=pl.CompatLevel.oldest())


def runnable(frame: pl.LazyFrame, headers: Sequence[str]) -> int:
    """Return how many texts of a table a spreadsheet could run as formulas, in .csv and .tsv."""
    texts = _flat(frame).select(_TEXT.as_expr().cast(pl.String))
    cells = texts.select(_could_run(pl.all()).sum()).collect()
    found = pl.select(_could_run(pl.lit(pl.Series(headers, dtype=pl.String))).sum()).item()
    return int(found) + sum(sum(row) for row in cells.rows())


def not_finite(frame: pl.LazyFrame) -> int:
    """Return how many numbers of a table are NaN or infinite, which JSON does not know."""
    cells = frame.select((~cs.float().is_finite()).sum()).collect()
    return sum(sum(row) for row in cells.rows())


def neutralised(frame: pl.LazyFrame, headers: Sequence[str]) -> tuple[pl.LazyFrame, list[str]]:
    """Return the table and its headers with a ' before what could run as a formula.

    So have texts that begin with one: to take one away gives back what was there.
    """
    safe_headers = pl.select(_neutral(pl.lit(pl.Series(headers, dtype=pl.String))))
    return (
        _flat(frame).with_columns(_neutral(_TEXT.as_expr().cast(pl.String))),
        safe_headers.to_series().to_list(),
    )


def _could_run(text: pl.Expr) -> pl.Expr:
    return text.str.contains(_RUNS) & ~text.str.contains(_NUMBER)


def _neutral(text: pl.Expr) -> pl.Expr:
    marked = pl.when(_could_run(text) | text.str.starts_with("'"))
    return marked.then(text.str.replace("^", "'")).otherwise(text)


def _flat(frame: pl.LazyFrame) -> pl.LazyFrame:
    # An item that is null keeps its place.
    items = cs.by_dtype(pl.List(pl.String)).list.eval(pl.element().fill_null(""))
    return frame.with_columns(items.list.join(LIST_SEPARATOR))


def _write_delimited(
    frame: pl.LazyFrame, path: Path, headers: Sequence[str], separator: str
) -> None:
    line = io.StringIO()
    # With CR in its ends of lines the writer quotes headers that hold one.
    csv.writer(line, delimiter=separator, lineterminator="\r\n").writerow(headers)
    with path.open("wb") as file:
        file.write(line.getvalue().removesuffix("\r\n").encode() + b"\n")
        texts = frame.with_columns(cs.duration().dt.to_string("iso"), cs.time().dt.to_string("iso"))
        texts.sink_csv(file, include_header=False, separator=separator)


def verify(path: Path, ending: str, n_rows: int, columns: Sequence[str]) -> None:
    """Reopen a written file and compare it with what it must hold.

    Raises:
        WriteError: if it differs.
    """
    if ending == ".xlsx":
        _require(path, last_row(path), n_rows)
        return
    if ending == ".parquet":
        frame = pl.scan_parquet(path, glob=False)
    elif ending in formats.DELIMITED:
        separator = "\t" if ending == ".tsv" else ","
        frame = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
    elif ending in formats.JSON_LINES:
        frame = pl.scan_lines(glob.escape(str(path)))
    else:
        frame = pl.scan_ipc(path, glob=False)
    found = frame.select(pl.len()).collect().item()
    _require(path, found, n_rows)
    typed = ending == ".parquet" or ending in formats.ARROW
    if typed and frame.collect_schema().names() != list(columns):
        raise WriteError(f"{path} came out with other columns: run it again")


def _require(path: Path, found: int, n_rows: int) -> None:
    if found != n_rows:
        raise WriteError(f"{path} came out with {found:,} rows instead of {n_rows:,}: run it again")
