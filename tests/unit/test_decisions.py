"""From probabilities to labels: calibration, thresholds, confidence and the reason for review."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch import decisions as decisions_module
from jobbatch.decisions import Decisions, Scaling
from jobbatch.errors import ModelError

ABC = ("a", "b", "c")
PLAIN = Decisions(calibration=(Scaling(),) * 3, thresholds=(0.5,) * 3, order=("c", "a", "b"))

probability = st.floats(0, 1, width=32)
triples = st.lists(st.tuples(probability, probability, probability), min_size=1, max_size=20)


def scored(rows: Sequence[Sequence[float] | None], **columns: Sequence[object]) -> pl.DataFrame:
    given: dict[str, Sequence[object]] = {
        "probabilities": rows,
        "truncated": [False] * len(rows),
        "unscored": [None] * len(rows),
    }
    schema = {
        "probabilities": pl.Array(pl.Float32, 3),
        "truncated": pl.Boolean,
        "unscored": pl.String,
    }
    return pl.DataFrame(given | columns, schema_overrides=schema)


def decide(
    decisions: Decisions, rows: Sequence[Sequence[float] | None], **columns: Sequence[object]
) -> pl.DataFrame:
    return decisions.apply(scored(rows, **columns), ABC)


class TestLabels:
    def test_labels_are_those_that_reach_their_threshold_in_the_model_s_order(self) -> None:
        answers = decide(PLAIN, [(0.9, 0.1, 0.8), (0.5, 0.49, 0.9), (0.6, 0.6, 0.6)])
        assert answers["labels"].to_list() == [["a", "c"], ["a", "c"], ["a", "b", "c"]]

    def test_each_label_has_its_own_threshold(self) -> None:
        strict = replace(PLAIN, thresholds=(0.95, 0.5, 0.05))
        assert decide(strict, [(0.9, 0.9, 0.1)])["labels"].to_list() == [["b", "c"]]

    def test_the_primary_label_is_the_highest_in_the_declared_order(self) -> None:
        rows = [(0.99, 0.6, 0.55), (0.6, 0.99, 0.1), (0.1, 0.9, 0.1)]
        assert decide(PLAIN, rows)["primary_label"].to_list() == ["c", "a", "b"]

    def test_the_primary_label_is_the_most_probable_where_no_order_is_declared(self) -> None:
        rows = [(0.99, 0.6, 0.55), (0.6, 0.99, 0.1), (0.1, 0.2, 0.3), None]
        answers = decide(replace(PLAIN, order=()), rows)
        assert answers["primary_label"].to_list() == ["a", "b", "c", None]

    def test_with_no_label_above_its_threshold_the_most_probable_one_is_given(self) -> None:
        answers = decide(PLAIN, [(0.1, 0.4, 0.3)])
        assert answers["labels"].to_list() == [["b"]]
        assert answers["primary_label"].to_list() == ["b"]
        assert answers["review_reason"].to_list() == ["no label above its threshold"]

    @given(triples, st.integers(0, 2), st.floats(0, 1), st.floats(0, 1))
    @settings(max_examples=60, deadline=None)
    def test_a_higher_threshold_never_gives_its_label_to_another_title(
        self, rows, label: int, one: float, other: float
    ) -> None:
        low, high = sorted([one, other])
        held = []
        for threshold in (low, high):
            thresholds = tuple(threshold if i == label else 0.5 for i in range(3))
            answers = decide(replace(PLAIN, thresholds=thresholds), rows)
            held.append(answers["labels"].list.contains(ABC[label]))
        assert not (held[1] & ~held[0]).any()

    @given(triples, st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
    @settings(max_examples=60, deadline=None)
    def test_higher_thresholds_never_give_more_labels(self, rows, thresholds) -> None:
        few, many = (
            decide(replace(PLAIN, thresholds=(threshold,) * 3), rows)["labels"].list.len()
            for threshold in reversed(thresholds)
        )
        assert (few <= many).all()

    @given(triples)
    @settings(max_examples=60, deadline=None)
    def test_every_scored_title_has_a_label_a_primary_one_and_a_confidence(self, rows) -> None:
        answers = decide(PLAIN, rows)
        assert (answers["labels"].list.len() > 0).all()
        assert all(row["primary_label"] in row["labels"] for row in answers.to_dicts())
        assert answers["confidence"].is_between(0, 1).all()

    def test_a_guess_below_the_limit_is_no_label_at_all(self) -> None:
        doubting = replace(PLAIN, no_label_below=0.3)
        answers = decide(doubting, [(0.2, 0.1, 0.29), (0.2, 0.1, 0.31), (0.5, 0.1, 0.1), None])
        assert answers["labels"].to_list() == [[], ["c"], ["a"], []]
        assert answers["primary_label"].to_list() == [None, "c", "a", None]
        reasons = ["not a title", "no label above its threshold"]
        assert answers["review_reason"].to_list()[:2] == reasons
        assert answers["confidence"][0] == pytest.approx(0.8 * 0.9 * 0.71, abs=1e-4)

    @given(st.data())
    @settings(max_examples=30, deadline=None)
    def test_any_number_of_labels_is_decided_alike(self, data: st.DataObject) -> None:
        names = tuple(f"l{i}" for i in range(data.draw(st.sampled_from([1, 31, 32, 33, 70, 130]))))
        row = st.lists(st.sampled_from([0.1, 0.9]), min_size=len(names), max_size=len(names))
        rows = data.draw(st.lists(row, min_size=1, max_size=8))
        plain = Decisions(calibration=(Scaling(),) * len(names), thresholds=(0.5,) * len(names))
        answers = plain.answers(np.array(rows), names)
        for said, labels in zip(rows, answers["labels"].to_list(), strict=True):
            held = [n for n, p in zip(names, said, strict=True) if p > 0.5]
            assert labels == (held or [names[0]])

    def test_long_tables_are_decided_as_short_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [(0.9, 0.1, 0.8), None, (0.2, 0.1, 0.29), (0.6, 0.6, 0.6), None]
        whole = decide(PLAIN, rows)
        monkeypatch.setattr(decisions_module, "_BLOCK_ROWS", 2)
        assert decide(PLAIN, rows).equals(whole)


class TestConfidence:
    def test_confidence_is_the_product_of_the_certainties_of_each_yes_and_no(self) -> None:
        answers = decide(PLAIN, [(0.9, 0.2, 0.1), (0.3, 0.1, 0.1)])
        assert answers["confidence"].to_list() == pytest.approx([0.648, 0.243], abs=1e-4)

    def test_confidence_is_scaled_to_how_often_the_whole_answer_is_right(self) -> None:
        doubtful = replace(PLAIN, confidence=Scaling(intercept=-2.0))
        (plain,) = decide(PLAIN, [(0.9, 0.2, 0.1)])["confidence"]
        logit = np.log(plain / (1 - plain)) - 2
        (lower,) = decide(doubtful, [(0.9, 0.2, 0.1)])["confidence"]
        assert lower == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)

    def test_probabilities_are_shown_calibrated_with_four_decimals(self) -> None:
        shifted = replace(PLAIN, calibration=(Scaling(slope=2.0), Scaling(intercept=1), Scaling()))
        answers = decide(shifted, [(0.8, 0.5, 0.123456)])
        shown = answers.select("p_a", "p_b", "p_c").row(0)
        assert shown == pytest.approx((16 / 17, 1 / (1 + np.exp(-1)), 0.1235), abs=6e-5)
        assert shown == tuple(round(p, 4) for p in shown)


class TestReview:
    def test_a_confident_answer_needs_no_review(self) -> None:
        answers = decide(PLAIN, [(0.99, 0.01, 0.01)])
        assert answers.select("needs_review", "review_reason").rows() == [(False, None)]

    @pytest.mark.parametrize(
        ("row", "truncated", "reason"),
        [
            ((0.7, 0.1, 0.1), False, "low confidence"),
            ((0.3, 0.1, 0.1), False, "no label above its threshold"),
            ((0.99, 0.01, 0.01), True, "truncated"),
            ((0.3, 0.1, 0.1), True, "truncated"),
        ],
    )
    def test_an_answer_that_needs_review_says_why(self, row, truncated, reason: str) -> None:
        answers = decide(PLAIN, [row], truncated=[truncated])
        assert answers.select("needs_review", "review_reason").rows() == [(True, reason)]

    def test_how_low_a_confidence_needs_review_is_the_model_s(self) -> None:
        row = (0.7, 0.1, 0.1)
        assert decide(PLAIN, [row])["needs_review"].to_list() == [True]
        lenient = replace(PLAIN, review_below=0.5)
        assert decide(lenient, [row])["needs_review"].to_list() == [False]

    @pytest.mark.parametrize("order", [PLAIN.order, ()])
    def test_a_title_that_was_not_scored_has_no_label_and_its_reason(self, order) -> None:
        decisions = replace(PLAIN, order=order)
        answers = decide(decisions, [None], truncated=[None], unscored=["empty title"], row=[7])
        assert answers.drop("p_a", "p_b", "p_c").to_dicts() == [
            {
                "row": 7,
                "labels": [],
                "primary_label": None,
                "confidence": None,
                "needs_review": True,
                "review_reason": "empty title",
            }
        ]

    def test_columns_are_typed_alike_whether_there_are_rows_or_not(self) -> None:
        none = decide(PLAIN, [])
        assert none.schema == decide(PLAIN, [(0.9, 0.1, 0.1), None]).schema
        assert none.schema["labels"] == pl.List(pl.String)


class TestScaling:
    @staticmethod
    def sample(slope: float, intercept: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what a model says that is off by a known scaling, and what is true."""
        rng = np.random.default_rng(0)
        said = rng.uniform(0.02, 0.98, 20_000)
        logit = slope * np.log(said / (1 - said)) + intercept
        return said, rng.uniform(size=said.size) < 1 / (1 + np.exp(-logit))

    @pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (0.5, 0), (2, -1), (0.7, 1.5)])
    def test_a_known_miscalibration_is_recovered(self, slope: float, intercept: float) -> None:
        fitted = Scaling.fit(*self.sample(slope, intercept))
        assert fitted.slope == pytest.approx(slope, abs=0.1)
        assert fitted.intercept == pytest.approx(intercept, abs=0.1)

    @pytest.mark.parametrize("outcome", [True, False])
    def test_one_outcome_alone_teaches_nothing(self, outcome: bool) -> None:  # noqa: FBT001
        assert Scaling.fit(np.array([0.1, 0.9]), np.array([outcome] * 2)) == Scaling()
        assert Scaling.fit(np.array([]), np.array([], bool)) == Scaling()

    def test_separable_outcomes_and_certainties_of_0_and_1_stay_finite(self) -> None:
        said = np.array([0.0, 0.0, 1.0, 1.0])
        fitted = Scaling.fit(said, said > 0.5)
        assert np.isfinite([fitted.slope, fitted.intercept]).all()
        assert fitted.slope > 0

    def test_a_handful_of_titles_makes_no_certainty(self) -> None:
        said = np.array([0.1, 0.1, 0.9, 0.9])
        scaling = Scaling.fit(said, said > 0.5)
        assert scaling.apply(said) == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.01)

    @given(st.lists(probability, min_size=1), st.floats(0.1, 3), st.floats(-3, 3))
    @settings(max_examples=60, deadline=None)
    def test_scaling_keeps_the_order_of_probabilities_and_their_range(
        self, said, slope: float, intercept: float
    ) -> None:
        scaling = Scaling(slope=slope, intercept=intercept)
        scaled = scaling.apply(np.array(sorted(said)))
        assert ((scaled >= 0) & (scaled <= 1)).all()
        assert (np.diff(scaled) >= 0).all()

    def test_the_plain_scaling_changes_no_probability(self) -> None:
        said = np.array([0.0, 0.001, 0.5, 0.987, 1.0])
        assert Scaling().apply(said) == pytest.approx(said, abs=2e-6)


class TestTheFile:
    def test_decisions_are_read_as_they_were_written(self) -> None:
        decisions = Decisions(
            calibration=(Scaling(slope=1.25, intercept=-0.5), Scaling()),
            thresholds=(0.4, 0.6),
            confidence=Scaling(slope=0.9, intercept=0.1),
            review_below=0.75,
            no_label_below=0.25,
            order=("b", "ä"),
        )
        assert Decisions.from_json(decisions.to_json()) == decisions

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("calibration", [{"slope": "steep"}]),
            ("calibration", [{"slop": 1.0}]),
            ("calibration", [1.0]),
            ("calibration", [{"slope": float("nan")}]),
            ("thresholds", ["high"]),
            ("thresholds", None),
            ("confidence", {"slope": float("inf")}),
            ("review_below", "often"),
            ("order", 1),
            ("mood", "good"),
        ],
    )
    def test_a_field_of_the_wrong_kind_is_a_model_error(self, field: str, value: object) -> None:
        fields = json.loads(PLAIN.to_json()) | {field: value}
        with pytest.raises(ModelError, match=r"decisions\.json is not usable"):
            Decisions.from_json(json.dumps(fields).encode())

    @pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'"text"', b"null"])
    def test_a_file_that_holds_no_decisions_is_a_model_error(self, content: bytes) -> None:
        with pytest.raises(ModelError, match=r"decisions\.json is not usable"):
            Decisions.from_json(content)
