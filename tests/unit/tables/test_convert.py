"""One sheet of a spreadsheet becomes an Arrow file: every row and every cell as it was seen."""

from __future__ import annotations

import datetime as dt
import errno
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.workbook import Workbook

from jobbatch import child
from jobbatch.errors import InputError, TitleColumnError, WriteError
from jobbatch.tables.convert import Request, Sheet, convert
from tests import hostile, workbooks
from tests.workbooks import Row


def book(*sheets: Sequence[Row]) -> Workbook:
    """Return a workbook with these sheets, called A, B, ..."""
    made = Workbook()
    made.remove(made.active)
    for name, rows in zip("ABC", sheets):
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return made


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[pl.DataFrame, Sheet]]:
    """Return a function that saves a workbook, converts it and reads the outcome."""

    def save_and_read(
        workbook: Workbook, sheet: str | None = None, title_column: str | None = None
    ) -> tuple[pl.DataFrame, Sheet]:
        source, target = tmp_path / "book.xlsx", tmp_path / "sheet.arrow"
        workbook.save(source)
        found = convert(
            Request(source=str(source), target=str(target), sheet=sheet, title_column=title_column)
        )
        return pl.read_ipc(target), found

    return save_and_read


class TestCells:
    @pytest.mark.fault(23)
    def test_text_stays_as_it_was_typed(self, read) -> None:
        typed = [
            *("007", "12345678901234567890", "n/a", "NULL", "1e5", "1.50", "TRUE", "2020-01-02"),
            *(" padded ", "a\nb", "=not a formula", "é👩‍💻", "O'Neil", "<a & b>", "x" * 32_767),
        ]
        sheet = book([["id", "Job Title"], *([text, "nurse"] for text in typed)])
        sheet["A"]["A12"].data_type = "s"
        frame, _ = read(sheet)
        assert frame["id"].to_list() == typed

    def test_whole_numbers_stay_whole_and_others_keep_their_digits(self, read) -> None:
        rows = [[1, 2.0, 0.1, 10**15, "x"], [-7, 3.0, 1e-9, 5, "x"], [None, None, None, None, "x"]]
        frame, _ = read(book([["a", "b", "c", "d", "Job Title"], *rows]))
        assert frame["a"].to_list() == [1, -7, None]
        assert frame["b"].to_list() == [2, 3, None]
        assert frame["c"].to_list() == [0.1, 1e-9, None]
        assert frame["d"].to_list() == [10**15, 5, None]
        assert frame.dtypes[:4] == [pl.Int64, pl.Int64, pl.Float64, pl.Int64]

    def test_times_and_days_of_an_old_mac_s_workbook_are_told_apart(self, read) -> None:
        first, time = dt.date(1904, 1, 1), dt.time(13, 45)
        made = book([["time", "day", "Job Title"], [time, first, "x"], [None, None, "y"]])
        made.epoch = CALENDAR_MAC_1904
        frame, _ = read(made)
        assert frame.row(0) == (time, first, "x")

    def test_days_moments_times_and_spans_are_told_apart(self, read) -> None:
        day, moment = dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 13, 45)  # noqa: DTZ001
        time, span = dt.time(13, 45), dt.timedelta(hours=30, minutes=5)
        rows = [[day, moment, time, span, "x"], [None] * 4 + ["y"]]
        frame, _ = read(book([["day", "moment", "time", "span", "Job Title"], *rows]))
        assert frame.row(0) == (day, moment, time, span, "x")
        assert frame.row(1) == (None, None, None, None, "y")

    def test_days_times_and_hours_among_texts_are_as_they_are_seen(self, read) -> None:
        seen = {
            "closed": "closed",
            dt.time(10, 30): "10:30:00",
            dt.time(0, 0): "00:00:00",
            dt.timedelta(hours=30, seconds=5): "30:00:05",
            dt.timedelta(hours=100): "100:00:00",
            dt.date(2024, 5, 6): "2024-05-06",
            dt.datetime(2024, 5, 6, 7, 8, 9): "2024-05-06 07:08:09",  # noqa: DTZ001
            "2024-05-06 00:00:00": "2024-05-06 00:00:00",
            "1899-12-31 10:30:00": "1899-12-31 10:30:00",
        }
        frame, _ = read(book([["when", "Job Title"], *([cell, "x"] for cell in seen)]))
        assert frame["when"].to_list() == list(seen.values())

    def test_truth_values_stay_truth_values(self, read) -> None:
        frame, _ = read(book([["Job Title", "b"], ["x", True], ["y", False], ["z", None]]))
        assert frame["b"].to_list() == [True, False, None]

    @pytest.mark.fault(23)
    def test_truth_values_among_numbers_are_no_numbers(self, read) -> None:
        rows = [["Job Title", "n", "m", "o"], ["nurse", 1, 0.5, 1], ["owner", True, False, 0]]
        frame, _ = read(book(rows))
        assert frame.rows() == [("nurse", "1", "0.5", 1), ("owner", "true", "false", 0)]

    @pytest.mark.fault(23)
    def test_numbers_among_texts_keep_their_digits(self, read) -> None:
        values = ["n/a", 0.12345678901, 1e-12, 0.1, "007.1234567891", "0.1000000001", 5]
        frame, _ = read(book([["Job Title", "x"], *(["nurse", value] for value in values)]))
        assert frame["x"].to_list() == [
            *("n/a", "0.12345678901", "1e-12", "0.1", "007.1234567891", "0.1000000001", "5"),
        ]

    @pytest.mark.fault(22)
    def test_a_column_of_mixed_kinds_is_text_and_loses_none(self, read) -> None:
        mixed = ["nurse", 5, 2.5, True, "n/a", dt.datetime(2024, 2, 29, 13, 45)]  # noqa: DTZ001
        frame, _ = read(book([["Job Title"], *([cell] for cell in mixed)]))
        assert frame["Job Title"].to_list() == [
            *("nurse", "5", "2.5", "true", "n/a", "2024-02-29 13:45:00")
        ]

    @pytest.mark.fault(23)
    @pytest.mark.parametrize("filler", ["n/a", "-", "NA", "#"])
    def test_fillers_among_numbers_are_kept(self, read, filler: str) -> None:
        cells = [1, filler, 3, None]
        frame, _ = read(book([["Job Title", "n"], *(["x", cell] for cell in cells)]))
        assert frame["n"].to_list() == ["1", filler, "3", None]

    def test_text_that_comes_after_thousands_of_numbers_is_kept(self, read) -> None:
        cells = [*range(1_500), "007", 5]
        frame, _ = read(book([["Job Title", "n"], *(["x", cell] for cell in cells)]))
        assert frame["n"].to_list() == [str(cell) for cell in cells]


class TestRows:
    def test_blank_rows_within_the_table_are_kept(self, read) -> None:
        rows = [[1, "a"], [None, None], [None, None], [2, "b"], [None, "c"]]
        frame, _ = read(book([["id", "Job Title"], *rows]))
        assert frame.rows() == [tuple(row) for row in rows]

    @pytest.mark.fault(21)
    def test_banners_above_the_headers_are_passed_over(self, read) -> None:
        banner = [["Contacts"], [], ["made", "2024"]]
        frame, sheet = read(book([*banner, ["id", "Job Title", "x"], [1, "nurse", None]]))
        assert frame.rows() == [(1, "nurse", None)]
        assert (sheet.header_row, sheet.headers) == (4, ["id", "Job Title", "x"])

    @pytest.mark.fault(21)
    def test_a_merged_banner_is_passed_over(self, read) -> None:
        workbook = book([["Contacts", None, None], ["id", "Job Title", "x"], [1, "nurse", 2]])
        workbook["A"].merge_cells("A1:C1")
        frame, sheet = read(workbook)
        assert (frame.rows(), sheet.header_row) == ([(1, "nurse", 2)], 2)

    def test_a_table_that_does_not_begin_in_the_corner_is_found_whole(self, read) -> None:
        workbook = book([])
        for place, cell in {"C5": "id", "D5": "Job Title", "D6": "a", "C8": 2, "D8": "b"}.items():
            workbook["A"][place] = cell
        frame, sheet = read(workbook)
        assert frame.rows() == [(None, "a"), (None, None), (2, "b")]
        assert (sheet.header_row, sheet.headers) == (5, ["id", "Job Title"])

    def test_the_header_that_the_user_names_is_looked_for_under_banners(self, read) -> None:
        rows = [["Job Title of the week", "x"], ["id", "Beruf"], [1, "nurse"]]
        frame, sheet = read(book(rows), title_column="beruf")
        assert (frame.columns, sheet.header_row) == (["id", "Beruf"], 2)

    @pytest.mark.fault(21)
    def test_blank_and_repeated_headers_get_names_and_keep_what_stands_there(self, read) -> None:
        frame, sheet = read(book([["a", "a", None, "Job Title "], [1, 2, 3, "nurse"]]))
        assert frame.to_dicts() == [{"a": 1, "a_2": 2, "column_3": 3, "Job Title": "nurse"}]
        assert sheet.headers == ["a", "a", "", "Job Title "]
        assert sheet.columns == frame.columns

    def test_a_cell_far_to_the_right_makes_a_column(self, read) -> None:
        rows = [["id", "Job Title"], *([i, "nurse"] for i in range(100)), [1, "x", None, "far"]]
        frame, _ = read(book(rows))
        assert frame.columns == ["id", "Job Title", "column_3", "column_4"]
        assert frame.row(100) == (1, "x", None, "far")

    def test_headers_without_rows_are_an_empty_table(self, read) -> None:
        frame, _ = read(book([["id", "Job Title"]]))
        assert (frame.columns, frame.height) == (["id", "Job Title"], 0)


def test_a_disk_without_room_for_the_sheet_is_a_write_error(read, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    with pytest.raises(WriteError, match="set TMPDIR"):
        read(book([["Job Title"], ["nurse"]]))


class TestSheets:
    PEOPLE = (("id", "Job Title"), (1, "nurse"))
    NUMBERS = (("x", "y"), (1, 2))

    def test_the_sheet_with_job_titles_is_taken(self, read) -> None:
        assert read(book(self.NUMBERS, self.PEOPLE))[1].name == "B"

    def test_the_sheet_that_the_user_names_is_taken(self, read) -> None:
        assert read(book(self.NUMBERS, self.PEOPLE), sheet="A")[0].rows() == [(1, 2)]

    def test_the_sheet_with_the_column_that_the_user_names_is_taken(self, read) -> None:
        rows = (("id", "Beruf"), (1, "nurse"))
        assert read(book(self.NUMBERS, rows), title_column="beruf")[1].name == "B"
        assert read(book(self.PEOPLE, rows), title_column="Beruf")[1].name == "B"

    def test_without_any_job_titles_the_first_sheet_is_taken(self, read) -> None:
        assert read(book(self.NUMBERS, self.NUMBERS))[1].name == "A"

    def test_several_sheets_with_job_titles_are_a_question(self, read) -> None:
        with pytest.raises(TitleColumnError, match=r"several sheets.*: A, C\. Choose one.*--sheet"):
            read(book(self.PEOPLE, self.NUMBERS, self.PEOPLE))

    def test_a_sheet_that_is_not_there_is_an_error_that_lists_those_that_are(self, read) -> None:
        with pytest.raises(TitleColumnError, match=r"no sheet 'D'\. Sheets: A, B"):
            read(book(self.NUMBERS, self.PEOPLE), sheet="D")

    @pytest.mark.parametrize("state", ["hidden", "veryHidden"])
    def test_hidden_sheets_are_passed_over_unless_named(self, read, state: str) -> None:
        workbook = book(self.PEOPLE, self.PEOPLE)
        workbook["A"].sheet_state = state
        workbook.active = 1
        assert read(workbook)[1].name == "B"
        assert read(workbook, sheet="A")[1].name == "A"

    def test_a_sheet_that_is_a_chart_is_passed_over(self, read) -> None:
        workbook = book(self.PEOPLE)
        workbook.create_chartsheet("Chart", 0)
        assert read(workbook)[1].name == "A"

    def test_blank_sheets_are_passed_over(self, read) -> None:
        assert read(book([], self.NUMBERS))[1].name == "B"

    def test_a_workbook_with_nothing_in_it_is_an_input_error(self, read) -> None:
        with pytest.raises(InputError, match="is empty"):
            read(book([]))


class TestOtherFormats:
    def test_an_open_document_spreadsheet_is_read(self, tmp_path: Path) -> None:
        text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
        number = '<table:table-cell office:value-type="float" office:value="{}"/>'
        true = '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'
        rows = [
            [text.format("id"), text.format("Job Title"), text.format("n")],
            [text.format("007"), text.format("nurse"), number.format("3")],
            [number.format("8"), "<table:table-cell/>", true],
        ]
        source, target = tmp_path / "book.ods", tmp_path / "sheet.arrow"
        hostile.ods(
            source, "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
        )
        convert(Request(source=str(source), target=str(target), sheet=None, title_column=None))
        assert pl.read_ipc(target).rows() == [("007", "nurse", "3"), ("8", None, "true")]

    @pytest.mark.parametrize("ending", workbooks.WRITERS)
    def test_the_older_formats_of_excel_are_read(self, tmp_path: Path, ending: str) -> None:
        moment = dt.datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001 - cells have no zone
        people = [
            ["code", "Job Title", "since", "share", "active"],
            ["007", "Dir. of Kites", moment, 1.5, True],
            ["n/a", None, None, None, None],
            ["8", "<Owner> & Ö", moment, 2.25, False],
        ]
        source, target = tmp_path / f"book{ending}", tmp_path / "sheet.arrow"
        sheets = {"secret": [["Job Title"], ["nurse"]], "People": people}
        source.write_bytes(workbooks.WRITERS[ending](sheets, hidden="secret"))
        found = convert(
            Request(source=str(source), target=str(target), sheet=None, title_column=None)
        )
        assert (found.name, found.headers) == ("People", people[0])
        assert pl.read_ipc(target).rows() == [tuple(row) for row in people[1:]]

    @pytest.mark.parametrize("ending", workbooks.WRITERS)
    def test_truth_values_among_numbers_are_no_numbers_there(
        self, tmp_path: Path, ending: str
    ) -> None:
        source, target = tmp_path / f"book{ending}", tmp_path / "sheet.arrow"
        rows = [["Job Title", "n"], ["nurse", 3.0], ["owner", True]]
        source.write_bytes(workbooks.WRITERS[ending]({"People": rows}, hidden=""))
        convert(Request(source=str(source), target=str(target)))
        assert pl.read_ipc(target)["n"].to_list() == ["3", "true"]

    @pytest.mark.parametrize("ending", [".xls", ".xlsb", ".ods"])
    def test_a_workbook_under_another_format_s_name_is_an_input_error(
        self, tmp_path: Path, ending: str
    ) -> None:
        source = tmp_path / f"book{ending}"
        book([["Job Title"], ["nurse"]]).save(source)
        request = Request(
            source=str(source), target=str(tmp_path / "a"), sheet=None, title_column=None
        )
        with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
            convert(request)


class TestTheProcess:
    def run(self, tmp_path: Path, source: Path, **fields: object) -> dict[str, object]:
        request = {"source": str(source), "target": str(tmp_path / "out.arrow")}
        request |= {"sheet": None, "title_column": None} | fields
        return child.run("jobbatch.tables.convert", request, about=source, silence=60, hint="")

    def test_it_answers_with_what_it_found(self, tmp_path: Path) -> None:
        source = tmp_path / "bücher.xlsx"
        book([["Stück", "Job Title"], [1, "nurse"]]).save(source)
        assert self.run(tmp_path, source) == {
            "name": "A",
            "header_row": 1,
            "headers": ["Stück", "Job Title"],
            "columns": ["Stück", "Job Title"],
            "warnings": [],
        }

    def test_it_answers_with_the_error_that_stands_in_the_way(self, tmp_path: Path) -> None:
        source = tmp_path / "book.xlsx"
        book([["Job Title"], ["nurse"]]).save(source)
        with pytest.raises(TitleColumnError, match="no sheet 'Z'"):
            self.run(tmp_path, source, sheet="Z")
