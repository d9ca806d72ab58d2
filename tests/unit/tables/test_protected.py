"""A spreadsheet with a password opens with it, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import InputError, PasswordError
from jobbatch.tables.source import Handling, open_table
from tests import workbooks

pytestmark = pytest.mark.fault(19)


def protect(path: Path, password: str) -> Path:
    """Write a workbook that needs a password, and one beside it that does not."""
    plain = path.with_stem("plain")
    if path.suffix == ".xls":
        plain.write_bytes(workbooks.xls({"S": [["Job Title"], ["nurse"]]}))
        path.write_bytes(workbooks.protected_xls(plain.read_bytes(), password))
    else:
        pl.DataFrame({"Job Title": ["nurse"]}).write_excel(plain)
        path.write_bytes(workbooks.protected_xlsx(plain.read_bytes(), password))
    return path


@pytest.fixture(params=[".xlsx", ".xls"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a workbook whose password is 'kåse 3'."""
    return protect(tmp_path / f"book{request.param}", "kåse 3")


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
    with pytest.raises(PasswordError, match=r"password\.txt does not open .*book\.xls"):
        titles(book, text)


def test_without_one_the_option_is_named(book: Path) -> None:
    with pytest.raises(PasswordError, match=r"book\.xlsx? is protected.*--password-file"):
        titles(book, None)


def test_a_password_that_is_not_needed_does_no_harm(book: Path) -> None:
    assert titles(book.with_stem("plain"), "x") == ["nurse"]


@pytest.mark.parametrize("ending", [".xlsx", ".xls"])
@pytest.mark.parametrize("password", [None, "x"])
def test_what_excel_opens_without_asking_needs_no_password(
    tmp_path: Path, ending: str, password: str | None
) -> None:
    book = protect(tmp_path / f"book{ending}", "VelvetSweatshop")
    assert titles(book, password) == ["nurse"]


def test_a_missing_password_file_is_an_input_error(book: Path) -> None:
    handling = Handling(password_file=book.with_name("none.txt"))
    with pytest.raises(InputError, match=r"password file .*none\.txt cannot be read"):
        open_table(book, workspace=book.parent, handling=handling)


def test_a_damaged_protected_workbook_is_told_in_plain_words(book: Path) -> None:
    book.write_bytes(book.read_bytes()[:3_000])
    with pytest.raises((InputError, PasswordError), match=r"book\.xls"):
        titles(book, "kåse 3")
