"""Probabilities from an ONNX Runtime session; CUDA asked is CUDA had.

The only module that knows ONNX Runtime. One session with one intra-op thread is shared by as
many caller threads as there are cores: ONNX Runtime releases the GIL while it works.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from jobbatch.errors import DeviceError, MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnxruntime

Device = Literal["auto", "cpu", "cuda"]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
TOKEN_BUDGET = {"cpu": 512, "cuda": 32_768}
"""Tokens per batch: beyond about 1,000 a CPU core's activations leave its cache; a GPU needs
tens of thousands for its launches to disappear in the work."""
ONNX_FILE = {"cpu": "onnx/model_int8.onnx", "cuda": "onnx/model_fp16.onnx"}
"""Dynamic int8 does not run on CUDA, fp16 is slow on CPUs: each device has its own graph."""


_OUT_OF_MEMORY = ("failed to allocate", "out of memory", "alloc_failed", "bad_alloc")
"""What ONNX Runtime, CUDA, cuBLAS and the C++ library say of memory that is not to be had."""
_EXTERNAL_DATA = b"\x0a\x08location"
"""How a tensor names the file beside the graph that holds its numbers, in ONNX's encoding."""


class OutOfMemoryError(Exception):
    """A batch does not fit the memory of its device; a smaller one may."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _runtime() -> Any:
    # On by default since 1.29; it writes identifiers to the home folder and queues uploads.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime  # noqa: PLC0415 - an extra, and the import costs 0.16 s
    except ImportError as error:
        raise MissingExtraError(
            "ONNX Runtime is not installed. For the CPU: pip install 'jobbatch[cpu]'; "
            "for an NVIDIA GPU: pip install 'jobbatch[cuda]'"
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise MissingExtraError(
            "the ONNX Runtime installation is damaged, as happens when onnxruntime and "
            "onnxruntime-gpu were both installed. Mend it: pip uninstall -y onnxruntime "
            "onnxruntime-gpu && pip install 'jobbatch[cpu]' (or 'jobbatch[cuda]')"
        )
    return onnxruntime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChoice:
    """The device that a run uses, and why."""

    device: Literal["cpu", "cuda"]
    reason: str


def choose_device(asked: Device, *, has_cuda_graph: bool) -> DeviceChoice:
    """Return the device for `asked`, which is final unless it is 'auto'.

    Raises:
        DeviceError: if CUDA is asked for and this ONNX Runtime has no CUDA provider.
        MissingExtraError: if there is no ONNX Runtime.
        ModelError: if CUDA is asked for and the model has no graph for it.
    """
    if asked == "cpu":
        return DeviceChoice(device="cpu", reason="asked for")
    built_for_cuda = PROVIDERS["cuda"] in _runtime().get_available_providers()
    if asked == "cuda":
        if not built_for_cuda:
            raise DeviceError(
                "--device cuda: the installed ONNX Runtime has no CUDA provider. Install "
                "'jobbatch[cuda]' in a fresh environment, or pass --device cpu"
            )
        if not has_cuda_graph:
            raise ModelError(
                f"the model has no {ONNX_FILE['cuda']}. Add it: "
                "jobbatch export-onnx MODEL --recipe export/cuda-fp16.toml"
            )
        return DeviceChoice(device="cuda", reason="asked for")
    if not built_for_cuda:
        return DeviceChoice(device="cpu", reason="this ONNX Runtime has no CUDA provider")
    if not has_cuda_graph:
        return DeviceChoice(device="cpu", reason=f"the model has no {ONNX_FILE['cuda']}")
    return DeviceChoice(device="cuda", reason="a CUDA provider is installed")


class Classifier:
    """A single-file ONNX graph that turns token ids into label probabilities.

    Args:
        graph: the content of the ONNX file.
        device: where it runs.

    Raises:
        DeviceError: if the session would not run on `device`.
        ModelError: if the graph is not one of ours.
    """

    def __init__(self, graph: bytes, device: Literal["cpu", "cuda"]) -> None:
        if _EXTERNAL_DATA in graph:
            # ONNX Runtime would take it from the current folder, unverified.
            raise ModelError("the ONNX graph keeps data in other files: export it as one file")
        runtime = _runtime()
        if device == "cuda" and hasattr(runtime, "preload_dlls"):
            runtime.preload_dlls()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        providers = list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))
        try:
            self._session: onnxruntime.InferenceSession = runtime.InferenceSession(
                graph, options, providers=providers
            )
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise ModelError(f"the ONNX graph cannot be loaded: {error}") from error
        got = self._session.get_providers()[0]
        if got != PROVIDERS[device]:
            # ONNX Runtime falls back to the CPU with no more than a line on stderr.
            raise DeviceError(
                f"{PROVIDERS[device]} did not load (the session would run on {got}). Check the "
                "driver and CUDA libraries, or pass --device cpu"
            )
        self._inputs = {i.name for i in self._session.get_inputs()}
        if not {"input_ids", "attention_mask"} >= self._inputs or "input_ids" not in self._inputs:
            raise ModelError(f"the ONNX graph has the inputs {sorted(self._inputs)}")
        self.device = device

    @property
    def n_labels(self) -> int:
        """Return the width of the head."""
        return int(self._session.get_outputs()[0].shape[-1])

    def probabilities(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return sigmoid probabilities, float32 (n, n_labels), of unpadded ids (n, length).

        Raises:
            ModelError: if an output is not finite, or the graph cannot take these ids.
            OutOfMemoryError: if the batch does not fit the device's memory.
        """
        feeds = {"input_ids": input_ids}
        if "attention_mask" in self._inputs:
            feeds["attention_mask"] = np.ones_like(input_ids)
        try:
            logits = np.asarray(self._session.run(None, feeds)[0], dtype=np.float32)
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                raise OutOfMemoryError(
                    f"the {self.device} has too little memory free for {input_ids.size} tokens: "
                    "end what else uses it, or run the same command again later to go on"
                ) from error
            raise ModelError(
                f"the model failed on a batch of {input_ids.shape}: {error}"
            ) from error
        if not np.isfinite(logits).all():
            raise ModelError("the model's output is not finite (NaN or infinite): it is corrupt")
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)
