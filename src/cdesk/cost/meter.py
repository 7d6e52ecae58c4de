"""What cdesk itself takes of this machine, by kind of work: seconds of processor, bytes from and to the disk.

    time ──▶ ···· │ ingest │ ingest + interactive │ interactive │ ····
    whose         │ its own│ half each            │ its own     │ service

The process as a whole is read whenever a piece of work begins or ends, and what it took since the last reading belongs to
the work that was under way, in equal parts where there were several; what nobody was doing is the service's own. So all
together are always exactly what the process took, DuckDB's threads with it, and a reading costs microseconds. Which of two
pieces side by side took more is not known.

Work that mostly waits for somebody else's machine (`apart`) would be given half of what others do meanwhile: its own
thread's time is all it is given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TypeAlias

from cdesk.cost.book import Book, Used
from cdesk.observe import Effort

Workload: TypeAlias = Literal["ingest", "tasks", "interactive", "batch", "service"]
WORKLOADS: tuple[Workload, ...] = ("ingest", "tasks", "interactive", "batch", "service")
"""ingest: activities into the warehouse · tasks: derived tables and contexts · interactive: questions that somebody waits
for · batch: tickets · service: all else, such as taking in what hooks tell and serving the page"""

_IO = "/proc/self/io"


class Work(Effort):
    """One piece under way."""

    def __init__(self, workload: Workload, tag: str) -> None:
        self.workload = workload
        self.tag = tag
        self.used = Used()


def reading() -> Used:
    """What this process took since it began. Bytes are those that came from the disk and went to it; where the system does
    not tell them (only Linux does), they stay 0."""
    read = written = 0
    with suppress(OSError, ValueError), open(_IO, "rb") as file:  # noqa: PTH123 -- asked often
        told = dict(line.split(b": ") for line in file.read().splitlines())
        read, written = int(told.get(b"read_bytes", 0)), int(told.get(b"write_bytes", 0))
    return Used(0, time.process_time(), read, written)


KNOWS_BYTES = os.path.exists(_IO)  # noqa: PTH110


class Meter:
    """Reads for one book. Any thread may work; a piece of work within another is part of that."""

    def __init__(self, book: Book, *, read: Callable[[], Used] = reading) -> None:
        self._book = book
        self._read = read
        self._lock = threading.Lock()
        self._here = threading.local()
        self._under_way: list[Work] = []
        self._service = self._nobody()
        self._last = read()
        self._apart_s = 0.0

    @contextmanager
    def work(self, workload: Workload, tag: str = "") -> Iterator[Work]:
        """tag: under which name it is told on its own"""
        piece = Work(workload, tag)
        if getattr(self._here, "is_working", False):
            yield piece
            return
        self._here.is_working = True
        with self._lock:
            self._settle()
            self._under_way.append(piece)
        try:
            yield piece
        finally:
            self._here.is_working = False
            with self._lock:
                self._settle()
                self._under_way.remove(piece)
                self._enter(piece)
            self._book.save_in_time()

    @contextmanager
    def apart(self, workload: Workload, tag: str = "") -> Iterator[Work]:
        """Work that mostly waits for another machine."""
        piece = Work(workload, tag)
        if getattr(self._here, "is_working", False):
            yield piece
            return
        self._here.is_working = True
        began = time.thread_time()
        try:
            yield piece
        finally:
            self._here.is_working = False
            seconds = time.thread_time() - began
            with self._lock:
                self._apart_s += seconds
                piece.used = Used(0, seconds)
                self._enter(piece)
            self._book.save_in_time()

    def settle(self) -> None:
        """Enters what nobody has been doing up to now, for who wants to read the book."""
        with self._lock:
            self._settle()
            self._enter(self._service)
            self._service = self._nobody()

    @staticmethod
    def _nobody() -> Work:
        service = Work("service", "")
        service.counts = False
        return service

    def _settle(self) -> None:
        now = self._read()
        taken = now - self._last
        apart = min(self._apart_s, taken.cpu_s)
        self._apart_s -= apart
        self._last = now
        share = (taken - Used(0, apart)) / max(1, len(self._under_way))
        for piece in self._under_way or (self._service,):
            piece.used += share

    def _enter(self, piece: Work) -> None:
        self._book.add(piece.workload, piece.tag, piece.used + Used(1 if piece.counts else 0))
