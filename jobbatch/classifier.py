"""Probabilities from ONNX Runtime sessions.

On the CPU one session with one intra-op thread is shared by as many caller threads as there are
cores: ONNX Runtime releases the GIL while it works. Each GPU has a session, and a second caller that
prepares the next batch while the first one's is worked on.
"""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jobbatch.devices import PROVIDERS, free_memory, onnx_runtime
from jobbatch.errors import DeviceError, ModelError, ResourceError

_OUT_OF_MEMORY = (
    "failed to allocate",
    "out of memory",
    "alloc_failed",
    "bad_alloc",
    "cublascreate",
    "cudnncreate",
    "smaller than requested bytes",
)
"""What ONNX Runtime, CUDA, cuBLAS and the C++ library say of memory that is not to be had. CUDA's
libraries cannot be opened where there is none left for them, and then call themselves not initialised."""
_FOR_LIBRARIES = 1 << 30
"""Bytes of a GPU's memory that batches leave to cuBLAS, cuDNN and the kernels' code. Without them a batch
that does not fit could not be halved: the batches before it hold all there is."""
_LEAST_FOR_BATCHES = 1 << 26
_OF_CUDA = ("cuda failure", "cuda error", "cudnn", "cublas")
"""In what ONNX Runtime says where the driver, the GPU or CUDA's libraries fail, and not the graph."""
_EXTERNAL_DATA = b"location"
"""What a tensor calls the name of a file beside the graph that holds its numbers. The bytes before it
are not looked at: its length can be encoded in several ways."""


class OutOfMemoryError(Exception):
    """A batch does not fit the memory of its device; a smaller one may."""


class Classifier:
    """A single-file ONNX graph that turns token ids into label probabilities.

    Args:
        graph: the content of the ONNX file.
        device: where it runs.
        ordinals: the numbers of the GPUs that take part, each with a session of its own.
        callers: how many threads will call at a time; a session serves several.

    Raises:
        DeviceError: if a session would not run on `device`.
        ModelError: if the graph is not one of ours.
        ResourceError: if a GPU's memory cannot hold it.
    """

    def __init__(
        self,
        graph: bytes,
        device: Literal["cpu", "cuda"],
        ordinals: Sequence[int] = (0,),
        callers: int = 1,
    ) -> None:
        if _EXTERNAL_DATA in graph:
            # ONNX Runtime would take it from the current folder, unverified.
            raise ModelError("the ONNX graph keeps data in other files: export it as one file")
        self.device = device
        sessions = [_session(graph, device, ordinal) for ordinal in ordinals]
        self._inputs = {i.name for i in sessions[0].get_inputs()}
        if not {"input_ids", "attention_mask"} >= self._inputs or "input_ids" not in self._inputs:
            raise ModelError(f"the ONNX graph has the inputs {sorted(self._inputs)}")
        (output,) = sessions[0].get_outputs()
        self._output = output.name
        self.n_labels = int(output.shape[-1])
        self._free = SimpleQueue[Any]()
        for number in range(max(callers, len(sessions))):
            self._free.put(sessions[number % len(sessions)])

    def probabilities(self, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return sigmoid probabilities, float32 (n, n_labels), of unpadded ids (n, length).

        Raises:
            ModelError: if an output is not finite, or the graph cannot take these ids.
            ResourceError: if a GPU fails.
            OutOfMemoryError: if the batch does not fit the device's memory.
        """
        session = self._free.get()
        try:
            logits = self._logits(session, input_ids)
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            if _says(error, _OUT_OF_MEMORY):
                raise OutOfMemoryError(
                    f"the {self.device} has too little memory free for {input_ids.size} tokens: "
                    "end what else uses it, or run the same command again later to go on"
                ) from error
            if self.device == "cuda" and _says(error, _OF_CUDA):
                raise ResourceError(
                    f"the GPU failed: {error}. What was scored is kept: look at nvidia-smi, and run "
                    "the same command again to go on"
                ) from error
            raise ModelError(
                f"the model failed on a batch of {input_ids.shape}: {error}"
            ) from error
        finally:
            self._free.put(session)
        if not np.isfinite(logits).all():
            raise ModelError("the model's output is not finite (NaN or infinite): it is corrupt")
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)

    def _logits(self, session: Any, input_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        binding = session.io_binding()
        binding.bind_cpu_input("input_ids", input_ids)
        if "attention_mask" in self._inputs:
            binding.bind_cpu_input("attention_mask", np.ones_like(input_ids))
        binding.bind_output(self._output)
        session.run_with_iobinding(binding)
        return np.asarray(binding.copy_outputs_to_cpu()[0], dtype=np.float32)


def _says(error: Exception, signs: Sequence[str]) -> bool:
    return any(sign in str(error).lower() for sign in signs)


def _session(graph: bytes, device: Literal["cpu", "cuda"], ordinal: int) -> Any:
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    chosen: list[Any] = [PROVIDERS["cpu"]]
    if device == "cuda":
        # Without the strategy, each larger batch doubles the memory that is kept.
        cuda = {"device_id": ordinal, "arena_extend_strategy": "kSameAsRequested"}
        free = free_memory(ordinal)
        if free is not None:
            cuda["gpu_mem_limit"] = max(free - _FOR_LIBRARIES, _LEAST_FOR_BATCHES)
        chosen.insert(0, (PROVIDERS["cuda"], cuda))
    try:
        # It would go on on the CPU with no more than a line on stdout.
        session = runtime.InferenceSession(graph, options, providers=chosen, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        if device == "cuda" and _says(error, _OUT_OF_MEMORY):
            raise ResourceError(
                f"GPU {ordinal} has too little memory free for the model: end what else uses it, run "
                "the same command again later, or pass --device cpu"
            ) from error
        if device == "cuda" and _says(error, _OF_CUDA):
            raise DeviceError(f"GPU {ordinal} cannot be used: {error}") from error
        raise ModelError(f"the ONNX graph cannot be loaded: {error}") from error
    got = session.get_providers()[0]
    if got != PROVIDERS[device]:
        # Where the provider's library does not load, it says so on stderr and goes on.
        raise DeviceError(
            f"{PROVIDERS[device]} did not load (the session would run on {got}). Check the "
            "driver and CUDA libraries, or pass --device cpu"
        )
    return session
