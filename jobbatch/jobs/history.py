"""What the last runs of a job did: a manifest and a log for each, in `<job>.runs/`.

Runs are numbered instead of dated, so that their order survives a clock that jumps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from jobbatch.errors import InputError, PartialError
from jobbatch.jobs.run_log import logged
from jobbatch.runs import FileState
from jobbatch.tables.publish import make_folder, publish_bytes

SCHEMA = 1


@dataclass(slots=True, kw_only=True)
class FileRun:
    """What became of one of a job's tables; `error` is none if it was labelled."""

    input: str
    up_to_date: bool = False
    seconds: float = 0.0
    error: str | None = "not finished"


@dataclass(slots=True, kw_only=True)
class JobRun:
    """A run of a job, filled in while it runs.

    Attributes:
        job: the job file.
        command: what it ran.
        started: when, in UTC.
        ended: when; empty while it runs.
        seconds: wall time.
        exit_code: what a script is told.
        error: the message, if it failed.
        inputs: what was read.
        outputs: what was published, or was there already.
        files: of a label job, each table.
        counts: of rows, distinct titles and so on.
        label_shares: share of the rows that hold each label.
        figures: of a train or evaluate job, its quality; of an export, its closeness.
        model: what identifies the answers, its device included.
        device_reason: why it ran there.
        versions: of jobbatch and the libraries whose change may change an output.
        reports: what the command returned, for who asked for the run; not kept.
    """

    job: str
    command: str
    started: str
    ended: str = ""
    seconds: float = 0.0
    exit_code: int = 1
    error: str | None = None
    inputs: list[FileState] = field(default_factory=list)
    outputs: list[FileState] = field(default_factory=list)
    files: list[FileRun] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    label_shares: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float | None] = field(default_factory=dict)
    model: dict[str, str] = field(default_factory=dict)
    device_reason: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA
    reports: list[Any] = field(default_factory=list, repr=False)

    def to_json_dict(self) -> dict[str, Any]:
        """Return the run as JSON can hold it."""
        kept = [f.name for f in fields(self) if f.name != "reports"]
        return {name: _plain(getattr(self, name)) for name in kept}

    @classmethod
    def read(cls, path: Path) -> JobRun | None:
        """Return the run that a manifest tells of, or none if it is not usable."""
        try:
            found = json.loads(path.read_bytes())
            for name in ("inputs", "outputs"):
                found[name] = [FileState(**state) for state in found[name]]
            found["files"] = [FileRun(**state) for state in found["files"]]
            return cls(**found) if found["schema"] == SCHEMA else None
        except (OSError, ValueError, TypeError, KeyError):
            return None


def _plain(value: Any) -> Any:
    return [asdict(item) for item in value] if isinstance(value, list) else value


def runs_folder(job: Path) -> Path:
    """Return where the manifests and logs of a job are."""
    return job.absolute().with_name(f"{job.stem}.runs")


class History:
    """The runs of a job. Whoever uses it holds the job's lock.

    Args:
        job: the job file.
        command: what it runs.
        keep: how many runs are kept.
        min_rows: what a run has to have seen for others to be compared with it.
    """

    def __init__(self, job: Path, command: str, *, keep: int, min_rows: int = 0) -> None:
        self.folder = runs_folder(job)
        self._command = command
        self._keep = keep
        self._min_rows = min_rows
        self._number = max(map(_number, self._files()), default=0) + 1

    def last_good(self) -> JobRun | None:
        """Return the last run of the same command that published what others are compared with."""
        found = self._last_good()
        return None if found is None else JobRun.read(self._path(".json", found))

    def unfinished(self) -> Path | None:
        """Return the log of the run before this one if it has left no manifest; else none."""
        log = self._path(".log", self._number - 1)
        return log if log.exists() and not log.with_suffix(".json").exists() else None

    @contextmanager
    def log(self) -> Iterator[None]:
        """Write what is logged while the block runs beside the manifest.

        Raises:
            WriteError: if the folder or the log cannot be made.
        """
        make_folder(self.folder)
        with logged(self._path(".log", self._number)):
            yield

    def add(self, run: JobRun) -> None:
        """Write the manifest of the run that is under way, and let go of the oldest ones.

        The last good run is always kept: the next one is compared with it.

        Raises:
            WriteError: if it cannot be written.
        """
        text = json.dumps(run.to_json_dict(), indent=2, ensure_ascii=False) + "\n"
        manifest = self._path(".json", self._number)
        publish_bytes(manifest, text.encode("utf-8", "backslashreplace"))
        files = self._files()
        kept = {self._last_good(), *sorted(set(map(_number, files)))[-self._keep :]}
        for old in files:
            if _number(old) not in kept:
                old.unlink(missing_ok=True)

    def _path(self, ending: str, number: int) -> Path:
        return self.folder / f"{number:06}{ending}"

    def _files(self) -> list[Path]:
        """Return manifests and logs, the oldest first; a run that was killed has a log alone."""
        endings = (".json", ".log")
        found = (p for p in self.folder.glob("*.*") if p.suffix in endings and p.stem.isdecimal())
        return sorted(found, key=_number)

    def _last_good(self) -> int | None:
        for path in reversed(self._files()):
            run = JobRun.read(path) if path.suffix == ".json" else None
            if run is not None and self._is_good(run):
                return _number(path)
        return None

    def _is_good(self, run: JobRun) -> bool:
        # Of a run in which some tables failed, what is counted are the others.
        ended_well = run.exit_code in (0, PartialError.exit_code)
        is_large = run.counts.get("rows", 0) >= self._min_rows
        return run.command == self._command and ended_well and is_large


def states(paths: Iterable[Path]) -> list[FileState]:
    """Return the states of the files that can be read; of the others the command tells."""
    found = []
    for path in paths:
        try:
            found.append(FileState.of(path))
        except InputError:
            continue
    return found


def _number(path: Path) -> int:
    return int(path.stem)
