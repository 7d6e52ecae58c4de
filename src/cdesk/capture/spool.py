r"""Brings in what command hooks kept on disk while no service answered.

    spool/<20 digits: ns of receipt>-<pid>.hook      one event, mode 0600, written by `hook_command.py`
    {"received_ns":1795425161904618700,"payload":{"session_id":"…","hook_event_name":"SessionStart",…}}\n
    {…,"context":"<version>",…}                      … when the hook gave Claude what was kept for this folder

A file is whole when it ends with a newline; one that is not yet is left alone for TORN_AFTER_S, then its hook died
writing it. A file goes only after its facts are in the queue, so a crash in between tells them twice, which changes
nothing. What cannot be read goes to the dead letters with its reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from cdesk.capture.hook import BadPayload, Hooks
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError
from cdesk.queue.dead_letter import DeadLetter, DeadLetters

POLL_SECONDS = 1.0
TORN_AFTER_S = 60.0
FOLDER_BYTES_KEPT = 256 * 1024


class _Kept(msgspec.Struct):
    received_ns: int
    payload: msgspec.Raw
    context: str | None = None


class Spool:
    """One folder. `drain` may be called from several threads. `hooks` is opened when there is something to take in;
    `heard_of` is told each payload that was, when it was received, and the version of the context it was given."""

    def __init__(
        self,
        folder: Path,
        hooks: Callable[[], Hooks],
        dead: DeadLetters,
        heard_of: Callable[[bytes, int, str | None], None] = lambda payload, received_ns, version: None,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._folder = folder
        self._hooks = hooks
        self._dead = dead
        self._heard_of = heard_of
        self._clock = clock
        self._draining = threading.Lock()
        self._stop = threading.Event()

    def drain(self) -> int:
        """Takes in everything that is there, oldest first; gives back how many events. Raises QueueError."""
        with self._draining:
            paths = sorted(self._folder.glob("*.hook"))
            taken = sum(self._take(path) for path in paths)
            if paths:
                self._shrink()
            return taken

    def run(self, on_error: Callable[[QueueError], None], on_taken: Callable[[], None] = lambda: None) -> None:
        """Until `stop`. A queue that refuses is told and tried again; the files stay meanwhile."""
        while not self._stop.is_set():
            try:
                if self.drain():
                    on_taken()
            except QueueError as error:
                on_error(error)
            self._stop.wait(POLL_SECONDS)

    def stop(self) -> None:
        self._stop.set()

    def _take(self, path: Path) -> int:
        try:
            line = path.read_bytes()
            age_s = self._clock.now_ns() / 1e9 - path.stat().st_mtime
        except OSError:
            return 0
        if not line.endswith(b"\n") and age_s < TORN_AFTER_S:
            return 0
        try:
            kept = msgspec.json.decode(line, type=_Kept)
            self._hooks().take(bytes(kept.payload), kept.received_ns)
            self._heard_of(bytes(kept.payload), kept.received_ns, kept.context)
        except (BadPayload, msgspec.DecodeError, ValueError, OverflowError) as error:
            self._dead.put(DeadLetter(reason=f"not a kept hook event: {error}", source=path.name, offset=0, line=line))
        path.unlink(missing_ok=True)
        return 1

    def _shrink(self) -> None:
        """A folder's own size never goes down, and hooks measure by it how much waits: a large one is begun anew."""
        with suppress(OSError):
            if self._folder.stat().st_size > FOLDER_BYTES_KEPT:
                self._folder.rmdir()
