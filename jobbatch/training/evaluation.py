"""Figures of a multi-label classifier, on what it decides: exact match, F1, ROC-AUC, per label.

A label that does not occur in the data has no figures (None), rather than 0.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from jobbatch.decisions import Decisions, multi_hot


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFigures:
    """Figures of one label; None where the data cannot tell."""

    label: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Figures on n rows.

    Attributes:
        rows: how many.
        exact_match: share whose whole label set is right.
        precision: micro-averaged.
        recall: micro-averaged.
        micro_f1: of all label decisions together.
        macro_f1: mean over the labels that occur.
        roc_auc: macro, over the labels that occur and do not occur.
        review_share: share marked for review.
        exact_match_unreviewed: exact match of the rest.
        per_label: one row a label.
    """

    rows: int
    exact_match: float
    precision: float
    recall: float
    micro_f1: float
    macro_f1: float
    roc_auc: float | None
    review_share: float
    exact_match_unreviewed: float | None
    per_label: tuple[LabelFigures, ...]

    def to_json(self) -> bytes:
        """Return the content of metrics.json."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the decisions make of probabilities.

    Attributes:
        hot: bool (n, n_labels), the label sets.
        calibrated: float64 (n, n_labels); 0 where a title was not scored.
        confidence: float64 (n,); NaN where a title was not scored.
        needs_review: bool (n,).
    """

    hot: NDArray[np.bool_]
    calibrated: NDArray[np.float64]
    confidence: NDArray[np.float64]
    needs_review: NDArray[np.bool_]

    @classmethod
    def of(cls, answers: pl.DataFrame, labels: tuple[str, ...]) -> Decided:
        """Return the arrays of answers, in the columns of `Decisions.apply`."""
        return cls(
            hot=multi_hot(answers, labels),
            calibrated=answers.select(pl.col(f"p_{n}").fill_null(0.0) for n in labels).to_numpy(),
            confidence=answers["confidence"].fill_null(np.nan).to_numpy(),
            needs_review=answers["needs_review"].to_numpy(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Labelled rows and what a model answers to them.

    Attributes:
        titles: each row's, as normalised, with its context: the row's key.
        tables: the name of each row's table.
        labels: their names, in the order of the columns of `truth`.
        truth: bool (n, n_labels), n at least one.
        decided: the answers, row by row.
    """

    titles: tuple[str, ...]
    tables: tuple[str, ...]
    labels: tuple[str, ...]
    truth: NDArray[np.bool_]
    decided: Decided

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each row's whole label set is right, bool (n,)."""
        right: NDArray[np.bool_] = (self.truth == self.decided.hot).all(axis=1)
        return right


def decide(
    decisions: Decisions, probabilities: NDArray[np.float64], labels: tuple[str, ...]
) -> Decided:
    """Return what labelling would answer for raw probabilities, float64 (n, n_labels)."""
    return Decided.of(decisions.answers(probabilities, labels), labels)


def evaluate(
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    decisions: Decisions,
    labels: tuple[str, ...],
) -> Evaluation:
    """Return the figures of raw probabilities, decided as labelling does.

    Args:
        truth: bool (n, n_labels), n at least one.
        probabilities: float64 (n, n_labels), not calibrated.
        decisions: the model's.
        labels: their names.
    """
    return figures(truth, decide(decisions, probabilities, labels), labels)


def figures(truth: NDArray[np.bool_], decided: Decided, labels: tuple[str, ...]) -> Evaluation:
    """Return the figures of what was decided for rows whose label sets are `truth`."""
    hot = decided.hot
    per_label = _per_label(truth, decided, labels)
    right = (hot == truth).all(axis=1)
    sure = ~decided.needs_review
    precision, recall, micro, _ = precision_recall_fscore_support(
        truth, hot, average="micro", zero_division=0.0
    )
    aucs = [f.roc_auc for f in per_label if f.roc_auc is not None]
    return Evaluation(
        rows=len(truth),
        exact_match=float(right.mean()),
        precision=float(precision),
        recall=float(recall),
        micro_f1=float(micro),
        macro_f1=float(np.mean([f.f1 for f in per_label if f.f1 is not None] or [0.0])),
        roc_auc=float(np.mean(aucs)) if aucs else None,
        review_share=float(decided.needs_review.mean()),
        exact_match_unreviewed=float(right[sure].mean()) if sure.any() else None,
        per_label=per_label,
    )


def _per_label(
    truth: NDArray[np.bool_], decided: Decided, labels: tuple[str, ...]
) -> tuple[LabelFigures, ...]:
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, decided.hot, average=None, zero_division=0.0
    )
    rows = []
    for i, name in enumerate(labels):
        occurs, always = bool(support[i]), support[i] == len(truth)
        auc = (
            roc_auc_score(truth[:, i], decided.calibrated[:, i]) if occurs and not always else None
        )
        rows.append(
            LabelFigures(
                label=name,
                support=int(support[i]),
                precision=float(precision[i]) if occurs else None,
                recall=float(recall[i]) if occurs else None,
                f1=float(f1[i]) if occurs else None,
                roc_auc=None if auc is None else float(auc),
            )
        )
    return tuple(rows)
