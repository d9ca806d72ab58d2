"""Finds what would go wrong tonight: on this machine, in the models, in the jobs.

Nothing is published or changed; whether a folder can be written is tried with an empty file that is
removed again, whether a lock can be had by taking it for a moment.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from jobbatch import devices, jobs
from jobbatch.errors import InputError, JobbatchError, LockedError, MissingExtraError, WriteError
from jobbatch.jobs import Job, inputs, teaching
from jobbatch.jobs.calendar import on_calendar
from jobbatch.jobs.gates import Gates
from jobbatch.jobs.job_file import Work
from jobbatch.labeller import cache_folder
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.runs import exclusive
from jobbatch.settings import EvaluateSettings, ExportSettings, LabelSettings, TrainSettings
from jobbatch.tables.publish import check_writable
from jobbatch.weights import ModelFolder, resolve_model

SCARCE_BYTES = 1 << 30
"""Free space below which a folder is worth a warning: a spreadsheet is unpacked into some GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and found.

    Attributes:
        what: the subject.
        state: a warning may be meant so, a problem will end a run.
        text: what was found, for a person.
        exit_code: that the problem would end a run with; 0: there is none.
    """

    what: str
    state: Literal["ok", "warning", "problem"]
    text: str
    exit_code: int = 0


class _DoubtError(Exception):
    """Something that may be meant so."""


def examine(settings: LabelSettings, paths: Sequence[Path]) -> list[Check]:
    """Return what was looked at, from the machine to the jobs, and found.

    Args:
        settings: as `label` would have them here; looked at if there are no jobs.
        paths: job files and folders of them.
    """
    files: list[Path] = []
    loaded: list[Job] = []
    checks = [_checked("ONNX Runtime", _runtime)]
    if paths:
        checks.append(_checked("jobs", partial(_found, paths, files)))
    checks += [_checked(f"{path}: file", partial(_loaded, path, loaded)) for path in files]
    asked = [job.settings for job in loaded] if paths else [settings]
    checks += _of_models(asked)
    folders = {cache_folder(s.cache_dir): None for s in asked if isinstance(s, LabelSettings)}
    checks += [_checked("score cache", partial(_cache, folder)) for folder in folders]
    checks.append(_checked("temporary folder", _temporary))
    for job in loaded:
        checks += _of_job(job)
    return checks


def exit_code(checks: Sequence[Check]) -> int:
    """Return the exit code of the first problem, which those after it may follow from; else 0."""
    return next((check.exit_code for check in checks if check.state == "problem"), 0)


def _checked(what: str, look: Callable[[], str]) -> Check:
    try:
        return Check(what=what, state="ok", text=look())
    except _DoubtError as doubt:
        return Check(what=what, state="warning", text=str(doubt))
    except JobbatchError as error:
        return Check(what=what, state="problem", text=str(error), exit_code=error.exit_code)


def _runtime() -> str:
    names = ("onnxruntime", "onnxruntime-gpu")
    installed = [d.name for d in metadata.distributions() if d.name in names]
    if len(set(installed)) > 1:
        raise MissingExtraError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'jobbatch[cpu]' (or "
            "'jobbatch[cuda]')"
        )
    runtime = devices.onnx_runtime()
    return f"{runtime.__version__} with {', '.join(runtime.get_available_providers())}"


def _found(paths: Sequence[Path], files: list[Path]) -> str:
    files += jobs.find(paths)
    return f"{len(files)} job files"


def _loaded(path: Path, loaded: list[Job]) -> str:
    job = jobs.load(path)
    loaded.append(job)
    try:
        on_calendar(job.schedule.cron)
    except ValueError as error:
        raise _DoubtError(f"cron {job.schedule.cron!r}: {error}") from error
    return f"{job.schedule.command} at {job.schedule.cron!r}"


def _of_models(asked: Sequence[Work]) -> Iterator[Check]:
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
        yield _checked(f"model {path}: files", partial(_whole, path))
    for path, device in opened:
        yield _checked(f"model {path}: device {device}", partial(_opened, path, device))


def _whole(path: Path) -> str:
    folder = ModelFolder(path)
    folder.verify()
    return f"{len(folder.manifest.files)} files, each as manifest.json says"


def _opened(path: Path, device: devices.Device) -> str:
    choice = TitleModel(path, OpenOptions(device=device)).device
    return f"runs on the {choice.device} ({choice.reason}); the canary titles are right"


def _cache(folder: Path) -> str:
    free = _writable(folder)
    size = sum(part.stat().st_size for part in folder.glob("scores/*/*.parquet"))
    return f"{folder}: {_mib(size)} used, {_plenty(free)}"


def _temporary() -> str:
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise WriteError(f"there is no folder for temporary files: {error.strerror}") from error
    return f"{folder}: {_plenty(_writable(folder))}"


def _of_job(job: Job) -> Iterator[Check]:
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
            look["model"] = partial(_whole, job.settings.model)
    for what, check in look.items():
        yield _checked(f"{job.path}: {what}", check)


def _lock(job: Job) -> str:
    try:
        with exclusive(job.path):
            return "free"
    except LockedError as error:
        raise _DoubtError(f"the job is running now ({error})") from error


def _tables(settings: LabelSettings) -> str:
    if inputs.are_several(settings):
        return f"{len(inputs.each(settings))} tables in {settings.input}"
    return _files((settings.input,))


def _files(paths: Sequence[Path]) -> str:
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} does not exist")
        try:
            path.open("rb").close()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
    return ", ".join(map(str, paths)) or "the package's own titles"


def _output(settings: LabelSettings) -> str:
    several = inputs.are_several(settings)
    folder = settings.output if several else settings.output.parent
    free = _writable(folder)
    needed = sum(path.stat().st_size for path in _sources(settings) if path.is_file())
    if free < needed:
        raise WriteError(
            f"{folder} has {_mib(free)} free, the input alone has {_mib(needed)}: free some space"
        )
    return f"{folder}: {_plenty(free)}"


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
    return f"{folder}: {_plenty(_writable(folder))}"


def _writable(folder: Path) -> int:
    """Return the bytes that are free where `folder` is or would be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    check_writable(there / "probe")
    return shutil.disk_usage(there).free


def _plenty(free: int) -> str:
    if free < SCARCE_BYTES:
        raise _DoubtError(f"only {_mib(free)} are free")
    return f"{_mib(free)} free"


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
