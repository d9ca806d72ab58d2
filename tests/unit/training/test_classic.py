"""The classic model: its families, its graph, and titles of every shape."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from safetensors.numpy import load_file

from jobbatch.classifier import Classifier
from jobbatch.devices import ONNX_FILE
from jobbatch.errors import UsageError
from jobbatch.labels import LabelSet
from jobbatch.tokenizer import TitleTokenizer
from jobbatch.training import classic
from jobbatch.training.classic import Classic
from jobbatch.training.families import FAMILIES, Family, linear
from tests.tinymodel import contents

pytestmark = pytest.mark.train

THINGS = ("moss", "kite", "tunnel", "puzzle", "lantern", "teapot", "whistle", "button", "ladder",
          "pebble", "thimble", "biscuit", "anvil", "feather", "gong")  # fmt: skip
PATTERNS = {
    "{} shed director": (True, False),
    "owner , {} shed": (False, True),
    "owner / director of {} care": (True, True),
    "{} shed clerk": (False, False),
}
LABELS = LabelSet(("Director", "Owner"))
KEYS = [p.format(t) for t, p in itertools.product(THINGS, PATTERNS)]
TARGETS = np.array([PATTERNS[p] for _, p in itertools.product(THINGS, PATTERNS)])
ODD = ("", "x", " ", "q" * 300, "шеф", "总经理", "[CLS]", "[UNK]", "a\nb", "\U000f0001", "🪁 owner")


@pytest.fixture(scope="module")
def model() -> Classic:
    return classic.fit(KEYS, TARGETS, LABELS)


@pytest.fixture(scope="module")
def folder(model: Classic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("classic")
    model.save(made)
    return made


@pytest.fixture(scope="module")
def opened(folder: Path) -> tuple[TitleTokenizer, Classifier]:
    graph = (folder / ONNX_FILE["cpu"]).read_bytes()
    return TitleTokenizer((folder / "tokenizer.json").read_bytes()), Classifier(graph, "cpu")


def by_graph(opened: tuple[TitleTokenizer, Classifier], keys: list[str]) -> np.ndarray:
    tokens = opened[0].encode(keys)
    rows = np.arange(len(keys))[:, None]
    return np.concatenate([opened[1].probabilities(tokens.rectangle(row)) for row in rows])


def test_it_learns_which_words_make_a_label(model: Classic) -> None:
    unseen = ["umbrella shed director", "owner , umbrella shed", "umbrella shed clerk"]
    assert (model.probabilities(unseen) > 0.5).tolist() == [
        [True, False],
        [False, True],
        [False, False],
    ]


def test_the_graph_answers_as_scikit_learn(
    model: Classic, opened: tuple[TitleTokenizer, Classifier]
) -> None:
    keys = [*KEYS, *ODD]
    assert by_graph(opened, keys) == pytest.approx(model.probabilities(keys), abs=1e-5)


@given(
    key=st.text(st.characters(codec="utf-8", exclude_characters="\x1f"))
    | st.text("director owner,/x")
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_the_graph_answers_as_scikit_learn_on_any_key(
    model: Classic, opened: tuple[TitleTokenizer, Classifier], key: str
) -> None:
    assert by_graph(opened, [key]) == pytest.approx(model.probabilities([key]), abs=1e-5)


def test_a_title_of_unknown_characters_gets_what_is_usual(model: Classic) -> None:
    assert model.probabilities(["总经理"]) == pytest.approx(model.probabilities(["шеф"]))
    assert np.isfinite(model.probabilities(list(ODD))).all()


def test_how_often_something_is_said_does_not_matter(model: Classic) -> None:
    said = model.probabilities(["owner owner owner", "owner owner owner owner"])
    assert said[0] == pytest.approx(said[1])


def test_titles_beyond_the_limit_are_cut_and_marked(
    opened: tuple[TitleTokenizer, Classifier],
) -> None:
    tokens = opened[0].encode(["k" * 124, "k" * 125])
    assert tokens.lengths.tolist() == [128, 128]
    assert tokens.truncated.tolist() == [False, True]


def test_the_same_titles_and_seed_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    classic.fit(KEYS, TARGETS, LABELS).save(tmp_path)
    assert contents(tmp_path) == contents(folder)


def test_the_tensors_hold_all_that_was_learned(model: Classic, folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    n_ngrams = tensors["idf"].size
    assert tensors["weight"].shape == (2, n_ngrams)
    assert tensors["bias"].shape == (2,)
    spelt = [tuple(i for i in row if i >= 0) for row in tensors["ngrams"].tolist()]
    assert spelt == model.features.ngrams
    assert {len(ngram) for ngram in spelt} == {1, 2, 3, 4, 5, 6}


def test_all_families_stand_side_by_side_and_one_is_chosen(model: Classic) -> None:
    for label in LABELS.names:
        figures = [f for f in model.report.figures if f.label == label]
        assert [f.family for f in figures] == [family.name for family in FAMILIES]
        assert sum(f.chosen for f in figures) == 1
        best = max(f.average_precision for f in figures)
        assert next(f for f in figures if f.chosen).average_precision == pytest.approx(
            best, abs=0.1
        )
    lines = model.report.summary_lines()
    assert all(family.name in lines[1] for family in FAMILIES)
    assert [line.count("*") for line in lines[2:]] == [1, 1]


def test_without_a_search_every_label_gets_the_default() -> None:
    report = classic.fit(KEYS, TARGETS, LABELS, search=False).report
    assert (report.figures, report.unsearched) == ((), LABELS.names)
    assert report.summary_lines() == ["not searched for, linear SVM: Director, Owner"]


def test_labels_that_hardly_or_never_or_always_occur_are_no_obstacle() -> None:
    n = len(KEYS)
    once = np.arange(n) == 3
    targets = np.column_stack([TARGETS, once, np.zeros(n, bool), np.ones(n, bool)])
    labels = LabelSet((*LABELS.names, "Once", "Never", "Always"))
    made = classic.fit(KEYS, targets, labels)
    assert made.report.unsearched == ("Once", "Never", "Always")
    answers = made.probabilities([KEYS[3], "umbrella polisher"])
    assert answers[0, 2] > answers[1, 2]
    assert (answers[:, 3] < 0.1).all()
    assert (answers[:, 4] > 0.9).all()


def test_titles_with_nothing_in_common_are_too_few() -> None:
    with pytest.raises(UsageError, match="needs more"):
        classic.fit(["a"], TARGETS[:1], LABELS)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_read_of_a_classifier_is_its_own_margin(family: Family) -> None:
    from sklearn.naive_bayes import ComplementNB

    features = np.random.default_rng(0).random((40, 5))
    hits = features[:, 0] > 0.6
    fitted = family.make(0).set_params(**{family.parameter: family.grid[0]}).fit(features, hits)
    weights, bias = linear(fitted)
    if isinstance(fitted, ComplementNB):
        no, yes = fitted.predict_joint_log_proba(features).T
        expected = yes - no
    else:
        expected = fitted.decision_function(features)
    assert features @ weights + bias == pytest.approx(expected)
