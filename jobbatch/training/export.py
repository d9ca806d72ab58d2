"""Adds an ONNX graph to a model folder, once it was shown to answer as the PyTorch model does.

The graph is checked on the recipe's titles through the very class that labels, in a candidate
folder of its own. A graph that fails leaves nothing behind; one that passes arrives together
with its manifest, by exchanging the whole folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from jobbatch import config
from jobbatch.devices import ONNX_FILE
from jobbatch.errors import UsageError
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import ExportRecipe
from jobbatch.training import peaks
from jobbatch.training.classic import MODEL_TYPE
from jobbatch.training.folder import versions
from jobbatch.training.graph import make_graph
from jobbatch.training.parity import Parity, compare, require
from jobbatch.training.safety import architecture
from jobbatch.training.staging import recover, staged_folder
from jobbatch.weights import ModelFolder, write_manifest

LIBRARIES = ("optimum", "optimum-onnx", "onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was added to the folder.

    Attributes:
        model: the folder.
        file: the graph, relative to it.
        bytes: its size.
        precision: of its weights.
        target: the device that it is for.
        parity: how close it is.
        seconds: spent.
    """

    model: Path
    file: str
    bytes: int
    precision: str
    target: str
    parity: Parity
    seconds: float

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self) | {"model": str(self.model)}

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        parity = self.parity
        lines = [
            f"{self.model / self.file}: {self.precision}, {self.bytes / 2**20:.1f} MiB",
            f"against PyTorch on {parity.titles:,} titles:",
            f"  probabilities differ by at most {parity.largest_difference:.5f}",
            f"  {parity.changed:,} label sets changed",
        ]
        if parity.device != self.target:
            lines.append(f"checked on the {parity.device}: there is no {self.target} device here")
        return lines


def load_recipe(path: Path) -> ExportRecipe:
    """Return the recipe in a TOML file; its paths start from the file's folder.

    Raises:
        UsageError: naming every fault.
    """
    values = config.load_toml(path)
    recipe = config.from_mapping(
        ExportRecipe, values, where=str(path), relative_to=path.absolute().parent
    )
    fitting = {"cpu": ("fp32", "int8"), "cuda": ("fp32", "fp16")}
    if recipe.precision not in fitting[recipe.target]:
        raise UsageError(
            f"{path}: {recipe.precision} does not run, or not well, on target {recipe.target}; "
            f"choose {' or '.join(fitting[recipe.target])}"
        )
    return recipe


def export_onnx(model: Path, recipe: ExportRecipe) -> ExportReport:
    """Add the graph that the recipe describes to a model folder.

    Args:
        model: the folder; it stays as it was unless the graph passes.
        recipe: what to make and how close it must be.

    Raises:
        ModelError: if the folder is not whole, or its config.json is refused.
        ParityError: if the graph differs by more than the recipe allows.
        UsageError: if the recipe's titles cannot be read, or the model is a classic one.
        LockedError: if another run works on the folder.
    """
    started = time.monotonic()
    titles = _titles(recipe.parity_titles)
    with exclusive(model), tempfile.TemporaryDirectory() as temporary:
        workspace = Path(temporary)
        recover(model)
        folder = ModelFolder(model)
        folder.verify()
        files = {name: folder.read(name) for name in ("config.json", "model.safetensors")}
        _refuse_classic(files["config.json"], model)
        architecture(files["config.json"], str(model))
        keys = _keys(folder, titles)
        graph = make_graph(files, recipe, workspace, _examples(folder))
        parity = compare(folder, graph, recipe, keys, workspace / "candidate")
        require(parity, recipe)
        file = ONNX_FILE[recipe.target]
        _publish(folder, file, graph, recipe, parity)
    return ExportReport(
        model=model,
        file=file,
        bytes=len(graph),
        precision=recipe.precision,
        target=recipe.target,
        parity=parity,
        seconds=round(time.monotonic() - started, 2),
    )


def _examples(folder: ModelFolder) -> Iterable[NDArray[np.int64]]:
    if folder.manifest.context:
        return ()  # which can be any text: its channels may get larger than those of titles
    return peaks.own_titles(folder.read("tokenizer.json"), folder.manifest.normaliser)


def _refuse_classic(config: bytes, model: Path) -> None:
    if json.loads(config).get("model_type") == MODEL_TYPE:
        raise UsageError(
            f"{model} is a classic model: its graph, {ONNX_FILE['cpu']}, came with it and is for "
            "the CPU. There is nothing to export"
        )


def _titles(path: Path) -> pl.DataFrame:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe's parity_titles {path} cannot be read: {error}") from error
    titles = [line for line in lines if line.strip()]
    if not titles:
        raise UsageError(f"the recipe's parity_titles {path} has no titles")
    return pl.DataFrame({"title": titles})


def _keys(folder: ModelFolder, titles: pl.DataFrame) -> list[str]:
    keys = titles.select(folder.manifest.normaliser.key("title")).to_series()
    return [str(key) for key in keys.unique().sort()]


def _publish(
    folder: ModelFolder, file: str, graph: bytes, recipe: ExportRecipe, parity: Parity
) -> None:
    with staged_folder(folder.path) as staged:
        shutil.copytree(folder.path, staged, symlinks=True, dirs_exist_ok=True)
        (staged / file).parent.mkdir(exist_ok=True)
        (staged / file).write_bytes(graph)
        _note(staged / "metrics.json", file, recipe, parity)
        known = {**folder.manifest.versions, **versions(LIBRARIES)}
        write_manifest(staged, replace(folder.manifest, versions=known))


def _note(metrics: Path, file: str, recipe: ExportRecipe, parity: Parity) -> None:
    figures = json.loads(metrics.read_bytes()) if metrics.is_file() else {}
    exported = {"precision": recipe.precision, "fused": recipe.fuse, **asdict(parity)}
    figures["onnx"] = figures.get("onnx", {}) | {file: exported}
    text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
    metrics.write_text(text, encoding="utf-8")
