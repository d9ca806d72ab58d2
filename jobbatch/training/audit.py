"""Finds suspicious labels in labelled titles and lists them in a workbook for a person to check."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jobbatch.errors import OutputError, UsageError
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import AuditSettings, LabelledTables, TrainSettings
from jobbatch.tables import formats, publish
from jobbatch.training import audit_workbook, dataset, labelled_table, suspicions
from jobbatch.training.data_report import TableReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found; it names no title.

    Attributes:
        out: the workbook.
        tables: what was read, with the columns it was read from.
        rows: labelled rows.
        distinct: distinct titles.
        suspicious: titles to check.
        by_sign: titles by each sign asked; one title may show several.
        next_command: trains on the same data with what was filled in.
    """

    out: Path
    tables: tuple[TableReport, ...]
    rows: int
    distinct: int
    suspicious: int
    by_sign: Mapping[str, int]
    next_command: str

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self) | {"out": str(self.out)}

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        return [
            f"{self.rows:,} labelled rows, {self.distinct:,} distinct titles",
            f"{self.suspicious:,} to check ({self.suspicious / self.distinct:.0%}), by sign:",
            *(f"  {sign}: {count:,}" for sign, count in self.by_sign.items()),
            f"workbook: {self.out}",
            f"next: fill in 'corrected labels', then {self.next_command}",
        ]


def audit(settings: AuditSettings) -> AuditReport:
    """Write the workbook of suspicious labels.

    Raises:
        UsageError: if the output is no .xlsx, or the data do not suffice.
        OutputError: if the output exists and may not be replaced, or is one of the inputs.
        LockedError: if another run is writing it.
        WriteError: if it cannot be written.
    """
    _check_output(settings)
    with exclusive(settings.out), tempfile.TemporaryDirectory() as workspace:
        data = dataset.load(_as_training(settings), Path(workspace))
        found = suspicions.find(data)
        with publish.staged(settings.out) as staged:
            audit_workbook.write(staged, found, data, name=settings.out.name)
    return AuditReport(
        out=settings.out,
        tables=data.report.tables,
        rows=data.report.rows,
        distinct=data.report.distinct,
        suspicious=len(found.suspicions),
        by_sign=found.by_sign,
        next_command=_next_command(settings),
    )


def _check_output(settings: AuditSettings) -> None:
    out = settings.out
    if formats.writable(out) != ".xlsx":
        raise UsageError(f"--out {out}: the workbook is an .xlsx file, name it so")
    if not os.path.isdir(out.parent):
        raise OutputError(f"the folder {out.parent} does not exist: make it first")
    if os.path.isdir(out):
        raise OutputError(f"{out} is a folder: name a file")
    inputs = [source.path for source in labelled_table.sources(settings)]
    if os.path.exists(out) and any(os.path.exists(path) and out.samefile(path) for path in inputs):
        raise OutputError("input and output are the same file: name another output")
    if os.path.exists(out) and not settings.overwrite:
        raise OutputError(
            f"{out} exists already and may hold corrections: name another file, or pass --overwrite"
        )
    publish.check_writable(out)


def _next_command(settings: AuditSettings) -> str:
    options = {
        "--title-column": settings.title_column,
        "--context": ",".join(settings.context) or None,
        "--label-columns": ",".join(settings.label_columns) or None,
        "--delimiter": settings.delimiter,
        "--sheet": settings.sheet,
        "--encoding": settings.encoding,
        "--corrections": str(settings.out),
        "--out": "MODEL",
    }
    given = [word for pair in options.items() if pair[1] is not None for word in pair]
    own = ["--own-titles"] if settings.own_titles else []
    return shlex.join(["jobbatch", "train", *map(str, settings.data), *own, *map(str, given)])


def _as_training(settings: AuditSettings) -> TrainSettings:
    """Return the settings that training would read the same data with."""
    tables = {field.name: getattr(settings, field.name) for field in fields(LabelledTables)}
    return TrainSettings(out=settings.out, **tables)
