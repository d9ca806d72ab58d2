"""A crontab's five fields mean the same to systemd."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobbatch.jobs.calendar import on_calendar

FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@st.composite
def parts(draw: st.DrawFn, first: int, last: int) -> tuple[str, set[int]]:
    """Draw a part of a field, and the values that it stands for."""
    low = draw(st.integers(first, last))
    high = draw(st.integers(low, last))
    step = draw(st.integers(1, 40))
    return draw(
        st.sampled_from(
            [
                (str(low), {low}),
                (f"{low}-{high}", set(range(low, high + 1))),
                (f"{low}-{high}/{step}", set(range(low, high + 1, step))),
                ("*", set(range(first, last + 1))),
                (f"*/{step}", set(range(first, last + 1, step))),
            ]
        )
    )


@st.composite
def crontabs(draw: st.DrawFn) -> list[tuple[str, set[int]]]:
    """Draw five fields, and the values that each stands for."""
    fields = []
    for first, last in FIELDS:
        drawn = draw(st.lists(parts(first, last), min_size=1, max_size=3))
        fields.append(
            (",".join(text for text, _ in drawn), set[int]().union(*(v for _, v in drawn)))
        )
    return fields


def cron_runs(fields: list[tuple[str, set[int]]], when: datetime) -> bool:
    """Return whether cron runs at a time, by its manual page."""
    (_, minutes), (_, hours), (day, days), (_, months), (weekday, weekdays) = fields
    on_day = when.day in days
    on_weekday = when.isoweekday() % 7 in {n % 7 for n in weekdays}
    either = not day.startswith("*") and not weekday.startswith("*")
    fits = (on_day or on_weekday) if either else (on_day and on_weekday)
    return when.minute in minutes and when.hour in hours and when.month in months and fits


def systemd_runs(event: str, when: datetime) -> bool:
    """Return whether a calendar event elapses at a time, by systemd.time(7)."""
    found = re.fullmatch(r"(?:(\S+) )?\*-(\S+?)-(\S+) (\S+?):(\S+):00", event)
    assert found is not None
    weekdays, months, days, hours, minutes = found.groups()
    named = weekdays is None or WEEKDAYS[when.weekday()] in weekdays.split(",")
    pairs = ((months, when.month), (days, when.day), (hours, when.hour), (minutes, when.minute))
    return named and all(text == "*" or f"{n:02}" in text.split(",") for text, n in pairs)


@given(crontabs(), st.integers(0, 4 * 366 * 24 * 60))
def test_a_timer_elapses_when_cron_runs(fields: list[tuple[str, set[int]]], minute: int) -> None:
    when = datetime(2024, 1, 1) + timedelta(minutes=minute)  # noqa: DTZ001 - cron knows no zone
    # A time at random rarely fits, so that the fields' first values are looked at too.
    likely = when.replace(minute=min(fields[0][1]), hour=min(fields[1][1]))
    events = on_calendar(" ".join(text for text, _ in fields))
    for moment in (
        when,
        likely,
        likely.replace(day=1),
        likely.replace(month=min(fields[3][1]), day=1),
    ):
        assert any(systemd_runs(e, moment) for e in events) == cron_runs(fields, moment)


@given(st.lists(st.text("0123456789*/-,amonsu", min_size=1, max_size=6), min_size=5, max_size=5))
def test_whatever_is_written_is_a_time_or_a_named_mistake(fields: list[str]) -> None:
    try:
        said = on_calendar(" ".join(fields))
    except ValueError as error:
        said = [str(error)]
    assert all(re.search(r"(\d|\*):00$| is no (minute|hour|month|day of)", line) for line in said)


@pytest.mark.parametrize("name", ["SUN", "sun", "0", "7"])
def test_sunday_has_several_names(name: str) -> None:
    assert on_calendar(f"0 0 * * {name}") == ["Sun *-*-* 00:00:00"]
