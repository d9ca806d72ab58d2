"""What a damaged or hostile table, or a limit, does to a whole run: nothing but a message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import polars as pl
import pytest

from jobbatch.errors import JobbatchError
from jobbatch.pipeline import label_file
from jobbatch.settings.labelling import LabelSettings
from tests import hostile
from tests.commands.ran import Command, Files

OUT = "out.parquet"
SECRET = "a line that nobody may see"  # noqa: S105 - no password
PLAIN = (".parquet", ".arrow", ".jsonl", ".csv", ".tsv", ".xls")
ZIPPED = (".xlsx", ".xlsm", ".xlsb", ".ods")
CASES = int(os.environ.get("JOBBATCH_FUZZ_CASES", "12"))
"""Damaged files of each kind that people use most; `JOBBATCH_FUZZ_CASES=5000` looks for longer."""
MOST_USED = (".xlsx", ".csv", ".parquet")


@dataclass(frozen=True)
class Harm:
    """A file that does harm, and what must be answered."""

    name: str
    code: int
    says: str
    make: Callable[[Path], object]
    options: tuple[str, ...] = ()


def outside(path: Path) -> None:
    Path("secret.txt").write_text(SECRET)
    rows = [hostile.HEADER, hostile.cell("&x;")]
    hostile.workbook(path, rows, hostile.outside(Path("secret.txt").absolute()))


def laughs(path: Path) -> None:
    hostile.workbook(path, [hostile.HEADER, hostile.cell("&c;")], hostile.LAUGHS)


def large(path: Path) -> None:
    path.write_bytes(hostile.table(".xlsx"))


HARMS = {
    "cells as far apart as can be": (13, Harm("a.xlsx", 40, "memory", hostile.sparse_corner)),
    "cells far apart": (13, Harm("a.xlsx", 40, "memory", hostile.sparse_middle)),
    "a bomb": (14, Harm("a.xlsx", 40, "as bombs do", hostile.bomb)),
    "more than may be unzipped": (
        14,
        Harm("a.xlsx", 40, "more than 2,048", large, ("--max-unzipped", "2 KiB")),
    ),
    "a cell to be repeated without end": (15, Harm("a.ods", 10, "cannot be", hostile.repeated)),
    "entities that expand": (16, Harm("a.xlsx", 10, "declares a document type", laughs)),
    "an entity that is another file": (16, Harm("a.xlsx", 10, "declares a document", outside)),
    "a file that never comes": (
        18,
        Harm("a.csv", 40, "not read within 8 seconds", os.mkfifo, ("--read-timeout", "8")),
    ),
}


@pytest.mark.parametrize(
    "harm",
    [pytest.param(h, marks=pytest.mark.fault(row), id=name) for name, (row, h) in HARMS.items()],
)
def test_a_hostile_file_gets_one_line_and_the_old_output_stays(
    jobbatch: Command, files: Files, harm: Harm
) -> None:
    Path(OUT).write_text("old")
    harm.make(Path(harm.name))
    before = files()
    ran = jobbatch("label", harm.name, OUT, "--overwrite", *harm.options)
    assert ran.code == harm.code, ran.err
    assert harm.says in ran.err
    assert harm.name in ran.err
    assert SECRET not in ran.err
    assert "Traceback" not in ran.err
    assert ran.err.splitlines()[-1].startswith("jobbatch: ")
    assert Path(OUT).read_text() == "old"
    assert files() == before


@pytest.mark.fault(38)
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
@pytest.mark.parametrize("mebibytes", [256, 400])
def test_too_little_memory_is_told_as_such(
    jobbatch: Command, people_csv: Path, files: Files, mebibytes: int
) -> None:
    before = files()
    patch = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({mebibytes << 20},) * 2)"
    ran = jobbatch("label", people_csv, OUT, patch=patch)
    assert (ran.code, ran.err.count("\n")) == (40, 1), ran.err
    assert "people.csv: the memory at hand is too little" in ran.err
    assert files() == before


@pytest.mark.fault(38)
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of a peak is Linux's")
def test_memory_does_not_grow_with_the_rows(environment: Mapping[str, str]) -> None:
    peaks = []
    for n_rows in (1_000_000, 5_000_000):
        number = pl.int_range(n_rows)
        title, note = (pl.format(s, number % 100) for s in ("nurse {}", f"{'x' * 95} {{}}"))
        rows = pl.select(number.alias("id"), title.alias("title"), note.alias("note"))
        rows.write_parquet("people.parquet")
        code = (
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        label = ["-m", "jobbatch", "label", "people.parquet", OUT, "--overwrite"]
        ran = subprocess.run(
            [sys.executable, "-c", code, sys.executable, *label],
            capture_output=True,
            env=environment,
            check=True,
        )
        peaks.append(int(ran.stdout) >> 10)
    mebibytes_of_more_rows = 4_000_000 * 100 >> 20
    assert peaks[1] - peaks[0] < mebibytes_of_more_rows / 2


@pytest.mark.fault(17)
@pytest.mark.parametrize("ending", [*PLAIN, *ZIPPED])
def test_a_damaged_file_is_labelled_or_refused_and_never_takes_the_run_down(
    word_model: Path, tmp_path: Path, ending: str
) -> None:
    content = hostile.table(ending)
    cases = CASES if ending in MOST_USED else max(CASES // 3, min(CASES, 12))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(
            pool.map(
                _labelled,
                repeat(word_model),
                repeat(tmp_path),
                repeat(ending),
                range(cases),
                repeat(content),
            )
        )
    assert set(outcomes) <= {"labelled", 10, 12, 13, 31, 40}
    assert {10, "labelled"} & set(outcomes)


def _labelled(model: Path, folder: Path, ending: str, seed: int, content: bytes) -> int | str:
    """Return how a run with damaged content ends: by its exit code, or labelled."""
    source, output = folder / f"{seed}{ending}", folder / f"{seed}.out.parquet"
    damage = hostile.damaged_inside if ending in ZIPPED and seed % 4 else hostile.damaged
    source.write_bytes(damage(content, seed))
    output.write_text("old")
    settings = LabelSettings(
        input=source,
        output=output,
        model=str(model),
        cache_dir=folder / "scores",
        overwrite=True,
        title_column="title" if ending in {".parquet", ".arrow", ".jsonl"} else None,
    )
    try:
        report = label_file(settings)
    except JobbatchError as error:
        untouched = source.name in str(error) and output.read_text() == "old"
        return error.exit_code if untouched else f"{seed}: {error}"
    rows = pl.read_parquet(output).height
    return "labelled" if rows == report.manifest.counts["rows"] else f"{seed}: {rows} rows"
