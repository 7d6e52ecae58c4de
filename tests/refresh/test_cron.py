"""Cron times are the zone's, also on the days when its clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdesk.refresh.cron import parse


def times(text: str, after: str, count: int) -> list[str]:
    cron, at, found = parse(text), datetime.fromisoformat(after).replace(tzinfo=UTC), []
    for _ in range(count):
        at = cron.after(at)
        found.append(at.strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "after", "found"),
    [
        ("0 2 * * * UTC", "2026-01-01 01:59", ["01-01 02:00", "01-02 02:00"]),
        ("0 2 * * * UTC", "2026-01-01 02:00", ["01-02 02:00"]),
        ("*/20 * * * * UTC", "2026-01-01 00:01", ["01-01 00:20", "01-01 00:40", "01-01 01:00"]),
        ("10-40/15 6,18 * * * UTC", "2026-01-01 00:00", ["01-01 06:10", "01-01 06:25", "01-01 06:40", "01-01 18:10"]),
        ("30 1 * * MON-FRI UTC", "2026-01-02 12:00", ["01-05 01:30", "01-06 01:30"]),
        ("0 0 * * 7 UTC", "2026-01-01 00:00", ["01-04 00:00"]),
        ("0 0 1 * * UTC", "2026-01-31 00:00", ["02-01 00:00", "03-01 00:00"]),
        ("0 0 31 * * UTC", "2026-02-01 00:00", ["03-31 00:00", "05-31 00:00"]),
        ("0 0 29 FEB * UTC", "2026-01-01 00:00", ["02-29 00:00"]),
        ("0 0 13 * FRI UTC", "2026-01-01 00:00", ["01-02 00:00", "01-09 00:00", "01-13 00:00"]),
        ("0 2 * * * Asia/Kolkata", "2026-01-01 00:00", ["01-01 20:30"]),
    ],
)
def test_times(text: str, after: str, found: list[str]) -> None:
    """Lists, ranges, steps and names; day of month or day of week."""
    assert times(text, after, len(found)) == found


def test_a_time_that_is_left_out_comes_at_the_change() -> None:
    """8 March 2026 in Los Angeles has no 02:30: 03:00 PDT is 10:00 UTC."""
    assert times("30 2 * * * America/Los_Angeles", "2026-03-07 12:00", 2) == ["03-08 10:00", "03-09 09:30"]


def test_a_time_that_comes_twice_is_taken_once() -> None:
    """1 November 2026 in Los Angeles has two 01:30."""
    assert times("30 1 * * * America/Los_Angeles", "2026-10-31 12:00", 2) == ["11-01 08:30", "11-02 09:30"]


def test_every_hour_is_every_hour() -> None:
    """Also across both changes."""
    assert times("0 * * * * America/Los_Angeles", "2026-03-08 08:30", 3) == [
        "03-08 09:00",
        "03-08 10:00",
        "03-08 11:00",
    ]
    assert times("30 * * * * America/Los_Angeles", "2026-11-01 08:00", 3) == [
        "11-01 08:30",
        "11-01 09:30",
        "11-01 10:30",
    ]


@given(
    minute=st.integers(0, 59), hour=st.integers(0, 23),
    zone=st.sampled_from(("America/Los_Angeles", "Europe/Vienna", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC")),
    start=st.datetimes(datetime(2016, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)  # fmt: skip
def test_a_daily_time_comes_once_each_day(minute: int, hour: int, zone: str, start: datetime) -> None:
    """In every zone, over every change: one time for each local date, a day or so apart."""
    cron, found = parse(f"{minute} {hour} * * * {zone}"), [start]
    for _ in range(5):
        found.append(cron.after(found[-1]))
    days = [at.astimezone(cron.zone).date() for at in found[1:]]
    assert [(later - earlier).days for earlier, later in pairwise(days)] == [1, 1, 1, 1]
    assert all(22 * 3600 < (b - a).total_seconds() < 26 * 3600 for a, b in pairwise(found[1:]))


@pytest.mark.parametrize(
    "text", ["", "* * * * *", "60 * * * * UTC", "* * 0 * * UTC", "* * * 13 * UTC", "* * * * 8 UTC", "a * * * * UTC",
             "1- * * * * UTC", "5-1 * * * * UTC", "*/0 * * * * UTC", "1,,2 * * * * UTC", "* * * * * ../etc/passwd",
             "* * * * * Nowhere", "0 0 31 4 * UTC"],
)  # fmt: skip
def test_what_is_no_cron_is_refused(text: str) -> None:
    """Saying why."""
    with pytest.raises(ValueError, match=r"cron|outside|time zone|never"):
        parse(text)
