"""The project's own training titles: labelled by the guide, apart from what they are judged on."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from jobbatch.labels import JOB_LEVELS
from jobbatch.titles import Normaliser

ROOT = Path(__file__).parents[2]
ELSEWHERE = re.compile(
    r"\b(assistant|associate|deputy|vice|to|for|office|former|ex|past|retired|candidate|aspiring"
    r"|intern|advisor|adviser|support|sub|trainee|designate|future|seeking|emeritus|secretary"
    r"|relations|not)\b"
)
"""Words that make a role word somebody else's, a deputy's, or one of the past."""
ROLE_WORDS = {
    r"\bchief (\w+ ){1,3}officer\b": ("Chief Officer",),
    r"(?<!vice )\bpresident\b": ("Chief Officer",),
    r"\bvice president\b": ("Vice President", "Chief Officer"),
    r"\bdirector\b": ("Director", "Vice President"),
    r"\bhead of\b": ("Director", "Vice President"),
    r"\bgeneral manager\b": ("Director", "Vice President"),
    r"(?<!general )\bmanager\b": (
        "Manager",
        "Director",
        "Vice President",
        "Chief Officer",
        "Owner",
    ),
    r"^(co )?founder\b": ("Owner",),
    r"^owner\b": ("Owner",),
    r"^(\w+ ){0,2}(engineer|analyst|nurse|technician|coordinator|specialist|clerk|consultant)$": (
        "Individual Contributor/Staff",
    ),
}
"""What a reader takes each role word for, or for less than a higher one beside it. It knows none of
the guide's fixed phrases ('Owner Services', 'Chief Nurse'), hence the share that may differ."""


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


def likeness(one: list[str], other: list[str]) -> NDArray[np.float32]:
    """Return the Jaccard likeness of the texts' three-letter pieces, (n_one, n_other)."""
    from sklearn.feature_extraction.text import CountVectorizer

    pieces = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, dtype=np.float32)
    hot = pieces.fit_transform([f" {text.lower()} " for text in one + other])
    sizes = np.asarray(hot.sum(axis=1)).ravel()
    shared = (hot[: len(one)] @ hot[len(one) :].T).toarray()
    either = sizes[: len(one), None] + sizes[None, len(one) :] - shared
    return shared / np.maximum(either, 1)


def test_every_title_is_there_once(titles: pl.DataFrame) -> None:
    assert titles.height > 5_000
    assert titles["key"].is_unique().all()


@pytest.mark.parametrize("table", ["titles", "challenge"])
def test_labels_are_job_levels_in_their_order(table: str, request: pytest.FixtureRequest) -> None:
    for labels in request.getfixturevalue(table)["labels"].unique():
        names = [name for name in labels.replace("(no label)", "").split("; ") if name]
        assert names == [level for level in JOB_LEVELS if level in names]


@pytest.mark.parametrize("role", ROLE_WORDS)
def test_role_words_mean_what_a_reader_takes_them_for(titles: pl.DataFrame, role: str) -> None:
    plain = titles.filter(~pl.col("category").is_in(["languages", "non-titles"]))
    rows = [
        (key, labels)
        for key, labels in plain.select("key", "labels").iter_rows()
        if re.search(role, key) and not ELSEWHERE.search(key.replace("vice president", "vp"))
    ]
    agree = sum(any(level in labels for level in ROLE_WORDS[role]) for _, labels in rows)
    assert len(rows) >= 40
    assert agree / len(rows) >= 0.91


@pytest.mark.train
def test_no_title_is_like_one_of_the_challenge_set(
    titles: pl.DataFrame, challenge: pl.DataFrame
) -> None:
    assert not set(titles["key"]) & set(challenge["key"])
    for column in ("title", "key"):
        alike = likeness(titles[column].to_list(), challenge[column].to_list())
        assert alike.max() < 0.7


@pytest.mark.train
def test_no_title_is_nearly_another(titles: pl.DataFrame) -> None:
    keys = titles["key"].to_list()
    for start in range(0, len(keys), 1_000):
        alike = likeness(keys[start : start + 1_000], keys)
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = 0
        assert alike.max() < 0.85


def test_no_title_is_one_of_the_labelled_sheet(
    titles: pl.DataFrame, challenge: pl.DataFrame
) -> None:
    sheet = set((ROOT / "tests/data/sheet-keys.txt").read_text().split())
    assert len(sheet) > 1_700
    for table in (titles, challenge):
        digests = {hashlib.sha256(key.encode()).hexdigest()[:16] for key in table["key"]}
        assert len(digests & sheet) == 0


def test_the_challenge_set_has_forty_titles_or_more_of_every_kind(challenge: pl.DataFrame) -> None:
    assert challenge["category"].value_counts()["count"].min() >= 40
