"""What is found in the queue when a process starts, and a look at every byte for who wants to know.

`survey` is what starting costs: a stat and one byte per segment, whatever their size, for a reader proves each line as
it comes. `verify` reads everything once and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdesk.activity.codec import BadLine, check
from cdesk.queue.disk import Disk, segments

UNNAMED_AFTER_S = 60.0
"""A new segment has no name for a moment; one that still has none was left by a crash."""


@dataclass(frozen=True, slots=True)
class Found:
    """segments: files · bytes: not yet consumed · owned: segments whose writer lives · torn: segments whose dead writer
    left half a line, which was never acknowledged · unnamed: beginnings of segments removed"""

    segments: int = 0
    bytes: int = 0
    owned: int = 0
    torn: int = 0
    unnamed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Verified:
    """lines: whole · damaged: fail their check · torn: half lines at the end of a segment"""

    segments: int
    bytes: int
    lines: int
    damaged: int
    torn: int
    seconds: float


def survey(folder: Path, at: Mapping[str, int], disk: Disk | None = None) -> Found:
    """`at`: bytes consumed by segment name. Clears away what a crash left before a segment had its name."""
    disk = disk or Disk()
    begun = time.perf_counter()
    count = waiting = owned = torn = 0
    for path in segments(folder):
        try:
            left = path.stat().st_size - at.get(path.name, 0)
        except FileNotFoundError:
            continue
        count += 1
        waiting += max(left, 0)
        if disk.is_owned(path):
            owned += 1
        elif left > 0 and not _ends_whole(path):
            torn += 1
    unnamed = _clear_unnamed(folder, disk)
    return Found(count, waiting, owned, torn, unnamed, time.perf_counter() - begun)


def verify(folder: Path) -> Verified:
    """Every line of every segment; one line in memory at a time."""
    begun = time.perf_counter()
    count = size = lines = damaged = torn = 0
    for path in segments(folder):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # loaded meanwhile
        count += 1
        with file:
            for line in file:
                size += len(line)
                if not line.endswith(b"\n"):
                    torn += 1
                elif _proves_itself(line):
                    lines += 1
                else:
                    damaged += 1
    return Verified(count, size, lines, damaged, torn, time.perf_counter() - begun)


def _proves_itself(line: bytes) -> bool:
    try:
        check(line)
    except BadLine:
        return False
    return True


def _ends_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) == b"\n"
    except OSError:
        return True


def _clear_unnamed(folder: Path, disk: Disk) -> int:
    left = [path for path in folder.glob("[0-9]*-*.ndjson.new") if _is_left(path) and not disk.is_owned(path)]
    for path in left:
        disk.remove(path)
    return len(left)


def _is_left(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > UNNAMED_AFTER_S
    except OSError:
        return False
