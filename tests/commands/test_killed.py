"""Runs killed at every step and at any moment: whole processes, run again until they are done."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from jobbatch.model import CHUNK_TITLES
from tests.commands.ran import Command

KILLS = int(os.environ.get("JOBBATCH_TORTURE_KILLS", "3"))
"""Kills at random moments; `make torture` has more of them."""
TITLES = 2 * CHUNK_TITLES["cpu"] + 100
"""Distinct titles: three chunks, so that a killed run can have some behind it and some ahead."""
STEPS = """
import os, signal, sys, tempfile

run = int(os.environ.setdefault("TEST_PROCESS", str(os.getpid())))
steps = os.open(os.environ["TEST_STEPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
signum, step = int(os.environ["TEST_SIGNAL"]), int(os.environ["TEST_STEP"])
only = os.environ.get("TEST_ONLY", "")
elsewhere = ("/dev/", tempfile.gettempdir())
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link"}

def count(event, arguments):
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
    elif event not in CHANGES:
        return
    if str(arguments[0]).startswith(elsewhere) or only not in f"{event} {arguments[0]}":
        return
    os.write(steps, b".")
    if os.fstat(steps).st_size == step:
        os.kill(run, signum)

sys.addaudithook(count)
"""
"""A sitecustomize.py that signals a run just before its n-th change of the file system."""


@dataclass(frozen=True)
class Runs:
    """Starts `jobbatch label people.csv` for an output, each output with a score store of its own."""

    variables: Mapping[str, str]
    command: Command

    def start(self, output: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a run that may replace the output."""
        cache = output.with_suffix(".cache")
        code = ["-m", "jobbatch", "label", "people.csv", str(output), "--overwrite"]
        return subprocess.Popen(
            [sys.executable, *code, "--json", "--cache-dir", str(cache)],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def start_signalled(
        self, output: Path, signum: int, step: int, only: str = ""
    ) -> subprocess.Popen[bytes]:
        """Start a run that gets a signal just before its n-th change of a file; 0: never.

        Args:
            output: of the run.
            signum: the signal.
            step: n.
            only: part of the changes that count; left out, all outside the temporary folder.
        """
        return self.start(
            output,
            PYTHONPATH=self.variables["TEST_PATCHES"],
            TEST_STEPS=str(output.with_suffix(".steps")),
            TEST_SIGNAL=str(signum),
            TEST_STEP=str(step),
            TEST_ONLY=only,
        )

    def stored(self, output: Path) -> int:
        """Return how many titles the store of an output holds, in whole parts."""
        parts = list(output.with_suffix(".cache").rglob("*.parquet"))
        return pl.scan_parquet(parts).select(pl.len()).collect().item() if parts else 0

    def finish(self, output: Path) -> int:
        """Run to the end, and return how many titles had to be scored for it."""
        options = ["--overwrite", "--json", "--cache-dir", output.with_suffix(".cache")]
        for _ in range(300):
            ran = self.command("label", "people.csv", output, *options)
            if ran.code != 11:
                break
            time.sleep(0.1)  # what the killed run had started has not yet ended
        assert (ran.code, ran.err) == (0, "")
        return int(json.loads(ran.out)["new_titles"])


@pytest.fixture
def runs(environment: Mapping[str, str], command: Command, tmp_path: Path) -> Runs:
    titles = [f"nurse of ward {i}" for i in range(TITLES)]
    pl.DataFrame({"id": range(TITLES), "title": titles}).write_csv(tmp_path / "people.csv")
    patches = tmp_path / "patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(STEPS)
    variables = {"PYTHONDONTWRITEBYTECODE": "1", "TEST_PATCHES": str(patches)}
    return Runs({**environment, **variables}, command)


@pytest.fixture
def undisturbed(runs: Runs, tmp_path: Path) -> bytes:
    """Return what a run makes that nobody disturbs."""
    assert runs.finish(tmp_path / "undisturbed.parquet") == TITLES
    return (tmp_path / "undisturbed.parquet").read_bytes()


def check_and_finish(runs: Runs, output: Path, undisturbed: bytes) -> None:
    """Check what a killed run left behind, and that the next one ends as if nothing had been."""
    assert output.read_bytes() in {b"old", undisturbed}
    stored = runs.stored(output)  # a process that the run had started may add to it yet
    assert runs.finish(output) <= TITLES - stored
    assert output.read_bytes() == undisturbed
    left = [
        path.name for path in output.parent.glob("*") if path.is_file() and output.stem in path.name
    ]
    assert sorted(set(left) - {f"{output.stem}.steps"}) == [
        output.name,
        f"{output.name}.jobbatch.json",
    ]
    assert list(Path(runs.variables["TMPDIR"]).glob("jobbatch-*")) == []


@pytest.mark.fault(1)
def test_a_run_killed_at_any_step_is_simply_run_again(
    runs: Runs, undisturbed: bytes, tmp_path: Path
) -> None:
    counted = runs.start_signalled(tmp_path / "counted.parquet", signal.SIGKILL, 0)
    counted.communicate()
    n_steps = (tmp_path / "counted.steps").stat().st_size
    assert n_steps > 15
    for step in range(1, n_steps + 1):
        output = tmp_path / f"out{step}.parquet"
        output.write_bytes(b"old")
        process = runs.start_signalled(output, signal.SIGKILL, step)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        check_and_finish(runs, output, undisturbed)


@pytest.mark.fault(1)
def test_a_run_killed_at_any_moment_is_simply_run_again(
    runs: Runs, undisturbed: bytes, tmp_path: Path
) -> None:
    started = time.monotonic()
    runs.start(tmp_path / "timed.parquet").communicate()
    whole = time.monotonic() - started
    moments = random.Random(KILLS)  # noqa: S311 - not for secrets
    for number in range(KILLS):
        output = tmp_path / f"out{number}.parquet"
        output.write_bytes(b"old")
        process = runs.start(output)
        time.sleep(moments.uniform(0, whole))
        process.kill()
        process.communicate()
        check_and_finish(runs, output, undisturbed)


@pytest.fixture
def stopped(runs: Runs, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a run on out.parquet that stopped when it had stored one chunk of three."""
    process = runs.start_signalled(
        tmp_path / "out.parquet", signal.SIGSTOP, 2, only=f"os.rename {tmp_path / 'out.cache'}"
    )
    with process:
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        yield process
        process.kill()
        go_on(process)


def go_on(process: subprocess.Popen[bytes]) -> None:
    """Let a stopped run go on, and whatever it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)


@pytest.mark.fault(2)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_keeps_its_scores_and_says_how_to_go_on(
    stopped: subprocess.Popen[bytes], runs: Runs, tmp_path: Path, signum: int, code: int
) -> None:
    output = tmp_path / "out.parquet"
    stopped.send_signal(signum)
    go_on(stopped)
    out, err = stopped.communicate()
    assert (stopped.returncode, out) == (code, b"")
    assert err == b"jobbatch: interrupted; run the same command again to go on\n"
    assert not output.exists()
    stored = runs.stored(output)
    assert stored >= CHUNK_TITLES["cpu"]
    assert runs.finish(output) == TITLES - stored
    assert pl.read_parquet(output).height == TITLES


@pytest.mark.fault(8)
def test_a_second_run_ends_at_once_and_a_third_runs_when_the_first_was_killed(
    stopped: subprocess.Popen[bytes], command: Command, runs: Runs, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    assert command("label", "people.csv", output, "--overwrite").code == 11
    assert not output.exists()
    stopped.kill()
    go_on(stopped)
    stopped.wait()
    # A process that it had started may have stored more before it went, too.
    assert runs.finish(output) <= TITLES - CHUNK_TITLES["cpu"]
    assert pl.read_parquet(output).height == TITLES
