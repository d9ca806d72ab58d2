"""Splits of distinct titles by iterative stratification (Sechidis et al. 2011).

What is split are titles, so that none sits on both sides, whatever contexts its keys have. The
split depends on the keys, their
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
from jobbatch.titles import without_context


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
        UsageError: if there are fewer titles than folds.
    """
    groups, hot = _grouped(keys, targets)
    if not 2 <= n_folds <= len(groups):
        raise UsageError(f"{len(groups)} distinct titles cannot be split into {n_folds} parts")
    folds = MultilabelStratifiedKFold(n_splits=n_folds, shuffle=True, random_state=seed)
    return [_members(groups, held) for _, held in folds.split(np.zeros((len(groups), 1)), hot)]


def stratified_split(
    keys: Sequence[str], targets: NDArray[np.bool_], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the keys to keep and of those held out, about `share` of the titles.

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
    groups, hot = _grouped(keys, targets)
    few = f"{len(groups)} distinct titles are too few to hold out {share:.0%} of them"
    if round(share * len(groups)) < 1:
        raise UsageError(few)
    split = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    kept, held = next(split.split(np.zeros((len(groups), 1)), hot))
    if not kept.size or not held.size:
        raise UsageError(few)
    return _members(groups, kept), _members(groups, held)


def _grouped(
    keys: Sequence[str], targets: NDArray[np.bool_]
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Return the indices of each title's keys, and the titles' targets with a constant column more.

    Without that column scikit-learn takes a matrix of two labels, one a row, for no multi-label.
    """
    if len(set(keys)) != len(keys):
        raise ValueError("keys are not distinct")
    by_title: dict[str, list[int]] = {}
    for i in sorted(range(len(keys)), key=keys.__getitem__):
        by_title.setdefault(without_context(keys[i]), []).append(i)
    groups = list(by_title.values())
    held = np.array([targets[group].any(axis=0) for group in groups])
    hot = np.column_stack([held, np.ones(len(groups), np.bool_)])
    return groups, hot.astype(np.int64)


def _members(groups: Sequence[Sequence[int]], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.array(sorted(i for group in chosen for i in groups[group]), dtype=np.intp)
