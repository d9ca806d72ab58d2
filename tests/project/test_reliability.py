"""docs/reliability.md says what the tests prove, and a full run that proves less fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import faults

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests import reliability
row = dict(fault="a fault", promise="a promise", exit="1")
reliability.faults = lambda: (
    reliability.Fault(number=1, **row),
    reliability.Fault(number=2, pending="later", **row),
)
def pytest_configure(config):
    config.pluginmanager.register(reliability.FullRun())
"""
TEST = """
import pytest
{mark}
def test_it():
    {body}
def test_other():
    pass
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text(
        f"[pytest]\ntestpaths = .\npythonpath = {ROOT}\nmarkers = fault(*rows): a row\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_is_what_make_reliability_writes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the tests of training prove rows too")
    subprocess.run(
        [sys.executable, "-m", "tests.reliability", str(tmp_path / "page.md")],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8") == written


def test_the_rows_are_numbered_without_a_gap() -> None:
    assert [fault.number for fault in faults()] == list(range(1, 49))


@pytest.mark.parametrize(
    ("mark", "body", "says"),
    [
        ("@pytest.mark.fault(1)", "pass", ""),
        ("", "pass", "row 1 (a fault) is not proved: it has no test"),
        ("@pytest.mark.fault(1)", "pytest.skip('x')", "none of its tests ran and passed"),
        ("@pytest.mark.fault(1, 3)", "pass", "rows that tests/faults.toml has not: [3]"),
    ],
    ids=["proved", "no test", "skipped", "no such row"],
)
def test_a_full_run_fails_where_a_row_is_not_proved(
    tmp_path: Path, mark: str, body: str, says: str
) -> None:
    (tmp_path / "test_it.py").write_text(TEST.format(mark=mark, body=body))
    done = run_pytest(tmp_path)
    assert done.returncode == (1 if says else 0), done.stdout
    assert says in done.stdout


@pytest.mark.parametrize("arguments", [("test_it.py",), ("-k", "other"), ("--collect-only",)])
def test_a_part_of_the_tests_runs_freely(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(TEST.format(mark="", body="pass"))
    assert run_pytest(tmp_path, *arguments).returncode == 0
