"""Appends what was answered to the queue, behind the answer's back: the asker never waits for it.

One thread, made with the first call. It opens the queue and the redaction rules, which takes some tenths of a second
once, and holds the interpreter's lock for most of them: so it waits for that until nobody has called for a while, when
Claude thinks. `close` returns when everything that was told is durable, or the queue has refused it.
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
QUIET_S, QUIET_WAIT_S_MAX = 1.0, 15.0
"""How long nobody has called before the rules are opened, and how long that is waited for."""
WAITING_MAX = 10_000
CLOSE_PATIENCE_S = 5.0


class Recorder:
    """`admit` makes activities durable, and may raise CdeskError: then they are counted in `lost`, and told once."""

    def __init__(self, admit: Callable[[Sequence[Activity]], object]) -> None:
        self._admit = admit
        self._told: SimpleQueue[Callable[[], Activity] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._calls = 0
        self._is_open = False
        self.lost = 0

    def tell(self, made: Callable[[], Activity]) -> None:
        """`made` gives the activity when its turn comes, so that not even making it is waited for."""
        if self._told.qsize() >= WAITING_MAX:
            self.lost += 1
            return
        self._calls += 1
        self._told.put(made)
        with self._starting:
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
            self._linger()
            batch = [first]
            try:
                while (another := self._told.get_nowait()) is not None:
                    batch.append(another)
                self._told.put(None)
            except Empty:
                pass
            self._record(batch)

    def _linger(self) -> None:
        if self._is_open:
            self._closing.wait(LINGER_S)
            return
        for _ in range(int(QUIET_WAIT_S_MAX / QUIET_S)):
            before = self._calls
            if self._closing.wait(QUIET_S) or self._calls == before:
                break
        self._is_open = True

    def _record(self, batch: list[Callable[[], Activity]]) -> None:
        try:
            self._admit([made() for made in batch])
        except (CdeskError, OSError) as error:
            if not self.lost:
                print(f"cdesk mcp: calls are answered, and not recorded: {error}", file=sys.stderr)
            self.lost += len(batch)
