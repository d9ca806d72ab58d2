"""Writes the files of a freshly trained model folder."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import polars as pl

import jobbatch
from jobbatch.decisions import Decisions
from jobbatch.settings.teaching import TrainSettings
from jobbatch.training import card
from jobbatch.training.dataset import Dataset
from jobbatch.training.evaluation import Evaluation
from jobbatch.training.scorer import FitSummary, TitleScorer
from jobbatch.weights import Canary, Manifest, write_manifest

CANARY_TITLES = (
    "Chief Lighthouse Officer",
    "Co-Owner of a Kite Factory",
    "Vice President, Tunnel Acoustics",
    "Director of Paper Boats",
    "Moss Garden Manager",
    "Apprentice Bell Tuner",
    "Lead Snowflake Inspector",
    "Head of Umbrella Repairs",
    "Assistant to the Chief Puzzle Officer",
    "Deputy Manager, Echo Archive",
)
"""Made up, so that none can be in anybody's data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that a model folder is written from; fields as in `TrainReport`."""

    scorer: TitleScorer
    decisions: Decisions
    data: Dataset
    settings: TrainSettings
    test: Evaluation
    test_original: Evaluation | None
    fit: FitSummary
    notes: str
    seen_by_base: tuple[str, ...] = ()


def write(folder: Path, contents: Contents) -> None:
    """Fill the empty `folder`; its manifest comes last."""
    contents.scorer.save(folder)
    (folder / "decisions.json").write_bytes(contents.decisions.to_json())
    metrics = {
        "test": asdict(contents.test),
        "seen_by_base": contents.seen_by_base,
        **contents.fit.metrics(),
    }
    if contents.test_original is not None:
        metrics["test_original"] = asdict(contents.test_original)
    (folder / "metrics.json").write_text(_json(metrics), encoding="utf-8")
    (folder / "train.toml").write_text(_toml(contents.settings), encoding="utf-8")
    text = card.text(
        contents.settings,
        contents.scorer.about,
        contents.data,
        contents.test,
        test_original=contents.test_original,
        seen_by_base=contents.seen_by_base,
        notes=contents.notes,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    write_manifest(folder, _manifest(contents))


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of distributions."""
    known = {"jobbatch": jobbatch.__version__}
    return {name: known.get(name) or metadata.version(name) for name in names}


def _manifest(contents: Contents) -> Manifest:
    normaliser = contents.data.normaliser
    titles = pl.DataFrame({"title": CANARY_TITLES})
    keys = titles.select(normaliser.key("title")).to_series().to_list()
    scores = contents.scorer.probabilities(keys).round(6)
    return Manifest(
        name=contents.settings.out.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        labels=contents.data.labels.names,
        normaliser=normaliser,
        normaliser_version=normaliser.version,
        versions=versions(contents.scorer.about.libraries),
        data=contents.data.sha256,
        canaries=tuple(
            Canary(title=title, probabilities=tuple(row))
            for title, row in zip(CANARY_TITLES, scores.tolist(), strict=True)
        ),
        files={},
        context=contents.settings.context,
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _toml(settings: TrainSettings) -> str:
    """Return the settings as TOML; of paths the last part, since folders differ by machine."""
    lines = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name == "base" and value is not None and os.path.isdir(value):
            value = Path(value).resolve().name
        if isinstance(value, Path):
            value = value.name
        if field.name == "data":
            value = tuple(path.name for path in value)
        if value is not None:
            # JSON's strings, numbers, booleans and lists of strings are TOML's.
            shown = list(value) if isinstance(value, tuple) else value
            lines.append(f"{field.name} = {json.dumps(shown, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
