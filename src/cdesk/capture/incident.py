"""What happens to the queue itself, told as activities of the system family: VW_SYSTEM_EVENTS shows them.

An ordinary rotation is none. There is one a minute while anything happens at all, it says nothing, and its own line
would open the next segment to be rotated, for ever. A segment that was closed because it was *full* says that much came
at once, and costs a line in a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Person
from cdesk.clock import Clock
from cdesk.queue.counts import Filled
from cdesk.queue.pressure import Change, Level
from cdesk.queue.refusals import Refused

_SEVERITY = {Level.NORMAL: "info", Level.ELEVATED: "warning", Level.HIGH: "error", Level.CRITICAL: "critical"}


@dataclass
class Incidents:
    """Writes them down for the person whose machine it is."""

    whose: Callable[[], Person]
    clock: Clock

    @cached_property
    def _person(self) -> Person:
        return self.whose()

    def level_changed(self, change: Change, keep_one_in: int) -> Activity:
        """One and the same for every process that notices the change."""
        rises = change.after > change.before
        depth = change.depth
        return self._activity("backpressure", ("backpressure", change.before.word, change.after.word, str(change.since_ns)), {
            "event_type": "backpressure", "severity": _SEVERITY[change.after],
            "message": f"the queue's pressure {'rose' if rises else 'fell'} from {change.before.word} to {change.after.word}",
            "metrics": {
                "from": change.before.word, "to": change.after.word, "level": int(change.after), "bytes": depth.bytes,
                "events": depth.events, "oldest_age_s": round(depth.oldest_age_s, 3), "segments": depth.segments,
                "stored_bytes": depth.stored, "keep_one_in": keep_one_in,
            },
            "action_taken": _action(change.after, keep_one_in),
        })  # fmt: skip

    def room_again(self, refused: dict[str, Refused]) -> Activity:
        """The queue takes events again, after it had refused some."""
        untold = {source: seen.untold for source, seen in refused.items() if seen.untold}
        told = " and ".join(f"{count:,} of {_NAMES[source]}" for source, count in untold.items())
        key = ("room-again", *(f"{source}={seen.told}" for source, seen in refused.items()))
        return self._activity("error_recovered", key, {
            "event_type": "queue_full", "severity": "warning",
            "message": f"the queue takes events again; it had refused {told}",
            "metrics": {f"refused_{source}": count for source, count in untold.items()},
            "action_taken": "transcripts are read again from where they were left, and tell what they know of them",
        })  # fmt: skip

    def segment_filled(self, filled: Filled) -> Activity:
        return self._activity("queue_rotated", ("queue-rotated", filled.segment), {
            "event_type": "queue_rotation", "severity": "info",
            "message": f"a segment of the queue was full after {filled.bytes:,} bytes",
            "metrics": {"segment": filled.segment, "bytes": filled.bytes}, "action_taken": "another one was begun",
        })  # fmt: skip

    def _activity(self, name: str, key: tuple[str, ...], features: Features) -> Activity:
        who = self._person
        return Activity(
            activity_id=activity_id(key[0], who.anonymous_customer_id, *key[1:]), ts=self.clock.now(), activity=name,
            customer=who.customer, anonymous_customer_id=who.anonymous_customer_id, org_id=who.org_id, source="cdesk",
            feature_json=features,
        )  # fmt: skip


_NAMES = {"hook": "hooks", "otel": "telemetry"}


def _action(level: Level, keep_one_in: int) -> str:
    if level is Level.NORMAL:
        return "everything is kept whole again"
    if level is Level.ELEVATED:
        return "long texts are shrunk"
    return f"long texts are shrunk, and one in {keep_one_in:,} of low-value activities is kept"
