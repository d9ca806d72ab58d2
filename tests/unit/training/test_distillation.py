"""Distillation: a student that an ensemble teaches with titles nobody labelled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobbatch.errors import UsageError
from jobbatch.settings.teaching import TrainSettings
from jobbatch.weights import ModelFolder
from tests import tinymodel

pytestmark = pytest.mark.train


@pytest.fixture
def settings(
    make_settings: Callable[..., TrainSettings], tmp_path: Path
) -> Callable[..., TrainSettings]:
    """Return a maker of settings with a table of titles without labels."""
    frame = tinymodel.own_titles().select("Job Title")
    things = frame.with_columns(frame["Job Title"].str.replace("Moss|Kite|Tunnel", "Paper"))
    things.write_csv(tmp_path / "unlabelled.csv")

    def make(**changes: object) -> TrainSettings:
        fields = {"model_type": "distilled", "unlabelled": tmp_path / "unlabelled.csv"}
        return make_settings(tmp_path / "taught", **(fields | {"epochs": 6} | changes))

    return make


def test_the_folder_says_how_the_student_was_made(settings: Callable[..., TrainSettings]) -> None:
    from jobbatch.training.train import train

    report = train(settings())
    folder = ModelFolder(report.out)
    folder.verify()
    metrics = json.loads(folder.read("metrics.json"))
    assert metrics["ensemble"]["pseudo_titles"] == 7  # one pattern each, with paper
    assert set(metrics["ensemble"]["encoder_shares"]) == set(folder.manifest.labels)
    assert len(metrics["teacher"]["epochs"]) == len(metrics["fit"]["epochs"]) == 6
    lines = "\n".join(report.summary_lines())
    assert "teacher: kept epoch" in lines
    assert "student: kept epoch" in lines
    assert "7 titles labelled by the ensemble" in lines
    assert not list(report.work.rglob("epoch-*"))


def test_it_needs_titles_without_labels(settings: Callable[..., TrainSettings]) -> None:
    from jobbatch.training.train import train

    with pytest.raises(UsageError, match="--unlabelled"):
        train(settings(unlabelled=None))


def test_it_needs_titles_that_the_data_do_not_have(
    settings: Callable[..., TrainSettings], labelled: Path
) -> None:
    from jobbatch.training.train import train

    with pytest.raises(UsageError, match="no titles there to teach with"):
        train(settings(unlabelled=labelled))


def test_what_a_teacher_labelled_is_learned(tiny_base: Path) -> None:
    import numpy as np

    from jobbatch.labels import LabelSet
    from jobbatch.training import encoder
    from jobbatch.training.examples import Examples
    from jobbatch.training.fitting import fit

    options = encoder.EncoderOptions(base=str(tiny_base), prune_vocabulary=False)
    network = encoder.build(options, LabelSet(("a", "b")), (), seed=0)

    def examples(keys: list[str], targets: list[list[float]]) -> Examples:
        return Examples(tokens=network.tokens(keys), targets=np.array(targets))

    labelled = examples(["moss", "kite"] * 8, [[1, 0], [0, 1]] * 8)
    taught = examples(["puzzle", "teapot"] * 40, [[0.9, 0.1], [0.1, 0.9]] * 40)
    fields = TrainSettings(
        out=Path("unused"), epochs=20, patience=20, batch_size=8, learning_rate=3e-3, device="cpu"
    )
    fit(network, labelled, labelled, fields, taught=taught)
    said = network.probabilities(["puzzle", "teapot"])
    assert said == pytest.approx(np.array([[0.9, 0.1], [0.1, 0.9]]), abs=0.2)
