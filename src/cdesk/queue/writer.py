"""Appends lines to a segment of this process's own, and says "ok" only when they are on disk.

One segment has two faces, and both may be used at once:

    Writer.append          for threads and short processes: returns when the lines are durable
    AsyncWriter.append     for one event loop (`async_writer.py`): an awaitable that is done when they are

Both join the same group commit: whoever comes while a sync is under way shares the next one, so that a sync costs the
same for one line as for a thousand. What differs is what a waiting producer costs. A thread has to be woken by the
kernel and to win the interpreter's lock; a coroutine is one entry in a list of its loop. Either face: acknowledged means
on disk, a failed append leaves no trace of any of its lines, and the lines of one call stand together and in order.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError, QueueFull
from cdesk.queue.counts import Counts, Filled
from cdesk.queue.disk import Disk, segments

LINE_BYTES_MAX = 33_554_432
SEGMENT_BYTES_MAX = 50 * 1024 * 1024
SEGMENT_SECONDS_MAX = 60.0
QUEUE_BYTES_MAX = 2 * 1024**3


def joined(lines: Sequence[bytes]) -> bytes:
    """The lines as one piece. Raises QueueError when one is over the limit."""
    data = b"".join(lines)
    if len(data) > LINE_BYTES_MAX:
        for line in lines:
            if len(line) > LINE_BYTES_MAX:
                raise QueueError(f"a line of {len(line):,} bytes is over the limit of {LINE_BYTES_MAX:,}.")
    return data


class _Sync:
    """What becomes durable together, and how it went."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done = threading.Event()
        self.error: BaseException | None = None


class Writer:
    """One producer. Safe to call from several threads; each call is durable when it returns."""

    def __init__(
        self,
        folder: Path,
        *,
        disk: Disk | None = None,
        clock: Clock = SYSTEM_CLOCK,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        segment_seconds_max: float = SEGMENT_SECONDS_MAX,
        bytes_max: int = QUEUE_BYTES_MAX,
    ) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._clock = clock
        self._segment_bytes_max = segment_bytes_max
        self._segment_seconds_max = segment_seconds_max
        self._bytes_max = bytes_max
        self._lock = threading.Lock()  # held while the disk is written
        self._door = threading.Lock()  # held while somebody joins a sync
        self._next = _Sync()
        self._handle: int | None = None
        self._size = 0
        self._room = 0
        self._opened_at = 0.0
        self._last_ns = 0
        self._name = ""
        self.counts = Counts()
        self._disk.folder(folder)

    def append(self, lines: Iterable[bytes]) -> int:
        """Makes the lines durable, in order; gives back how many. Raises QueueFull or QueueError: none is."""
        batch = list(lines)
        self.commit(joined(batch))
        return len(batch)

    def commit(self, data: bytes) -> None:
        """Makes whole lines, already joined, durable. Whoever comes while a sync is under way shares the next one; the
        first to come leads it."""
        if not data:
            return
        with self._door:
            sync = self._next
            leads = not sync.parts
            sync.parts.append(data)
        if leads:
            self._lead(sync)
        else:
            sync.done.wait()
        if sync.error is not None:
            raise sync.error

    def _lead(self, sync: _Sync) -> None:
        with self._lock:
            with self._door:
                self._next = _Sync()
            try:
                data = b"".join(sync.parts)
                self._append_whole(self._segment(len(data)), data)
            except BaseException as error:
                sync.error = error
            finally:
                sync.done.set()

    def rotate(self) -> None:
        """Closes the segment when it is due, so that readers may finish with it."""
        with self._lock:
            if self._handle is not None and self._is_due(0):
                self._close()

    def close(self) -> None:
        with self._lock:
            self._close()

    def _append_whole(self, handle: int, data: bytes) -> None:
        """A failed append leaves no trace: a half-written line is cut off again, or its segment given up."""
        try:
            self._disk.append(handle, data)
            self._disk.sync(handle)
        except BaseException:  # Ctrl-C in the middle of a write as well: the next line must not follow half a line
            with suppress(QueueError):
                self._disk.truncate(handle, self._size)
            self._close()
            raise
        self._size += len(data)
        self.counts.acknowledge(data.count(b"\n"))

    def _segment(self, coming: int) -> int:
        if self._handle is not None and self._is_due(coming):
            self._close(is_full=self._size + coming > self._segment_bytes_max)
        if self._size + coming > self._room:
            self._room = self._bytes_max - (self._stored() - self._size)
        if self._size + coming > self._room:
            raise QueueFull(
                f"the queue is full: it holds its limit of {self._bytes_max:,} bytes.",
                "Start the service with `cdesk up` so that it drains, or raise queue.bytes_max.",
            )
        if self._handle is None:
            self._last_ns = max(self._last_ns + 1, self._clock.now_ns())
            self._name = f"{self._last_ns:020d}-{self._clock.name()}.ndjson"
            self._handle = self._disk.create(self._folder / self._name)
            self._opened_at = self._clock.monotonic()
        return self._handle

    def _is_due(self, coming: int) -> bool:
        age = self._clock.monotonic() - self._opened_at
        return self._size > 0 and (self._size + coming > self._segment_bytes_max or age >= self._segment_seconds_max)

    def _stored(self) -> int:
        total = 0
        for path in segments(self._folder):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total

    def _close(self, *, is_full: bool = False) -> None:
        handle, self._handle = self._handle, None
        size, self._size, self._room = self._size, 0, 0
        if handle is not None:
            self._disk.close(handle)
            self.counts.rotate(Filled(self._name, size) if is_full else None)
