"""The one way into the queue: consent, then redaction, then durable. Every capture goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cdesk.activity.codec import pack, seal
from cdesk.activity.model import Activity
from cdesk.governance.consent import Consent
from cdesk.queue.writer import Writer


@dataclass(frozen=True, slots=True)
class Gate:
    """`redact` takes and gives one JSON object as bytes; `key` is this home's own."""

    writer: Writer
    redact: Callable[[bytes], bytes]
    consent: Consent
    key: bytes

    def lines(self, activities: Iterable[Activity]) -> list[bytes]:
        """The lines that may be kept, ready to append."""
        kept = (self.consent.apply(activity, self.key) for activity in activities)
        return [seal(self.redact(pack(activity))) for activity in kept if activity is not None]

    def admit(self, activities: Iterable[Activity]) -> int:
        """How many are durable when it returns. Raises QueueFull or QueueError: then none is."""
        return self.writer.append(self.lines(activities))
