"""What is written to .xlsx is what a spreadsheet program shows; text is never a formula."""

from __future__ import annotations

import datetime as dt
import tempfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import fastexcel
import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from jobbatch.errors import WriteError
from jobbatch.tables import workbook as workbook_module
from jobbatch.tables.workbook import write_workbook


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Worksheet]:
    """Return a function that writes a frame and reopens its sheet."""

    def write_and_open(frame: pl.DataFrame, **metadata: str) -> Worksheet:
        path = tmp_path / "out.xlsx"
        write_workbook(frame.lazy(), path, frame.columns, metadata, frame.height)
        return openpyxl.load_workbook(path)["labels"]

    return write_and_open


def cells(sheet: Worksheet) -> list[tuple[object, ...]]:
    return list(sheet.iter_rows(values_only=True))


def test_headers_stand_bold_and_frozen_above_the_rows(written) -> None:
    sheet = written(pl.DataFrame({"id": ["007", None], "Job Title": [None, "nurse"]}))
    assert cells(sheet) == [("id", "Job Title"), ("007", None), (None, "nurse")]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:B3"
    assert all(cell.font.bold for cell in sheet[1])
    assert not any(cell.font.bold for cell in sheet[2])


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=A1}", "=HYPERLINK(1)", "http://x.org", "007", "1e5"]
)
def test_text_is_text_and_never_a_formula_a_number_or_a_link(written, text: str) -> None:
    sheet = written(pl.DataFrame({"a": [text]}))
    assert (sheet["A2"].value, sheet["A2"].data_type) == (text, "s")
    assert sheet["A2"].hyperlink is None


@given(st.lists(st.text(), min_size=1, max_size=9))
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back_as_it_was(texts: list[str]) -> None:
    # U+FFFE and U+FFFF are no characters of XML. Calamine takes '_x...' for an escape.
    texts = [t.replace("\ufffe", "").replace("\uffff", "").replace("_x", "") for t in texts]
    frame = pl.DataFrame({"text": [*texts, "end"]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        write_workbook(frame.lazy(), path, frame.columns, {}, frame.height)
        sheet = fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()
    assert sheet["text"].fill_null("").to_list() == frame["text"].to_list()


def test_what_looks_like_an_escape_is_escaped_itself(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["_x0041_", "a\rb\x01"]})
    write_workbook(frame.lazy(), tmp_path / "a.xlsx", ["a"], {}, 2)
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").decode()
    assert ">_x005F_x0041_<" in xml
    assert ">a_x000D_b_x0001_<" in xml


def test_the_sheet_states_its_size(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x"] * 3, "b": [1, 2, None]})
    write_workbook(frame.lazy(), tmp_path / "a.xlsx", frame.columns, {}, 3)
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx", read_only=True)["labels"]
    assert sheet.calculate_dimension() == "A1:B4"


@pytest.mark.parametrize(
    "dtype", [pl.Date, pl.Datetime("us"), pl.Datetime("ns"), pl.Datetime("ms")]
)
def test_days_are_counted_as_spreadsheets_do(written, dtype: pl.DataType) -> None:
    days = [dt.date(1900, 1, 1), dt.date(1900, 2, 28), dt.date(1900, 3, 1), dt.date(2100, 12, 31)]
    sheet = written(pl.DataFrame({"day": pl.Series(days).cast(dtype)}))
    assert [row[0].date() for row in cells(sheet)[1:]] == days  # type: ignore[attr-defined]


def test_columns_beyond_z_are_named_right(written) -> None:
    names = [f"c{i}" for i in range(705)]
    sheet = written(pl.DataFrame({name: [i] for i, name in enumerate(names)}))
    assert (sheet["Z2"].value, sheet["AA2"].value, sheet["AAC2"].value) == (25, 26, 704)


def test_headers_are_text_too(written) -> None:
    assert cells(written(pl.DataFrame({"=1+1": ["x"]}))) == [("=1+1",), ("x",)]


def test_numbers_truth_values_and_dates_are_what_they_are(written) -> None:
    row = {
        "whole": 42,
        "broken": 0.1,
        "decimal": Decimal("1.10"),
        "yes": True,
        "day": dt.date(2024, 2, 29),
        "moment": dt.datetime(2024, 2, 29, 13, 45, 7),  # noqa: DTZ001
        "time": dt.time(13, 45, 7),
        "span": dt.timedelta(hours=30),
    }
    sheet = written(pl.DataFrame([row]))
    values = dict(zip(row, cells(sheet)[1]))
    assert values.pop("decimal") == pytest.approx(1.1)
    assert values.pop("day") == dt.datetime(2024, 2, 29)  # noqa: DTZ001
    assert values == {name: row[name] for name in values}
    assert [cell.number_format for cell in sheet[2]][4:] == [
        *("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "hh:mm:ss", "[h]:mm:ss")
    ]


def test_what_a_spreadsheet_cannot_hold_exactly_is_text(written) -> None:
    frame = pl.DataFrame(
        {
            "digits": [10**15, -(10**17)],
            "float": [float("nan"), float("-inf")],
            "old": [dt.date(1850, 1, 2), None],
            "zoned": [dt.datetime(2024, 2, 29, 13, 45, tzinfo=dt.UTC), None],
        }
    )
    first, second = cells(written(frame))[1:]
    assert first == ("1000000000000000", "NaN", "1850-01-02", "2024-02-29 13:45:00.000000+00:00")
    assert second == ("-100000000000000000", "-inf", None, None)


def test_whole_numbers_below_that_are_exact(written) -> None:
    numbers = [10**15 - 1, -(10**15) + 1, 2**53 % 10**15, 0]
    sheet = written(pl.DataFrame({"n": numbers}))
    assert [row[0] for row in cells(sheet)[1:]] == numbers


def test_categories_are_written_as_their_names(written) -> None:
    frame = pl.DataFrame(
        {
            "a": pl.Series(["x", None], dtype=pl.Categorical),
            "b": pl.Series(["x", "y"], dtype=pl.Enum(["x", "y"])),
            "none": [None, None],
        }
    )
    assert cells(written(frame))[1:] == [("x", "x", None), (None, "y", None)]


def test_rows_keep_their_order_over_many_batches(written, monkeypatch) -> None:
    monkeypatch.setattr(workbook_module, "_BATCH_ROWS", 7)
    sheet = written(pl.DataFrame({"n": range(100)}))
    assert [row[0] for row in cells(sheet)[1:]] == list(range(100))


def test_a_table_without_rows_has_its_headers(written) -> None:
    frame = pl.DataFrame(schema={"id": pl.Int64, "Job Title": pl.String})
    assert cells(written(frame)) == [("id", "Job Title")]


def test_who_made_it_stands_in_the_document_s_properties(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x"]})
    write_workbook(frame.lazy(), tmp_path / "a.xlsx", ["a"], {"jobbatch.model": "m" * 300}, 1)
    properties = openpyxl.load_workbook(tmp_path / "a.xlsx").custom_doc_props
    assert {p.name: p.value for p in properties.props} == {"jobbatch.model": "m" * 255}


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x", None], "n": [1, 2]})
    for name in ("one.xlsx", "two.xlsx"):
        write_workbook(frame.lazy(), tmp_path / name, frame.columns, {"jobbatch.model": "m"}, 2)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_a_workbook_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_workbook(pl.LazyFrame({"a": ["x"]}), tmp_path / "none" / "a.xlsx", ["a"], {}, 1)


def test_a_workbook_that_comes_out_damaged_is_a_write_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(zipfile.ZipFile, "testzip", lambda _: "xl/workbook.xml")
    with pytest.raises(WriteError, match=r"part xl/workbook\.xml came out damaged"):
        write_workbook(pl.LazyFrame({"a": ["x"]}), tmp_path / "a.xlsx", ["a"], {}, 1)
