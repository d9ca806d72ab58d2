"""Bootstrap intervals: how far a figure moves with the rows it happens to be measured on.

Rows are drawn anew, with replacement (Efron 1979). Every figure of a report is a function of sums
over rows, so a draw is one row of a matrix of counts, and all draws are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
COVERAGE = 0.95
_CELLS = 1 << 22
"""Counts drawn at a time: some 100 MB, however many rows there are."""

Draws = NDArray[np.float64]
"""A figure of the data themselves, then of every resample: (1 + resamples, ...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its percentile interval; all None where the data cannot tell.

    The interval is stretched to hold the figure where it would not: resampling adds noise, which
    only ever adds to a calibration error.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, draws: Draws) -> Estimate:
        """Return the estimate of draws, (1 + resamples,), NaN where one cannot tell."""
        value = float(draws[0])
        if np.isnan(value):
            return cls()
        tail = (1 - COVERAGE) / 2
        low, high = np.nanquantile(draws, [tail, 1 - tail])
        return cls(
            value=round(value, 6),
            low=round(min(float(low), value), 6),
            high=round(max(float(high), value), 6),
        )


class Bootstrap:
    """The resamples of `n_rows` rows; the same seed draws the same ones.

    Args:
        n_rows: at least one.
        resamples: how many.
        seed: of the draws.
    """

    def __init__(self, n_rows: int, *, resamples: int = RESAMPLES, seed: int = 0) -> None:
        self.n_rows = n_rows
        self.resamples = resamples
        self.seed = seed

    def sums(self, **statistics: NDArray[Any]) -> dict[str, Draws]:
        """Return each statistic summed over the rows, and over those of every resample.

        Args:
            statistics: bool or float, (n_rows,) or (n_rows, k).

        Returns:
            By name, float64 (1 + resamples,) or (1 + resamples, k).
        """
        table = np.column_stack(list(statistics.values())).astype(np.float64, copy=False)
        drawn = [table.sum(axis=0, keepdims=True), *(c @ table for c in self._counts())]
        widths = [s.shape[1] if s.ndim == 2 else 1 for s in statistics.values()]
        parts = np.split(np.concatenate(drawn), np.cumsum(widths)[:-1], axis=1)
        return {
            name: part if s.ndim == 2 else part[:, 0]
            for (name, s), part in zip(statistics.items(), parts, strict=True)
        }

    def _counts(self) -> Iterator[NDArray[np.float64]]:
        """Yield how often each row is in each of the next resamples, (n_resamples, n_rows)."""
        random = np.random.default_rng(self.seed)
        at_a_time = max(1, _CELLS // self.n_rows)
        for start in range(0, self.resamples, at_a_time):
            size = min(at_a_time, self.resamples - start)
            rows = random.integers(self.n_rows, size=(size, self.n_rows))
            rows += self.n_rows * np.arange(size)[:, None]
            counts = np.bincount(rows.ravel(), minlength=rows.size)
            yield counts.reshape(rows.shape).astype(np.float64)


def ratio(part: Draws, whole: Draws, *, empty: float = np.nan) -> Draws:
    """Return part / whole, and `empty` where the whole is 0."""
    share: Draws = np.divide(part, whole, out=np.full(whole.shape, empty), where=whole > 0)
    return share
