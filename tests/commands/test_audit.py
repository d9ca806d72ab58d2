"""`jobbatch audit` on the command line: what it prints, and how it refuses."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import openpyxl
import pytest

from tests.commands.ran import Command, Files

pytest.importorskip("torch")
pytestmark = pytest.mark.train

THINGS = ("Moss", "Kite", "Tunnel", "Puzzle", "Lantern", "Teapot", "Whistle", "Button", "Ladder")


@pytest.fixture(autouse=True)
def _data() -> None:
    rows = [f"{t} Whisperer,zoo\nKeeper of the {t},museum\n{t} Polisher,workshop" for t in THINGS]
    # One title is labelled two ways.
    Path("data.csv").write_text("\n".join(["title,place", *rows, "Kite Whisperer,museum"]) + "\n")


ASKED = ("audit", "data.csv", "--label-columns", "place", "--out", "audit.xlsx")


def test_the_summary_says_what_was_found_and_what_to_do_next(command: Command) -> None:
    ran = command(*ASKED)
    assert (ran.code, ran.out) == (0, "")
    assert "28 labelled rows, 27 distinct titles" in ran.err
    assert "contradiction: 1" in ran.err
    assert "workbook: audit.xlsx" in ran.err
    following = shlex.split(ran.err.splitlines()[-1].split(", then ")[1])
    assert following[:3] == ["jobbatch", "train", "data.csv"]
    options = dict(zip(following[3::2], following[4::2], strict=True))
    assert options["--corrections"] == "audit.xlsx"
    assert options["--label-columns"] == "place"


def test_json_is_one_object_that_names_no_title(command: Command) -> None:
    ran = command(*ASKED, "--json")
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert (report["out"], report["rows"], report["distinct"]) == ("audit.xlsx", 28, 27)
    assert report["by_sign"]["contradiction"] == 1
    table = report["tables"][0]
    assert (table["title_column"], table["label_columns"]) == ("title", ["place"])
    assert not any(thing in ran.out for thing in THINGS)


def test_quiet_prints_nothing(command: Command) -> None:
    ran = command(*ASKED, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert openpyxl.load_workbook("audit.xlsx").sheetnames[0] == "to check"


def test_a_workbook_that_may_hold_corrections_is_kept(command: Command, files: Files) -> None:
    Path("audit.xlsx").write_text("mine")
    ran = command(*ASKED)
    assert (ran.code, ran.out) == (30, "")
    assert "pass --overwrite" in ran.err
    assert ran.err.count("\n") == 1
    assert Path("audit.xlsx").read_text() == "mine"
    assert files() == ["audit.xlsx", "data.csv"]
    assert command(*ASKED, "--overwrite").code == 0


def test_too_few_titles_are_told_and_nothing_is_left(command: Command, files: Files) -> None:
    Path("data.csv").write_text("title,place\nMoss Whisperer,zoo\nKite Keeper,museum\n")
    ran = command(*ASKED)
    assert ran.code == 2
    assert "2 distinct titles cannot be split into 5 parts" in ran.err
    assert files() == ["data.csv"]
