"""The models: every file as the manifest says, and ready to score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from jobbatch import devices
from jobbatch.doctor.checks import Check, checked
from jobbatch.jobs.job_file import Work
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings
from jobbatch.weights import ModelFolder, resolve_model


def of_models(asked: Sequence[Work]) -> Iterator[Check]:
    """Yield the checks of each model that settings ask for."""
    opened: dict[tuple[Path, devices.Device], None] = {}
    for settings in asked:
        match settings:
            case LabelSettings():
                opened[resolve_model(settings.model), settings.device] = None
            case EvaluateSettings():
                opened[resolve_model(settings.model), "auto"] = None
            case _:
                continue
    for path in {path: None for path, _ in opened}:
        yield checked(f"model {path}: files", partial(whole, path))
    for path, device in opened:
        yield checked(f"model {path}: device {device}", partial(_opened, path, device))


def whole(path: Path) -> str:
    """Return how many files of a model folder were read and found right.

    Raises:
        ModelError: for the first that is not.
    """
    folder = ModelFolder(path)
    folder.verify()
    return f"{len(folder.manifest.files)} files, each as manifest.json says"


def _opened(path: Path, device: devices.Device) -> str:
    choice = TitleModel(path, OpenOptions(device=device)).device
    return f"runs on the {choice.device} ({choice.reason}); the canary titles are right"
