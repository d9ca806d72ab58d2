"""Fixtures: a model that can be checked in the head, and small tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis
import polars as pl
import pytest

from jobbatch.labeller import Labeller
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.settings.labelling import LabelSettings
from tests import wordmodel
from tests.reliability import FullRun

# The same examples on every run, so that a red build is always about the change at hand;
# `pytest --hypothesis-profile explore` looks for new ones.
hypothesis.settings.register_profile("check", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile("check")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FullRun())


@pytest.fixture(scope="session")
def word_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder whose answers are the words of the title (see wordmodel.WORDS)."""
    return wordmodel.build(tmp_path_factory.mktemp("models") / "words")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache, settings and current folder out of every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg-cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def labeller(word_model: Path, tmp_path: Path) -> Labeller:
    return Labeller(TitleModel(word_model, OpenOptions(device="cpu")), tmp_path / "scores")


@pytest.fixture
def settings(word_model: Path, tmp_path: Path) -> Callable[..., LabelSettings]:
    """Return a maker of settings: input people.csv, output out.parquet, the word model."""

    def make(**changes: object) -> LabelSettings:
        fields: dict[str, object] = {
            "input": tmp_path / "people.csv",
            "output": tmp_path / "out.parquet",
            "model": str(word_model),
            "cache_dir": tmp_path / "scores",
        }
        return LabelSettings(**(fields | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def people() -> pl.DataFrame:
    """Return a table with leading zeros, blanks, repeated and odd titles."""
    return pl.DataFrame(
        {
            "id": ["007", "008", "009", "010", "011"],
            "Job Title": ["Chief Cheese Officer", "nurse", None, "Owner / Manager", "nurse"],
            "notes": ["n/a", "", "=1+1", "a\nb", "x;y,z"],
        }
    )
