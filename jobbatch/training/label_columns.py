"""Which columns of a labelled table hold the labels, and what their cells say.

Three layouts are known: several columns with a label a cell, one column with labels split by a
delimiter (or a list column), and a column per label with 0 and 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from jobbatch.errors import UsageError
from jobbatch.labels import JOB_LEVELS
from jobbatch.tables.asked_columns import asked_columns
from jobbatch.tables.source import Table
from jobbatch.tables.title_column import normalise_header

_LABEL_HEADER = re.compile(r"labels?|(job )?levels?|(column|label|level) \d+")
NO_LABEL = "(no label)"
"""The cell of a title that is known to have none; an empty cell says that nobody knows."""
_YES = ("1", "1.0", "true")
_NO = ("", "0", "0.0", "false")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColumns:
    """Where the labels stand.

    Attributes:
        names: the frame's columns.
        headers: their headers as they stand in the file.
        one_per_label: whether each column is a label with 0 and 1, named by its header.
    """

    names: tuple[str, ...]
    headers: tuple[str, ...]
    one_per_label: bool


def find_label_columns(
    table: Table, asked: Sequence[str], *, title_column: str | None, where: str
) -> LabelColumns:
    """Return the label columns: those asked for, else those whose headers say so.

    Args:
        table: the table.
        asked: names or headers; empty: found.
        title_column: never taken for a label column.
        where: names the table in messages.

    Raises:
        UsageError: if an asked one is not there, or none is found.
    """
    names = table.frame.collect_schema().names()
    pairs = list(zip(names, table.headers, strict=True))
    if asked:
        chosen = asked_columns(table, asked, option="--label-columns", where=where)
        flags = len(chosen) > 1 and all(_holds_flags(table.frame, n) for n, _ in chosen)
        return _columns(chosen, one_per_label=flags)
    pairs = [p for p in pairs if title_column not in p]
    named = [p for p in pairs if _LABEL_HEADER.fullmatch(normalise_header(p[1]))]
    if named:
        return _columns(named, one_per_label=False)
    levels = {normalise_header(level) for level in JOB_LEVELS}
    flagged = [p for p in pairs if normalise_header(p[1]) in levels]
    flagged = [p for p in flagged if _holds_flags(table.frame, p[0])]
    if flagged:
        return _columns(flagged, one_per_label=True)
    raise UsageError(
        f"{where}: no column looks like labels. Columns: {', '.join(map(repr, names))}. "
        "Name them with --label-columns"
    )


def read_labels(
    frame: pl.DataFrame, columns: LabelColumns, delimiter: str | None
) -> list[tuple[str, ...] | None]:
    """Return the distinct labels of each row, in the order of its cells; None where it has none.

    A cell with `NO_LABEL` gives the empty tuple, and so do explicit noes where no column of a
    label says yes.
    """
    rows: list[list[str]] = [[] for _ in range(frame.height)]
    for name, header in zip(columns.names, columns.headers, strict=True):
        for found, cell in zip(rows, _texts(frame[name]), strict=True):
            if not columns.one_per_label:
                found.extend(_split(cell, delimiter))
            elif cell[0].lower() in _YES:
                found.append(" ".join(header.split()))
            elif cell[0]:
                found.append(NO_LABEL)
    none = NO_LABEL.casefold()
    return [
        tuple(dict.fromkeys(n for n in row if n.casefold() != none)) if row else None
        for row in rows
    ]


def spellings(rows: Iterable[Sequence[str]]) -> Mapping[str, str]:
    """Return the one spelling of each label, by its folded case.

    Spellings that differ only in case are one label: the job level of that name, else the most
    frequent one.
    """
    counts = Counter(name for row in rows for name in row)
    by_count = sorted(counts, key=lambda name: (counts[name], name))
    return {name.casefold(): name for name in [*by_count, *JOB_LEVELS]}


def respelt(labels: Sequence[str], spelling: Mapping[str, str]) -> tuple[str, ...]:
    """Return distinct labels as `spelling` has them; those that it does not know stay."""
    return tuple(dict.fromkeys(spelling.get(name.casefold(), name) for name in labels))


def _columns(pairs: Sequence[tuple[str, str]], *, one_per_label: bool) -> LabelColumns:
    names, headers = zip(*pairs, strict=True)
    return LabelColumns(names=names, headers=headers, one_per_label=one_per_label)


def _holds_flags(frame: pl.LazyFrame, name: str) -> bool:
    cells = frame.select(name).collect()[name]
    return cells.null_count() < cells.len() and all(
        cell[0].lower() in (*_YES, *_NO) for cell in _texts(cells)
    )


def _texts(cells: pl.Series) -> list[list[str]]:
    """Return the texts of each cell: one, or as many as a list cell holds."""
    if isinstance(cells.dtype, pl.List):
        return [
            [str(part) for part in cell or [] if part is not None] or [""]
            for cell in cells.to_list()
        ]
    return [[text.strip()] for text in cells.cast(pl.String).fill_null("")]


def _split(cell: Sequence[str], delimiter: str | None) -> list[str]:
    parts = [part for text in cell for part in (text.split(delimiter) if delimiter else [text])]
    return [" ".join(part.split()) for part in parts if part.strip()]
