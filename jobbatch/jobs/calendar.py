"""A crontab's five fields: whether cron takes them, and the same as systemd's calendar events."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of the week", 0, 7, _DAYS)


def on_calendar(cron: str) -> list[str]:
    """Return the calendar events that, together, are a crontab's five fields.

    Raises:
        ValueError: naming a field that is not a crontab's.
    """
    minute, hour, day, month, weekday = cron.split()
    either = not day.startswith("*") and not weekday.startswith("*")
    longest = max(_LONGEST[month - 1] for month in _values(month, _MONTH))
    if not either and min(_values(day, _DAY)) > longest:
        raise ValueError(f"{day!r} is no day of the month {month!r}")
    time = f"{_listed(hour, _HOUR)}:{_listed(minute, _MINUTE)}:00"
    months, days = _listed(month, _MONTH), _listed(day, _DAY)
    on = ",".join(_DAYS[n].title() for n in sorted({n % 7 for n in _values(weekday, _WEEKDAY)}))
    if weekday.startswith("*") and "/" not in weekday:
        return [f"*-{months}-{days} {time}"]
    if not either:
        return [f"{on} *-{months}-{days} {time}"]
    # cron runs when either day fits, systemd when both do.
    return [f"*-{months}-{days} {time}", f"{on} *-{months}-* {time}"]


def _listed(text: str, field: _Field) -> str:
    values = _values(text, field)
    whole = len(values) == field.last - field.first + 1
    return "*" if whole else ",".join(f"{value:02}" for value in sorted(values))


def _values(text: str, field: _Field) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is no {field.name} of a crontab")
        every, first, last, step = found.groups()
        low = field.first if every else _number(first, field)
        high = field.last if every else _number(last or first, field)
        # Debian's cron takes no step after a single value, others go on to the end from there.
        if high < low or (step and (int(step) == 0 or not (every or last))):
            raise ValueError(f"{part!r} is no {field.name} of a crontab")
        values |= set(range(low, high + 1, int(step or 1)))
    return values


def _number(text: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.first
    if not text.isdecimal() or not field.first <= int(text) <= field.last:
        raise ValueError(f"{text!r} is no {field.name} ({field.first} to {field.last})")
    return int(text)
