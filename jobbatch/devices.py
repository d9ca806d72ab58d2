"""Where ONNX Runtime can work, and why not elsewhere. CUDA asked is CUDA had."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
from dataclasses import dataclass
from typing import Any, Literal

from jobbatch.errors import DeviceError, MissingExtraError, ModelError

logger = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
ONNX_FILE = {"cpu": "onnx/model_int8.onnx", "cuda": "onnx/model_fp16.onnx"}
"""Dynamic int8 does not run on CUDA, fp16 is slow on CPUs: each device has its own graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChoice:
    """The device that a run uses, and why.

    Attributes:
        device: its kind.
        reason: for a person.
        ordinals: the numbers of the GPUs that take part; (0,) on the CPU.
    """

    device: Literal["cpu", "cuda"]
    reason: str
    ordinals: tuple[int, ...] = (0,)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def onnx_runtime() -> Any:
    """Return ONNX Runtime's module.

    Raises:
        MissingExtraError: if it is not installed, or damaged.
    """
    # On by default since 1.29; it writes identifiers to the home folder and queues uploads.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # On Hopper it plans each new shape of a batch anew in each thread, which took longer than to
    # score it; our batches have many shapes.
    os.environ.setdefault("ORT_ENABLE_CUDNN_FLASH_ATTENTION", "0")
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


def choose_device(asked: Device, *, has_cuda_graph: bool) -> DeviceChoice:
    """Return the device for `asked`, which is final unless it is 'auto'.

    Raises:
        DeviceError: if CUDA is asked for and cannot be used.
        MissingExtraError: if there is no ONNX Runtime.
        ModelError: if CUDA is asked for and the model has no graph for it.
    """
    if asked == "cpu":
        return DeviceChoice(device="cpu", reason="asked for")
    gpus = _visible_gpus()
    obstacle = _obstacle(gpus, has_cuda_graph=has_cuda_graph)
    if obstacle is None:
        reason = "asked for" if asked == "cuda" else f"{gpus} GPU{'s' * (gpus > 1)} can be used"
        return DeviceChoice(device="cuda", reason=reason, ordinals=tuple(range(gpus)))
    if asked == "auto":
        if gpus:
            logger.warning(
                "there is a GPU, which is not used: %s. %s", obstacle.reason, obstacle.remedy
            )
        return DeviceChoice(device="cpu", reason=obstacle.reason)
    raise obstacle.error(f"--device cuda: {obstacle.reason}. {obstacle.remedy}")


@dataclass(frozen=True, slots=True)
class _Obstacle:
    """Why CUDA cannot be used, and what to do about it."""

    error: type[DeviceError | ModelError]
    reason: str
    remedy: str


def _obstacle(gpus: int, *, has_cuda_graph: bool) -> _Obstacle | None:
    runtime = onnx_runtime()
    if PROVIDERS["cuda"] not in runtime.get_available_providers():
        return _Obstacle(
            DeviceError,
            "this ONNX Runtime has no CUDA provider",
            "Install 'jobbatch[cuda]' in a fresh environment, or pass --device cpu",
        )
    if not has_cuda_graph:
        return _Obstacle(
            ModelError,
            f"the model has no {ONNX_FILE['cuda']}",
            "Add it: jobbatch export-onnx MODEL --recipe export/cuda-fp16.toml",
        )
    if gpus == 0:
        return _Obstacle(
            DeviceError,
            "no NVIDIA GPU can be seen",
            "Look at nvidia-smi and at CUDA_VISIBLE_DEVICES, or pass --device cpu",
        )
    missing = _preloaded(runtime)
    if missing:
        return _Obstacle(
            DeviceError,
            f"CUDA's libraries are not whole ({missing})",
            "Install 'jobbatch[cuda]' in a fresh environment, which brings them, or pass "
            "--device cpu",
        )
    return None


def free_memory(ordinal: int) -> int | None:
    """Return the bytes that are free on a GPU beside what this process needs to use it at all.

    None: the driver does not tell.
    """
    device, context = ctypes.c_int(0), ctypes.c_void_p()
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    try:
        driver = _driver()
        failed = (
            driver.cuInit(0)
            or driver.cuDeviceGet(ctypes.byref(device), ordinal)
            # The one that ONNX Runtime then uses too; it takes some hundred MiB.
            or driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
            or driver.cuCtxSetCurrent(context)
            or driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        )
    except (OSError, AttributeError):
        return None
    return None if failed else free.value


def _visible_gpus() -> int:
    """Return how many GPUs the driver shows this process; CUDA_VISIBLE_DEVICES counts."""
    count = ctypes.c_int(0)
    try:
        driver = _driver()
        failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else count.value


def _driver() -> Any:
    """Return NVIDIA's driver library, whose functions return 0 for success.

    Raises:
        OSError: if there is none.
    """
    return ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")


def _preloaded(runtime: Any) -> str:
    """Load CUDA's libraries and return what is wrong with them, if anything is."""
    said = io.StringIO()
    # It prints what it cannot load, and raises nothing.
    with contextlib.redirect_stdout(said):
        runtime.preload_dlls()
    return "; ".join(line for line in said.getvalue().splitlines() if "ailed to load" in line)
