"""Makes an ONNX graph of a model: Optimum, then fusion and the precision that a recipe asks for.

Optimum only warns when its own check of the graph fails, so that check is left out here and
made afterwards, through the classes that ship (`export`).
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.optimizer import optimize_model
from optimum.exporters.onnx import main_export

from jobbatch.settings import ExportRecipe
from jobbatch.training.smoothing import smooth

_EMBEDDING_OPERATORS = ("Gather", "EmbedLayerNormalization")


def make_graph(
    files: Mapping[str, bytes],
    recipe: ExportRecipe,
    samples: Sequence[NDArray[np.int64]],
    workspace: Path,
) -> bytes:
    """Return the content of a single-file ONNX graph.

    Args:
        files: the contents of config.json, which was checked, and model.safetensors.
        recipe: how.
        samples: token ids (n, length) of titles that int8 is prepared with.
        workspace: an empty folder for intermediate files.
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
        if recipe.precision == "int8":
            onnx.save(smooth(onnx.load(path), samples), path)
        if recipe.fuse:
            path = _fused(path, json.loads(files["config.json"]), recipe)
        return _with_precision(path, recipe).read_bytes()


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
    optimised = optimize_model(
        str(path),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=0,
        use_gpu=recipe.target == "cuda",
    )
    optimised.save_model_to_file(str(fused))
    return fused


def _with_precision(path: Path, recipe: ExportRecipe) -> Path:
    makers: dict[str, Callable[[Path, Path, ExportRecipe], None]] = {
        "int8": _quantise,
        "fp16": _halve,
    }
    if recipe.precision not in makers:
        return path
    target = path.with_name("final.onnx")
    makers[recipe.precision](path, target, recipe)
    return target


def _quantise(path: Path, target: Path, recipe: ExportRecipe) -> None:
    operators = ["MatMul", "Attention"]
    if recipe.quantize_embeddings:
        operators += _EMBEDDING_OPERATORS
    quantize_dynamic(
        path,
        target,
        op_types_to_quantize=operators,
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Weights of 7 bits: CPUs without VNNI add two products in 16 bits, which 8 overflow.
        reduce_range=True,
        # Fused operators hide the types of their inputs from shape inference.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def _halve(path: Path, target: Path, recipe: ExportRecipe) -> None:
    del recipe
    half = convert_float_to_float16(onnx.load(path), keep_io_types=True)
    onnx.save(half, target)
