"""The queue as a channel of Snowpipe Streaming reads it: from where Snowflake has come to, not from where we believe it is.

    read     opens the channel when it is not, and goes to the token that Snowflake has
    commit   sends what was merged, with the token of where it ends; the queue is told when Snowflake has committed it

A token names the place behind the last line of each segment in use: `SEGMENT:OFFSET`, `,` between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import WarehouseUnready
from cdesk.queue.dead_letter import DeadLetters
from cdesk.queue.reader import Delivery, Reader

BATCHES_UNDER_WAY_MAX = 10
"""Sent, and not known to be committed."""
TOKEN_SEGMENTS_MAX = 40
"""The newest ones, so that a token stays short; of others, what was committed here is known here."""


class Streamed(Protocol):
    """What is needed of `warehouse.snowflake.streaming_store.StreamedWarehouse`."""

    @property
    def is_open(self) -> bool: ...
    def open(self) -> str | None: ...
    def send(self, token: str) -> None: ...
    def confirm(self) -> None: ...
    def forget(self) -> None: ...


class StreamedReader(Reader):
    """Raises WarehouseUnready, too. Batches are as small as the channel wants them."""

    def __init__(
        self,
        folder: Path,
        consumer: str,
        dead: DeadLetters,
        warehouse: Streamed,
        *,
        rows_max: int,
        bytes_max: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Segments are retired by the embedded warehouse's consumer, who looks at them all the time."""
        super().__init__(folder, consumer, dead, clock=clock, retire=lambda segment: None)
        self._warehouse = warehouse
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._under_way = Delivery()
        self._batches = self._lines_sent = 0

    def read(
        self, bytes_max: int = 8 * 1024 * 1024, lines_max: int = 5_000, *, after: Delivery | None = None
    ) -> Delivery:
        """Empty when nothing is left and Snowflake has committed everything."""
        self._warehouse.forget()
        if not self._warehouse.is_open:
            self._start_under_way()
            self.move(offsets(self._warehouse.open()))
        found = super().read(
            min(bytes_max, self._bytes_max), min(lines_max, self._rows_max), after=after or self._under_way
        )
        if found.is_empty:
            self._confirm()
        return found

    def commit(self, delivery: Delivery) -> None:
        ends = {**self._under_way.offsets, **delivery.offsets}
        if delivery.offsets:
            self._warehouse.send(token({**self.offsets, **ends}))
        self._under_way = Delivery(offsets=ends)
        self._batches += 1
        self._lines_sent += len(delivery.lines)
        if self._batches >= BATCHES_UNDER_WAY_MAX:
            self._confirm()

    def _confirm(self) -> None:
        self._warehouse.confirm()
        super().commit(self._under_way)
        self.delivered += self._lines_sent
        self._start_under_way()

    def _start_under_way(self) -> None:
        self._under_way, self._batches, self._lines_sent = Delivery(), 0, 0


def token(offsets: Mapping[str, int]) -> str:
    newest = sorted(offsets.items())[-TOKEN_SEGMENTS_MAX:]
    return ",".join(f"{segment}:{offset}" for segment, offset in newest)


def offsets(token: str | None) -> dict[str, int]:
    """Raises WarehouseUnready for a token that is none of ours."""
    try:
        pairs = (pair.rsplit(":", 1) for pair in (token or "").split(",") if pair)
        return {segment: int(offset) for segment, offset in pairs}
    except ValueError:
        raise WarehouseUnready(
            f"the channel's token is not cdesk's: {token!r:.80}.", "Somebody else uses a channel of this name."
        ) from None
