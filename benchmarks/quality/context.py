"""Shows what context brings: one model sees company and department, the other the titles alone.

    python benchmarks/quality/context.py --output benchmarks/quality/results/context.json

Both are trained on the same two thirds of context.csv's titles and judged on the rows of the others,
by exact match; the first is judged on those titles alone as well. The difference is tested by
McNemar's exact test. About half a minute on one core.

The second is a weak rival on unclear titles: their labels tie, and training joins labels that tie.
Hence the best that any model could do without context is given too. The data are made up, and the
companies of both parts are made of the same words: this shows that context is used and that it may
be missing, not what it brings on anybody's contacts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from jobbatch.settings.teaching import TrainSettings
from jobbatch.titles import without_context
from jobbatch.training import dataset, models, splits
from jobbatch.training.dataset import Dataset
from jobbatch.training.evaluation import decide
from jobbatch.training.examples import Titles
from jobbatch.training.folder import versions
from jobbatch.training.labelled_table import sha256
from jobbatch.training.train import calibrate, encoder_options
from jobbatch.weights import default_model

DATA = Path(__file__).with_name("context.csv")
CONTEXT = ("company", "department")
TEST_SHARE = 1 / 3
HELD_OUT = 0.1
"""Share of the other titles that decides the best epoch and fits the calibration."""
LIBRARIES = ("jobbatch", "torch", "transformers", "tokenizers", "numpy", "polars")
RUNS = ("with context", "with context, asked without", "titles alone")


def main() -> None:
    """Run the command."""
    options = _parser().parse_args()
    settings = TrainSettings(
        data=(DATA,),
        out=Path("unused"),
        context=CONTEXT,
        base=options.base,
        epochs=options.epochs,
        batch_size=16,
        learning_rate=options.learning_rate,
        patience=options.epochs,
        seed=options.seed,
    )
    with tempfile.TemporaryDirectory() as workspace:
        both = dataset.load(settings, Path(workspace))
        alone = dataset.load(replace(settings, context=()), Path(workspace))
    targets = both.labels.encode(both.key_labels)
    _, held = splits.stratified_split(both.keys, targets, TEST_SHARE, options.seed)
    titles = {without_context(both.keys[i]) for i in held}
    rows = [i for i, key in enumerate(alone.row_keys) if key in titles]
    asked = {RUNS[0]: both.row_keys, RUNS[1]: alone.row_keys}
    right = _right(both, asked, titles, rows, settings)
    right |= _right(alone, {RUNS[2]: alone.row_keys}, titles, rows, settings)
    unclear = _unclear(alone)[rows]
    content = {
        "commit": _commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(LIBRARIES),
        "settings": {
            "base": options.base and Path(options.base).name,
            "base_sha256": _fingerprint(options.base),
            "epochs": options.epochs,
            "learning_rate": options.learning_rate,
            "batch_size": settings.batch_size,
            "test_share": round(TEST_SHARE, 3),
            "seed": options.seed,
        },
        "rows": {
            "all": len(unclear),
            "unclear": int(unclear.sum()),
            "clear": int((~unclear).sum()),
        },
        "exact_match": {
            run: {
                "all": round(float(hits.mean()), 4),
                "unclear": round(float(hits[unclear].mean()), 4),
                "clear": round(float(hits[~unclear].mean()), 4),
            }
            for run, hits in right.items()
        },
        "best_possible_alone": _best_possible_alone(alone, rows, unclear),
        "mcnemar_against": {run: _mcnemar(right[RUNS[0]], right[run]) for run in RUNS[1:]},
    }
    print(json.dumps(content, indent=2))
    if options.output:
        options.output.write_text(json.dumps(content, indent=2) + "\n")


def _right(
    data: Dataset,
    asked: dict[str, tuple[str, ...]],
    titles: set[str],
    rows: list[int],
    settings: TrainSettings,
) -> dict[str, NDArray[np.bool_]]:
    """Return whether the label sets of `rows` are right, by a model that never saw `titles`.

    Args:
        data: what the other titles are taken of.
        asked: all rows' keys, by the name of a run.
        titles: those held out.
        rows: the rows to answer.
        settings: of the fit.
    """
    targets = data.labels.encode(data.key_labels)
    rest = np.array([i for i, k in enumerate(data.keys) if without_context(k) not in titles])
    inner = [data.keys[i] for i in rest]
    parts = splits.stratified_split(inner, targets[rest], HELD_OUT, settings.seed)
    train, validation = (
        Titles(keys=[inner[i] for i in part], targets=targets[rest[part]]) for part in parts
    )
    options = encoder_options(settings, data)
    scorer = models.fit(train, validation, data.labels, settings, options).scorer
    chosen = calibrate(scorer, validation, data.labels)
    truth = data.labels.encode([data.row_labels[i] for i in rows])
    right = {}
    for run, keys in asked.items():
        hot = decide(chosen, scorer.probabilities([keys[i] for i in rows]), data.labels.names).hot
        right[run] = (hot == truth).all(axis=1)
    return right


def _unclear(alone: Dataset) -> NDArray[np.bool_]:
    """Return of each row whether its title has other labels elsewhere."""
    sets: dict[str, set[tuple[str, ...]]] = {}
    for key, labels in zip(alone.row_keys, alone.row_labels, strict=True):
        sets.setdefault(key, set()).add(labels)
    return np.array([len(sets[key]) > 1 for key in alone.row_keys])


def _best_possible_alone(
    alone: Dataset, rows: list[int], unclear: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the exact match of one who knows each title's most frequent label set."""
    pairs = Counter((alone.row_keys[i], alone.row_labels[i]) for i in rows)
    best: Counter[str] = Counter()
    for (key, _), count in pairs.items():
        best[key] = max(best[key], count)
    keys = {alone.row_keys[i] for i, is_unclear in zip(rows, unclear, strict=True) if is_unclear}
    return {
        "all": round(best.total() / len(rows), 4),
        "unclear": round(sum(best[key] for key in keys) / int(unclear.sum()), 4),
    }


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, float | int]:
    """Return McNemar's exact test of two runs on the same rows."""
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    p = binomtest(better, max(better + worse, 1)).pvalue
    return {"only_with_context_right": better, "only_other_right": worse, "p": float(f"{p:.3g}")}


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


def _fingerprint(base: str | None) -> str | None:
    """Return the sha256 of a base's weights; none: it is a name of the Hub."""
    weights = (Path(base) if base else default_model()) / "model.safetensors"
    return sha256(weights) if weights.is_file() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="JSON file to write")
    parser.add_argument("--base", help="as for jobbatch train; the shipped weights if left out")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    main()
