"""When a cron expression comes next, in its own time zone, right on the days when clocks change.

    minute hour day-of-month month day-of-week zone        0 2 * * * America/Los_Angeles
    *   a-b   a,b   */n   a-b/n   JAN…DEC   SUN…SAT (0…6, 7 is Sunday)

Day of month and day of week both given: either will do, as everywhere. A time that a change of clocks leaves out comes
at the change instead; one that it brings twice comes once, unless every hour is meant (`*`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS_AHEAD_MAX = 366 * 9
"""29 February may be eight years away."""

_MONTHS = {
    "JAN": 1, "FEB": 2, "MAR": 3, "APR": 4, "MAY": 5, "JUN": 6,
    "JUL": 7, "AUG": 8, "SEP": 9, "OCT": 10, "NOV": 11, "DEC": 12,
}  # fmt: skip
_WEEKDAYS = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """text is as it was written; the sets hold what each field allows."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: ZoneInfo
    is_hourly: bool
    is_any_day: bool
    is_any_weekday: bool

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment`, both in UTC."""
        first = moment.astimezone(self.zone).date() - timedelta(days=1)
        for offset in range(DAYS_AHEAD_MAX):
            day = first + timedelta(days=offset)
            if self._comes_on(day) and (later := [at for at in self._times(day) if at > moment]):
                return min(later)
        raise ValueError(f"{self.text} never comes")

    def _comes_on(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        is_either = not self.is_any_day and not self.is_any_weekday
        return day.month in self.months and (in_month or in_week if is_either else in_month and in_week)

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield from self._moments(datetime.combine(day, time(hour, minute)))

    def _moments(self, wall: datetime) -> Iterator[datetime]:
        """When the clocks of the zone show this."""
        early, late = (wall.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if early > late:  # left out: both readings are off by the jump, in opposite directions
            if not self.is_hourly:
                yield _jump(self.zone, late, early)
            return
        yield early
        if late > early and self.is_hourly:
            yield late


def parse(text: str) -> Cron:
    """Raises ValueError saying which field is wrong."""
    fields = text.split()
    if len(fields) != 6:
        raise ValueError(f"cron takes five fields and a time zone, such as `0 2 * * * UTC`, not {text!r}")
    minutes, hours, days, months, weekdays = (
        _field(field, *limits) for field, limits in zip(fields, _FIELDS, strict=False)
    )
    cron = Cron(
        text, minutes, hours, days, months, frozenset(day % 7 for day in weekdays), _zone(fields[5]),
        is_hourly=fields[1].startswith("*"), is_any_day=fields[2].startswith("*"),
        is_any_weekday=fields[4].startswith("*"),
    )  # fmt: skip
    cron.after(datetime(2000, 1, 1, tzinfo=UTC))
    return cron


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    allowed: set[int] = set()
    for part in text.split(","):
        extent, _, step = part.partition("/")
        first, dash, last = (f"{low}-{high}" if extent == "*" else extent).partition("-")
        try:
            start = names[first.upper()] if first.upper() in names else int(first)
            end = (names[last.upper()] if last.upper() in names else int(last)) if dash else (high if step else start)
            stride = int(step) if step else 1
        except ValueError:
            raise ValueError(f"{name} {text!r} is not a cron field") from None
        if not (low <= start <= end <= high and stride > 0):
            raise ValueError(f"{name} {text!r} is outside {low}-{high}")
        allowed.update(range(start, end + 1, stride))
    return frozenset(allowed)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/Vienna or UTC") from None


def _jump(zone: ZoneInfo, before: datetime, behind: datetime) -> datetime:
    """The moment between the two at which the zone's clocks jump, to the second."""
    was = before.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = before + (behind - before) / 2
        if middle.astimezone(zone).utcoffset() == was:
            before = middle
        else:
            behind = middle
    return behind.replace(microsecond=0)
