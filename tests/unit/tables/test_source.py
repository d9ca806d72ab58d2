"""Any table opens as text was typed; what cannot be read is said in plain words."""

from __future__ import annotations

import codecs
import csv
import errno
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobbatch.errors import (
    InputError,
    ResourceError,
    TitleColumnError,
    UsageError,
    WriteError,
)
from jobbatch.tables import sink
from jobbatch.tables.formats import BAD_LINES, WRITABLE
from jobbatch.tables.source import Handling, Table, open_table
from tests import hostile

OLE = bytes.fromhex("d0cf11e0a1b11ae1")


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Table]:
    """Return a function that writes a file and opens it."""

    def write_and_open(name: str, content: bytes | str, **options: str) -> Table:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return opened_from(path, tmp_path, **options)

    return write_and_open


def write(frame: pl.DataFrame, path: Path) -> None:
    sink.write(
        frame.lazy(),
        path,
        path.suffix,
        headers=frame.columns,
        metadata={},
        n_rows=frame.height,
    )


def opened_from(path: Path, tmp_path: Path, **options: str) -> Table:
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    return open_table(path, workspace=workspace, **options)


def rows(table: Table) -> list[tuple[object, ...]]:
    return table.frame.collect().rows()


def workbook(path: Path, *rows_: list[object]) -> Path:
    book = openpyxl.Workbook()
    for row in rows_:
        book.active.append(row)
    book.save(path)
    return path


class TestEveryFormat:
    TEXTS = (
        *("007", "n/a", "NULL", "nan", "true", "1e5", "1.50", "12345678901234567890", "2024-02-29"),
        *(
            " padded ",
            "a\nb",
            "a\r\nb",
            'say "hi"',
            "x;y,z\t|",
            "=1+1",
            "'quoted'",
            "é👩‍💻",
            "\u200f",
        ),
        *("_x0041_", "\x01", "<b>&amp;", "ﬁ", "-", "\\n"),
    )

    @pytest.mark.parametrize("ending", WRITABLE)
    def test_text_comes_back_exactly(self, tmp_path: Path, ending: str) -> None:
        frame = pl.DataFrame(
            {"a": self.TEXTS, "Job Title": ["nurse", None] * (len(self.TEXTS) // 2)}
        )
        path = tmp_path / f"a{ending}"
        write(frame, path)
        table = opened_from(path, tmp_path)
        assert table.headers == ("a", "Job Title")
        assert rows(table) == frame.rows()

    @pytest.mark.parametrize("ending", sorted(set(WRITABLE) - {".xlsx"}))
    def test_an_empty_text_is_told_from_no_text(self, tmp_path: Path, ending: str) -> None:
        frame = pl.DataFrame({"a": ["", None, "x"], "b": ["1", "2", None]})
        path = tmp_path / f"a{ending}"
        write(frame, path)
        assert rows(opened_from(path, tmp_path)) == frame.rows()

    @pytest.mark.fault(48)
    @pytest.mark.parametrize("ending", WRITABLE)
    def test_odd_names_of_files_and_folders_are_plain_names(
        self, tmp_path: Path, ending: str
    ) -> None:
        folder = tmp_path / "[2024] {a,b} *? %20"
        folder.mkdir()
        path = folder / f"-year=2024 [x]*ü{ending}"
        frame = pl.DataFrame({"Job Title": ["nurse", "ceo"]})
        write(frame, path)
        assert rows(opened_from(path, tmp_path)) == frame.rows()

    @pytest.mark.fault(48)
    @pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode elsewhere")
    @pytest.mark.parametrize("ending", WRITABLE)
    def test_a_file_name_that_is_not_utf_8_is_read_too(self, tmp_path: Path, ending: str) -> None:
        frame = pl.DataFrame({"Job Title": ["nurse", "ceo"]})
        plain = tmp_path / f"a{ending}"
        write(frame, plain)
        odd = plain.rename(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff" + ending.encode()))
        assert rows(opened_from(odd, tmp_path)) == frame.rows()

    @pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl", ".arrow", ".xlsx"])
    def test_a_missing_file_and_a_folder_are_input_errors(self, tmp_path, ending: str) -> None:
        with pytest.raises(InputError, match="does not exist"):
            opened_from(tmp_path / f"none{ending}", tmp_path)
        (tmp_path / f"folder{ending}").mkdir()
        with pytest.raises(InputError, match="is a folder"):
            opened_from(tmp_path / f"folder{ending}", tmp_path)

    @pytest.mark.fault(12)
    @pytest.mark.parametrize("content", [b"", b"\0" * 99, b"junk", b"PAR1junkPAR1", b"[1]\n"])
    @pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".arrow", ".xlsx", ".ods", ".xls"])
    def test_a_file_that_is_not_what_its_name_says_is_an_input_error(
        self, opened, ending: str, content: bytes
    ) -> None:
        with pytest.raises(InputError, match=f"a{ending}"):
            opened(f"a{ending}", content)


@pytest.mark.parametrize(
    ("name", "refused", "error", "seen", "problem"),
    [
        (
            "a.xlsx",
            "a.xlsx",
            PermissionError(errno.EACCES, "Permission denied"),
            InputError,
            "denied",
        ),
        (
            "a.csv",
            "a.csv",
            PermissionError(errno.EACCES, "Permission denied"),
            InputError,
            "denied",
        ),
        ("a.csv", "utf8.csv", OSError(errno.ENOSPC, "No space left"), WriteError, "set TMPDIR"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_reason(
    tmp_path: Path, monkeypatch, name: str, refused: str, error: OSError, seen, problem: str
) -> None:
    (tmp_path / name).write_text("a,b\n")
    plain_open = Path.open

    def refusing(path: Path, *arguments: str, **options: str) -> object:
        if path.name == refused:
            raise error
        return plain_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(seen, match=problem):
        opened_from(tmp_path / name, tmp_path)


alphabet = st.sampled_from("aé🙂 0.\"';,|\t\n\r\\")
delimited_rows = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.text(alphabet, max_size=6), min_size=width, max_size=width),
        min_size=1,
        max_size=6,
    )
)


class TestDelimited:
    @given(
        table=delimited_rows,
        separator=st.sampled_from(",;\t|"),
        line_end=st.sampled_from(["\n", "\r\n"]),
        bom=st.booleans(),
    )
    @settings(max_examples=120, deadline=None)
    def test_quoted_fields_come_back_whatever_they_hold(
        self, tmp_path_factory, table, separator: str, line_end: str, bom
    ) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(
            text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL
        )
        headers = [f"h{i}" for i in range(len(table[0]))]
        writer.writerows([headers, *table])
        folder = tmp_path_factory.mktemp("csv")
        (folder / "a.csv").write_bytes(codecs.BOM_UTF8 * bom + text.getvalue().encode())
        opened = open_table(folder / "a.csv", workspace=folder)
        assert opened.headers == tuple(headers)
        assert rows(opened) == [tuple(row) for row in table]

    @pytest.mark.parametrize(
        ("content", "separator"),
        [
            ("Name;Job Title (current, last, first)\nAnn;nurse\nBob;owner\n", ";"),
            ("Name;City, State, Zip, Land;Job Title\nAnn;Bern, BE, 30, CH;nurse\n", ";"),
            ("Name;City, State, Zip, Land;Job Title\n", ";"),
            ("id, name, title\n1, Ann, nurse\n", ","),
            ("id,title,x\n1,nurse\n2,owner\n", ","),
            ("title\nOwner; Shed\nnurse\n", ","),
            ('id|"a,b,c,d"\n1|"x,y\n,z"\n', "|"),
        ],
    )
    def test_the_rows_tell_the_separator_too(self, opened, content: str, separator: str) -> None:
        assert opened("a.csv", content).separator == separator

    @pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n'])
    @pytest.mark.parametrize("handling", [Handling(), Handling(quarantine=True)])
    def test_a_first_line_that_states_the_separator_is_no_row(
        self, opened, line: str, handling: Handling
    ) -> None:
        table = opened("a.csv", f"{line}\nid;a,b,c\n1;nurse\n", handling=handling)
        assert (table.headers, table.separator) == (("id", "a,b,c"), ";")
        assert rows(table) == [("1", "nurse")]

    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_the_separator_is_told_by_the_header(self, opened, separator: str) -> None:
        table = opened("a.csv", separator.join(["id", '"a,b;c"', "Job Title\n1", "x", "nurse\n"]))
        assert table.headers == ("id", "a,b;c", "Job Title")
        assert (rows(table), table.separator) == ([("1", "x", "nurse")], separator)

    def test_a_tsv_has_tabs_however_many_commas_its_header_has(self, opened) -> None:
        table = opened("a.tsv", "Job Title, Role, Post\tid\nnurse, night\t1\n")
        assert table.headers == ("Job Title, Role, Post", "id")
        assert rows(table) == [("nurse, night", "1")]

    def test_blank_and_repeated_headers_get_names_and_stay_as_they_stand(self, opened) -> None:
        table = opened("a.csv", 'a,a,,"b\nc"\n1,2,3,4\n')
        assert table.frame.collect_schema().names() == ["a", "a_2", "column_3", "b\nc"]
        assert table.headers == ("a", "a", "", "b\nc")
        assert rows(table) == [("1", "2", "3", "4")]

    def test_blank_lines_before_the_header_are_passed_over_and_later_ones_kept(
        self, opened
    ) -> None:
        table = opened("a.csv", "\n \r\n,\na,b\n\n1,2\n\n3,4\n")
        assert table.headers == ("a", "b")
        assert rows(table) == [(None, None), ("1", "2"), (None, None), ("3", "4")]

    def test_a_row_that_ends_early_is_filled_up_even_the_first(self, opened) -> None:
        assert rows(opened("a.csv", "a,b\n1\n2,3\n4\n")) == [("1", None), ("2", "3"), ("4", None)]

    @pytest.mark.fault(26)
    @given(
        table=delimited_rows,
        longer=st.lists(st.booleans(), min_size=6, max_size=6),
        line_end=st.sampled_from(["\n", "\r\n"]),
    )
    @settings(max_examples=60, deadline=None)
    def test_lines_with_too_many_fields_are_put_aside_as_they_stand(
        self, tmp_path_factory, table, longer: list[bool], line_end: str
    ) -> None:
        headers = [f"h{i}" for i in range(len(table[0]))]
        lines = []
        for row in (headers, *table):
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerow(row)
            lines.append(line.getvalue())
        header, *body = lines
        mixed = [f'"x",{line}' if long else line for line, long in zip(body, longer, strict=False)]
        folder = tmp_path_factory.mktemp("csv")
        (folder / "a.csv").write_bytes((header + "".join(mixed)).encode())
        handling = Handling(quarantine=True)
        opened = open_table(folder / "a.csv", workspace=folder, handling=handling)
        kept = [tuple(row) for row, long in zip(table, longer, strict=False) if not long]
        aside = [line for line, long in zip(mixed, longer, strict=False) if long]
        assert rows(opened) == kept
        assert opened.n_bad == len(aside)
        assert (folder / BAD_LINES).read_bytes() == (header + "".join(aside)).encode()

    def test_a_header_alone_is_a_table_without_rows(self, opened) -> None:
        for content in ("a,b", "a,b\n", "a,b\r\n"):
            table = opened("a.csv", content)
            assert (table.headers, rows(table)) == (("a", "b"), [])

    def test_a_quote_sign_in_a_header_loses_no_rows(self, opened) -> None:
        table = opened("a.csv", '5" pipe,b\n1,x\n2,y\n')
        assert table.headers == ('5" pipe', "b")
        assert rows(table) == [("1", "x"), ("2", "y")]

    @pytest.mark.parametrize("content", ["", "\n", " \n\r\n", "\ufeff", "\t\t\n"])
    def test_a_file_with_nothing_in_it_is_empty(self, opened, content: str) -> None:
        with pytest.raises(InputError, match="is empty"):
            opened("a.csv", content)

    @pytest.mark.parametrize(
        "content",
        ['"Job Title,b\n1,2\n', "x" * 200_000 + ",b\n1,2\n"],
        ids=["open quote", "endless"],
    )
    def test_a_header_that_would_swallow_the_rows_is_an_input_error(self, opened, content) -> None:
        with pytest.raises(InputError, match="the header is malformed"):
            opened("a.csv", content)

    def test_lines_that_end_with_cr_alone_are_rows(self, opened) -> None:
        table = opened("a.csv", 'a,b\r1,2\r"3",4\r')
        assert (table.headers, rows(table)) == (("a", "b"), [("1", "2"), ("3", "4")])
        assert table.warnings == ()

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ('a,b\n1,"2\n2"\n3,4,5\n', "line 4 has 3 fields, the header has 2. Mend it, or put"),
            (f'a,b\n1,{"x" * 200_000}"\n', "line 2: field larger than field limit"),
            ('a,b\n1,"2"\n3,"4\n5,6\n7,8\n', "line 3 has a quote that is not closed in it"),
            ('a,b\n1,12" pipe\n3,"4\n5"\n', "line 3 has a quote that is not closed in it"),
            ('a,b\n1,2\n3,"4\n', "line 3 has a quote that is not closed in it"),
            ('a,b\n1,2\n3,"4', "line 3 has a quote that is not closed in it"),
        ],
        ids=[
            *("too many fields", "endless", "open quote", "odd quote and a field of two lines"),
            *("open at the end", "open at an end without a line break"),
        ],
    )
    def test_a_row_that_cannot_be_read_is_told_by_its_line(self, opened, content, fault) -> None:
        with pytest.raises(InputError, match=f"a.csv cannot be read: {fault}"):
            opened("a.csv", content)

    def test_quotes_within_fields_are_a_part_of_them(self, opened) -> None:
        table = opened("a.csv", 'a,b\r\n1,12" pipe\r\n"2,5",\r\n\r\n3,"say" it\r\n4,13"\r\n')
        assert rows(table) == [
            ("1", '12" pipe'),
            ("2,5", None),
            (None, None),
            ("3", "say it"),
            ("4", '13"'),
        ]
        (warning,) = table.warnings
        assert warning.startswith("quotes stand within fields: each line was read as a row of its")
        assert warning.endswith("; 1 lines lost quotes around parts of fields")

    def test_a_carriage_return_within_a_line_ends_none(self, opened) -> None:
        content = '"a\rx",b,c\r\n1,u\rv,"w"\r\n2,"s\rt",\r\n3\r\n'
        table = opened("a.csv", content)
        assert table.headers == ("a\rx", "b", "c")
        assert rows(table) == [("1", "u\rv", "w"), ("2", "s\rt", None), ("3", None, None)]
        assert table.warnings[0].startswith(
            "1 lines have fewer fields than the header, the first is"
        )
        table = opened("a.csv", '"a\rx",b\n1,2"\n3,4\n')
        assert rows(table) == [("1", '2"'), ("3", "4")]

    @given(
        st.lists(
            st.lists(st.text(' "a', max_size=4), min_size=2, max_size=2), min_size=1, max_size=6
        )
    )
    @settings(deadline=None)
    def test_whatever_quotes_there_are_a_line_is_a_row_or_named(
        self, tmp_path_factory, cells
    ) -> None:
        folder = tmp_path_factory.mktemp("quotes")
        lines = ["1," + ",".join(row) for row in cells]
        (folder / "a.csv").write_text("n,a,b\n" + "\n".join(lines) + "\n")
        try:
            table = open_table(folder / "a.csv", workspace=folder)
        except InputError as error:
            named = re.search(r"cannot be read: line ([0-9]+) ", str(error))
            assert named is not None
            assert 2 <= int(named[1]) <= len(lines) + 1
            return
        read = [[field or "" for field in row] for row in rows(table)]
        if any("quotes stand within fields" in warning for warning in table.warnings):
            assert read == [(row + [""] * 3)[:3] for row in csv.reader(lines)]
        # A field that is quoted may hold an end of line, and with it the next line's first field.
        assert {row[0] for row in read} == {"1"}

    def test_rows_with_too_few_fields_are_counted(self, opened) -> None:
        content = "a,b,c\n1\n2,x\n\n3,,\n4,x,y\n"
        (warning,) = opened("a.csv", content).warnings
        said = (
            "2 lines have fewer fields than the header, the first is line 2; the missing ones are"
        )
        assert warning.startswith(said)
        quoted = content.replace("x,y", '"x\n","y,z"').replace("2,x", '"2,x"')
        assert opened("a.csv", quoted).warnings == (warning,)
        assert opened("a.csv", content, encoding="latin-1").warnings == (warning,)
        assert opened("a.csv", "a\n1\n\n2\n").warnings == ()
        assert opened("a.csv", f'a,b\n1,{"x" * 200_000}\n2,"y"\n3,\n').warnings == ()


class TestEncodings:
    TEXT = "id;Job Title\n1;Geschäftsführer\n2;経理\n"
    ROWS = (("1", "Geschäftsführer"), ("2", "経理"))

    @pytest.mark.fault(25)
    @pytest.mark.parametrize(
        "content",
        [
            TEXT.encode("utf-8"),
            TEXT.encode("utf-8-sig"),
            TEXT.encode("utf-16"),
            codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
            codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
            TEXT.encode("utf-16-le"),
            TEXT.encode("utf-16-be"),
            TEXT.encode("utf-32"),
            codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
        ],
        ids=[
            *("utf-8", "utf-8 with BOM", "utf-16", "utf-16-le with BOM", "utf-16-be with BOM"),
            *("utf-16-le", "utf-16-be", "utf-32", "utf-32-be with BOM"),
        ],
    )
    def test_an_encoding_that_shows_itself_needs_no_option(self, opened, content: bytes) -> None:
        table = opened("a.csv", content)
        assert table.headers == ("id", "Job Title")
        assert tuple(rows(table)) == self.ROWS

    @pytest.mark.fault(25)
    @pytest.mark.parametrize(
        "encoding", ["utf-16-le", "UTF8", "gb18030", "utf-8-sig", "shift_jisx0213"]
    )
    def test_any_other_is_read_as_named(self, opened, encoding: str) -> None:
        text = self.TEXT.replace("ä", "a").replace("ü", "u")
        table = opened("a.csv", text.encode(encoding), encoding=encoding)
        assert rows(table) == [("1", "Geschaftsfuhrer"), ("2", "経理")]

    def test_latin_1_is_read_where_it_is_named(self, opened) -> None:
        table = opened("a.csv", "a;b\n1;Müller\n".encode("latin-1"), encoding="latin-1")
        assert rows(table) == [("1", "Müller")]

    @pytest.mark.fault(25)
    def test_latin_1_that_is_not_named_is_an_error_with_the_byte_and_the_option(
        self, opened
    ) -> None:
        content = "a;b\n1;Müller\n".encode("latin-1")
        with pytest.raises(InputError, match=r"not utf-8: byte 7 does.*--encoding cp1252"):
            opened("a.csv", content)

    @pytest.mark.parametrize("before", [0, 1, 2, 3])
    def test_the_byte_is_right_also_behind_a_block_that_ends_within_a_character(
        self, opened, before: int
    ) -> None:
        start = b"a,b\n" + b"x" * ((1 << 20) - 4 - before) + "🙂🙂".encode()
        with pytest.raises(InputError, match=rf"byte {len(start)} does not decode"):
            opened("a.csv", start + b"\xff,1\n")

    @pytest.mark.fault(25)
    @pytest.mark.parametrize(
        ("content", "byte"), [("a,b\n1,é".encode()[:-1], 6), ("a,b\n".encode("utf-16") + b"x", 10)]
    )
    def test_a_file_that_ends_within_a_character_is_an_error(self, opened, content, byte) -> None:
        with pytest.raises(InputError, match=rf"byte {byte} does not decode"):
            opened("a.csv", content)

    @pytest.mark.parametrize("encoding", ["utf-9", "hex", "zlib", "rot13"])
    def test_what_is_no_encoding_of_text_is_a_usage_error(self, opened, encoding: str) -> None:
        with pytest.raises(UsageError, match=f"--encoding {encoding}: there is no such encoding"):
            opened("a.csv", "a,b\n", encoding=encoding)

    @pytest.mark.fault(25)
    def test_a_nul_byte_is_a_character_as_any(self, opened) -> None:
        assert rows(opened("a.csv", b"a,b\n1,x\0y\n")) == [("1", "x\0y")]


def test_arrow_s_stream_is_read_as_its_file(tmp_path: Path) -> None:
    frame = pl.DataFrame({"Job Title": ["nurse", None], "n": [1, 2]})
    frame.write_ipc_stream(tmp_path / "a.arrow")
    assert opened_from(tmp_path / "a.arrow", tmp_path).frame.collect().equals(frame)
    (tmp_path / "a.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:100])
    with pytest.raises(InputError, match=r"a\.arrow cannot be read"):
        opened_from(tmp_path / "a.arrow", tmp_path)


class TestJsonLines:
    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("", "a.jsonl is empty"),
            ("\n \n", "a.jsonl is empty"),
            ('{"a": 1}\n{"a":\n', "line 2 is not JSON"),
            ('{"a": 1}\n\n7\n', "line 3 is not an object"),
            ('[{"a": 1},\n{"a": 2}]\n', r"line 1 is not JSON .*: an array is none of JSON lines"),
            ('[{"a": 1}]\n', "line 1 is not an object"),
            ('{"a": ' + "[" * 100_000 + "\n", "line 1 is not JSON"),
        ],
        ids=["empty", "blank", "cut", "number", "array", "array in a line", "deep"],
    )
    def test_what_cannot_be_read_is_told_by_its_line(self, opened, content, fault) -> None:
        with pytest.raises(InputError, match=fault):
            opened("a.jsonl", content)

    def test_values_that_no_type_can_hold_are_text_which_is_told(self, opened) -> None:
        rows_ = ['{"a": true, "b": 9007199254740993, "c": 1}', '{"a": 1, "b": 1.5, "c": 2.5}']
        table = opened("a.jsonl", "\n".join(rows_))
        assert rows(table) == [("true", "9007199254740993", 1.0), ("1", "1.5", 2.5)]
        assert table.warnings[0].startswith("the columns 'a', 'b' hold values that no one type")
        table = opened("a.jsonl", "\n".join(row.replace("true", "2") for row in rows_))
        assert rows(table) == [(2, "9007199254740993", 1.0), (1, "1.5", 2.5)]
        assert table.warnings[0].startswith("the columns 'b' hold values that no one type")
        assert opened("a.jsonl", '{"a": 1}\n{"a": 1.5}\n').warnings == ()

    def test_numbers_texts_and_missing_fields_come_as_they_are(self, opened) -> None:
        content = (
            '{"id": "007", "n": 12345678901234567890123}\n\n{"id": "n/a", "x": "2024-02-29"}\n'
        )
        assert rows(opened("a.jsonl", content)) == [
            ("007", 12345678901234567890123, None),
            ("n/a", None, "2024-02-29"),
        ]

    @pytest.mark.fault(25)
    def test_a_byte_order_mark_is_none_of_its_content(self, opened) -> None:
        content = b'\xef\xbb\xbf{"id": "007"}\r\n{"id": "\xef\xbb\xbf"}\r\n'
        assert rows(opened("a.jsonl", content)) == [("007",), ("\ufeff",)]

    def test_a_column_of_numbers_and_texts_is_text(self, opened) -> None:
        content = '{"id": 7}\n' * 200 + '{"id": "007"}\n'
        assert rows(opened("a.ndjson", content))[-2:] == [("7",), ("007",)]


@pytest.mark.fault(18)
def test_a_small_workbook_is_not_waited_for_as_long_as_a_large_one(
    opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobbatch.tables.source._PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr("jobbatch.tables.source._SLOWEST_BYTES_PER_SECOND", 1e9)
    with pytest.raises(ResourceError, match=r"a\.xlsx was not read within .* save it again"):
        opened("a.xlsx", hostile.table(".xlsx"))


class TestSpreadsheets:
    def test_a_workbook_opens_with_its_sheet_and_headers(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "a.xlsx", ["Contacts"], ["id", "Job Title "], ["007", "nurse"])
        table = opened_from(path, tmp_path)
        assert rows(table) == [("007", "nurse")]
        assert table.headers == ("id", "Job Title ")
        assert table.sheet is not None
        assert (table.sheet.name, table.sheet.header_row) == ("Sheet", 2)

    def test_an_error_within_the_reading_process_is_the_user_s_error(self, tmp_path: Path) -> None:
        path = workbook(tmp_path / "a.xlsx", ["id", "Job Title"], [1, "nurse"])
        with pytest.raises(TitleColumnError, match="no sheet 'Nope'"):
            opened_from(path, tmp_path, sheet="Nope")

    @pytest.mark.fault(12)
    @pytest.mark.parametrize("content", ["id,Job Title\n1,nurse\n", "id;Job Title\n", "a\tb\n"])
    def test_a_text_file_renamed_is_said_to_look_like_csv(self, opened, content: str) -> None:
        with pytest.raises(InputError, match=r"is not a spreadsheet \(looks like CSV\)"):
            opened("a.xlsx", content)

    @pytest.mark.fault(12)
    def test_an_empty_file_is_said_to_be_empty(self, opened) -> None:
        with pytest.raises(InputError, match=r"a\.xlsx is empty"):
            opened("a.xlsx", b"")

    @pytest.mark.fault(12)
    def test_a_workbook_cut_short_is_an_input_error(self, opened, tmp_path: Path) -> None:
        whole = workbook(tmp_path / "whole.xlsx", ["Job Title"], ["nurse"]).read_bytes()
        for end in (len(whole) // 2, len(whole) - 1):
            with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
                opened("a.xlsx", whole[:end])

    def test_an_old_workbook_under_the_new_name_is_told(self, opened) -> None:
        with pytest.raises(InputError, match=r"old \.xls workbook"):
            opened("a.xlsx", OLE + bytes(1_500))

    def test_files_of_the_current_folder_are_not_run_by_the_reading_process(
        self, tmp_path: Path
    ) -> None:
        path = workbook(tmp_path / "a.xlsx", ["Job Title"], ["nurse"])
        for module in ("polars.py", "json.py", "fastexcel.py"):
            (tmp_path / module).write_text("raise SystemExit('hijacked')")
        assert rows(opened_from(path, tmp_path)) == [("nurse",)]

    @pytest.mark.fault(13)
    @pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
    def test_a_sheet_as_large_as_a_sheet_can_be_does_not_take_the_run_down(
        self, tmp_path: Path
    ) -> None:
        book = openpyxl.Workbook()
        book.active.append(["id", "Job Title"])
        book.active["XFD1048576"] = "far"
        book.save(tmp_path / "a.xlsx")
        with pytest.raises(ResourceError, match="the memory at hand is too little"):
            opened_from(tmp_path / "a.xlsx", tmp_path)
