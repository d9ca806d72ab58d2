"""A spreadsheet with a password opens with it, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from jobbatch.errors import InputError, PasswordError
from jobbatch.tables.source import Handling, open_table

pytestmark = pytest.mark.fault(19)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Return a workbook whose password is 'kåse 3'."""
    pl.DataFrame({"Job Title": ["nurse"]}).write_excel(tmp_path / "plain.xlsx")
    path = tmp_path / "book.xlsx"
    with (tmp_path / "plain.xlsx").open("rb") as plain, path.open("wb") as target:
        OOXMLFile(plain).encrypt("kåse 3", target)
    return path


def titles(book: Path, password: str | None) -> list[str]:
    workspace = book.parent / "workspace"
    workspace.mkdir(exist_ok=True)
    file = None
    if password is not None:
        file = book.parent / "password.txt"
        file.write_text(password, encoding="utf-8")
    table = open_table(book, workspace=workspace, handling=Handling(password_file=file))
    return table.frame.collect()["Job Title"].to_list()


@pytest.mark.parametrize("text", ["kåse 3", "kåse 3\n", "kåse 3\r\nnotes"])
def test_the_password_is_the_first_line_of_its_file(book: Path, text: str) -> None:
    assert titles(book, text) == ["nurse"]


@pytest.mark.parametrize("text", ["kåse 4", "", "kåse 3 "])
def test_another_password_is_a_password_error(book: Path, text: str) -> None:
    with pytest.raises(PasswordError, match=r"password\.txt does not open .*book\.xlsx"):
        titles(book, text)


def test_without_one_the_option_is_named(book: Path) -> None:
    with pytest.raises(PasswordError, match=r"book\.xlsx is protected.*--password-file"):
        titles(book, None)


def test_a_password_that_is_not_needed_does_no_harm(book: Path) -> None:
    assert titles(book.with_name("plain.xlsx"), "x") == ["nurse"]


def test_a_missing_password_file_is_an_input_error(book: Path) -> None:
    handling = Handling(password_file=book.with_name("none.txt"))
    with pytest.raises(InputError, match=r"password file .*none\.txt cannot be read"):
        open_table(book, workspace=book.parent, handling=handling)


def test_a_damaged_protected_workbook_is_told_in_plain_words(book: Path) -> None:
    book.write_bytes(book.read_bytes()[:3_000])
    with pytest.raises((InputError, PasswordError), match=r"book\.xlsx"):
        titles(book, "kåse 3")
