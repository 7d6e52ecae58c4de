"""Which tasks may start now, and when to look again: decided from what is known, without doing anything.

wanted     there is data behind its streams' offsets, or a task it comes after has changed something since its last
           start, or its time has come, and it is not suspended
earliest   not sooner than three quarters of its freshness after its last start: what came meanwhile joins this run;
           but when MANY rows have come, sooner, unless it promises no more than to be fresh within PATIENT_SECONDS
           not sooner than REST times its last duration after its last end: it takes no more than half of the time
           not before a failure's backoff is over
after      not before the tasks it comes after have had their turn in this wake
order      who has waited longest comes first; as many at once as half of the cores, so that loading has the others
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cdesk.refresh.task import Task

AT_ONCE_MAX = 4
"""Tasks running side by side, however many cores there are."""
GATHERING = 0.75
MANY = 1_000
"""So many changed rows are worth a run of their own: planning its statements costs less than taking them in."""
PATIENT_SECONDS = 30.0
"""Whoever promises no more than this looks at what is there as a whole, not at each row: many of them are no reason."""
REST = 1.0
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 300.0
CLOCK_SECONDS_MAX = 600.0
"""A machine that slept is noticed this late: its waiting does not count the time."""

_NEVER = float("-inf")

Behind = Callable[[str], int]
"""How many changed rows are behind a stream's offset: 0 when there was no commit, else at least 1."""


@dataclass(slots=True)
class Standing:
    """How one task stands. Times are monotonic seconds, but next_time: its next scheduled time, UTC.

    wanted_since   when it was first seen to be wanted after its last start
    behind         changed rows that wait for it
    is_due         a task it comes after has changed something after its last start: perhaps what this one saw before it
    was_due        it was when the run that is under way, or was last, began
    piece          the part that is under way; nothing while something else is
    broken         parts that failed when they were last run → how often in a row
    """

    task: Task
    is_suspended: bool = False
    failures: int = 0
    next_time: datetime | None = None
    is_running: bool = False
    wanted_since: float | None = None
    behind: int = 0
    started: float = _NEVER
    ended: float = _NEVER
    took: float = 0.0
    not_before: float = _NEVER
    is_due: bool = False
    was_due: bool = False
    piece: str = ""
    broken: dict[str, int] = field(default_factory=dict)

    @property
    def earliest(self) -> float:
        is_patient = self.task.fresh_seconds >= PATIENT_SECONDS
        is_gathering = self.task.cron is None and (self.behind < MANY or is_patient)
        gathered = self.started + GATHERING * self.task.fresh_seconds if is_gathering else _NEVER
        return max(gathered, self.ended + REST * self.took, self.not_before)

    def is_wanted(self, behind: Behind, utc: datetime) -> bool:
        self.behind = max((behind(stream.name) for stream in self.task.reads), default=0)
        if self.is_suspended:
            return False
        if self.next_time is not None:
            return self.next_time <= utc
        return self.is_due or self.behind > 0

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


def at_once(cores: int) -> int:
    """How many tasks may run side by side."""
    return max(1, min(AT_ONCE_MAX, cores // 2))


def plan(
    standings: Iterable[Standing], behind: Behind, now: float, utc: datetime, at_once: int
) -> tuple[list[Standing], float | None]:
    """Those to start now, in order, and the seconds until some task's time comes; None when only news can change it."""
    everyone = {standing.task.name: standing for standing in standings}
    for standing in everyone.values():
        _note(standing, behind, now, utc)
    room = at_once - sum(standing.is_running for standing in everyone.values())
    ready = [standing for standing in everyone.values() if _is_ready(standing, everyone, now)]
    ready.sort(key=lambda standing: standing.wanted_since or 0.0)
    waits = [
        standing.earliest - now for standing in everyone.values() if _is_waiting(standing) and standing.earliest > now
    ]
    waits += [
        min((standing.next_time - utc).total_seconds(), CLOCK_SECONDS_MAX)
        for standing in everyone.values()
        if standing.next_time is not None and standing.next_time > utc and not standing.is_suspended
    ]
    return ready[: max(room, 0)], min(waits, default=None)


def _note(standing: Standing, behind: Behind, now: float, utc: datetime) -> None:
    if not standing.is_wanted(behind, utc):
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
