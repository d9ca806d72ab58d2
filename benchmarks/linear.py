"""Linear peers: how fast they are and how right, beside jobbatch's classic model and its encoder.

All learn from the package's own titles, less a tenth that is held out; the default model is not
among them, since it was trained on the held-out tenth.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import inputs
from jobbatch.labels import JOB_LEVELS, LabelSet
from jobbatch.titles import Normaliser

Predict = Callable[[Sequence[str]], NDArray[np.bool_]]
_SPEED_TITLES = 20_000


def measure(rounds: int) -> dict[str, Any]:
    """Return seconds to fit, titles a second, micro-F1 and exact match of each peer."""
    table = pl.read_csv(inputs.OWN_TITLES, infer_schema=False).with_columns(
        key=Normaliser().key("title")
    )
    rows = [[n for n in labels.split("; ") if n in JOB_LEVELS] for labels in table["labels"]]
    targets = LabelSet(JOB_LEVELS).encode(rows)
    order = np.random.default_rng(0).permutation(table.height)
    cut = table.height // 10
    keys = np.array(table["key"].to_list(), dtype=object)
    held, rest = order[:cut], order[cut:]
    many = [*keys.tolist(), *keys.tolist()][:_SPEED_TITLES]
    found = {}
    for name, fit in PEERS.items():
        started = time.perf_counter()
        predict = fit(keys[rest].tolist(), targets[rest])
        fit_seconds = time.perf_counter() - started
        rates = []
        for _ in range(rounds):
            started = time.perf_counter()
            predict(many)
            rates.append(round(len(many) / (time.perf_counter() - started)))
        hot = predict(keys[held].tolist())
        hits = (hot & targets[held]).sum()
        found[name] = {
            "fit_seconds": round(fit_seconds, 2),
            "titles_per_second": rates,
            "micro_f1": round(float(2 * hits / (hot.sum() + targets[held].sum())), 4),
            "exact_match": round(float((hot == targets[held]).all(axis=1).mean()), 4),
        }
        print(f"    {name}: {median(rates):,.0f}/s, {found[name]['exact_match']}", flush=True)
    return {"titles": {"fitted": len(rest), "held_out": len(held)}, "peers": found}


def _logistic(keys: Sequence[str], targets: NDArray[np.bool_]) -> Predict:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2))
    made = make_pipeline(words, OneVsRestClassifier(LogisticRegression(C=10, max_iter=1_000)))
    made.fit(keys, targets)
    return lambda titles: np.asarray(made.predict_proba(titles) >= 0.5)


def _fasttext(keys: Sequence[str], targets: NDArray[np.bool_]) -> Predict:
    import fasttext  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        lines = [
            " ".join([*(f"__label__{i}" for i in np.flatnonzero(row)), key])
            for key, row in zip(keys, targets, strict=True)
            if row.any()
        ]
        path = Path(folder) / "titles.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = {"epoch": 50, "lr": 0.5, "minn": 2, "maxn": 4, "wordNgrams": 2, "loss": "ova"}
        made = fasttext.train_supervised(str(path), verbose=0, **options)

    def predict(titles: Sequence[str]) -> NDArray[np.bool_]:
        hot = np.zeros((len(titles), len(JOB_LEVELS)), np.bool_)
        for i, labels in enumerate(made.predict(list(titles), k=-1, threshold=0.5)[0]):
            hot[i, [int(label.removeprefix("__label__")) for label in labels]] = True
        return hot

    return predict


def _classic(keys: Sequence[str], targets: NDArray[np.bool_]) -> Predict:
    from jobbatch.training import classic  # noqa: PLC0415

    made = classic.fit(keys, targets, LabelSet(JOB_LEVELS), search=False)
    return lambda titles: np.asarray(made.probabilities(titles) >= 0.5)


PEERS: dict[str, Callable[[Sequence[str], NDArray[np.bool_]], Predict]] = {
    "scikit-learn, word TF-IDF and logistic regression": _logistic,
    "fastText": _fasttext,
    "jobbatch train --model classic (PyTorch-free, in Python)": _classic,
}
