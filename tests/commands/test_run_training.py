"""`jobbatch run` of the jobs that need the extra `train`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import tinymodel
from tests.commands.ran import Command

pytest.importorskip("torch")
pytestmark = pytest.mark.train

TRAIN = """
[job]
command = "train"

[train]
data = ["../data/labelled.csv"]
out = "../weights/quick"
model_type = "classic"
validation_share = 0.2
"""
EVALUATE = """
[job]
command = "evaluate"

[evaluate]
data = ["../data/labelled.csv"]
model = "../weights/quick"
out = "../report"
"""
EXPORT = """
[job]
command = "export-onnx"

[export-onnx]
model = "../weights/quick"
recipe = "recipe.toml"
"""
RECIPE = """
target = "cpu"
precision = "fp32"
parity_titles = "titles.txt"
max_difference = 0.01
max_changed_share = 0.01
"""


@pytest.fixture
def jobs(environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a job for each command, with paths relative to their folder."""
    del environment
    monkeypatch.delenv("JOBBATCH_MODEL")  # which beats a job file
    folder = tmp_path / "jobs"
    folder.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "weights").mkdir()
    tinymodel.own_titles().write_csv(tmp_path / "data" / "labelled.csv")
    for name, text in (("train", TRAIN), ("evaluate", EVALUATE), ("export", EXPORT)):
        (folder / f"{name}.toml").write_text(text)
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "titles.txt").write_text("Moss Shed Clerk\n")
    return folder


def manifest(jobs: Path, name: str) -> dict[str, Any]:
    return json.loads(max((jobs / f"{name}.runs").glob("*.json")).read_bytes())


def names(states: list[dict[str, Any]]) -> list[str]:
    return [Path(state["path"]).name for state in states]


def test_a_model_is_trained_measured_and_exported_by_jobs(
    command: Command, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    ran = command("run", jobs / "train.toml")
    assert (ran.code, ran.out) == (0, "")
    assert "test: micro-F1" in ran.err
    run = manifest(jobs, "train")
    assert names(run["inputs"]) == ["labelled.csv"]
    assert names(run["outputs"]) == ["manifest.json"]
    assert run["counts"]["rows"] == 63
    assert run["label_shares"]["Owner"] == pytest.approx(2 / 7, abs=1e-4)
    assert "exact match" in command("run", jobs / "evaluate.toml").err
    run = manifest(jobs, "evaluate")
    assert names(run["inputs"]) == ["labelled.csv", "manifest.json"]
    assert 0 < run["figures"]["exact_match"] <= 1
    assert (jobs.parent / "report" / "report.html").exists()
    ran = command("run", jobs / "export.toml")
    assert ran.code == 2  # the folder and the recipe are found; only is this model's graph there
    assert "is a classic model" in ran.err
    assert names(manifest(jobs, "export")["inputs"]) == ["recipe.toml", "model.safetensors"]


def test_a_base_may_be_a_folder_beside_the_job_or_a_name(jobs: Path) -> None:
    from jobbatch.jobs import load

    (jobs / "base").mkdir()
    for base, means in (("base", str(jobs / "base")), ("minilm", "minilm")):
        text = TRAIN.replace('model_type = "classic"', f'base = "{base}"')
        (jobs / "train.toml").write_text(text)
        assert load(jobs / "train.toml").settings.base == means  # type: ignore[union-attr]


def test_a_job_replaces_its_own_output(jobs: Path) -> None:
    from jobbatch.jobs import load

    for name in ("train", "evaluate"):
        assert load(jobs / f"{name}.toml").settings.overwrite is True  # type: ignore[union-attr]
