"""What a person should know of a table is said, counted, and written into the manifest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from tests import hostile, workbooks
from tests.commands.ran import Command, Files

RAGGED = "id,Job Title\n1,nurse\n2,nurse,night\n3,owner\n"


def warnings_of(output: str) -> list[str]:
    return list(json.loads(Path(f"{output}.jobbatch.json").read_text())["warnings"])


def test_hidden_rows_and_formulas_are_told_on_the_terminal_and_in_the_manifest(
    command: Command,
) -> None:
    book = openpyxl.Workbook()
    for row in (["n", "Job Title"], ["=1+1", "nurse"], [2, "owner"]):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.save("people.xlsx")
    ran = command("label", "people.xlsx", "out.parquet", "--quiet")
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.err.splitlines()] == [["warning:", "1"]] * 3
    assert "are hidden" in ran.err
    assert warnings_of("out.parquet")[1].startswith("1 cells of sheet 'Sheet' are formulas")
    report = json.loads(command("label", "people.xlsx", "2.parquet", "--json").out)
    assert len(report["manifest"]["warnings"]) == 3
    assert pl.read_parquet("out.parquet").height == 2


@pytest.mark.fault(30)
def test_text_that_could_run_is_left_as_read_and_counted_or_made_safe(command: Command) -> None:
    Path("people.csv").write_text("id,Job Title,note\n-1,nurse,=1+1\n'2,@owner,x\n")
    ran = command("label", "people.csv", "out.csv", "--quiet")
    assert "2 cells could run as formulas" in ran.err
    assert Path("out.csv").read_text().splitlines()[1].startswith("-1,nurse,=1+1,")
    ran = command("label", "people.csv", "safe.csv", "--safe-csv")
    assert "2 cells could run as formulas in a spreadsheet: a ' stands before them" in ran.err
    lines = Path("safe.csv").read_text().splitlines()
    assert lines[1].startswith("-1,nurse,'=1+1,")
    assert lines[2].startswith("''2,'@owner,x,")
    assert command("label", "people.csv", "out.xlsx", "--quiet").err == ""


@pytest.mark.fault(26)
def test_a_line_without_end_is_labelled_and_marked(command: Command) -> None:
    endless = "nurse " * (2**26 // 6)
    Path("people.csv").write_text(f"id,Job Title\n1,director\n2,{endless}\n3,manager\n")
    assert command("label", "people.csv", "out.parquet", "--quiet").code == 0
    written = pl.read_parquet("out.parquet")
    assert written["review_reason"].to_list()[1] == "truncated"
    assert written["Job Title"].to_list() == ["director", endless, "manager"]


def test_a_header_that_may_be_a_title_is_told(command: Command) -> None:
    Path("people.csv").write_text("1,nurse\n2,owner\n")
    assert command("label", "people.csv", "out.csv").code == 0
    (warning,) = warnings_of("out.csv")
    assert "header is 'nurse': if it is a title, the table has no header row" in warning
    named = ("label", "people.csv", "out.csv", "--title-column", "nurse", "--overwrite")
    assert command(*named).code == 0
    assert warnings_of("out.csv") == []


@pytest.mark.fault(20)
def test_where_no_title_column_is_found_hidden_sheets_are_named(command: Command) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.create_sheet("people").append(["Job Title"])
    book["people"].sheet_state = "hidden"
    book.save("people.xlsx")
    ran = command("label", "people.xlsx", "out.parquet")
    assert ran.code == 13
    assert "no column looks like job titles" in ran.err
    assert ran.err.endswith("1 hidden sheets were passed over: 'people'; --sheet takes one\n")


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_times_of_a_zone_that_is_an_offset_are_the_same_moments_in_utc(
    command: Command, ending: str
) -> None:
    # Polars writes such zones only where it is told not to look at them.
    write = (
        "import datetime as dt, polars as pl;"
        "at = pl.Series([dt.datetime(2020, 1, 1, 5, 30), None], dtype=pl.Datetime('us', '+05:30'));"
        "frame = pl.DataFrame({'title': ['nurse', 'owner'], 'at': at});"
        f"frame.{'write_parquet' if ending == '.parquet' else 'write_ipc'}('people{ending}')"
    )
    unchecked = os.environ | {"POLARS_IGNORE_TIMEZONE_PARSE_ERROR": "1"}
    subprocess.run([sys.executable, "-c", write], env=unchecked, check=True)
    assert command("label", f"people{ending}", "out.parquet").code == 0
    at = pl.read_parquet("out.parquet")["at"]
    assert at.dtype == pl.Datetime("us", "UTC")
    assert warnings_of("out.parquet") == ["the times of 'at' are in UTC here: the same moments"]
    assert command("label", f"people{ending}", "out.csv").code == 0
    assert pl.read_csv("out.csv")["at"].null_count() == 1


def test_numbers_that_the_output_cannot_hold_are_counted(command: Command) -> None:
    values = [float("nan"), 0.5, float("inf")]
    pl.DataFrame({"title": ["nurse"] * 3, "x": values}).write_parquet("people.parquet")
    assert command("label", "people.parquet", "out.jsonl").code == 0
    assert warnings_of("out.jsonl") == [
        "2 numbers are NaN or infinite, which JSON cannot hold: they are null"
    ]
    assert pl.read_ndjson("out.jsonl")["x"].to_list() == [None, 0.5, None]
    assert command("label", "people.parquet", "out.csv").code == 0
    assert warnings_of("out.csv") == []


@pytest.mark.fault(26)
class TestBadRows:
    def test_short_lines_and_odd_quotes_are_read_and_told(self, command: Command) -> None:
        Path("people.csv").write_text('id,Job Title,screen\n1,nurse,12"\n2,owner\n')
        assert command("label", "people.csv", "out.parquet").code == 0
        assert pl.read_parquet("out.parquet")["screen"].to_list() == ['12"', None]
        quotes, short = warnings_of("out.parquet")
        assert quotes == "quotes stand within fields: each line was read as a row of its own"
        assert short.startswith("1 lines have fewer fields than the header, the first is line 3;")

    def test_a_line_with_too_many_fields_is_refused_by_its_number(
        self, command: Command, files: Files
    ) -> None:
        Path("people.csv").write_text(RAGGED)
        ran = command("label", "people.csv", "out.csv")
        assert ran.code == 10
        assert "line 3 has 3 fields, the header has 2" in ran.err
        assert files() == ["people.csv"]

    def test_or_put_aside_with_the_others_labelled(self, command: Command, files: Files) -> None:
        Path("people.csv").write_text(RAGGED)
        arguments = ("label", "people.csv", "out.csv", "--bad-rows", "quarantine")
        for _ in range(2):  # the second time there is nothing to do, but it is said again
            ran = command(*arguments)
            assert ran.code == 3
            assert (
                ran.err.splitlines()[-1] == "jobbatch: all but 1 lines of people.csv are labelled"
            )
        assert Path("out.csv.bad.csv").read_text() == "id,Job Title\n2,nurse,night\n"
        assert pl.read_csv("out.csv")["id"].to_list() == [1, 3]
        assert "1 lines have more fields" in warnings_of("out.csv")[0]

        Path("people.csv").write_text("id,Job Title\n1,nurse\n")
        assert command(*arguments, "--overwrite").code == 0
        assert files() == ["out.csv", "out.csv.jobbatch.json", "people.csv"]


@pytest.mark.fault(19)
def test_a_workbook_with_a_password_is_opened_with_its_file(
    command: Command, tmp_path: Path
) -> None:
    plain = hostile.table(".xlsx", rows=1)
    Path("people.xlsx").write_bytes(workbooks.protected_xlsx(plain, "open"))
    Path("password").write_text("open\n")
    Path("wrong").write_text("opens\n")
    ran = command("label", "people.xlsx", "out.parquet")
    assert (ran.code, "--password-file" in ran.err) == (12, True)
    ran = command("label", "people.xlsx", "out.parquet", "--password-file", "wrong")
    assert (ran.code, "the password in wrong does not open" in ran.err) == (12, True)
    assert command("label", "people.xlsx", "out.parquet", "--password-file", "password").code == 0
    assert pl.read_parquet("out.parquet").height == 1
    assert [p.name for p in (tmp_path / "temporary").iterdir()] == []
