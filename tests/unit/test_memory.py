"""What is held in Python does not grow with the rows."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from jobbatch.pipeline import label_file
from jobbatch.settings.labelling import LabelSettings
from jobbatch.tables.convert import Request, convert
from jobbatch.tables.workbook import write_workbook

FEW, MANY = 600, 60_000


def most_blocks(work: Callable[[], object]) -> int:
    """Return by how many blocks Python's memory grew at most while `work` ran."""
    done = threading.Event()
    before = most = sys.getallocatedblocks()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.0005):
            most = max(most, sys.getallocatedblocks())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return most - before


def people(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": range(rows), "Job Title": ["nurse", "owner", None] * (rows // 3), "n": 1.5}
    )


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl", ".arrow", ".xlsx"])
def test_labelling_makes_no_python_object_for_a_row(
    settings: Callable[..., LabelSettings], tmp_path: Path, ending: str
) -> None:
    blocks = {}
    for rows in (FEW, FEW, MANY):  # the first run imports and fills caches
        source = tmp_path / f"people-{rows}.parquet"
        people(rows).write_parquet(source)
        asked = settings(input=source, output=tmp_path / f"{rows}{ending}", overwrite=True)
        blocks[rows] = most_blocks(lambda asked=asked: label_file(asked, isolated=False))
    assert blocks[MANY] < blocks[FEW] + 0.3 * MANY


def test_reading_a_workbook_makes_none_either(tmp_path: Path) -> None:
    blocks = {}
    for rows in (FEW, FEW, MANY):
        source, target = tmp_path / f"{rows}.xlsx", tmp_path / "sheet.arrow"
        frame = people(rows)
        write_workbook(frame.lazy(), source, frame.columns, {}, rows)
        request = Request(source=str(source), target=str(target), sheet=None, title_column=None)
        blocks[rows] = most_blocks(lambda request=request: convert(request))
    assert blocks[MANY] < blocks[FEW] + 0.3 * MANY


def test_a_list_of_rows_would_be_seen() -> None:
    rows = people(MANY)
    assert most_blocks(rows.rows) > 0.9 * MANY
