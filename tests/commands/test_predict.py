"""`jobbatch predict`: titles given on the spot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import polars as pl
import pytest

from jobbatch.console import show_predictions
from jobbatch.labeller import Labeller
from tests import wordmodel
from tests.commands.ran import Command, Files


def test_off_a_terminal_the_answers_are_one_json_object(command: Command) -> None:
    ran = command("predict", "CEO", "Founder/Director")
    answers = json.loads(ran.out)["answers"]
    assert (ran.code, ran.err) == (0, "")
    assert [a["title"] for a in answers] == ["CEO", "Founder/Director"]
    assert [a["labels"] for a in answers] == [["Chief Officer"], ["Owner", "Director"]]
    assert answers[1]["primary_label"] == "Owner"
    assert answers[1]["needs_review"] is False
    assert answers[0]["p_Chief Officer"] > 0.9 > answers[0]["p_Owner"]


def test_the_object_names_the_model(command: Command) -> None:
    model = json.loads(command("predict", "nurse").out)["model"]
    assert model["name"] == "words"
    assert len(model["fingerprint"]) == 16


def test_a_dash_reads_a_title_from_each_line(command: Command) -> None:
    ran = command("predict", "-", "--json", stdin="nurse\r\n\n  \nInhaber für 🙂 owner".encode())
    answers = json.loads(ran.out)["answers"]
    assert [a["title"] for a in answers] == ["nurse", "", "  ", "Inhaber für 🙂 owner"]
    assert [a["review_reason"] for a in answers] == [None, "empty title", "empty title", None]
    assert answers[1]["labels"] == []


def test_no_line_gives_no_answer(command: Command) -> None:
    ran = command("predict", "-", stdin=b"")
    assert json.loads(ran.out)["answers"] == []


def test_a_title_gets_the_answer_that_it_gets_in_a_table(command: Command, tmp_path: Path) -> None:
    titles = ["owner", "n/a", "stranger", "Sales Mgr", ""]
    pl.DataFrame({"title": titles}).write_parquet(tmp_path / "in.parquet")
    command("label", "in.parquet", "out.jsonl", "--probabilities")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert json.loads(command("predict", *titles).out)["answers"] == rows


def test_on_a_terminal_the_answers_are_a_table(terminal: Command) -> None:
    ran = terminal("predict", "Owner / Manager", "stranger", "[bold]nurse[/]")
    lines = [line for line in ran.out.splitlines() if line.strip()]
    assert ran.code == 0
    assert "confidence" in lines[0]
    assert "Owner; Manager" in lines[1]
    assert "0.90" in lines[1]
    assert "no label above its threshold" in lines[2]
    assert "[bold]nurse[/]" in lines[3]


def test_a_label_with_brackets_is_shown_whole(
    monkeypatch: pytest.MonkeyPatch, labeller: Labeller, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = labeller.predict(["nurse"]).with_columns(labels=["Sales [EMEA]"])
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show_predictions(answers, labeller.model, as_json=False)
    assert "Sales [EMEA]" in capsys.readouterr().out


def test_on_a_terminal_json_is_json_still(terminal: Command) -> None:
    ran = terminal("predict", "nurse", "--json")
    assert json.loads(ran.out)["answers"][0]["primary_label"] == "Individual Contributor/Staff"


def test_it_leaves_no_file_behind(command: Command, files: Files, tmp_path: Path) -> None:
    command("predict", "nurse")
    assert files() == []
    assert not (tmp_path / "scores").exists()


def test_another_model_answers_where_it_is_named(command: Command, tmp_path: Path) -> None:
    other = wordmodel.build(tmp_path / "other", words={**wordmodel.WORDS, "nurse": "Manager"})
    ran = command("predict", "nurse", "--model", other)
    assert json.loads(ran.out)["answers"][0]["labels"] == ["Manager"]


@pytest.mark.parametrize("stdin", [b"", b"nurse\ncaf\xe9\n"])
def test_a_title_that_is_not_utf_8_is_an_error_that_shows_it(
    command: Command, stdin: bytes
) -> None:
    ran = command("predict", "-" if stdin else os.fsdecode(b"caf\xe9"), stdin=stdin)
    assert ran.code == 10
    assert ran.err == "jobbatch: the title 'caf\\udce9' is not UTF-8\n"
    assert ran.out == ""
