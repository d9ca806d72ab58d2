"""Training in a process of its own: killed, resumed, and read by whoever reads Hugging Face."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobbatch.weights import ModelFolder
from tests import tinymodel
from tests.commands.ran import Command

pytest.importorskip("torch")
pytestmark = pytest.mark.train

CODE = """
import sys
import torch
torch.set_num_threads(1)
from jobbatch import config
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training.train import train
options = dict(argument.split("=", 1) for argument in sys.argv[1:])
settings = config.from_mapping(TrainSettings, options, where="test")
print(train(settings, lambda record: print(record, flush=True)).fit.best_epoch)
"""


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Return the settings of a training of 20 short epochs, in the test's folder."""
    tinymodel.build_base(tmp_path / "base")
    tinymodel.own_titles().write_csv(tmp_path / "labelled.csv")
    fields = {
        "data": tmp_path / "labelled.csv",
        "base": tmp_path / "base",
        "epochs": 20,
        "patience": 99,
        "batch_size": 8,
        "learning_rate": 0.001,
        "validation_share": 0.2,
        "device": "cpu",
    }
    return [f"{name}={value}" for name, value in fields.items()]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    return out.splitlines()


@pytest.mark.fault(45)
def test_a_killed_training_resumed_makes_the_same_model(
    arguments: list[str], tmp_path: Path
) -> None:
    straight = start(*arguments, f"out={tmp_path / 'straight'}")
    process = start(*arguments, f"out={tmp_path / 'killed'}")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 5/"):
            break
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "killed").exists()

    resumed = finish(start(*arguments, f"out={tmp_path / 'killed'}", "resume=true"))
    assert int(resumed[0].split("/")[0].removeprefix("epoch ")) >= 6
    assert resumed[-1] == finish(straight)[-1]
    folders = [ModelFolder(tmp_path / name) for name in ("killed", "straight")]
    assert folders[0].read("model.safetensors") == folders[1].read("model.safetensors")
    assert folders[0].read("decisions.json") == folders[1].read("decisions.json")


@pytest.mark.fault(4)
@pytest.mark.system
def test_a_disk_that_is_full_of_checkpoints_and_logs_is_told(
    disk: Callable[..., Path], jobbatch: Command, tmp_path: Path
) -> None:
    tinymodel.build_base(tmp_path / "base")
    tinymodel.own_titles().write_csv(tmp_path / "labelled.csv")
    folder = disk("size=64k")
    options = ("--base", "base", "--epochs", 3, "--batch-size", 8, "--device", "cpu", "--quiet")
    ran = jobbatch("train", "labelled.csv", "--out", folder / "model", *options)
    assert (ran.code, ran.err.count("\n")) == (32, 1), ran.err
    assert str(folder) in ran.err
    assert not (folder / "model").exists()
