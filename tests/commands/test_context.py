"""`--context`: a title's other columns, which a model that knows them reads beside it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests import wordmodel
from tests.commands.ran import Command

ROWS = [
    ("head", "owner club", "7", "Owner"),
    ("head", "nurse ward", "7", "Individual Contributor/Staff"),
    ("head", None, "director", "Director"),
    ("manager", None, None, "Manager"),
    ("Manager", " ", "n/a", "Manager"),
    (None, "owner club", None, None),
    ("n/a", "owner club", None, None),
    ("head", "owner club", "7", "Owner"),
]


@pytest.fixture
def people(tmp_path: Path) -> pl.DataFrame:
    frame = pl.DataFrame(ROWS, schema=["Job Title", "Company", "dept", "want"], orient="row")
    frame.write_parquet(tmp_path / "people.parquet")
    return frame


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return wordmodel.build(tmp_path / "with-context", context=("company", "dept"))


@pytest.fixture(params=[".csv", ".xlsx", ".parquet", ".jsonl"])
def source(request: pytest.FixtureRequest, people: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / f"in{request.param}"
    write = {".csv": people.write_csv, ".xlsx": people.write_excel, ".jsonl": people.write_ndjson}
    write.get(request.param, people.write_parquet)(path)
    return path


@pytest.mark.fault(41)
def test_the_same_title_gets_another_answer_in_another_context(
    command: Command, source: Path, model: Path, people: pl.DataFrame
) -> None:
    ran = command(
        "label", source, "out.parquet", "--context", "company,Dept", "--model", model, "--json"
    )
    assert ran.code == 0, ran.err
    labelled = pl.read_parquet("out.parquet")
    assert labelled["primary_label"].to_list() == people["want"].to_list()
    assert labelled.columns[:4] == people.columns
    assert labelled["Company"].len() == len(ROWS)
    assert labelled["review_reason"].to_list()[5:7] == ["empty title", "not a title"]
    report = json.loads(ran.out)
    # 'manager' without context and 'Manager' with blank context are one key.
    assert report["new_titles"] == 4
    assert report["manifest"]["options"]["context"] == ["company", "Dept"]


def test_a_model_with_context_labels_titles_alone(
    command: Command, people: pl.DataFrame, model: Path
) -> None:
    del people
    assert command("label", "people.parquet", "out.parquet", "--model", model).code == 0
    found = pl.read_parquet("out.parquet")["primary_label"].to_list()
    assert found[3:5] == ["Manager", "Manager"]
    assert len({*found[:3]}) == 1


def test_the_summary_names_the_context(command: Command, people: pl.DataFrame, model: Path) -> None:
    del people
    ran = command("label", "people.parquet", "out.csv", "--context", "dept", "--model", model)
    assert "titles in column Job Title with context dept" in ran.err


@pytest.mark.fault(41)
def test_another_context_is_another_run(
    command: Command, people: pl.DataFrame, model: Path
) -> None:
    del people
    label = ("label", "people.parquet", "out.csv", "--model", model, "--json")
    assert command(*label, "--context", "Company").code == 0
    assert json.loads(command(*label, "--context", "Company").out)["up_to_date"]
    assert command(*label).code == 30
    assert command(*label, "--context", "Company,dept").code == 30


def test_a_model_without_context_says_so(command: Command, people: pl.DataFrame) -> None:
    del people
    ran = command("label", "people.parquet", "out.csv", "--context", "Company")
    assert ran.code == 2
    assert "--context Company: the model words was trained on titles alone" in ran.err
    assert not Path("out.csv").exists()


def test_an_unknown_column_is_named_with_those_there_are(
    command: Command, people: pl.DataFrame, model: Path
) -> None:
    del people
    ran = command("label", "people.parquet", "out.csv", "--context", "team", "--model", model)
    assert ran.code == 2
    assert "--context 'team': there is no such column" in ran.err
    assert "'Company'" in ran.err


def test_a_context_column_is_never_taken_for_the_titles(command: Command, model: Path) -> None:
    frame = pl.DataFrame({"position": ["head"], "title": ["owner"], "*": ["x"]})
    frame.write_csv("two.csv")
    ran = command("label", "two.csv", "out.parquet", "--context", "title,*", "--model", model)
    assert ran.code == 0, ran.err
    assert pl.read_parquet("out.parquet")["primary_label"].to_list() == ["Owner"]


def test_a_job_file_names_it(
    command: Command, people: pl.DataFrame, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBBATCH_MODEL")  # which would go before the job file's
    Path("job.toml").write_text(
        '[job]\ncommand = "label"\n[label]\ninput = "people.parquet"\noutput = "out.parquet"\n'
        f'model = "{model}"\ncontext = ["Company", "dept"]\n'
    )
    ran = command("run", "job.toml", "--json")
    assert ran.code == 0, ran.err
    assert pl.read_parquet("out.parquet")["primary_label"].to_list() == people["want"].to_list()


@pytest.mark.train
def test_evaluate_scores_titles_in_their_context(
    command: Command, people: pl.DataFrame, model: Path
) -> None:
    del people
    asked = ("evaluate", "people.parquet", "--label-columns", "want", "--model", model)
    ran = command(*asked, "--context", "company,Dept", "--out", "report", "--json")
    assert ran.code == 0, ran.err
    headline = json.loads(ran.out)["headline"]
    assert (headline["rows"], headline["exact_match"]["value"]) == (6, 1.0)
    ran = command(*asked, "--out", "alone", "--json")
    assert json.loads(ran.out)["headline"]["exact_match"]["value"] < 1


@pytest.mark.train
def test_the_report_shows_a_title_with_its_context_and_slices_by_the_title(
    command: Command, model: Path
) -> None:
    Path("teams.csv").write_text("title,team,label\nhead,owner / club,Manager\nowner,,Owner\n")
    ran = command(
        "evaluate", "teams.csv", "--context", "team", "--model", model, "--out", "report", "--json"
    )
    assert ran.code == 0, ran.err
    assert "head | owner / club" in Path("report/report.html").read_text(encoding="utf-8")
    found = {(s["group"], s["name"]): s["rows"] for s in json.loads(ran.out)["slices"]}
    assert found["words", "1"] == found["a separator: & / , |", "no"] == 2


@pytest.mark.train
def test_evaluate_says_so_too_of_a_model_without_context(
    command: Command, people: pl.DataFrame
) -> None:
    del people
    asked = ("evaluate", "people.parquet", "--label-columns", "want", "--out", "report")
    ran = command(*asked, "--context", "Company")
    assert ran.code == 2
    assert "--context Company: the model words was trained on titles alone" in ran.err
    assert not Path("report").exists()


@pytest.mark.train
def test_an_audit_lists_titles_with_their_context_for_corrections(command: Command) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    rows = [f"Keeper {t},Shed A,zoo\nKeeper {t},Shed B,museum" for t in "abcdefgh"]
    Path("data.csv").write_text("\n".join(["title,team,place", *rows, "Keeper a,Shed A,museum"]))
    asked = ("audit", "data.csv", "--label-columns", "place", "--context", "team")
    ran = command(*asked, "--out", "audit.xlsx", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["distinct"], report["by_sign"]["contradiction"]) == (16, 1)
    assert "--context team" in report["next_command"]
    sheet = openpyxl.load_workbook("audit.xlsx")["to check"]
    assert "Keeper a | shed a" in [row[1] for row in sheet.iter_rows(values_only=True)]
