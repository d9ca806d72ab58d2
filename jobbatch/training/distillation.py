"""One encoder taught by an ensemble (Hinton et al. 2015): what ships knows what both models know.

A classic model and an encoder, each trained on the labelled titles, label titles that nobody did.
The student learns from those soft labels beside the hard ones: every epoch shows it all labelled
titles and its own part of the others, so that each of these is seen once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobbatch.labels import LabelSet
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training import classic, encoder, ensemble, fitting
from jobbatch.training.encoder import Encoder, EncoderOptions
from jobbatch.training.ensemble import Ensemble
from jobbatch.training.examples import Examples, Titles
from jobbatch.training.fitting import FitReport, Progress

PSEUDO_TITLES = 50_000
"""Titles without labels that the ensemble labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistilReport:
    """How the student was made.

    Attributes:
        teacher: the fit of the ensemble's encoder.
        student: the student's.
        shares: the encoder's weight in the ensemble, by label.
        pseudo_titles: titles that the ensemble labelled.
    """

    teacher: FitReport
    student: FitReport
    shares: dict[str, float]
    pseudo_titles: int

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        shares = ", ".join(f"{name} {share:.1f}" for name, share in self.shares.items())
        return [
            *(f"teacher: {line}" for line in self.teacher.summary_lines()),
            f"the encoder's share in the ensemble: {shares}",
            f"{self.pseudo_titles:,} titles labelled by the ensemble",
            *(f"student: {line}" for line in self.student.summary_lines()),
        ]

    def metrics(self) -> dict[str, Any]:
        """Return the entries of metrics.json."""
        return {
            **self.student.metrics(),
            "teacher": self.teacher.metrics()["fit"],
            "ensemble": {"encoder_shares": self.shares, "pseudo_titles": self.pseudo_titles},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """The student, its teacher, and how both came about."""

    student: Encoder
    teacher: Ensemble
    report: DistilReport


def distil(
    train: Titles,
    validation: Titles,
    labels: LabelSet,
    settings: TrainSettings,
    options: EncoderOptions,
    *,
    work: Path | None = None,
    progress: Progress | None = None,
) -> Distilled:
    """Return an encoder taught by an ensemble of a classic model and an encoder.

    Args:
        train: what all learn from.
        validation: decides the best epochs, the calibration and the ensemble's weights.
        labels: the label vocabulary.
        settings: rates, sizes, epochs, seed.
        options: the base, of teacher and student, and the titles without labels.
        work: folder of checkpoints and logs; none: neither is kept.
        progress: called after every epoch.

    Raises:
        UsageError: if training diverges at once.
    """

    def fit(seed: int, part: str, taught: Examples | None) -> tuple[Encoder, FitReport]:
        network = encoder.build(options, labels, train.keys, seed)
        folder = None if work is None else work / part
        report = fitting.fit_titles(
            network, train, validation, settings, taught=taught, work=folder, progress=progress
        )
        return network, report

    linear = classic.fit(train.keys, train.targets, labels, settings.seed, search=False)
    first, teacher_report = fit(settings.seed, "teacher", None)
    teacher = ensemble.combine(first, linear, validation.keys, validation.targets)
    pseudo = _sample(options.other_keys, settings.seed)
    taught = Examples(tokens=first.tokens(pseudo), targets=teacher.probabilities(pseudo))
    student, student_report = fit(settings.seed + 1, "student", taught)
    report = DistilReport(
        teacher=teacher_report,
        student=student_report,
        shares=dict(zip(labels.names, teacher.shares, strict=True)),
        pseudo_titles=len(pseudo),
    )
    return Distilled(student=student, teacher=teacher, report=report)


def _sample(keys: Sequence[str], seed: int) -> list[str]:
    chosen = np.random.default_rng(seed).permutation(len(keys))[:PSEUDO_TITLES]
    return [keys[i] for i in sorted(chosen.tolist())]
