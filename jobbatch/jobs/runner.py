"""Runs a job: lock, ping, work, and a manifest of how it went, whichever way it went."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import jobbatch
from jobbatch.errors import JobbatchError, WriteError
from jobbatch.jobs import labelling, ping, teaching
from jobbatch.jobs.gates import Gates
from jobbatch.jobs.history import History, JobRun
from jobbatch.jobs.job_file import Job
from jobbatch.jobs.run_log import without_cells
from jobbatch.jobs.teaching import Told
from jobbatch.runs import exclusive, library_versions
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings

if TYPE_CHECKING:
    from jobbatch.labeller import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told how the work goes.

    Attributes:
        scoring: told the titles scored so far and their number.
        training: told each epoch.
        ended: told of the run when it has ended, in whichever way.
    """

    scoring: Progress | None = None
    training: Told | None = None
    ended: Callable[[JobRun], None] | None = None


def run(job: Job, watch: Watch | None = None, *, wait_seconds: float = 0.0) -> JobRun:
    """Run a job under its lock.

    Args:
        job: what to run.
        watch: told how the work goes.
        wait_seconds: how long to wait for another run of the job to end.

    Raises:
        LockedError: if the job runs already, still so after the wait.
        PartialError: if some of its tables failed; the others are done.
        JobbatchError: whatever stands in the job's way.
    """
    with exclusive(job.path, wait_seconds=wait_seconds):
        history = History(
            job.path,
            job.schedule.command,
            keep=job.schedule.keep,
            min_rows=0 if job.gates is None else max(job.gates.min_rows, 1),
        )
        found = JobRun(
            job=str(job.path),
            command=job.schedule.command,
            started=_now(),
            versions={"jobbatch": jobbatch.__version__} | library_versions(),
        )
        watch = watch or Watch()
        with history.log():
            try:
                _run(job, found, history, watch)
            finally:
                if watch.ended is not None:
                    watch.ended(found)
    return found


def _run(job: Job, found: JobRun, history: History, watch: Watch) -> None:
    url = job.schedule.ping_url
    started = time.monotonic()
    logger.info("%s of %s starts", found.command, found.job)
    killed = history.unfinished()
    if killed is not None:
        logger.warning(
            "the run before this one was killed: it left no manifest; its log is %s", killed
        )
    ping.send(url, "start")
    try:
        _work(job, found, history, watch)
        _close(found, started, exit_code=0)
        history.add(found)
    except BaseException as error:
        # An interruption has its exit code too; what has none is a bug.
        _close(found, started, exit_code=getattr(error, "exit_code", 1))
        is_told = isinstance(error, JobbatchError)
        found.error = without_cells(error)
        logger.info("failed, exit code %s: %s", found.exit_code, found.error, exc_info=not is_told)
        _add_failed(history, found)
        ping.send(url, "failure")
        raise
    logger.info("done in %.1f s", found.seconds)
    ping.send(url, "success")


def _work(job: Job, found: JobRun, history: History, watch: Watch) -> None:
    match job.settings:
        case LabelSettings():
            gates = None
            if job.gates is not None:
                last_good = history.last_good()
                gates = Gates.of(job.gates, job.settings, last_good)
                if last_good is None and job.gates.max_drift is not None:
                    logger.warning(
                        "max_drift has nothing to compare with: no earlier run kept of %s has "
                        "labelled %s rows",
                        job.path,
                        job.gates.min_rows,
                    )
            labelling.label(job.settings, found, watch.scoring, gates)
        case TrainSettings():
            teaching.train(job.settings, found, watch.training)
        case EvaluateSettings():
            teaching.evaluate(job.settings, found)
        case ExportSettings():
            teaching.export_onnx(job.settings, found)


def _close(found: JobRun, started: float, exit_code: int) -> None:
    found.ended = _now()
    found.seconds = round(time.monotonic() - started, 3)
    found.exit_code = exit_code


def _add_failed(history: History, found: JobRun) -> None:
    try:
        history.add(found)
    except WriteError as error:
        logger.warning("the manifest of the failed run is lost: %s", error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
