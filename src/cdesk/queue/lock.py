"""One process carries a home's lines to the warehouse: it holds a lock, and whoever comes second learns its name.

`owner.lock` holds `{"pid","started_at"}` under an exclusive `flock`, which the system lets go of when the process ends,
however it ends: a lock cannot go stale. Its holder empties the file when it ends well, so that what stands in an
unlocked file tells of one that did not.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError
from cdesk.queue.disk import FILE_MODE


class Owner(msgspec.Struct, frozen=True):
    """Who holds the lock, or held it last."""

    pid: int
    started_at: str


class Owned(Exception):
    """Somebody else holds the lock; `owner` is None in the moment before it wrote its name."""

    def __init__(self, owner: Owner | None) -> None:
        super().__init__(f"held by {owner.pid}" if owner else "held")
        self.owner = owner


class OwnerLock:
    """Held from construction to `close`. Raises Owned; QueueError when the file cannot be used.

    `died`: who held it last, when that process ended without closing."""

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise QueueError(
                f"could not open {path}: {error.strerror}.", "Check the disk and its permissions."
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _read(self._handle)
            os.close(self._handle)
            raise Owned(owner) from None
        self.died = _read(self._handle)
        self._write(msgspec.json.encode(Owner(os.getpid(), clock.now().isoformat())))

    def close(self) -> None:
        self._write(b"")
        os.close(self._handle)

    def _write(self, name: bytes) -> None:
        with suppress(OSError):  # on a full disk the lock holds all the same, only without a name
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, name, 0)


def _read(handle: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(handle, 4_096, 0), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None
