"""Labels that replace those of a data set, by title or by the sha256 of a title's key.

With the sha256 a list of corrections can be passed on without the titles that it is about. A row
with both holds for both, since another normaliser makes another key of the title.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jobbatch.errors import UsageError
from jobbatch.tables.source import open_table
from jobbatch.tables.title_column import normalise_header
from jobbatch.titles import Normaliser, without_context
from jobbatch.training.label_columns import NO_LABEL, LabelColumns, read_labels, respelt
from jobbatch.training.labelled_table import LabelledTable, Labels

DIGEST_COLUMN = "sha256"
LABEL_COLUMN = "corrected labels"
TITLE_COLUMN = "title"
DELIMITER = ";"


def digest(key: str) -> str:
    """Return what stands for a key in a list of corrections."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Corrected labels.

    Attributes:
        by_digest: the labels of each key, by its `digest`.
        rows: the digests that each correction goes by, one or two.
    """

    by_digest: Mapping[str, Labels]
    rows: tuple[frozenset[str], ...]

    def of(self, key: str) -> Labels | None:
        """Return the corrected labels of a key; a title's correction holds in every context."""
        if not self.by_digest:  # saves hashing every title of a large table
            return None
        exact, title = self.by_digest.get(digest(key)), without_context(key)
        return exact if exact is not None or title == key else self.by_digest.get(digest(title))

    def unmatched(self, keys: Iterable[str]) -> int:
        """Return how many corrections hold for none of `keys`."""
        if not self.rows:
            return 0
        known = {digest(k) for key in keys for k in {key, without_context(key)}}
        return sum(row.isdisjoint(known) for row in self.rows)

    def labelled_after_all(
        self, tables: Sequence[LabelledTable], unlabelled: Iterable[str], name: str, sha256: str
    ) -> list[LabelledTable]:
        """Return as a table those titles that these corrections alone label, if there are any.

        Args:
            tables: the labelled ones.
            unlabelled: keys of titles without labels.
            name: of their table.
            sha256: of their table.
        """
        rows = [row for t in tables for row in zip(t.keys, t.labels, strict=True)]
        known = {key for key, labels in rows if labels is not None}
        corrected = {key: self.of(key) for key in unlabelled if key not in known}
        found = {key: labels for key, labels in corrected.items() if labels is not None}
        if not found:
            return []
        return [
            LabelledTable(
                name=name,
                title_column="",
                label_columns=(LABEL_COLUMN,),
                titles=tuple(found),
                keys=tuple(found),
                labels=tuple(found.values()),
                first_row=1,
                sha256=sha256,
            )
        ]


NONE = Corrections(by_digest={}, rows=())


def read(
    path: Path, normaliser: Normaliser, workspace: Path, spelling: Mapping[str, str]
) -> Corrections:
    """Return the corrections of a table; rows without corrected labels are passed over.

    Args:
        path: a table with the column 'corrected labels', several with ';' between, and with
            'title', 'sha256' or both.
        normaliser: makes the titles' keys.
        workspace: a folder for intermediate files.
        spelling: the data's labels, by their folded case; a cell that is one of them is taken
            whole, even with ';' in it.

    Raises:
        UsageError: if a column is missing, or a title has two different corrections.
        InputError: as `open_table`.
    """
    # Named, so that no other sheet is taken for it because of a word in one of its cells.
    table = open_table(path, workspace=workspace, title_column=LABEL_COLUMN)
    names = table.frame.collect_schema().names()
    headers = {normalise_header(h): n for n, h in zip(names, table.headers, strict=True)}
    by = [headers[name] for name in (DIGEST_COLUMN, TITLE_COLUMN) if name in headers]
    if not by or LABEL_COLUMN not in headers:
        raise UsageError(
            f"{path}: corrections need the column {LABEL_COLUMN!r}, and {TITLE_COLUMN!r} or "
            f"{DIGEST_COLUMN!r}. Columns: {', '.join(names)}"
        )
    frame = table.frame.select(headers[LABEL_COLUMN], *by).collect()
    digests, keys = [""] * frame.height, [""] * frame.height
    if DIGEST_COLUMN in headers:
        cells = frame[headers[DIGEST_COLUMN]].cast(pl.String).fill_null("")
        digests = [cell.strip().lower() for cell in cells]
    if TITLE_COLUMN in headers:
        keys = frame.select(normaliser.key(headers[TITLE_COLUMN])).to_series().to_list()
    found: dict[str, Labels] = {}
    rows: list[frozenset[str]] = []
    corrected = _labels(frame, headers[LABEL_COLUMN], spelling)
    for given, key, labels in zip(digests, keys, corrected, strict=True):
        names_of = {given: given, digest(key): key} if key else {given: given}
        names_of.pop("", None)
        if labels is None or not names_of:
            continue
        rows.append(frozenset(names_of))
        for row, name in names_of.items():
            known = found.setdefault(row, labels)
            if set(known) != set(labels):
                raise UsageError(
                    f"{path}: two corrections of {name!r}: {_shown(known)} and {_shown(labels)}"
                )
    return Corrections(by_digest=found, rows=tuple(rows))


def _labels(frame: pl.DataFrame, column: str, spelling: Mapping[str, str]) -> list[Labels | None]:
    columns = LabelColumns(names=(column,), headers=(LABEL_COLUMN,), one_per_label=False)
    whole, split = (read_labels(frame, columns, delimiter) for delimiter in (None, DELIMITER))
    chosen = [
        one if one is not None and all(name.casefold() in spelling for name in one) else several
        for one, several in zip(whole, split, strict=True)
    ]
    return [None if labels is None else respelt(labels, spelling) for labels in chosen]


def _shown(labels: Labels) -> str:
    return ", ".join(labels) or NO_LABEL
