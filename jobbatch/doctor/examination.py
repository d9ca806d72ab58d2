"""All that is looked at, from the machine to the jobs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jobbatch import jobs
from jobbatch.doctor import machine
from jobbatch.doctor.checks import Check, checked
from jobbatch.doctor.models import of_models
from jobbatch.doctor.of_jobs import of_job
from jobbatch.jobs import Job
from jobbatch.jobs.schedule import times
from jobbatch.scores import cache_folder
from jobbatch.settings.labelling import LabelSettings


def examine(settings: LabelSettings, paths: Sequence[Path]) -> list[Check]:
    """Return what was looked at, from the machine to the jobs, and found.

    Args:
        settings: as `label` would have them here; looked at if there are no jobs.
        paths: job files and folders of them.
    """
    files: list[Path] = []
    loaded: list[Job] = []
    checks = [checked("ONNX Runtime", machine.runtime)]
    if paths:
        checks.append(checked("jobs", partial(_found, paths, files)))
    checks += [checked(f"{path}: file", partial(_loaded, path, loaded)) for path in files]
    asked = [job.settings for job in loaded] if paths else [settings]
    checks += of_models(asked)
    folders = {cache_folder(s.cache_dir): None for s in asked if isinstance(s, LabelSettings)}
    checks += [checked("score cache", partial(machine.cache, folder)) for folder in folders]
    checks.append(checked("temporary folder", machine.temporary))
    for job in loaded:
        checks += of_job(job)
    return checks


def exit_code(checks: Sequence[Check]) -> int:
    """Return the exit code of the first problem, which those after it may follow from; else 0."""
    return next((check.exit_code for check in checks if check.state == "problem"), 0)


def _found(paths: Sequence[Path], files: list[Path]) -> str:
    files += jobs.find(paths)
    return f"{len(files)} job files"


def _loaded(path: Path, loaded: list[Job]) -> str:
    job = jobs.load(path)
    loaded.append(job)
    times(job)
    return f"{job.schedule.command} at {job.schedule.cron!r}"
