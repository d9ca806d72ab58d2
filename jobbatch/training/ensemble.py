"""Several models' calibrated probabilities, averaged with a weight per label and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jobbatch.decisions import Scaling
from jobbatch.training.scorer import TitleScorer

_SMALLEST = 1e-6
_STEPS = 11
"""Weights tried for each label: 0, 0.1, ... 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A model and the scaling of each label's probability."""

    scorer: TitleScorer
    calibration: tuple[Scaling, ...]

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return calibrated probabilities, float64 (n, n_labels), in the keys' order."""
        raw = self.scorer.probabilities(keys)
        return np.column_stack([s.apply(raw[:, i]) for i, s in enumerate(self.calibration)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Two models that answer together.

    Attributes:
        first: for example an encoder.
        second: for example a classic model.
        shares: of the first, per label, 0 to 1; the rest is the second's.
    """

    first: Member
    second: Member
    shares: tuple[float, ...]

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities, float64 (n, n_labels), in the keys' order."""
        return _mixed(self.shares, self.first.probabilities(keys), self.second.probabilities(keys))


def combine(
    first: TitleScorer, second: TitleScorer, keys: Sequence[str], targets: NDArray[np.bool_]
) -> Ensemble:
    """Return the ensemble of two models, calibrated and weighted on held-out titles.

    Args:
        first: a model that was not trained on `keys`.
        second: another one.
        keys: n titles.
        targets: bool (n, n_labels).
    """
    members = [_calibrated(scorer, keys, targets) for scorer in (first, second)]
    one, two = (member.probabilities(keys) for member in members)
    shares = tuple(_best_share(one[:, i], two[:, i], hits) for i, hits in enumerate(targets.T))
    return Ensemble(first=members[0], second=members[1], shares=shares)


def _calibrated(scorer: TitleScorer, keys: Sequence[str], targets: NDArray[np.bool_]) -> Member:
    raw = scorer.probabilities(keys)
    fits = tuple(Scaling.fit(raw[:, i], hits) for i, hits in enumerate(targets.T))
    return Member(scorer=scorer, calibration=fits)


def _best_share(
    one: NDArray[np.float64], two: NDArray[np.float64], hits: NDArray[np.bool_]
) -> float:
    """Return the share of least log loss; of equal ones that nearest to a half."""
    tried = sorted(np.linspace(0, 1, _STEPS).round(2).tolist(), key=lambda s: abs(s - 0.5))
    return float(min(tried, key=lambda share: _log_loss(share * one + (1 - share) * two, hits)))


def _log_loss(probabilities: NDArray[np.float64], hits: NDArray[np.bool_]) -> float:
    said = np.clip(np.where(hits, probabilities, 1 - probabilities), _SMALLEST, 1)
    return float(-np.log(said).mean().round(6))


def _mixed(
    shares: Sequence[float], one: NDArray[np.float64], two: NDArray[np.float64]
) -> NDArray[np.float64]:
    weight = np.array(shares)
    return np.asarray(weight * one + (1 - weight) * two, np.float64)
