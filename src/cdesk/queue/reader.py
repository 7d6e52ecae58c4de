"""Gives a consumer the queue's lines in order, from where its last commit ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cdesk.activity.codec import BadLine, check, is_whole
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.dead_letter import DeadLetter, DeadLetters
from cdesk.queue.depth import Depth, End, measure
from cdesk.queue.disk import Disk, segments, translated
from cdesk.queue.offsets import Offsets

LINE_BYTES_FIRST = 2_048
"""Bytes taken for a line before any was seen; then their mean so far: reading more than a batch takes is read again."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a line stands: segment name and byte offset."""

    segment: str
    offset: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whole lines, where each stands, and the offsets that committing them means."""

    lines: tuple[bytes, ...] = ()
    segments: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    offsets: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.lines and not self.offsets

    def origin(self, place: int) -> Origin:
        """Of the line at this place."""
        return Origin(self.segments[place], self.positions[place])


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
        self._line_bytes: float = LINE_BYTES_FIRST
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

    def read(
        self, bytes_max: int = 8 * 1024 * 1024, lines_max: int = 5_000, *, after: Delivery | None = None
    ) -> Delivery:
        """The next lines, oldest first; empty when there are none. Nothing is lost until `commit`. Raises QueueError.

        after: a delivery not yet committed, to read on behind it."""
        with translated("read the queue"):
            return self._next(bytes_max, lines_max, after)

    def _next(self, bytes_max: int, lines_max: int, after: Delivery | None) -> Delivery:
        self._announce()
        at = {**self._at, **after.offsets} if after is not None else self._at
        lines: list[bytes] = []
        names: list[str] = []
        positions: list[int] = []
        moved: dict[str, int] = {}
        size = 0
        for path in segments(self._folder):
            wanted = lines_max - len(lines)
            if wanted <= 0 or size >= bytes_max:
                break
            owned = self._disk.is_owned(path)  # asked before reading: what its last owner wrote is then seen
            start = end = at.get(path.name, 0)
            looked_at = self._clock.now_ns() / 1e9
            found, at_end = self._lines(path, start, min(bytes_max - size, int(wanted * self._line_bytes)), owned)
            for line in found[:wanted]:
                if is_whole(line) or self._is_odd_but_whole(line, path, end):
                    lines.append(line)
                    names.append(path.name)
                    positions.append(end)
                end += len(line)
            size += end - start
            if end != start:
                moved[path.name] = end
            if at_end and len(found) <= wanted:
                self._ends[path.name] = End(end, looked_at)
            else:
                break  # the same producer's next segment must not overtake the rest of this one
        if lines:
            self._line_bytes = size / len(lines) * 1.1
        return Delivery(tuple(lines), tuple(names), tuple(positions), moved)

    def commit(self, delivery: Delivery) -> None:
        """The consumer has made these lines its own: remember that, and delete segments that are done."""
        with translated("mark what was read"):
            self._commit(delivery)

    def _commit(self, delivery: Delivery) -> None:
        if delivery.offsets:
            at = {**self._at, **delivery.offsets}
            self._offsets.save(at)
            self._at = at
            self.delivered += len(delivery.lines)
        self._delete_finished()

    def move(self, offsets: Mapping[str, int]) -> None:
        """Goes on from there in these segments, as far as they are still here: who takes the lines knows better how many
        it has."""
        with translated("find the place to read on"):
            present = {path.name for path in segments(self._folder)}
            at = {**self._at, **{name: offset for name, offset in offsets.items() if name in present}}
            if at != self._at:
                self._offsets.save(at)
                self._at = at

    def announce(self) -> None:
        """From now on, what this consumer has not read stays, also before it reads for the first time. Raises QueueError."""
        with translated("take note of who reads"):
            self._announce()

    def _announce(self) -> None:
        if not self._is_announced:
            self._offsets.announce()
            self._is_announced = True

    def withdraw(self) -> None:
        """This consumer is no more: nothing has to stay for it, and it would begin anew."""
        with translated("forget what was read"):
            self._offsets.forget()
        self._at, self._is_announced = {}, False

    def depth(self, now_s: float) -> Depth:
        """What waits for this consumer now."""
        return measure(self._folder, self._at, self._ends, now_s)

    def _lines(self, path: Path, start: int, bytes_max: int, owned: bool) -> tuple[list[bytes], bool]:
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
        found = data.splitlines(keepends=True) if b"\r" not in data else _split(data)
        if found and not found[-1].endswith(b"\n") and not (at_end and not owned):
            found.pop()
        return found, at_end

    def _is_odd_but_whole(self, line: bytes, path: Path, offset: int) -> bool:
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
