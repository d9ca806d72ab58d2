"""Every format is written as its readers expect it, and what does not fit is said beforehand."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobbatch.errors import OutputFormatError, WriteError
from jobbatch.tables import sink
from jobbatch.tables.formats import WRITABLE
from jobbatch.tables.workbook import MAX_CHARACTERS, MAX_COLUMNS, MAX_ROWS

TABLE = pl.DataFrame(
    {
        "id": ["007", "", None],
        "labels": [["Owner", "Manager"], [], None],
        "confidence": [0.9876, 0.5, None],
        "needs_review": [False, True, None],
    }
)
TYPED = sorted(set(WRITABLE) - {".csv", ".tsv", ".xlsx"})


def write(frame: pl.DataFrame, path: Path, **options: str) -> Path:
    ending = path.suffix
    sink.write(
        frame.lazy(),
        path,
        ending,
        headers=frame.columns,
        metadata={"who": "me"},
        n_rows=frame.height,
        **options,
    )
    return path


def check(frame: pl.DataFrame, ending: str, *, n_rows: int = 1, added: int = 5) -> None:
    sink.check_fits(frame.lazy(), ending, n_rows, added)


class TestWriting:
    def test_csv_has_commas_joins_lists_and_quotes_only_what_needs_it(self, tmp_path: Path) -> None:
        frame = TABLE.with_columns(note=pl.Series(["a,b", 'say "hi"', "a\nb"]))
        assert write(frame, tmp_path / "a.csv").read_text() == (
            "id,labels,confidence,needs_review,note\n"
            '007,Owner; Manager,0.9876,false,"a,b"\n'
            '"","",0.5,true,"say ""hi"""\n'
            ',,,,"a\nb"\n'
        )

    def test_the_separator_is_the_one_asked_for_and_a_tab_in_tsv(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"a;b": ["1,2"], "c": ["3\t4"]})
        assert write(frame, tmp_path / "a.csv", separator=";").read_text() == '"a;b";c\n1,2;3\t4\n'
        assert (
            write(frame, tmp_path / "a.tsv", separator=";").read_text() == 'a;b\tc\n1,2\t"3\t4"\n'
        )

    def test_headers_are_written_as_they_stood_even_blank_or_twice(self, tmp_path: Path) -> None:
        frame = pl.LazyFrame({"a": ["1"], "a_2": ["2"], "column_3": ["3"]})
        for path in (tmp_path / "a.csv", tmp_path / "a.xlsx"):
            sink.write(frame, path, path.suffix, headers=["a", "a", ""], metadata={}, n_rows=1)
        assert (tmp_path / "a.csv").read_text() == "a,a,\n1,2,3\n"
        sheet = openpyxl.load_workbook(path).active
        assert [cell.value for cell in sheet[1]] == ["a", "a", ""]

    def test_times_and_spans_are_readable_in_csv(self, tmp_path: Path) -> None:
        row = {"time": dt.time(13, 45), "span": dt.timedelta(hours=30), "day": dt.date(2024, 2, 29)}
        text = write(pl.DataFrame([row]), tmp_path / "a.csv").read_text()
        assert text == "time,span,day\n13:45:00,P1DT6H,2024-02-29\n"
        fraction = pl.DataFrame({"time": [dt.time(13, 45, 1, 500_000)]})
        assert write(fraction, tmp_path / "a.csv").read_text() == "time\n13:45:01.500\n"

    @pytest.mark.parametrize("ending", [".csv", ".xlsx"])
    def test_items_without_a_value_keep_their_place(self, tmp_path: Path, ending: str) -> None:
        frame = pl.DataFrame({"l": [["a", None, "b"], ["c"], [None, "d"]]})
        path = write(frame, tmp_path / f"a{ending}")
        read = pl.read_csv(path) if ending == ".csv" else pl.read_excel(path)
        assert read["l"].to_list() == ["a; ; b", "c", "; d"]

    def test_json_lines_keep_lists_and_letters(self, tmp_path: Path) -> None:
        frame = TABLE.with_columns(note=pl.lit("Müller 🙂"))
        lines = write(frame, tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == frame.to_dicts()
        assert "Müller 🙂" in lines[0]

    @pytest.mark.parametrize("ending", [".parquet", ".arrow", ".feather", ".ipc"])
    def test_parquet_and_arrow_keep_every_type(self, tmp_path: Path, ending: str) -> None:
        path = write(TABLE, tmp_path / f"a{ending}")
        read = pl.read_parquet if ending == ".parquet" else pl.read_ipc
        assert read(path).equals(TABLE)
        assert read(path).schema == TABLE.schema

    def test_parquet_says_who_made_it(self, tmp_path: Path) -> None:
        path = write(TABLE, tmp_path / "a.parquet")
        assert pl.read_parquet_metadata(path)["who"] == "me"

    @pytest.mark.parametrize("ending", WRITABLE)
    def test_equal_tables_give_equal_bytes(self, tmp_path: Path, ending: str) -> None:
        many = pl.concat([TABLE] * 500)
        one, two = (write(many, tmp_path / f"{name}{ending}") for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()

    @pytest.mark.parametrize("ending", WRITABLE)
    def test_columns_named_like_patterns_are_plain_columns(
        self, tmp_path: Path, ending: str
    ) -> None:
        frame = pl.DataFrame({"*": [["x", "y"]], "^.*$": ["z"], "n": [1]})
        check(frame, ending)
        path = write(frame, tmp_path / f"a{ending}")
        sink.verify(path, ending, 1, frame.columns)


class TestVerifying:
    @pytest.mark.parametrize("ending", WRITABLE)
    def test_what_was_written_passes_also_with_line_breaks_in_cells(
        self, tmp_path: Path, ending: str
    ) -> None:
        folder = tmp_path / "[a] *?"
        folder.mkdir()
        frame = pl.DataFrame({"a\nb": ["x\ny", 'z"\n', None], "c": ["1,2", "3;4", "5\t6"]})
        for i, rows in enumerate((frame, frame.clear())):
            path = write(rows, folder / f"{i}{ending}")
            sink.verify(path, ending, rows.height, rows.columns)

    def test_another_separator_passes_too(self, tmp_path: Path) -> None:
        frame = pl.DataFrame({"a": ["1,2,3", "x\ny"], "b": ["z", '"']})
        path = write(frame, tmp_path / "a.csv", separator=";")
        sink.verify(path, ".csv", 2, frame.columns)

    @pytest.mark.parametrize("ending", sorted(set(WRITABLE) - {".xlsx"}))
    def test_a_row_too_few_is_a_write_error(self, tmp_path: Path, ending: str) -> None:
        path = write(TABLE, tmp_path / f"a{ending}")
        with pytest.raises(WriteError, match="3 rows instead of 4"):
            sink.verify(path, ending, 4, TABLE.columns)

    @pytest.mark.parametrize("ending", [".parquet", ".arrow"])
    def test_other_columns_are_a_write_error(self, tmp_path: Path, ending: str) -> None:
        path = write(TABLE, tmp_path / f"a{ending}")
        with pytest.raises(WriteError):
            sink.verify(path, ending, 3, ["id", "labels"])


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_headers_that_break_lines_are_quoted(tmp_path: Path, ending: str) -> None:
    frame = pl.DataFrame({name: ["x"] for name in ("a\rb", "c\nd", "e\r\n", "f")})
    path = write(frame, tmp_path / f"a{ending}")
    with path.open(encoding="utf-8", newline="") as file:
        header, row = csv.reader(file, delimiter="\t" if ending == ".tsv" else ",", strict=True)
    assert (header, row) == (frame.columns, ["x"] * 4)


def test_numbers_that_json_does_not_know_are_counted() -> None:
    odd = [float("nan"), float("inf"), -float("inf"), 0.5, None]
    frame = pl.DataFrame({"a": odd, "b": odd, "n": [1] * 5, "t": ["nan"] * 5})
    assert sink.not_finite(frame.lazy()) == 6
    assert sink.not_finite(frame.lazy().select("n", "t")) == 0


@pytest.mark.fault(30)
class TestFormulas:
    RUN = ("=1+1", "+1-2", "-A1", "@SUM(A1)", "\t=1", "\r=1", "-", "=")
    ARE_TEXT = ("", "a=b", "-5", "+49", "+1.50", "-1,000.5", "'quoted", " =1", None)

    def test_cells_and_headers_that_could_run_are_counted(self) -> None:
        frame = pl.DataFrame({"=a": [*self.RUN, *self.ARE_TEXT]})
        frame = frame.with_columns(n=-1, kind=pl.col("=a").cast(pl.Categorical), l=pl.lit(["=x"]))
        n_lists = frame.height
        assert sink.runnable(frame.lazy(), frame.columns) == 2 * len(self.RUN) + 1 + n_lists
        assert sink.runnable(pl.LazyFrame({"a": self.ARE_TEXT}), ["a"]) == 0
        assert sink.runnable(pl.LazyFrame({"n": [1]}), ["n"]) == 0

    @given(texts=st.lists(st.none() | st.text("=+-@'\t\r1a. ", max_size=4), max_size=8))
    def test_what_was_made_safe_cannot_run_and_is_given_back_by_taking_the_mark_away(
        self, texts: list[str | None]
    ) -> None:
        frame = pl.DataFrame({"a": texts}, schema={"a": pl.String})
        safe, headers = sink.neutralised(frame.lazy(), ["=a"])
        assert headers == ["'=a"]
        assert sink.runnable(safe, headers) == 0
        back = safe.select(pl.col("a").str.strip_prefix("'")).collect()
        assert back["a"].to_list() == texts

    def test_what_is_no_text_stays_as_it_is(self) -> None:
        frame = pl.DataFrame({"n": [-1], "tags": [["=a", "b"]]})
        safe, _ = sink.neutralised(frame.lazy(), frame.columns)
        assert safe.collect().rows() == [(-1, "'=a; b")]


class TestFitting:
    @pytest.mark.parametrize("ending", WRITABLE)
    def test_a_table_of_texts_numbers_and_lists_of_texts_fits_everywhere(self, ending: str) -> None:
        check(TABLE, ending)

    @pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx"])
    def test_nested_columns_are_refused_by_name_where_there_are_only_cells(self, ending) -> None:
        frame = TABLE.with_columns(point=pl.struct("id"), numbers=pl.Series([[1], [2], [3]]))
        with pytest.raises(OutputFormatError, match=r"point, numbers: write \.parquet or \.jsonl"):
            check(frame, ending)

    @pytest.mark.parametrize("ending", TYPED)
    def test_nested_columns_are_written_where_they_can_be(self, tmp_path, ending: str) -> None:
        frame = pl.DataFrame({"point": [{"x": 1}, {"x": 2}], "numbers": [[1], []]})
        check(frame, ending)
        sink.verify(write(frame, tmp_path / f"a{ending}"), ending, 2, frame.columns)

    @pytest.mark.parametrize("ending", [".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson"])
    def test_bytes_are_refused_by_name_where_there_is_only_text(self, ending: str) -> None:
        frame = TABLE.with_columns(photo=pl.lit(b"\xff"))
        with pytest.raises(OutputFormatError, match=r"binary columns photo: write \.parquet"):
            check(frame, ending)

    @pytest.mark.fault(29)
    def test_more_rows_than_a_sheet_has_are_refused_before_any_work(self) -> None:
        check(TABLE, ".xlsx", n_rows=MAX_ROWS)
        check(TABLE, ".parquet", n_rows=MAX_ROWS + 1)
        with pytest.raises(OutputFormatError, match=r"1,048,576 rows are more than the 1,048,575"):
            check(TABLE, ".xlsx", n_rows=MAX_ROWS + 1)

    def test_more_columns_than_a_sheet_has_are_refused_the_new_ones_counted(self) -> None:
        check(TABLE, ".xlsx", added=MAX_COLUMNS - TABLE.width)
        with pytest.raises(OutputFormatError, match="16,384 columns"):
            check(TABLE, ".xlsx", added=MAX_COLUMNS - TABLE.width + 1)

    @pytest.mark.fault(29)
    @pytest.mark.parametrize("cell", ["x" * MAX_CHARACTERS, ["x" * (MAX_CHARACTERS - 3), "y"]])
    def test_a_cell_longer_than_a_sheet_s_is_refused_by_its_column(self, cell) -> None:
        longer = f"{cell}x" if isinstance(cell, str) else [*cell[:-1], "yy"]
        check(pl.DataFrame({"essay": [cell, None]}), ".xlsx")
        check(pl.DataFrame({"essay": [longer]}), ".csv")
        with pytest.raises(OutputFormatError, match="cells of essay are longer than the 32,767"):
            check(pl.DataFrame({"essay": [longer, None]}), ".xlsx")
