"""The ONNX graph of the classic model: one operator for the n-grams, one product for all labels.

A title's vector has the idf of each n-gram that it has, divided by the vector's length. So

    logits = present @ (idf * weights) / sqrt(present @ idf ** 2) + bias

where `present` is 1 for each n-gram of the title: the length is one column more of the product,
and the wide arrays are gone through only twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 18, 8
_SMALLEST = 1e-12
"""Of a squared length: a title without any known n-gram gets the bias alone."""


def make_graph(
    ngrams: Sequence[tuple[int, ...]],
    idf: NDArray[np.float64],
    weights: NDArray[np.float64],
    bias: NDArray[np.float64],
) -> bytes:
    """Return the content of a single-file ONNX graph, fp32, that gives logits for `input_ids`.

    Args:
        ngrams: the token ids of each n-gram, in the order of the features.
        idf: float64 (n_ngrams,).
        weights: float64 (n_ngrams, n_labels).
        bias: float64 (n_labels,).
    """
    n_labels = weights.shape[1]
    product = np.column_stack([idf[:, None] * weights, idf**2])
    constants: dict[str, NDArray[Any]] = {
        "product": product.astype(np.float32),
        "bias": bias.astype(np.float32),
        "widths": np.array([n_labels, 1], np.int64),
        "smallest": np.array(_SMALLEST, np.float32),
    }
    nodes = [
        _presence(ngrams),
        helper.make_node("MatMul", ["present", "product"], ["sums"]),
        helper.make_node("Split", ["sums", "widths"], ["weighted", "square"], axis=1),
        helper.make_node("Max", ["square", "smallest"], ["positive"]),
        helper.make_node("Sqrt", ["positive"], ["length"]),
        helper.make_node("Div", ["weighted", "length"], ["margins"]),
        helper.make_node("Add", ["margins", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classic",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", n_labels])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _presence(ngrams: Sequence[tuple[int, ...]]) -> onnx.NodeProto:
    """Return the node that says which n-grams a title has; the operator wants them by length."""
    lengths = [len(ngram) for ngram in ngrams]
    order = sorted(range(len(ngrams)), key=lambda i: (lengths[i], i))
    pool = [token for i in order for token in ngrams[i]]
    ends = np.cumsum([n * lengths.count(n) for n in range(1, max(lengths) + 1)]).tolist()
    return helper.make_node(
        "TfIdfVectorizer",
        ["input_ids"],
        ["present"],
        mode="IDF",  # without weights: 1 for what occurs, however often
        min_gram_length=min(lengths),
        max_gram_length=max(lengths),
        max_skip_count=0,
        ngram_counts=[0, *ends[:-1]],
        ngram_indexes=order,
        pool_int64s=pool,
    )
