"""Appends what was answered to the queue, behind the answer's back: the asker never waits for it.

One thread, made with the first call. It opens the queue and the redaction rules, which takes some tenths of a second
once. `close` returns when everything that was told is durable, or the queue has refused it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from cdesk.activity.model import Activity
from cdesk.errors import CdeskError

LINGER_S = 0.2
"""Calls come in flurries; those of one share a flush of the disk."""
WAITING_MAX = 10_000
CLOSE_PATIENCE_S = 5.0


class Recorder:
    """`admit` makes activities durable, and may raise CdeskError: then they are counted in `lost`, and told once."""

    def __init__(self, admit: Callable[[Sequence[Activity]], object]) -> None:
        self._admit = admit
        self._told: SimpleQueue[Callable[[], Activity] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self.lost = 0

    def tell(self, made: Callable[[], Activity]) -> None:
        """`made` gives the activity when its turn comes, so that not even making it is waited for."""
        if self._told.qsize() >= WAITING_MAX:
            self.lost += 1
            return
        self._told.put(made)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cdesk-mcp-recorder", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._told.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_PATIENCE_S)

    def _run(self) -> None:
        while (first := self._told.get()) is not None:
            self._closing.wait(LINGER_S)
            batch = [first]
            try:
                while (another := self._told.get_nowait()) is not None:
                    batch.append(another)
                self._told.put(None)
            except Empty:
                pass
            self._record(batch)

    def _record(self, batch: list[Callable[[], Activity]]) -> None:
        try:
            self._admit([made() for made in batch])
        except (CdeskError, OSError) as error:
            if not self.lost:
                print(f"cdesk mcp: calls are answered, and not recorded: {error}", file=sys.stderr)
            self.lost += len(batch)
