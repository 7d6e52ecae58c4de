"""Reads every transcript there is, however old, into the queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cdesk.activity.model import Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.transcript import TranscriptFile, find
from cdesk.queue.dead_letter import DeadLetter, DeadLetters


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
        progress.files_total, progress.bytes_total = len(paths), sum(map(_size, paths))
        for path in paths:
            self.read(path, bookmarks, progress, resume=resume, tell=tell)
            progress.files += 1
            tell(progress)
        bookmarks.save()
        progress.is_done = True
        return progress

    def read(
        self,
        path: Path,
        bookmarks: Bookmarks,
        progress: Progress,
        *,
        resume: bool = True,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """One file. A file that cannot be read is a rejection with its reason, not a failure."""
        file = TranscriptFile(path, self._person, self._prices)
        try:
            for chunk in file.read(bookmarks.get(file.name) if resume else None):
                self._gate.admit(chunk.activities)
                self._dead.put_all(chunk.rejected)
                bookmarks.put(file.name, chunk.bookmark)
                progress.lines += chunk.lines
                progress.bytes += chunk.bytes
                progress.observed += len(chunk.activities)
                progress.rejected += len(chunk.rejected)
                tell(progress)
                self._pace()
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror}"
            self._dead.put(DeadLetter(reason=reason, source=file.name, offset=0, line=b""))
            progress.rejected += 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
