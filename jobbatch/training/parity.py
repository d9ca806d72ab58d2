"""Whether an exported graph answers as its PyTorch model does, through the class that labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from jobbatch.devices import ONNX_FILE
from jobbatch.errors import ModelError, ParityError
from jobbatch.labels import LabelSet
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.scores import DECIMALS
from jobbatch.settings.teaching import ExportRecipe
from jobbatch.training import encoder
from jobbatch.training.evaluation import decide
from jobbatch.training.examples import probabilities
from jobbatch.weights import ModelFolder, write_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How close a graph is to its PyTorch model.

    Attributes:
        device: where the graph ran.
        titles: distinct titles compared.
        largest_difference: of a probability, beyond what rounding to 4 decimals explains.
        changed: titles whose label set differs.
    """

    device: Literal["cpu", "cuda"]
    titles: int
    largest_difference: float
    changed: int


def compare(
    folder: ModelFolder, graph: bytes, recipe: ExportRecipe, keys: Sequence[str], candidate: Path
) -> Parity:
    """Return how close a graph's answers are to those of the folder's PyTorch model.

    Args:
        folder: the model.
        graph: the content of the ONNX file.
        recipe: what the graph is for; without CUDA here, a graph for CUDA runs on the CPU.
        keys: the titles to compare on, distinct.
        candidate: where to make a folder with the graph, opened as labelling opens a model.

    Raises:
        ParityError: if the graph does not run, or not even the canary titles come out right.
    """
    device: Literal["cpu", "cuda"] = recipe.target if torch.cuda.is_available() else "cpu"
    candidate.mkdir()
    for name in ("config.json", "tokenizer.json", "decisions.json"):
        (candidate / name).write_bytes(folder.read(name))
    (candidate / ONNX_FILE[device]).parent.mkdir()
    (candidate / ONNX_FILE[device]).write_bytes(graph)
    write_manifest(candidate, folder.manifest)
    try:
        opened = TitleModel(candidate, OpenOptions(device=device))
        answers = opened.score(keys)["probabilities"].to_numpy().astype(np.float64)
    except ModelError as error:
        raise ParityError(f"the exported graph does not work: {error}") from error
    expected = _expected(folder, keys)
    names = folder.manifest.labels
    sets = [decide(opened.decisions, p, names).hot for p in (expected, answers)]
    difference = float(np.abs(expected - answers).max()) - 0.5 * 10**-DECIMALS
    return Parity(
        device=device,
        titles=len(keys),
        largest_difference=round(max(0.0, difference), 6),
        changed=int((sets[0] != sets[1]).any(axis=1).sum()),
    )


def _expected(folder: ModelFolder, keys: Sequence[str]) -> NDArray[np.float64]:
    options = encoder.EncoderOptions(base=str(folder.path.absolute()), prune_vocabulary=False)
    network = encoder.build(options, LabelSet(folder.manifest.labels), (), seed=0)
    return probabilities(network.model, network.tokens(keys))


def require(parity: Parity, recipe: ExportRecipe) -> None:
    """Check that a graph is as close as its recipe asks.

    Raises:
        ParityError: with the figures, if it is not.
    """
    faults = []
    if not parity.largest_difference <= recipe.max_difference:
        faults.append(
            f"a probability differs by {parity.largest_difference:.5f}, allowed are "
            f"{recipe.max_difference}"
        )
    allowed = recipe.max_changed_share * parity.titles
    if parity.changed > allowed:
        faults.append(
            f"{parity.changed} of {parity.titles} titles get other labels, allowed are "
            f"{int(allowed)}"
        )
    if faults:
        raise ParityError(
            f"the {recipe.precision} graph differs from its PyTorch model: {'; '.join(faults)}. "
            "The model folder is unchanged. A model that is unsure of much changes more: train it "
            "for longer, or export with export/cpu-fp32.toml"
        )
