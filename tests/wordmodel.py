"""A model that a reader can check in the head: a title's logits are the sum of its words' weights.

It has the layout and the interface of a real model folder and needs no training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from jobbatch.decisions import Decisions, Scaling
from jobbatch.labels import JOB_LEVELS
from jobbatch.titles import Normaliser
from jobbatch.weights import Canary, Manifest, write_manifest

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
BIAS = -4.0
YES = 8.0
WORDS: Mapping[str, str] = {
    "chief": "Chief Officer",
    "owner": "Owner",
    "founder": "Owner",
    "president": "Vice President",
    "director": "Director",
    "manager": "Manager",
    "engineer": "Individual Contributor/Staff",
    "nurse": "Individual Contributor/Staff",
}


def build(
    folder: Path,
    *,
    words: Mapping[str, str] = WORDS,
    bias: float = BIAS,
    context: tuple[str, ...] = (),
) -> Path:
    """Make the model folder; with `context`, the words of the context count too."""
    vocabulary = [*SPECIAL, *words]
    weights = np.zeros((len(vocabulary), len(JOB_LEVELS)), np.float32)
    for word, label in words.items():
        weights[vocabulary.index(word), JOB_LEVELS.index(label)] = YES
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model_int8.onnx").write_bytes(_graph(weights, bias))
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"vocab_size": len(vocabulary)}))
    decisions = Decisions(
        calibration=(Scaling(),) * len(JOB_LEVELS),
        thresholds=(0.5,) * len(JOB_LEVELS),
        order=JOB_LEVELS,
    )
    (folder / "decisions.json").write_bytes(decisions.to_json())
    certain, none = 1 / (1 + np.exp(-(YES + bias))), 1 / (1 + np.exp(-bias))
    write_manifest(
        folder,
        Manifest(
            name="words",
            created="2026-01-01",
            labels=JOB_LEVELS,
            normaliser=Normaliser(),
            normaliser_version=Normaliser().version,
            versions={},
            data={},
            canaries=(Canary(title="director", probabilities=tuple(
                float(certain if n == "Director" else none) for n in JOB_LEVELS)),),
            files={},
            context=context,
        ),
    )  # fmt: skip
    return folder


def _tokenizer(vocabulary: list[str]) -> Tokenizer:
    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


def _graph(weights: np.ndarray, bias: float) -> bytes:
    n_labels = weights.shape[1]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weights", "input_ids"], ["words"]),
            helper.make_node("ReduceSum", ["words", "axis"], ["sum"], keepdims=0),
            helper.make_node("Add", ["sum", "bias"], ["logits"]),
        ],
        "words",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_labels])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.full(n_labels, bias, np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()
