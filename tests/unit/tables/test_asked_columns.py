"""Columns named by the user: found by header, or an error that lists what there is."""

from __future__ import annotations

import polars as pl
import pytest

from jobbatch.errors import UsageError
from jobbatch.tables.asked_columns import context_columns
from jobbatch.tables.source import Table

FRAME = pl.LazyFrame({"Company Name": ["x"], "dept": ["y"], "tags": [["z"]]})
TABLE = Table(frame=FRAME, headers=("Company  Name", "dept", "tags"))


def test_a_column_is_found_by_name_header_or_what_they_normalise_to() -> None:
    for asked in ("Company Name", "Company  Name", "company_name", "CompanyName"):
        assert context_columns(TABLE, [asked], where="x.csv") == ("Company Name",)


def test_the_order_is_the_user_s_and_a_column_asked_for_twice_comes_once() -> None:
    asked = ["dept", "company name", "Dept"]
    assert context_columns(TABLE, asked, where="x.csv") == ("dept", "Company Name")


def test_the_first_of_two_equal_headers_is_told_apart_by_its_name() -> None:
    frame = pl.LazyFrame({"dept": ["x"], "dept_2": ["y"]})
    table = Table(frame=frame, headers=("dept", "dept"))
    for asked in ("dept", "dept_2"):
        assert context_columns(table, [asked], where="x.csv") == (asked,)


def test_nothing_asked_is_nothing_found() -> None:
    assert context_columns(TABLE, [], where="x.csv") == ()


def test_an_unknown_column_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(UsageError, match=r"x\.csv: --context 'team'.*'Company Name', 'dept'"):
        context_columns(TABLE, ["team"], where="x.csv")


def test_a_column_of_lists_is_no_context() -> None:
    with pytest.raises(UsageError, match=r"'tags': its cells are List\(String\)"):
        context_columns(TABLE, ["tags"], where="x.csv")


def test_two_columns_called_alike_are_an_error() -> None:
    table = Table(frame=pl.LazyFrame({"a b": ["x"], "a-b": ["y"]}), headers=("a b", "a-b"))
    with pytest.raises(UsageError, match="several columns"):
        context_columns(table, ["A B"], where="x.csv")
