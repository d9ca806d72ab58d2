"""One table of labelled titles: its titles, their context and their labels."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl

from jobbatch.errors import UsageError
from jobbatch.settings.teaching import LabelledTables
from jobbatch.tables.asked_columns import context_columns
from jobbatch.tables.source import Table, open_table
from jobbatch.tables.title_column import find_title_column
from jobbatch.titles import Normaliser
from jobbatch.training.label_columns import find_label_columns, read_labels

logger = logging.getLogger(__name__)

OWN_TITLES = Path(str(files("jobbatch"))) / "training" / "titles.csv"
"""The titles that come with the package, labelled by docs/labelling-guide.md."""

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A table and where its titles and labels stand; fields as in `LabelledTables`."""

    path: Path
    sheet: str | None = None
    encoding: str | None = None
    title_column: str | None = None
    context: tuple[str, ...] = ()
    label_columns: tuple[str, ...] = ()
    delimiter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTable:
    """What a table says, row by row.

    Attributes:
        name: the file's.
        title_column: the column of titles.
        label_columns: the columns of labels.
        titles: each row's title as it came; '' where it is blank.
        keys: each row's key; '' where the title is blank.
        labels: each row's labels; None where nobody gave any.
        first_row: the number of the first row, as a spreadsheet counts, where the header of
            a file that is none is row 1.
        sha256: of the file.
    """

    name: str
    title_column: str
    label_columns: tuple[str, ...]
    titles: tuple[str, ...]
    keys: tuple[str, ...]
    labels: tuple[Labels | None, ...]
    first_row: int
    sha256: str


def sources(settings: LabelledTables) -> tuple[Source, ...]:
    """Return the tables that the settings ask for, the package's own last."""
    given = tuple(
        Source(
            path=path,
            sheet=settings.sheet,
            encoding=settings.encoding,
            title_column=settings.title_column,
            context=settings.context,
            label_columns=settings.label_columns,
            delimiter=settings.delimiter,
        )
        for path in settings.data
    )
    own = Source(path=OWN_TITLES, title_column="title", label_columns=("labels",), delimiter=";")
    return (*given, own) if settings.own_titles or not given else given


def read(source: Source, normaliser: Normaliser, workspace: Path) -> LabelledTable:
    """Read a labelled table.

    Raises:
        UsageError: if it has no label columns, or not the context's, or one is both.
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
    """
    table = open_table(
        source.path,
        sheet=source.sheet,
        title_column=source.title_column,
        encoding=source.encoding,
        workspace=workspace,
    )
    _tell(table, source.path)
    columns = find_label_columns(
        table, source.label_columns, title_column=source.title_column, where=str(source.path)
    )
    context = context_columns(table, source.context, where=str(source.path))
    both = sorted({*context} & {*columns.names})
    if both:
        raise UsageError(f"{source.path}: {', '.join(both)} cannot be both context and label")
    title = find_title_column(
        table.frame,
        table.headers,
        source.title_column,
        where=str(source.path),
        others=(*columns.names, *context),
    )
    frame = table.frame.select(title, *columns.names, *context).collect()
    return LabelledTable(
        name=source.path.name,
        title_column=title,
        label_columns=columns.names,
        titles=tuple(frame[title].cast(pl.String).fill_null("")),
        keys=tuple(frame.select(normaliser.key(title, context)).to_series()),
        labels=tuple(read_labels(frame, columns, source.delimiter)),
        first_row=table.sheet.header_row + 1 if table.sheet is not None else 2,
        sha256=sha256(source.path),
    )


def read_keys(path: Path, normaliser: Normaliser, encoding: str | None = None) -> tuple[str, ...]:
    """Return the distinct keys of a table of titles, sorted.

    Raises:
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
    """
    with tempfile.TemporaryDirectory() as workspace:
        table = open_table(path, workspace=Path(workspace), encoding=encoding)
        _tell(table, path)
        title = find_title_column(table.frame, table.headers, None, where=str(path))
        keys = table.frame.select(normaliser.key(title).unique().sort()).collect().to_series()
    return tuple(key for key in keys if key)


def _tell(table: Table, path: Path) -> None:
    for warning in table.warnings:
        logger.warning("%s: %s", path.name, warning)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return names told apart: the second 'a.csv' becomes 'a.csv (2)'."""
    seen = Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
