"""Job files: what runs when. Running them, and the crontab lines that do.

    [job]                     [label]
    command = "label"         input = "examples/contacts.xlsx"
    cron = "30 2 * * *"       output = "../out/contacts.parquet"

Paths are relative to the job file. A job replaces its own output.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobbatch.config import LabelSettings, ScheduleSettings, from_mapping, load_toml
from jobbatch.errors import UsageError
from jobbatch.labeller import Progress
from jobbatch.pipeline import LabelReport, label_file
from jobbatch.runs import exclusive

_CRON_FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job file that was read and found right."""

    path: Path
    schedule: ScheduleSettings
    settings: LabelSettings


def load(path: Path) -> Job:
    """Read a job file.

    Raises:
        UsageError: naming what is missing, unknown or wrong.
    """
    tables = load_toml(path)
    unknown = sorted(set(tables) - {"job", "label"})
    if unknown:
        raise UsageError(f"{path}: unknown tables {', '.join(unknown)}")
    schedule = from_mapping(ScheduleSettings, tables.get("job", {}), where=f"{path} [job]")
    if len(schedule.cron.split()) != _CRON_FIELDS:
        raise UsageError(f"{path} [job]: cron {schedule.cron!r} has not five fields")
    table = {"overwrite": True} | tables.get(schedule.command, {})
    settings = from_mapping(
        LabelSettings,
        table,
        where=f"{path} [{schedule.command}]",
        relative_to=path.absolute().parent,
    )
    return Job(path=path, schedule=schedule, settings=_with_model_path(settings, path))


def _with_model_path(settings: LabelSettings, path: Path) -> LabelSettings:
    if settings.model is None:
        return settings
    return replace(settings, model=str(path.absolute().parent / settings.model))


def run(job: Job, progress: Progress | None = None) -> LabelReport:
    """Run a job under its lock.

    Raises:
        LockedError: if the job runs already.
        JobbatchError: whatever stands in the job's way.
    """
    with exclusive(job.path):
        job.settings.output.parent.mkdir(parents=True, exist_ok=True)
        return label_file(job.settings, progress)


def crontab(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a comment and a crontab line for each job.

    Raises:
        UsageError: if there is no job file, or one is wrong.
    """
    for path in _job_files(paths):
        job = load(path)
        command = [sys.executable, "-P", "-m", "jobbatch", "run", str(path.absolute()), "--quiet"]
        # cron ends a command at an unescaped %.
        line = shlex.join(command).replace("%", r"\%")
        yield f"# {job.schedule.command}: {job.settings.input} -> {job.settings.output}"
        yield f"{job.schedule.cron} {line}"


def _job_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"no job files (*.toml) in {', '.join(map(str, paths))}")
    return found
