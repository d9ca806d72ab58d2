"""Formats are told by the file name's ending."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobbatch.errors import UsageError
from jobbatch.tables.formats import READABLE, WRITABLE, readable, writable


def test_what_can_be_written_can_be_read_back() -> None:
    assert set(WRITABLE) < set(READABLE)


@pytest.mark.parametrize("ending", READABLE)
def test_every_readable_ending_is_known_in_either_case(ending: str) -> None:
    assert readable(Path(f"a.b{ending}")) == readable(Path(f"A.B{ending.upper()}")) == ending


@pytest.mark.parametrize("ending", WRITABLE)
def test_every_writable_ending_is_known_in_either_case(ending: str) -> None:
    assert writable(Path(f"a.b{ending}")) == writable(Path(f"A.B{ending.upper()}")) == ending


@pytest.mark.parametrize("ending", sorted(set(READABLE) - set(WRITABLE)))
def test_a_format_that_is_only_read_is_refused_as_output_naming_those_that_are_not(ending) -> None:
    with pytest.raises(UsageError, match=rf"{ending} cannot be written.*\.parquet, \.xlsx"):
        writable(Path(f"out{ending}"))


@pytest.mark.parametrize(
    ("name", "ending"), [("a.docx", ".docx"), ("a", "nothing"), ("-", "nothing")]
)
def test_another_format_is_refused_by_its_ending(name: str, ending: str) -> None:
    with pytest.raises(UsageError, match=f"ending in {ending}"):
        readable(Path(name))


@pytest.mark.parametrize(
    "url", ["https://example.org/a.csv", "s3://bucket/a.parquet", "file:///tmp/a.csv"]
)
@pytest.mark.parametrize("check", [readable, writable])
def test_a_url_is_refused_naming_what_would_do(check, url: str) -> None:
    with pytest.raises(UsageError, match=r"is a URL.*name a local path"):
        check(Path(url))


@pytest.mark.parametrize("name", ["C:/tables/a.csv", "notes: today.csv", "a:b/c.csv"])
def test_a_colon_alone_makes_no_url(name: str) -> None:
    assert readable(Path(name)) == ".csv"
