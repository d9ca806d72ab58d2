"""How far probabilities can be believed: expected calibration error and reliability diagrams.

The error is that of Naeini, Cooper and Hauskrecht (2015), over bins of equal mass instead of equal
width: a sure model leaves most bins of equal width empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityPoint:
    """One bin: the mean of what was predicted, the share that came true, and the rows in it."""

    predicted: float
    observed: float
    rows: int


def equal_mass_bins(predicted: NDArray[np.float64], n_bins: int = BINS) -> NDArray[np.intp]:
    """Return each prediction's bin, int (n,); equal predictions share one."""
    ranks = np.searchsorted(np.sort(predicted), predicted, side="left")
    return ranks * n_bins // max(predicted.size, 1)


def calibration_gaps(
    predicted: NDArray[np.float64], hits: NDArray[np.bool_], n_bins: int = BINS
) -> NDArray[np.float64]:
    """Return float64 (n, n_bins): hit less prediction in the column of the row's bin, else 0.

    The column sums of any choice of rows give their expected calibration error: the sum of their
    absolute values, divided by the rows.
    """
    gaps = np.zeros((predicted.size, n_bins))
    gaps[np.arange(predicted.size), equal_mass_bins(predicted, n_bins)] = hits - predicted
    return gaps


def expected_calibration_error(
    predicted: NDArray[np.float64], hits: NDArray[np.bool_], n_bins: int = BINS
) -> float:
    """Return the mean distance of prediction and truth, bin by bin, weighted by the bins' rows.

    Args:
        predicted: float64 (n,), n at least one.
        hits: bool (n,), what was true.
        n_bins: at most so many bins.
    """
    gaps = calibration_gaps(predicted, hits, n_bins).sum(axis=0)
    return float(np.abs(gaps).sum() / predicted.size)


def reliability(
    predicted: NDArray[np.float64], hits: NDArray[np.bool_], n_bins: int = BINS
) -> tuple[ReliabilityPoint, ...]:
    """Return the points of a reliability diagram, from the lowest prediction to the highest."""
    bins = equal_mass_bins(predicted, n_bins)
    rows, forecast, came_true = (
        np.bincount(bins, weights, n_bins) for weights in (None, predicted, hits)
    )
    return tuple(
        ReliabilityPoint(
            predicted=round(float(forecast[i] / rows[i]), 4),
            observed=round(float(came_true[i] / rows[i]), 4),
            rows=int(rows[i]),
        )
        for i in np.flatnonzero(rows)
    )
