"""What could not be loaded is kept aside with its reason, once per distinct line, until somebody decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.queue.disk import Disk

LINE_KEPT_BYTES = 65_536
LETTERS_BYTES_MAX = 256 * 1024 * 1024


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """reason: for a person · source: file or route it came from · offset: byte position there · line: as given"""

    reason: str
    source: str
    offset: int
    line: bytes


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
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
        Disk().folder(folder)

    def put(self, letter: DeadLetter) -> bool:
        """Whether it is new. Past LETTERS_BYTES_MAX the letter is dropped; its reason was already told."""
        return self.put_all([letter]) == 1

    def put_all(self, letters: list[DeadLetter]) -> int:
        known = self._load()
        fresh: list[bytes] = []
        for letter in letters:
            digest = _digest(letter)
            if digest in known:
                continue
            known.add(digest)
            fresh.append(
                msgspec.json.encode(
                    _Kept(
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
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, b"".join(fresh))
                os.fsync(handle)
            finally:
                os.close(handle)
        return len(fresh)

    def count(self) -> int:
        return len(self._load())

    def __iter__(self) -> Iterator[DeadLetter]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    kept = msgspec.json.decode(line, type=_Kept)
                except msgspec.DecodeError:
                    continue
                yield DeadLetter(reason=kept.reason, source=kept.source, offset=kept.offset, line=kept.line)

    def _load(self) -> set[str]:
        if self._known is None:
            self._known = {_digest_of_kept(line) for line in self._raw()}
        return self._known

    def _raw(self) -> list[bytes]:
        return self._path.read_bytes().splitlines() if self._path.exists() else []

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


class _Digest(msgspec.Struct):
    digest: str


def _digest_of_kept(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=_Digest).digest
    except msgspec.DecodeError:
        return ""


def _digest(letter: DeadLetter) -> str:
    place = f"{letter.source}\0{letter.offset}\0{len(letter.line)}\0".encode("utf-8", "surrogateescape")
    return blake2b(place + letter.line, digest_size=12).hexdigest()
