"""Exporting with the recipes that ship, in a process that says nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jobbatch.weights import ModelFolder
from tests import tinymodel

pytest.importorskip("torch")
pytestmark = pytest.mark.train

RECIPES = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))
CODE = """
import json, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training.export import export_onnx, load_recipe
from jobbatch.training.train import train
model = Path("model")
train(TrainSettings(data=(Path("labelled.csv"),), out=model, base="base", epochs=12, batch_size=8,
      learning_rate=0.003, validation_share=0.2, device="cpu"))
reports = [export_onnx(model, load_recipe(Path(path))).to_json_dict() for path in sys.argv[1:]]
print(json.dumps(reports))
"""


def test_every_recipe_loads() -> None:
    from jobbatch.training.export import load_recipe

    assert len(RECIPES) == 3
    for path in RECIPES:
        assert load_recipe(path).parity_titles.is_file()


def test_the_shipped_recipes_export_quietly(tmp_path: Path) -> None:
    tinymodel.build_base(tmp_path / "base")
    tinymodel.own_titles().write_csv(tmp_path / "labelled.csv")
    # Random weights sit close to 0.5, where int8 flips labels: only fp32 and fp16 here.
    recipes = [str(path) for path in RECIPES if "int8" not in path.name]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *recipes],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    files = [report["file"] for report in json.loads(done.stdout)]
    assert files == ["onnx/model_int8.onnx", "onnx/model_fp16.onnx"]
    folder = ModelFolder(tmp_path / "model")
    folder.verify()
    assert set(files) <= set(folder.manifest.files)
