"""Cross-validation: every row is held out once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jobbatch.settings import TrainSettings
from jobbatch.training.crossval import Fold, cross_validate

pytestmark = pytest.mark.train


def test_every_row_is_held_out_once(
    make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    seen: list[Fold] = []
    result = cross_validate(
        make_settings(tmp_path / "out", epochs=1), folds=3, progress=seen.append
    )
    assert tuple(seen) == result.folds
    assert sum(fold.figures.rows for fold in result.folds) == 63
    mean = sum(fold.figures.micro_f1 for fold in result.folds) / 3
    assert result.mean["micro_f1"] == pytest.approx(mean)
    assert result.deviation["micro_f1"] >= 0
    assert not (tmp_path / "out").exists()
