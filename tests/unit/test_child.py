"""What a process of ours says, and what its end means when it says nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jobbatch import child
from jobbatch.errors import InputError, JobbatchError, PasswordError, ResourceError

Asked = Callable[..., child.Message]
FILE = Path("people.parquet")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Return a function that asks a process whose work is the given lines of Python."""

    def ask(lines: str, *, silence: float = 60, **options: Callable[..., None]) -> child.Message:
        _reader(tmp_path, lines)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return child.run("reader", {"n": 3}, about=FILE, silence=silence, hint="wait", **options)

    return ask


def _reader(folder: Path, lines: str) -> None:
    body = "\n".join(f"    {line}" for line in lines.splitlines())
    (folder / "reader.py").write_text(
        "import logging, os, resource, signal, sys, time\n"
        "from jobbatch import child, errors\n"
        f"def work(request, say):\n{body}\n"
        "child.serve(work)\n"
    )


def test_it_answers_what_it_is_asked(asked: Asked) -> None:
    assert asked("return {'twice': 2 * request['n'], 'é': '\\udce9🙂'}") == {
        "twice": 6,
        "é": "\udce9🙂",
    }


def test_news_are_told_in_order_and_warnings_are_logged_here(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[child.Message] = []
    asked(
        "for i in range(3): say({'i': i})\nlogging.warning('odd %s', 5)\nreturn {}",
        news=told.append,
    )
    assert told == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert [record.getMessage() for record in caplog.records] == ["odd 5"]


def test_what_libraries_print_is_no_answer(asked: Asked) -> None:
    assert asked("print('{}'); os.system('echo {}'); return {'right': True}") == {"right": True}


def test_files_of_the_current_folder_are_not_run(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "json.py").write_text("raise SystemExit('hijacked')")
    os.chdir(tmp_path / "here")
    assert asked("return {}") == {}


def test_an_error_is_the_same_error_here(asked: Asked) -> None:
    with pytest.raises(PasswordError, match=r"^open it with '🙂'$"):
        asked("raise errors.PasswordError(\"open it with '🙂'\")")


def test_a_bug_keeps_its_traceback(asked: Asked) -> None:
    with pytest.raises(child.BugError, match=r"(?s)in work.*ZeroDivisionError") as bug:
        asked("return 1 / 0")
    assert bug.value.kind == "ZeroDivisionError"
    assert "in work" in bug.value.frames


@pytest.mark.parametrize(
    ("lines", "error", "says"),
    [
        ("os.abort()", InputError, r"crashed its reader \(SIGABRT\): the file is damaged"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", InputError, r"crashed its reader \(SIGSEGV\)"),
        ("class PanicException(BaseException): pass\nraise PanicException", InputError, "panic"),
        ("os.kill(os.getpid(), signal.SIGKILL)", ResourceError, "memory at hand is too little"),
        ("raise MemoryError", ResourceError, "memory at hand is too little"),
        (
            "os.write(2, b'memory allocation of 99 bytes failed\\n'); os.abort()",
            ResourceError,
            "memory at hand is too little",
        ),
        (
            f"os.write(2, b'memory allocation of {1 << 61} bytes failed\\n'); os.abort()",
            InputError,
            r"crashed its reader \(SIGABRT\)",
        ),
        ("raise errors.InputError('Cannot allocate memory')", ResourceError, "memory at hand"),
        (
            "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
            ResourceError,
            "was ended from outside.*same command again",
        ),
    ],
)
def test_an_end_without_an_answer_is_an_error_that_names_the_file(
    asked: Asked, lines: str, error: type[JobbatchError], says: str
) -> None:
    with pytest.raises(error, match=rf"people\.parquet.*{says}"):
        asked(lines)


@ON_LINUX
@pytest.mark.fault(38)
def test_a_limit_of_memory_is_a_resource_error(asked: Asked) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))"
    with pytest.raises(ResourceError, match="ulimit -v"):
        asked(f"{limit}\nreturn {{'n': len(bytearray(1 << 31))}}")


@pytest.mark.fault(18)
def test_silence_while_reading_is_ended(asked: Asked) -> None:
    with pytest.raises(ResourceError, match=r"not read within 0\.5 seconds: wait"):
        asked("time.sleep(600)", silence=0.5)


@pytest.mark.parametrize("lines", ["time.sleep(600)", "try: time.sleep(600)\nfinally: say({})"])
def test_an_interrupted_caller_leaves_no_process_behind(asked: Asked, lines: str) -> None:
    pids: list[int] = []

    def interrupted(message: child.Message) -> None:
        pids.append(message["pid"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(f"say({{'pid': os.getpid()}})\n{lines}", news=interrupted)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize("way", ["its parent is killed", "its input ends"])
def test_a_process_whose_parent_is_gone_ends(tmp_path: Path, way: str) -> None:
    prevent = "child._die_with_the_parent = lambda: None\n" if way == "its input ends" else ""
    _reader(tmp_path, "say({'pid': os.getpid()})\ntime.sleep(600)")
    reader = tmp_path / "reader.py"
    reader.write_text(reader.read_text().replace("child.serve", f"{prevent}child.serve"))
    code = (
        "import pathlib; from jobbatch import child\n"
        "child.run('reader', {}, about=pathlib.Path('a'), silence=60, hint='',"
        " news=lambda m: print(m['pid'], flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    _wait_for_the_end_of(pid)


def _wait_for_the_end_of(pid: int) -> None:
    for _ in range(1_000):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("it lives on")


def test_it_answers_a_thread_too(asked: Asked) -> None:
    answers: list[child.Message] = []
    thread = threading.Thread(target=lambda: answers.append(asked("return {'n': 1}")))
    thread.start()
    thread.join()
    assert answers == [{"n": 1}]
