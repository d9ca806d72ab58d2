"""Cross-validation on the rows as they stand, everything fitted inside the fold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobbatch.settings import TrainSettings
from jobbatch.training import dataset, encoder, splits
from jobbatch.training.dataset import Dataset
from jobbatch.training.evaluation import Evaluation
from jobbatch.training.examples import Examples
from jobbatch.training.fitting import fit
from jobbatch.training.train import calibrate, encoder_options, measure

HELD_OUT = 0.1
"""Share of a fold's training keys that decides the best epoch and fits the calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold's outcome.

    Attributes:
        figures: on its rows.
        best_epoch: of its fit.
    """

    figures: Evaluation
    best_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation:
    """All folds, and the mean and standard deviation of their figures by name."""

    folds: tuple[Fold, ...]
    mean: dict[str, float]
    deviation: dict[str, float]


def cross_validate(
    settings: TrainSettings,
    folds: int = 5,
    seed: int = 0,
    *,
    options: encoder.EncoderOptions | None = None,
    progress: Callable[[Fold], None] | None = None,
) -> CrossValidation:
    """Return the figures of models trained on all folds but one, on that one's rows.

    Args:
        settings: as for training; `out` is not written.
        folds: how many.
        seed: of the folds; the settings' own seed is the fit's.
        options: what becomes of the base; none: as the settings say.
        progress: called after every fold.
    """
    with tempfile.TemporaryDirectory() as workspace:
        data = dataset.load(settings, Path(workspace))
    options = options or encoder_options(settings, data)
    targets = data.labels.encode(data.key_labels)
    done: list[Fold] = []
    for held in splits.stratified_folds(data.keys, targets, folds, seed):
        done.append(_fold(data, targets, held, settings, options))
        if progress is not None:
            progress(done[-1])
    names = ("exact_match", "precision", "recall", "micro_f1", "macro_f1")
    table = np.array([[getattr(f.figures, n) for n in names] for f in done])
    return CrossValidation(
        folds=tuple(done),
        mean=dict(zip(names, table.mean(axis=0).tolist(), strict=True)),
        deviation=dict(zip(names, table.std(axis=0).tolist(), strict=True)),
    )


def _fold(
    data: Dataset,
    targets: NDArray[np.bool_],
    held: NDArray[np.intp],
    settings: TrainSettings,
    options: encoder.EncoderOptions,
) -> Fold:
    rest = np.setdiff1d(np.arange(len(data.keys)), held)
    inner = [data.keys[i] for i in rest]
    train, validation = (
        rest[part]
        for part in splits.stratified_split(inner, targets[rest], HELD_OUT, settings.seed)
    )
    network = encoder.build(options, data.labels, [data.keys[i] for i in train], settings.seed)

    def examples(rows: NDArray[np.intp]) -> Examples:
        keys = [data.keys[i] for i in rows]
        return Examples(tokens=network.tokens(keys), targets=targets[rows])

    part = examples(validation)
    report = fit(network, examples(train), part, settings)
    encoder.round_to_half(network.model)
    chosen = calibrate(network, part, data)
    figures = measure(network, chosen, data, [data.keys[i] for i in held])
    return Fold(figures=figures, best_epoch=report.best_epoch)
