"""Looks at the queue once a second, and tells what changed: its level, full segments, and that it takes events again.

What is to be told waits in memory until the queue takes it; the level and the counts of refusals are put down as told
only then, so a process that dies in between leaves it to the next one, and telling it twice changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cdesk import observe
from cdesk.activity.model import Activity
from cdesk.capture.gate import Gate
from cdesk.capture.incident import Incidents
from cdesk.capture.relief import Relief
from cdesk.clock import Clock
from cdesk.errors import QueueError
from cdesk.queue.counts import Counts
from cdesk.queue.depth import Depth
from cdesk.queue.pressure import Change, Level, Pressure
from cdesk.queue.refusals import Refusals, Refused

LOOK_SECONDS = 1.0
LOOK_SHARE_MAX = 0.02
"""A look costs a stat per segment: with very many, it looks less often."""
UNTOLD_MAX = 1_000
QUIET_SECONDS = 5.0
"""So long nothing is refused before the queue counts as open again."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch looks at, and where it tells it."""

    measure: Callable[[], Depth]
    pressure: Pressure
    refusals: Refusals
    counts: Counts
    gate: Callable[[], Gate]
    relief: Relief
    incidents: Incidents


class Watch:
    """`look` now, from any thread; `run` looks until `stop`.

    `on_change` hears of each change of level, `on_room` that refused events were told."""

    def __init__(
        self,
        watched: Watched,
        *,
        clock: Clock,
        on_change: Callable[[Change], None] = lambda change: None,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._at = watched
        self._clock = clock
        self._on_change = on_change
        self._on_room = on_room
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._begun = clock.monotonic()
        self._untold: list[Activity] = []
        self._is_level_untold = False
        self._refused: dict[str, Refused] = {}
        self._quiet_since = self._begun

    def look(self) -> Level:
        """The level now. Never raises for want of room: what cannot be told now is told later."""
        with self._lock:
            change = self._at.pressure.observe(self._depth())
            if change is not None:
                self._note(change)
            while self._at.counts.filled:
                self._untold.append(self._at.incidents.segment_filled(self._at.counts.filled.popleft()))
            del self._untold[:-UNTOLD_MAX]
            self._tell()
            self._tell_refusals()
            return self._at.pressure.level

    def run(self) -> None:
        while not self._stop.is_set():
            begun = self._clock.monotonic()
            try:
                self.look()
            except (QueueError, OSError) as error:
                observe.event("error", "watch_failed", error=str(error))
            self._stop.wait(max(LOOK_SECONDS, (self._clock.monotonic() - begun) / LOOK_SHARE_MAX))

    def stop(self) -> None:
        self._stop.set()

    def _depth(self) -> Depth:
        """Old is what waited while somebody was there to take it away, not what nobody could."""
        depth = self._at.measure()
        age_s = min(depth.oldest_age_s, self._clock.monotonic() - self._begun)
        return Depth(depth.bytes, depth.events, age_s, depth.segments, depth.stored)

    def _note(self, change: Change) -> None:
        keep_one_in = self._at.relief.keep_one_in(change.after)
        self._untold.append(self._at.incidents.level_changed(change, keep_one_in))
        self._is_level_untold = True
        self._on_change(change)

    def _tell(self) -> None:
        if not self._admit(self._untold):
            return
        self._untold = []
        if self._is_level_untold:
            self._at.pressure.remember()
            self._is_level_untold = False

    def _tell_refusals(self) -> None:
        refused = self._at.refusals.read()
        self._at.refusals.sync()
        now = self._clock.monotonic()
        if refused != self._refused:
            self._refused, self._quiet_since = refused, now
        is_open = self._at.pressure.level < Level.CRITICAL and now - self._quiet_since >= QUIET_SECONDS
        if not is_open or not any(seen.untold for seen in refused.values()):
            return
        if self._admit([self._at.incidents.room_again(refused)]):
            self._at.refusals.tell(refused)
            self._on_room()

    def _admit(self, activities: list[Activity]) -> bool:
        """Whether they are durable now."""
        try:
            if activities:
                self._at.gate().admit(activities)
        except QueueError:
            return False
        return True
