"""What capture leaves out while the queue is pressed, in this order, and never of what matters.

    level      of what cannot wait (hooks, telemetry, activities handed in)
    elevated   texts over `text_characters_max` and long lists are cut; the cut says how much is missing, as everywhere
    high       and of LOW_VALUE activities one in `keep_one_in[0]` is kept
    critical   one in `keep_one_in[1]`

Never left out: everything not named in LOW_VALUE. That is prompts, responses with their usage and cost, tool calls,
files, sessions, subagents, failures, permissions, counts that add up (`metric_recorded`), what happened to cdesk itself,
and activities that the catalog does not know: whoever handed them in holds the only copy.

Not touched at all: what transcripts tell. They stay on disk and their reader waits, so what they say is whole, and
mends what was cut here (a longer text wins when observations of one fact meet).

Which low-value facts are kept follows from their id, so all sources keep the same ones, and those that a higher level
keeps a lower one keeps as well. The rate is told by the `backpressure` activity of the change of level, not by the
facts kept: once a transcript has told the others, a rate on some of them would be wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from zlib import crc32

import msgspec

from cdesk.activity.catalog import CATALOG
from cdesk.activity.model import JSON, Activity, Features
from cdesk.capture.shorten import shorten_further
from cdesk.config import PressureSettings
from cdesk.queue.pressure import Level

LOW_VALUE = frozenset({
    "session_heartbeat", "hook_ran", "line_kept", "notification_shown", "instructions_loaded", "watched_file_changed",
    "teammate_idled",
})  # fmt: skip
ITEMS_MAX = 50
UNTOUCHED_SOURCES = frozenset({"transcript", "cdesk"})


class Relief:
    """Safe between threads. shrunk, sampled: how many activities were cut, how many left out, since the start."""

    def __init__(self, settings: PressureSettings, level: Callable[[], Level]) -> None:
        self._settings = settings
        self._level = level
        self._lock = threading.Lock()
        self.shrunk = 0
        self.sampled = 0

    def apply(self, activities: Iterable[Activity]) -> Iterable[Activity]:
        """The activities, or what the level leaves of them."""
        level = self._level()
        return activities if level is Level.NORMAL else self._relieved(activities, level)

    @property
    def is_sampling(self) -> bool:
        return self._level() >= Level.HIGH

    def leaves_out(self, activity: Activity) -> bool:
        """Whether `apply` would not give it back, for who must say so; counted as left out."""
        level = self._level()
        if level < Level.HIGH or activity.source in UNTOUCHED_SOURCES or is_kept(activity, self.keep_one_in(level)):
            return False
        self._count(0, 1)
        return True

    def keep_one_in(self, level: Level) -> int:
        return 1 if level < Level.HIGH else self._settings.keep_one_in[level - Level.HIGH]

    def _relieved(self, activities: Iterable[Activity], level: Level) -> Iterator[Activity]:
        shrunk = sampled = 0
        for activity in activities:
            if activity.source in UNTOUCHED_SOURCES:
                yield activity
            elif not is_kept(activity, self.keep_one_in(level)):
                sampled += 1
            else:
                small = shrink(activity, self._settings.text_characters_max)
                shrunk += small is not activity
                yield small
        self._count(shrunk, sampled)

    def _count(self, shrunk: int, sampled: int) -> None:
        with self._lock:
            self.shrunk += shrunk
            self.sampled += sampled


def is_kept(activity: Activity, keep_one_in: int) -> bool:
    """Whether sampling at this rate keeps the fact, whoever tells it."""
    return activity.activity not in LOW_VALUE or crc32(activity.activity_id.encode()) % keep_one_in == 0


def shrink(activity: Activity, characters_max: int) -> Activity:
    """The activity with its long texts and lists cut; itself when none is. Names, ids and paths are never cut."""
    whole = _never_cut(activity.activity)
    features = activity.feature_json
    small: Features = {
        name: value if name in whole else _cut(value, characters_max) for name, value in features.items()
    }
    if all(small[name] is features[name] for name in features):
        return activity
    return msgspec.structs.replace(activity, feature_json=small)


def _cut(value: JSON, characters_max: int) -> JSON:
    """The value itself when there is nothing to cut."""
    match value:
        case str():
            return shorten_further(value, characters_max)
        case list():
            items = [_cut(item, characters_max) for item in value[:ITEMS_MAX]]
            if len(value) > ITEMS_MAX:
                return [*items, f"… [{len(value) - ITEMS_MAX:,} more items]"]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        case dict():
            small = {name: _cut(held, characters_max) for name, held in value.items()}
            return value if all(small[name] is value[name] for name in value) else small
        case _:
            return value


@cache
def _never_cut(activity: str) -> frozenset[str]:
    """Features that the catalog knows to be no words of anybody."""
    declaration = CATALOG.get(activity)
    if declaration is None:
        return frozenset()
    return frozenset(f.name for f in declaration.features if f.privacy != "content")
