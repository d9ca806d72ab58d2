"""From a labelled table to a model folder.

Load -> split -> fit -> round to fp16 -> calibrate on the validation part -> measure once on the
test part -> write the folder beside its target, rename it last. What is measured is what is
written: the rounded weights, decided as labelling decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobbatch import decisions
from jobbatch.decisions import Decisions
from jobbatch.errors import UsageError
from jobbatch.labels import JOB_LEVELS
from jobbatch.runs import exclusive
from jobbatch.settings import TrainSettings
from jobbatch.training import checkpoints, dataset, encoder, evaluation, folder
from jobbatch.training import report as reports
from jobbatch.training.dataset import DataReport, Dataset
from jobbatch.training.encoder import Encoder, EncoderOptions
from jobbatch.training.evaluation import Evaluation, Scored
from jobbatch.training.examples import Examples, probabilities
from jobbatch.training.fitting import FitReport, Progress, fit
from jobbatch.training.splits import stratified_split
from jobbatch.training.staging import check_target, recover, staged_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What came of a training run.

    Attributes:
        out: the model folder.
        work: the folder of TensorBoard logs and of the report on the test part.
        data: what was read.
        sizes: distinct titles in the train, validation and test parts.
        fit: how the fit went.
        test: figures on the rows of the test part.
    """

    out: Path
    work: Path
    data: DataReport
    sizes: tuple[int, int, int]
    fit: FitReport
    test: Evaluation

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self) | {"out": str(self.out), "work": str(self.work)}

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        train, validation, test = self.sizes
        lines = [
            f"{self.data.rows:,} labelled rows, {self.data.distinct:,} distinct titles",
            f"train {train:,}, validation {validation:,}, test {test:,} distinct titles",
            *_warnings(self.data),
            f"kept epoch {self.fit.best_epoch} of {len(self.fit.epochs)} ({self.fit.stopped})",
            f"test: micro-F1 {self.test.micro_f1:.3f}, macro-F1 {self.test.macro_f1:.3f}",
            f"  exact match {self.test.exact_match:.3f}, to review {self.test.review_share:.0%}",
        ]
        for figures in self.test.per_label:
            f1 = "n/a" if figures.f1 is None else f"{figures.f1:.3f}"
            lines.append(f"  {figures.label}: F1 {f1} on {figures.support:,} rows")
        return [
            *lines,
            f"model: {self.out}",
            f"report: {self.work / reports.PAGE}",
            f"logs: tensorboard --logdir {self.work}",
            f"next: jobbatch export-onnx {self.out} --recipe export/cpu-int8.toml",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Indices into the distinct keys."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]


def work_folder(out: Path) -> Path:
    """Return where the checkpoints and logs of a training run for `out` stand."""
    return out.with_name(f"{out.name}.work")


def train(
    settings: TrainSettings,
    progress: Progress | None = None,
    *,
    options: EncoderOptions | None = None,
) -> TrainReport:
    """Make a model folder.

    Args:
        settings: the data, the output and how to train.
        progress: called after every epoch.
        options: what becomes of the base; none: as the settings say.

    Raises:
        OutputError: if the output exists and may not be replaced.
        LockedError: if another run is making it.
        UsageError: if the data do not suffice, or training diverges at once.
        ModelError: if the base cannot be had or is unsafe.
    """
    check_target(settings.out, overwrite=settings.overwrite)
    settings.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with exclusive(settings.out), tempfile.TemporaryDirectory() as workspace:
        recover(settings.out)
        return _train(dataset.load(settings, Path(workspace)), settings, progress, options)


def _train(
    data: Dataset,
    settings: TrainSettings,
    progress: Progress | None,
    options: EncoderOptions | None,
) -> TrainReport:
    notes = _notes(settings)
    targets = data.labels.encode(data.key_labels)
    parts = _split(data, targets, settings)
    options = options or encoder_options(settings, data)
    network = encoder.build(options, data.labels, _keys(data, parts.train), settings.seed)

    def examples(part: NDArray[np.intp]) -> Examples:
        return Examples(tokens=network.tokens(_keys(data, part)), targets=targets[part])

    validation = examples(parts.validation)
    work = work_folder(settings.out)
    fitted = fit(network, examples(parts.train), validation, settings, work=work, progress=progress)
    encoder.round_to_half(network.model)
    chosen = calibrate(network, validation, data)
    tested = score(network, chosen, data, _keys(data, parts.test))
    report = TrainReport(
        out=settings.out,
        work=work,
        data=data.report,
        sizes=(parts.train.size, parts.validation.size, parts.test.size),
        fit=fitted,
        test=evaluation.figures(tested.truth, tested.decided, tested.labels),
    )
    with staged_folder(settings.out) as staged:
        contents = folder.Contents(network, chosen, data, settings, report.test, fitted, notes)
        folder.write(staged, contents)
    # Last, and not in the model folder: a full disk costs no model, and no title is published.
    subject = reports.Subject(model=settings.out.name, rows="the test part, held out of training")
    known = reports.words(_keys(data, parts.train))
    reports.write(work, reports.build(tested, subject, vocabulary=known))
    checkpoints.clear(work)
    return report


def _notes(settings: TrainSettings) -> str:
    if settings.notes is None:
        return ""
    try:
        return settings.notes.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--notes {settings.notes} cannot be read: {error}") from error


def encoder_options(settings: TrainSettings, data: Dataset) -> EncoderOptions:
    """Return what the settings say about the base."""
    return EncoderOptions(
        base=settings.base,
        prune_vocabulary=settings.prune_vocabulary,
        other_keys=data.unlabelled,
        vocabulary_size=settings.vocabulary_size,
        n_layers=settings.layers,
    )


def calibrate(network: Encoder, validation: Examples, data: Dataset) -> Decisions:
    """Return the decisions fitted on the validation part."""
    names = data.labels.names
    order = names if set(names) <= set(JOB_LEVELS) else ()
    scores = probabilities(network.model, validation.tokens)
    return decisions.tune(scores, validation.targets, names, order)


def measure(network: Encoder, chosen: Decisions, data: Dataset, keys: Sequence[str]) -> Evaluation:
    """Return the figures on all rows whose key is among `keys`, with the labels they came with."""
    scored = score(network, chosen, data, keys)
    return evaluation.figures(scored.truth, scored.decided, scored.labels)


def score(network: Encoder, chosen: Decisions, data: Dataset, keys: Sequence[str]) -> Scored:
    """Return all rows whose key is among `keys`, with the labels they came with, and answers."""
    held = set(keys)
    rows = [i for i, key in enumerate(data.row_keys) if key in held]
    titles = tuple(data.row_keys[i] for i in rows)
    labels = data.labels.names
    raw = probabilities(network.model, network.tokens(titles))
    return Scored(
        titles=titles,
        tables=tuple(data.row_tables[i] for i in rows),
        labels=labels,
        truth=data.labels.encode([data.row_labels[i] for i in rows]),
        decided=evaluation.decide(chosen, raw, labels),
    )


def _split(data: Dataset, targets: NDArray[np.bool_], settings: TrainSettings) -> _Parts:
    share = settings.validation_share
    rest, test = stratified_split(data.keys, targets, share, settings.seed)
    keys = _keys(data, rest)
    kept, held = stratified_split(keys, targets[rest], share / (1 - share), settings.seed)
    return _Parts(train=rest[kept], validation=rest[held], test=test)


def _keys(data: Dataset, part: NDArray[np.intp]) -> list[str]:
    return [data.keys[i] for i in part]


def _warnings(data: DataReport) -> list[str]:
    unlabelled = sum(table.unlabelled for table in data.tables)
    blank = sum(table.blank for table in data.tables)
    lines = []
    if unlabelled or blank:
        lines.append(f"left out: {unlabelled:,} rows without label, {blank:,} blank")
    if data.conflicts:
        first = data.examples[0]
        sets = " or ".join(", ".join(labels) or "no label" for labels in first.label_sets)
        lines.append(f"{data.conflicts:,} titles contradict themselves, as {first.key!r}: {sets}")
    if data.corrected:
        lines.append(f"{data.corrected:,} titles have corrected labels")
    if data.rare_labels:
        rare = ", ".join(f"{name} ({data.support[name]})" for name in data.rare_labels)
        lines.append(f"rare, hardly to be learned or measured (rows): {rare}")
    return lines
