"""Tells which existing transcripts hold secrets, without showing one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(rb"\[redacted:([^:\]]+):([0-9a-f]{8})\]")
LINE_BYTES_MAX = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sighting:
    """line: from 1 · rule: kind of secret · fingerprint: the same for the same secret, of no use for finding it"""

    path: str
    line: int
    rule: str
    fingerprint: str


def scan(paths: Iterable[Path], redact: Callable[[bytes], bytes], tell: Callable[[int], None]) -> Iterator[Sighting]:
    """Every secret of every line. `tell` hears the bytes read. Files that cannot be read are passed over."""
    for path in paths:
        name = str(path).encode("utf-8", "replace").decode()
        try:
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX), b""), 1):
                    tell(len(line))
                    for rule, fingerprint in _found(line, redact):
                        yield Sighting(name, number, rule, fingerprint)
        except OSError:
            continue


def _found(line: bytes, redact: Callable[[bytes], bytes]) -> list[tuple[str, str]]:
    clean = redact(line)
    if clean is line or clean == line:
        return []
    marks = Counter(_MARK.findall(clean)) - Counter(_MARK.findall(line))
    return [(rule.decode(), fingerprint.decode()) for rule, fingerprint in marks.elements()]
