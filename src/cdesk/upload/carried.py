"""What has been carried into the team's warehouse since the service started, and what that may have cost there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cdesk.warehouse.warehouse import Merged

CREDITS_PER_HOUR = 1.0
"""Of a warehouse of size X-Small, such as CDESK_INGEST."""
SUSPEND_SECONDS = 60.0
"""How long it stays awake after its last statement; the shortest time that is billed, too."""
CREDITS_PER_GB = 0.0037
"""Of Snowpipe Streaming, for what was sent before it was compressed."""
_GB = 1e9


@dataclass(slots=True)
class Carried:
    """rows: facts sent or changed · batches: rounds that had something · awake_s: how long the warehouse is taken to have been
    awake for them"""

    path: Literal["copy", "streaming"]
    rows: int = 0
    batches: int = 0
    awake_s: float = 0.0
    bytes_sent: Callable[[], int] = lambda: 0
    _awake_until: float = float("-inf")

    def moved(self, merged: Merged, begun: float, ended: float) -> None:
        """begun, ended: seconds of a clock that only goes forward"""
        self.rows += merged.inserted + merged.updated
        self.batches += 1
        if self.path == "copy":
            self._awake(begun, ended)

    def settled(self, begun: float, ended: float) -> None:
        """Facts known before were joined, which takes a warehouse whichever the path."""
        self._awake(begun, ended)

    @property
    def credits(self) -> float:
        """An estimate: warehouse time, and what was streamed; not the tasks, which run in a warehouse of their own. What was
        really billed is in V_COST_DAILY."""
        return self.awake_s / 3600 * CREDITS_PER_HOUR + self.bytes_sent() / _GB * CREDITS_PER_GB

    def _awake(self, begun: float, ended: float) -> None:
        until = ended + SUSPEND_SECONDS
        self.awake_s += max(0.0, until - max(begun, self._awake_until))
        self._awake_until = max(until, self._awake_until)
