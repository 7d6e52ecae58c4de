"""Queue lines for tests, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from cdesk.activity.codec import seal
from cdesk.clock import Clock
from cdesk.queue import Delivery, Reader

STARTED_NS = 1_772_000_000_000_000_000


def line(name: object, size: int = 0) -> bytes:
    """A whole line that says `name`, and is about as long as told."""
    return seal(b'{"name":"%s","padding":"%s"}' % (str(name).encode(), b"x" * size))


def torn(whole: bytes, part: float = 0.5) -> bytes:
    return whole[: max(1, int((len(whole) - 1) * part))]


class Hands:
    """Wall time and monotonic time, set by the test."""

    def __init__(self) -> None:
        self.wall_ns = STARTED_NS
        self.seconds = 0.0
        self._names = count()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall_ns, lambda: self.seconds, lambda: f"{next(self._names):08x}")

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_ns += int(seconds * 1e9)


def drained(reader: Reader, lines_max: int = 1_000, bytes_max: int = 1 << 20) -> list[bytes]:
    """All lines until there are none, each delivery committed."""
    return [line for delivery in deliveries(reader, lines_max, bytes_max) for line in delivery.lines]


def deliveries(reader: Reader, lines_max: int = 1_000, bytes_max: int = 1 << 20) -> Iterator[Delivery]:
    while True:
        delivery = reader.read(bytes_max, lines_max)
        yield delivery
        reader.commit(delivery)
        if delivery.is_empty:
            return


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ndjson"))
