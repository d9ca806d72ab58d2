"""The log of a run: a JSON object a line. It names files, never a title.

An error tells the user what is wrong with a table by quoting it; what is kept of the error does not.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from jobbatch.child import BugError
from jobbatch.errors import InputError, JobbatchError, PartialError, TitleColumnError, WriteError

_MAY_QUOTE = (InputError, TitleColumnError, PartialError)


def without_cells(error: BaseException) -> str:
    """Return an error's message as far as it quotes nothing of a table; of a bug its kind."""
    if not isinstance(error, JobbatchError):
        return error.kind if isinstance(error, BugError) else type(error).__name__
    said = re.split(r"['\"`]", str(error), maxsplit=1)
    is_cut = isinstance(error, _MAY_QUOTE) and len(said) > 1
    return f"{said[0]}(the rest quotes the table)" if is_cut else str(error)


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            # Without the exception's message, which may quote a cell.
            error = record.exc_info[1]
            frames = "".join(traceback.format_tb(record.exc_info[2]))
            fields["traceback"] = frames + (error.frames if isinstance(error, BugError) else "")
        return json.dumps(fields, ensure_ascii=False)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Let go of a line: a disk that is full is told by the work, or by the manifest."""


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Write what the package logs while the block runs to `path`, which is replaced.

    Raises:
        WriteError: if it cannot be made.
    """
    try:
        handler = _LogFile(path, mode="w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {error.strerror}") from error
    handler.setFormatter(_JsonLine())
    logger = logging.getLogger("jobbatch")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        try:
            handler.close()
        except OSError:
            logger.warning("%s could not be written to its end", path)
