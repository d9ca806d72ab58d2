"""`jobbatch evaluate`, on the model whose answers can be checked in the head."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from tests import wordmodel
from tests.commands.ran import Command

pytest.importorskip("torch")
pytestmark = pytest.mark.train

ROWS = [
    ("Chief Cheese Officer", "Chief Officer"),
    ("Owner / Manager", "Owner;Manager"),
    ("Kite Director", "Manager"),
    ("Nurse", "individual contributor/staff"),
    ("n/a", "(no label)"),
    ("", "Manager"),
    ("Teapot Director", ""),
]


@pytest.fixture
def labelled() -> Path:
    pl.DataFrame(ROWS, schema=["Job Title", "Label"], orient="row").write_csv("labelled.csv")
    return Path("labelled.csv")


def test_the_figures_are_of_what_labelling_answers(command: Command, labelled: Path) -> None:
    ran = command("evaluate", labelled, "--delimiter", ";", "--json")
    assert (ran.code, ran.err) == (0, "")
    made = json.loads(ran.out)
    # Five rows have a title and labels; the kite director is wrong, 'n/a' rightly has no label.
    assert made["headline"]["rows"] == 5
    assert made["headline"]["exact_match"]["value"] == 0.8
    assert made["headline"]["micro_f1"]["value"] == 0.8
    assert made["subject"]["left_out"] == 2
    assert made["confusions"] == [{"truth": ["Manager"], "answer": ["Director"], "rows": 1}]
    assert "Kite" not in ran.out


def test_what_a_sheet_hides_is_said(command: Command, caplog: pytest.LogCaptureFixture) -> None:
    book = openpyxl.Workbook()
    for row in (["Job Title", "Label"], ["Nurse", "Manager"], ["Kite Director", "Director"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.save("labelled.xlsx")
    ran = command("evaluate", "labelled.xlsx", "--json")
    assert ran.code == 0
    assert "labelled.xlsx: 1 rows of sheet 'Sheet' are hidden" in caplog.text


def test_the_report_is_written_and_named(command: Command, labelled: Path) -> None:
    ran = command("evaluate", labelled, "--delimiter=;", "--out", "report")
    assert (ran.code, ran.out) == (0, "")
    assert "words on 5 labelled rows of labelled.csv" in ran.err
    assert "exact match  0.800" in ran.err
    assert f"report: {Path('report') / 'report.html'}" in ran.err
    assert "kite director" in Path("report/report.html").read_text(encoding="utf-8")
    assert "kite director" not in Path("report/report.json").read_text(encoding="utf-8")


def test_quiet_says_nothing_and_writes_all_the_same(command: Command, labelled: Path) -> None:
    ran = command("evaluate", labelled, "--delimiter=;", "--out", "report", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert Path("report/report.html").exists()


def test_a_report_is_replaced_only_when_asked(command: Command, labelled: Path) -> None:
    Path("report").mkdir()
    Path("report/report.html").write_text("mine")
    arguments = ("evaluate", labelled, "--delimiter=;", "--out", "report")
    ran = command(*arguments)
    assert ran.code == 30
    assert "--overwrite" in ran.err
    assert Path("report/report.html").read_text() == "mine"
    assert command(*arguments, "--overwrite").code == 0
    assert Path("report/report.html").read_text() != "mine"


@pytest.mark.fault(44)
def test_labels_that_the_model_does_not_know_are_named(command: Command) -> None:
    Path("people.csv").write_text("title,label\nkite nurse,Juggler\nmoss nurse,Owner\n")
    ran = command("evaluate", "people.csv", "--out", "report")
    assert ran.code == 2
    assert "people.csv: the model words does not know the labels Juggler" in ran.err
    assert ran.err.count("\n") == 1
    assert not Path("report").exists()


@pytest.mark.fault(44)
def test_without_a_labelled_row_there_is_nothing_to_measure(command: Command) -> None:
    Path("people.csv").write_text("title,label\nkite nurse,\nmoss nurse,\n")
    ran = command("evaluate", "people.csv")
    assert ran.code == 2
    assert "no titles with labels" in ran.err


def test_several_tables_are_told_apart(command: Command, labelled: Path) -> None:
    Path("more.csv").write_text("title,label\nmoss owner,Owner\n")
    ran = command("evaluate", labelled, "more.csv", "--delimiter=;", "--json")
    made = json.loads(ran.out)
    tables = {s["name"]: s["rows"] for s in made["slices"] if s["group"] == "table"}
    assert tables == {"labelled.csv": 5, "more.csv": 1}


def test_without_data_the_packages_own_titles_are_taken(command: Command) -> None:
    made = json.loads(command("evaluate", "--json").out)
    assert made["subject"]["rows"] == "titles.csv"
    assert made["headline"]["rows"] > 5_000


def test_titles_that_the_model_was_trained_on_are_said_to_flatter_it(
    command: Command, labelled: Path, tmp_path: Path
) -> None:
    from jobbatch.training.labelled_table import sha256
    from jobbatch.weights import MANIFEST, Manifest, write_manifest

    model = wordmodel.build(tmp_path / "trained")
    old = Manifest.from_json((model / MANIFEST).read_bytes())
    fields = {n: getattr(old, n) for n in Manifest.__dataclass_fields__}
    write_manifest(model, Manifest(**(fields | {"data": {"old-name.csv": sha256(labelled)}})))
    ran = command("evaluate", labelled, "--delimiter=;", "--model", model)
    assert "it was trained on labelled.csv: this flatters it" in ran.err


def test_a_table_that_is_not_utf_8_is_read_in_the_encoding_named(command: Command) -> None:
    Path("people.csv").write_text("title,label\nMo\u00f6s Owner,Owner\n", encoding="latin-1")
    ran = command("evaluate", "people.csv", "--json")
    assert ran.code == 10
    assert "--encoding cp1252" in ran.err
    ran = command("evaluate", "people.csv", "--encoding", "latin-1", "--json")
    assert json.loads(ran.out)["headline"]["exact_match"]["value"] == 1.0
