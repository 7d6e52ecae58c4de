"""Reads every transcript there is, however old, into the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cdesk.activity.model import Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.transcript import Chunk, TranscriptFile, find
from cdesk.queue.dead_letter import DeadLetter, DeadLetters

BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of transcript read for one sync of the queue."""


@dataclass(slots=True)
class Progress:
    """files and bytes of how many, and what they gave so far"""

    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    lines: int = 0
    observed: int = 0
    rejected: int = 0
    is_done: bool = False


class Backfill:
    """`pace` is called after every piece, so that the queue's owner may hold a fast reader back."""

    def __init__(
        self, person: Person, prices: PriceBook, gate: Gate, dead: DeadLetters, pace: Callable[[], None]
    ) -> None:
        self._person = person
        self._prices = prices
        self._gate = gate
        self._dead = dead
        self._pace = pace

    def run(
        self,
        claude_dirs: Iterable[Path],
        bookmarks: Bookmarks,
        *,
        resume: bool = False,
        progress: Progress | None = None,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> Progress:
        """Reads all transcripts; from their bookmarks when `resume`, else whole. Leaves bookmarks behind."""
        paths = [path for claude_dir in claude_dirs for path in find(claude_dir)]
        progress = progress or Progress()
        progress.files = progress.bytes = 0
        progress.files_total, progress.bytes_total = len(paths), sum(map(_size, paths))
        batch = _Batch(self._gate, self._dead, bookmarks)
        for path in paths:
            self._read(path, bookmarks, batch, progress, resume, tell)
            progress.files += 1
            tell(progress)
        batch.admit()
        bookmarks.save()
        progress.is_done = True
        return progress

    def read(self, path: Path, bookmarks: Bookmarks, progress: Progress) -> None:
        """What is new in one file. A file that cannot be read is a rejection with its reason, not a failure."""
        batch = _Batch(self._gate, self._dead, bookmarks)
        self._read(path, bookmarks, batch, progress, True, lambda told: None)
        batch.admit()

    def _read(
        self,
        path: Path,
        bookmarks: Bookmarks,
        batch: _Batch,
        progress: Progress,
        resume: bool,
        tell: Callable[[Progress], None],
    ) -> None:
        file = TranscriptFile(path, self._person, self._prices)
        try:
            for chunk in file.read(bookmarks.get(file.name) if resume else None):
                progress.lines += chunk.lines
                progress.bytes += chunk.bytes
                progress.observed += len(chunk.activities)
                progress.rejected += len(chunk.rejected)
                if batch.add(file.name, chunk):
                    tell(progress)
                    self._pace()
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror}"
            batch.add(file.name, Chunk(rejected=[DeadLetter(reason=reason, source=file.name, offset=0, line=b"")]))
            progress.rejected += 1


class _Batch:
    """Several pieces made durable by one sync; their bookmarks move only then."""

    def __init__(self, gate: Gate, dead: DeadLetters, bookmarks: Bookmarks) -> None:
        self._gate = gate
        self._dead = dead
        self._bookmarks = bookmarks
        self._pieces: list[tuple[str, Chunk]] = []
        self._bytes = 0

    def add(self, name: str, chunk: Chunk) -> bool:
        """Whether the batch was full and is durable now."""
        self._pieces.append((name, chunk))
        self._bytes += chunk.bytes
        if self._bytes < BATCH_BYTES:
            return False
        self.admit()
        return True

    def admit(self) -> None:
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        self._gate.admit(activity for _, chunk in pieces for activity in chunk.activities)
        self._dead.put_all([letter for _, chunk in pieces for letter in chunk.rejected])
        for name, chunk in pieces:
            if chunk.bookmark.offset:
                self._bookmarks.put(name, chunk.bookmark)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
