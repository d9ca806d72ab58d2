"""Distinct new titles a second, of jobbatch and of what people use instead, with the same weights.

Each way gets as many titles as it needs for some seconds of work; all ways of a model take turns.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import polars as pl

from benchmarks import inputs
from benchmarks.measure import timed
from jobbatch.devices import ONNX_FILE
from jobbatch.weights import default_model

FP32 = "model.onnx"
"""The graph for Optimum's pipeline."""
BATCH = 64
"""Titles in a batch of the pipelines; they were fastest with 32 to 128."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A model to measure with, and the titles that each way gets."""

    name: str
    layers: int
    width: int
    seed_titles: int
    peer_titles: int
    own_titles: int


SIZES = (
    Size(name="12x768", layers=12, width=768, seed_titles=32, peer_titles=256, own_titles=16_384),
    Size(name="6x384", layers=6, width=384, seed_titles=128, peer_titles=1_024, own_titles=60_000),
)
SHIPPED = Size(
    name="shipped", layers=3, width=384, seed_titles=256, peer_titles=2_048, own_titles=100_000
)

Way = Callable[[], float]
"""Scores some titles and returns how many a second."""


def measure(rounds: int, sizes: Sequence[Size] = (*SIZES, SHIPPED)) -> dict[str, Any]:
    """Return titles a second of every way and size, and what the machine could do at most."""
    import torch  # noqa: PLC0415 - takes seconds, and only this suite needs it

    torch.set_num_threads(os.cpu_count() or 1)
    limits = _limits()
    found: dict[str, Any] = {"limits": limits, "models": {}}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            model = _folder(size, Path(folder))
            ways = _ways(size, model, Path(folder))
            for way in ways.values():
                way()
            rates: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    rates[name].append(round(way(), 1))
                    print(f"    {size.name}, {name}: {rates[name][-1]:,.0f}/s", flush=True)
            found["models"][size.name] = _summary(size, model, rates, limits)
    return found


def _summary(
    size: Size, model: Path, rates: dict[str, list[float]], limits: dict[str, float]
) -> dict[str, Any]:
    tokens = _tokens_per_title(model, size.own_titles)
    operations = 2 * 12 * size.layers * size.width**2 * tokens
    own = median(rates["jobbatch"])
    return {
        "titles_per_second": rates,
        "ratio": {name: round(own / median(r), 2) for name, r in rates.items()},
        "tokens_per_title": round(tokens, 2),
        "gop_per_title": round(operations / 1e9, 4),
        "share_of_peak": {
            name: round(own * operations / 1e9 / limit, 3) for name, limit in limits.items()
        },
    }


def _folder(size: Size, folder: Path) -> Path:
    if size.name != "shipped":
        graphs = {ONNX_FILE["cpu"]: inputs.recipe("cpu-int8"), FP32: inputs.recipe("cpu-fp32")}
        return inputs.random_model(folder / size.name, size.layers, size.width, graphs)
    return inputs.copy_model(default_model(), folder / "shipped", {FP32: inputs.recipe("cpu-fp32")})


def _ways(size: Size, model: Path, folder: Path) -> dict[str, Way]:
    own = inputs.fresh_titles(size.own_titles)
    source = folder / "people.parquet"
    pl.DataFrame({inputs.TITLE: own}).write_parquet(source)
    return {
        "jobbatch": lambda: whole_job(model, source, "cpu"),
        "seed: padded to 128, batches of 32, PyTorch": _seed(model, own[: size.seed_titles]),
        "transformers pipeline": _pipeline(model, own[: size.peer_titles]),
        "Optimum pipeline, ONNX Runtime fp32": _optimum(model, own[: size.peer_titles]),
        "sentence-transformers encode": _sentences(model, own[: size.peer_titles]),
    }


def whole_job(model: Path, source: Path, device: Literal["cpu", "cuda"]) -> float:
    """Label a table with an empty score store, from opening the model to the published file.

    Returns:
        new titles a second.
    """
    from jobbatch import LabelSettings, label_file  # noqa: PLC0415

    with tempfile.TemporaryDirectory(dir=source.parent) as run:
        settings = LabelSettings(
            input=source,
            output=Path(run) / "out.parquet",
            model=str(model),
            cache_dir=Path(run),
            device=device,
        )
        started = time.perf_counter()
        report = label_file(settings)
        seconds = time.perf_counter() - started
    # What is no title, such as a number, is not scored.
    return report.new_titles / seconds


def _seed(model: Path, titles: Sequence[str]) -> Way:
    import torch  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        AutoModelForSequenceClassification,
        AutoTokenizer,
    )

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()

    def way() -> float:
        started = time.perf_counter()
        with torch.no_grad():
            for start in range(0, len(titles), 32):
                batch = tokenizer(
                    list(titles[start : start + 32]),
                    padding="max_length",
                    truncation=True,
                    max_length=128,
                    return_tensors="pt",
                )
                torch.sigmoid(
                    network(
                        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                    ).logits
                ).numpy()
        return len(titles) / (time.perf_counter() - started)

    return way


def _pipeline(model: Path, titles: Sequence[str]) -> Way:
    from transformers import pipeline  # noqa: PLC0415

    made = pipeline("text-classification", str(model), top_k=None, function_to_apply="sigmoid")
    return timed(lambda: made(list(titles), batch_size=BATCH), len(titles))


def _optimum(model: Path, titles: Sequence[str]) -> Way:
    from optimum.onnxruntime import ORTModelForSequenceClassification  # noqa: PLC0415
    from transformers import AutoTokenizer, pipeline  # noqa: PLC0415

    network = ORTModelForSequenceClassification.from_pretrained(model, file_name=FP32)
    made = pipeline(
        "text-classification",
        network,
        tokenizer=AutoTokenizer.from_pretrained(model),
        top_k=None,
        function_to_apply="sigmoid",
    )
    return timed(lambda: made(list(titles), batch_size=BATCH), len(titles))


def _sentences(model: Path, titles: Sequence[str]) -> Way:
    from sentence_transformers import SentenceTransformer, models  # noqa: PLC0415

    body = models.Transformer(str(model))
    made = SentenceTransformer(
        modules=[body, models.Pooling(body.get_embedding_dimension())], device="cpu"
    )
    return timed(lambda: made.encode(list(titles), batch_size=BATCH), len(titles))


def _tokens_per_title(model: Path, n_titles: int) -> float:
    from jobbatch.titles import Normaliser  # noqa: PLC0415
    from jobbatch.tokenizer import TitleTokenizer  # noqa: PLC0415

    raw = pl.DataFrame({"t": inputs.fresh_titles(n_titles)})
    keys = raw.select(Normaliser().key("t")).to_series().unique().to_list()
    tokenizer = TitleTokenizer((model / "tokenizer.json").read_bytes())
    return float(tokenizer.encode(keys).lengths.mean())


def _limits() -> dict[str, float]:
    """Return billions of operations a second of square products, all cores together."""
    import onnxruntime  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from onnx import TensorProto, helper  # noqa: PLC0415

    n = 2_048
    ints = torch.randint(-60, 60, (n, n), dtype=torch.int8)
    floats = torch.randn(n, n)
    node = helper.make_node("MatMulInteger", ["a", "b"], ["c"])
    graph = helper.make_graph(
        [node],
        "product",
        [
            helper.make_tensor_value_info("a", TensorProto.UINT8, [n, n]),
            helper.make_tensor_value_info("b", TensorProto.INT8, [n, n]),
        ],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [n, n])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    fed = {"a": np.full((n, n), 7, np.uint8), "b": ints.numpy()}
    ways: dict[str, Callable[[], object]] = {
        "int8, torch._int_mm": lambda: torch._int_mm(ints, ints),
        "int8, ONNX Runtime's MatMulInteger": lambda: session.run(None, fed),
        "fp32, PyTorch": lambda: floats @ floats,
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(10):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            best[name] = max(best[name], 2 * n**3 / 1e9 / (time.perf_counter() - started))
    return {name: round(rate, 1) for name, rate in best.items()}
