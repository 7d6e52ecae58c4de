"""How many events were turned away because the queue could take none, counted where no room is needed.

    hook 00000000000000000012 00000000000000000000      refused, and of these told in the stream
    otel 00000000000000000340 00000000000000000340

The file is made, whole, while there is room. Counting overwrites twenty digits in place: no block is added, so a full
disk takes it. A written number outlives a killed process at once, and the machine's loss of power once `sync` was called.
Processes take turns by an advisory lock on the file; `hook_command.py` counts by the same rules.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cdesk.queue.disk import Disk

SOURCES = ("hook", "otel")
_DIGITS = 20
_ROW = 5 + _DIGITS + 1 + _DIGITS + 1
_REFUSED_AT, _TOLD_AT = 5, 5 + _DIGITS + 1


@dataclass(frozen=True, slots=True)
class Refused:
    """refused: since this home began · told: of these, recorded as an activity"""

    refused: int = 0
    told: int = 0

    @property
    def untold(self) -> int:
        return max(self.refused - self.told, 0)


class Refusals:
    """One home's counts. Never raises once it is made: counting a loss must not cause another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._is_synced = True
        if not path.exists() or path.stat().st_size != _ROW * len(SOURCES):
            Disk().replace(path, b"".join(b"%-4s %020d %020d\n" % (name.encode(), 0, 0) for name in SOURCES))
        self._handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def count(self, source: str, events: int = 1) -> None:
        with suppress(OSError, ValueError), self._alone():
            at = SOURCES.index(source) * _ROW + _REFUSED_AT
            self._write(at, self._number(at) + events)

    def tell(self, told: dict[str, Refused]) -> None:
        """These were recorded."""
        with suppress(OSError, ValueError), self._alone():
            for source, seen in told.items():
                self._write(SOURCES.index(source) * _ROW + _TOLD_AT, seen.refused)

    def read(self) -> dict[str, Refused]:
        """By source; nothing where the file cannot be read."""
        with suppress(OSError, ValueError), self._alone():
            return {
                source: Refused(self._number(row * _ROW + _REFUSED_AT), self._number(row * _ROW + _TOLD_AT))
                for row, source in enumerate(SOURCES)
            }
        return {source: Refused() for source in SOURCES}

    def sync(self) -> None:
        if not self._is_synced:
            self._is_synced = True
            with suppress(OSError):
                os.fdatasync(self._handle)

    def close(self) -> None:
        self.sync()
        os.close(self._handle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.lockf(self._handle, os.F_LOCK, 0)
            try:
                yield
            finally:
                os.lseek(self._handle, 0, os.SEEK_SET)
                os.lockf(self._handle, os.F_ULOCK, 0)

    def _number(self, at: int) -> int:
        return int(os.pread(self._handle, _DIGITS, at))

    def _write(self, at: int, number: int) -> None:
        os.pwrite(self._handle, b"%020d" % number, at)
        self._is_synced = False
