r"""Whether every fast path answers as PyTorch does in fp32, on many titles.

    python benchmarks/quality/parity.py titles.parquet --output benchmarks/quality/results/parity.json

The graphs are those of the recipes in export/, run on the CPU: int8 and fp32, and the one for CUDA in
fp16. Each also answers with its titles in other batches.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import inputs
from jobbatch import model as model_module
from jobbatch.devices import ONNX_FILE
from jobbatch.labels import LabelSet
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.training import encoder, labelled_table
from jobbatch.training.evaluation import decide
from jobbatch.training.examples import probabilities
from jobbatch.training.folder import versions
from jobbatch.weights import ModelFolder, default_model

LIBRARIES = ("jobbatch", "torch", "transformers", "onnxruntime", "numpy")
BUDGETS = (128, 512, 4_096)
"""Tokens of a batch: the second is what labelling takes."""

Floats = NDArray[np.float64]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("titles", type=Path, help="table of titles")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    folder = ModelFolder(default_model())
    keys = labelled_table.read_keys(options.titles, folder.manifest.normaliser)
    drawn = pl.Series(keys).sample(options.count, seed=0, shuffle=True).sort().to_list()
    found: dict[str, Any] = {"titles": len(drawn), "versions": versions(LIBRARIES), "paths": {}}
    expected = _pytorch(folder, drawn)
    for name in ("cpu-int8", "cpu-fp32", "cuda-fp16"):
        found["paths"][name] = _compare(folder, name, drawn, expected)
        print(name, json.dumps(found["paths"][name]), flush=True)
    options.output.write_text(json.dumps(found, indent=1) + "\n")


def _pytorch(folder: ModelFolder, keys: Sequence[str]) -> Floats:
    options = encoder.EncoderOptions(base=str(folder.path), prune_vocabulary=False)
    network = encoder.build(options, LabelSet(folder.manifest.labels), (), seed=0)
    return probabilities(network.model, network.tokens(keys))


def _compare(
    folder: ModelFolder, recipe: str, keys: Sequence[str], expected: Floats
) -> dict[str, float]:
    # As the recipe says, but for the CPU: what differs there is the precision.
    asked = replace(inputs.recipe(recipe), target="cpu")
    with tempfile.TemporaryDirectory() as workspace:
        copy = Path(workspace) / "model"
        inputs.copy_model(folder.path, copy, {ONNX_FILE["cpu"]: asked})
        opened = [_opened(copy, budget) for budget in BUDGETS]
        answers = [m.score(keys)["probabilities"].to_numpy().astype(np.float64) for m in opened]
    names = folder.manifest.labels
    right = decide(opened[0].decisions, expected, names).hot
    sets = [decide(opened[0].decisions, a, names).hot for a in answers]
    usual = BUDGETS.index(512)
    others = [i for i in range(len(BUDGETS)) if i != usual]
    return {
        "changed_share": round(float((sets[usual] != right).any(1).mean()), 6),
        "largest_difference": round(float(np.abs(answers[usual] - expected).max()), 6),
        "other_batches_changed_share": max(
            round(float((sets[i] != sets[usual]).any(1).mean()), 6) for i in others
        ),
        "other_batches_largest_difference": max(
            round(float(np.abs(answers[i] - answers[usual]).max()), 8) for i in others
        ),
    }


def _opened(path: Path, budget: int) -> TitleModel:
    model_module.TOKEN_BUDGETS["cpu"] = (budget,)
    return TitleModel(path, OpenOptions(device="cpu"))


if __name__ == "__main__":
    main()
