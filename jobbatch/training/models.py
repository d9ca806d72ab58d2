"""Fits the model that the settings ask for: the one place that knows all kinds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.labels import LabelSet
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training import classic, encoder, fitting
from jobbatch.training.distillation import distil
from jobbatch.training.encoder import EncoderOptions
from jobbatch.training.examples import Titles
from jobbatch.training.fitting import Progress
from jobbatch.training.scorer import FitSummary, TitleScorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trained model, and how its fit went."""

    scorer: TitleScorer
    report: FitSummary


def check(settings: TrainSettings) -> None:
    """Check that the settings go together.

    Raises:
        UsageError: if another model is to have what only an encoder has, or there are no titles to
            distil with.
    """
    if settings.model_type == "distilled" and settings.unlabelled is None:
        raise UsageError(
            "--model distilled needs titles without labels to teach with: name a table of them "
            "with --unlabelled"
        )
    if settings.model_type != "encoder" and settings.context:
        raise UsageError(
            f"--model {settings.model_type} reads titles alone: leave out --context, or train an "
            "encoder (--model encoder)"
        )
    if settings.model_type != "classic":
        return
    given = {
        "--base": settings.base is not None,
        "--layers": settings.layers is not None,
        "--device cuda": settings.device == "cuda",
    }
    if any(given.values()):
        options = ", ".join(name for name, there in given.items() if there)
        raise UsageError(
            f"--model classic has no base and works on the CPU: leave out {options}, or train an "
            "encoder (--model encoder)"
        )


def fit(
    train: Titles,
    validation: Titles,
    labels: LabelSet,
    settings: TrainSettings,
    options: EncoderOptions,
    *,
    work: Path | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Return a model of the `train` titles, its weights as they will be stored.

    Args:
        train: what to learn from.
        validation: decides which epoch of an encoder is best.
        labels: the label vocabulary.
        settings: which kind, and how to train it.
        options: what becomes of an encoder's base.
        work: folder of an encoder's checkpoints and logs; none: neither is kept.
        progress: called after every epoch of an encoder.

    Raises:
        UsageError: if the titles do not suffice, or training diverges at once.
        ModelError: if the base cannot be had or does not fit.
    """
    if settings.model_type == "distilled":
        taught = distil(train, validation, labels, settings, options, work=work, progress=progress)
        return Fitted(scorer=taught.student, report=taught.report)
    if settings.model_type == "classic":
        made = classic.fit(train.keys, train.targets, labels, settings.seed)
        return Fitted(scorer=made, report=made.report)
    network = encoder.build(options, labels, train.keys, settings.seed)
    report = fitting.fit_titles(network, train, validation, settings, work=work, progress=progress)
    return Fitted(scorer=network, report=report)
