"""Calibration figures, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jobbatch.training.calibration_figures import (
    ReliabilityPoint,
    equal_mass_bins,
    expected_calibration_error,
    reliability,
)

pytestmark = pytest.mark.train

PREDICTED = np.array([0.8, 0.1, 0.9, 0.2])
HITS = np.array([True, False, True, True])


def test_the_error_is_that_worked_out_by_hand() -> None:
    # Lower bin: 0.15 predicted, 0.5 true. Upper bin: 0.85 predicted, 1 true.
    assert expected_calibration_error(PREDICTED, HITS, 2) == pytest.approx((0.35 + 0.15) / 2)


def test_the_diagram_has_the_means_of_each_bin() -> None:
    assert reliability(PREDICTED, HITS, 2) == (
        ReliabilityPoint(predicted=0.15, observed=0.5, rows=2),
        ReliabilityPoint(predicted=0.85, observed=1.0, rows=2),
    )


def test_fifteen_bins_have_the_same_mass() -> None:
    predicted = np.random.default_rng(0).permutation(np.linspace(0, 1, 150))
    assert np.bincount(equal_mass_bins(predicted)).tolist() == [10] * 15


def test_equal_predictions_are_judged_together_in_any_order() -> None:
    predicted, hits = np.full(10, 0.7), np.arange(10) < 7
    assert expected_calibration_error(predicted, hits) == pytest.approx(0)
    assert [point.rows for point in reliability(predicted, hits)] == [10]
