"""On an NVIDIA GPU: a run is honest about its device, safe to kill, and told when memory is short."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import polars as pl
import pytest

from jobbatch.devices import choose_device
from jobbatch.errors import JobbatchError
from jobbatch.model import CHUNK_TITLES
from jobbatch.weights import default_model
from tests.commands.ran import Command, Ran


def why_not() -> str:
    """Return why CUDA cannot be used here; empty: it can."""
    try:
        choose_device("cuda", has_cuda_graph=True)
    except JobbatchError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(why_not() != "", reason=f"needs an NVIDIA GPU: {why_not()}")

OUT = "out.parquet"
CHUNK = CHUNK_TITLES["cuda"]
TITLES = 2 * CHUNK + 100
"""Distinct titles: three chunks, so that a killed run can have some behind it and some ahead."""
TOLERANCE = 0.01
"""Of a confidence between runs: fp16 kernels are chosen anew for each shape of a batch."""
HOLD = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
device, context = ctypes.c_int(), ctypes.c_void_p()
free, total, held = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_uint64()
failed = (
    cuda.cuInit(0)
    or cuda.cuDeviceGet(ctypes.byref(device), 0)
    or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
    or cuda.cuCtxSetCurrent(context)
    or cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
    or cuda.cuMemAlloc_v2(
        ctypes.byref(held), ctypes.c_size_t(free.value - (int(sys.argv[1]) << 20))
    )
)
print(failed, flush=True)
sys.stdin.read()
"""
"""Holds the memory of the GPU but for some MiB, until its standard input ends."""

Label = Callable[..., Ran]


@pytest.fixture
def label(jobbatch: Command, tmp_path: Path) -> Label:
    """Return a runner of `label people.csv`, which has three chunks of titles, by the shipped model."""
    work = ("nurse", "director", "owner", "head", "chief clerk", "mgr", "engineer", "vp")
    titles = [f"{work[i % len(work)]} of ward {i}" for i in range(TITLES)]
    pl.DataFrame({"id": range(TITLES), "title": titles}).write_csv(tmp_path / "people.csv")

    def run(*options: str, variables: Mapping[str, str] | None = None) -> Ran:
        shipped = {"JOBBATCH_MODEL": str(default_model()), **(variables or {})}
        return jobbatch("label", "people.csv", *options, "--overwrite", "--json", variables=shipped)

    return run


@pytest.fixture
def undisturbed(label: Label) -> pl.DataFrame:
    """Return what a run makes that nobody disturbs."""
    ran = label("undisturbed.parquet", "--device", "cuda", "--cache-dir", "other")
    assert (ran.code, json.loads(ran.out)["new_titles"]) == (0, TITLES), ran.err
    return pl.read_parquet("undisturbed.parquet")


def check_alike(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Check that labels are the same and confidences nearly so.

    Where a probability is at its threshold, its last digits decide: one title in a thousand may differ.
    """
    assert found["title"].equals(expected["title"])
    assert (found["labels"] != expected["labels"]).sum() <= len(expected) / 1_000
    assert (found["confidence"] - expected["confidence"]).abs().max() <= TOLERANCE


@pytest.mark.fault(36)
def test_a_gpu_is_taken_and_said_to_be(label: Label) -> None:
    for asked, reason in (("auto", "1 GPU can be used"), ("cuda", "asked for")):
        ran = label(OUT, "--device", asked)
        assert ran.code == 0, ran.err
        told = json.loads(ran.out)
        assert told["manifest"]["model"]["device"] == "cuda"
        assert told["device_reason"] == reason


@pytest.mark.fault(36)
def test_a_gpu_that_is_hidden_is_not_taken(label: Label) -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    ran = label(OUT, "--device", "cuda", variables=hidden)
    assert ran.code == 21
    assert "no NVIDIA GPU can be seen" in ran.err
    assert not Path(OUT).exists()


@pytest.mark.fault(36)
def test_cpu_and_gpu_agree(label: Label, undisturbed: pl.DataFrame) -> None:
    assert label(OUT, "--device", "cpu").code == 0
    found = pl.read_parquet(OUT)
    differ = (found["labels"] != undisturbed["labels"]).mean()
    assert isinstance(differ, float)
    assert differ < 0.02  # int8 and fp16


@pytest.mark.fault(1)
def test_a_killed_run_goes_on_where_it_was(
    label: Label, undisturbed: pl.DataFrame, environment: Mapping[str, str]
) -> None:
    options = ("--overwrite", "--device", "cuda", "--model", str(default_model()), "--cache-dir")
    moments = random.Random(1)  # noqa: S311 - not for secrets
    for number in range(4):
        cache = f"scores{number}"
        Path(OUT).write_bytes(b"old")
        process = subprocess.Popen(
            [sys.executable, "-m", "jobbatch", "label", "people.csv", OUT, *options, cache],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        if number:
            time.sleep(moments.uniform(2, 6))
        else:
            while not list(Path(cache).rglob("*.parquet")):  # its first chunk is stored
                time.sleep(0.01)
        process.kill()
        process.wait()
        stored = sum(pl.read_parquet(part).height for part in Path(cache).rglob("*.parquet"))
        ran = again(label, "--cache-dir", cache)
        assert json.loads(ran.out)["new_titles"] <= TITLES - stored
        check_alike(pl.read_parquet(OUT), undisturbed)


def again(label: Label, *options: str) -> Ran:
    """Run once more, when the process of a killed run has let go of the lock."""
    for _ in range(100):
        ran = label(OUT, "--device", "cuda", *options)
        if ran.code != 11:
            break
        time.sleep(0.1)
    assert ran.code == 0, ran.err
    return ran


@contextlib.contextmanager
def left_free(mebibytes: int) -> Iterator[None]:
    """Hold the GPU's memory but for some MiB."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(mebibytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"0\n"
        yield
        holder.kill()


@pytest.mark.fault(37)
@pytest.mark.parametrize("mebibytes", [64, 700, 1_200, 1_600, 2_000, 3_000, 6_000])
def test_a_gpu_that_others_fill_gets_smaller_batches_or_a_plain_word(
    label: Label,
    undisturbed: pl.DataFrame,
    mebibytes: int,
    record_property: Callable[[str, object], None],
) -> None:
    Path(OUT).write_bytes(b"old")
    with left_free(mebibytes):
        ran = label(OUT, "--device", "cuda")
    record_property("ended", f"{ran.code} {ran.err}")
    if ran.code:
        assert (ran.code, mebibytes < 3_000) == (40, True)
        assert "too little memory free" in ran.err
        assert "Traceback" not in ran.err
        assert Path(OUT).read_bytes() == b"old"
        again(label)
    check_alike(pl.read_parquet(OUT), undisturbed)
