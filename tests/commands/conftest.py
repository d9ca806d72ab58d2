"""Fixtures: the command line in a process of its own, in this process, and on a terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from jobbatch import cli
from tests.commands.ran import Command, Files, Ran

PEOPLE = 'id,Job Title,notes\n007,Chief Cheese Officer,n/a\n008,nurse,""\n009,,=1+1\n010,"Owner / Manager","a\nb"\n011,nurse,"x;y,z"\n'


@pytest.fixture
def environment(
    word_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """Set up the word model and a cache of the test's own as every command's defaults."""
    for name in [name for name in os.environ if name.startswith(("JOBBATCH_", "PYTHON"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("JOBBATCH_MODEL", str(word_model))
    monkeypatch.setenv("JOBBATCH_CACHE_DIR", str(tmp_path / "scores"))
    # Killed runs leave their temporary folders here.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # the test's own process looks again
    return os.environ


@pytest.fixture
def jobbatch(environment: Mapping[str, str]) -> Command:
    """Return a runner of the command line in a process of its own, in the test's folder.

    `patch` is Python code that runs when each of its processes starts, to make one fail at a
    chosen point.
    """

    def patched(patch: str) -> dict[str, str]:
        if not patch:
            return {}
        folder = Path(environment["TMPDIR"]) / "patch"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(patch)
        return {"PYTHONPATH": str(folder)}

    def run(
        *arguments: object,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
        patch: str | None = None,
    ) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "jobbatch", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env={**environment, **(variables or {}), **patched(patch or "")},
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def command(
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    """Return a runner of the command line in this process: the same, without the start-up time."""
    del environment

    def run(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["jobbatch", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as leaving:
                cli.main()
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)
        out, err = capfd.readouterr()
        return Ran(int(leaving.value.code or 0), out, err)

    return run


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Command:
    """Return a runner of the command line on a terminal of 100 columns; `out` is what it shows."""

    def run(*arguments: object) -> Ran:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "jobbatch", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color"},
        )
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 1 << 16):
                shown += block
        except OSError:
            pass  # what Linux says at the end of a terminal
        finally:
            os.close(ours)
        return Ran(process.wait(timeout=60), shown.decode(), "")

    return run


@pytest.fixture
def people_csv(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return a function that lists the test's folder, but for the locks, which stay by design."""
    return lambda: sorted(p.name for p in tmp_path.iterdir() if p.is_file() and p.suffix != ".lock")


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return a maker of file systems of their own, by the options of their mount."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root may mount a tmpfs")
    with ExitStack() as stack:

        def make(options: str) -> Path:
            try:
                return stack.enter_context(mounted(tmp_path / "disk", options))
            except subprocess.CalledProcessError:
                pytest.skip("no tmpfs may be mounted here")

        yield make
