"""The one way into the queue: consent, relief, then redaction, then durable. Every capture goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cdesk.activity.codec import pack, seal
from cdesk.activity.model import Activity
from cdesk.capture.relief import Relief
from cdesk.governance.consent import Consent
from cdesk.queue.writer import Writer


def _all(objects: Sequence[bytes]) -> Sequence[int]:
    return range(len(objects))


@dataclass(frozen=True, slots=True)
class Gate:
    """`redact` takes and gives one JSON object as bytes; `key` is this home's own; `suspects` says at which indexes
    `redact` may change something; `relief` knows how pressed the queue is, and without one nothing is ever left out."""

    writer: Writer
    redact: Callable[[bytes], bytes]
    consent: Consent
    key: bytes
    suspects: Callable[[Sequence[bytes]], Sequence[int]] = _all
    relief: Relief | None = None

    def lines(self, activities: Iterable[Activity]) -> list[bytes]:
        """The lines that may be kept, ready to append."""
        return [seal(self.redact(packed)) for packed in self.packed(activities)]

    def packed(self, activities: Iterable[Activity]) -> list[bytes]:
        """Those that may be kept as JSON objects, not yet redacted: never to be written as they are."""
        consent, key = self.consent, self.key
        allowed = (kept for activity in activities if (kept := consent.apply(activity, key)) is not None)
        return [pack(kept) for kept in (self.relief.apply(allowed) if self.relief else allowed)]

    @property
    def is_sampling(self) -> bool:
        """Whether some activities are not kept at all now, because the queue is pressed."""
        return self.relief is not None and self.relief.is_sampling

    def leaves_out(self, activity: Activity) -> bool:
        """Whether it is one of those that are not kept while the queue is pressed; counted then as such."""
        return self.relief is not None and self.relief.leaves_out(activity)

    def admit(self, activities: Iterable[Activity]) -> int:
        """How many are durable when it returns. Raises QueueFull or QueueError: then none is."""
        return self.writer.append(self.lines(activities))
