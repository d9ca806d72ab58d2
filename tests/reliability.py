"""The fault table: which tests prove which row, on a page and at the end of a full test run.

`python -m tests.reliability FILE` writes the page from faults.toml and the tests' markers. As a part of
conftest, `FullRun` fails a run of all tests in which a row was not proved.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INTRODUCTION = """# Reliability

What can go wrong, what then happens, and which tests prove it. Always, an output is either its old self
or all of the new one; every row comes out once, in its place, with its columns unchanged; a mistake gets
one message and an exit code, never a traceback; and a run that was killed is simply run again, and does
not score again what it had scored.

A run of all tests (`make check`) fails if a row below has no test that passed. `make torture` does the
same for longer. This page is written by `make reliability` from
[tests/faults.toml](../tests/faults.toml) and the tests' markers.

| | what goes wrong | what happens | exit code |
|--:|---|---|---|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the table.

    Attributes:
        pending: why no test proves it yet.
        beyond: what of it cannot be made on a test machine, and why.
    """

    number: int
    fault: str
    promise: str
    exit: str
    pending: str = ""
    beyond: str = ""


def faults() -> tuple[Fault, ...]:
    """Return the rows, in order."""
    table = tomllib.loads((ROOT / "tests" / "faults.toml").read_text(encoding="utf-8"))
    return tuple(Fault(**row) for row in table["fault"])


def rows_of(item: pytest.Item) -> set[int]:
    """Return the numbers of the rows that a test proves."""
    return {row for mark in item.iter_markers("fault") for row in mark.args}


@dataclass(eq=False)
class Proofs:
    """A pytest plugin that notes the tests of each row and which of them passed."""

    tests: dict[str, set[int]] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which test proves which rows."""
        self.tests = {item.nodeid: rows for item in session.items if (rows := rows_of(item))}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which tests pass."""
        if report.when == "call" and report.passed and report.nodeid in self.tests:
            self.passed.add(report.nodeid)

    def problems(self) -> Iterator[str]:
        """Yield what keeps the table from being proved."""
        known = {fault.number: fault for fault in faults()}
        for test, rows in self.tests.items():
            if unknown := sorted(rows - set(known)):
                yield f"{test} names rows that tests/faults.toml has not: {unknown}"
        proved = {row for test in self.passed for row in self.tests[test]}
        for number, fault in known.items():
            if number not in proved and not fault.pending:
                ran = any(number in rows for rows in self.tests.values())
                why = "none of its tests ran and passed" if ran else "it has no test"
                yield f"row {number} ({fault.fault}) is not proved: {why}"


class FullRun(Proofs):
    """Fails a run of all tests in which a row was not proved; parts of the tests may be run freely."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Count an unproved row as a failure."""
        if self._is_full(session.config) and list(self.problems()):
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say what is not proved."""
        if self._is_full(config):
            for problem in self.problems():
                terminalreporter.write_line(f"docs/reliability.md: {problem}", red=True)

    @staticmethod
    def _is_full(config: pytest.Config) -> bool:
        narrowed = ("keyword", "markexpr", "deselect", "ignore", "lf", "collectonly", "maxfail")
        everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        return everything and not any(config.getoption(name, None) for name in narrowed)


def page(tests: Mapping[str, Iterable[int]]) -> str:
    """Return the content of docs/reliability.md.

    Args:
        tests: the rows that each test proves, by its node id.
    """
    by_row: dict[int, dict[str, None]] = defaultdict(dict)
    for test, rows in sorted(tests.items()):
        for row in rows:
            by_row[row][test.split("[")[0]] = None
    table = faults()
    lines = [f"| {f.number} | {f.fault} | {f.promise} | {f.exit} |" for f in table]
    sections = [section for f in table for section in _section(f, list(by_row[f.number]))]
    return INTRODUCTION + "\n".join([*lines, "", "## Which tests prove it", *sections]) + "\n"


def _section(fault: Fault, tests: Sequence[str]) -> Iterator[str]:
    yield f"\n**{fault.number}. {fault.fault}**\n"
    for test in tests:
        path, *names = test.split("::")
        sentence = ": ".join(_words(name) for name in names)
        yield f"- {sentence} ([{Path(path).name}](../{path}))"
    if not tests:
        yield f"- no test yet: {fault.pending or 'missing'}"
    if fault.beyond:
        yield f"- not tried: {fault.beyond}"


def _words(name: str) -> str:
    if name.startswith("Test"):
        return "".join(f" {c.lower()}" if c.isupper() else c for c in name.removeprefix("Test"))[1:]
    return name.removeprefix("test_").replace("_", " ")


def collected() -> dict[str, set[int]]:
    """Return the rows that each test proves, by its node id, without running one."""
    proofs = Proofs()
    code = pytest.main([str(ROOT / "tests"), f"--rootdir={ROOT}", "--co", "-qq"], plugins=[proofs])
    if code:
        raise SystemExit(code)
    return proofs.tests


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(collected()), encoding="utf-8")
