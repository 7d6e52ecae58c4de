"""How hard the queue is pressed, and when that changes: pure decisions, and the little that must be remembered.

    level      reached when any of bytes, events or age is at its threshold     what capture does about it
    normal     –                                                                nothing
    elevated   a quarter of the budget, 1,000,000 events, 5 minutes             shrinks long texts
    high       half,                    2,000,000 events, 1 hour                and keeps one in 10 of low-value facts
    critical   four fifths,             4,000,000 events, 6 hours               and keeps one in 100 of them

Up at once; down only when every measure is below `falls_at` of its threshold and has been for `calm_s` seconds: so a
depth that swings around a threshold changes nothing. The age counts from when somebody began to look: a queue that
waited while nobody could empty it is old, not pressed.

The level outlives its process in `pressure.json`, written after the change was recorded in the queue, so that a change
is told even when its process died in between, and once however many processes notice it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import PressureSettings
from cdesk.queue.depth import Depth
from cdesk.queue.disk import Disk

BUDGET_SHARES = (0.25, 0.5, 0.8)
FILE_NAME = "pressure.json"


class Level(IntEnum):
    NORMAL = 0
    ELEVATED = 1
    HIGH = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """For elevated, high and critical."""

    bytes: tuple[float, ...]
    events: tuple[float, ...]
    age_s: tuple[float, ...]
    falls_at: float = 0.7
    calm_s: float = 10.0

    @classmethod
    def of(cls, settings: PressureSettings, bytes_max: int) -> Thresholds:
        shares = tuple(bytes_max * share for share in BUDGET_SHARES)
        return cls(settings.bytes or shares, settings.events, settings.age_s, settings.falls_at, settings.calm_s)


@dataclass(frozen=True, slots=True)
class Change:
    """since_ns: when the level that ended had begun"""

    before: Level
    after: Level
    depth: Depth
    since_ns: int


def level_at(depth: Depth, thresholds: Thresholds, share: float = 1.0) -> Level:
    """The highest level of which any threshold, times `share`, is reached."""
    measured = (
        (depth.bytes, thresholds.bytes),
        (depth.events, thresholds.events),
        (depth.oldest_age_s, thresholds.age_s),
    )
    return Level(max(sum(value >= limit * share for limit in limits) for value, limits in measured))


class Pressure:
    """One queue's level. `observe` it from one thread; `level` may be read from any."""

    def __init__(
        self, folder: Path, thresholds: Thresholds, *, disk: Disk | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._path = folder / FILE_NAME
        self._thresholds = thresholds
        self._disk = disk or Disk()
        self._clock = clock
        remembered = _load(self._path)
        self.level = _LEVELS[remembered.level] if remembered else Level.NORMAL
        self._since_ns = remembered.since_ns if remembered else clock.now_ns()
        self._calm_since: float | None = None

    def observe(self, depth: Depth) -> Change | None:
        """The change of level that this depth means, if it means one."""
        rises_to = level_at(depth, self._thresholds)
        falls_to = level_at(depth, self._thresholds, self._thresholds.falls_at)
        if rises_to > self.level:
            return self._change(rises_to, depth)
        if falls_to == self.level:
            self._calm_since = None
            return None
        return self._change(falls_to, depth) if falls_to < self.level and self._is_calm() else None

    def remember(self) -> None:
        """The level outlives this process. Raises QueueError."""
        state = _Remembered(self.level.word, self._since_ns)
        self._disk.replace(self._path, msgspec.json.encode(state) + b"\n")

    def _is_calm(self) -> bool:
        now = self._clock.monotonic()
        self._calm_since = now if self._calm_since is None else self._calm_since
        return now - self._calm_since >= self._thresholds.calm_s

    def _change(self, after: Level, depth: Depth) -> Change:
        change = Change(self.level, after, depth, self._since_ns)
        self.level, self._since_ns, self._calm_since = after, self._clock.now_ns(), None
        return change


_LEVELS = {level.word: level for level in Level}


class _Remembered(msgspec.Struct, frozen=True):
    level: str
    since_ns: int


def _load(path: Path) -> _Remembered | None:
    """None when there is nothing or it is damaged: then the next look tells."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        return None
    return found if found.level in _LEVELS else None
