"""What could not be loaded is kept aside with its reason, once per distinct line, until somebody decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.disk import Disk, translated

LINE_KEPT_BYTES = 65_536
LETTERS_BYTES_MAX = 256 * 1024 * 1024


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """reason: for a person · source: file or route it came from · offset: byte position there · line: as given"""

    reason: str
    source: str
    offset: int
    line: bytes


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it is kept. digest: its name · size: of the whole line, bytes · at: when it came, UTC"""

    digest: str
    reason: str
    source: str
    offset: int
    size: int
    at: str
    line: bytes


class DeadLetters:
    """The letters of one home. Putting the same line from the same place again changes nothing."""

    def __init__(
        self, folder: Path, *, redact: Callable[[bytes], bytes] = lambda line: line, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._redact = redact
        self._path = folder / "letters.ndjson"
        self._clock = clock
        self._known: set[str] | None = None
        self._disk = Disk()
        self._disk.folder(folder)

    def put(self, letter: DeadLetter) -> bool:
        """Whether it is new. Past LETTERS_BYTES_MAX the letter is dropped; its reason was already told."""
        return self.put_all([letter]) == 1

    def put_all(self, letters: list[DeadLetter]) -> int:
        """How many are new. Raises QueueError; then none was put."""
        with translated("keep dead letters"):
            return self._put(letters)

    def _put(self, letters: list[DeadLetter]) -> int:
        known = self._load()
        fresh: dict[str, bytes] = {}
        for letter in letters:
            digest = _digest(letter)
            if digest in known or digest in fresh:
                continue
            fresh[digest] = (
                msgspec.json.encode(
                    Kept(
                        digest=digest,
                        reason=letter.reason,
                        source=letter.source,
                        offset=letter.offset,
                        size=len(letter.line),
                        at=self._clock.now().isoformat(),
                        line=self._redact(letter.line[:LINE_KEPT_BYTES]),
                    )
                )
                + b"\n"
            )
        if fresh and self._size() < LETTERS_BYTES_MAX:
            self._append(b"".join(fresh.values()))
        known.update(fresh)
        return len(fresh)

    def count(self) -> int:
        return len(self._load())

    def __iter__(self) -> Iterator[Kept]:
        """Oldest first. A letter torn by a crash is passed over."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    yield msgspec.json.decode(line, type=Kept)
                except ValueError:
                    continue

    def drop(self, digests: Container[str]) -> int:
        """Forgets these letters; gives back how many there were. Nobody else may put letters meanwhile."""
        kept = list(self)
        left = [letter for letter in kept if letter.digest not in digests]
        if len(left) < len(kept):
            self._disk.replace(self._path, b"".join(msgspec.json.encode(letter) + b"\n" for letter in left))
            self._known = None
        return len(kept) - len(left)

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
            self._known = {digest for line in self._raw() if (digest := _digest_of_kept(line)) is not None}
        return self._known

    def _raw(self) -> list[bytes]:
        return self._path.read_bytes().splitlines() if self._path.exists() else []

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


class _Digest(msgspec.Struct):
    digest: str


def _digest_of_kept(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=_Digest).digest
    except ValueError:
        return None


def _digest(letter: DeadLetter) -> str:
    place = f"{letter.source}\0{letter.offset}\0{len(letter.line)}\0".encode("utf-8", "surrogateescape")
    return blake2b(place + letter.line, digest_size=12).hexdigest()
