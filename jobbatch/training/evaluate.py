"""A model folder measured on labelled tables, by the very answers that labelling gives."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.labeller import Labeller
from jobbatch.labels import LabelSet
from jobbatch.model import TitleModel
from jobbatch.settings.teaching import EvaluateSettings
from jobbatch.training import labelled_table, report
from jobbatch.training.evaluation import Decided, Scored
from jobbatch.training.labelled_table import LabelledTable
from jobbatch.training.report import Report, Subject
from jobbatch.weights import resolve_model


def evaluate(settings: EvaluateSettings) -> Report:
    """Return the report on a model's answers; written to `settings.out`, if that is given.

    Raises:
        OutputError: if a report is there and may not be replaced.
        UsageError: if there are no labelled titles, or labels or context that the model does not
            know.
        TitleColumnError, InputError: as `open_table` and `find_title_column`.
        ModelError, MissingExtraError: why the model cannot be used.
    """
    if settings.out is not None:
        report.check_target(settings.out, overwrite=settings.overwrite)
    model = TitleModel(resolve_model(settings.model))
    model.check_reads(settings.context)
    with tempfile.TemporaryDirectory() as workspace:
        tables = [
            labelled_table.read(source, model.normaliser, Path(tempfile.mkdtemp(dir=workspace)))
            for source in labelled_table.sources(settings)
        ]
    made = _report(model, tables)
    if settings.out is not None:
        report.write(settings.out, made)
    return made


def page(settings: EvaluateSettings) -> Path | None:
    """Return where `evaluate` puts the page, if anywhere."""
    return None if settings.out is None else settings.out / report.PAGE


def _report(model: TitleModel, tables: Sequence[LabelledTable]) -> Report:
    rows = [
        (key, labels, table.name)
        for table in tables
        for key, labels in zip(table.keys, table.labels, strict=True)
        if key and labels is not None
    ]
    names = ", ".join(table.name for table in tables)
    if not rows:
        raise UsageError(f"{names}: there are no titles with labels to measure the model on")
    keys, labels, row_tables = zip(*rows, strict=True)
    name = model.folder.manifest.name
    known = _known(model.labels, tables, name)
    answers = Labeller(model).predict_keys(keys)
    scored = Scored(
        titles=keys,
        tables=row_tables,
        labels=model.labels.names,
        truth=model.labels.encode([known[n] for n in row] for row in labels),
        decided=Decided.of(answers, model.labels.names),
    )
    trained_on = set(model.folder.manifest.data.values())
    subject = Subject(
        model=name,
        rows=names,
        left_out=sum(len(table.keys) for table in tables) - len(rows),
        trained_on=tuple(table.name for table in tables if table.sha256 in trained_on),
    )
    return report.build(scored, subject)


def _known(labels: LabelSet, tables: Sequence[LabelledTable], model: str) -> dict[str, str]:
    """Return the model's name for each label of the tables; case does not tell labels apart.

    Raises:
        UsageError: naming those that the model does not know.
    """
    by_folded = {name.casefold(): name for name in labels.names}
    found: dict[str, str] = {}
    for table in tables:
        seen = {name for row in table.labels for name in row or ()}
        unknown = sorted(name for name in seen if name.casefold() not in by_folded)
        if unknown:
            raise UsageError(
                f"{table.name}: the model {model} does not know the labels "
                f"{', '.join(unknown)} of the column {', '.join(table.label_columns)}. It knows "
                f"{', '.join(labels.names)}. Name the right columns with --label-columns, what "
                "stands between labels with --delimiter, or another --model"
            )
        found |= {name: by_folded[name.casefold()] for name in seen}
    return found
