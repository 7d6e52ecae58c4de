"""How much of what each source could have seen it saw: counted over everything kept, so asked for rarely and behind the scenes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.query.text import text
from cdesk.warehouse.warehouse import Warehouse

SECONDS_MIN = 30.0
SHARE_MAX = 0.05
"""Part of the time that counting may take, of one core."""
PATIENCE_S = 1.0


class Completeness:
    """The last answer is served while the next one is counted; only the first is waited for, and not for long.

    version   changes when there may be another answer: an unchanged warehouse is not counted again
    """

    def __init__(
        self, warehouse: Warehouse, version: Callable[[], object] = object, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._warehouse = warehouse
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        self._background: ThreadPoolExecutor | None = None
        self._known: list[tuple[Any, ...]] = []
        self._asked: Future[None] | None = None
        self._of: object = None
        self._due = 0.0

    def rows(self, patience_s: float | None = PATIENCE_S) -> list[tuple[Any, ...]]:
        """Rows of V_COMPLETENESS_OVERALL; none when the first answer takes longer than `patience_s` (None: as long as it takes)."""
        with self._lock:
            asked = self._asked
            if asked is None or (asked.done() and self._is_due()):
                asked = self._asked = self._ask()
        try:
            asked.result(0 if self._known else patience_s)
        except TimeoutError:
            pass
        return self._known

    def close(self) -> None:
        with self._lock:
            if self._background is not None:
                self._background.shutdown(wait=False, cancel_futures=True)

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._due and self._of != self._version()

    def _ask(self) -> Future[None]:
        if self._background is None:
            self._background = ThreadPoolExecutor(1, "cdesk-completeness")
        return self._background.submit(self._count, self._version())

    def _count(self, version: object) -> None:
        began = self._clock.monotonic()
        self._known = self._warehouse.query(text("completeness")).rows
        ended = self._clock.monotonic()
        self._of, self._due = version, ended + max(SECONDS_MIN, (ended - began) / SHARE_MAX)
