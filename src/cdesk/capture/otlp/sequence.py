"""Notices telemetry that was lost: every process of Claude Code numbers its events, and a number skipped never came.

`event.sequence` counts from 0 in each process and goes on when `/clear` begins another session; no record names its
process, so runs of numbers stand for processes. Exports may come twice, late or in another order, so a hole counts as
a gap only after GRACE_S seconds. What was lost before the first record that this service saw cannot be known; nor can a
gap at the very end of a process.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime

GRACE_S = 30.0
SESSIONS_MAX = 1_000
RUNS_MAX = 8
HOLES_MAX = 64
"""A process with more holes than this is hardly telling anything; its oldest holes are reported at once."""


@dataclass(frozen=True, slots=True)
class Gap:
    """expected: the first number that did not come · got: the next that did · at: when that one happened"""

    session_id: str
    expected: int
    got: int
    at: datetime


@dataclass(slots=True)
class _Hole:
    gap: Gap
    noticed_at: float


@dataclass(slots=True)
class _Run:
    """One process's numbers, as far as they came."""

    last: int
    last_at: datetime
    holes: list[_Hole] = field(default_factory=list)


class Sequences:
    """Remembers the last SESSIONS_MAX sessions. One thread at a time."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], list[_Run]] = OrderedDict()
        self._forgotten: list[Gap] = []

    def observe(self, installation: str, session_id: str, number: int, at: datetime, now: float) -> None:
        """`now` is a monotonic time in seconds, `at` the record's own time."""
        key = (installation, session_id)
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = self._began(installation, number, at)
            self._bound()
            return
        self._runs.move_to_end(key)
        for run in runs:
            if number == run.last + 1:
                run.last, run.last_at = number, max(run.last_at, at)
                return
        if any(_is_known(run, number, at) for run in runs):
            return
        behind = [run for run in runs if run.last < number and run.last_at <= at]
        if not behind or number == 0:
            runs.insert(0, _Run(number, at))
            del runs[RUNS_MAX:]
            return
        run = max(behind, key=lambda run: run.last)
        run.holes.append(_Hole(Gap(session_id, run.last + 1, number, at), now))
        run.last, run.last_at = number, at
        self._forgotten += [hole.gap for hole in run.holes[:-HOLES_MAX]]
        del run.holes[:-HOLES_MAX]

    def due(self, now: float) -> list[Gap]:
        """The gaps nobody can fill any more; each is given once."""
        gaps, self._forgotten = self._forgotten, []
        for run in self._all():
            gaps += [hole.gap for hole in run.holes if now - hole.noticed_at >= GRACE_S]
            run.holes = [hole for hole in run.holes if now - hole.noticed_at < GRACE_S]
        return gaps

    def put_back(self, gaps: list[Gap]) -> None:
        """They could not be told; they are due again."""
        self._forgotten += gaps

    def pending(self) -> int:
        return len(self._forgotten) + sum(len(run.holes) for run in self._all())

    def _began(self, installation: str, number: int, at: datetime) -> list[_Run]:
        """The runs of a session seen for the first time: a process may have come to it from another session."""
        for (other, _), runs in reversed(self._runs.items()):
            for run in runs:
                if other == installation and run.last + 1 == number and run.last_at <= at:
                    run.last, run.last_at = number, at
                    return [run]
        return [_Run(number, at)]

    def _bound(self) -> None:
        while len(self._runs) > SESSIONS_MAX:
            _, runs = self._runs.popitem(last=False)
            self._forgotten += [hole.gap for run in runs for hole in run.holes]

    def _all(self) -> list[_Run]:
        return list({id(run): run for runs in self._runs.values() for run in runs}.values())


def _is_known(run: _Run, number: int, at: datetime) -> bool:
    """Whether the number fills a hole of the run, or came before."""
    if number > run.last or at > run.last_at:
        return False
    for place, hole in enumerate(run.holes):
        gap = hole.gap
        if gap.expected <= number < gap.got:
            parts = ((gap.expected, number), (number + 1, gap.got))
            run.holes[place : place + 1] = [
                _Hole(Gap(gap.session_id, low, high, gap.at), hole.noticed_at) for low, high in parts if low < high
            ]
            return True
    return True
