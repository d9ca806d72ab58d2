"""Decisions fitted on held-out titles: they are as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest

from jobbatch.training.tuning import tune

pytestmark = pytest.mark.train

ABC = ("a", "b", "c")


def test_tuned_probabilities_and_confidence_are_as_often_right_as_they_say() -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(0.02, 0.98, (8_000, 3))
    targets = rng.uniform(size=true.shape) < true
    logit = np.log(true / (1 - true)) * 3  # far too sure of itself
    decisions = tune(1 / (1 + np.exp(-logit)), targets, ABC, ABC)
    assert decisions.order == ABC
    assert decisions.thresholds == (0.5,) * 3
    for scaling in decisions.calibration:
        assert scaling.slope == pytest.approx(1 / 3, abs=0.03)

    answers = decisions.answers(1 / (1 + np.exp(-logit)), ABC)
    hot = np.column_stack([answers["labels"].list.contains(n).to_numpy() for n in ABC])
    right = (hot == targets).all(axis=1)
    assert answers["confidence"].mean() == pytest.approx(right.mean(), abs=0.02)
    sure = (answers["confidence"] > 0.5).to_numpy()
    assert answers["confidence"].filter(sure).mean() == pytest.approx(right[sure].mean(), abs=0.05)


def test_titles_without_label_teach_when_to_answer_none() -> None:
    rng = np.random.default_rng(2)
    nothing = np.zeros((300, 3), np.bool_)
    posts = np.eye(3, dtype=np.bool_)[rng.integers(3, size=700)]
    said = np.vstack(
        [
            rng.uniform(0.01, 0.1, (300, 3)),
            np.where(posts, 0.45, 0.05) + rng.normal(0, 0.01, (700, 3)),
        ]
    )
    targets = np.vstack([nothing, posts])
    answers = tune(said, targets, ABC).answers(said, ABC)
    assert answers["labels"].list.len().to_list() == [0] * 300 + [1] * 700
    always = tune(said[300:], posts, ABC)
    assert always.no_label_below == 0


def test_what_is_not_reviewed_is_right_nearly_always() -> None:
    rng = np.random.default_rng(3)
    sure = rng.uniform(0.5, 1, 6_000)
    said = np.column_stack([sure, 1 - sure, np.full(6_000, 0.01)])
    first = rng.uniform(size=6_000) < sure
    targets = np.column_stack([first, ~first, np.zeros(6_000, np.bool_)])
    decisions = tune(said, targets, ABC)
    answers = decisions.answers(said, ABC)
    kept = ~answers["needs_review"].to_numpy()
    assert 0.05 < kept.mean() < 0.2
    assert first[kept].mean() == pytest.approx(0.97, abs=0.005)


def test_a_model_that_is_never_right_has_everything_reviewed() -> None:
    said = np.tile([0.9, 0.1, 0.1], (50, 1))
    decisions = tune(said, np.tile([False, True, False], (50, 1)), ABC)
    assert decisions.answers(said, ABC)["needs_review"].all()


def test_a_title_counts_as_much_as_its_weight() -> None:
    rng = np.random.default_rng(4)
    hard = np.arange(4_000) < 3_000
    said = np.column_stack([rng.uniform(0.5, 1, 4_000), np.full(4_000, 0.01), np.full(4_000, 0.01)])
    true = np.where(hard, said[:, 0] - 0.25, np.minimum(said[:, 0] + 0.2, 1))
    first = rng.uniform(size=4_000) < true
    targets = np.column_stack([first, ~first, np.zeros(4_000, np.bool_)])
    alike = tune(said, targets, ABC)
    easy = tune(said, targets, ABC, weights=np.where(hard, 0.01, 3.97))
    unmarked = [(~d.answers(said, ABC)["needs_review"]).mean() for d in (alike, easy)]
    assert unmarked[1] > unmarked[0] + 0.3
    assert tune(said[~hard], targets[~hard], ABC).review_below == pytest.approx(
        easy.review_below, abs=0.03
    )
    assert tune(said, targets, ABC, weights=np.ones(4_000)) == alike
