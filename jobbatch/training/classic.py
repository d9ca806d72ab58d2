"""The classic model: one linear classifier per label over the tf-idf of character n-grams.

Made in seconds on a CPU, and small; it knows no words but those it was shown. Its folder is
labelled with like any other: the graph, which is exact, is written with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as save_tensors

from jobbatch.devices import ONNX_FILE
from jobbatch.labels import LabelSet
from jobbatch.training.character_ngrams import LENGTHS, CharacterNgrams
from jobbatch.training.classic_graph import make_graph
from jobbatch.training.scorer import About
from jobbatch.training.search import Linear, SearchReport, learn

MODEL_TYPE = "jobbatch-classic"
"""What config.json says."""
_ABOUT = About(
    front_matter=("library_name: onnx",),
    sentence="One linear classifier per label over the tf-idf of character n-grams; of several\n"
    "scikit-learn families the best by cross-validation (metrics.json has them side by side)",
    libraries=("jobbatch", "scikit-learn", "onnx", "tokenizers", "numpy", "polars"),
)


class Classic:
    """A fitted classic model.

    Attributes:
        features: the n-grams.
        labels: the label vocabulary.
        report: the families side by side.
    """

    def __init__(self, features: CharacterNgrams, linear: Linear, labels: LabelSet) -> None:
        self.features = features
        self.labels = labels
        # The graph has fp32: what is measured is what is written.
        self._weights = linear.weights.astype(np.float32).astype(np.float64)
        self._bias = linear.bias.astype(np.float32).astype(np.float64)
        self.report: SearchReport = linear.report

    @property
    def about(self) -> About:
        """What it is."""
        return _ABOUT

    def probabilities(self, keys: Sequence[str]) -> NDArray[np.float64]:
        """Return raw probabilities, float64 (n, n_labels), in the keys' order."""
        logits = self.features.transform(keys) @ self._weights + self._bias
        return np.asarray(1 / (1 + np.exp(-logits)), np.float64)

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors (fp32), tokenizer.json and the ONNX graph.

        The tensors are weight (n_labels, n_ngrams), bias (n_labels,), idf (n_ngrams,) and ngrams,
        int32 (n_ngrams, 6): the token ids of each, then -1.
        """
        names = self.labels.names
        config = {
            "model_type": MODEL_TYPE,
            "vocab_size": self.features.n_tokens,
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
        }
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        (folder / "tokenizer.json").write_bytes(self.features.tokenizer)
        idf, ngrams = self.features.idf, self.features.ngrams
        padded = [(*ngram, *(-1,) * (LENGTHS[1] - len(ngram))) for ngram in ngrams]
        tensors = {
            "weight": np.ascontiguousarray(self._weights.T, np.float32),
            "bias": self._bias.astype(np.float32),
            "idf": idf.astype(np.float32),
            "ngrams": np.array(padded, np.int32),
        }
        (folder / "model.safetensors").write_bytes(save_tensors(tensors))
        graph = folder / ONNX_FILE["cpu"]
        graph.parent.mkdir()
        graph.write_bytes(make_graph(ngrams, idf, self._weights, self._bias))


def fit(
    keys: Sequence[str],
    targets: NDArray[np.bool_],
    labels: LabelSet,
    seed: int = 0,
    *,
    search: bool = True,
) -> Classic:
    """Return the model of some titles; the same arguments give the same model.

    Args:
        keys: n keys; a search needs distinct ones.
        targets: bool (n, n_labels); a row or a column of False is allowed.
        labels: the label vocabulary.
        seed: of the search's folds and the solvers.
        search: compare the families for each label, about a quarter of a minute on 5,000 titles;
            otherwise a linear SVM for all, a second.

    Raises:
        UsageError: if the titles have nothing in common.
    """
    features = CharacterNgrams(keys)
    linear = learn(features.transform(keys), targets, labels, seed, search=search)
    return Classic(features, linear, labels)
