"""Tells a monitor that a job starts, succeeds or fails, as healthchecks.io wants to be told.

What a monitor does or does not answer is no failure of the job.
"""

from __future__ import annotations

import logging
import threading
import urllib.error
import urllib.request
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

TIMEOUT_SECONDS = 5.0
"""Until the whole answer is there: one that comes in drops holds up no job."""
_ENDINGS = {"start": "/start", "success": "", "failure": "/fail"}

logger = logging.getLogger(__name__)


def send(url: str | None, event: Literal["start", "success", "failure"]) -> None:
    """Get the URL of an event; one that does not answer is a warning.

    Args:
        url: of the check, http or https; none: nobody is told.
        event: what happened.
    """
    if url is None:
        return
    failures = [f"no answer within {TIMEOUT_SECONDS:g} seconds"]
    thread = threading.Thread(target=_get, args=(url, _ENDINGS[event], failures), daemon=True)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    for failure in failures[-1:]:  # a copy: the answer may come just now
        logger.warning("the ping of the %s did not arrive: %s; the run goes on", event, failure)


def _get(url: str, ending: str, failures: list[str]) -> None:
    """Get the URL with an ending to its path; `failures` is emptied when the answer is there."""
    try:
        parts = urlsplit(url)
        target = urlunsplit(parts._replace(path=parts.path.rstrip("/") + ending))
        with urllib.request.urlopen(target, timeout=TIMEOUT_SECONDS):  # noqa: S310 - settings let http through only
            failures.clear()
    except Exception as error:  # noqa: BLE001 - whatever it is, the job goes on
        failures.append(_reason(error))


def _reason(error: Exception) -> str:
    """Return what went wrong, without the URL: whoever knows it can report for the job."""
    match error:
        case urllib.error.HTTPError():
            return f"HTTP Error {error.code}"
        case urllib.error.URLError(reason=OSError() as cause):
            return cause.strerror or type(cause).__name__
        case _:
            return type(error).__name__
