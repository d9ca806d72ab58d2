"""A model opened for scoring: refused if anything is off, and the same answers in any batches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from jobbatch import model as model_module
from jobbatch.classifier import Classifier, OutOfMemoryError
from jobbatch.decisions import Decisions
from jobbatch.errors import DeviceError, ModelError, ResourceError
from jobbatch.labels import JOB_LEVELS
from jobbatch.model import OpenOptions, TitleModel
from jobbatch.scores import schema
from jobbatch.weights import Canary, ModelFolder, write_manifest
from tests import wordmodel

ON_CPU = OpenOptions(device="cpu")
GRAPH = "onnx/model_int8.onnx"
CERTAIN = 1 / (1 + np.exp(-(wordmodel.YES + wordmodel.BIAS)))


@pytest.fixture(scope="module")
def model(word_model) -> TitleModel:
    return TitleModel(word_model, ON_CPU)


@pytest.fixture
def altered(word_model, tmp_path: Path) -> Callable[..., TitleModel]:
    """Return an opener of a copy that was changed on purpose, its manifest written anew."""

    def open_altered(change: Callable[[Path], object] = Path, **fields: object) -> TitleModel:
        folder = shutil.copytree(word_model, tmp_path / "altered")
        manifest = replace(ModelFolder(folder).manifest, **fields)  # type: ignore[arg-type]
        change(folder)
        write_manifest(folder, manifest)
        return TitleModel(folder, ON_CPU)

    return open_altered


def with_decisions(**fields: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "decisions.json"
        path.write_bytes(replace(Decisions.from_json(path.read_bytes()), **fields).to_json())

    return change


class TestOpening:
    @pytest.mark.fault(33)
    @pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
    def test_a_weight_that_is_no_finite_number_is_a_model_error(self, altered, broken) -> None:
        def spoil(folder: Path) -> None:
            graph = onnx.load(folder / GRAPH)
            (weights,) = (t for t in graph.graph.initializer if t.name == "weights")
            values = numpy_helper.to_array(weights).copy()
            values[len(wordmodel.SPECIAL) :, 2] = broken
            weights.CopyFrom(numpy_helper.from_array(values, "weights"))
            (folder / GRAPH).write_bytes(graph.SerializeToString())

        with pytest.raises(ModelError, match="not finite"):
            altered(spoil)

    @pytest.mark.fault(31)
    @pytest.mark.parametrize(
        ("labels", "problem"),
        [
            (JOB_LEVELS[:-1], "names 5 labels, the ONNX graph has 6"),
            ((*JOB_LEVELS, "Intern"), "names 7 labels, the ONNX graph has 6"),
            ((*JOB_LEVELS[:-1], "Owner"), "must be distinct"),
            ((*JOB_LEVELS[:-1], " "), "blank"),
            ((), "at least one"),
        ],
    )
    def test_a_missing_extra_repeated_or_blank_label_is_a_model_error(
        self, altered, labels, problem: str
    ) -> None:
        with pytest.raises(ModelError, match=problem):
            altered(labels=labels)

    @pytest.mark.fault(31)
    @pytest.mark.parametrize("field", ["calibration", "thresholds"])
    def test_decisions_for_another_number_of_labels_are_a_model_error(self, altered, field) -> None:
        with pytest.raises(ModelError, match=rf"decisions\.json \({field}\) has 5"):
            altered(lambda folder: with_decisions(**{field: _all_but_one(folder, field)})(folder))

    @pytest.mark.parametrize("order", [("Boss",), JOB_LEVELS[:-1], (*JOB_LEVELS, "Boss")])
    def test_an_order_that_is_not_of_the_labels_is_a_model_error(self, altered, order) -> None:
        with pytest.raises(ModelError, match="order in decisions"):
            altered(with_decisions(order=order))

    @pytest.mark.fault(31, 35)
    @pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"vocab_size": 99}'])
    def test_a_configuration_that_does_not_fit_the_tokenizer_is_a_model_error(
        self, altered, content: str
    ) -> None:
        with pytest.raises(ModelError, match=r"config\.json"):
            altered(lambda folder: (folder / "config.json").write_text(content))

    @pytest.mark.fault(35)
    def test_a_model_that_reads_less_than_a_title_may_have_is_a_model_error(self, altered) -> None:
        def shorten(folder: Path) -> None:
            fields = json.loads((folder / "config.json").read_text())
            short = json.dumps(fields | {"max_position_embeddings": 65})
            (folder / "config.json").write_text(short)

        with pytest.raises(ModelError, match=r"reads 64 tokens, a title may have 128"):
            altered(shorten)

    @pytest.mark.fault(35)
    def test_a_tokenizer_with_more_words_than_the_graph_is_a_model_error(self, altered) -> None:
        def add_a_word(folder: Path) -> None:
            path = folder / "tokenizer.json"
            tokenizer = json.loads(path.read_text())
            tokenizer["model"]["vocab"]["boss"] = size = len(tokenizer["model"]["vocab"])
            path.write_text(json.dumps(tokenizer))
            (folder / "config.json").write_text(json.dumps({"vocab_size": size + 1}))

        with pytest.raises(ModelError, match="failed on a batch"):
            altered(add_a_word, canaries=(Canary(title="boss", probabilities=(0.5,) * 6),))

    @pytest.mark.fault(31)
    @pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "decisions.json"])
    def test_a_folder_made_without_one_of_its_files_is_a_model_error(self, altered, name) -> None:
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            altered(lambda folder: (folder / name).unlink())

    def test_a_model_not_yet_exported_names_the_command_that_does_it(self, altered) -> None:
        with pytest.raises(ModelError, match=r"export-onnx .*altered --recipe export/cpu-int8"):
            altered(lambda folder: (folder / GRAPH).unlink())

    @pytest.mark.fault(31)
    @pytest.mark.parametrize(
        ("probabilities", "problem"),
        [
            ((0.1,) * 6, "off by 0.88"),
            ((float("nan"),) * 6, "off by nan"),
            ((0.1,) * 5, "one probability for each of the 6 labels"),
        ],
    )
    def test_a_canary_that_is_not_answered_as_in_training_is_a_model_error(
        self, altered, probabilities, problem: str
    ) -> None:
        canary = Canary(title="Director", probabilities=probabilities)
        with pytest.raises(ModelError, match=problem):
            altered(canaries=(canary,))

    def test_a_canary_is_normalised_as_any_title(self, altered) -> None:
        no = 1 / (1 + np.exp(-wordmodel.BIAS))
        expected = tuple(CERTAIN if name == "Director" else no for name in JOB_LEVELS)
        assert altered(canaries=(Canary(title="Dir.", probabilities=expected),)).labels.names

    def test_cuda_asked_for_on_a_machine_without_it_is_an_error(
        self, word_model, monkeypatch
    ) -> None:
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
        )
        with pytest.raises(DeviceError, match="no CUDA provider"):
            TitleModel(word_model, OpenOptions(device="cuda"))

    def test_auto_falls_back_to_the_cpu_and_says_why(self, word_model, monkeypatch) -> None:
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
        )
        device = TitleModel(word_model).device
        assert (device.device, device.reason) == (
            "cpu",
            "this ONNX Runtime has no CUDA provider",
        )


def _all_but_one(folder: Path, field: str) -> tuple[object, ...]:
    decisions = Decisions.from_json((folder / "decisions.json").read_bytes())
    return getattr(decisions, field)[:-1]


titles = st.lists(
    st.lists(st.sampled_from([*wordmodel.WORDS, "of"]), min_size=1, max_size=9).map(" ".join),
    max_size=40,
    unique=True,
)


class TestScoring:
    def test_scores_come_in_the_titles_order_rounded_to_four_decimals(self, model) -> None:
        scores = model.score(["owner manager", "director", "owner"])
        assert scores["key"].to_list() == ["owner manager", "director", "owner"]
        yes, no = round(float(CERTAIN), 4), 0.018
        assert scores["probabilities"].to_numpy() == pytest.approx(
            np.array(
                [[no, yes, no, no, yes, no], [no] * 3 + [yes] + [no] * 2, [no, yes] + [no] * 4]
            ),
            abs=1e-6,
        )
        assert scores.schema == schema(6)

    @pytest.mark.fault(40)
    @given(titles, st.randoms(use_true_random=False), st.integers(1, 7))
    @settings(max_examples=25, deadline=None)
    def test_order_chunks_and_batches_do_not_change_an_answer(
        self, model, word_model, keys: list[str], random, size: int
    ) -> None:
        expected = dict(model.score(keys).select("key", "probabilities").iter_rows())
        shuffled = random.sample(keys, len(keys))
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(model_module.CHUNK_TITLES, "cpu", size)
            patch.setitem(model_module.TOKEN_BUDGETS, "cpu", (3 * size,))
            scores = TitleModel(word_model, ON_CPU).score(shuffled)
        assert scores["key"].to_list() == shuffled
        assert dict(scores.select("key", "probabilities").iter_rows()) == expected

    @pytest.mark.fault(40)
    @pytest.mark.parametrize("threads", [1, 3])
    def test_the_number_of_threads_does_not_change_an_answer(
        self, model, word_model, threads: int
    ) -> None:
        keys = [" ".join(["nurse"] * (1 + i % 9) + ["owner"] * (i % 2)) for i in range(200)]
        other = TitleModel(word_model, OpenOptions(device="cpu", threads=threads))
        assert other.score(keys).equals(model.score(keys))

    def test_titles_are_scored_in_chunks_so_that_each_can_be_kept(self, model, monkeypatch) -> None:
        monkeypatch.setitem(model_module.CHUNK_TITLES, "cpu", 3)
        chunks = model.score_chunks(list("abcdefg"))
        assert [chunk["key"].to_list() for chunk in chunks] == [list("abc"), list("def"), ["g"]]

    def test_the_size_of_batches_is_tried_out_once_where_there_is_much_to_do(
        self, model, word_model, monkeypatch
    ) -> None:
        monkeypatch.setitem(model_module.TOKEN_BUDGETS, "cpu", (16, 32, 64))
        tried = mock.Mock(side_effect=lambda _, rate: rate(32) and 32)
        monkeypatch.setattr(model_module.batches, "fastest_budget", tried)
        few, many = ["nurse"], [f"nurse {n}" for n in range(100)]
        opened = TitleModel(word_model, ON_CPU)
        for titles in (few, many, many):
            assert opened.score(titles).equals(model.score(titles))
        assert tried.call_count == 1

    @pytest.mark.fault(37)
    def test_batches_that_do_not_fit_the_memory_are_halved_until_they_do(
        self, word_model, monkeypatch
    ) -> None:
        titles = [f"nurse {n}" for n in range(100)] + ["chief owner"]
        expected = TitleModel(word_model, ON_CPU).score(titles)
        model = TitleModel(word_model, ON_CPU)
        sizes = []
        enough = Classifier.probabilities

        def scarce(self: Classifier, input_ids: np.ndarray) -> np.ndarray:
            sizes.append(input_ids.size)
            if input_ids.size > 40:
                raise OutOfMemoryError("no memory")
            return enough(self, input_ids)

        monkeypatch.setattr(Classifier, "probabilities", scarce)
        assert model.score(titles).equals(expected)
        assert max(sizes) > 40
        sizes.clear()
        assert model.score(titles).equals(expected)
        assert max(sizes) <= 40  # what was learned is kept

    @pytest.mark.fault(37)
    def test_a_title_that_does_not_fit_the_memory_by_itself_is_an_error(
        self, word_model, monkeypatch
    ) -> None:
        model = TitleModel(word_model, ON_CPU)
        fails = mock.Mock(side_effect=OutOfMemoryError("no memory"))
        monkeypatch.setattr(Classifier, "probabilities", fails)
        with pytest.raises(ResourceError, match="no memory"):
            model.score(["nurse", "chief owner"])

    @pytest.mark.fault(35)
    def test_a_title_longer_than_the_model_reads_is_flagged(self, model) -> None:
        scores = model.score(["nurse", " ".join(["nurse"] * 200)])
        assert scores["truncated"].to_list() == [False, True]

    def test_no_titles_have_no_scores(self, model) -> None:
        assert model.score([]).schema == schema(6)
        assert model.score([]).height == 0
