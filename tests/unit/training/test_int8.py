"""int8 graphs: close to fp32, and the same answer whatever stands beside a title.

Activations have a scale a token, or, where it is known how large they get, constant ones.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from jobbatch.training import peaks
from jobbatch.training.int8 import quantize

pytestmark = pytest.mark.train

Known = dict[str, NDArray[np.float32]]

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(50, 32)).astype(np.float32)
WEIGHTS = [RANDOM.normal(size=(32, 8)).astype(np.float32) for _ in range(2)]


BIAS = RANDOM.normal(size=8).astype(np.float32)


def graph() -> onnx.ModelProto:
    """Return ids -> look-up -> norm -> the sum of two products that read the same activations."""
    constants = {
        "table": TABLE,
        "first": WEIGHTS[0],
        "second": WEIGHTS[1],
        "bias": BIAS,
        "ones": np.ones(32, np.float32),
        "zeros": np.zeros(32, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("LayerNormalization", ["rows", "ones", "zeros"], ["words"]),
        helper.make_node("MatMul", ["words", "first"], ["product"]),
        helper.make_node("Add", ["bias", "product"], ["one"]),
        helper.make_node("MatMul", ["words", "second"], ["two"]),
        helper.make_node("Add", ["one", "two"], ["out"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", "length", 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {"input_ids": ids})[0])


IDS = RANDOM.integers(0, 50, size=(16, 5))
KNOWN = peaks.of_layer_norms(graph(), [IDS, IDS[:3, :2]])
both_ways = pytest.mark.parametrize("known", [{}, KNOWN], ids=["by token", "by channel"])


def test_peaks_are_the_largest_of_all_batches() -> None:
    words = graph()
    words.graph.output[0].CopyFrom(helper.make_empty_tensor_value_info("words"))
    assert (KNOWN["words"] == np.abs(run(words, IDS)).reshape(-1, 32).max(0)).all()
    assert peaks.of_layer_norms(graph(), []) == {}


@both_ways
@pytest.mark.parametrize("embeddings", [False, True])
def test_the_answers_are_close_to_those_of_fp32(embeddings: bool, known: Known) -> None:  # noqa: FBT001
    expected = run(graph(), IDS)
    got = run(quantize(graph(), known, embeddings=embeddings), IDS)
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


@both_ways
def test_an_answer_does_not_depend_on_its_batch(known: Known) -> None:
    model = quantize(graph(), known, embeddings=True)
    together = run(model, IDS)
    alone = np.concatenate([run(model, IDS[i : i + 1]) for i in range(len(IDS))])
    assert (together == alone).all()


def test_one_large_token_does_not_blur_the_others() -> None:
    large = without_norm(graph())
    table = TABLE.copy()
    table[7] *= 1000
    large.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))
    ids = np.array([[1, 2, 7]])
    expected = run(large, ids)
    got = run(quantize(large, {}, embeddings=True), ids)
    assert np.abs(got - expected)[0, :2].max() < 0.03 * np.abs(expected)[0, :2].max()


def test_one_large_channel_does_not_blur_the_others() -> None:
    large = without_norm(graph())
    table = TABLE.copy()
    table[:, 5] *= 100
    large.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))
    for name, weights in zip(("first", "second"), WEIGHTS, strict=True):
        faint = weights.copy()
        faint[5] /= 100  # as in a trained model: what is large is read with small weights
        place = next(i for i, t in enumerate(large.graph.initializer) if t.name == name)
        large.graph.initializer[place].CopyFrom(numpy_helper.from_array(faint, name))
    expected = run(large, IDS)
    known = {"words": np.abs(table[IDS]).reshape(-1, 32).max(0)}
    errors = [
        np.abs(run(quantize(clone(large), k, embeddings=False), IDS) - expected).max()
        for k in ({}, known)
    ]
    assert errors[1] < 0.03 * np.abs(expected).max() < errors[0]


def test_what_is_larger_than_was_known_is_cut() -> None:
    known = {"words": KNOWN["words"] / 2}
    got = run(quantize(graph(), known, embeddings=False), IDS)
    assert np.isfinite(got).all()
    assert 0.3 < np.abs(got).max() / np.abs(run(graph(), IDS)).max() < 1


@both_ways
def test_weights_are_stored_once_and_small(known: Known) -> None:
    model = quantize(graph(), known, embeddings=True)
    floats = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    assert all(np.prod(t.dims) <= 50 for t in floats)
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 1


@both_ways
def test_no_sum_of_two_products_overflows_16_bits(known: Known) -> None:
    model = quantize(graph(), known, embeddings=True)
    products = [t for t in model.graph.initializer if t.name in {"first_int8", "second_int8"}]
    largest = max(int(np.abs(numpy_helper.to_array(t).astype(int)).max()) for t in products)
    assert 2 * 255 * largest < 2**15


def without_norm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with what was looked up in place of its norm."""
    norm = next(n for n in model.graph.node if n.op_type == "LayerNormalization")
    norm.CopyFrom(helper.make_node("Identity", ["rows"], ["words"]))
    return model


def clone(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
