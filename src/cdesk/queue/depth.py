"""How much waits in the queue for one consumer: bytes, events, and for how long.

A line carries no time of its own arrival (its `ts` is the source's, and may be years ago), so the age of the oldest
waiting event is worked out: a segment's name says when its first line came, its last change when its last one did, and
lines in between are taken to have come evenly. Where the reader had seen the end of a segment, nothing after that
point can be older than that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdesk.queue.disk import segments

SAMPLE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class End:
    """A segment was read to its end: at `offset`, at `at_s` seconds since 1970."""

    offset: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Depth:
    """bytes: what waits · events: an estimate from the mean line · oldest_age_s: of the oldest waiting event
    segments: how many files there are · stored: bytes of them all, those that were read and are not deleted yet as well
    """

    bytes: int
    events: int
    oldest_age_s: float
    segments: int = 0
    stored: int = 0


def measure(folder: Path, at: Mapping[str, int], ends: Mapping[str, End], now_s: float) -> Depth:
    """`at`: bytes consumed by segment name."""
    waiting = stored = count = 0
    oldest_s: float | None = None
    mean = 0.0
    for path in segments(folder):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        count += 1
        stored += found.st_size
        offset = at.get(path.name, 0)
        if found.st_size <= offset:
            continue
        waiting += found.st_size - offset
        if oldest_s is None:
            oldest_s = _came(path.name, offset, found.st_size, found.st_mtime, ends.get(path.name))
            mean = _mean_line(path, offset)
    if oldest_s is None:
        return Depth(0, 0, 0.0, count, stored)
    events = max(round(waiting / mean) if mean else 0, 1)
    return Depth(waiting, events, max(now_s - oldest_s, 0.0), count, stored)


def _came(name: str, offset: int, size: int, changed_s: float, end: End | None) -> float:
    """When the line at `offset` came, in seconds since 1970."""
    start = End(0, int(name.split("-")[0]) / 1e9)
    if end is not None and end.offset <= offset:
        start = end
    part = (offset - start.offset) / (size - start.offset)
    return start.at_s + max(changed_s - start.at_s, 0.0) * part


def _mean_line(path: Path, offset: int) -> float:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            sample = file.read(SAMPLE_BYTES)
    except FileNotFoundError:
        return 0.0
    return len(sample) / max(sample.count(b"\n"), 1)
