"""From a labelled table to a model folder.

Load -> split -> fit -> calibrate on the validation part -> measure once on the test part -> write
the folder beside its target, rename it last. What is measured is what is written: the weights as
they are stored, decided as labelling decides.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobbatch.decisions import Decisions
from jobbatch.errors import InputError, UsageError
from jobbatch.labels import JOB_LEVELS, LabelSet
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import TrainSettings
from jobbatch.titles import without_context
from jobbatch.training import (
    bases,
    checkpoints,
    classic,
    dataset,
    evaluation,
    folder,
    models,
    tuning,
)
from jobbatch.training import report as reports
from jobbatch.training.dataset import Dataset
from jobbatch.training.encoder import EncoderOptions
from jobbatch.training.evaluation import Evaluation, Scored
from jobbatch.training.examples import Titles
from jobbatch.training.fitting import Progress
from jobbatch.training.scorer import TitleScorer
from jobbatch.training.splits import stratified_split
from jobbatch.training.staging import check_target, recover, staged_folder
from jobbatch.training.train_report import TrainReport


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
        UsageError: if the data do not suffice, the settings do not go together, or training
            diverges at once.
        ModelError: if the base cannot be had or is unsafe.
    """
    models.check(settings)
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
    if settings.model_type == "distilled" and not data.unlabelled:
        raise UsageError(
            f"--unlabelled {settings.unlabelled}: --model distilled finds no titles there to teach "
            "with; they are blank, or all have labels already"
        )
    notes = _notes(settings)
    targets = data.labels.encode(data.key_labels)
    parts = _split(data, targets, settings)
    train, validation = (titles(data, targets, part) for part in (parts.train, parts.validation))
    work = work_folder(settings.out)
    options = options or encoder_options(settings, data)
    if not settings.resume:
        checkpoints.clear(work)
    fitted = models.fit(
        train, validation, data.labels, settings, options, work=work, progress=progress
    )
    chosen = calibrate(fitted.scorer, validation, data.labels)
    tested, tested_original = score(fitted.scorer, chosen, data, _keys(data, parts.test))
    report = TrainReport(
        out=settings.out,
        work=work,
        data=data.report,
        sizes=(parts.train.size, parts.validation.size, parts.test.size),
        fit=fitted.report,
        test=_figures(tested),
        test_original=None if tested_original is None else _figures(tested_original),
        seen_by_base=_seen_by_base(data, settings, options),
        needs_export=settings.model_type != "classic",
    )
    with staged_folder(settings.out) as staged:
        contents = folder.Contents(
            scorer=fitted.scorer,
            decisions=chosen,
            data=data,
            settings=settings,
            test=report.test,
            test_original=report.test_original,
            seen_by_base=report.seen_by_base,
            fit=fitted.report,
            notes=notes,
        )
        folder.write(staged, contents)
    # Last, and not in the model folder: a full disk costs no model, and no title is published.
    subject = reports.Subject(model=settings.out.name, rows="the test part, held out of training")
    known = reports.words(map(without_context, train.keys))
    others = {}
    if settings.model_type != "classic":
        name = "a linear model, titles alone" if settings.context else "a linear model"
        others[name] = _linear(train, data.labels, tested.titles)
    made = reports.build(tested, subject, vocabulary=known, others=others, original=tested_original)
    reports.write(work, made)
    checkpoints.clear(work)
    return report


def _seen_by_base(
    data: Dataset, settings: TrainSettings, options: EncoderOptions
) -> tuple[str, ...]:
    """Return the labelled tables that the base was trained on already, test part and all."""
    if settings.model_type == "classic":
        return ()
    seen = bases.trained_on(options.base)
    return tuple(t.name for t in data.report.tables if data.sha256[t.name] in seen)


def _notes(settings: TrainSettings) -> str:
    if settings.notes is None:
        return ""
    try:
        return settings.notes.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--notes {settings.notes} cannot be read: {error}") from error


def titles(data: Dataset, targets: NDArray[np.bool_], part: NDArray[np.intp]) -> Titles:
    """Return the distinct titles of some indices, with their labels, of all `targets`, and weights."""
    keys = _keys(data, part)
    return Titles(keys=keys, targets=targets[part], weights=data.weights(keys))


def encoder_options(settings: TrainSettings, data: Dataset) -> EncoderOptions:
    """Return what the settings say about the base."""
    return EncoderOptions(
        base=settings.base,
        prune_vocabulary=settings.prune_vocabulary,
        other_keys=data.unlabelled,
        vocabulary_size=settings.vocabulary_size,
        n_layers=settings.layers,
    )


def calibrate(scorer: TitleScorer, validation: Titles, labels: LabelSet) -> Decisions:
    """Return the decisions fitted on the validation part."""
    order = labels.names if set(labels.names) <= set(JOB_LEVELS) else ()
    scores = scorer.probabilities(validation.keys)
    return tuning.tune(scores, validation.targets, labels.names, order, validation.weights)


def score(
    scorer: TitleScorer, chosen: Decisions, data: Dataset, keys: Sequence[str]
) -> tuple[Scored, Scored | None]:
    """Return all rows whose key is among `keys`, answered, with corrected and original labels.

    The latter are none where no label was corrected.
    """
    held = set(keys)
    rows = [i for i, key in enumerate(data.row_keys) if key in held]
    of_rows = [data.row_keys[i] for i in rows]
    labels = data.labels.names
    original = Scored(
        titles=tuple(of_rows),
        tables=tuple(data.row_tables[i] for i in rows),
        labels=labels,
        truth=data.labels.encode([data.row_labels[i] for i in rows]),
        decided=evaluation.decide(chosen, scorer.probabilities(of_rows), labels),
    )
    corrected = dict(zip(data.keys, data.key_labels, strict=True))
    truth = data.labels.encode([corrected[key] for key in of_rows])
    changed = not np.array_equal(truth, original.truth)
    return replace(original, truth=truth), original if changed else None


def _linear(train: Titles, labels: LabelSet, keys: Sequence[str]) -> NDArray[np.float64]:
    """Return a linear model's probabilities for `keys`; it knows no context."""
    known = [without_context(key) for key in train.keys]
    linear = classic.fit(known, train.targets, labels, search=False)
    return linear.probabilities([without_context(key) for key in keys])


def _figures(scored: Scored) -> Evaluation:
    return evaluation.figures(scored.truth, scored.decided, scored.labels)


def _split(data: Dataset, targets: NDArray[np.bool_], settings: TrainSettings) -> _Parts:
    share = settings.validation_share
    rest, test = stratified_split(data.keys, targets, share, settings.seed)
    keys = _keys(data, rest)
    kept, held = stratified_split(keys, targets[rest], share / (1 - share), settings.seed)
    return _Parts(train=rest[kept], validation=rest[held], test=test)


def _keys(data: Dataset, part: NDArray[np.intp]) -> list[str]:
    return [data.keys[i] for i in part]
