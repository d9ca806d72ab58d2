"""The command line: read options, call one function, print its report.

Messages go to stderr, data to stdout.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn, TextIO

import typer

from jobbatch import __version__
from jobbatch.cli import labelling, teaching
from jobbatch.cli.options import app
from jobbatch.errors import JobbatchError, WriteError

__all__ = ["app", "labelling", "main", "teaching"]

_GO_ON = {
    "label": "; run the same command again to go on",
    "run": "; run the same command again to go on",
    "train": "; repeat it with --resume to go on",
}
"""What an interrupted command is told; the others start anew."""
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class Interrupted(BaseException):
    """A signal asked the run to stop."""

    def __init__(self, signum: int) -> None:
        self.exit_code = 128 + signum


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        typer.echo(f"jobbatch {__version__}")
        raise typer.Exit
    del context
    import logging

    told = logging.StreamHandler()
    told.setLevel(logging.WARNING)  # a job's log wants more
    logging.basicConfig(format="jobbatch: %(message)s", handlers=[told], level=logging.WARNING)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Interrupted(signum)


def main() -> None:
    """Run the command line and exit with its code."""
    # What imports make stays: looking through it for garbage takes a tenth of a short command.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Titles and file names are in any script, whatever the locale.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _stop)
    code = _exit_code()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away, as `| head` does; nobody is left to tell.
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        code = _code_of_full_disk(error)
    gc.freeze()  # else Python looks through all that was imported once more when it ends
    sys.exit(code)


def _open_closed_streams() -> None:
    """Open what is closed of the standard streams on nothing, in the order of their numbers.

    Else an output gets the number, and whatever a library writes to "stderr" goes into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - for good
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - positional only
            setattr(sys, name, stream)


def _discard(stream: TextIO) -> None:
    # What is left in its buffer would fail again when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(message: str) -> None:
    try:
        print(f"jobbatch: {message}", file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)  # a log on a full disk: the exit code must do


def _code_of_full_disk(error: Exception) -> int:
    """Tell of a disk that is full where nobody else looks: temporary files, logs, standard output."""
    from jobbatch.tables.publish import is_full

    if not is_full(error):
        raise error
    _say(f"{error}: free some space, also where TMPDIR and the output of this command are")
    return WriteError.exit_code


def _exit_code() -> int | str | None:
    try:
        app()
    except JobbatchError as error:
        _say(str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - libraries have exceptions of their own for it
        return _code_of_full_disk(error)
    except Interrupted as interruption:
        # The root's only option runs no command, so the first argument is the command.
        command = next(iter(sys.argv[1:]), "")
        _say(f"interrupted{_GO_ON.get(command, '')}")
        return interruption.exit_code
    except SystemExit as leaving:
        # Typer makes a closed stdout an exit of 1.
        return 0 if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
    return 0
