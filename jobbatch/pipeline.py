"""Labels a table, from file to file, on one screen.

    distinct  = the table's distinct titles and how often each occurs     first scan, streaming
    answers   = labels, confidence and review flag of each distinct title
    output    = the table joined with its answers                         second scan, streaming

The table is scanned twice and that is the design: the first scan reads one column. Cost grows
with distinct new titles, memory with distinct titles, neither with rows.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import selectors as cs

import jobbatch
from jobbatch.errors import EmptyInputError, InputError, OutputError
from jobbatch.labeller import TITLE, Labeller, Progress
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.runs import FileState, RunManifest, exclusive, library_versions, manifest_path
from jobbatch.settings import LabelSettings
from jobbatch.tables import formats, publish, sink
from jobbatch.tables.source import POLARS_ERRORS, Table, open_table
from jobbatch.tables.title_column import find_title_column
from jobbatch.weights import resolve_model

_ROWS = "__rows"
_DECIDING_OPTIONS = ("title_column", "sheet", "encoding", "prefix", "probabilities")


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


def label_file(settings: LabelSettings, progress: Progress | None = None) -> LabelReport:
    """Label a table: all its rows and columns in order, the answers' columns added at the end.

    Raises:
        JobbatchError: whatever stands in the way; the output is then as it was before.
    """
    started = time.monotonic()
    formats.readable(settings.input)
    formats.writable(settings.output)
    _check_paths(settings)
    with exclusive(settings.output), tempfile.TemporaryDirectory(prefix="jobbatch-") as folder:
        options = OpenOptions(device=settings.device, threads=settings.threads)
        labeller = Labeller(TitleModel(resolve_model(settings.model), options), settings.cache_dir)
        source = FileState.of(settings.input)
        manifest = _finished_before(settings, source, labeller)
        up_to_date = manifest is not None
        if manifest is None:
            manifest = _label(settings, source, labeller, Path(folder), progress)
        return LabelReport(
            manifest=manifest,
            device_reason=labeller.model.device.reason,
            up_to_date=up_to_date,
            new_titles=labeller.new_titles,
            seconds=time.monotonic() - started,
        )


def _check_paths(settings: LabelSettings) -> None:
    if not settings.input.exists():
        raise InputError(f"{settings.input} does not exist")
    if not settings.output.parent.is_dir():
        raise OutputError(f"the folder {settings.output.parent} does not exist: make it first")
    if settings.output.is_dir():
        raise OutputError(f"{settings.output} is a folder: name a file")
    if settings.output.exists() and settings.output.samefile(settings.input):
        raise OutputError("input and output are the same file: name another output")


def _finished_before(
    settings: LabelSettings, source: FileState, labeller: Labeller
) -> RunManifest | None:
    """Return the manifest of an output that the same run made already, untouched since."""
    if not settings.output.exists():
        return None
    earlier = RunManifest.read(manifest_path(settings.output))
    if (
        earlier is not None
        and earlier.input.sha256 == source.sha256
        and earlier.model == _model_identity(labeller)
        and earlier.options == _deciding_options(settings)
        and earlier.output.sha256 == FileState.of(settings.output).sha256
    ):
        return earlier
    if not settings.overwrite:
        raise OutputError(f"{settings.output} exists already: pass --overwrite to replace it")
    return None


def _label(
    settings: LabelSettings,
    source: FileState,
    labeller: Labeller,
    workspace: Path,
    progress: Progress | None,
) -> RunManifest:
    publish.check_writable(settings.output)
    table = open_table(
        settings.input,
        workspace=workspace,
        sheet=settings.sheet,
        title_column=settings.title_column,
        encoding=settings.encoding,
    )
    try:
        title = find_title_column(
            table.frame, table.headers, settings.title_column, where=str(settings.input)
        )
        # A selector, since pl.col takes '*' and '^...$' for patterns.
        titles = cs.by_name(title).as_expr()
        counted = table.frame.group_by(titles.alias(TITLE)).len(_ROWS).collect()
        _check_output(settings, table, labeller, int(counted[_ROWS].sum()))
    except POLARS_ERRORS as error:
        raise InputError(f"{settings.input} cannot be read: {table.fault(error)}") from error
    answers = labeller.answers(counted, progress)
    return _publish(settings, source, table, title, answers, labeller)


def _check_output(settings: LabelSettings, table: Table, labeller: Labeller, n_rows: int) -> None:
    if n_rows == 0 and settings.fail_if_empty:
        raise EmptyInputError(f"{settings.input} has no data rows")
    added = _added_columns(settings, labeller)
    clash = sorted(set(added) & set(table.frame.collect_schema().names()))
    if clash:
        raise OutputError(
            f"{settings.input} has the columns {', '.join(clash)} already: pass a prefix for the "
            "new ones, for example --prefix jobbatch_"
        )
    sink.check_fits(table.frame, settings.output.suffix.lower(), n_rows, len(added))


def _added_columns(settings: LabelSettings, labeller: Labeller) -> list[str]:
    columns = ["labels", "primary_label", "confidence", "needs_review", "review_reason"]
    if settings.probabilities:
        columns += [f"p_{name}" for name in labeller.model.labels.names]
    return [settings.prefix + column for column in columns]


def _publish(
    settings: LabelSettings,
    source: FileState,
    table: Table,
    title: str,
    answers: pl.DataFrame,
    labeller: Labeller,
) -> RunManifest:
    added = _added_columns(settings, labeller)
    prefixed = answers.select(TITLE, pl.all().exclude(TITLE).name.prefix(settings.prefix))
    # Blank cells are titles too, so that they get their reason for review.
    labelled = table.frame.join(
        prefixed.select(TITLE, *added).lazy(),
        left_on=cs.by_name(title).as_expr(),
        right_on=TITLE,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    ending = settings.output.suffix.lower()
    columns = labelled.collect_schema().names()
    with publish.staged(settings.output) as staged:
        try:
            sink.write(
                labelled,
                staged,
                ending,
                headers=[*table.headers, *added],
                metadata={f"jobbatch.{k}": v for k, v in _model_identity(labeller).items()},
                separator=table.separator if settings.input.suffix.lower() == ending else None,
            )
        except POLARS_ERRORS as error:
            if publish.is_full(error):
                raise
            _check_unchanged(settings.input, source)  # which then is the reason
            raise InputError(f"{settings.input} cannot be read: {table.fault(error)}") from error
        except Exception:
            _check_unchanged(settings.input, source)
            raise
        _check_unchanged(settings.input, source)
        sink.verify(staged, ending, int(answers[_ROWS].sum()), columns)
        output = FileState.of(staged, becomes=settings.output)
        manifest = _manifest(settings, source, output, title, labeller, answers)
        # Before the output: a run that dies between the two has published nothing yet, so that
        # running it again needs no --overwrite.
        publish.publish_bytes(manifest_path(settings.output), manifest.to_json())
    return manifest


def _check_unchanged(path: Path, before: FileState) -> None:
    if FileState.of(path) != before:
        raise InputError(f"{path} changed while it was read: run it again")


def _manifest(
    settings: LabelSettings,
    source: FileState,
    output: FileState,
    title: str,
    labeller: Labeller,
    answers: pl.DataFrame,
) -> RunManifest:
    rows = answers[_ROWS]
    n_rows = int(rows.sum())
    held = {n: answers["labels"].list.contains(n) for n in labeller.model.labels.names}
    return RunManifest(
        input=source,
        output=output,
        model=_model_identity(labeller),
        options=_deciding_options(settings),
        title_column=title,
        counts={
            "rows": n_rows,
            "distinct_titles": answers.height,
            "to_review": int(rows.filter(answers["needs_review"]).sum()),
        },
        label_shares={
            n: round(int(rows.filter(h).sum()) / max(n_rows, 1), 4) for n, h in held.items()
        },
        versions={"jobbatch": jobbatch.__version__} | library_versions(),
    )


def _model_identity(labeller: Labeller) -> dict[str, str]:
    model = labeller.model
    return {
        "name": model.folder.manifest.name,
        "fingerprint": model.fingerprint,
        "decisions": hashlib.sha256(model.decisions.to_json()).hexdigest()[:16],
        "normaliser": model.normaliser.version,
        "device": model.device.device,
    }


def _deciding_options(settings: LabelSettings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in _DECIDING_OPTIONS}
