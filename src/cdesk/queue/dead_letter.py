r"""What could not be loaded is kept aside with its reason, once per distinct line, until somebody decides.

    {"digest":"…","reason":"…","source":"…","offset":7,"size":9,"at":"…","line":"<base64>"}\n     a letter
    {"digest":"…","again":3,"at":"…"}\n                                                        seen three times more

A letter is durable when `put` returns. That one was seen again is worth a number, not a sync: it is written with the
next letter, every AGAIN_SECONDS, or on `close`. The file is replaced as a whole when letters are dropped, and when lines
of the second kind outweigh the first. Past LETTERS_BYTES_MAX letters are refused and counted in `unkept`.

One process at a time may put and drop: the one that holds the home's owner lock. Reading is free for all.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.disk import Disk, translated

LINE_KEPT_BYTES = 65_536
LETTERS_BYTES_MAX = 256 * 1024 * 1024
AGAIN_SECONDS = 60.0
AGAIN_LINES_MAX = 10_000

_Line = TypeVar("_Line")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """reason: for a person · source: file or route it came from · offset: byte position there · line: as given"""

    reason: str
    source: str
    offset: int
    line: bytes


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it is kept. digest: its name · size: of the whole line, bytes · at: when it came, UTC · count: how
    often it was seen"""

    digest: str
    reason: str
    source: str
    offset: int
    size: int
    at: str
    line: bytes
    count: int = 1


class DeadLetters:
    """The letters of one home. Putting the same line from the same place again only counts. Safe between threads."""

    def __init__(
        self, folder: Path, *, redact: Callable[[bytes], bytes] = lambda line: line, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._redact = redact
        self._path = folder / "letters.ndjson"
        self._clock = clock
        self._known: set[str] | None = None
        self._again: Counter[str] = Counter()
        self._again_lines = 0
        self._again_at = clock.monotonic()
        self._lock = threading.RLock()
        self._disk = Disk()
        self._disk.folder(folder)
        self.unkept = 0

    def put(self, letter: DeadLetter) -> bool:
        """Whether it is new. Raises QueueError; then it is not known, and may be put again."""
        return self.put_all([letter]) == 1

    def put_all(self, letters: list[DeadLetter]) -> int:
        """How many are new. Past LETTERS_BYTES_MAX new ones are only counted; their reasons were already told.

        Raises QueueError; then none was put."""
        with self._lock, translated("keep dead letters"):
            known = self._load()
            fresh: dict[str, bytes] = {}
            for letter in letters:
                digest = _digest(letter)
                if digest in known or digest in fresh:
                    self._again[digest] += 1
                else:
                    fresh[digest] = msgspec.json.encode(self._kept(digest, letter)) + b"\n"
            if fresh and self._size() >= LETTERS_BYTES_MAX:
                self.unkept += len(fresh)
                return 0
            if fresh or (self._again and self._clock.monotonic() - self._again_at > AGAIN_SECONDS):
                self._write(b"".join(fresh.values()))
            known.update(fresh)
            return len(fresh)

    def count(self) -> int:
        with self._lock:
            return len(self._load())

    def __iter__(self) -> Iterator[Kept]:
        """Oldest first. A letter torn by a crash is passed over."""
        again: Counter[str] = Counter()
        for line in self._lines():
            if b'"again":' in line and (seen := _decoded(line, _Again)) is not None:
                again[seen.digest] += seen.again
        for line in self._lines():
            if (letter := _decoded(line, Kept)) is not None:
                yield msgspec.structs.replace(letter, count=letter.count + again[letter.digest])

    def drop(self, digests: Container[str]) -> int:
        """Forgets these letters; gives back how many there were."""
        with self._lock:
            self._flush()
            kept = list(self)
            left = [letter for letter in kept if letter.digest not in digests]
            if len(left) < len(kept):
                self._replace(left)
            return len(kept) - len(left)

    def close(self) -> None:
        """Writes what was only counted. Raises QueueError."""
        with self._lock:
            self._flush()

    def _kept(self, digest: str, letter: DeadLetter) -> Kept:
        return Kept(
            digest=digest, reason=letter.reason, source=letter.source, offset=letter.offset, size=len(letter.line),
            at=self._clock.now().isoformat(), line=self._redact(letter.line[:LINE_KEPT_BYTES]),
        )  # fmt: skip

    def _flush(self) -> None:
        if self._again:
            self._write(b"")

    def _write(self, fresh: bytes) -> None:
        """The letters, and then what was counted since the last time."""
        at = self._clock.now().isoformat()
        seen = [msgspec.json.encode(_Again(digest, times, at)) + b"\n" for digest, times in self._again.items()]
        self._append(fresh + b"".join(seen))
        self._again.clear()
        self._again_lines += len(seen)
        self._again_at = self._clock.monotonic()
        if self._again_lines > max(AGAIN_LINES_MAX, 4 * len(self._load())):
            self._replace(list(self))

    def _replace(self, letters: list[Kept]) -> None:
        self._disk.replace(self._path, b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters))
        self._known = None
        self._again_lines = 0

    def _append(self, data: bytes) -> None:
        """Raises QueueError; then the letters are not known, and may be put again."""
        handle = self._disk.open(self._path)
        try:
            self._disk.append(handle, data if self._ends_whole() else b"\n" + data)
            self._disk.sync(handle)
        finally:
            self._disk.close(handle)

    def _ends_whole(self) -> bool:
        """Whether the file ends in a newline; not so when its last writer was killed."""
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            return file.read(1) in (b"", b"\n")

    def _load(self) -> set[str]:
        if self._known is None:
            self._known = {letter.digest for line in self._lines() if (letter := _decoded(line, _Named)) is not None}
        return self._known

    def _lines(self) -> Iterator[bytes]:
        if self._path.exists():
            with self._path.open("rb") as file:
                yield from file

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


class _Named(msgspec.Struct):
    """What tells a letter from a line that only counts."""

    digest: str
    source: str


class _Again(msgspec.Struct):
    digest: str
    again: int
    at: str


def _decoded(line: bytes, kind: type[_Line]) -> _Line | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except ValueError:
        return None


def _digest(letter: DeadLetter) -> str:
    place = f"{letter.source}\0{letter.offset}\0{len(letter.line)}\0".encode("utf-8", "surrogateescape")
    return blake2b(place + letter.line, digest_size=12).hexdigest()
