"""Tells a monitor that a job starts, succeeds or fails, as healthchecks.io wants to be told.

What a monitor does or does not answer is no failure of the job.
"""

from __future__ import annotations

import http.client
import logging
import urllib.request
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

TIMEOUT_SECONDS = 5.0
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
    parts = urlsplit(url)
    target = urlunsplit(parts._replace(path=parts.path.rstrip("/") + _ENDINGS[event]))
    try:
        with urllib.request.urlopen(target, timeout=TIMEOUT_SECONDS):  # noqa: S310 - settings let http through only
            pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Without the URL: whoever knows it can report for the job.
        logger.warning("the ping of the %s did not arrive: %s; the run goes on", event, error)
