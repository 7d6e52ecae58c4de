"""Carries lines from the queue into the warehouse, in order, each once, and only then lets the queue forget them.

    read ──▶ decode ──▶ merge, in one commit ──▶ remember the offsets ──▶ delete segments that are done

While one batch is being merged the next one is read and decoded, when there is one. A batch is whatever came within
GATHER_SECONDS: a commit costs about as much as a hundred activities. After a silence the first line is not kept waiting.

What may succeed later (a full disk, a busy warehouse) is tried again, more and more seldom. What cannot is some line's
fault: the line is found by halving the batch and set aside, and the others go in.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cdesk.activity.codec import BadLine, decode_raw
from cdesk.activity.contract import Contract
from cdesk.activity.model import Activity, RawActivity
from cdesk.errors import CdeskError, QueueError, WarehouseError, WarehouseUnready
from cdesk.observe import Effort, unmeasured
from cdesk.queue.dead_letter import DeadLetter, DeadLetters
from cdesk.queue.reader import Delivery, Origin, Reader
from cdesk.upload.inspector import Inspection
from cdesk.warehouse.warehouse import Merged

BATCH_LINES_MAX = 5_000
CATCH_UP_LINES_MAX = 20_000
BATCH_BYTES_MAX = 16 * 1024 * 1024
CATCH_UP_BYTES_MAX = 32 * 1024 * 1024
GATHER_SECONDS = 0.12
POLL_SECONDS = 0.1
RETRY_SECONDS = 0.2
RETRY_SECONDS_MAX = 10.0
RETRY_LINES_MIN = 100
"""A batch that failed is tried again with half as many lines: a nearly full disk may have room for them."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was delivered, decoded; places: where in the delivery each activity's line is."""

    lines_max: int
    delivery: Delivery
    activities: list[Activity | RawActivity]
    places: list[int]

    @property
    def is_full(self) -> bool:
        """There may be more behind it."""
        return len(self.delivery.lines) >= self.lines_max


@dataclass(slots=True)
class _Suspect:
    """An activity that the inspector has to look at, and its line."""

    raw: Activity | RawActivity
    delivery: Delivery
    place: int
    whole: Activity | None = None

    @property
    def activity(self) -> Activity:
        if self.whole is None:
            self.whole = self.raw.whole() if isinstance(self.raw, RawActivity) else self.raw
        return self.whole

    @property
    def line(self) -> bytes:
        return self.delivery.lines[self.place]

    @property
    def origin(self) -> Origin:
        return self.delivery.origin(self.place)


class Destination(Protocol):
    """Where lines are carried: a warehouse, or who carries them on to one."""

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        """Every fact is there once afterwards, durable. Raises CdeskError; then it is told again, or set aside."""
        ...


class Inspecting(Protocol):
    """Who looks at what does not surely keep the contract."""

    @property
    def contract(self) -> Contract: ...
    def inspect(self, batch: Sequence[_Suspect]) -> Inspection[_Suspect]: ...


class Uploader:
    """One consumer of the queue. `step` moves one batch; `run` moves batches until told to stop."""

    def __init__(
        self,
        reader: Reader,
        warehouse: Destination,
        dead: DeadLetters,
        inspector: Inspecting | None = None,
        *,
        measured: Callable[[], AbstractContextManager[Effort]] = unmeasured,
    ) -> None:
        """measured: goes around each step, and learns whether it found something to do"""
        self._reader = reader
        self._warehouse = warehouse
        self._dead = dead
        self._inspector = inspector
        self._measured = measured
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._stepping = threading.Lock()
        self._ahead: Future[_Batch] | None = None
        self._reading = ThreadPoolExecutor(1, "cdesk-read")
        self._is_behind = False
        self.is_running = False
        self.backlog_bytes_min = 0
        self.merged = Merged()

    def step(self, lines_max: int = BATCH_LINES_MAX) -> int:
        """Moves one batch; gives back about how many lines left the queue, 0 when nothing did. Raises WarehouseError: then none did."""
        with self._stepping, self._measured() as effort:
            batch = self._next(lines_max)
            effort.counts = bool(batch.delivery.lines)
            self._is_behind = batch.is_full
            if batch.is_full:
                self._ahead = self._reading.submit(self._read, lines_max, batch.delivery)
            try:
                self._load(batch, 0, len(batch.activities))
                self._reader.commit(batch.delivery)
            except BaseException:
                self._forget_ahead()
                raise
            return max(len(batch.delivery.lines), len(batch.delivery.offsets))

    def drain(self) -> None:
        """Moves everything that is in the queue now."""
        while self.step(CATCH_UP_LINES_MAX):
            pass

    def wake(self) -> None:
        """There is something new; do not wait for the next look."""
        self._wake.set()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()

    def run(
        self, on_error: Callable[[WarehouseError], None], on_step: Callable[[int], None] = lambda lines: None
    ) -> None:
        """Until `stop`. An error is told and tried again; the queue keeps everything meanwhile."""
        self.is_running = True
        lines_max = BATCH_LINES_MAX
        failures = 0
        while not self._stop.is_set():
            if self._is_gathering():
                self._wait(POLL_SECONDS)
                continue
            begun = time.monotonic()
            try:
                moved = self.step(max(lines_max >> failures, min(lines_max, RETRY_LINES_MIN)))
                failures = 0
            except (WarehouseError, QueueError) as error:
                on_error(error if isinstance(error, WarehouseError) else WarehouseError(error.message, error.hint))
                self._stop.wait(_patience(failures))
                failures += 1
                continue
            on_step(moved)
            if self._is_behind:
                lines_max = CATCH_UP_LINES_MAX
                continue
            lines_max = BATCH_LINES_MAX
            if moved:
                self._stop.wait(begun + GATHER_SECONDS - time.monotonic())
            else:
                self._wait(POLL_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _is_gathering(self) -> bool:
        """In bulk work few large batches cost less than many small ones: wait for `backlog_bytes_min`."""
        return self.backlog_bytes_min > 0 and self._reader.depth(0.0).bytes < self.backlog_bytes_min

    # -- one batch -------------------------------------------------------------------------------------------------

    def _next(self, lines_max: int) -> _Batch:
        ahead, self._ahead = self._ahead, None
        return self._read(lines_max) if ahead is None else ahead.result()

    def _forget_ahead(self) -> None:
        """What was read ahead stands behind a batch that did not go in: it comes again."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.exception()

    def _read(self, lines_max: int, after: Delivery | None = None) -> _Batch:
        bytes_max = BATCH_BYTES_MAX if lines_max <= BATCH_LINES_MAX else CATCH_UP_BYTES_MAX
        delivery = self._reader.read(bytes_max, lines_max, after=after)
        activities: list[Activity | RawActivity] = []
        places: list[int] = []
        for place, line in enumerate(delivery.lines):
            try:
                activities.append(decode_raw(line))
                places.append(place)
            except BadLine as error:
                self._bury(delivery, place, str(error))
        return _Batch(lines_max, delivery, activities, places)

    def _load(self, batch: _Batch, start: int, end: int) -> None:
        """Whatever the warehouse raises over a line, if trying again cannot help, is that line's fault: none may stop
        the queue."""
        if start == end:
            return
        try:
            self.merged += self._warehouse.merge(self._inspected(batch, start, end))
        except (OSError, ImportError, MemoryError) as error:  # the machine's trouble, as when a library cannot be read
            raise WarehouseUnready(f"the warehouse cannot be written now: {error}.") from error
        except Exception as error:
            if isinstance(error, CdeskError) and error.retryable:
                raise
            if end - start == 1:
                self._bury(batch.delivery, batch.places[start], str(error) or type(error).__name__)
                return
            middle = (start + end) // 2
            self._load(batch, start, middle)
            self._load(batch, middle, end)

    def _inspected(self, batch: _Batch, start: int, end: int) -> list[Activity | RawActivity]:
        """Those that may go in. Only what does not surely keep the contract is decoded and looked at closely."""
        if self._inspector is None:
            return batch.activities[start:end]
        keeps = self._inspector.contract.keeps
        passed: list[Activity | RawActivity] = []
        suspects: list[_Suspect] = []
        for place in range(start, end):
            activity = batch.activities[place]
            if isinstance(activity, RawActivity) and keeps(activity.activity, activity.feature_json):
                passed.append(activity)
            else:
                suspects.append(_Suspect(activity, batch.delivery, batch.places[place]))
        if suspects:
            passed += (item.activity for item in self._inspector.inspect(suspects).merge)
        return passed

    def _bury(self, delivery: Delivery, place: int, reason: str) -> None:
        origin = delivery.origin(place)
        self._dead.put(
            DeadLetter(
                reason=reason, source=f"queue/{origin.segment}", offset=origin.offset, line=delivery.lines[place]
            )
        )


def _patience(failures: int) -> float:
    """Twice as long after each failure, up to RETRY_SECONDS_MAX, and not all at the same moment."""
    return min(math.ldexp(RETRY_SECONDS, min(failures, 10)), RETRY_SECONDS_MAX) * random.uniform(0.5, 1.0)
