"""Where each followed transcript was left, in one file replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cdesk.capture.transcript.file import Bookmark
from cdesk.queue.disk import Disk


class Bookmarks:
    """By path. A damaged file counts as empty: reading again is harmless."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[str, Bookmark] = {}
        self._changed = False
        try:
            self._marks = msgspec.json.decode(path.read_bytes(), type=dict[str, Bookmark])
        except (FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
            pass

    def get(self, name: str) -> Bookmark | None:
        return self._marks.get(name)

    def put(self, name: str, bookmark: Bookmark) -> None:
        if self._marks.get(name) != bookmark:
            self._marks[name] = bookmark
            self._changed = True

    def save(self) -> None:
        if self._changed:
            Disk().replace(self._path, msgspec.json.encode(self._marks))
            self._changed = False
