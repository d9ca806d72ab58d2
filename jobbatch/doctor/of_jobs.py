"""A job: its lock, what it reads, where it writes, what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from jobbatch import paths, pipeline
from jobbatch.doctor import models
from jobbatch.doctor.checks import Check, DoubtError, checked
from jobbatch.doctor.space import free_bytes, mib, plenty
from jobbatch.errors import (
    InputError,
    JobbatchError,
    LockedError,
    OutputError,
    PartialError,
    WriteError,
)
from jobbatch.jobs import Job, inputs, teaching
from jobbatch.jobs.gates import Gates
from jobbatch.jobs.history import runs_folder
from jobbatch.runs import RunManifest, exclusive, manifest_path
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings
from jobbatch.tables.delimited import codec


def of_job(job: Job) -> Iterator[Check]:
    """Yield the checks of a job file that was read."""
    look: dict[str, Callable[[], str]] = {
        "lock": partial(_lock, job),
        "runs": partial(_folder, runs_folder(job.path)),
    }
    match job.settings:
        case LabelSettings():
            look["input"] = partial(_tables, job.settings)
            look["output"] = partial(_output, job.settings)
            if job.gates is not None:
                look["gates"] = partial(_gates, job)
        case TrainSettings() | EvaluateSettings():
            look["extra"] = _extra
            look["input"] = partial(_labelled_tables, job.settings)
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
    codec(settings.encoding)
    if settings.password_file is not None:
        _files((settings.password_file,))
    if not inputs.are_several(settings):
        inputs.check_one(settings)
        pipeline.check_input(settings)
        return _files((settings.input,))
    tables = inputs.each(settings)
    faults = [fault for table in tables if (fault := _fault(table))]
    if faults:
        raise PartialError(f"{len(faults)} of {len(tables)} files will fail: {'; '.join(faults)}")
    return f"{len(tables)} tables in {settings.input}"


def _fault(table: LabelSettings) -> str:
    """Return why a table of several will fail, if that can be seen; else nothing."""
    try:
        pipeline.check_output(table)
        _files((table.input,))
    except JobbatchError as error:
        return str(error)
    return ""


def _labelled_tables(settings: TrainSettings | EvaluateSettings) -> str:
    codec(settings.encoding)
    if isinstance(settings, TrainSettings):
        others = (settings.corrections, settings.unlabelled, settings.notes)
        _files([path for path in others if path is not None])
    return _files(settings.data)


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
    if not several:
        pipeline.check_output(settings)
        _check_replaceable(settings)
    needed = sum(map(_new_bytes, _new_tables(settings)))
    if free < needed:
        raise WriteError(
            f"{folder} has {mib(free)} free, the outputs may take {mib(needed)}: free some space"
        )
    return f"{folder}: {plenty(free)}"


def _check_replaceable(settings: LabelSettings) -> None:
    if settings.overwrite or not os.path.exists(settings.output):
        return
    if RunManifest.read(manifest_path(settings.output)) is None:
        raise OutputError(f"{settings.output} exists and may not be replaced: set overwrite = true")
    raise DoubtError(
        f"{settings.output} may not be replaced, should anything have changed: set overwrite = true"
    )


def _new_tables(settings: LabelSettings) -> list[LabelSettings]:
    """Return the tables for which there is no output yet, whose space is still to be taken."""
    try:
        tables = inputs.each(settings) if inputs.are_several(settings) else [settings]
    except JobbatchError:
        return []  # the check of the input says why
    return [table for table in tables if not os.path.exists(table.output)]


def _new_bytes(table: LabelSettings) -> int:
    """Return what an output will take at the least; of another format than its input's: a tenth of it."""
    size = table.input.stat().st_size if os.path.isfile(table.input) else 0
    is_alike = table.input.suffix.lower() == table.output.suffix.lower()
    return size if is_alike else size // 10


def _gates(job: Job) -> str:
    if job.gates is not None and isinstance(job.settings, LabelSettings):
        Gates.of(job.gates, job.settings, None)
    return "their labels are the model's"


def _extra() -> str:
    teaching.require_extra()
    return "train is installed"


def _folder(folder: Path) -> str:
    return f"{folder}: {plenty(free_bytes(folder))}"
