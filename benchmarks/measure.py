"""How things are timed: whole processes from outside, and functions in turn inside one.

Ways that are compared run one after the other, round after round, so that a machine that slows
down slows all of them. What is kept is every round's figure; what is shown is the median.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

_RSS_BYTES = 1 if platform.system() == "Darwin" else 1024
"""What the system counts peak memory in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished process: its wall time and its peak memory."""

    seconds: float
    peak_mib: float


_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
child = os.fork()
if not child:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - started
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss]))
"""
"""A small process between us and what is measured: a child's peak memory counts that of the process
which it was forked from."""


def process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: if it fails, with what it said.
    """
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
        capture_output=True,
        check=True,
        env=None if environment is None else {**os.environ, **environment},
    )
    code, seconds, peak = json.loads(answer.stdout)
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}: {answer.stderr.decode()}")
    return Run(seconds=seconds, peak_mib=peak * _RSS_BYTES / 2**20)


def python(*arguments: str) -> list[str]:
    """Return the command that runs this Python with `arguments`."""
    return [sys.executable, *arguments]


def jobbatch(*arguments: str) -> list[str]:
    """Return the command that runs jobbatch with `arguments`."""
    return python("-m", "jobbatch", *arguments)


def in_turn(ways: Mapping[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """Run all ways one after the other, `rounds` times, after a round that is not counted."""
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            found = way()
            if number:
                runs[name].append(found)
                print(f"    {name}: {found.seconds:.2f} s, {found.peak_mib:.0f} MiB", flush=True)
    return runs


def seconds_of(runs: Sequence[Run]) -> float:
    """Return the median time."""
    return median(run.seconds for run in runs)


def peak_of(runs: Sequence[Run]) -> float:
    """Return the median peak memory in MiB."""
    return median(run.peak_mib for run in runs)


def timed(work: Callable[[], object], n_titles: int) -> Callable[[], float]:
    """Return a function that does the work and returns how many titles a second that was."""

    def way() -> float:
        started = time.perf_counter()
        work()
        return n_titles / (time.perf_counter() - started)

    return way
