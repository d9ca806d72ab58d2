"""What a run asks of the operating system: in which order, and what it leaves alone."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from jobbatch.weights import ModelFolder, write_manifest

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("people_csv")]

Trace = Callable[..., list[str]]


@functools.cache
def can_trace() -> bool:
    """Return whether strace is here and may trace."""
    return (
        bool(shutil.which("strace"))
        and not subprocess.run(
            ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
        ).returncode
    )


@pytest.fixture
def trace(environment: Mapping[str, str], tmp_path: Path) -> Trace:
    """Return a runner of `jobbatch label people.csv` under strace, which returns the lines."""
    if not can_trace():
        pytest.skip("strace is not installed, or may not trace")

    def run(calls: str, *arguments: object, code: int = 0) -> list[str]:
        log = tmp_path / "calls.log"
        traced = ["strace", "-f", "-y", "-o", log, "-e", f"trace={calls}"]
        command = [sys.executable, "-m", "jobbatch", "label", "people.csv", *map(str, arguments)]
        done = subprocess.run(
            [*traced, *command],
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stderr.decode()
        return log.read_text(encoding="utf-8", errors="replace").splitlines()

    return run


@pytest.mark.fault(6)
@pytest.mark.parametrize("ending", [".parquet", ".xlsx", ".csv"])
def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(
    trace: Trace, tmp_path: Path, ending: str
) -> None:
    calls = "write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2"
    lines = trace(calls, f"out{ending}")
    for published in (f"out{ending}.jobbatch.json", f"out{ending}"):
        (renamed,) = (
            i for i, line in enumerate(lines) if "rename" in line and f'{published}"' in line
        )
        staged = re.findall(r'"([^"]*)"', lines[renamed])[0]
        on_staged = [i for i, line in enumerate(lines) if f"{Path(staged).name}>" in line]
        *written, last = on_staged
        assert written, "its content is written under another name"
        assert last < renamed, "nothing is written once it has its name"
        assert "fsync(" in lines[last], "the content is on the disk"
        folder = [f"fsync({d}<{tmp_path}>)" for d in range(99)]
        after = [
            i for i, line in enumerate(lines) if any(f in line for f in folder) and i > renamed
        ]
        assert after, "the name is on the disk"


@pytest.mark.fault(1, 6)
def test_a_part_of_the_score_store_has_its_name_only_when_it_is_on_the_disk(trace: Trace) -> None:
    lines = trace("write,fsync,rename,renameat,renameat2", "out.csv")
    (renamed,) = (i for i, line in enumerate(lines) if "rename" in line and "/scores/" in line)
    on_part = [i for i, line in enumerate(lines) if "/scores/" in line and ".tmp>" in line]
    assert "fsync(" in lines[on_part[-1]]
    assert on_part[-1] < renamed


def _graph_with_data_elsewhere(folder: Path, canary: Path) -> None:
    import onnx
    from onnx.external_data_helper import set_external_data

    path = folder / "onnx" / "model_int8.onnx"
    model = onnx.load(path)
    (weights,) = (t for t in model.graph.initializer if t.name == "weights")
    canary.write_bytes(weights.raw_data)
    set_external_data(weights, canary.name, 0, len(weights.raw_data))
    weights.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())


def _linked_tokenizer(folder: Path, canary: Path) -> None:
    (folder / "tokenizer.json").rename(canary)
    (folder / "tokenizer.json").symlink_to(canary)


def _linked_folder(folder: Path, canary: Path) -> None:
    shutil.copy(folder / "onnx" / "model_int8.onnx", canary)
    (folder / "onnx" / "model_int8.onnx").unlink()
    (folder / "onnx" / "model_int8.onnx").symlink_to(canary)


def _pickled_weights(folder: Path, canary: Path) -> None:
    canary.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    shutil.copy(canary, folder / "pytorch_model.bin")


def _configuration_that_names_code(folder: Path, canary: Path) -> None:
    canary.write_text("raise SystemExit")
    shutil.copy(canary, folder / "modeling.py")
    fields = json.loads((folder / "config.json").read_text())
    code = {"auto_map": {"AutoModel": "modeling.Model"}, "_attn_implementation_internal": "a/b"}
    (folder / "config.json").write_text(json.dumps(fields | code))


@pytest.mark.fault(34)
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_graph_with_data_elsewhere, 20),
        (_linked_tokenizer, 20),
        (_linked_folder, 20),
        (_pickled_weights, 0),
        (_configuration_that_names_code, 0),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_what_a_hostile_model_names_is_not_even_opened(
    trace: Trace, word_model: Path, tmp_path: Path, spoil: Callable[[Path, Path], None], code: int
) -> None:
    folder = tmp_path / "hostile"
    shutil.copytree(word_model, folder)
    manifest = ModelFolder(folder).manifest
    spoil(folder, tmp_path / "canary.bin")
    write_manifest(folder, replace(manifest, name="hostile"))
    lines = trace("open,openat,openat2,connect,execve", "out.csv", "--model", folder, code=code)
    assert [line for line in lines if "hostile/manifest.json" in line], "opens are seen"
    named = ("canary.bin", "pytorch_model.bin", "modeling.py", "AF_INET")
    assert [line for line in lines if any(name in line for name in named)] == []
    started = [line for line in lines if "execve(" in line]
    assert [line for line in started if sys.executable not in line] == []
    assert (tmp_path / "out.csv").exists() == (code == 0)
