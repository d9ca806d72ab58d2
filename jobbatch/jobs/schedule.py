"""What the system's scheduler is told: crontab lines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.jobs.job_file import Job, Work, find, load
from jobbatch.settings import ExportSettings, LabelSettings


def crontab(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a comment and a crontab line for each job.

    Raises:
        UsageError: if there is no job file, or one is wrong.
    """
    for job in map(load, find(paths)):
        # cron ends a command at an unescaped %.
        line = shlex.join(command_line(job)).replace("%", r"\%")
        yield " ".join(f"# {description(job)}".splitlines())
        yield f"{' '.join(job.schedule.cron.split())} {line}"


def command_line(job: Job) -> list[str]:
    """Return what runs the job, from any folder.

    Raises:
        UsageError: if its path has a line break, which no scheduler can name.
    """
    path = str(job.path.absolute())
    if "\n" in path:
        raise UsageError(f"{str(job.path)!r}: a scheduler cannot name a path with a line break")
    return [sys.executable, "-P", "-m", "jobbatch", "run", path, "--quiet"]


def description(job: Job) -> str:
    """Return what the job does, in a few words."""
    return f"{job.schedule.command}: {_what(job.settings)}"


def _what(settings: Work) -> str:
    match settings:
        case LabelSettings():
            return f"{settings.input} -> {settings.output}"
        case ExportSettings():
            return f"{settings.model} by {settings.recipe}"
        case _:
            return f"{', '.join(map(str, settings.data)) or 'own titles'} -> {settings.out}"
