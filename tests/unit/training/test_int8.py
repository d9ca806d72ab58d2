"""int8 graphs: close to fp32, and the same answer whatever stands beside a title."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from jobbatch.training.int8 import quantize

pytestmark = pytest.mark.train

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(50, 32)).astype(np.float32)
WEIGHTS = [RANDOM.normal(size=(32, 8)).astype(np.float32) for _ in range(2)]


def graph() -> onnx.ModelProto:
    """Return ids -> look-up -> the sum of two products that read the same activations."""
    constants = {"table": TABLE, "first": WEIGHTS[0], "second": WEIGHTS[1]}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("MatMul", ["words", "first"], ["one"]),
        helper.make_node("MatMul", ["words", "second"], ["two"]),
        helper.make_node("Add", ["one", "two"], ["out"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", "length", 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run(None, {"ids": ids})[0])


IDS = RANDOM.integers(0, 50, size=(16, 5))


@pytest.mark.parametrize("embeddings", [False, True])
def test_the_answers_are_close_to_those_of_fp32(embeddings: bool) -> None:  # noqa: FBT001
    expected = run(graph(), IDS)
    got = run(quantize(graph(), embeddings=embeddings), IDS)
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


def test_an_answer_does_not_depend_on_its_batch() -> None:
    model = quantize(graph(), embeddings=True)
    together = run(model, IDS)
    alone = np.concatenate([run(model, IDS[i : i + 1]) for i in range(len(IDS))])
    assert (together == alone).all()


def test_one_large_token_does_not_blur_the_others() -> None:
    large = graph()
    table = TABLE.copy()
    table[7] *= 1000
    large.graph.initializer[0].CopyFrom(numpy_helper.from_array(table, "table"))
    ids = np.array([[1, 2, 7]])
    expected = run(large, ids)
    got = run(quantize(large, embeddings=True), ids)
    assert np.abs(got - expected)[0, :2].max() < 0.03 * np.abs(expected)[0, :2].max()


def test_weights_are_stored_once_and_small() -> None:
    model = quantize(graph(), embeddings=True)
    floats = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    assert all(np.prod(t.dims) <= 50 for t in floats)
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph.node) == 1


def test_no_sum_of_two_products_overflows_16_bits() -> None:
    model = quantize(graph(), embeddings=True)
    products = [t for t in model.graph.initializer if t.name in {"first_int8", "second_int8"}]
    largest = max(int(np.abs(numpy_helper.to_array(t).astype(int)).max()) for t in products)
    assert 2 * 255 * largest < 2**15
