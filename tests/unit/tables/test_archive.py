"""A zipped spreadsheet that is a bomb or a trap is told before it is unzipped or parsed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest

from jobbatch.errors import InputError, ResourceError
from jobbatch.tables.archive import MAX_UNZIPPED, check_archive
from tests import hostile

ABOUT = Path("given.xlsx")


def check(path: Path, max_unzipped: int = MAX_UNZIPPED) -> None:
    check_archive(path, max_unzipped, about=ABOUT)


def test_a_usual_workbook_passes(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Job Title"])
    book.save(tmp_path / "a.xlsx")
    check(tmp_path / "a.xlsx")
    check(hostile.workbook(tmp_path / "b.xlsx", [hostile.HEADER, hostile.cell("nurse")]))


@pytest.mark.fault(14)
def test_a_part_that_swells_beyond_what_sheets_do_is_refused(tmp_path: Path) -> None:
    path = hostile.bomb(tmp_path / "a.xlsx")
    with pytest.raises(ResourceError, match=r"given\.xlsx: its part xl/worksheets/sheet1\.xml"):
        check(path, 1 << 40)


@pytest.mark.fault(14)
def test_more_than_may_be_unzipped_is_refused(tmp_path: Path) -> None:
    path = hostile.workbook(tmp_path / "a.xlsx", [hostile.HEADER])
    with zipfile.ZipFile(path) as archive:
        size = sum(part.file_size for part in archive.infolist())
    check(path, size)
    with pytest.raises(ResourceError, match=r"given\.xlsx would unzip to.*--max-unzipped"):
        check(path, size - 1)


@pytest.mark.fault(16)
@pytest.mark.parametrize("before", ["", "<!-- <worksheet> -->", " " * 100_000, "<?x <a> ?>"])
def test_entities_are_refused_wherever_the_prolog_hides_them(tmp_path: Path, before: str) -> None:
    rows = [hostile.HEADER, hostile.cell("&c;")]
    path = hostile.workbook(tmp_path / "a.xlsx", rows, before + hostile.LAUGHS)
    with pytest.raises(InputError, match=r"given\.xlsx.*sheet1\.xml declares a document type"):
        check(path)


def test_text_that_only_looks_like_a_declaration_passes(tmp_path: Path) -> None:
    rows = [hostile.HEADER, hostile.cell("&lt;!DOCTYPE l&gt;"), "<!-- <!DOCTYPE l> -->"]
    check(hostile.workbook(tmp_path / "a.xlsx", rows, "<!-- <!DOCTYPE l> -->"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04junk", b"text"])
def test_what_is_no_archive_is_left_to_its_reader(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(content)
    check(tmp_path / "a.xlsx")


def test_a_damaged_archive_is_left_to_its_reader(tmp_path: Path) -> None:
    content = hostile.table(".xlsx")
    for seed in range(60):
        (tmp_path / "a.xlsx").write_bytes(hostile.damaged(content, seed))
        check(tmp_path / "a.xlsx", 1 << 40)
