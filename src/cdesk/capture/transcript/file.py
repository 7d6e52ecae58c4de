"""One transcript file, read in bounded pieces from where a bookmark says it was left.

Limits: a line over LINE_BYTES_MAX is set aside without being held in memory; a piece is about BLOCK_BYTES.
A file is written by appending, so a bookmark holds a byte offset; when the file is now shorter, or does not begin
with the bytes it began with, it is another file and is read from its start.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import msgspec

from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.transcript.interpret import Interpreter, Thread
from cdesk.queue.dead_letter import DeadLetter

BLOCK_BYTES = 2 * 1024 * 1024
LINE_BYTES_MAX = 32 * 1024 * 1024
HEAD_BYTES = 256


class Bookmark(msgspec.Struct, frozen=True, omit_defaults=True):
    """offset: bytes whose whole lines were read · head: digest of the file's first bytes · thread: what the
    interpreter has to remember to go on"""

    offset: int = 0
    head: str = ""
    head_bytes: int = 0
    thread: Thread = msgspec.field(default_factory=Thread)


@dataclass(slots=True)
class Chunk:
    """What one piece of a file said."""

    activities: list[Activity] = field(default_factory=list)
    rejected: list[DeadLetter] = field(default_factory=list)
    lines: int = 0
    bytes: int = 0
    bookmark: Bookmark = field(default_factory=Bookmark)


class TranscriptFile:
    """Raises OSError when the file cannot be read; the caller says so and goes on with the next."""

    def __init__(self, path: Path, person: Person, prices: PriceBook) -> None:
        self.path = path
        self.name = _name(path)
        self._person = person
        self._prices = prices

    def read(self, bookmark: Bookmark | None = None) -> Iterator[Chunk]:
        """The file's new whole lines, piece by piece. The last line counts only once its newline is there, or
        when it is a whole JSON object already."""
        found = self.path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")  # a pipe would keep us waiting for ever
        if bookmark is not None and bookmark.offset and found.st_size == bookmark.offset:
            return
        with self.path.open("rb") as file:
            start = self._resume(file, bookmark)
            interpreter = Interpreter(self.path, self._person, self._prices, start.thread)
            marks = _marks(file, start.offset)
            file.seek(start.offset)
            offset = start.offset
            for lines, letters, size in _blocks(file, start.offset, self.name):
                chunk = Chunk(rejected=letters, lines=len(lines) + len(letters), bytes=size)
                for line, at in lines:
                    reason = interpreter.feed(line, _origin(marks, at))
                    if reason is not None:
                        chunk.rejected.append(DeadLetter(reason=reason, source=self.name, offset=at, line=line))
                offset += size
                chunk.activities = interpreter.flush()
                chunk.bookmark = Bookmark(offset, start.head, start.head_bytes, interpreter.thread())
                yield chunk

    def _resume(self, file: BinaryIO, bookmark: Bookmark | None) -> Bookmark:
        head = file.read(HEAD_BYTES)
        if bookmark is not None and bookmark.offset:
            file.seek(0, 2)
            if file.tell() >= bookmark.offset and _digest(head[: bookmark.head_bytes]) == bookmark.head:
                return bookmark
        return Bookmark(0, _digest(head), len(head))


def _marks(file: BinaryIO, offset: int) -> list[tuple[int, str]]:
    """Where responses stand that were copied from another session, and from which.

    A fork begins with its origin's lines, and newer versions mark the responses among them; what stands before a mark
    was copied with it. So the whole rest of the file is looked through first, whatever the pieces it is read in."""
    file.seek(offset)
    marks: list[tuple[int, str]] = []
    rest, at = b"", offset
    while block := file.read(BLOCK_BYTES):
        data = rest + block
        if _COPY_MARK in data:
            for found in _COPIED_FROM.finditer(data):
                mark = (at + found.start(), found[1].decode("utf-8", "replace"))
                if not marks or marks[-1][0] < mark[0]:
                    marks.append(mark)
        rest = data[-_MARK_BYTES_MAX:]
        at += len(data) - len(rest)
    return marks


def _origin(marks: list[tuple[int, str]], at: int) -> str | None:
    """The session that the line at this offset was copied from."""
    index = bisect_left(marks, (at, ""))
    return marks[index][1] if index < len(marks) else None


_COPY_MARK = b'"requestSessionId"'
_COPIED_FROM = re.compile(_COPY_MARK + rb':\s*"([^"\\]{1,200})"')
_MARK_BYTES_MAX = 256


def _blocks(file: BinaryIO, offset: int, name: str) -> Iterator[tuple[list[tuple[bytes, int]], list[DeadLetter], int]]:
    """Whole lines with their offsets, letters about lines too long, and the bytes both took."""
    rest = b""
    at = offset
    while True:
        block = file.read(BLOCK_BYTES)
        data = rest + block if rest else block
        if not block:
            if _is_whole(data):
                yield [(data, at)], [], len(data)
            return
        end = data.rfind(b"\n") + 1
        if end == 0:
            if len(data) > LINE_BYTES_MAX:
                letter, skipped = _skip(file, data, at, name)
                yield [], [letter], skipped
                at += skipped
                data = b""
            rest = data
            continue
        whole, rest = data[:end], data[end:]
        lines: list[tuple[bytes, int]] = []
        position = at
        for line in whole[:-1].split(b"\n"):
            if line.strip():
                lines.append((line, position))
            position += len(line) + 1
        yield lines, [], end
        at += end


def _is_whole(line: bytes) -> bool:
    if not line.strip():
        return False
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        return False
    return True


def _skip(file: BinaryIO, seen: bytes, at: int, name: str) -> tuple[DeadLetter, int]:
    """Reads on to the line's end without keeping it."""
    size = len(seen)
    while block := file.readline(BLOCK_BYTES):
        size += len(block)
        if block.endswith(b"\n"):
            break
    reason = f"the line has {size:,} bytes, over the limit of {LINE_BYTES_MAX:,}"
    return DeadLetter(reason=reason, source=name, offset=at, line=seen[:4096]), size


def _name(path: Path) -> str:
    """The path as text; one whose bytes are no text as Python writes bytes, so that no two have the same name."""
    try:
        return str(path).encode().decode()
    except UnicodeEncodeError:
        return repr(os.fsencode(path))


def _digest(head: bytes) -> str:
    return blake2b(head, digest_size=8).hexdigest()
