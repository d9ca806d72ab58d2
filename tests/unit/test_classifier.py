"""Probabilities from ONNX Runtime, from one session or several, or a plain error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest

from jobbatch.classifier import Classifier, OutOfMemoryError
from jobbatch.errors import DeviceError, MissingExtraError, ModelError, ResourceError
from tests import wordmodel

CLS, SEP = 1, 2
DIRECTOR = len(wordmodel.SPECIAL) + list(wordmodel.WORDS).index("director")
IDS = np.array([[CLS, DIRECTOR, SEP], [CLS, SEP, SEP]], np.int64)


@pytest.fixture(scope="module")
def graph(word_model) -> bytes:
    return (word_model / "onnx" / "model_int8.onnx").read_bytes()


class Session:
    """Stands for ONNX Runtime's session: answers every batch with the same logits."""

    def __init__(self, provider: str, logits: np.ndarray) -> None:
        self.get_providers = lambda: [provider]
        self.get_inputs = lambda: [
            SimpleNamespace(name="input_ids"),
            SimpleNamespace(name="attention_mask"),
        ]
        self.get_outputs = lambda: [SimpleNamespace(name="logits", shape=["batch", 6])]
        self.fed: list[dict[str, np.ndarray]] = []
        self.run_with_iobinding = lambda binding: self.fed.append(binding.fed)
        self.logits = logits

    def io_binding(self) -> SimpleNamespace:
        fed: dict[str, np.ndarray] = {}
        return SimpleNamespace(
            fed=fed,
            bind_cpu_input=fed.__setitem__,
            bind_output=lambda _: None,
            copy_outputs_to_cpu=lambda: [self.logits],
        )


@pytest.fixture
def runtime(monkeypatch) -> Callable[..., SimpleNamespace]:
    """Return a maker of stand-ins for ONNX Runtime, with these execution providers."""

    def make(
        *built_in: str, used: str = "CPUExecutionProvider", said: str | None = None
    ) -> SimpleNamespace:
        fake = SimpleNamespace(
            asked=[],
            sessions=[],
            get_available_providers=lambda: [*built_in, "CPUExecutionProvider"],
            SessionOptions=SimpleNamespace,
            preload_dlls=lambda: None,
        )

        def session(*_: object, providers: list[object], enable_fallback: int) -> Session:
            assert not enable_fallback
            if said is not None:
                raise RuntimeError(said)
            fake.asked.append(providers)
            fake.sessions.append(Session(used, np.zeros((2, 6))))
            return fake.sessions[-1]

        fake.InferenceSession = session
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
    fake = runtime()
    Classifier(b"", "cpu").probabilities(IDS)
    (feeds,) = fake.sessions[0].fed
    assert feeds["input_ids"] is IDS
    assert np.array_equal(feeds["attention_mask"], np.ones_like(IDS))


@pytest.mark.fault(35)
def test_a_token_that_the_model_does_not_know_is_a_model_error(graph) -> None:
    with pytest.raises(ModelError, match=r"failed on a batch of \(1, 1\)"):
        Classifier(graph, "cpu").probabilities(np.array([[999]], np.int64))


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "said",
    [
        "Failed to allocate memory for requested buffer of size 4096",
        "CUDA failure 2: out of memory",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED ; expr=cublasCreate(&cublas_handle_);",
        "std::bad_alloc",
        "Available memory of 14377728 is smaller than requested bytes of 88080384",
    ],
)
def test_a_batch_that_does_not_fit_the_memory_is_told_from_a_broken_model(
    runtime, said: str
) -> None:
    fake = runtime()
    classifier = Classifier(b"", "cpu")
    fake.sessions[0].run_with_iobinding = mock.Mock(side_effect=RuntimeError(said))
    with pytest.raises(OutOfMemoryError, match="too little memory free for 6 tokens"):
        classifier.probabilities(IDS)


@pytest.mark.fault(33)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_no_finite_number_is_an_error_and_no_label(runtime, broken) -> None:
    fake = runtime()
    classifier = Classifier(b"", "cpu")
    fake.sessions[0].logits = np.array([[0.0] * 5 + [broken]])
    with pytest.raises(ModelError, match="not finite"):
        classifier.probabilities(IDS)


@pytest.mark.parametrize("content", [b"", b"not a graph"])
def test_a_file_that_is_no_graph_is_a_model_error(content: bytes) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        Classifier(content, "cpu")


def test_a_graph_with_other_inputs_is_refused_by_their_names(graph) -> None:
    model = onnx.load_model_from_string(graph)
    model.graph.input[0].name = model.graph.node[0].input[1] = "pixels"
    with pytest.raises(ModelError, match="pixels"):
        Classifier(model.SerializeToString(), "cpu")


def with_data_beside(graph: bytes, key: bytes) -> bytes:
    """Return the graph with its weights in ./weights.bin, whose name is encoded as told.

    Args:
        graph: an ONNX file.
        key: protobuf's encoding of the key 'location'.
    """
    model = onnx.load_model_from_string(graph)
    (weights,) = (t for t in model.graph.initializer if t.name == "weights")
    Path("weights.bin").write_bytes(weights.raw_data)  # in the current folder
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer.remove(weights)
    entry = key + b"\x12\x0bweights.bin"
    tensor = weights.SerializeToString() + b"\x6a" + bytes([len(entry)]) + entry
    nested = model.graph.SerializeToString() + b"\x2a" + bytes([len(tensor)]) + tensor
    model.ClearField("graph")
    size = bytes([len(nested) & 127 | 128, len(nested) >> 7])
    return model.SerializeToString() + b"\x3a" + size + nested


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    "key",
    [b"\x0a\x08location", b"\x0a\x88\x00location", b"\x8a\x00\x08location"],
    ids=["as usual", "a longer length", "a longer tag"],
)
def test_data_beside_the_graph_is_not_read_however_its_name_is_encoded(graph, key: bytes) -> None:
    hostile = with_data_beside(graph, key)
    session = onnxruntime.InferenceSession(hostile, providers=["CPUExecutionProvider"])
    assert session.run(None, {"input_ids": IDS})[0][0, 3] > 0, "ONNX Runtime itself reads it"
    with pytest.raises(ModelError, match="other files"):
        Classifier(hostile, "cpu")


@pytest.mark.fault(34)
def test_an_operator_that_onnx_runtime_does_not_bring_is_a_model_error(graph) -> None:
    model = onnx.load_model_from_string(graph)
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(onnx.helper.make_opsetid("somebody.else", 1))
    with pytest.raises(ModelError, match="cannot be loaded"):
        Classifier(model.SerializeToString(), "cpu")


class TestOnGpus:
    def test_a_session_that_falls_back_to_the_cpu_is_an_error_and_not_a_slow_run(
        self, runtime
    ) -> None:
        runtime("CUDAExecutionProvider", used="CPUExecutionProvider")
        with pytest.raises(DeviceError, match=r"would run on CPUExecutionProvider"):
            Classifier(b"", "cuda")

    @pytest.mark.fault(37)
    @pytest.mark.parametrize(
        ("said", "error", "message"),
        [
            ("CUDA failure 2: out of memory", ResourceError, "GPU 0 has too little memory free"),
            ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", ResourceError, "too little memory"),
            ("CUDA failure 46: all CUDA-capable devices are busy", DeviceError, "cannot be used"),
            ("CUDA failure 803: unsupported driver", DeviceError, "failure 803"),
            ("Load model failed: Protobuf parsing failed", ModelError, "cannot be loaded"),
        ],
    )
    def test_a_gpu_that_is_full_or_fails_is_told_from_a_broken_graph(
        self, runtime, said: str, error: type[Exception], message: str
    ) -> None:
        runtime("CUDAExecutionProvider", said=said)
        with pytest.raises(error, match=message):
            Classifier(b"", "cuda")

    @pytest.mark.fault(37)
    def test_a_gpu_that_fails_meanwhile_is_told_from_a_broken_model(self, runtime) -> None:
        fake = runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        classifier = Classifier(b"", "cuda")
        lost = RuntimeError("CUDA failure 719: unspecified launch failure")
        fake.sessions[0].run_with_iobinding = mock.Mock(side_effect=lost)
        with pytest.raises(ResourceError, match="the GPU failed: CUDA failure 719"):
            classifier.probabilities(IDS)

    def test_each_gpu_has_a_session_and_all_of_them_work(self, runtime) -> None:
        fake = runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        classifier = Classifier(b"", "cuda", ordinals=(0, 1), callers=4)
        assert [providers[0][1]["device_id"] for providers in fake.asked] == [0, 1]
        for _ in range(4):
            classifier.probabilities(IDS)
        assert [len(session.fed) for session in fake.sessions] == [2, 2]

    def test_memory_kept_for_batches_does_not_double_with_each_longer_one(self, runtime) -> None:
        fake = runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        Classifier(b"", "cuda")
        ((name, options), other) = fake.asked[0]
        assert (name, other) == ("CUDAExecutionProvider", "CPUExecutionProvider")
        assert options["arena_extend_strategy"] == "kSameAsRequested"

    @pytest.mark.fault(37)
    @pytest.mark.parametrize(
        ("free", "limit"), [(80 << 30, 79 << 30), (3 << 29, 1 << 29), (5, 1 << 26), (None, None)]
    )
    def test_batches_leave_some_of_the_free_memory_to_cuda_s_libraries(
        self, runtime, monkeypatch, free: int | None, limit: int | None
    ) -> None:
        monkeypatch.setattr("jobbatch.classifier.free_memory", lambda _: free)
        fake = runtime("CUDAExecutionProvider", used="CUDAExecutionProvider")
        Classifier(b"", "cuda")
        ((_, options), _) = fake.asked[0]
        assert options.get("gpu_mem_limit") == limit

    def test_several_sessions_answer_as_one_does(self, graph) -> None:
        alone = Classifier(graph, "cpu").probabilities(IDS)
        several = Classifier(graph, "cpu", ordinals=(0, 1), callers=3)
        with ThreadPoolExecutor(6) as threads:
            for answer in threads.map(several.probabilities, [IDS] * 60):
                np.testing.assert_array_equal(answer, alone)

    def test_a_session_is_free_again_after_a_batch_that_failed(self, graph) -> None:
        classifier = Classifier(graph, "cpu")
        for _ in range(2):
            with pytest.raises(ModelError):
                classifier.probabilities(np.array([[999]], np.int64))
        assert classifier.probabilities(IDS).shape == (2, 6)


class TestTheExtra:
    def test_without_onnx_runtime_both_extras_are_named(self, graph, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(MissingExtraError, match=r"jobbatch\[cpu\].*jobbatch\[cuda\]"):
            Classifier(graph, "cpu")

    def test_two_onnx_runtimes_over_each_other_are_said_to_be_so(self, graph, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace())
        with pytest.raises(MissingExtraError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
            Classifier(graph, "cpu")

    def test_onnx_runtime_is_told_to_send_no_telemetry(self, graph, monkeypatch) -> None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        Classifier(graph, "cpu")
        assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"

    @pytest.mark.parametrize(("said", "expected"), [(None, "0"), ("1", "1")])
    def test_attention_that_plans_every_shape_is_off_unless_asked_for(
        self, graph, monkeypatch, said, expected
    ) -> None:
        monkeypatch.delenv("ORT_ENABLE_CUDNN_FLASH_ATTENTION", raising=False)
        if said:
            monkeypatch.setenv("ORT_ENABLE_CUDNN_FLASH_ATTENTION", said)
        Classifier(graph, "cpu")
        assert os.environ["ORT_ENABLE_CUDNN_FLASH_ATTENTION"] == expected
