"""Probabilities from ONNX Runtime: the device asked for, or a plain error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import set_external_data

from jobbatch.classifier import Classifier, OutOfMemoryError, choose_device, usable_cores
from jobbatch.errors import DeviceError, MissingExtraError, ModelError
from tests import wordmodel

CLS, SEP = 1, 2
DIRECTOR = len(wordmodel.SPECIAL) + list(wordmodel.WORDS).index("director")
IDS = np.array([[CLS, DIRECTOR, SEP], [CLS, SEP, SEP]], np.int64)


@pytest.fixture(scope="module")
def graph(word_model) -> bytes:
    return (word_model / "onnx" / "model_int8.onnx").read_bytes()


@pytest.fixture
def runtime(monkeypatch) -> Callable[..., SimpleNamespace]:
    """Return a maker of stand-ins for ONNX Runtime, with these execution providers."""

    def make(*built_in: str, used: str = "CPUExecutionProvider") -> SimpleNamespace:
        session = SimpleNamespace(fed=[])
        session.get_providers = lambda: [used]
        session.get_inputs = lambda: [
            SimpleNamespace(name="input_ids"),
            SimpleNamespace(name="attention_mask"),
        ]
        session.run = lambda _, feeds: session.fed.append(feeds) or [np.zeros((2, 6))]
        fake = SimpleNamespace(
            get_available_providers=lambda: [*built_in, "CPUExecutionProvider"],
            InferenceSession=lambda *_, **__: session,
            SessionOptions=SimpleNamespace,
            session=session,
        )
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        return fake

    return make


def test_probabilities_are_the_sigmoid_of_the_graph_s_logits(graph) -> None:
    yes = 1 / (1 + np.exp(-(wordmodel.YES + wordmodel.BIAS)))
    no = 1 / (1 + np.exp(-wordmodel.BIAS))
    expected = np.full((2, 6), no)
    expected[0, 3] = yes
    got = Classifier(graph, "cpu").probabilities(IDS)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_head_is_as_wide_as_the_graph_s_output(graph) -> None:
    assert Classifier(graph, "cpu").n_labels == 6


def test_a_graph_that_takes_a_mask_is_given_one_of_ones_since_nothing_is_padded(runtime) -> None:
    session = runtime().session
    Classifier(b"", "cpu").probabilities(IDS)
    (feeds,) = session.fed
    assert feeds["input_ids"] is IDS
    assert np.array_equal(feeds["attention_mask"], np.ones_like(IDS))


def test_a_token_that_the_model_does_not_know_is_a_model_error(graph) -> None:
    with pytest.raises(ModelError, match=r"failed on a batch of \(1, 1\)"):
        Classifier(graph, "cpu").probabilities(np.array([[999]], np.int64))


@pytest.mark.parametrize(
    "said",
    [
        "Failed to allocate memory for requested buffer of size 4096",
        "CUDA failure 2: out of memory",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "std::bad_alloc",
    ],
)
def test_a_batch_that_does_not_fit_the_memory_is_told_from_a_broken_model(
    runtime, said: str
) -> None:
    session = runtime().session
    session.run = mock.Mock(side_effect=RuntimeError(said))
    with pytest.raises(OutOfMemoryError, match="too little memory free for 6 tokens"):
        Classifier(b"", "cpu").probabilities(IDS)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_finite_number_is_an_error_and_no_label(runtime, broken) -> None:
    session = runtime().session
    session.run = lambda *_: [np.array([[0.0] * 5 + [broken]])]
    with pytest.raises(ModelError, match="not finite"):
        Classifier(b"", "cpu").probabilities(IDS)


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_file_that_is_no_graph_is_a_model_error(content: bytes) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        Classifier(content, "cpu")


def test_a_graph_with_other_inputs_is_refused_by_their_names(graph) -> None:
    model = onnx.load_model_from_string(graph)
    model.graph.input[0].name = model.graph.node[0].input[1] = "pixels"
    with pytest.raises(ModelError, match="pixels"):
        Classifier(model.SerializeToString(), "cpu")


def test_data_beside_the_graph_is_not_read(graph, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph)
    (weights,) = (t for t in model.graph.initializer if t.name == "weights")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)  # in the current folder
    set_external_data(weights, "weights.bin", 0, len(weights.raw_data))
    weights.ClearField("raw_data")
    with pytest.raises(ModelError, match="other files"):
        Classifier(model.SerializeToString(), "cpu")


class TestTheDevice:
    def test_the_cpu_when_asked_for_is_used_whatever_there_is(self, runtime) -> None:
        runtime("CUDAExecutionProvider")
        choice = choose_device("cpu", has_cuda_graph=True)
        assert (choice.device, choice.reason) == ("cpu", "asked for")

    def test_cuda_asked_for_without_its_provider_is_an_error_naming_the_extra(
        self, runtime
    ) -> None:
        runtime()
        with pytest.raises(DeviceError, match=r"jobbatch\[cuda\].*--device cpu"):
            choose_device("cuda", has_cuda_graph=True)

    def test_cuda_asked_for_without_its_graph_is_an_error_naming_the_command(self, runtime) -> None:
        runtime("CUDAExecutionProvider")
        with pytest.raises(ModelError, match=r"export-onnx MODEL --recipe export/cuda-fp16\.toml"):
            choose_device("cuda", has_cuda_graph=False)

    def test_cuda_asked_for_and_there_is_used(self, runtime) -> None:
        runtime("CUDAExecutionProvider")
        assert choose_device("cuda", has_cuda_graph=True).device == "cuda"

    @pytest.mark.parametrize(
        ("built_in", "has_graph", "device", "reason"),
        [
            ([], True, "cpu", "this ONNX Runtime has no CUDA provider"),
            (["CUDAExecutionProvider"], False, "cpu", "the model has no onnx/model_fp16.onnx"),
            (["CUDAExecutionProvider"], True, "cuda", "a CUDA provider is installed"),
        ],
    )
    def test_auto_takes_cuda_where_it_can_and_says_why(
        self, runtime, built_in, has_graph, device, reason
    ) -> None:
        runtime(*built_in)
        choice = choose_device("auto", has_cuda_graph=has_graph)
        assert (choice.device, choice.reason) == (device, reason)

    def test_a_session_that_falls_back_to_the_cpu_is_an_error_and_not_a_slow_run(
        self, runtime
    ) -> None:
        runtime("CUDAExecutionProvider", used="CPUExecutionProvider")
        with pytest.raises(DeviceError, match=r"would run on CPUExecutionProvider"):
            Classifier(b"", "cuda")

    def test_a_session_on_cuda_is_used(self, runtime) -> None:
        runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        assert Classifier(b"", "cuda").device == "cuda"

    def test_cuda_s_own_libraries_are_loaded_where_the_runtime_can(self, runtime) -> None:
        fake = runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        loaded = []
        fake.preload_dlls = lambda: loaded.append("cuda")
        Classifier(b"", "cuda")
        assert loaded == ["cuda"]


class TestTheExtra:
    def test_without_onnx_runtime_both_extras_are_named(self, graph, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        for use in (
            lambda: Classifier(graph, "cpu"),
            lambda: choose_device("auto", has_cuda_graph=True),
        ):
            with pytest.raises(MissingExtraError, match=r"jobbatch\[cpu\].*jobbatch\[cuda\]"):
                use()

    def test_two_onnx_runtimes_over_each_other_are_said_to_be_so(self, graph, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
        with pytest.raises(MissingExtraError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
            Classifier(graph, "cpu")

    def test_onnx_runtime_is_told_to_send_no_telemetry(self, graph, monkeypatch) -> None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        Classifier(graph, "cpu")
        assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_only_the_cores_that_this_process_may_use_are_counted(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert usable_cores() == 4
