"""Both ends of the pipe to a process of our own, which does what may go wrong badly.

A table is somebody else's file: it may crash, exhaust or hang whatever reads it. So it is read in a
process that is started for it, and not forked, since a fork inherits the locks of threads that it
lacks. The process gets one line of JSON on its standard input and says lines of JSON on its standard
output: news and warnings, then its answer or the error that stood in the way. Its input stays open:
the end of it means that nobody waits for an answer any more.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, NoReturn, cast

from jobbatch import errors
from jobbatch.errors import (
    InputError,
    JobbatchError,
    MissingExtraError,
    ModelError,
    ResourceError,
)

logger = logging.getLogger(__name__)

Message = dict[str, Any]
"""What JSON can hold."""
STILL_READING = "reading"
"""In news: whether silence still means that the file does not let itself be read."""
_PATIENCE_SECONDS = 10
"""How long a process may take to end when it is asked to."""
_COMPLAINT_LINES = 200
_NO_MEMORY = re.compile(
    r"memory allocation|MemoryError|cannot allocate memory|bad_alloc|out of memory"
    r"|failed to allocate|failed to map segment|failed to spawn|can't start new thread"
    r"|resource temporarily unavailable|pthread_create failed|os error 1[12]\b",
    re.IGNORECASE,
)
"""What Rust, Python, C++ and the loader say where memory, or the room for a thread, is missing."""
_ALLOCATION = re.compile(r"memory allocation of (\d+) bytes failed")
_ABSURD_BYTES = 1 << 40
"""Asked for at once, they are no table's need but a damaged file's claim."""
_PR_SET_PDEATHSIG = 1
_KILLED = -9
"""By the kernel, whose memory ran out; Windows has no such signal."""


class BugError(RuntimeError):
    """A process failed by a bug of ours; the message is its traceback.

    Attributes:
        kind: the name of its exception.
        frames: the traceback without the message, which may quote the file.
    """

    def __init__(self, message: str, kind: str = "", frames: str = "") -> None:
        super().__init__(message)
        self.kind = kind or type(self).__name__
        self.frames = frames


def run(
    module: str,
    request: Message,
    *,
    about: Path,
    silence: float,
    hint: str,
    news: Callable[[Message], None] | None = None,
) -> Message:
    """Return the answer of `python -m module` to a request.

    If the caller is interrupted, the process is asked to stop, and is gone when this function is left.

    Args:
        module: one that calls `serve`.
        request: what it is asked.
        about: the file that it reads, for messages.
        silence: seconds without a word after which it is ended, as long as it is `STILL_READING`.
        hint: what may help then, for the message.
        news: told what it says on the way.

    Raises:
        JobbatchError: that stood in its way; an InputError if the file crashed it, a ResourceError
            if memory or time ran out.
        BugError: if it failed by a bug.
    """
    with _started(module) as process:
        said = SimpleQueue[bytes]()
        complaints = deque[bytes](maxlen=_COMPLAINT_LINES)
        threads = [
            threading.Thread(target=_forward, args=(process.stdout, said.put), daemon=True),
            threading.Thread(
                target=_forward, args=(process.stderr, complaints.append), daemon=True
            ),
        ]
        for thread in threads:
            thread.start()
        with suppress(OSError):  # it ended at once, which is noticed below
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        limit: float | None = min(silence, threading.TIMEOUT_MAX)
        while line := _next(
            said, limit, f"{about} was not read within {silence:.4g} seconds: {hint}"
        ):
            message = json.loads(line)
            if "answer" in message:
                return dict(message["answer"])
            if "failed" in message:
                raise _error(message, about)
            if "warning" in message:
                logger.warning("%s", message["warning"])
            elif news is not None:
                news(message)
            limit = limit if message.get(STILL_READING, True) else None
        process.wait()
        threads[1].join()
        raise _fate(process.returncode, b"".join(complaints).decode(errors="replace"), about)


def serve(work: Callable[[Message, Callable[[Message], None]], Message]) -> NoReturn:
    """Answer the request of standard input, and end the process.

    Args:
        work: returns the answer to a request; what it is given besides tells news.
    """
    _die_with_the_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    say = _saying()
    logging.basicConfig(handlers=[_Warnings(say)], level=logging.WARNING)
    code = 0
    try:
        request = json.loads(sys.stdin.buffer.readline() or sys.exit(1))
        threading.Thread(target=_end_with_the_input, daemon=True).start()
        say({"answer": work(request, say)})
    except JobbatchError as error:
        trace = traceback.format_exc()  # has the causes too
        say({"failed": type(error).__name__, "message": str(error), "trace": trace})
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        frames = "".join(traceback.format_tb(error.__traceback__))
        trace = traceback.format_exc()
        say({"failed": type(error).__name__, "message": frames, "trace": trace})
    # At once: nothing is left to do, and libraries take their time to be torn down.
    os._exit(code)


@contextmanager
def _started(module: str) -> Iterator[Any]:  # a Popen whose pipes are not None
    # -P: not to import from the current folder, which may hold somebody else's files.
    process: Any = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        try:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
            with suppress(OSError):
                process.stdin.close()


def _forward(stream: IO[bytes], put: Callable[[bytes], None]) -> None:
    """Hand on each line of a stream, and nothing at its end."""
    with stream:
        for line in stream:
            put(line)
    put(b"")


def _next(said: SimpleQueue[bytes], limit: float | None, too_late: str) -> bytes:
    try:
        return said.get(timeout=limit)
    except Empty:
        raise ResourceError(too_late) from None


def _error(failed: Message, about: Path) -> Exception:
    """Return the error that stood in the way of a process, as it told it."""
    name, message = failed["failed"], failed["message"]
    known = getattr(errors, name, None)
    suspects = (None, InputError, ModelError, MissingExtraError)
    if name == "MemoryError" or (known in suspects and _NO_MEMORY.search(failed["trace"])):
        return _exhausted(about)
    if known is not None:
        return cast("JobbatchError", known(message))
    if name == "PanicException":
        return _crashed(about, "panic")
    return BugError(failed["trace"], name, frames=message)


def _fate(code: int, complaint: str, about: Path) -> Exception:
    """Return the error for a process that ended without a word."""
    asked = _ALLOCATION.search(complaint)
    absurd = asked is not None and int(asked[1]) > _ABSURD_BYTES
    no_memory = code == _KILLED or _NO_MEMORY.search(complaint) or _memory_is_limited()
    if no_memory and not absurd:
        return _exhausted(about)
    if code == 128 + signal.SIGTERM:
        return ResourceError(
            f"the process that read {about} was ended from outside. Run the same command again "
            "to go on"
        )
    if not 0 <= code <= 255:  # Windows has large codes for what are signals here
        return _crashed(about, signal.Signals(-code).name if code < 0 else hex(code))
    return BugError(complaint or f"the process that read {about} ended with {code}")


def _memory_is_limited() -> bool:
    """Return whether there is a limit (ulimit -v); libraries that meet it often just abort."""
    if sys.platform != "linux":
        return False
    import resource  # noqa: PLC0415 - does not exist on Windows

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _exhausted(about: Path) -> ResourceError:
    return ResourceError(
        f"{about}: the memory at hand is too little to read it, or the file is made to need too "
        "much. Raise the limit (ulimit -v), or save it as .csv or .parquet"
    )


def _crashed(about: Path, how: str) -> InputError:
    return InputError(
        f"{about} crashed its reader ({how}): the file is damaged or hostile. Save it again with "
        "the program that made it"
    )


class _Warnings(logging.Handler):
    """Tells warnings to the parent, whose log they belong to."""

    def __init__(self, say: Callable[[Message], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one."""
        self._say({"warning": record.getMessage()})


def _saying() -> Callable[[Message], None]:
    """Return a function that says a message; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def say(message: Message) -> None:
        left = memoryview(json.dumps(message).encode() + b"\n")
        with lock:
            while left:
                left = left[out.write(left) :]

    return say


def _die_with_the_parent() -> None:
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - needed on Linux alone

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_the_input() -> None:
    """End the process when the parent's end of its input is closed: the parent is gone."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
