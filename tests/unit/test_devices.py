"""Which device is taken: the one asked for, or a plain error; and with auto, why."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from jobbatch import devices
from jobbatch.devices import choose_device, free_memory, usable_cores
from jobbatch.errors import DeviceError, MissingExtraError, ModelError

CUDA = "CUDAExecutionProvider"
MISSING = "Failed to load libcublas.so.13: cannot open shared object file"


@dataclass(frozen=True)
class Driver:
    """Stands for NVIDIA's driver library."""

    gpus: int
    fault: int = 0

    def cuInit(self, _: int) -> int:  # noqa: N802 - the driver's name
        return self.fault

    def cuDeviceGetCount(self, count: object) -> int:  # noqa: N802 - the driver's name
        count._obj.value = self.gpus
        return 0

    def cuDeviceGet(self, _device: object, _ordinal: int) -> int:  # noqa: N802
        return 0

    def cuDevicePrimaryCtxRetain(self, _context: object, _device: object) -> int:  # noqa: N802
        return 0

    def cuCtxSetCurrent(self, _context: object) -> int:  # noqa: N802
        return 0

    def cuMemGetInfo_v2(self, free: object, total: object) -> int:  # noqa: N802
        free._obj.value, total._obj.value = 3 << 30, 80 << 30
        return 0


ONE_GPU = Driver(1)


@pytest.fixture
def machine(monkeypatch) -> Callable[..., None]:
    """Return what makes this a machine with these providers, GPUs and broken libraries."""

    def make(*providers: str, driver: Driver | None = None, missing: str = "") -> None:
        def open_library(name: str) -> Driver:
            if driver is None:
                raise OSError(name)
            return driver

        runtime = SimpleNamespace(
            get_available_providers=lambda: [*providers, "CPUExecutionProvider"],
            InferenceSession=None,
            preload_dlls=lambda: sys.stdout.write(missing),
        )
        monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
        monkeypatch.setattr(
            devices, "ctypes", SimpleNamespace(**vars(ctypes) | {"CDLL": open_library})
        )

    return make


def test_the_cpu_when_asked_for_is_used_whatever_there_is(machine) -> None:
    machine(CUDA, driver=Driver(1))
    choice = choose_device("cpu", has_cuda_graph=True)
    assert (choice.device, choice.reason) == ("cpu", "asked for")


def test_cuda_asked_for_and_there_is_used_on_every_gpu(machine) -> None:
    machine(CUDA, driver=Driver(3))
    choice = choose_device("cuda", has_cuda_graph=True)
    assert (choice.device, choice.ordinals) == ("cuda", (0, 1, 2))


@dataclass(frozen=True, kw_only=True)
class Without:
    """What is wrong with a machine, what is said of it, and as what error."""

    providers: tuple[str, ...] = (CUDA,)
    driver: Driver | None = ONE_GPU
    missing: str = ""
    has_graph: bool = True
    error: type[Exception] = DeviceError
    said: str
    remedy: str = "--device cpu"


@pytest.mark.parametrize(
    "case",
    [
        Without(providers=(), said="no CUDA provider", remedy="jobbatch[cuda]"),
        Without(has_graph=False, error=ModelError, said="no onnx/model_fp16.onnx", remedy="export"),
        Without(driver=None, said="no NVIDIA GPU can be seen", remedy="nvidia-smi"),
        Without(driver=Driver(0), said="no NVIDIA GPU can be seen", remedy="CUDA_VISIBLE_DEVICES"),
        Without(driver=Driver(1, fault=999), said="no NVIDIA GPU can be seen"),
        Without(missing=MISSING, said="libcublas.so.13", remedy="jobbatch[cuda]"),
    ],
)
class TestWithoutCuda:
    def test_asking_for_it_is_an_error_that_says_what_to_do(self, machine, capsys, case) -> None:
        machine(*case.providers, driver=case.driver, missing=case.missing)
        with pytest.raises(case.error) as error:
            choose_device("cuda", has_cuda_graph=case.has_graph)
        assert case.said in str(error.value)
        assert case.remedy in str(error.value)
        assert capsys.readouterr().out == ""

    @pytest.mark.fault(36)
    def test_auto_takes_the_cpu_and_says_why(self, machine, caplog, case) -> None:
        machine(*case.providers, driver=case.driver, missing=case.missing)
        choice = choose_device("auto", has_cuda_graph=case.has_graph)
        assert choice.device == "cpu"
        assert case.said in choice.reason
        assert (case.said in caplog.text) == (case.driver == ONE_GPU)  # which lies idle


@pytest.mark.parametrize(("gpus", "reason"), [(1, "1 GPU can be used"), (2, "2 GPUs can be used")])
def test_auto_takes_gpus_that_can_be_used(machine, gpus, reason) -> None:
    machine(CUDA, driver=Driver(gpus))
    choice = choose_device("auto", has_cuda_graph=True)
    assert (choice.device, choice.reason) == ("cuda", reason)


def test_without_onnx_runtime_both_extras_are_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"jobbatch\[cpu\].*jobbatch\[cuda\]"):
        choose_device("auto", has_cuda_graph=True)


def test_only_the_cores_that_this_process_may_use_are_counted(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert usable_cores() == 4


@pytest.mark.parametrize(
    ("driver", "free"), [(ONE_GPU, 3 << 30), (Driver(1, fault=3), None), (None, None)]
)
def test_free_memory_is_what_the_driver_says_if_it_says_anything(machine, driver, free) -> None:
    machine(CUDA, driver=driver)
    assert free_memory(0) == free
