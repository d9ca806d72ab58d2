"""The header row is found under banners and blank rows; every column gets a unique name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobbatch.tables.header_row import clean_headers, find_header_row

Rows = list[list[str | None]]

cells = st.none() | st.sampled_from(["", " ", "a", "a_2", "a ", "column_1"]) | st.text(max_size=4)


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        ([["id", "Job Title"], ["1", "nurse"]], 0),
        ([[None, None], ["", " "], ["id", "Job Title"], ["1", "nurse"]], 2),
        ([["Contacts 2024", None, None], [None] * 3, ["id", "Job Title", "x"], ["1", "a", "b"]], 2),
        ([["Title overview", None, None], ["id", "Job Title", "x"], ["1", "a", "b"]], 1),
        ([["id", "what"], ["1", "nurse"]], 0),
        ([["made by me", None, None, None], ["a", "b", "c", "d"], ["1", "2", "3", "4"]], 1),
        ([["Filter", "Position = all"], ["Name", "Post", "Job Title"], ["Al", "x", "Cook"]], 1),
        ([["Job Title"], ["nurse"]], 0),
        ([["id", "name"], ["1", "Position"]], 0),
        ([["Name", "Employee Title", "Unit"], ["Al", "Cook", "Mess"], ["Cy", "Pilot", "Cargo"]], 0),
    ],
)
def test_it_is_the_row_that_says_job_title_else_the_first_that_fills_the_sheet(
    rows: Rows, index: int
) -> None:
    assert find_header_row(rows, None) == index


def test_the_header_that_the_user_asked_for_decides() -> None:
    rows: Rows = [["Job Title"], ["id", "Beruf"], ["1", "Position"]]
    assert find_header_row(rows, "beruf") == 1
    assert find_header_row(rows, "not there") == 0
    rows = [["Job Title", None, None], ["Name", "Unit", "Job Title"], ["Al", "Mess", "Cook"]]
    assert find_header_row(rows, "job title") == 1
    assert find_header_row([["Position"], ["a", "b", "c"]], "position") == 0


@pytest.mark.parametrize("rows", [[], [[]], [[None, ""], [" ", None]]])
def test_a_blank_sheet_has_none(rows: Rows) -> None:
    assert find_header_row(rows, None) is None
    assert find_header_row(rows, "Job Title") is None


@given(st.lists(cells, max_size=8))
def test_every_column_gets_one_name_that_no_other_has_and_keeps_its_header(row) -> None:
    names, headers = clean_headers(row)
    assert len(set(names)) == len(names) == len(row)
    assert all(name.strip() for name in names)
    assert headers == [cell or "" for cell in row]


def test_blank_and_repeated_headers_get_readable_names() -> None:
    names, headers = clean_headers(["id", None, "Title", " Title ", "Title", "Title_2"])
    assert names == ["id", "column_2", "Title", "Title_2", "Title_3", "Title_2_2"]
    assert headers == ["id", "", "Title", " Title ", "Title", "Title_2"]
