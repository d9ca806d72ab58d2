"""Checkpoints: whole or not there, the last and the best kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jobbatch.training import checkpoints
from jobbatch.training.checkpoints import Checkpoint

pytestmark = pytest.mark.train


def checkpoint(epoch: int) -> Checkpoint:
    tensors = {
        "model": {"w": torch.full((2, 3), float(epoch))},
        "optimizer": {"0.step": torch.ones(())},
    }
    return Checkpoint(epoch=epoch, tensors=tensors, state={"rates": [0.1], "worst": float("-inf")})


def names(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "work", checkpoint(1), keep=1)
    again = checkpoints.latest(tmp_path / "work")
    assert again is not None
    assert again.epoch == 1
    assert again.state == {"rates": [0.1], "worst": float("-inf")}
    assert torch.equal(again.tensors["model"]["w"], torch.full((2, 3), 1.0))
    assert again.tensors["optimizer"]["0.step"].shape == ()


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 4):
        checkpoints.save(tmp_path, checkpoint(epoch), keep=2 if epoch > 1 else 1)
    assert names(tmp_path) == ["epoch-0002", "epoch-0004"]


@pytest.mark.fault(45)
def test_a_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1), keep=1)
    (tmp_path / ".epoch-0002.tmp").mkdir()
    (tmp_path / ".epoch-0002.tmp" / "model.safetensors").write_bytes(b"half")
    again = checkpoints.latest(tmp_path)
    assert again is not None
    assert again.epoch == 1
    checkpoints.save(tmp_path, checkpoint(2), keep=2)
    assert names(tmp_path) == ["epoch-0002"]


@pytest.mark.fault(34)
def test_no_pickle_is_written(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1), keep=1)
    files = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {".safetensors", ".json"}


def test_clearing_leaves_other_files(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, checkpoint(1), keep=1)
    checkpoints.save(tmp_path / "teacher", checkpoint(1), keep=1)
    (tmp_path / "tensorboard").mkdir()
    checkpoints.clear(tmp_path)
    assert names(tmp_path) == ["teacher", "tensorboard"]
    assert checkpoints.latest(tmp_path / "teacher") is None
    assert checkpoints.latest(tmp_path) is None
