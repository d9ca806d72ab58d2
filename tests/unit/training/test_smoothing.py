"""Smoothing: the same answers, from activations that suit one scale."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from jobbatch.training.smoothing import _ranges, smooth

pytestmark = pytest.mark.train

RANDOM = np.random.default_rng(0)
SAMPLES = [RANDOM.integers(0, 20, (4, 5)), RANDOM.integers(0, 20, (3, 7))]


def table(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(RANDOM.normal(size=shape).astype(np.float32), name)


def graph() -> onnx.ModelProto:
    """Return an embedding, two products that read it, a third of their sum, and one channel far larger."""
    words = RANDOM.normal(size=(20, 8)).astype(np.float32)
    words[:, 3] *= 100
    nodes = [
        helper.make_node("Cast", ["attention_mask"], ["mask"], "cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", ["words", "input_ids"], ["embedded"], "gather"),
        helper.make_node("MatMul", ["embedded", "first"], ["a"], "first_product"),
        helper.make_node("MatMul", ["embedded", "second"], ["b"], "second_product"),
        helper.make_node("Mul", ["a", "b"], ["ab"], "both"),
        helper.make_node("MatMul", ["ab", "third"], ["c"], "third_product"),
        helper.make_node("ReduceMean", ["mask"], ["mean"], "mean", keepdims=0),
        helper.make_node("Mul", ["c", "mean"], ["logits"], "out"),
    ]
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["n", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None)
    tables = [numpy_helper.from_array(words, "words"), table("first", 8, 6), table("second", 8, 6)]
    made = helper.make_graph(nodes, "test", inputs, [output], [*tables, table("third", 6, 2)])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answers(model: onnx.ModelProto, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return np.asarray(session.run(None, feeds)[0], np.float32)


def test_answers_stay_the_same() -> None:
    model = graph()
    expected = answers(model, SAMPLES[1])
    smoothed = smooth(model, SAMPLES)
    assert np.allclose(answers(smoothed, SAMPLES[1]), expected, rtol=1e-4, atol=1e-3)


def test_what_products_read_becomes_even() -> None:
    model = graph()
    before = _ranges(model, ["embedded"], SAMPLES)["embedded"]
    after = _ranges(smooth(model, SAMPLES), ["embedded_smooth"], SAMPLES)["embedded_smooth"]
    assert before.max() / np.median(before) > 20
    assert after.max() / np.median(after) < 6


def test_products_of_one_source_share_a_division() -> None:
    names = [node.name for node in smooth(graph(), SAMPLES).graph.node]
    assert names.count("embedded_smooth") == 1
    assert names.index("embedded_smooth") < names.index("first_product")
    assert "ab_smooth" in names
