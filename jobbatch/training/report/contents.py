"""A report: all its numbers, from which both the page and the JSON file are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobbatch.training.evaluation import Scored
from jobbatch.training.report import figures, mistakes
from jobbatch.training.report.curves import Curves, curves
from jobbatch.training.report.figures import (
    MOST_CONFIDENT,
    RIGHT_MOST_CONFIDENT,
    Headline,
    LabelEstimates,
    ModelFigures,
)
from jobbatch.training.report.intervals import Bootstrap, Estimate
from jobbatch.training.report.mistakes import Confusion, Mistake
from jobbatch.training.report.slices import SliceFigures, slices
from jobbatch.training.tuning import RIGHT_UNREVIEWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a report is about.

    Attributes:
        model: the model's name.
        rows: which rows, in words: the tables, or a part of them.
        left_out: rows of these that have no title or no labels.
        trained_on: those tables that the model was trained on; figures on them flatter it.
    """

    model: str
    rows: str
    left_out: int = 0
    trained_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a model makes of labelled rows.

    Attributes:
        subject: the model and the rows.
        headline: figures on all rows.
        per_label: figures of each label.
        original: figures with the labels that the rows came with, where corrections changed some.
        models: the model beside others, if there are any.
        slices: figures on parts of the rows.
        curves: what is plotted.
        confusions: label sets taken for others.
        worst: wrong answers of high confidence.
    """

    subject: Subject
    headline: Headline
    per_label: tuple[LabelEstimates, ...]
    original: ModelFigures | None
    models: tuple[ModelFigures, ...]
    slices: tuple[SliceFigures, ...]
    curves: Curves
    confusions: tuple[Confusion, ...]
    worst: tuple[Mistake, ...]

    @property
    def rare_labels(self) -> tuple[LabelEstimates, ...]:
        """The labels that have too few rows to be measured."""
        return tuple(label for label in self.per_label if label.rare)

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it, without the titles, which may be private."""
        fields = asdict(self)
        for example in (*fields["confusions"], *fields["worst"]):
            del example["title"]
        return fields

    def summary_lines(self) -> list[str]:
        """Return the report for a person, in a few lines."""
        top, about = self.headline, self.subject
        surest = _text(top.exact_match_most_confident)
        lines = [f"{about.model} on {top.rows:,} labelled rows of {about.rows}"]
        if about.left_out:
            lines.append(f"left out: {about.left_out:,} rows without a title or without labels")
        if about.trained_on:
            lines.append(f"it was trained on {', '.join(about.trained_on)}: this flatters it")
        lines += [
            f"  exact match  {_text(top.exact_match)}",
            f"  micro-F1     {_text(top.micro_f1)}",
            f"  macro-F1     {_text(top.macro_f1)}",
            f"  to review    {_text(top.review_share)}",
            f"  of the rest  {_text(top.exact_match_unreviewed)} right, {RIGHT_UNREVIEWED} wanted",
            f"  surest {MOST_CONFIDENT:.0%}   {surest} right, {RIGHT_MOST_CONFIDENT} wanted",
        ]
        for label in self.per_label:
            f1 = _text(label.f1)
            lines.append(f"  {label.label}: F1 {f1} on {label.support:,} rows")
        return lines


def build(
    scored: Scored,
    subject: Subject,
    *,
    vocabulary: frozenset[str] | None = None,
    others: Mapping[str, NDArray[np.float64]] | None = None,
    original: Scored | None = None,
) -> Report:
    """Return the report on rows and a model's answers to them.

    Args:
        scored: the rows and the answers.
        subject: what they are.
        vocabulary: the words of the titles trained on (`slices.words`), to tell rows with others.
        others: other models' probabilities for the rows, float64 (n, n_labels), by name.
        original: the same rows with the labels that they came with; none: they are the same.
    """
    bootstrap = Bootstrap(len(scored.truth))
    headline, per_label = figures.measure(scored, bootstrap)
    return Report(
        subject=subject,
        headline=headline,
        per_label=per_label,
        original=None if original is None else figures.of_model(original, subject.model, bootstrap),
        models=figures.compare(scored, subject.model, others, bootstrap) if others else (),
        slices=slices(scored, bootstrap, vocabulary),
        curves=curves(scored),
        confusions=mistakes.confusions(scored),
        worst=mistakes.worst(scored),
    )


def _text(estimate: Estimate) -> str:
    if estimate.value is None:
        return "n/a"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
