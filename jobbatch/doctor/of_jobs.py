"""A job: its lock, what it reads, where it writes, what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from jobbatch import paths
from jobbatch.doctor import models
from jobbatch.doctor.checks import Check, DoubtError, checked
from jobbatch.doctor.space import free_bytes, mib, plenty
from jobbatch.errors import InputError, JobbatchError, LockedError, WriteError
from jobbatch.jobs import Job, inputs, teaching
from jobbatch.jobs.gates import Gates
from jobbatch.runs import exclusive
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings


def of_job(job: Job) -> Iterator[Check]:
    """Yield the checks of a job file that was read."""
    look: dict[str, Callable[[], str]] = {"lock": partial(_lock, job)}
    match job.settings:
        case LabelSettings():
            look["input"] = partial(_tables, job.settings)
            look["output"] = partial(_output, job.settings)
            if job.gates is not None:
                look["gates"] = partial(_gates, job)
        case TrainSettings() | EvaluateSettings():
            look["extra"] = _extra
            look["input"] = partial(_files, job.settings.data)
            if job.settings.out is not None:
                look["output"] = partial(_folder, job.settings.out.parent)
        case ExportSettings():
            look["extra"] = _extra
            look["input"] = partial(_files, (job.settings.recipe,))
            look["model"] = partial(models.whole, job.settings.model)
    for what, check in look.items():
        yield checked(f"{job.path}: {what}", check)


def _lock(job: Job) -> str:
    try:
        with exclusive(job.path):
            return "free"
    except LockedError as error:
        raise DoubtError(f"the job is running now ({error})") from error


def _tables(settings: LabelSettings) -> str:
    if inputs.are_several(settings):
        return f"{len(inputs.each(settings))} tables in {settings.input}"
    return _files((settings.input,))


def _files(files: Sequence[Path]) -> str:
    for path in files:
        if not os.path.isfile(path):
            raise InputError(f"{path} {paths.fault(path)}")
        try:
            path.open("rb").close()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return ", ".join(map(str, files)) or "the package's own titles"


def _output(settings: LabelSettings) -> str:
    several = inputs.are_several(settings)
    folder = settings.output if several else settings.output.parent
    free = free_bytes(folder)
    needed = sum(path.stat().st_size for path in _sources(settings) if os.path.isfile(path))
    if free < needed:
        raise WriteError(
            f"{folder} has {mib(free)} free, the input alone has {mib(needed)}: free some space"
        )
    return f"{folder}: {plenty(free)}"


def _sources(settings: LabelSettings) -> list[Path]:
    if not inputs.are_several(settings):
        return [settings.input]
    try:
        return [table.input for table in inputs.each(settings)]
    except JobbatchError:
        return []  # the check of the input says why


def _gates(job: Job) -> str:
    if job.gates is not None and isinstance(job.settings, LabelSettings):
        Gates.of(job.gates, job.settings, None)
    return "their labels are the model's"


def _extra() -> str:
    teaching.require_extra()
    return "train is installed"


def _folder(folder: Path) -> str:
    return f"{folder}: {plenty(free_bytes(folder))}"
