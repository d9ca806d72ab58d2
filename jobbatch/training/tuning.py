"""Fits the decisions of a model on held-out titles: calibration, confidence and review flag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from jobbatch.decisions import Decisions, Scaling, multi_hot

RIGHT_UNREVIEWED = 0.97
"""Share of the titles not marked for review whose whole label set is to be right."""


def tune(
    probabilities: NDArray[np.float64],
    targets: NDArray[np.bool_],
    labels: tuple[str, ...],
    order: tuple[str, ...] = (),
    weights: NDArray[np.float64] | None = None,
) -> Decisions:
    """Return decisions fitted on held-out titles.

    Thresholds stay at 0.5 of the calibrated probability: tuned per label on a few thousand rows
    they fit noise. What is not marked for review is right in `RIGHT_UNREVIEWED` of the titles,
    each counted with its weight.

    Args:
        probabilities: float64 (n, n_labels), of titles the model was not trained on.
        targets: bool (n, n_labels).
        labels: the label names.
        order: labels from highest to lowest, or none.
        weights: float64 (n,), what each title counts, 1 on average; none: all the same.
    """
    n_labels = targets.shape[1]
    counts = np.ones(len(targets)) if weights is None else weights
    fits = [Scaling.fit(probabilities[:, i], targets[:, i], counts) for i in range(n_labels)]
    plain = Decisions(calibration=tuple(fits), thresholds=(0.5,) * n_labels, order=order)
    if not targets.any(axis=1).all():
        choices = [replace(plain, no_label_below=round(i / 20, 2)) for i in range(11)]
        plain = max(choices, key=lambda d: counts @ _right(d, probabilities, targets, labels))
    right = _right(plain, probabilities, targets, labels)
    raw = plain.answers(probabilities, labels)["confidence"].to_numpy()
    confidence = Scaling.fit(raw, right, counts)
    chosen = replace(plain, confidence=confidence)
    sure = chosen.answers(probabilities, labels)["confidence"].to_numpy()
    return replace(chosen, review_below=_review_below(sure, right, counts))


def _right(
    decisions: Decisions,
    probabilities: NDArray[np.float64],
    targets: NDArray[np.bool_],
    labels: tuple[str, ...],
) -> NDArray[np.bool_]:
    """Return whether each whole label set is right, bool (n,)."""
    hot = multi_hot(decisions.answers(probabilities, labels), labels)
    right: NDArray[np.bool_] = (hot == targets).all(axis=1)
    return right


def _review_below(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], counts: NDArray[np.float64]
) -> float:
    """Return the lowest confidence from which on enough answers are right, at least 0.5."""
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum((counts * right)[order]) / np.cumsum(counts[order])
    enough = np.flatnonzero(share >= RIGHT_UNREVIEWED)
    lowest = confidence[order][enough[-1]] if enough.size else 1.0
    return round(max(float(lowest), 0.5), 4)
