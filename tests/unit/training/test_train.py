"""Training end to end: the folder that comes out of it, and what is refused."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jobbatch.decisions import Decisions
from jobbatch.errors import LockedError, OutputError, UsageError
from jobbatch.labels import JOB_LEVELS
from jobbatch.pipeline import label_file
from jobbatch.runs import exclusive
from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import ExportRecipe, TrainSettings
from jobbatch.training import dataset, train
from jobbatch.training.evaluation import evaluate
from jobbatch.training.export import export_onnx
from jobbatch.training.folder import CANARY_TITLES
from jobbatch.training.train_report import TrainReport
from jobbatch.weights import ModelFolder
from tests import tinymodel
from tests.tinymodel import contents

pytestmark = pytest.mark.train

Trained = tuple[Path, TrainReport]
MakeSettings = Callable[..., TrainSettings]


def test_the_folder_is_whole(trained: Trained) -> None:
    folder = ModelFolder(trained[0])
    folder.verify()
    assert set(folder.manifest.files) == {
        "README.md",
        "config.json",
        "decisions.json",
        "metrics.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "train.toml",
    }
    assert folder.manifest.name == "tiny"
    assert folder.manifest.labels == JOB_LEVELS
    assert set(folder.manifest.data) == {"labelled.csv"}
    assert [c.title for c in folder.manifest.canaries] == list(CANARY_TITLES)
    assert len(CANARY_TITLES) == 10


def test_nothing_names_this_machine(trained: Trained) -> None:
    for name, content in contents(trained[0]).items():
        assert str(trained[0].parent).encode() not in content, name
        assert str(Path.home()).encode() + b"/" not in content, name


def test_the_settings_can_be_read_again(trained: Trained) -> None:
    fields = tomllib.loads((trained[0] / "train.toml").read_text())
    assert fields["data"] == ["labelled.csv"]
    assert (fields["base"], fields["out"]) == ("tiny", "tiny")
    assert (fields["epochs"], fields["expand"], fields["label_columns"]) == (6, True, [])


def test_the_figures_are_those_of_the_written_model(
    trained: Trained, make_settings: MakeSettings, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, report = trained
    settings = make_settings(folder)
    data = dataset.load(settings, tmp_path)
    targets = data.labels.encode(data.key_labels)
    parts = train._split(data, targets, settings)
    keys = [data.keys[i] for i in parts.test]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    logits = model(**tokenizer(keys, padding=True, return_tensors="pt")).logits
    chosen = Decisions.from_json((folder / "decisions.json").read_bytes())
    got = evaluate(
        targets[parts.test], logits.sigmoid().double().detach().numpy(), chosen, data.labels.names
    )
    assert got.micro_f1 == pytest.approx(report.test.micro_f1)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test"]["micro_f1"] == report.test.micro_f1
    assert metrics["fit"]["best_epoch"] == report.fit.best_epoch


def test_canaries_are_the_models_own_answers(trained: Trained) -> None:
    canaries = ModelFolder(trained[0]).manifest.canaries
    table = np.array([c.probabilities for c in canaries])
    assert table.shape == (10, 6)
    assert ((table > 0) & (table < 1)).all()
    assert np.unique(table.round(4), axis=0).shape[0] > 3


def test_the_order_of_the_job_levels_is_declared(trained: Trained) -> None:
    chosen = Decisions.from_json((trained[0] / "decisions.json").read_bytes())
    assert chosen.order == JOB_LEVELS


def test_other_labels_have_no_order(
    make_settings: MakeSettings, tmp_path: Path, labelled: Path
) -> None:
    frame = pl.read_csv(labelled).with_columns(label=pl.col("Column 1").str.slice(0, 1))
    frame.select("Job Title", "label").write_csv(tmp_path / "other.csv")
    settings = make_settings(tmp_path / "other", data=(tmp_path / "other.csv",), epochs=1)
    report = train.train(settings)
    chosen = Decisions.from_json((tmp_path / "other" / "decisions.json").read_bytes())
    assert chosen.order == ()
    assert report.to_json_dict()["test"]["rows"] == report.test.rows


def test_the_report_on_the_test_part_stands_beside_the_model_not_in_it(trained: Trained) -> None:
    folder, report = trained
    assert not list(folder.rglob("report.*"))
    numbers = json.loads((report.work / "report.json").read_text(encoding="utf-8"))
    assert numbers["headline"]["rows"] == report.test.rows
    exact = numbers["headline"]["exact_match"]["value"]
    assert exact == pytest.approx(report.test.exact_match, abs=1e-6)
    assert "a word never seen in training" in {s["group"] for s in numbers["slices"]}
    assert f"report: {report.work / 'report.html'}" in report.summary_lines()
    assert (report.work / "report.html").exists()


def test_the_report_names_what_matters(trained: Trained) -> None:
    text = "\n".join(trained[1].summary_lines())
    assert "63 labelled rows, 63 distinct titles" in text
    assert "tensorboard --logdir" in text
    assert sum(trained[1].sizes) == 63


@pytest.mark.fault(44)
def test_contradictions_are_in_the_report(
    make_settings: MakeSettings, tmp_path: Path, labelled: Path
) -> None:
    frame = pl.read_csv(labelled)
    other = frame.head(1).with_columns(pl.lit("Manager").alias("Column 1"))
    blank = frame.head(1).with_columns(pl.lit(None, pl.String).alias("Column 1"))
    rare = frame.head(1).with_columns(
        pl.lit("Quartz Polisher").alias("Job Title"), pl.lit("Rare").alias("Column 1")
    )
    pl.concat([frame, other, blank, rare]).write_csv(tmp_path / "more.csv")
    settings = make_settings(tmp_path / "out", data=(tmp_path / "more.csv",), epochs=1)
    text = "\n".join(train.train(settings).summary_lines())
    assert "1 titles contradict themselves, as 'chief moss officer'" in text
    assert "1 rows without label" in text
    assert "Rare (1)" in text


def test_rows_are_measured_by_their_own_labels_too_where_their_titles_contradict_themselves(
    make_settings: MakeSettings, tmp_path: Path, labelled: Path
) -> None:
    frame = pl.read_csv(labelled)
    other = frame.with_columns(pl.lit("Manager").alias("Column 1"))
    pl.concat([frame, frame, other]).write_csv(tmp_path / "more.csv")
    settings = make_settings(tmp_path / "out", data=(tmp_path / "more.csv",), epochs=1)
    report = train.train(settings)
    assert report.data.corrected == 0
    assert report.test_original is not None
    assert report.test_original.exact_match != report.test.exact_match
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"came with: micro-F1 {report.test_original.micro_f1:.3f}" in card


def test_a_base_that_was_trained_on_the_data_is_named(
    trained: Trained, make_settings: MakeSettings, tmp_path: Path
) -> None:
    assert trained[1].seen_by_base == ()
    assert "whose titles it never saw" in (trained[0] / "README.md").read_text()
    out = tmp_path / "again"
    report = train.train(make_settings(out, base=str(trained[0]), epochs=1))
    assert report.seen_by_base == ("labelled.csv",)
    text = "\n".join(report.summary_lines())
    assert "the base was trained on labelled.csv: the test figures are too good" in text
    card = (out / "README.md").read_text()
    assert "The base was trained on labelled.csv: these figures are too good" in card
    assert "never saw" not in card
    assert json.loads((out / "metrics.json").read_text())["seen_by_base"] == ["labelled.csv"]


def test_the_checkpoints_are_gone_and_the_logs_stay(trained: Trained) -> None:
    names = {path.name for path in trained[1].work.iterdir()}
    assert names == {"report.html", "report.json", "tensorboard"}


def test_an_existing_output_is_refused_before_work_is_done(
    trained: Trained, make_settings: MakeSettings
) -> None:
    before = contents(trained[0])
    with pytest.raises(OutputError, match="--overwrite"):
        train.train(make_settings(trained[0], data=(Path("no-such-file.csv"),)))
    assert contents(trained[0]) == before


def test_overwriting_replaces_the_folder(make_settings: MakeSettings, tmp_path: Path) -> None:
    out = tmp_path / "model"
    train.train(make_settings(out, epochs=1))
    (out / "onnx").mkdir()
    (out / "onnx" / "model_int8.onnx").write_bytes(b"of the old weights")
    train.train(make_settings(out, epochs=1, seed=3, overwrite=True))
    ModelFolder(out).verify()
    assert not (out / "onnx").exists()


def test_two_runs_for_one_output_exclude_each_other(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    with exclusive(tmp_path / "model"), pytest.raises(LockedError):
        train.train(make_settings(tmp_path / "model"))


@pytest.mark.fault(44)
def test_too_few_titles_are_an_error(make_settings: MakeSettings, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("title,label\nred kite,a\nblue kite,b\n")
    with pytest.raises(UsageError, match="too few"):
        train.train(make_settings(tmp_path / "out", data=(tmp_path / "few.csv",)))
    assert not (tmp_path / "out").exists()


def test_a_model_trained_with_context_reads_it_and_does_without(
    make_settings: MakeSettings, fp32_recipe: ExportRecipe, tmp_path: Path
) -> None:
    tinymodel.titles_in_context().write_csv(tmp_path / "teams.csv")
    settings = make_settings(
        tmp_path / "model", data=(tmp_path / "teams.csv",), context=("team",), epochs=20
    )
    report = train.train(replace(settings, patience=20))
    assert ModelFolder(tmp_path / "model").manifest.context == ("team",)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "beside them, where `--context` names it, team;" in card
    assert "55 distinct titles" in report.summary_lines()[0]
    assert report.test.exact_match > 0.9  # titles alone would leave half of them wrong

    # Without their teams titles are near ties, which rounding to four decimals can decide.
    export_onnx(tmp_path / "model", replace(fp32_recipe, max_changed_share=0.05))
    asked = LabelSettings(
        input=tmp_path / "teams.csv",
        output=tmp_path / "out.parquet",
        model=str(tmp_path / "model"),
        cache_dir=tmp_path / "scores",
        title_column="Job Title",
        prefix="new_",
    )
    label_file(replace(asked, context=("team",)))
    answers = pl.read_parquet(asked.output).filter(pl.col("team").is_not_null())
    assert (answers["new_labels"].list.join(";") == answers["label"]).mean() > 0.9
    label_file(replace(asked, overwrite=True))
    assert pl.read_parquet(asked.output)["new_confidence"].is_not_null().all()


def test_contradicting_titles_in_a_context_are_shown_with_it(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    frame = tinymodel.titles_in_context()
    other = frame.head(1).with_columns(label=pl.lit("Manager"))
    pl.concat([frame, other]).write_csv(tmp_path / "teams.csv")
    settings = make_settings(
        tmp_path / "model", data=(tmp_path / "teams.csv",), context=("team",), epochs=1
    )
    text = "\n".join(train.train(settings).summary_lines())
    assert "as 'moss head | the owner of the shed'" in text


def test_the_report_slices_by_the_title_and_compares_with_a_linear_model_of_titles(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    tinymodel.titles_in_context().write_csv(tmp_path / "teams.csv")
    settings = make_settings(
        tmp_path / "model", data=(tmp_path / "teams.csv",), context=("team",), epochs=1
    )
    numbers = json.loads((train.train(settings).work / "report.json").read_text())
    rows = {(s["group"], s["name"]): s["rows"] for s in numbers["slices"]}
    # Every title has two words and no separator, whatever its team.
    assert rows["words", "2"] == rows["a separator: & / , |", "no"] == numbers["headline"]["rows"]
    assert [model["name"] for model in numbers["models"]] == [
        "model",
        "a linear model, titles alone",
    ]


def test_a_model_trained_without_context_says_so(trained: Trained) -> None:
    assert not ModelFolder(trained[0]).manifest.context
