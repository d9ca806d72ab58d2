"""What an output was made from, by which a later run tells that it need not make it again."""

from __future__ import annotations

import hashlib
import os

import polars as pl

import jobbatch
from jobbatch.errors import OutputError
from jobbatch.model import TitleModel
from jobbatch.runs import FileState, RunManifest, library_versions, manifest_path
from jobbatch.settings.labelling import LabelSettings

_DECIDING_OPTIONS = (
    "title_column",
    "context",
    "sheet",
    "encoding",
    "prefix",
    "probabilities",
    "bad_rows",
    "safe_csv",
)


def finished_before(
    settings: LabelSettings, source: FileState, model: dict[str, str]
) -> RunManifest | None:
    """Return the manifest of an output that the same run made already, untouched since.

    Args:
        settings: what is asked.
        source: the table.
        model: what identifies the answers of the model, `of_model`.

    Raises:
        OutputError: if there is another output, which may not be replaced.
    """
    if not os.path.exists(settings.output):
        return None
    earlier = RunManifest.read(manifest_path(settings.output))
    if (
        earlier is not None
        and earlier.input.sha256 == source.sha256
        and earlier.model == model
        and earlier.options == _options(settings)
        and earlier.output.sha256 == FileState.of(settings.output).sha256
    ):
        return earlier
    if not settings.overwrite:
        raise OutputError(f"{settings.output} exists already: pass --overwrite to replace it")
    return None


def manifest(
    settings: LabelSettings,
    source: FileState,
    output: FileState,
    model: TitleModel,
    *,
    title_column: str,
    answers: pl.DataFrame,
    rows: pl.Series,
) -> RunManifest:
    """Return the manifest of a run.

    Args:
        settings: what was asked.
        source: the table that was labelled.
        output: the file that is about to be published.
        model: what labelled it.
        title_column: the column that was found or asked for.
        answers: of the distinct titles.
        rows: how often each of them occurs.
    """
    n_rows = int(rows.sum())
    held = {n: answers["labels"].list.contains(n) for n in model.labels.names}
    return RunManifest(
        input=source,
        output=output,
        model=of_model(model),
        options=_options(settings),
        title_column=title_column,
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


def of_model(model: TitleModel) -> dict[str, str]:
    """Return what identifies the answers of a model."""
    return {
        "name": model.folder.manifest.name,
        "fingerprint": model.fingerprint,
        "decisions": hashlib.sha256(model.decisions.to_json()).hexdigest()[:16],
        "normaliser": model.normaliser.version,
        "device": model.device.device,
    }


def _options(settings: LabelSettings) -> dict[str, object]:
    options = {name: getattr(settings, name) for name in _DECIDING_OPTIONS}
    return options | {"context": list(settings.context)}  # as JSON gives it back
