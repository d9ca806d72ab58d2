"""The points of a report's plots, few enough to draw and to store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve

from jobbatch.training.calibration_figures import ReliabilityPoint, reliability
from jobbatch.training.evaluation import Scored

_POINTS = 200
"""At most so many points of a curve are kept."""
_HISTOGRAM_BINS = 20

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCurves:
    """Curves of the calibrated probability of a label that occurs.

    Attributes:
        average_precision: the area under the precision-recall curve.
        precision_recall: (recall, precision), from the highest recall to the lowest.
        reliability: by bins of equal mass.
    """

    label: str
    average_precision: float
    precision_recall: tuple[Point, ...]
    reliability: tuple[ReliabilityPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """Rows whose confidence is `low` to `high`, by whether their answer is right."""

    low: float
    high: float
    right: int
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What a report plots.

    Attributes:
        labels: one by one, those that occur.
        reliability: of the confidence, against the exact match.
        histogram: of the confidence.
        risk_coverage: (share of the rows kept, their exact match), the most confident kept first.
    """

    labels: tuple[LabelCurves, ...]
    reliability: tuple[ReliabilityPoint, ...]
    histogram: tuple[ConfidenceBin, ...]
    risk_coverage: tuple[Point, ...]


def curves(scored: Scored) -> Curves:
    """Return the curves of rows and answers; rows that were not scored have no confidence."""
    known = ~np.isnan(scored.decided.confidence)
    confidence, right = scored.decided.confidence[known], scored.right[known]
    return Curves(
        labels=tuple(
            _label(name, scored.truth[:, i], scored.decided.calibrated[:, i])
            for i, name in enumerate(scored.labels)
            if scored.truth[:, i].any()
        ),
        reliability=reliability(confidence, right),
        histogram=_histogram(confidence, right),
        risk_coverage=_risk_coverage(scored),
    )


def _label(name: str, truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> LabelCurves:
    precision, recall, _ = precision_recall_curve(truth, probabilities)
    return LabelCurves(
        label=name,
        average_precision=round(float(average_precision_score(truth, probabilities)), 6),
        precision_recall=_thinned(recall, precision),
        reliability=reliability(probabilities, truth),
    )


def _histogram(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[ConfidenceBin, ...]:
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    hits, misses = (np.histogram(confidence[m], edges)[0] for m in (right, ~right))
    rounded = edges.round(4).tolist()
    columns = zip(rounded[:-1], rounded[1:], hits.tolist(), misses.tolist(), strict=True)
    return tuple(ConfidenceBin(low=a, high=b, right=r, wrong=w) for a, b, r, w in columns)


def _risk_coverage(scored: Scored) -> tuple[Point, ...]:
    order = np.argsort(-scored.decided.confidence, kind="stable")
    kept = np.arange(1, order.size + 1)
    return _thinned(kept / order.size, np.cumsum(scored.right[order]) / kept)


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[Point, ...]:
    chosen = np.unique(np.linspace(0, x.size - 1, _POINTS).round().astype(np.intp))
    return tuple(zip(x[chosen].round(4).tolist(), y[chosen].round(4).tolist(), strict=True))
