"""Splits: every key on one side, whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jobbatch.errors import UsageError
from jobbatch.titles import SEPARATOR, without_context
from jobbatch.training.splits import stratified_folds, stratified_split

pytestmark = pytest.mark.train

KEYS = [f"title {i}" for i in range(120)]


def targets(n: int, seed: int = 0) -> NDArray[np.bool_]:
    random = np.random.default_rng(seed)
    hot = random.random((n, 3)) < (0.5, 0.3, 0.1)
    hot[~hot.any(axis=1), 0] = True
    return hot


def test_folds_are_a_partition() -> None:
    folds = stratified_folds(KEYS, targets(120), 5, seed=1)
    assert sorted(np.concatenate(folds).tolist()) == list(range(120))


def test_labels_are_spread_evenly() -> None:
    hot = targets(120)
    counts = np.array([hot[fold].sum(axis=0) for fold in stratified_folds(KEYS, hot, 5, seed=1)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 3


@pytest.mark.fault(44)
@settings(max_examples=20, deadline=None)
@given(st.integers(12, 80), st.floats(0.1, 0.5), st.integers(0, 5))
def test_no_key_is_on_both_sides(n: int, share: float, seed: int) -> None:
    kept, held = stratified_split(KEYS[:n], targets(n), share, seed)
    assert not set(kept) & set(held)
    assert sorted([*kept, *held]) == list(range(n))
    assert len(held) == pytest.approx(share * n, abs=0.1 * n + 2)


def test_the_order_of_the_keys_does_not_matter() -> None:
    hot, mixed = targets(120), np.random.default_rng(3).permutation(120)
    _, held = stratified_split(KEYS, hot, 0.2, seed=4)
    _, held_mixed = stratified_split([KEYS[i] for i in mixed], hot[mixed], 0.2, seed=4)
    assert {KEYS[i] for i in held} == {KEYS[mixed[i]] for i in held_mixed}


def test_the_seed_matters() -> None:
    hot = targets(120)
    first, second = (stratified_split(KEYS, hot, 0.2, seed)[1] for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_two_exclusive_labels_can_be_split() -> None:
    hot = np.array([[i % 2 == 0, i % 2 == 1] for i in range(120)])
    assert len(stratified_split(KEYS, hot, 0.1, seed=0)[1]) == 12


@pytest.mark.fault(44)
@pytest.mark.parametrize(("n", "share"), [(3, 0.1), (120, 0.0), (120, 0.6)])
def test_splits_that_leave_a_side_empty_are_refused(n: int, share: float) -> None:
    with pytest.raises(UsageError):
        stratified_split(KEYS[:n], targets(n), share, seed=0)


def test_more_folds_than_keys_are_refused() -> None:
    with pytest.raises(UsageError, match="3 distinct titles"):
        stratified_folds(KEYS[:3], targets(3), 5, seed=0)


def test_repeated_keys_are_a_bug() -> None:
    with pytest.raises(ValueError, match="not distinct"):
        stratified_split(["a", "a"], targets(2), 0.5, seed=0)


class TestTitlesInSeveralContexts:
    KEYS = tuple(f"title {i // 3}{SEPARATOR}context {i}" for i in range(120))

    def titles(self, part: NDArray[np.intp]) -> set[str]:
        return {without_context(self.KEYS[i]) for i in part}

    @pytest.mark.fault(44)
    def test_no_title_is_on_both_sides(self) -> None:
        kept, held = stratified_split(self.KEYS, targets(120), 0.2, seed=0)
        assert not self.titles(kept) & self.titles(held)
        assert sorted([*kept, *held]) == list(range(120))
        assert len(self.titles(held)) == 8

    def test_no_title_is_in_two_folds(self) -> None:
        folds = stratified_folds(self.KEYS, targets(120), 4, seed=0)
        assert sorted(np.concatenate(folds).tolist()) == list(range(120))
        assert sum(len(self.titles(fold)) for fold in folds) == 40

    def test_more_folds_than_titles_are_refused(self) -> None:
        with pytest.raises(UsageError, match="1 distinct titles"):
            stratified_folds(self.KEYS[:3], targets(3), 2, seed=0)
