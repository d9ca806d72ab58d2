"""The numbers of a report, against those worked out by hand or by scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from jobbatch.decisions import Decisions, Scaling
from jobbatch.training import evaluation, report
from jobbatch.training.calibration_figures import expected_calibration_error
from jobbatch.training.evaluation import Decided, Scored
from jobbatch.training.report import Report, Subject

pytestmark = pytest.mark.train

LABELS = ("cook", "baker", "juggler")
SUBJECT = Subject(model="m", rows="people.csv")


def scored(n: int) -> Scored:
    """Return rows of a model that is right about a label in four of five cases."""
    random = np.random.default_rng(n)
    truth = random.random((n, 3)) < [0.5, 0.3, 0.1]
    raw = np.where(random.random((n, 3)) < 0.8, truth, ~truth) * 0.6 + random.random((n, 3)) * 0.4
    plain = Decisions(calibration=(Scaling(),) * 3, thresholds=(0.5,) * 3, review_below=0.4)
    return Scored(
        titles=tuple(f"title {i}" for i in range(n)),
        tables=("people.csv",) * n,
        labels=LABELS,
        truth=truth,
        decided=evaluation.decide(plain, raw, LABELS),
    )


def answers(*rows: tuple[str, str, str, float | None]) -> Scored:
    """Return rows of title, truth, answer ('' for no label) and confidence."""
    truth, hot = (
        np.array([[label in row[i].split("+") for label in LABELS] for row in rows]) for i in (1, 2)
    )
    confidence = np.array([np.nan if row[3] is None else row[3] for row in rows])
    return Scored(
        titles=tuple(row[0] for row in rows),
        tables=("a.csv",) * (len(rows) - 1) + ("b.csv",),
        labels=LABELS,
        truth=truth,
        decided=Decided(
            hot=hot,
            calibrated=np.where(hot, 0.9, 0.1),
            confidence=confidence,
            needs_review=~(confidence >= 0.5),
        ),
    )


FIVE = answers(
    ("soup cook", "cook", "cook", 0.9),
    ("head cook & baker", "cook+baker", "cook", 0.8),
    ("pie baker", "baker", "baker", 0.7),
    ("über cook & baker", "cook+baker", "cook", 0.6),
    ("x", "juggler", "", None),
)


@pytest.fixture(scope="module")
def five() -> Report:
    return report.build(FIVE, SUBJECT)


def test_the_figures_are_those_that_training_writes() -> None:
    rows = scored(300)
    made, wanted = (
        report.build(rows, SUBJECT),
        evaluation.figures(rows.truth, rows.decided, LABELS),
    )
    for name in ("exact_match", "precision", "recall", "micro_f1", "macro_f1", "review_share",
                 "exact_match_unreviewed"):  # fmt: skip
        got = getattr(made.headline, name).value
        assert got == pytest.approx(getattr(wanted, name), abs=1e-6), name


def test_each_labels_figures_are_those_of_scikit_learn() -> None:
    rows = scored(300)
    made = report.build(rows, SUBJECT).per_label
    wanted = precision_recall_fscore_support(rows.truth, rows.decided.hot)
    for name, values in zip(("precision", "recall", "f1"), wanted[:3], strict=True):
        assert [getattr(label, name).value for label in made] == pytest.approx(values, abs=1e-6)
    assert [label.support for label in made] == wanted[3].tolist()


def test_every_interval_holds_its_figure_and_narrows_with_more_rows() -> None:
    few, many = (report.build(scored(n), SUBJECT) for n in (100, 3_000))
    for name in ("exact_match", "micro_f1", "macro_f1", "precision", "recall", "review_share",
                 "exact_match_most_confident", "calibration_error_confidence"):  # fmt: skip
        small, large = getattr(few.headline, name), getattr(many.headline, name)
        for estimate in (small, large):
            assert estimate.low <= estimate.value <= estimate.high, name
        assert large.high - large.low < small.high - small.low, name


def test_the_interval_of_a_share_is_about_that_of_the_normal_distribution() -> None:
    exact = report.build(scored(2_000), SUBJECT).headline.exact_match
    half = 1.96 * np.sqrt(exact.value * (1 - exact.value) / 2_000)
    assert (exact.low, exact.high) == pytest.approx(
        (exact.value - half, exact.value + half), abs=0.003
    )


def test_the_same_rows_give_the_same_report_and_the_same_page() -> None:
    one, two = (report.build(scored(100), SUBJECT) for _ in range(2))
    assert one == two
    assert report.render(one) == report.render(two)


def test_the_surest_four_of_five_are_measured_by_themselves(five: Report) -> None:
    assert five.headline.exact_match.value == 0.4
    assert five.headline.exact_match_most_confident.value == 0.5


@pytest.mark.parametrize(
    ("answer", "confidence", "holds"), [("cook", 0.9, True), ("", 0.9, False), ("", 0.1, None)]
)
def test_whether_the_mark_for_review_keeps_its_promise_is_said(
    answer: str, confidence: float, holds: object
) -> None:
    rows = answers(*[("soup cook", "cook", answer, confidence)] * 3)
    made = report.build(rows, SUBJECT)
    assert made.headline.unreviewed_holds is holds
    assert (made.headline.exact_match_unreviewed.value is None) == (holds is None)


@pytest.mark.parametrize(("n_wrong", "reached"), [(1, "at least"), (4, "less than")])
def test_whether_the_surest_answers_are_right_often_enough_is_said(
    n_wrong: int, reached: str
) -> None:
    right, wrong = ("soup cook", "cook", "cook", 0.9), ("x", "juggler", "cook", 0.95)
    made = report.build(answers(*[right] * (100 - n_wrong), *[wrong] * n_wrong), SUBJECT)
    assert made.headline.most_confident_holds is (reached == "at least")
    assert any("surest 80%" in line and "0.97 wanted" in line for line in made.summary_lines())
    words = " ".join(report.render(made).split())
    assert f"rows {reached} 97 % are right" in words


def test_calibration_errors_of_many_labels_are_the_same_as_of_each_by_itself() -> None:
    random = np.random.default_rng(0)
    truth, raw = random.random((60, 23)) < 0.3, random.random((60, 23))
    names = tuple(f"label {i}" for i in range(23))
    plain = Decisions(calibration=(Scaling(),) * 23, thresholds=(0.5,) * 23)
    rows = Scored(
        titles=("kite",) * 60,
        tables=("a.csv",) * 60,
        labels=names,
        truth=truth,
        decided=evaluation.decide(plain, raw, names),
    )
    got = [label.calibration_error.value for label in report.build(rows, SUBJECT).per_label]
    wanted = [
        expected_calibration_error(p, t)
        for p, t in zip(rows.decided.calibrated.T, truth.T, strict=True)
    ]
    assert got == pytest.approx(wanted, abs=1e-6)


def test_calibration_errors_are_of_what_has_a_confidence(five: Report) -> None:
    # Four bins of a row each, 0.1, 0.8, 0.3 and 0.6 off; the fifth row was not scored.
    assert five.headline.calibration_error_confidence.value == 0.45
    assert sum(point.rows for point in five.curves.reliability) == 4
    by_label = [label.calibration_error.value for label in five.per_label]
    # Predicted is 0.9 or 0.1. Of the four rows where baker got 0.1, two are bakers.
    assert by_label == [0.1, (0.1 + 1.6) / 5, 0.1]
    assert five.headline.calibration_error_labels.value == pytest.approx(np.mean(by_label))


@pytest.mark.fault(44)
def test_labels_of_few_rows_are_called_rare() -> None:
    made = report.build(scored(60), SUBJECT)
    assert [label.label for label in made.rare_labels] == ["juggler"]


@pytest.mark.fault(44)
def test_a_label_that_does_not_occur_has_no_figures() -> None:
    made = report.build(answers(("soup cook", "cook", "cook", 0.9)), SUBJECT)
    assert made.per_label[2].f1.value is None
    assert made.headline.macro_f1.value == 1.0
    assert [curves.label for curves in made.curves.labels] == ["cook"]


def test_the_rows_are_sliced_by_what_their_titles_look_like() -> None:
    made = report.build(FIVE, SUBJECT, vocabulary=report.words(["soup & pie", "cook baker x"]))
    of_other = [s for s in made.slices if s.group != "language, guessed"]
    found = {(s.group, s.name): (s.rows, s.exact_match.value) for s in of_other}
    assert found == {
        ("words", "1"): (1, 0.0),
        ("words", "2"): (2, 1.0),
        ("words", "3"): (2, 0.0),
        ("true labels", "one"): (3, pytest.approx(2 / 3, abs=1e-6)),
        ("true labels", "several"): (2, 0.0),
        ("a separator: & / , |", "yes"): (2, 0.0),
        ("a separator: & / , |", "no"): (3, pytest.approx(2 / 3, abs=1e-6)),
        ("a word never seen in training", "yes"): (2, 0.0),
        ("a word never seen in training", "no"): (3, pytest.approx(2 / 3, abs=1e-6)),
        ("table", "a.csv"): (4, 0.5),
        ("table", "b.csv"): (1, 0.0),
    }
    f1 = {(s.group, s.name): s.micro_f1.value for s in made.slices}
    assert f1["true labels", "several"] == pytest.approx(2 / 3, abs=1e-6)


def test_the_rows_are_sliced_by_the_language_of_their_titles() -> None:
    made = report.build(
        answers(
            ("senior baker of wedding cakes", "baker", "baker", 0.9),
            ("verantwortlicher für küche und bäckerei", "cook", "cook", 0.9),
            ("cuisinière et chargée de la pâtisserie", "cook", "baker", 0.9),
            ("leitende köchin der großküche", "cook", "cook", 0.9),
            ("123", "", "cook", 0.9),
        ),
        SUBJECT,
    )
    found = {s.name: (s.rows, s.exact_match.value) for s in made.slices if "language" in s.group}
    assert found == {
        "English": (1, 1.0),
        "German": (2, 1.0),
        "French": (1, 0.0),
        "Unclear": (1, 0.0),
    }


def test_corrected_labels_stand_beside_those_that_the_rows_came_with() -> None:
    corrected = answers(("cook", "cook", "cook", 0.9), ("baker", "baker", "baker", 0.9))
    original = answers(("cook", "baker", "cook", 0.9), ("baker", "baker", "baker", 0.9))
    made = report.build(corrected, SUBJECT, original=original)
    assert made.headline.exact_match.value == 1.0
    assert made.original is not None
    assert made.original.exact_match.value == 0.5
    page = report.render(made)
    assert "Corrected labels count here" in page
    assert "Corrected labels count here" not in report.render(report.build(corrected, SUBJECT))


def test_confusions_are_counted_and_shown_by_their_surest_title(five: Report) -> None:
    assert [(c.truth, c.answer, c.rows, c.title) for c in five.confusions] == [
        (("cook", "baker"), ("cook",), 2, "head cook & baker"),
        (("juggler",), (), 1, "x"),
    ]


def test_the_wrong_answers_come_surest_first_and_each_once() -> None:
    row = ("head cook & baker", "cook+baker", "cook", 0.8)
    made = report.build(answers(row, ("x", "juggler", "", None), row), SUBJECT)
    assert [(m.title, m.confidence) for m in made.worst] == [(row[0], 0.8), ("x", None)]


def test_the_risk_curve_ends_at_the_exact_match_of_all(five: Report) -> None:
    assert five.curves.risk_coverage[0] == (0.2, 1.0)
    assert five.curves.risk_coverage[-1] == (1.0, 0.4)


def test_curves_of_many_rows_stay_short() -> None:
    made = report.build(scored(3_000), SUBJECT).curves
    assert len(made.risk_coverage) == 200
    assert all(len(label.precision_recall) <= 200 for label in made.labels)
    assert sum(b.right + b.wrong for b in made.histogram) == 3_000


def test_other_models_stand_beside_it_on_the_same_rows() -> None:
    perfect = FIVE.truth.astype(np.float64)
    # Nothing reaches 0.5: the most probable label is answered.
    only_cook = np.tile([0.4, 0.3, 0.1], (5, 1))
    made = report.build(FIVE, SUBJECT, others={"oracle": perfect, "constant": only_cook})
    assert [(m.name, m.exact_match.value) for m in made.models] == [
        ("m", 0.4),
        ("oracle", 1.0),
        ("constant", 0.2),
    ]


def test_the_json_is_valid_and_holds_no_title(five: Report) -> None:
    text = json.dumps(five.to_json_dict(), allow_nan=False, ensure_ascii=False)
    assert not [title for title in FIVE.titles if f'"{title}"' in text]
    assert json.loads(text)["confusions"][0]["rows"] == 2
