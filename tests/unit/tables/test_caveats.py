"""What a sheet hides, computes and has lost is counted and said."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from openpyxl.workbook import Workbook

from jobbatch.errors import InputError
from jobbatch.tables import sheet_xml
from jobbatch.tables.convert import Request, convert
from tests import hostile


def said(path: Path, workbook: Workbook) -> list[str]:
    workbook.save(path)
    return convert(Request(source=str(path), target=str(path.with_name("a.arrow")))).warnings


@pytest.fixture
def workbook() -> Workbook:
    made = openpyxl.Workbook()
    for row in (["id", "Job Title"], [1, "nurse"], [2, "owner"], [3, "nurse"]):
        made.active.append(row)
    return made


def test_of_a_plain_sheet_there_is_nothing_to_say(tmp_path: Path, workbook: Workbook) -> None:
    assert said(tmp_path / "a.xlsx", workbook) == []


def test_hidden_rows_are_counted(tmp_path: Path, workbook: Workbook) -> None:
    for row in (2, 4):
        workbook.active.row_dimensions[row].hidden = True
    (warning,) = said(tmp_path / "a.xlsx", workbook)
    assert warning.startswith("2 rows of sheet 'Sheet' are hidden")


def test_formulas_are_counted(tmp_path: Path, workbook: Workbook) -> None:
    workbook.active["A3"] = "=1+1"
    workbook.active["C2"] = '=IF(A2>0,"<f>","")'
    formulas, unsaved = said(tmp_path / "a.xlsx", workbook)
    assert formulas.startswith("2 cells of sheet 'Sheet' are formulas")
    assert unsaved.startswith("2 formulas of sheet 'Sheet' were saved without a value")


def test_errors_are_counted_and_a_column_without_cells_is_nothing_to_tell(
    tmp_path: Path, workbook: Workbook, caplog: pytest.LogCaptureFixture
) -> None:
    workbook.active["A3"], workbook.active["B4"] = "#DIV/0!", "#N/A"
    workbook.active["C1"], workbook.active["D1"] = "#REF!", "empty"
    (warning,) = said(tmp_path / "a.xlsx", workbook)
    assert warning == "3 cells of sheet 'Sheet' hold errors such as #N/A; they are empty here"
    assert caplog.text == ""


def test_an_error_that_the_fast_parser_does_not_know_is_read_as_it_stands(
    tmp_path: Path, workbook: Workbook
) -> None:
    workbook.active["A3"] = "#SPILL!"
    workbook.active["A3"].data_type = "e"
    workbook.active["C2"] = dt.timedelta(hours=30, minutes=5)
    workbook.active.row_dimensions[4].hidden = True
    slowly, hidden = said(tmp_path / "a.xlsx", workbook)
    assert "it was read by openpyxl" in slowly
    assert hidden.startswith("1 rows of sheet 'Sheet' are hidden")
    assert pl.read_ipc(tmp_path / "a.arrow").to_series(2).to_list() == ["30:05:00", None, None]
    assert pl.read_ipc(tmp_path / "a.arrow")["id"].to_list() == ["1", "#SPILL!", "3"]


def test_an_error_for_which_the_parser_finds_no_kind_is_seen(
    tmp_path: Path, workbook: Workbook
) -> None:
    workbook.active["A3"] = "#NAME?"
    assert said(tmp_path / "a.xlsx", workbook) == []
    assert pl.read_ipc(tmp_path / "a.arrow")["id"].to_list() == ["1", "#NAME?", "3"]


@pytest.mark.fault(22)
def test_errors_among_texts_are_seen_and_others_counted(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    rows = [["report"], [], ["", "id", "Job Title"], [], ["", 1, "#N/A"], ["", "#DIV/0!", "=1/0"]]
    for row in (*rows, ["", 3, "nurse"], ["", 4, "#REF!"]):
        made.active.append(row)
    *_, errors = said(tmp_path / "a.xlsx", made)
    assert errors.startswith("1 cells of sheet 'Sheet' hold errors")
    read = pl.read_ipc(tmp_path / "a.arrow").select("id", "Job Title").rows()
    assert read == [(None, None), (1, "#N/A"), (None, None), (3, "nurse"), (4, "#REF!")]


def test_hidden_sheets_that_were_passed_over_are_named(tmp_path: Path, workbook: Workbook) -> None:
    workbook.create_sheet("old").append(["Job Title"])
    workbook["old"].sheet_state = "hidden"
    (warning,) = said(tmp_path / "a.xlsx", workbook)
    assert warning.startswith("1 hidden sheets were passed over: 'old'")


@pytest.mark.fault(23)
def test_numbers_whose_last_digits_a_spreadsheet_has_lost_are_counted_among_texts_too(
    tmp_path: Path, workbook: Workbook
) -> None:
    workbook.active["A2"], workbook.active["A3"] = 12345678901234567890, "text"
    workbook.active["C2"], workbook.active["C3"] = 999_999_999_999_999, "12345678901234567890"
    workbook.active["D2"] = 6.02e23
    (warning,) = said(tmp_path / "a.xlsx", workbook)
    assert warning.startswith("1 numbers in sheet 'Sheet' have more than 15 digits")


@pytest.mark.fault(23)
def test_in_a_sheet_whose_xml_is_not_looked_at_they_are_counted_by_column(
    tmp_path: Path, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet_xml, "previews", lambda *_: None)
    workbook.active["A2"] = 12345678901234567890
    (warning,) = said(tmp_path / "a.xlsx", workbook)
    assert warning.startswith("1 numbers in id have more than 15 digits")


@pytest.mark.fault(23)
def test_numbers_that_are_shown_with_leading_zeros_are_counted(
    tmp_path: Path, workbook: Workbook
) -> None:
    formats = {"A2": "00000", "A3": "000-00-0000", "A4": "0.00", "B2": "00000", "C2": "00"}
    for cell, number_format in formats.items():
        workbook.active[cell].number_format = number_format
    workbook.active["D2"], workbook.active["D2"].number_format = "=1", "0000"
    *_, warning = said(tmp_path / "a.xlsx", workbook)
    assert warning.startswith(
        "2 numbers of sheet 'Sheet' have a format that fills them up with zeros"
    )
    assert pl.read_ipc(tmp_path / "a.arrow")["id"].to_list() == [1, 2, 3]


@pytest.mark.fault(23)
def test_a_text_of_many_digits_has_lost_none(tmp_path: Path) -> None:
    rows = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>Job Title</t></is></c></row>'
        '<row r="2"><c r="A2" t="str"><v>12345678901234567890</v></c></row>'
        '<row r="3"><c r="A3" t="str"><f>"1"&amp;A2</f><v>12345678901234567890</v></c></row>'
    )
    path = hostile.workbook(tmp_path / "a.xlsx", [rows])
    found = convert(Request(source=str(path), target=str(tmp_path / "a.arrow")))
    assert len(found.warnings) == 1
    assert "formulas" in found.warnings[0]


ODS_TIME = (
    '<table:table-cell office:value-type="time" office:time-value="{}"><text:p/></table:table-cell>'
)
ODS_TEXT = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'


def ods(path: Path, rows: list[tuple[str, str]]) -> Path:
    hostile.ods(path, "".join(f"<table:table-row>{a}{b}</table:table-row>" for a, b in rows))
    return path


@pytest.mark.fault(23)
def test_times_among_texts_of_an_open_document_spreadsheet_are_refused_with_advice(
    tmp_path: Path,
) -> None:
    cells = [ODS_TEXT.format("hours"), ODS_TIME.format("PT08H00M00S"), ODS_TEXT.format("none")]
    path = ods(tmp_path / "a.ods", [(ODS_TEXT.format("Job Title"), cell) for cell in cells])
    with pytest.raises(InputError, match=r"combination: .*Duration.*\. Save it as \.xlsx$"):
        convert(Request(source=str(path), target=str(tmp_path / "a.arrow")))


@pytest.mark.fault(23)
def test_what_an_open_document_spreadsheet_loses_is_counted(tmp_path: Path) -> None:
    rows = [
        (ODS_TEXT.format("Job Title"), ODS_TEXT.format("hours")),
        (ODS_TEXT.format("head<text:line-break/>of<text:tab/>it"), ODS_TIME.format("PT30H05M00S")),
        (ODS_TEXT.format("nurse"), ODS_TIME.format("-PT01H00M00S")),
        (ODS_TEXT.format("owner"), ODS_TIME.format("PT23H59M59S")),
    ]
    path = ods(tmp_path / "a.ods", rows)
    found = convert(Request(source=str(path), target=str(tmp_path / "a.arrow")))
    assert [warning.split(" of ")[0] for warning in found.warnings] == [
        *("2 times", "2 line breaks and tabs within cells"),
    ]
    assert pl.read_ipc(tmp_path / "a.arrow")["hours"].null_count() == 2
