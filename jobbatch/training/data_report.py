"""What was found in labelled tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobbatch.training.labelled_table import LabelledTable, Labels

EXAMPLES = 10
"""Conflicts that a report spells out."""
RARE = 10
"""Rows under which a label is called rare: too few to learn it or to measure it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A key whose rows carry different label sets, the most frequent first."""

    key: str
    label_sets: tuple[Labels, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """What was found in one table.

    Attributes:
        name: the file's.
        title_column: the column of titles.
        label_columns: the columns of labels.
        rows: rows that have a title and labels, or are marked as having none.
        unlabelled: rows left out because nobody gave labels.
        blank: rows left out because their title is blank.
    """

    name: str
    title_column: str
    label_columns: tuple[str, ...]
    rows: int
    unlabelled: int
    blank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What was found in all tables.

    Attributes:
        tables: table by table.
        rows: of all of them.
        distinct: distinct keys.
        support: rows of each label.
        rare_labels: labels with fewer than `RARE` rows.
        conflicts: keys whose rows contradict each other.
        examples: the first few of these.
        corrected: keys whose labels the corrections changed.
        unmatched_corrections: corrections of titles that no table has.
    """

    tables: tuple[TableReport, ...]
    rows: int
    distinct: int
    support: Mapping[str, int]
    rare_labels: tuple[str, ...]
    conflicts: int
    examples: tuple[Conflict, ...]
    corrected: int = 0
    unmatched_corrections: int = 0


def table_report(table: LabelledTable) -> TableReport:
    """Return what was found in one table."""
    rows = list(zip(table.keys, table.labels, strict=True))
    return TableReport(
        name=table.name,
        title_column=table.title_column,
        label_columns=table.label_columns,
        rows=sum(bool(key) and labels is not None for key, labels in rows),
        unlabelled=sum(labels is None for _, labels in rows),
        blank=sum(not key and labels is not None for key, labels in rows),
    )
