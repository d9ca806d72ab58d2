"""Labelled titles: read from any table, normalised, merged by key, their contradictions reported."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.labels import LabelSet
from jobbatch.settings import TrainSettings
from jobbatch.tables.source import Table, open_table
from jobbatch.tables.title_column import find_title_column
from jobbatch.titles import Normaliser
from jobbatch.training.label_columns import LabelColumns, find_label_columns, read_labels

EXAMPLES = 10
"""Conflicts that a report spells out."""

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A key whose rows carry different label sets, the most frequent first."""

    key: str
    label_sets: tuple[Labels, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """What was found in the table.

    Attributes:
        title_column: the column of titles.
        label_columns: the columns of labels.
        rows: rows that have a title and a label.
        unlabelled: rows left out because they have no label.
        blank: rows left out because their title is blank.
        distinct: distinct keys.
        support: rows of each label.
        rare_labels: labels with fewer than two rows, which nothing can be learned from.
        conflicts: keys whose rows contradict each other.
        examples: the first few of these.
    """

    title_column: str
    label_columns: tuple[str, ...]
    rows: int
    unlabelled: int
    blank: int
    distinct: int
    support: Mapping[str, int]
    rare_labels: tuple[str, ...]
    conflicts: int
    examples: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled titles, row by row and merged.

    Attributes:
        labels: the label vocabulary.
        normaliser: what made the keys.
        row_keys: each row's key; these rows are what figures are measured on.
        row_labels: each row's labels.
        keys: the distinct keys, sorted; these are what is trained on.
        key_labels: the label set of each distinct key.
        sha256: of the file read.
        report: what was found.
    """

    labels: LabelSet
    normaliser: Normaliser
    row_keys: tuple[str, ...]
    row_labels: tuple[Labels, ...]
    keys: tuple[str, ...]
    key_labels: tuple[Labels, ...]
    sha256: str
    report: DataReport


def load(settings: TrainSettings, workspace: Path) -> Dataset:
    """Read the labelled table of `settings`.

    Args:
        settings: names the table, its columns and the normaliser's options.
        workspace: a folder for intermediate files.

    Raises:
        UsageError: if there are no label columns, or fewer than two labels.
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
    """
    table = open_table(
        settings.data,
        sheet=settings.sheet,
        title_column=settings.title_column,
        encoding=None,
        workspace=workspace,
    )
    columns = find_label_columns(table, settings)
    title = _title_column(table, columns, settings)
    normaliser = normaliser_of(settings)
    frame = table.frame.select(title, *columns.names).collect()
    keys = frame.select(normaliser.key(title)).to_series().to_list()
    labelled = list(zip(keys, read_labels(frame, columns, settings.delimiter), strict=True))
    rows = [(key, labels) for key, labels in labelled if key and labels]
    known = LabelSet.seen_in([labels for _, labels in rows]) if rows else None
    if known is None or len(known) < 2:
        raise UsageError(
            f"{settings.data}: training needs two labels or more, found "
            f"{', '.join(known.names) if known else 'none'} in {', '.join(columns.names)}"
        )
    return _dataset(settings, known, rows, normaliser, (title, columns), labelled)


def read_keys(path: Path, normaliser: Normaliser) -> tuple[str, ...]:
    """Return the distinct keys of a table of titles, sorted.

    Raises:
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
    """
    with tempfile.TemporaryDirectory() as workspace:
        table = open_table(path, workspace=Path(workspace))
        title = find_title_column(table.frame, table.headers, None, where=str(path))
        keys = table.frame.select(normaliser.key(title).unique().sort()).collect().to_series()
    return tuple(keys.to_list())


def normaliser_of(settings: TrainSettings) -> Normaliser:
    """Return the normaliser that the settings ask for."""
    return Normaliser(
        expand=settings.expand,
        remove_digits=settings.remove_digits,
        remove_stop_words=settings.remove_stop_words,
    )


def merge(
    rows: Sequence[tuple[str, Labels]], known: LabelSet
) -> tuple[dict[str, Labels], tuple[Conflict, ...]]:
    """Return one label set per key, by key, and the conflicts.

    The label set that most of a key's rows carry is kept; of several the union.
    """
    counts: dict[str, Counter[Labels]] = {}
    for key, labels in sorted(rows):
        counts.setdefault(key, Counter())[labels] += 1
    merged: dict[str, Labels] = {}
    conflicts: list[Conflict] = []
    for key, sets in counts.items():
        ranked = sets.most_common()
        tied = [labels for labels, count in ranked if count == ranked[0][1]]
        merged[key] = tuple(n for n in known.names if any(n in labels for labels in tied))
        if len(ranked) > 1:
            conflicts.append(Conflict(key=key, label_sets=tuple(labels for labels, _ in ranked)))
    return merged, tuple(conflicts)


def _title_column(table: Table, columns: LabelColumns, settings: TrainSettings) -> str:
    # Cells such as 'Manager' make a label column look like titles.
    names = table.frame.collect_schema().names()
    pairs = zip(names, table.headers, strict=True)
    left = {n: h for n, h in pairs if n not in columns.names}
    return find_title_column(
        table.frame.select(*left),
        tuple(left.values()),
        settings.title_column,
        where=str(settings.data),
    )


def _dataset(
    settings: TrainSettings,
    known: LabelSet,
    rows: Sequence[tuple[str, Labels]],
    normaliser: Normaliser,
    columns: tuple[str, LabelColumns],
    labelled: Sequence[tuple[str, Labels]],
) -> Dataset:
    rows = [(key, tuple(n for n in known.names if n in labels)) for key, labels in rows]
    merged, conflicts = merge(rows, known)
    support = Counter(name for _, labels in rows for name in labels)
    unlabelled = sum(not labels for _, labels in labelled)
    report = DataReport(
        title_column=columns[0],
        label_columns=columns[1].names,
        rows=len(rows),
        unlabelled=unlabelled,
        blank=len(labelled) - unlabelled - len(rows),
        distinct=len(merged),
        support={name: support[name] for name in known.names},
        rare_labels=tuple(n for n in known.names if support[n] < 2),
        conflicts=len(conflicts),
        examples=conflicts[:EXAMPLES],
    )
    return Dataset(
        labels=known,
        normaliser=normaliser,
        row_keys=tuple(key for key, _ in rows),
        row_labels=tuple(labels for _, labels in rows),
        keys=tuple(merged),
        key_labels=tuple(merged.values()),
        sha256=hashlib.sha256(settings.data.read_bytes()).hexdigest(),
        report=report,
    )
