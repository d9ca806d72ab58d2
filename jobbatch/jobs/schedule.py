"""What the system's scheduler is told: crontab lines, or systemd's units. Installs nothing."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jobbatch.errors import UsageError
from jobbatch.jobs.calendar import on_calendar
from jobbatch.jobs.job_file import Job, Work, find, load
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import ExportSettings
from jobbatch.tables.publish import make_folder, publish_bytes

_SERVICE = """\
[Unit]
Description={description}

[Service]
Type=oneshot
ExecStart={command}
{environment}
"""
_TIMER = """\
[Unit]
Description={description}

[Timer]
{events}
Persistent=true

[Install]
WantedBy=timers.target
"""


def crontab(paths: Sequence[Path]) -> Iterator[str]:
    """Yield a comment and a crontab line for each job.

    Raises:
        UsageError: if there is no job file, one is wrong, or cron would not take its times.
    """
    for job in map(load, find(paths)):
        times(job)
        # cron ends a command at an unescaped %.
        line = shlex.join(_command(job)).replace("%", r"\%")
        yield f"# {_description(job)}"
        yield f"{' '.join(job.schedule.cron.split())} {line}"


def systemd(paths: Sequence[Path]) -> dict[str, str]:
    """Return the service and the timer of each job, by file name.

    Raises:
        UsageError: if there is no job file, one is wrong, or two have the same name.
    """
    units: dict[str, str] = {}
    for job in map(load, find(paths)):
        name = f"jobbatch-{_unit_name(job.path.stem)}"
        if f"{name}.service" in units:
            raise UsageError(f"{job.path}: another job is named {job.path.stem} too: rename one")
        events = "\n".join(f"OnCalendar={event}" for event in times(job))
        description = _description(job).replace("%", "%%").rstrip("\\")
        program, *arguments = _command(job)
        units[f"{name}.service"] = _SERVICE.format(
            description=description,
            command=" ".join([_quoted(program, variables=False), *map(_quoted, arguments)]),
            environment="\n".join(
                f"Environment={_quoted(f'{name}={value}', variables=False)}"
                for name, value in _environment().items()
            ),
        )
        units[f"{name}.timer"] = _TIMER.format(description=description, events=events)
    return units


def write_units(units: Mapping[str, str], folder: Path) -> list[Path]:
    """Write units into a folder, replacing those of the same names; return where they are.

    Raises:
        WriteError: if they cannot be written.
    """
    make_folder(folder)
    for name, text in units.items():
        publish_bytes(folder / name, text.encode())
    return [folder / name for name in units]


def _command(job: Job) -> list[str]:
    path = str(job.path.absolute())
    if "\n" in path or not _is_utf8(path):
        raise UsageError(
            f"{path!r}: a scheduler cannot name a path with a line break, or one that is not UTF-8"
        )
    return [sys.executable, "-P", "-m", "jobbatch", "run", path, "--quiet"]


def _is_utf8(path: str) -> bool:
    return path == path.encode(errors="replace").decode()


def _description(job: Job) -> str:
    return " ".join(f"{job.schedule.command}: {_what(job.settings)}".splitlines())


def _what(settings: Work) -> str:
    match settings:
        case LabelSettings():
            return f"{settings.input} -> {settings.output}"
        case ExportSettings():
            return f"{settings.model} by {settings.recipe}"
        case _:
            return f"{', '.join(map(str, settings.data)) or 'own titles'} -> {settings.out}"


def _environment() -> dict[str, str]:
    """Return what a service of systemd lacks: cron sets it, but for the language."""
    return {
        "HOME": str(Path.home()),
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }


def times(job: Job) -> list[str]:
    """Return when a job runs, as systemd's calendar events.

    Raises:
        UsageError: if cron would not take the time, or it never comes.
    """
    try:
        return on_calendar(job.schedule.cron)
    except ValueError as error:
        raise UsageError(f"{job.path}: cron {job.schedule.cron!r}: {error}") from error


def _quoted(text: str, *, variables: bool = True) -> str:
    """Return a word as a unit file means it: no specifier, no variable, no end of the word."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped.replace("$", "$$") if variables else escaped}"'


def _unit_name(stem: str) -> str:
    """Return the name as systemd-escape writes it."""
    return re.sub(
        r"[^A-Za-z0-9:_.]",
        lambda found: "".join(f"\\x{byte:02x}" for byte in os.fsencode(found[0])),
        stem,
    )
