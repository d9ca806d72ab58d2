"""A job file: a command, when it runs, and the command's settings.

    [job]                     [label]
    command = "label"         input = "examples/contacts.xlsx"
    cron = "30 2 * * *"       output = "../out/contacts.parquet"

Paths are relative to the job file. A job replaces its own output.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobbatch.config import from_mapping, load_toml, with_environment
from jobbatch.errors import UsageError
from jobbatch.settings.jobs import GateSettings, JobSettings, ScheduleSettings
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings

Work = LabelSettings | TrainSettings | EvaluateSettings | ExportSettings
"""The settings of a command that a job can run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job file that was read and found right."""

    path: Path
    schedule: ScheduleSettings
    settings: Work
    gates: GateSettings | None = None


def load(path: Path) -> Job:
    """Read a job file.

    Raises:
        UsageError: naming what is missing, unknown or wrong.
    """
    tables = {name.replace("-", "_"): table for name, table in load_toml(path).items()}
    for name in ("label", "train", "evaluate"):
        if isinstance(tables.get(name), dict):
            tables[name].setdefault("overwrite", True)
    folder = path.absolute().parent
    found = from_mapping(JobSettings, tables, where=str(path), relative_to=folder)
    settings = _with_model_path(found.work, folder)
    if not isinstance(settings, ExportSettings):  # whose command reads no variables either
        settings = with_environment(settings)
    return Job(path=path, schedule=found.job, settings=settings, gates=found.gates)


def find(paths: Sequence[Path]) -> list[Path]:
    """Return the job files of `paths`: files as given, and those in folders by name.

    Raises:
        UsageError: if there is none.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.toml")) if os.path.isdir(path) else [path]
    if not found:
        raise UsageError(f"no job files (*.toml) in {', '.join(map(str, paths))}")
    return found


def _with_model_path(settings: Work, folder: Path) -> Work:
    """Return the settings with the path of the model, which is a text, as the job file means it."""
    if isinstance(settings, LabelSettings | EvaluateSettings) and settings.model is not None:
        return replace(settings, model=str(folder / Path(settings.model).expanduser()))
    if isinstance(settings, TrainSettings) and settings.base is not None:
        base = folder / Path(settings.base).expanduser()
        return replace(settings, base=str(base)) if os.path.isdir(base) else settings
    return settings
