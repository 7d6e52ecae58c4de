"""The writer's face for one event loop: everything that came during one sync is made durable by the next.

    append(lines) ─▶ coming ─▶ end of the loop's turn ─▶ one commit in one thread ─▶ all who waited are told at once
                       ▲                                         │
                       └────── whoever comes meanwhile ◀─────────┘

There is no timer that a producer would wait for: a sync begins as soon as the one before it has returned and the producers
it woke have had their turn. A lone producer never waits for company, and a slow disk gets larger batches by itself.

One pause there is, on a slow disk only. Producers behind a socket come back a moment after their answer, one after the
other: the first would begin a sync for itself, and all others wait for the one after it, so that every second sync were
nearly empty. So when two syncs in a row took SLOW_S or more, the next one waits until as many lines have come again as the
last made durable, or for PAUSE_PART of the time the shorter took. A lone producer ends that pause itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.writer import Writer, joined

SLOW_S = 0.002
PAUSE_PART = 0.5


class AsyncWriter:
    """Called from one event loop only. Shares the segment of `writer`, which threads may go on using."""

    def __init__(self, writer: Writer, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._writer = writer
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cdesk-sync")
        self._coming: list[bytes] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._lines = 0
        self._is_under_way = False
        self._pause: asyncio.TimerHandle | None = None
        self._lines_awaited = 0
        self._took = 0.0

    def append(self, lines: Sequence[bytes]) -> asyncio.Future[None]:
        """Await it: then the lines are durable, in order. Raises QueueFull or QueueError: none is.

        Lines keep the order of the calls. Who stops waiting does not take them back."""
        loop = asyncio.get_running_loop()
        data = joined(lines)
        done = loop.create_future()
        self._coming.append(data)
        self._waiting.append(done)
        self._lines += len(lines)
        if not self._is_under_way:
            self._is_under_way = True
            loop.call_soon(self._begin, loop)
        elif self._pause is not None and self._lines >= self._lines_awaited:
            self._end_pause(loop)  # everybody is back
        return done

    def close(self) -> None:
        """Waits for the sync that is under way."""
        self._thread.shutdown()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = _Batch(self._coming, self._waiting, self._lines)
        self._coming, self._waiting, self._lines = [], [], 0
        self._thread.submit(self._commit, loop, batch)

    def _commit(self, loop: asyncio.AbstractEventLoop, batch: _Batch) -> None:
        """In the thread. Whatever goes wrong is told to those who wait."""
        began = self._clock.monotonic()
        error: BaseException | None = None
        try:
            self._writer.commit(b"".join(batch.data))
        except BaseException as failure:
            error = failure
        took = self._clock.monotonic() - began
        loop.call_soon_threadsafe(self._settle, loop, batch, error, took)

    def _settle(self, loop: asyncio.AbstractEventLoop, batch: _Batch, error: BaseException | None, took: float) -> None:
        self._lines_awaited = self._lines + batch.lines
        batch.tell(error)
        usual, self._took = min(took, self._took), took
        if usual >= SLOW_S:
            self._pause = loop.call_later(usual * PAUSE_PART, self._end_pause, loop)
        else:
            self._go_on(loop)

    def _end_pause(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._coming:
            loop.call_soon(self._begin, loop)
        else:
            self._is_under_way = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """What becomes durable together, and who waits for it."""

    data: list[bytes]
    waiting: list[asyncio.Future[None]]
    lines: int

    def tell(self, error: BaseException | None) -> None:
        for done in self.waiting:
            if done.done():  # nobody waits any more
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
