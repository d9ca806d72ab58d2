"""Labels that replace those of a data set, by title or by the sha256 of a title's key.

With the sha256 a list of corrections can be passed on without the titles that it is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.tables.source import open_table
from jobbatch.tables.title_column import normalise_header
from jobbatch.titles import Normaliser, without_context
from jobbatch.training.label_columns import LabelColumns, read_labels
from jobbatch.training.labelled_table import Labels

DIGEST_COLUMN = "sha256"
LABEL_COLUMN = "corrected labels"
TITLE_COLUMN = "title"
DELIMITER = ";"


def digest(key: str) -> str:
    """Return what stands for a key in a list of corrections."""
    return hashlib.sha256(key.encode()).hexdigest()


def apply(found: Mapping[str, Labels], key: str, labels: Labels) -> Labels:
    """Return the labels of `key` once corrected; a title's correction holds in every context."""
    return found.get(digest(key), found.get(digest(without_context(key)), labels))


def read(path: Path, normaliser: Normaliser, workspace: Path) -> Mapping[str, Labels]:
    """Return the corrected labels by `digest` of the key; rows without any are passed over.

    Args:
        path: a table with the column 'corrected labels', several with ';' between, and with
            'title' or 'sha256'.
        normaliser: makes the titles' keys.
        workspace: a folder for intermediate files.

    Raises:
        UsageError: if a column is missing, or a title has two different corrections.
        InputError: as `open_table`.
    """
    # Named, so that no other sheet is taken for it because of a word in one of its cells.
    table = open_table(path, workspace=workspace, title_column=LABEL_COLUMN)
    names = table.frame.collect_schema().names()
    headers = {normalise_header(h): n for n, h in zip(names, table.headers, strict=True)}
    by = next((c for c in (DIGEST_COLUMN, TITLE_COLUMN) if c in headers), None)
    if by is None or LABEL_COLUMN not in headers:
        raise UsageError(
            f"{path}: corrections need the column {LABEL_COLUMN!r}, and {TITLE_COLUMN!r} or "
            f"{DIGEST_COLUMN!r}. Columns: {', '.join(names)}"
        )
    title, label = headers[by], headers[LABEL_COLUMN]
    frame = table.frame.select(title, label).collect()
    keys = frame[title] if by == DIGEST_COLUMN else frame.select(normaliser.key(title)).to_series()
    columns = LabelColumns(names=(label,), headers=(LABEL_COLUMN,), one_per_label=False)
    found: dict[str, Labels] = {}
    for key, labels in zip(keys, read_labels(frame, columns, DELIMITER), strict=True):
        if not key or labels is None:
            continue
        known = found.setdefault(key if by == DIGEST_COLUMN else digest(key), labels)
        if set(known) != set(labels):
            raise UsageError(
                f"{path}: two corrections of {key!r}: {', '.join(known)} and {', '.join(labels)}"
            )
    return found
