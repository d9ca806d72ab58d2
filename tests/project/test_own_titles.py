"""The project's own training titles: labelled by the guide, apart from the challenge set."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from jobbatch.labels import JOB_LEVELS
from jobbatch.titles import Normaliser

ROOT = Path(__file__).parents[2]


def read(path: str) -> pl.DataFrame:
    """Return title, labels and category, and the title's key."""
    table = pl.read_csv(ROOT / path, infer_schema=False).with_columns(pl.all().fill_null(""))
    return table.with_columns(key=Normaliser().key("title"))


@pytest.fixture(scope="module")
def titles() -> pl.DataFrame:
    return read("jobbatch/training/titles.csv")


@pytest.fixture(scope="module")
def challenge() -> pl.DataFrame:
    return read("benchmarks/quality/challenge.csv")


def test_every_title_is_there_once(titles: pl.DataFrame) -> None:
    assert titles.height > 5_000
    assert titles["key"].is_unique().all()


@pytest.mark.parametrize("table", ["titles", "challenge"])
def test_labels_are_job_levels_in_their_order(table: str, request: pytest.FixtureRequest) -> None:
    for labels in request.getfixturevalue(table)["labels"].unique():
        names = [name for name in labels.replace("(no label)", "").split("; ") if name]
        assert names == [level for level in JOB_LEVELS if level in names]


def test_no_title_of_the_challenge_set_is_trained_on(
    titles: pl.DataFrame, challenge: pl.DataFrame
) -> None:
    assert not set(titles["key"]) & set(challenge["key"])


def test_the_challenge_set_has_forty_titles_or_more_of_every_kind(challenge: pl.DataFrame) -> None:
    assert challenge["category"].value_counts()["count"].min() >= 40
