"""What a workbook's XML tells without parsing all of it: the same as its parser, or nothing."""

from __future__ import annotations

import datetime as dt
import io
import re
import tempfile
import zipfile
from pathlib import Path
from unittest import mock

import fastexcel
import openpyxl
import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.errors import InputError
from jobbatch.tables import caveats, sheet_xml
from jobbatch.tables.convert import Request, Sheet, convert

CELL = st.one_of(
    st.none(),
    st.none(),
    st.sampled_from(["Job Title", "nurse", " a b ", "n/a", "007", "é", "<&>", "a\nb", "1"]),
    st.integers(-5, 10**6),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.booleans(),
    st.sampled_from([dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 12, 30)]),  # noqa: DTZ001
)


def converted(source: Path) -> tuple[pl.DataFrame, Sheet] | str:
    target = source.with_suffix(".arrow")
    try:
        found = convert(
            Request(source=str(source), target=str(target), sheet=None, title_column=None)
        )
    except InputError as error:
        return str(error)
    return pl.read_ipc(target), found


@given(
    grid=st.lists(st.lists(CELL, min_size=1, max_size=4), max_size=7),
    header=st.lists(st.sampled_from(["id", "Job Title", "spend", None, "id"]), max_size=4),
    top=st.integers(0, 3),
    left=st.integers(0, 2),
)
@settings(max_examples=80, deadline=None)
def test_a_sheet_is_read_as_if_nobody_had_looked_into_it(grid, header, top: int, left: int) -> None:
    book = openpyxl.Workbook()
    for i, row in enumerate([header, *grid]):
        for j, value in enumerate(row):
            if value is not None:
                book.active.cell(top + i + 1, left + j + 1, value)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "book.xlsx"
        book.save(source)
        looked = converted(source)
        with mock.patch.object(sheet_xml, "previews", return_value=None):
            parsed = converted(source)
    if isinstance(looked, str) or isinstance(parsed, str):
        assert looked == parsed
    else:
        assert looked[1] == parsed[1]
        assert looked[0].equals(parsed[0])


def test_a_long_sheet_is_parsed_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "Job Title", "spend"])
    for i in range(500):
        book.active.append([i, f"nurse {i}", None if i % 2 else i / 4])
    book.save(tmp_path / "book.xlsx")
    loaded = []
    load = fastexcel.ExcelReader.load_sheet

    def counted(self: fastexcel.ExcelReader, *args: object, **options: object) -> object:
        loaded.append(args)
        return load(self, *args, **options)  # type: ignore[arg-type]

    with mock.patch.object(fastexcel.ExcelReader, "load_sheet", counted):
        frame, _ = converted(tmp_path / "book.xlsx")  # type: ignore[misc]
    assert len(loaded) == 1
    assert frame["spend"].null_count() == 250


@pytest.mark.parametrize("late", ["n/a", "NULL", "text"])
def test_text_far_down_a_column_of_numbers_is_found(tmp_path: Path, late: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "Job Title", "spend"])
    for i in range(300):
        book.active.append([i, "nurse", late if i == 299 else i])
    book.save(tmp_path / "book.xlsx")
    frame, _ = converted(tmp_path / "book.xlsx")  # type: ignore[misc]
    assert frame["spend"][299] == late
    assert frame["spend"][0] == "0"


def test_columns_with_text_are_told_whatever_the_order_of_attributes(tmp_path: Path) -> None:
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row r="2"><c t="str" s="1" r="A2"><v>x</v></c><c r="B2"><v>7</v></c></row>'
        '<x:row r="3"><x:c s="3" r="AA3" t="e"><v>#N/A</v></x:c><c r="C3" t="n"><v>1</v></c></x:row>'
    )
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet.xml", f"<sheetData>{rows}</sheetData>")
    found = sheet_xml.columns_with_text(path, "sheet.xml", {0, 1, 2, 26}, below=1)
    assert found == {0, 26}
    assert sheet_xml.columns_with_text(path, "sheet.xml", {1}, below=0) == {1}
    assert sheet_xml.columns_with_text(path, "sheet.xml", set(), below=0) == set()


def test_columns_with_text_are_found_across_blocks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sheet_xml, "_BLOCK", 7)
    cells = "".join(f'<c r="A{i}"><v>1</v></c><c r="B{i}" t="str"><v>x</v></c>' for i in range(99))
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sheet.xml", f"<sheetData>{cells}</sheetData>")
    assert sheet_xml.columns_with_text(path, "sheet.xml", {0, 1}, below=1) == {1}


def with_parts(path: Path, **content: str) -> Path:
    """Return a sound workbook with other parts: workbook, relations, strings or sheet."""
    names = {
        "workbook": "xl/workbook.xml",
        "relations": "xl/_rels/workbook.xml.rels",
        "strings": "xl/sharedStrings.xml",
        "sheet": "xl/worksheets/sheet1.xml",
    }
    made = io.BytesIO()
    with xlsxwriter.Workbook(made) as book:
        book.add_worksheet("A").write_column(0, 0, ["Job Title", "nurse"])
    with zipfile.ZipFile(made) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | {names[k]: c.encode() for k, c in content.items()}).items():
            archive.writestr(name, part)
    return path


def test_a_sound_workbook_shows_its_first_rows(tmp_path: Path) -> None:
    found = sheet_xml.previews(with_parts(tmp_path / "a.xlsx"), 60)
    assert found is not None
    assert [(n, p.rows, p.visible) for n, p in found.items()] == [
        ("A", [("Job Title",), ("nurse",)], True)
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {"workbook": "<workbook"},
        {"workbook": '<!DOCTYPE a [<!ENTITY b "bbb">]><a>&b;</a>'},
        {"relations": "<Relationships/>"},
        {"strings": "<sst></sst>"},
        {"strings": '<!DOCTYPE a [<!ENTITY b "bbb">]><sst><si><t>&b;</t></si></sst>'},
        {"sheet": '<s><row r="1"><c t="s"><v>0</v></c></row></s>'},
        {"sheet": '<s><row r="1"><c r="A1" t="s"><v>x</v></c></row></s>'},
        {"sheet": '<s><row r="1"><c r="1A"><v>x</v></c></row></s>'},
    ],
)
def test_what_is_not_as_expected_is_left_to_the_parser(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    assert sheet_xml.previews(with_parts(tmp_path / "a.xlsx", **parts), 60) is None


def test_a_file_that_is_no_archive_is_left_to_the_parser(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 nothing")
    assert sheet_xml.previews(tmp_path / "a.xlsx", 60) is None


def test_rich_and_spoken_text_is_joined_as_it_is_shown(tmp_path: Path) -> None:
    path = with_parts(
        tmp_path / "a.xlsx",
        strings="<sst><si><r><t>Job </t></r><r><t>Title</t></r><rPh><t>x</t></rPh></si></sst>",
        sheet='<s><row r="1"><c r="A1" t="s"><v>0</v></c></row></s>',
    )
    found = sheet_xml.previews(path, 60)
    assert found is not None
    assert [p.rows for p in found.values()] == [[("Job Title",)]]


@pytest.mark.parametrize("prefix", ["", "x:"])
@pytest.mark.parametrize("block", [7, 1 << 15])
def test_hidden_rows_formulas_errors_and_long_numbers_are_counted_whatever_the_prefix_and_wherever_blocks_end(
    tmp_path: Path, monkeypatch, prefix: str, block: int
) -> None:
    monkeypatch.setattr(sheet_xml, "_BLOCK", block)
    rows = (
        '<row r="1" hidden="1"><c r="A1"><f>1+1</f></c></row>'
        '<row hidden="true" r="2"><c r="A2"><f t="shared" si="0"/></c></row>'
        '<row r="3" hidden="0"><c r="A3"><v>:f &lt;f&gt; hidden="1"</v></c></row>'
        '<row r="4"><c r="A4"><v>1234567890123456</v></c><c r="B4"><v>123456789012345</v></c>'
        '<c r="C4" s="1"><f>A4</f><v>-1.2345678901234567E+19</v></c>'
        '<c r="E4"><v>6.02E+23</v></c><c r="F4"><f>A1</f><v></v></c><c r="G4"><f>A1</f><v/></c></row>'
        '<row r="5"><c r="A5" s="1" t="e"><v>#N/A</v></c><c r="B5"><v>t="e"</v></c>'
        '<c t="b" r="C5"><v>1</v></c></row>'
    )
    for tag in ("row", "c", "f", "v"):
        rows = re.sub(rf"(</?){tag}\b", rf"\1{prefix}{tag}", rows)
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("sheet.xml", f"<{prefix}sheetData>{rows}</{prefix}sheetData>")
    peeked = sheet_xml.Preview(
        part="sheet.xml", visible=True, rows=[], first_column=0, exact=frozenset()
    )
    found = caveats.counts(tmp_path / "a.xlsx", peeked)
    assert found == caveats.Counts(
        hidden_rows=2,
        formulas=5,
        unsaved=4,
        errors=1,
        long_numbers=2,
        truth_values=1,
        zero_filled=0,
    )
