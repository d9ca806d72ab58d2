"""A folder that appears whole: made beside its target, moved there last."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobbatch.errors import OutputError, WriteError
from jobbatch.weights import MANIFEST

_BASE = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
"""What `jobbatch pretrain` makes, which has no manifest."""


def check_target(target: Path, *, overwrite: bool) -> None:
    """Check that a model folder or a base may be put at `target`.

    Raises:
        OutputError: if something is there that may not be replaced.
    """
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise OutputError(f"{target} exists. Name another folder, or pass --overwrite")
    # Replacing removes what is there, so it must be a model and not, say, a home folder.
    replaceable = os.path.isdir(target) and not target.is_symlink()
    names = {path.name for path in target.iterdir()} if replaceable else set[str]()
    if not replaceable or (names and MANIFEST not in names and names != _BASE):
        raise OutputError(f"{target} exists and is no model folder: it will not be replaced")


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; afterwards it is `target`, replacing what was there.

    If the block fails, `target` stays as it was. The caller holds the lock of `target`.

    Raises:
        WriteError: if it cannot be written.
    """
    target = target.absolute()
    staged, replaced = _beside(target)
    try:
        recover(target)
        staged.mkdir(parents=True)
        yield staged
        _sync(staged)
        if os.path.exists(target):
            target.replace(replaced)
        staged.replace(target)
    except OSError as error:
        raise WriteError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        recover(target)


def recover(target: Path) -> None:
    """Tidy up after a run for `target` that was killed, or failed, between its two renames."""
    staged, replaced = _beside(target.absolute())
    shutil.rmtree(staged, ignore_errors=True)
    if os.path.exists(replaced) and not os.path.exists(target):
        replaced.replace(target)
    shutil.rmtree(replaced, ignore_errors=True)


def _beside(target: Path) -> tuple[Path, Path]:
    return target.with_name(f".{target.name}.tmp"), target.with_name(f".{target.name}.old")


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
