"""A workbook that the fast parser refuses is read all the same, and a warning says so."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import fastexcel
import openpyxl
import polars as pl
import pytest

from jobbatch.errors import InputError, TitleColumnError
from jobbatch.tables.convert import Request, Sheet, convert
from tests import hostile


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fast parser refuse every workbook."""

    def refuse(_: str) -> None:
        raise fastexcel.FastExcelError("not as expected")

    monkeypatch.setattr(fastexcel, "read_excel", refuse)


def converted(path: Path, sheet: str | None = None) -> tuple[pl.DataFrame, Sheet]:
    target = path.with_name("sheet.arrow")
    found = convert(Request(source=str(path), target=str(target), sheet=sheet))
    return pl.read_ipc(target), found


def test_a_workbook_whose_parts_have_other_names_is_read(tmp_path: Path) -> None:
    rows = [hostile.HEADER, hostile.cell("nurse"), hostile.cell("Owner", row=4)]
    path = hostile.workbook(tmp_path / "a.xlsx", rows, book="livre")
    with pytest.raises(fastexcel.FastExcelError):
        fastexcel.read_excel(str(path))
    frame, sheet = converted(path)
    assert frame["Job Title"].to_list() == ["nurse", None, "Owner"]
    assert "read by openpyxl" in sheet.warnings[0]


@pytest.mark.usefixtures("refusing")
def test_cells_become_the_text_that_the_fast_parser_would_show(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    day = dt.datetime(2024, 2, 29)  # noqa: DTZ001
    book.active.append(["banner"])
    book.active.append(["id", "Job Title", None])
    book.active.append([7.0, "nurse", True, "far"])
    book.active.append([2.5, "", day, None])
    book.active.append(["007", None, day.replace(hour=13), None])
    book.save(tmp_path / "a.xlsx")
    frame, sheet = converted(tmp_path / "a.xlsx")
    assert frame.columns == ["id", "Job Title", "column_3", "column_4"]
    assert frame.rows() == [
        ("7", "nurse", "true", "far"),
        ("2.5", None, "2024-02-29", None),
        ("007", None, "2024-02-29 13:00:00", None),
    ]
    assert sheet.header_row == 2


@pytest.mark.usefixtures("refusing")
def test_the_sheet_with_job_titles_is_taken_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["x", "y"])
    for name in ("people", "old"):
        book.create_sheet(name).append(["Job Title"])
        book[name].append([name])
    book["old"].sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    frame, sheet = converted(tmp_path / "a.xlsx")
    assert frame["Job Title"].to_list() == ["people"]
    assert "'old'" in sheet.warnings[1]
    assert converted(tmp_path / "a.xlsx", "old")[0]["Job Title"].to_list() == ["old"]
    with pytest.raises(TitleColumnError, match="no sheet 'none'"):
        converted(tmp_path / "a.xlsx", "none")


@pytest.mark.usefixtures("refusing")
def test_headers_alone_are_an_empty_table_and_nothing_is_an_error(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="is empty"):
        converted(tmp_path / "a.xlsx")
    book.active.append(["id", "Job Title"])
    book.save(tmp_path / "a.xlsx")
    frame, _ = converted(tmp_path / "a.xlsx")
    assert (frame.columns, frame.height) == (["id", "Job Title"], 0)


@pytest.mark.usefixtures("refusing")
def test_what_neither_reads_is_told_in_the_words_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(hostile.table(".xlsx")[:900])
    with pytest.raises(InputError, match=r"a\.xlsx cannot be read.*not as expected"):
        converted(tmp_path / "a.xlsx")
