"""Makes an ONNX graph of a model: Optimum, then fusion and the precision that a recipe asks for.

Optimum only warns when its own check of the graph fails, so that check is left out here and
made afterwards, through the classes that ship (`export`).
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from optimum.exporters.onnx import main_export

from jobbatch.settings.teaching import ExportRecipe
from jobbatch.training import peaks
from jobbatch.training.int8 import quantize


def make_graph(
    files: Mapping[str, bytes],
    recipe: ExportRecipe,
    workspace: Path,
    examples: Iterable[NDArray[np.int64]],
) -> bytes:
    """Return the content of a single-file ONNX graph.

    Args:
        files: the contents of config.json, which was checked, and model.safetensors.
        recipe: how.
        workspace: an empty folder for intermediate files.
        examples: batches of token ids, int64 (n, length), from which int8 takes the scales of what
            layer norms put out; none: each token gets one there too.
    """
    # Optimum gets to see these two files and nothing else of somebody's folder.
    model = workspace / "model"
    model.mkdir()
    for name, content in files.items():
        (model / name).write_bytes(content)
    with _quiet():
        main_export(
            str(model),
            workspace,
            task="text-classification",
            opset=recipe.opset,
            dtype="fp32",
            do_validation=False,
            local_files_only=True,
            library_name="transformers",
        )
        path = workspace / "model.onnx"
        if recipe.fuse:
            path = _fused(path, json.loads(files["config.json"]), recipe)
        return bytes(_with_precision(path, recipe, examples).SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporters say of each other's graphs; the parity check decides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _fused(path: Path, config: dict[str, Any], recipe: ExportRecipe) -> Path:
    fused = path.with_name("fused.onnx")
    options = FusionOptions("bert")
    # What becomes int8 are plain products and look-ups; fused ones hide them.
    options.enable_attention = options.enable_embed_layer_norm = recipe.precision != "int8"
    optimised = optimize_model(
        str(path),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        optimization_options=options,
        opt_level=0,
        use_gpu=recipe.target == "cuda",
    )
    optimised.save_model_to_file(str(fused))
    return fused


def _with_precision(
    path: Path, recipe: ExportRecipe, examples: Iterable[NDArray[np.int64]]
) -> onnx.ModelProto:
    model = onnx.load(path)
    if recipe.precision == "int8":
        known = peaks.of_layer_norms(model, examples)
        return quantize(model, known, embeddings=recipe.quantize_embeddings)
    if recipe.precision == "fp16":
        half: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
        return half
    return model
