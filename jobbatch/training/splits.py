"""Splits of distinct titles by iterative stratification (Sechidis et al. 2011).

What is split are keys, so that no title sits on both sides. The split depends on the keys, their
labels and the seed, never on the order of the rows: sheets come in sampled blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from iterstrat.ml_stratifiers import (
    MultilabelStratifiedKFold,
    MultilabelStratifiedShuffleSplit,
)
from numpy.typing import NDArray

from jobbatch.errors import UsageError


def stratified_folds(
    keys: Sequence[str], targets: NDArray[np.bool_], n_folds: int, seed: int
) -> list[NDArray[np.intp]]:
    """Return each fold's indices into `keys`; together they are all of them, once.

    Args:
        keys: n distinct keys, in any order.
        targets: bool (n, n_labels).
        n_folds: two or more.
        seed: of the shuffling.

    Raises:
        UsageError: if there are fewer keys than folds.
    """
    if not 2 <= n_folds <= len(keys):
        raise UsageError(f"{len(keys)} distinct titles cannot be split into {n_folds} parts")
    order, hot = _ordered(keys, targets)
    folds = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    return [np.sort(order[held]) for _, held in folds.split(np.zeros((len(keys), 1)), hot)]


def stratified_split(
    keys: Sequence[str], targets: NDArray[np.bool_], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the keys to keep and of those held out, about `share` of them.

    Args:
        keys: n distinct keys, in any order.
        targets: bool (n, n_labels).
        share: above 0, at most a half.
        seed: of the shuffling.

    Raises:
        UsageError: if the share is outside its range, or leaves a side empty.
    """
    if not 0 < share <= 0.5:
        raise UsageError(f"the share held out must be above 0 and at most 0.5, got {share}")
    if round(share * len(keys)) < 1:
        raise UsageError(f"{len(keys)} distinct titles are too few to hold out {share:.0%} of them")
    order, hot = _ordered(keys, targets)
    split = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    kept, held = next(split.split(np.zeros((len(keys), 1)), hot))
    if not kept.size or not held.size:
        raise UsageError(f"{len(keys)} distinct titles are too few to hold out {share:.0%} of them")
    return np.sort(order[kept]), np.sort(order[held])


def _ordered(
    keys: Sequence[str], targets: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the order of the sorted keys, and the targets in it with a constant column more.

    Without that column scikit-learn takes a matrix of two labels, one a row, for no multi-label.
    """
    if len(set(keys)) != len(keys):
        raise ValueError("keys are not distinct")
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.intp)
    hot = np.column_stack([targets[order], np.ones(len(keys), np.bool_)])
    return order, hot.astype(np.int64)
