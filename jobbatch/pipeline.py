"""Labels a table, from file to file: what is asked is checked, what comes out is published.

    paths, lock, probe of the output's folder
    a process of its own reads the table, scores it, writes a staged file and
    reopens it                                                     worker.label_table
    the input and the staged file are found unchanged
    manifest and output are published

Whatever a damaged or hostile table does, it does to the process that reads it. This one, which holds
the lock and publishes, parses no table, and does not even load Polars.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobbatch import child, paths
from jobbatch.errors import InputError, OutputError, PartialError, WriteError
from jobbatch.runs import (
    LONGEST_NAME,
    FileState,
    Labelled,
    RunManifest,
    bad_rows_path,
    exclusive,
    manifest_path,
)
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables import formats, publish

if TYPE_CHECKING:
    from jobbatch.labeller import Progress

Check = Callable[[RunManifest], None]
"""Called with the manifest of an output that is about to be published; raises to prevent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """What a labelling run did.

    Attributes:
        up_to_date: the output was there, made from the same input, model and options.
        new_titles: distinct normalised titles that were scored in this run.
        seconds: wall time of the run.
    """

    manifest: RunManifest
    device_reason: str
    up_to_date: bool
    new_titles: int
    seconds: float


def label_file(
    settings: LabelSettings,
    progress: Progress | None = None,
    check: Check | None = None,
    *,
    isolated: bool = True,
) -> LabelReport:
    """Label a table: all its rows and columns in order, the answers' columns added at the end.

    Args:
        settings: what is asked.
        progress: told after each scored chunk.
        check: decides whether an output that was made is published; its words are counted for it.
        isolated: read the table in a process of its own, which a damaged file may take down; else
            in this one.

    Raises:
        JobbatchError: whatever stands in the way; the output is then as it was before.
    """
    started = time.monotonic()
    check_input(settings)
    check_output(settings)
    if not os.path.isdir(settings.output.parent):
        raise OutputError(f"the folder {settings.output.parent} does not exist: make it first")
    label = _in_child if isolated else _here
    with (
        exclusive(settings.output),
        publish.staging(settings.output) as staged,
        _workspace(settings.output) as workspace,
    ):
        publish.check_writable(settings.output)
        counted = check is not None
        labelled = label(settings, staged, workspace, progress, count_words=counted)
        if not labelled.up_to_date:
            _publish(settings, staged, workspace, labelled, check)
    return LabelReport(
        manifest=labelled.manifest,
        device_reason=labelled.device_reason,
        up_to_date=labelled.up_to_date,
        new_titles=labelled.new_titles,
        seconds=time.monotonic() - started,
    )


def check_input(settings: LabelSettings) -> None:
    """Check that there is a table, of a format that is read.

    Raises:
        InputError: if there is none.
        UsageError: if its format is not read.
    """
    formats.readable(settings.input)
    if not os.path.exists(settings.input):
        raise InputError(f"{settings.input} {paths.fault(settings.input)}")


def check_output(settings: LabelSettings) -> None:
    """Check that the output can be a file of its name.

    Raises:
        OutputError: if it is a folder or the input, or its name is too long.
        UsageError: if its format is not written.
    """
    formats.writable(settings.output)
    if os.path.isdir(settings.output):
        raise OutputError(f"{settings.output} is a folder: name a file")
    if len(os.fsencode(settings.output.name)) > LONGEST_NAME:
        raise OutputError(
            f"{settings.output}: a file's name has {LONGEST_NAME} bytes at most: give it a shorter one"
        )
    both_exist = os.path.exists(settings.output) and os.path.exists(settings.input)
    if both_exist and settings.output.samefile(settings.input):
        raise OutputError("input and output are the same file: name another output")


def labelled_before(
    settings: LabelSettings, model: dict[str, str], device_reason: str
) -> LabelReport | None:
    """Return the report of a table that has been labelled already, untouched since; else none.

    `label_file` finds the same, but in a process that opens the model once more.

    Args:
        settings: what is asked.
        model: what identifies the answers of the model, `provenance.of_model`.
        device_reason: why it runs where it does.

    Raises:
        JobbatchError: if the table cannot be read, or another output may not be replaced.
    """
    from jobbatch import provenance  # noqa: PLC0415 - loads Polars

    started = time.monotonic()
    if not os.path.exists(settings.output):
        return None  # without reading the table, which may be large
    earlier = provenance.finished_before(settings, FileState.of(settings.input), model)
    if earlier is None:
        return None
    return LabelReport(
        manifest=earlier,
        device_reason=device_reason,
        up_to_date=True,
        new_titles=0,
        seconds=time.monotonic() - started,
    )


def require_whole(report: LabelReport) -> None:
    """Check that every line of the table was labelled.

    Raises:
        PartialError: if some were put aside.
    """
    n_bad = report.manifest.counts.get("bad_rows", 0)
    if n_bad:
        raise PartialError(f"all but {n_bad:,} lines of {report.manifest.input.path} are labelled")


@contextmanager
def _workspace(output: Path) -> Iterator[Path]:
    """Yield a folder for temporary files, removed afterwards.

    What a killed run for the same output left is removed before: whoever works has the output's lock.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(output))).hexdigest()[:16]
    prefix = f"jobbatch-{digest}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        yield Path(folder)


def _in_child(
    settings: LabelSettings,
    staged: Path,
    workspace: Path,
    progress: Progress | None,
    *,
    count_words: bool,
) -> Labelled:
    def news(message: child.Message) -> None:
        if progress is not None and "progress" in message:
            progress(*message["progress"])

    request = {
        "settings": {name: _plain(value) for name, value in asdict(settings).items()},
        "staged": str(staged),
        "workspace": str(workspace),
        "count_words": count_words,
    }
    answer = child.run(
        "jobbatch.worker",
        request,
        about=settings.input,
        silence=settings.read_timeout,
        hint="is its disk in reach? Give it longer with --read-timeout",
        news=news,
    )
    return Labelled.of(answer)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _here(
    settings: LabelSettings,
    staged: Path,
    workspace: Path,
    progress: Progress | None,
    *,
    count_words: bool,
) -> Labelled:
    from jobbatch.worker import label_table  # noqa: PLC0415 - loads Polars

    return label_table(settings, staged, workspace, progress, count_words=count_words)


def _publish(
    settings: LabelSettings, staged: Path, workspace: Path, labelled: Labelled, check: Check | None
) -> None:
    manifest = labelled.manifest
    with ThreadPoolExecutor(1) as beside:
        written = beside.submit(FileState.of, staged, becomes=settings.output)
        manifest.input.check_unchanged(settings.input)
    if written.result() != manifest.output:
        raise WriteError(f"{settings.output} is not what was written for it: run it again")
    if check is not None:
        check(manifest)
    bad_rows = bad_rows_path(settings.output)
    if "bad_rows" in manifest.counts:
        with publish.staged(bad_rows) as copy:
            shutil.copyfile(workspace / formats.BAD_LINES, copy)
    elif settings.bad_rows == "quarantine":
        bad_rows.unlink(missing_ok=True)  # an earlier run's
    # Before the output: a run that dies between the two has published nothing yet, so that
    # running it again needs no --overwrite.
    publish.publish_bytes(manifest_path(settings.output), manifest.to_json())
    publish.publish(staged, settings.output)
