"""Two models that answer together: each label's answer leans on the model that knows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jobbatch.training.ensemble import Ensemble

pytestmark = pytest.mark.train

KEYS = tuple(f"title {i}" for i in range(400))
TARGETS = np.random.default_rng(0).uniform(size=(400, 2)) < 0.4


class Knows:
    """A model that knows one label and guesses the other."""

    def __init__(self, label: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._said = rng.uniform(0.3, 0.5, TARGETS.shape)
        self._said[:, label] = np.where(TARGETS[:, label], 0.7, 0.2) + rng.normal(0, 0.05, 400)

    @property
    def about(self) -> Any:
        raise NotImplementedError

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        return self._said[[KEYS.index(key) for key in keys]]

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    from jobbatch.training.ensemble import combine

    return combine(Knows(0, 1), Knows(1, 2), KEYS, TARGETS)


def test_each_label_leans_on_the_model_that_knows_it(ensemble: Ensemble) -> None:
    assert ensemble.shares[0] >= 0.8
    assert ensemble.shares[1] <= 0.2


def test_together_they_know_more_than_either(ensemble: Ensemble) -> None:
    together = ensemble.probabilities(KEYS)
    right = ((together >= 0.5) == TARGETS).all(axis=1).mean()
    alone = [((m.probabilities(KEYS) >= 0.5) == TARGETS).all(1).mean() for m in _members(ensemble)]
    assert right > 0.95 > max(alone)


def test_probabilities_are_calibrated_and_in_the_order_of_the_keys(ensemble: Ensemble) -> None:
    together = ensemble.probabilities(KEYS)
    assert together.mean(axis=0) == pytest.approx(TARGETS.mean(axis=0), abs=0.02)
    backwards = ensemble.probabilities(KEYS[::-1])
    assert np.array_equal(backwards[::-1], together)


def test_equal_models_share_equally() -> None:
    from jobbatch.training.ensemble import combine

    assert combine(Knows(0, 1), Knows(0, 1), KEYS, TARGETS).shares == (0.5, 0.5)


def _members(ensemble: Ensemble) -> tuple[Any, Any]:
    return ensemble.first, ensemble.second
