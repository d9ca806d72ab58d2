"""Labelled titles of one table or several: merged by key, corrected, contradictions reported."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobbatch.errors import UsageError
from jobbatch.labels import JOB_LEVELS, LabelSet
from jobbatch.settings.teaching import TrainSettings
from jobbatch.titles import Normaliser
from jobbatch.training import corrections, labelled_table
from jobbatch.training.corrections import Corrections
from jobbatch.training.data_report import EXAMPLES, RARE, Conflict, DataReport, table_report
from jobbatch.training.label_columns import respelt, spellings
from jobbatch.training.labelled_table import OWN_TITLES, LabelledTable, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled titles, row by row and merged.

    Attributes:
        labels: the label vocabulary.
        normaliser: what made the keys.
        row_titles: each row's title as it came.
        row_numbers: each row's number in its table (see `LabelledTable.first_row`).
        row_keys: each row's key.
        row_labels: each row's labels as they came.
        row_tables: the name of each row's table.
        keys: the distinct keys, sorted; these are what is trained on.
        key_labels: the label set of each distinct key, corrected.
        unlabelled: the distinct keys of the titles without labels, less those in `keys`.
        sha256: of each file read, by name; a name that occurs again has its number behind it.
        report: what was found.
    """

    labels: LabelSet
    normaliser: Normaliser
    row_titles: tuple[str, ...]
    row_numbers: tuple[int, ...]
    row_keys: tuple[str, ...]
    row_labels: tuple[Labels, ...]
    row_tables: tuple[str, ...]
    keys: tuple[str, ...]
    key_labels: tuple[Labels, ...]
    sha256: Mapping[str, str]
    report: DataReport
    unlabelled: tuple[str, ...] = field(default=(), repr=False)

    def weights(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return what each key counts, float64 (n,): 1 on average, every table the same in all.

        So that a long table of hard titles does not decide alone how sure a model is of others.
        """
        table = dict(zip(reversed(self.row_keys), reversed(self.row_tables), strict=True))
        counts = Counter(table[key] for key in keys)
        return np.array([len(keys) / len(counts) / counts[table[key]] for key in keys])


def load(settings: TrainSettings, workspace: Path) -> Dataset:
    """Read the labelled tables of `settings`.

    Args:
        settings: names the tables, their columns and the normaliser's options.
        workspace: a folder for intermediate files.

    Raises:
        UsageError: if there are no label columns, fewer than two labels, or labels that the
            package's own titles or the corrections do not go with, or no correction matches.
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
    """
    normaliser = normaliser_of(settings)
    sources = labelled_table.sources(settings)
    others = [path for path in (settings.unlabelled, settings.corrections) if path is not None]
    names = labelled_table.distinct_names(
        [path.name for path in (*(s.path for s in sources), *others)]
    )
    tables = [
        replace(
            labelled_table.read(source, normaliser, Path(tempfile.mkdtemp(dir=workspace))), name=n
        )
        for source, n in zip(sources, names, strict=False)
    ]
    spelling = spellings(labels or () for table in tables for labels in table.labels)
    tables = [
        replace(t, labels=tuple(row and respelt(row, spelling) for row in t.labels)) for t in tables
    ]
    unlabelled: tuple[str, ...] = ()
    if settings.unlabelled is not None:
        unlabelled = labelled_table.read_keys(settings.unlabelled, normaliser, settings.encoding)
    corrected = corrections.NONE
    if settings.corrections is not None:
        corrected = corrections.read(settings.corrections, normaliser, workspace, spelling)
    sha256 = {table.name: table.sha256 for table in tables}
    of_others = zip(others, names[len(sources) :], strict=True)
    sha256 |= {name: labelled_table.sha256(path) for path, name in of_others}
    if settings.unlabelled is not None:
        name = names[len(sources)]
        tables += corrected.labelled_after_all(tables, unlabelled, name, sha256[name])
    labels = _label_set(settings, tables, corrected)
    data = _dataset(labels, normaliser, tables, unlabelled, corrected, sha256)
    if corrected.rows and data.report.unmatched_corrections == len(corrected.rows):
        raise UsageError(
            f"--corrections {settings.corrections}: none of its {len(corrected.rows):,} corrections "
            "matches a title of the data. Are they of other data? Those by sha256 need the same "
            "options for titles, too"
        )
    return data


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


def _label_set(
    settings: TrainSettings,
    tables: Sequence[LabelledTable],
    corrected: Corrections,
) -> LabelSet:
    found = [
        labels for t in tables for k, labels in zip(t.keys, t.labels, strict=True) if k and labels
    ]
    known = LabelSet.seen_in(found) if found else None
    where = ", ".join(map(str, settings.data)) or str(OWN_TITLES)
    if known is None or len(known) < 2:
        raise UsageError(
            f"{where}: training needs two labels or more, found "
            f"{', '.join(known.names) if known else 'none'} in "
            f"{', '.join(tables[0].label_columns)}"
        )
    if settings.own_titles and not set(known.names) <= set(JOB_LEVELS):
        strange = [name for name in known.names if name not in JOB_LEVELS]
        raise UsageError(
            f"{where}: the package's own titles carry {', '.join(JOB_LEVELS)}, these data also "
            f"{', '.join(strange)}. Leave --own-titles out"
        )
    unknown = sorted(
        {n for labels in corrected.by_digest.values() for n in labels if n not in known.names}
    )
    if unknown:
        raise UsageError(
            f"{settings.corrections}: the corrections name labels that the data do not have: "
            f"{', '.join(unknown)}. Known are {', '.join(known.names)}"
        )
    return known


def _dataset(
    known: LabelSet,
    normaliser: Normaliser,
    tables: Sequence[LabelledTable],
    unlabelled: Sequence[str],
    corrected: Corrections,
    sha256: Mapping[str, str],
) -> Dataset:
    rows = [
        (key, tuple(n for n in known.names if n in labels), table.name, title, number)
        for table in tables
        for number, (key, labels, title) in enumerate(
            zip(table.keys, table.labels, table.titles, strict=True), table.first_row
        )
        if key and labels is not None
    ]
    merged, conflicts = merge([(key, labels) for key, labels, *_ in rows], known)
    final: dict[str, Labels] = {}
    for key, old in merged.items():
        new = corrected.of(key)
        final[key] = old if new is None else tuple(n for n in known.names if n in new)
    support = Counter(name for _, labels, *_ in rows for name in labels)
    report = DataReport(
        tables=tuple(map(table_report, tables)),
        rows=len(rows),
        distinct=len(merged),
        support={name: support[name] for name in known.names},
        rare_labels=tuple(n for n in known.names if support[n] < RARE),
        conflicts=len(conflicts),
        examples=conflicts[:EXAMPLES],
        corrected=sum(final[key] != old for key, old in merged.items()),
        unmatched_corrections=corrected.unmatched(final),
    )
    return Dataset(
        labels=known,
        normaliser=normaliser,
        row_titles=tuple(title for *_, title, _ in rows),
        row_numbers=tuple(number for *_, number in rows),
        row_keys=tuple(key for key, *_ in rows),
        row_labels=tuple(labels for _, labels, *_ in rows),
        row_tables=tuple(name for _, _, name, *_ in rows),
        keys=tuple(final),
        key_labels=tuple(final.values()),
        unlabelled=tuple(key for key in unlabelled if key not in final),
        sha256=sha256,
        report=report,
    )
