"""Another warehouse gets what this machine's own takes: what waits in its quarantine waits for both.

A row that is accepted or released later goes into the queue again, and so to both. What is barred here was therefore seen by the
machine's own warehouse first: before that, the batch waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cdesk.activity.contract import Contract
from cdesk.errors import WarehouseUnready
from cdesk.upload.inspector import A, Inspection, Inspector


class FollowingInspector:
    """offsets: how far the machine's own warehouse has come, in each segment that is still there"""

    def __init__(self, first: Inspector, offsets: Callable[[], Mapping[str, int]]) -> None:
        self._first = first
        self._offsets = offsets

    @property
    def contract(self) -> Contract:
        return self._first.contract

    def inspect(self, batch: Sequence[A]) -> Inspection[A]:
        """Raises WarehouseError: then the same batch comes again."""
        offsets = self._offsets()
        if any(item.origin.offset >= offsets.get(item.origin.segment, 0) for item in batch):
            raise WarehouseUnready(
                "some lines left the catalog's shape, and this machine's own warehouse has not looked at them yet.",
                "Nothing is lost, it is tried again.",
            )
        passed = self._first.passing(batch)
        return Inspection(passed, quarantined=len(batch) - len(passed))
