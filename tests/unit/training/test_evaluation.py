"""Figures, worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jobbatch.decisions import Decisions, Scaling
from jobbatch.training.evaluation import decide, evaluate

pytestmark = pytest.mark.train

LABELS = ("a", "b", "c")
PLAIN = Decisions(calibration=(Scaling(),) * 3, thresholds=(0.5,) * 3)
PROBABILITIES = np.array([[0.9, 0.1, 0.1], [0.8, 0.7, 0.1], [0.1, 0.6, 0.2], [0.3, 0.2, 0.1]])
TRUTH = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=bool)


def test_figures_are_those_worked_out_by_hand() -> None:
    figures = evaluate(TRUTH, PROBABILITIES, PLAIN, LABELS)
    # Decided: a | a b | b | a (the most probable one).
    assert figures.exact_match == 0.5
    assert figures.precision == pytest.approx(3 / 5)
    assert figures.recall == pytest.approx(3 / 4)
    assert figures.micro_f1 == pytest.approx(2 / 3)
    a, b, _ = figures.per_label
    assert (a.support, a.precision, a.recall) == (2, pytest.approx(2 / 3), 1.0)
    assert (b.precision, b.recall, b.roc_auc) == (0.5, 0.5, 0.5)
    assert figures.macro_f1 == pytest.approx((0.8 + 0.5) / 2)
    assert figures.roc_auc == pytest.approx((1.0 + 0.5) / 2)


@pytest.mark.fault(44)
def test_a_label_that_does_not_occur_has_no_figures() -> None:
    figures = evaluate(TRUTH, PROBABILITIES, PLAIN, LABELS)
    c = figures.per_label[2]
    assert (c.support, c.precision, c.recall, c.f1, c.roc_auc) == (0, None, None, None, None)
    assert json.loads(figures.to_json())["per_label"][2]["f1"] is None


def test_a_label_that_always_holds_has_no_roc_auc() -> None:
    figures = evaluate(TRUTH[:2], PROBABILITIES[:2], PLAIN, LABELS)
    assert figures.per_label[0].f1 == 1.0
    assert figures.per_label[0].roc_auc is None
    assert figures.roc_auc is None


def test_what_is_measured_is_what_labelling_decides() -> None:
    strict = Decisions(calibration=PLAIN.calibration, thresholds=(0.95, 0.5, 0.5), review_below=0.5)
    decided = decide(strict, PROBABILITIES, LABELS)
    assert decided.hot.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, True, False],
        [True, False, False],
    ]
    assert decided.needs_review.tolist() == [True, True, True, True]
    sure = evaluate(TRUTH, PROBABILITIES, strict, LABELS)
    assert (sure.review_share, sure.exact_match_unreviewed) == (1.0, None)


def test_the_sure_rows_are_measured_by_themselves() -> None:
    lenient = Decisions(calibration=PLAIN.calibration, thresholds=(0.5,) * 3, review_below=0.7)
    figures = evaluate(TRUTH, PROBABILITIES, lenient, LABELS)
    assert figures.review_share == 0.75
    assert figures.exact_match_unreviewed == 1.0
