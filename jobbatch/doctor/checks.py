"""A check: what was looked at, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jobbatch.errors import JobbatchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and found.

    Attributes:
        what: the subject.
        state: a warning may be meant so, a problem will end a run.
        text: what was found, for a person.
        exit_code: that the problem would end a run with; 0: there is none.
    """

    what: str
    state: Literal["ok", "warning", "problem"]
    text: str
    exit_code: int = 0


class DoubtError(Exception):
    """Something that may be meant so: a warning."""


def checked(what: str, look: Callable[[], str]) -> Check:
    """Return what came of a look, which returns what it found or raises what is wrong."""
    try:
        return Check(what=what, state="ok", text=look())
    except DoubtError as doubt:
        return Check(what=what, state="warning", text=str(doubt))
    except JobbatchError as error:
        return Check(what=what, state="problem", text=str(error), exit_code=error.exit_code)
