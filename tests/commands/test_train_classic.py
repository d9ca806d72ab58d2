"""`train --model classic`, and its folder where nothing of training is installed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from jobbatch.settings.teaching import TrainSettings
from tests import tinymodel
from tests.commands.ran import Command

pytest.importorskip("torch")
pytestmark = pytest.mark.train

HEAVY = ("torch", "transformers", "optimum", "sklearn", "scipy", "onnx", "safetensors", "joblib")
LIGHT = f"import sys\nsys.modules.update(dict.fromkeys({HEAVY!r}))\n"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the table of our own titles."""
    path = tmp_path_factory.mktemp("data") / "labelled.csv"
    tinymodel.own_titles().write_csv(path)
    return path


@pytest.fixture(scope="module")
def model(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a classic model."""
    from jobbatch.training.train import train

    out = tmp_path_factory.mktemp("weights") / "quick"
    train(TrainSettings(out=out, data=(labelled,), model_type="classic", validation_share=0.2))
    return str(out)


def test_its_folder_labels_without_anything_of_training(jobbatch: Command, model: str) -> None:
    Path("people.csv").write_text("id,Job Title\n1,Chief Anvil Officer\n2,\n3,Anvil Shed Clerk\n")
    arguments = ("people.csv", "out.csv", "--model", model, "--device", "cpu")
    ran = jobbatch("label", *arguments, patch=LIGHT)
    assert ran.code == 0, ran.err
    labels = pl.read_csv("out.csv")["labels"].fill_null("").to_list()
    assert labels == ["Chief Officer", "", "Individual Contributor/Staff"]


def test_its_folder_predicts_titles_of_every_shape(jobbatch: Command, model: str) -> None:
    titles = ["Owner, Gong Shed", "q", "шеф-повар", "Kite " * 60, ""]
    ran = jobbatch("predict", *titles, "--model", model, "--json", patch=LIGHT)
    assert ran.code == 0, ran.err
    answers = json.loads(ran.out)["answers"]
    assert answers[0]["labels"] == ["Owner"]
    assert answers[3]["review_reason"] == "truncated"
    assert answers[4]["review_reason"] == "empty title"


def test_the_command_makes_it_whatever_model_labels_by_default(
    jobbatch: Command, labelled: Path
) -> None:
    ran = jobbatch("train", str(labelled), "--model", "classic", "--out", "quick")
    assert ran.code == 0, ran.err
    assert "logistic regression" in ran.err
    assert "jobbatch label INPUT OUTPUT --model quick" in ran.err
    assert Path("quick/onnx/model_int8.onnx").is_file()


def test_a_model_of_neither_kind_is_refused(jobbatch: Command, labelled: Path) -> None:
    ran = jobbatch("train", str(labelled), "--model", "forest", "--out", "quick")
    assert ran.code == 2
    assert "'forest' is none of encoder, classic" in ran.err
