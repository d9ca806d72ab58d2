"""Builds, checks and times everything that runs on a GPU, in one command of some minutes.

    python -m benchmarks.gpu --onnxruntime FOLDER --output gpu.json

FOLDER is an unpacked onnxruntime-gpu, for a machine on which it is not installed; with none, the
installed one is taken. `--device cpu --quick` goes through the same steps on a machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks import inputs
from benchmarks.measure import timed
from benchmarks.scoring import Way, whole_job
from jobbatch import batches
from jobbatch.classifier import Classifier
from jobbatch.devices import ONNX_FILE, PROVIDERS, onnx_runtime, usable_cores
from jobbatch.model import CALLERS_PER_GPU, TOKEN_BUDGETS, OpenOptions, TitleModel
from jobbatch.settings.teaching import ExportRecipe
from jobbatch.titles import Normaliser
from jobbatch.tokenizer import TitleTokenizer, TokenIds
from jobbatch.training.folder import versions
from jobbatch.training.parity import compare
from jobbatch.weights import ModelFolder, default_model

LIBRARIES = ("torch", "transformers", "optimum", "onnx", "numpy", "polars", "tokenizers")
PADDED = 128
"""Tokens that the seed pads every title to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model to measure with, and the titles that each way gets: some tenths of a second's work.

    The whole job has two seconds of start-up, and gets some seconds' work.
    """

    name: str
    layers: int
    width: int
    job_titles: int
    titles: int
    pipeline_titles: int
    seed_titles: int
    parity_titles: int


PLANS = (
    Plan(
        name="shipped",
        layers=3,
        width=384,
        job_titles=700_000,
        titles=200_000,
        pipeline_titles=8_192,
        seed_titles=8_192,
        parity_titles=9_000,
    ),
    Plan(
        name="12x768",
        layers=12,
        width=768,
        job_titles=700_000,
        titles=50_000,
        pipeline_titles=4_096,
        seed_titles=4_096,
        parity_titles=1_000,
    ),
)

Kind = Literal["cpu", "cuda"]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--onnxruntime", type=Path, help="folder of an unpacked onnxruntime-gpu")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", nargs="*", choices=[plan.name for plan in PLANS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the titles")
    options = parser.parse_args()
    if options.onnxruntime:
        sys.path.insert(0, str(options.onnxruntime))
    found: dict[str, Any] = {"machine": _machine(options.device), "models": {}}
    found["limits"] = _limits(options.device)
    _show(found)
    for plan in PLANS:
        if options.only and plan.name not in options.only:
            continue
        small = {
            name: max(64, getattr(plan, name) // 100)
            for name in ("job_titles", "titles", "pipeline_titles", "seed_titles", "parity_titles")
        }
        chosen = replace(plan, **small) if options.quick else plan
        with tempfile.TemporaryDirectory() as folder:
            model = found["models"][plan.name] = {}
            for part in _measure(chosen, Path(folder), options.device, options.rounds):
                # A run that is cut off keeps what it has.
                model |= part
                options.output.write_text(json.dumps(found, indent=1) + "\n")
    _show(found)


def _machine(device: Kind) -> dict[str, Any]:
    runtime = onnx_runtime()
    card = torch.cuda.get_device_name() if device == "cuda" else "none"
    return {
        "card": card,
        "cores": usable_cores(),
        "python": platform.python_version(),
        "versions": versions(LIBRARIES) | {"onnxruntime": runtime.__version__},
    }


def _limits(device: Kind) -> dict[str, float]:
    """Return the best rates of square products, in TFLOP/s."""
    n = 8_192 if device == "cuda" else 512
    found: dict[str, float] = {}
    for name, dtype in (("fp16", torch.float16), ("fp32 (TF32)", torch.float32)):
        torch.backends.cuda.matmul.allow_tf32 = True
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        rates = []
        for _ in range(10):
            seconds = _seconds(lambda a=a, b=b: a @ b, device)  # type: ignore[misc]
            rates.append(2 * n**3 / seconds / 1e12)
        found[name] = round(max(rates), 1)
    return found


def _seconds(work: Callable[[], object], device: Kind) -> float:
    started = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _measure(plan: Plan, folder: Path, device: Kind, rounds: int) -> Iterator[dict[str, Any]]:
    half, full = _folders(plan, folder, device)
    keys = _keys(plan.titles)
    tokenizer = TitleTokenizer((half / "tokenizer.json").read_bytes())
    tokenised = [timed(lambda: tokenizer.encode(keys), len(keys))() for _ in range(3)]
    tokens = tokenizer.encode(keys)
    gflop = _flop(plan, tokens) / len(keys) / 1e9
    yield {
        "titles": len(keys),
        "tokens_per_title": round(tokens.flat.size / len(keys), 2),
        "gflop_per_title": round(gflop, 4),
        "tokenised_per_second": round(max(tokenised)),
        "parity": _parity(half, plan, device, folder),
    }
    rates: dict[str, list[float]] = {}
    used = _used_mib(device)
    ways = _own_ways(plan, folder, half, full, tokens, device)
    _run(ways, rates, rounds)
    yield _rates(rates, gflop) | {"card_mib_of_all_own_sessions": _used_mib(device) - used}
    del ways
    _run(_budgets(half, tokens, device), rates, rounds)
    yield _rates(rates, gflop)
    for peers in _peers(plan, half, keys, tokens, device):
        _run(peers, rates, rounds)
        yield _rates(rates, gflop)


def _rates(rates: dict[str, list[float]], gflop: float) -> dict[str, Any]:
    done = {name: found for name, found in rates.items() if found}
    return {
        "titles_per_second": done,
        "tflops": {name: round(median(r) * gflop / 1e3, 1) for name, r in done.items()},
    }


def _folders(plan: Plan, folder: Path, device: Kind) -> tuple[Path, Path]:
    """Return two model folders that differ in their graph for the device: fp16 and fp32."""
    recipe = inputs.recipe("cuda-fp16")
    wanted: dict[str, ExportRecipe] = {"fp16": recipe, "fp32": replace(recipe, precision="fp32")}
    made = {name: folder / name for name in wanted}
    for name, asked in wanted.items():
        if plan.name == "shipped":
            inputs.copy_model(default_model(), made[name], {ONNX_FILE[device]: asked})
        else:
            graphs = {ONNX_FILE[device]: asked}
            torch.manual_seed(0)
            inputs.random_model(made[name], plan.layers, plan.width, graphs)
    return made["fp16"], made["fp32"]


def _keys(n: int) -> list[str]:
    raw = pl.DataFrame({inputs.TITLE: inputs.fresh_titles(n)})
    key = Normaliser().key(inputs.TITLE)
    return [str(k) for k in raw.select(key).to_series().unique().sort()]


def _flop(plan: Plan, tokens: TokenIds) -> float:
    """Return the operations of the encoder's products, on real tokens."""
    return 2.0 * 12 * plan.layers * plan.width**2 * tokens.flat.size


def _parity(model: Path, plan: Plan, device: Kind, folder: Path) -> dict[str, Any]:
    """Return how far the fp16 graph is from PyTorch in fp32 on the CPU."""
    keys = pl.DataFrame({"t": inputs.titles(plan.parity_titles)}).select(Normaliser().key("t"))
    distinct = [str(k) for k in keys.to_series().unique().sort()]
    graph = (model / ONNX_FILE[device]).read_bytes()
    recipe = inputs.recipe("cuda-fp16")
    parity = compare(ModelFolder(model), graph, recipe, distinct, folder / "candidate")
    print(f"  parity: {parity}", flush=True)
    return {
        "device": parity.device,
        "titles": parity.titles,
        "largest_difference": parity.largest_difference,
        "changed": parity.changed,
    }


def _run(ways: dict[str, Way], rates: dict[str, list[float]], rounds: int) -> None:
    """Time the ways in turn after a round that is not counted; one that fails is said to."""
    for name in list(ways):
        rates[name] = []
        try:
            started = time.perf_counter()
            ways[name]()
            print(f"    {name}: warm after {time.perf_counter() - started:.1f} s", flush=True)
        except Exception:  # noqa: BLE001 - a peer that does not run there must not end the others
            traceback.print_exc()
            print(f"    {name}: FAILED", flush=True)
            del ways[name]
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(round(way(), 1))
    for name in ways:
        print(f"    {name}: {median(rates[name]):,.0f}/s", flush=True)


def _own_ways(
    plan: Plan, folder: Path, half: Path, full: Path, tokens: TokenIds, device: Kind
) -> dict[str, Way]:
    source = folder / "people.parquet"
    pl.DataFrame({inputs.TITLE: inputs.fresh_titles(plan.job_titles)}).write_parquet(source)
    keys = _keys(plan.titles)
    opened = TitleModel(half, OpenOptions(device=device))
    own = (half / ONNX_FILE[device]).read_bytes()
    own_full = (full / ONNX_FILE[device]).read_bytes()
    budget = TOKEN_BUDGETS[device][len(TOKEN_BUDGETS[device]) // 2]
    return {
        "jobbatch fp16, the whole job": lambda: whole_job(half, source, device),
        "jobbatch fp32, the whole job": lambda: whole_job(full, source, device),
        "jobbatch fp16, tokenising and scoring": timed(lambda: opened.score(keys), len(keys)),
        "jobbatch fp16, scoring": _scoring(
            Classifier(own, device, callers=CALLERS_PER_GPU), tokens, budget
        ),
        "jobbatch fp32, scoring": _scoring(
            Classifier(own_full, device, callers=CALLERS_PER_GPU), tokens, budget
        ),
        "jobbatch fp16, scoring, one caller": _scoring(
            Classifier(own, device, callers=CALLERS_PER_GPU), tokens, budget, callers=1
        ),
        "ONNX Runtime fp16 without IO binding": _unbound(own, tokens, budget, device),
    }


def _budgets(half: Path, tokens: TokenIds, device: Kind) -> dict[str, Way]:
    graph = (half / ONNX_FILE[device]).read_bytes()
    classifier = Classifier(graph, device, callers=CALLERS_PER_GPU)
    return {
        f"jobbatch fp16, scoring, {budget:,} tokens": _scoring(classifier, tokens, budget)
        for budget in (2_048, 8_192, *TOKEN_BUDGETS["cuda"])
    }


def _scoring(
    classifier: Classifier, tokens: TokenIds, budget: int, callers: int = CALLERS_PER_GPU
) -> Way:
    rows = batches.of_equal_length(tokens.lengths, budget)

    def one(batch: NDArray[np.intp]) -> None:
        classifier.probabilities(tokens.rectangle(batch))

    def work() -> None:
        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(one, rows))

    return timed(work, tokens.lengths.size)


def _unbound(graph: bytes, tokens: TokenIds, budget: int, device: Kind) -> Way:
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(graph, options, providers=[PROVIDERS[device]])
    names = [i.name for i in session.get_inputs()]
    rows = batches.of_equal_length(tokens.lengths, budget)

    def one(batch: NDArray[np.intp]) -> None:
        ids = tokens.rectangle(batch)
        session.run(None, {n: ids if n == "input_ids" else np.ones_like(ids) for n in names})

    def work() -> None:
        with ThreadPoolExecutor(CALLERS_PER_GPU) as pool:
            list(pool.map(one, rows))

    return timed(work, tokens.lengths.size)


def _peers(
    plan: Plan, model: Path, keys: Sequence[str], tokens: TokenIds, device: Kind
) -> Iterator[dict[str, Way]]:
    """Yield the peers in groups that take turns; what compiles for a minute comes last."""
    random = np.random.default_rng(0)
    drawn = [keys[i] for i in random.permutation(len(keys))]
    budget = TOKEN_BUDGETS["cuda"][0]
    half, full = torch.float16, torch.float32
    yield {
        "transformers pipeline fp16": _pipeline(model, half, drawn[: plan.pipeline_titles], device),
        "transformers pipeline fp32": _pipeline(model, full, drawn[: plan.pipeline_titles], device),
        "seed: padded to 128, batches of 32, fp32": _seed(model, drawn[: plan.seed_titles], device),
        "PyTorch eager fp16, the same batches": _torch(
            model, "eager", half, tokens, budget, device
        ),
        "PyTorch SDPA fp16, the same batches": _torch(model, "sdpa", half, tokens, budget, device),
        "PyTorch SDPA fp32, the same batches": _torch(model, "sdpa", full, tokens, budget, device),
    }
    yield {
        "PyTorch compiled fp16, the same batches": _torch(
            model, "sdpa", half, tokens, budget, device, compiled=True
        )
    }


def _torch(
    model: Path,
    attention: str,
    dtype: torch.dtype,
    tokens: TokenIds,
    budget: int,
    device: Kind,
    *,
    compiled: bool = False,
) -> Way:
    network = _network(model, attention, dtype, device)
    if compiled:
        # Layers share their code, and so what is compiled of it; as one, the network takes minutes.
        for layer in network.roberta.encoder.layer:
            layer.compile(dynamic=True)
    rows = batches.of_equal_length(tokens.lengths, budget)

    def work() -> None:
        with torch.inference_mode():
            for batch in rows:
                ids = torch.from_numpy(tokens.rectangle(batch)).to(device, non_blocking=True)
                logits = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
                torch.sigmoid(logits.float()).cpu().numpy()

    return timed(work, tokens.lengths.size)


def _network(model: Path, attention: str, dtype: torch.dtype, device: Kind) -> Any:
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415 - takes seconds

    made = AutoModelForSequenceClassification.from_pretrained(
        model, attn_implementation=attention, torch_dtype=dtype
    )
    return made.to(device).eval()


def _pipeline(model: Path, dtype: torch.dtype, titles: Sequence[str], device: Kind) -> Way:
    from transformers import AutoTokenizer, pipeline  # noqa: PLC0415

    made = pipeline(
        "text-classification",
        _network(model, "sdpa", dtype, device),
        tokenizer=AutoTokenizer.from_pretrained(model),
        device=0 if device == "cuda" else -1,
        top_k=None,
        function_to_apply="sigmoid",
    )
    return timed(lambda: made(list(titles), batch_size=256), len(titles))


def _seed(model: Path, titles: Sequence[str], device: Kind) -> Way:
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = _network(model, "sdpa", torch.float32, device)

    def work() -> None:
        with torch.no_grad():
            for start in range(0, len(titles), 32):
                batch = tokenizer(
                    list(titles[start : start + 32]),
                    padding="max_length",
                    truncation=True,
                    max_length=PADDED,
                    return_tensors="pt",
                ).to(device)
                torch.sigmoid(
                    network(
                        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
                    ).logits
                ).cpu().numpy()

    return timed(work, len(titles))


def _used_mib(device: Kind) -> int:
    if device != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info()
    return (total - free) // 2**20


def _show(found: dict[str, Any]) -> None:
    print(json.dumps({k: v for k, v in found.items() if k != "models"}), flush=True)
    for name, model in found["models"].items():
        print(f"{name}: {model['tokens_per_title']} tokens a title, {model['parity']}")
        print(f"  tokenised: {model['tokenised_per_second']:,}/s")
        for way, rates in model["titles_per_second"].items():
            if rates:
                print(f"  {way:48} {median(rates):>12,.0f}/s {model['tflops'][way]:>7} TFLOP/s")


if __name__ == "__main__":
    main()
