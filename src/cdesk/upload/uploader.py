"""Carries lines from the queue into the warehouse, in order, each once, and only then lets the queue forget them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cdesk.activity.codec import BadLine, decode
from cdesk.activity.model import Activity
from cdesk.errors import CdeskError, QueueError, WarehouseError
from cdesk.queue.dead_letter import DeadLetter, DeadLetters
from cdesk.queue.reader import Delivery, Origin, Reader
from cdesk.upload.inspector import Inspector
from cdesk.warehouse.warehouse import Merged, Warehouse

BATCH_LINES_MAX = 5_000
CATCH_UP_LINES_MAX = 20_000
BATCH_BYTES_MAX = 16 * 1024 * 1024
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Loadable:
    activity: Activity
    origin: Origin
    line: bytes


class Uploader:
    """One consumer of the queue. `step` moves one batch; `run` moves batches until told to stop."""

    def __init__(
        self, reader: Reader, warehouse: Warehouse, dead: DeadLetters, inspector: Inspector | None = None
    ) -> None:
        self._reader = reader
        self._warehouse = warehouse
        self._dead = dead
        self._inspector = inspector
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._stepping = threading.Lock()
        self.is_running = False
        self.backlog_bytes_min = 0
        self.merged = Merged()

    def step(self, lines_max: int = BATCH_LINES_MAX) -> int:
        """Moves one batch; gives back about how many lines left the queue, 0 when nothing did. Raises WarehouseError: then none did."""
        with self._stepping:
            delivery = self._reader.read(BATCH_BYTES_MAX, lines_max)
            self._load(self._decoded(delivery))
            self._reader.commit(delivery)
            return max(len(delivery.lines), len(delivery.offsets))

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
        while not self._stop.is_set():
            if self._is_gathering():
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()
                continue
            try:
                moved = self.step(lines_max)
            except (WarehouseError, QueueError) as error:
                on_error(error if isinstance(error, WarehouseError) else WarehouseError(error.message, error.hint))
                self._stop.wait(RETRY_SECONDS)
                continue
            on_step(moved)
            lines_max = CATCH_UP_LINES_MAX if moved >= lines_max else BATCH_LINES_MAX
            if moved == 0:
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()

    def _is_gathering(self) -> bool:
        """In bulk work few large batches cost less than many small ones: wait for `backlog_bytes_min`."""
        return self.backlog_bytes_min > 0 and self._reader.depth(0.0).bytes < self.backlog_bytes_min

    def _decoded(self, delivery: Delivery) -> list[_Loadable]:
        found: list[_Loadable] = []
        for line, origin in zip(delivery.lines, delivery.origins, strict=True):
            try:
                found.append(_Loadable(decode(line), origin, line))
            except BadLine as error:
                self._bury(line, origin, str(error))
        return found

    def _load(self, batch: list[_Loadable]) -> None:
        """A line that the warehouse cannot take is found by halving and set aside; the others go in.

        Whatever it raises over a line, if trying again cannot help, is that line's fault: none may stop the queue."""
        if not batch:
            return
        try:
            passed = batch if self._inspector is None else self._inspector.inspect(batch).merge
            self.merged += self._warehouse.merge([item.activity for item in passed])
        except Exception as error:
            if isinstance(error, CdeskError) and error.retryable:
                raise
            if len(batch) == 1:
                self._bury(batch[0].line, batch[0].origin, str(error) or type(error).__name__)
                return
            middle = len(batch) // 2
            self._load(batch[:middle])
            self._load(batch[middle:])

    def _bury(self, line: bytes, origin: Origin, reason: str) -> None:
        self._dead.put(DeadLetter(reason=reason, source=f"queue/{origin.segment}", offset=origin.offset, line=line))
