"""Gives a consumer the queue's lines in order, from where its last commit ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cdesk.activity.codec import BadLine, check
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.dead_letter import DeadLetter, DeadLetters
from cdesk.queue.depth import Depth, End, measure
from cdesk.queue.disk import Disk, segments
from cdesk.queue.offsets import Offsets

LINE_BYTES_USUAL = 2_048
"""Reading more than a batch will take would only be read again."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a line stands: segment name and byte offset."""

    segment: str
    offset: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whole lines, each with its origin, and the offsets that committing them means."""

    lines: tuple[bytes, ...]
    origins: tuple[Origin, ...]
    offsets: dict[str, int]

    @property
    def is_empty(self) -> bool:
        return not self.lines and not self.offsets


class Reader:
    """One named consumer. Not safe to share between threads, but for `depth`.

    `retire` is given each segment that every consumer has passed; without one it is deleted."""

    def __init__(
        self,
        folder: Path,
        consumer: str,
        dead: DeadLetters,
        *,
        disk: Disk | None = None,
        clock: Clock = SYSTEM_CLOCK,
        retire: Callable[[Path], None] | None = None,
    ) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._disk.folder(folder)
        self._offsets = Offsets(folder, consumer, self._disk)
        self._at = self._offsets.load()
        self._is_announced = False
        self._dead = dead
        self._clock = clock
        self._retire = retire or self._disk.remove
        self._ends: dict[str, End] = {}
        self.delivered = 0
        self.damaged = 0
        self.torn = 0

    @property
    def offsets(self) -> dict[str, int]:
        """Bytes consumed by segment name."""
        return dict(self._at)

    def read(self, bytes_max: int = 8 * 1024 * 1024, lines_max: int = 5_000) -> Delivery:
        """The next lines, oldest first; empty when there are none. Nothing is lost until `commit`."""
        if not self._is_announced:
            self._offsets.announce()
            self._is_announced = True
        lines: list[bytes] = []
        origins: list[Origin] = []
        moved: dict[str, int] = {}
        size = 0
        for path in segments(self._folder):
            if len(lines) >= lines_max or size >= bytes_max:
                break
            owned = self._disk.is_owned(path)  # asked before reading: what its last owner wrote is then seen
            start = self._at.get(path.name, 0)
            end = start
            looked_at = self._clock.now_ns() / 1e9
            found, at_end = self._lines(path, start, min(bytes_max - size, lines_max * LINE_BYTES_USUAL), owned)
            for line, offset in found:
                if len(lines) >= lines_max:
                    break
                end = offset + len(line)
                size += len(line)
                if self._is_whole(line, path, offset):
                    lines.append(line)
                    origins.append(Origin(path.name, offset))
            if end != start:
                moved[path.name] = end
            if at_end and end == (found[-1][1] + len(found[-1][0]) if found else start):
                self._ends[path.name] = End(end, looked_at)
            if not at_end:
                break  # the same producer's next segment must not overtake the rest of this one
        return Delivery(tuple(lines), tuple(origins), moved)

    def commit(self, delivery: Delivery) -> None:
        """The consumer has made these lines its own: remember that, and delete segments that are done."""
        if delivery.offsets:
            at = {**self._at, **delivery.offsets}
            self._offsets.save(at)
            self._at = at
            self.delivered += len(delivery.lines)
        self._delete_finished()

    def depth(self, now_s: float) -> Depth:
        """What waits for this consumer now."""
        return measure(self._folder, self._at, self._ends, now_s)

    def _lines(self, path: Path, start: int, bytes_max: int, owned: bool) -> tuple[list[tuple[bytes, int]], bool]:
        """Whole lines from `start`, and whether they are all there are. Behind a dead writer, a tail without newline
        counts as read and is dropped."""
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(max(bytes_max, 1))
                if b"\n" not in data and len(data) == max(bytes_max, 1):  # one line longer than that
                    data += file.readline()  # bounded by the segment, whatever stands in it
                at_end = file.read(1) == b""
        except FileNotFoundError:
            return [], True
        found: list[tuple[bytes, int]] = []
        offset = start
        for line in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
            if line.endswith(b"\n") or (at_end and not owned):
                found.append((line, offset))
            offset += len(line)
        return found, at_end

    def _is_whole(self, line: bytes, path: Path, offset: int) -> bool:
        if not line.endswith(b"\n"):
            self.torn += 1
            return False  # torn by the crash of its writer, never acknowledged
        try:
            check(line)
        except BadLine as error:
            letter = DeadLetter(reason=str(error), source=f"queue/{path.name}", offset=offset, line=line)
            self.damaged += self._dead.put(letter)
            return False
        return True

    def _delete_finished(self) -> None:
        others: list[dict[str, int]] | None = None
        for path in segments(self._folder):
            if not self._is_finished(path, self._at):
                continue
            others = self._offsets.load_others() if others is None else others
            if all(self._is_finished(path, at) for at in others):
                self._retire(path)
                self._ends.pop(path.name, None)
        present = {path.name for path in segments(self._folder)}
        if any(name not in present for name in self._at):
            self._at = {name: at for name, at in self._at.items() if name in present}
            self._offsets.save(self._at)

    def _is_finished(self, path: Path, at: dict[str, int]) -> bool:
        """Its writer is gone, and the consumer is past its end."""
        passed = at.get(path.name, 0)
        try:
            return passed >= path.stat().st_size and not self._disk.is_owned(path) and passed >= path.stat().st_size
        except FileNotFoundError:
            return False


def _split(data: bytes) -> list[bytes]:
    """Lines end at a newline only, never at a carriage return."""
    pieces = data.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines
