"""Checkpoints of a training run: one folder an epoch, written whole or not at all.

    <work>/epoch-0003/  model.safetensors  average.safetensors  optimizer.safetensors  state.json

Tensors are safetensors and the rest is JSON: no pickle, so a checkpoint cannot run code.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jobbatch.errors import WriteError

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that the next epoch depends on.

    Attributes:
        epoch: the epoch that was finished, counted from 1.
        tensors: by file name without its ending, each a set of named tensors.
        state: the rest, as JSON can hold it.
    """

    epoch: int
    tensors: Mapping[str, Tensors]
    state: Mapping[str, Any]


def save(work: Path, checkpoint: Checkpoint, keep: int) -> None:
    """Write a checkpoint; then drop the others, but for that of the epoch `keep`.

    Raises:
        WriteError: if it cannot be written.
    """
    target = _folder(work, checkpoint.epoch)
    staged = work / f".{target.name}.tmp"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        _write(staged, checkpoint)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(staged, ignore_errors=True)
        raise WriteError(
            f"the checkpoint {target} cannot be written: {error}. Free some space, and repeat the "
            "command with --resume to go on"
        ) from error
    shutil.rmtree(target, ignore_errors=True)
    staged.replace(target)
    for other in work.glob("epoch-*"):
        if other not in (target, _folder(work, keep)):
            shutil.rmtree(other)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir(parents=True)
    for name, tensors in checkpoint.tensors.items():
        save_file(
            {n: t.detach().cpu().contiguous() for n, t in tensors.items()},
            folder / f"{name}.safetensors",
        )
    (folder / "state.json").write_text(json.dumps(checkpoint.state))
    for file in folder.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def latest(work: Path) -> Checkpoint | None:
    """Return the checkpoint of the last finished epoch, if there is one."""
    folders = sorted(work.glob("epoch-*"))
    return load(work, int(folders[-1].name.removeprefix("epoch-"))) if folders else None


def load(work: Path, epoch: int) -> Checkpoint:
    """Return the checkpoint of an epoch."""
    folder = _folder(work, epoch)
    return Checkpoint(
        epoch=epoch,
        tensors={f.stem: load_file(f) for f in sorted(folder.glob("*.safetensors"))},
        state=json.loads((folder / "state.json").read_text()),
    )


def clear(work: Path) -> None:
    """Remove all checkpoints, also those of a run's parts, which stand a folder deeper."""
    for folder in [
        f for p in ("epoch-*", ".epoch-*", "*/epoch-*", "*/.epoch-*") for f in work.glob(p)
    ]:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(work: Path, epoch: int) -> Path:
    return work / f"epoch-{epoch:04d}"
