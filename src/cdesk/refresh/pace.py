"""Which tasks may start now, and when to look again: decided from what is known, without doing anything.

wanted     there is data behind its streams' offsets, or a task it comes after has changed something since its last
           start, or its time has come, and it is not suspended
earliest   not sooner than three quarters of its freshness after its last start: what came meanwhile joins this run
           not sooner than REST times its last duration after its last end: it takes no more than a sixth of the time,
           so that loading comes first when both want the machine
           not before a failure's backoff is over
after      not before the tasks it comes after have had their turn in this wake
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cdesk.refresh.task import Task

AT_ONCE = 2
"""Tasks running side by side."""
GATHERING = 0.75
REST = 5.0
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 300.0
CLOCK_SECONDS_MAX = 600.0
"""A machine that slept is noticed this late: its waiting does not count the time."""

_NEVER = float("-inf")


@dataclass(slots=True)
class Standing:
    """How one task stands. Times are monotonic seconds, but next_time: its next scheduled time, UTC.

    wanted_since   when it was first seen to be wanted after its last start
    is_due         a task it comes after has changed something after its last start: perhaps what this one saw before it
    was_due        it was when the run that is under way, or was last, began
    """

    task: Task
    is_suspended: bool = False
    failures: int = 0
    next_time: datetime | None = None
    is_running: bool = False
    wanted_since: float | None = None
    started: float = _NEVER
    ended: float = _NEVER
    took: float = 0.0
    not_before: float = _NEVER
    is_due: bool = False
    was_due: bool = False

    @property
    def earliest(self) -> float:
        gathered = _NEVER if self.task.cron else self.started + GATHERING * self.task.fresh_seconds
        return max(gathered, self.ended + REST * self.took, self.not_before)

    def is_wanted(self, has_data: Callable[[str], bool], utc: datetime) -> bool:
        if self.is_suspended:
            return False
        if self.next_time is not None:
            return self.next_time <= utc
        return self.is_due or any(has_data(stream.name) for stream in self.task.reads)

    def begin(self, now: float, utc: datetime) -> datetime:
        """It starts; gives the time it was scheduled for."""
        scheduled = utc if self.next_time is None else min(self.next_time, utc)
        self.is_running, self.started, self.wanted_since = True, now, None
        self.was_due, self.is_due = self.is_due, False
        return scheduled

    def end(self, now: float, utc: datetime, *, has_failed: bool, was_first_look: bool) -> None:
        """A first look at all there is says nothing about the next ones."""
        self.is_running, self.ended = False, now
        self.took = 0.0 if was_first_look else now - self.started
        self.failures = self.failures + 1 if has_failed else 0
        self.is_due |= has_failed and self.was_due
        backoff = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** (self.failures - 1))
        self.not_before = now + backoff if has_failed else _NEVER
        if self.task.cron and not has_failed:
            self.next_time = self.task.cron.after(utc)


def plan(
    standings: Iterable[Standing], has_data: Callable[[str], bool], now: float, utc: datetime
) -> tuple[list[Standing], float | None]:
    """Those to start now, in order, and the seconds until some task's time comes; None when only news can change it."""
    everyone = {standing.task.name: standing for standing in standings}
    for standing in everyone.values():
        _note(standing, has_data, now, utc)
    room = AT_ONCE - sum(standing.is_running for standing in everyone.values())
    ready = [standing for standing in everyone.values() if _is_ready(standing, everyone, now)]
    waits = [
        standing.earliest - now for standing in everyone.values() if _is_waiting(standing) and standing.earliest > now
    ]
    waits += [
        min((standing.next_time - utc).total_seconds(), CLOCK_SECONDS_MAX)
        for standing in everyone.values()
        if standing.next_time is not None and standing.next_time > utc and not standing.is_suspended
    ]
    return ready[: max(room, 0)], min(waits, default=None)


def _note(standing: Standing, has_data: Callable[[str], bool], now: float, utc: datetime) -> None:
    if not standing.is_wanted(has_data, utc):
        standing.wanted_since = None
    elif standing.wanted_since is None and not standing.is_running:
        standing.wanted_since = now


def _is_waiting(standing: Standing) -> bool:
    return standing.wanted_since is not None and not standing.is_running


def _is_ready(standing: Standing, everyone: dict[str, Standing], now: float) -> bool:
    if not _is_waiting(standing) or standing.earliest > now:
        return False
    return not any(_goes_before(everyone[name], standing) for name in standing.task.after)


def _goes_before(first: Standing, second: Standing) -> bool:
    """Whether `second` still has to wait for `first`: it is running, or wanted, and had no turn since `second` waits.

    One that failed lets the others go on."""
    if first.is_running:
        return True
    assert second.wanted_since is not None
    return first.wanted_since is not None and not first.failures and first.started < second.wanted_since
