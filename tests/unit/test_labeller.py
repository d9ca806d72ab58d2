"""Titles to answers: every title answered, each distinct one scored once, ever."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch import model as model_module
from jobbatch.classifier import Classifier
from jobbatch.decisions import Decisions
from jobbatch.errors import InputError
from jobbatch.labeller import TITLE, Labeller
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.weights import ModelFolder, write_manifest

ON_CPU = OpenOptions(device="cpu")


@pytest.fixture(scope="module")
def shared(word_model, tmp_path_factory: pytest.TempPathFactory) -> Labeller:
    """Return a labeller whose store nobody looks at."""
    return Labeller(TitleModel(word_model, ON_CPU), tmp_path_factory.mktemp("scores"))


@pytest.fixture
def scored_titles(monkeypatch) -> Iterator[list[int]]:
    """Yield a list that gets the number of titles of each call of the model's session."""
    calls: list[int] = []
    run = Classifier.probabilities

    def counting(self: Classifier, input_ids: np.ndarray) -> np.ndarray:
        calls.append(len(input_ids))
        return run(self, input_ids)

    monkeypatch.setattr(Classifier, "probabilities", counting)
    return calls


def distinct(*titles: str | None) -> pl.DataFrame:
    return pl.DataFrame({TITLE: titles}, schema={TITLE: pl.String})


class TestPredict:
    def test_each_title_is_answered_in_its_place_however_often_it_occurs(self, shared) -> None:
        answers = shared.predict(["Owner / Manager", "nurse", "OWNER/MANAGER", "nurse"])
        assert answers["title"].to_list() == ["Owner / Manager", "nurse", "OWNER/MANAGER", "nurse"]
        assert (
            answers["labels"].to_list()
            == [
                ["Owner", "Manager"],
                ["Individual Contributor/Staff"],
            ]
            * 2
        )
        assert answers["primary_label"].to_list() == ["Owner", "Individual Contributor/Staff"] * 2
        assert answers["needs_review"].to_list() == [False] * 4

    def test_abbreviations_are_understood(self, shared) -> None:
        answers = shared.predict(["VP", "Dir. of Nursing", "Mgr", "C.E.O."])
        assert answers["primary_label"].to_list() == [
            "Vice President",
            "Director",
            "Manager",
            "Chief Officer",
        ]

    @pytest.mark.parametrize(
        ("title", "reason"),
        [
            (None, "empty title"),
            ("", "empty title"),
            (" \n\t", "empty title"),
            ("...", "empty title"),
            ("n/a", "not a title"),
            ("#12345", "not a title"),
            ("sailor", "no label above its threshold"),
            ("nurse " * 200, "truncated"),
        ],
    )
    def test_a_title_that_a_person_should_see_says_why(self, shared, title, reason: str) -> None:
        (answer,) = shared.predict([title]).to_dicts()
        assert (answer["needs_review"], answer["review_reason"]) == (True, reason)

    @pytest.mark.parametrize("title", [None, "", "n/a"])
    def test_what_is_no_title_gets_no_label_and_no_confidence(self, shared, title) -> None:
        (answer,) = shared.predict([title]).to_dicts()
        assert answer["labels"] == []
        assert answer["primary_label"] is None
        assert answer["confidence"] is None

    @given(st.lists(st.text(max_size=30) | st.none(), max_size=30))
    @settings(max_examples=50, deadline=None)
    def test_any_text_is_answered_row_by_row(self, shared, titles) -> None:
        answers = shared.predict(titles)
        assert answers["title"].to_list() == titles
        assert answers["labels"].null_count() == 0
        unlabelled = answers.filter(pl.col("labels").list.len() == 0)
        assert unlabelled["needs_review"].all()
        assert set(unlabelled["review_reason"]) <= {"empty title", "not a title"}
        assert (answers["needs_review"] == answers["review_reason"].is_not_null()).all()

    def test_a_title_that_is_not_utf_8_is_an_input_error(self, shared) -> None:
        with pytest.raises(InputError, match="not UTF-8"):
            shared.predict(["nurse", "bad \udcff"])

    def test_no_titles_have_no_answers(self, shared) -> None:
        assert shared.predict([]).schema == shared.predict(["nurse"]).schema
        assert shared.predict([]).height == 0

    def test_the_store_is_neither_read_nor_written(self, labeller, scored_titles) -> None:
        labeller.predict(["nurse"])
        assert not labeller.store.folder.exists()
        labeller.answers(distinct("nurse"))
        scored_titles.clear()
        labeller.predict(["nurse"])
        assert scored_titles == [1]


class TestAnswers:
    def test_titles_with_the_same_key_are_scored_once(self, labeller, scored_titles) -> None:
        answers = labeller.answers(distinct("VP", "v.p.", "Vice President", "vice-president "))
        assert answers["primary_label"].to_list() == ["Vice President"] * 4
        assert sum(scored_titles) == labeller.new_titles == 1

    def test_what_is_no_title_is_not_scored(self, labeller, scored_titles) -> None:
        answers = labeller.answers(distinct(None, "", "n/a", "123"))
        assert answers["needs_review"].to_list() == [True] * 4
        assert scored_titles == []

    def test_known_titles_are_not_scored_again_and_answered_alike(
        self, labeller, word_model, tmp_path: Path, scored_titles
    ) -> None:
        first = labeller.answers(distinct("nurse", "owner", "n/a"))
        scored_titles.clear()
        again = Labeller(TitleModel(word_model, ON_CPU), tmp_path / "scores")
        canaries = list(scored_titles)
        assert again.answers(distinct("nurse", "owner", "n/a")).equals(first)
        assert scored_titles == canaries
        assert again.new_titles == 0

        again.answers(distinct("nurse", "manager"))
        assert sum(scored_titles) == sum(canaries) + 1

    @pytest.mark.fault(1, 2)
    def test_an_interrupted_run_goes_on_where_it_was(
        self, labeller, word_model, tmp_path: Path, monkeypatch, scored_titles
    ) -> None:
        monkeypatch.setitem(model_module.CHUNK_TITLES, "cpu", 2)
        titles = distinct("nurse", "owner", "manager", "director", "engineer")

        def stop_after_two_chunks(done: int, total: int) -> None:
            assert total == 5
            if done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            labeller.answers(titles, stop_after_two_chunks)
        resumed = Labeller(TitleModel(word_model, ON_CPU), tmp_path / "scores")
        scored_titles.clear()
        answers = resumed.answers(titles)
        assert sum(scored_titles) == resumed.new_titles == 1
        assert answers.equals(Labeller(resumed.model, tmp_path / "fresh").answers(titles))

    @pytest.mark.fault(42)
    def test_a_damaged_part_of_the_store_is_scored_again(self, labeller, scored_titles) -> None:
        first = labeller.answers(distinct("nurse", "owner"))
        (part,) = labeller.store.folder.iterdir()
        part.write_bytes(part.read_bytes()[:-1])
        scored_titles.clear()
        assert labeller.answers(distinct("nurse", "owner")).equals(first)
        assert sum(scored_titles) == 2

    @pytest.mark.fault(41)
    def test_new_thresholds_use_the_scores_that_are_known(
        self, labeller, word_model, tmp_path: Path, scored_titles
    ) -> None:
        labeller.answers(distinct("nurse"))
        folder = shutil.copytree(word_model, tmp_path / "stricter")
        path = folder / "decisions.json"
        decisions = Decisions.from_json(path.read_bytes())
        path.write_bytes(replace(decisions, thresholds=(0.999,) * 6).to_json())
        write_manifest(folder, ModelFolder(folder).manifest)
        stricter = Labeller(TitleModel(folder, ON_CPU), tmp_path / "scores")
        scored_titles.clear()
        (answer,) = stricter.answers(distinct("nurse")).to_dicts()
        assert answer["review_reason"] == "no label above its threshold"
        assert scored_titles == []

    def test_progress_is_told_after_each_chunk_and_starts_anew_with_each_table(
        self, labeller, monkeypatch
    ) -> None:
        monkeypatch.setitem(model_module.CHUNK_TITLES, "cpu", 2)
        told: list[tuple[int, int]] = []

        def tell(done: int, total: int) -> None:
            told.append((done, total))

        labeller.answers(distinct("nurse", "owner", "manager"), tell)
        labeller.answers(distinct("nurse", "director"), tell)
        assert told == [(2, 3), (3, 3), (1, 1)]
        assert labeller.new_titles == 4

    def test_columns_that_came_with_the_titles_are_kept(self, labeller) -> None:
        counted = distinct("owner", None).with_columns(count=pl.Series([3, 4]))
        answers = labeller.answers(counted)
        assert answers.columns[:3] == [TITLE, "count", "labels"]
        assert answers["count"].to_list() == [3, 4]
        assert "key" not in answers.columns

    @pytest.mark.fault(40)
    @given(
        st.lists(
            st.lists(st.sampled_from(["VP", "nurse", "Owner", "x"]), max_size=4).map(" ".join),
            max_size=12,
            unique=True,
        ),
        st.randoms(use_true_random=False),
    )
    @settings(max_examples=25, deadline=None)
    def test_the_order_of_titles_does_not_change_their_answers(
        self, shared, titles, random
    ) -> None:
        answers = shared.answers(distinct(*titles))
        shuffled = random.sample(titles, len(titles))
        assert shared.answers(distinct(*shuffled)).sort(TITLE).equals(answers.sort(TITLE))


def test_scores_are_kept_in_the_user_s_cache_unless_told_otherwise(
    labeller, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "home"))
    default = Labeller(labeller.model)
    assert default.store.folder.is_relative_to(tmp_path / "home")
    assert labeller.store.folder.is_relative_to(tmp_path / "scores")
