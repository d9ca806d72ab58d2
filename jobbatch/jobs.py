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

from jobbatch.config import from_mapping, load_toml, with_environment
from jobbatch.errors import UsageError, WriteError
from jobbatch.labeller import Progress
from jobbatch.pipeline import LabelReport, label_file
from jobbatch.runs import exclusive
from jobbatch.settings import JobSettings, LabelSettings, ScheduleSettings


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
    if isinstance(tables.get("label"), dict):
        tables["label"].setdefault("overwrite", True)
    found = from_mapping(JobSettings, tables, where=str(path), relative_to=path.absolute().parent)
    settings = with_environment(_with_model_path(found.label, path))
    return Job(path=path, schedule=found.job, settings=settings)


def _with_model_path(settings: LabelSettings, path: Path) -> LabelSettings:
    if settings.model is None:
        return settings
    return replace(settings, model=str(path.absolute().parent / Path(settings.model).expanduser()))


def run(job: Job, progress: Progress | None = None) -> LabelReport:
    """Run a job under its lock.

    Raises:
        LockedError: if the job runs already.
        JobbatchError: whatever stands in the job's way.
    """
    with exclusive(job.path):
        _make_folder(job.settings.output.parent)
        return label_file(job.settings, progress)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder {path} cannot be made: {error.strerror}") from error


def crontab(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a comment and a crontab line for each job.

    Raises:
        UsageError: if there is no job file, or one is wrong.
    """
    for path in _job_files(paths):
        job = load(path)
        command = [sys.executable, "-P", "-m", "jobbatch", "run", str(path.absolute()), "--quiet"]
        if "\n" in str(path.absolute()):
            raise UsageError(f"{str(path)!r}: a crontab cannot name a path with a line break")
        # cron ends a command at an unescaped %.
        line = shlex.join(command).replace("%", r"\%")
        comment = f"# {job.schedule.command}: {job.settings.input} -> {job.settings.output}"
        yield " ".join(comment.splitlines())
        yield f"{' '.join(job.schedule.cron.split())} {line}"


def _job_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"no job files (*.toml) in {', '.join(map(str, paths))}")
    return found
