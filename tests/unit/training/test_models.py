"""Training a classic model: the folder that comes out of it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from jobbatch.errors import ModelError, UsageError
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.settings.teaching import ExportRecipe, TrainSettings
from jobbatch.weights import ModelFolder

if TYPE_CHECKING:
    from jobbatch.training.train_report import TrainReport

pytestmark = pytest.mark.train

Make = Callable[..., TrainSettings]
Trained = tuple[Path, "TrainReport"]


@pytest.fixture(scope="module")
def classic_settings(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """Return settings for the table of our own titles, one of them known to have no label."""
    nobody = pl.DataFrame({"Job Title": ["Zzz"], "Column 1": ["none"], "Column 2": [None]})
    folder = tmp_path_factory.mktemp("classic")
    pl.concat([pl.read_csv(labelled), nobody], how="vertical_relaxed").write_csv(folder / "own.csv")
    return TrainSettings(
        out=folder / "quick",
        data=(folder / "own.csv",),
        model_type="classic",
        validation_share=0.2,
    )


@pytest.fixture(scope="module")
def made(classic_settings: TrainSettings) -> Trained:
    """Return the model folder, not to be changed, and the report."""
    from jobbatch.training.train import train

    return classic_settings.out, train(classic_settings)


def test_the_folder_is_whole_and_says_what_it_is(made: Trained) -> None:
    folder = ModelFolder(made[0])
    folder.verify()
    assert set(folder.manifest.files) == {
        "README.md",
        "config.json",
        "decisions.json",
        "metrics.json",
        "model.safetensors",
        "onnx/model_int8.onnx",
        "tokenizer.json",
        "train.toml",
    }
    assert "scikit-learn" in folder.manifest.versions
    assert "torch" not in folder.manifest.versions
    card = folder.read("README.md").decode()
    assert "tf-idf of character n-grams" in card
    assert "base_model" not in card
    assert b'model_type = "classic"' in folder.read("train.toml")


def test_the_folder_opens_at_once_and_answers_as_what_was_measured(made: Trained) -> None:
    opened = TitleModel(made[0], OpenOptions(device="cpu"))
    canaries = opened.folder.manifest.canaries
    titles = pl.DataFrame({"title": [c.title for c in canaries]})
    keys = titles.select(opened.normaliser.key("title")).to_series().to_list()
    expected = np.array([c.probabilities for c in canaries])
    got = opened.score(keys)["probabilities"].to_numpy()
    assert got == pytest.approx(expected, abs=1e-4)


def test_a_second_training_gives_the_same_model(
    made: Trained, classic_settings: TrainSettings, tmp_path: Path
) -> None:
    from jobbatch.training.train import train

    report = train(replace(classic_settings, out=tmp_path / "again"))
    assert report.test == made[1].test
    for name in ("model.safetensors", "onnx/model_int8.onnx", "decisions.json", "metrics.json"):
        assert ModelFolder(tmp_path / "again").read(name) == ModelFolder(made[0]).read(name), name


def test_the_report_has_the_families_and_the_next_step(made: Trained) -> None:
    out, report = made
    lines = report.summary_lines()
    assert any("logistic regression" in line for line in lines)
    assert lines[-1] == f"next: jobbatch label INPUT OUTPUT --model {out}"
    assert not any("tensorboard" in line for line in lines)
    assert json.loads(json.dumps(report.to_json_dict()))["out"] == str(out)
    families = json.loads((out / "metrics.json").read_text())["families"]
    assert {f["label"] for f in families if f["chosen"]} == {
        "Owner",
        "Manager",
    }
    work = {path.name for path in out.with_name("quick.work").iterdir()}
    assert work == {"report.html", "report.json"}


def test_it_has_nothing_to_export(made: Trained, fp32_recipe: ExportRecipe) -> None:
    from jobbatch.training.export import export_onnx

    with pytest.raises(UsageError, match="nothing to export"):
        export_onnx(made[0], fp32_recipe)


def test_it_is_no_base_for_an_encoder(made: Trained) -> None:
    from jobbatch.training.bases import open_base

    with pytest.raises(ModelError, match="only 'roberta' can be trained"):
        open_base(str(made[0]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "minilm", "layers": 2}, "leave out --base, --layers"),
        ({"device": "cuda"}, "leave out --device cuda"),
        ({"context": ("team",)}, "leave out --context"),
    ],
)
def test_what_only_an_encoder_has_is_refused(
    classic_settings: TrainSettings, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    from jobbatch.training.train import train

    asked = replace(classic_settings, out=tmp_path / "other", **changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=said):
        train(asked)
    assert not (tmp_path / "other").exists()
