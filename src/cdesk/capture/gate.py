"""The one way into the queue: consent, relief, then redaction, then durable. Every capture goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cdesk.activity.codec import pack, seal
from cdesk.activity.model import Activity
from cdesk.capture.relief import Relief
from cdesk.governance.consent import Consent
from cdesk.queue.writer import Writer


@dataclass(frozen=True, slots=True)
class Gate:
    """`redact` takes and gives one JSON object as bytes; `key` is this home's own; `relief` knows how pressed the queue
    is, and without one nothing is ever left out."""

    writer: Writer
    redact: Callable[[bytes], bytes]
    consent: Consent
    key: bytes
    relief: Relief | None = None

    def lines(self, activities: Iterable[Activity]) -> list[bytes]:
        """The lines that may be kept, ready to append."""
        allowed = (self.consent.apply(activity, self.key) for activity in activities)
        kept = (activity for activity in allowed if activity is not None)
        return [seal(self.redact(pack(activity))) for activity in (self.relief.apply(kept) if self.relief else kept)]

    def leaves_out(self, activity: Activity) -> bool:
        """Whether it is one of those that are not kept while the queue is pressed; counted then as such."""
        return self.relief is not None and self.relief.leaves_out(activity)

    def admit(self, activities: Iterable[Activity]) -> int:
        """How many are durable when it returns. Raises QueueFull or QueueError: then none is."""
        return self.writer.append(self.lines(activities))
