"""A label job: one table, or all of a pattern or a folder, of which one that fails ends no other."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobbatch.errors import (
    DeviceError,
    JobbatchError,
    MissingExtraError,
    ModelError,
    PartialError,
    WriteError,
)
from jobbatch.jobs import inputs
from jobbatch.jobs.history import FileRun, JobRun, states
from jobbatch.jobs.run_log import without_cells
from jobbatch.pipeline import Check, LabelReport, label_file, labelled_before, require_whole
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables.publish import make_folder

if TYPE_CHECKING:
    from jobbatch.labeller import Progress

_CONCERNS_ALL = (ModelError, DeviceError, MissingExtraError, WriteError)
"""Errors after which the next table would fail as well."""

logger = logging.getLogger(__name__)


def label(
    settings: LabelSettings, found: JobRun, progress: Progress | None, check: Check | None = None
) -> None:
    """Label the job's tables that are new or changed.

    Args:
        settings: of the job.
        found: the run, in which is noted what is done and found.
        progress: told after each scored chunk.
        check: decides whether an output is published.

    Raises:
        PartialError: if some tables of several failed.
        JobbatchError: whatever stands in the way.
    """
    if not inputs.are_several(settings):
        inputs.check_one(settings)
        make_folder(settings.output.parent)
        _label_one(settings, found, progress, check)
        return
    tables = inputs.each(settings)
    make_folder(settings.output)
    model = _opened(settings) if any(os.path.exists(table.output) for table in tables) else None
    failed: dict[str, str] = {}
    for table in tables:
        try:
            _label_one(table, found, progress, check, model)
        except _CONCERNS_ALL:
            raise
        except JobbatchError as error:
            failed[table.input.name] = f"{table.input.name}: {error}"
    if failed:
        raise PartialError(
            f"{len(failed)} of {len(tables)} files failed: {', '.join(failed)}. "
            f"{'; '.join(failed.values())}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What tells which outputs a model has made."""

    identity: dict[str, str]
    device_reason: str


def _opened(settings: LabelSettings) -> _Model:
    from jobbatch import provenance  # noqa: PLC0415 - loads Polars and ONNX Runtime
    from jobbatch.model import OpenOptions, TitleModel  # noqa: PLC0415
    from jobbatch.weights import resolve_model  # noqa: PLC0415

    model = TitleModel(resolve_model(settings.model), OpenOptions(device=settings.device))
    return _Model(identity=provenance.of_model(model), device_reason=model.device.reason)


def _label_one(
    settings: LabelSettings,
    found: JobRun,
    progress: Progress | None,
    check: Check | None,
    model: _Model | None = None,
) -> None:
    started = time.monotonic()
    file = FileRun(input=str(settings.input))
    found.files.append(file)
    try:
        before = model and labelled_before(settings, model.identity, model.device_reason)
        report = before or label_file(settings, progress, check)
    except JobbatchError as error:
        file.error = without_cells(error)
        found.inputs += states([settings.input])
        logger.info("%s failed: %s", settings.input, file.error)
        raise
    finally:
        file.seconds = round(time.monotonic() - started, 3)
    file.error = None
    file.up_to_date = report.up_to_date
    done = "was labelled already as" if report.up_to_date else "is labelled as"
    logger.info("%s %s %s, %.1f s", settings.input, done, settings.output, file.seconds)
    _note(report, found)
    require_whole(report)


def _note(report: LabelReport, found: JobRun) -> None:
    manifest = report.manifest
    rows, before = manifest.counts["rows"], found.counts.get("rows", 0)
    for name, share in manifest.label_shares.items():
        held = share * rows + found.label_shares.get(name, 0.0) * before
        found.label_shares[name] = round(held / max(rows + before, 1), 4)
    for name, count in (*manifest.counts.items(), ("new_titles", report.new_titles)):
        found.counts[name] = found.counts.get(name, 0) + count
    found.inputs.append(manifest.input)
    found.outputs.append(manifest.output)
    found.model = manifest.model
    found.device_reason = report.device_reason
    found.reports.append(report)
