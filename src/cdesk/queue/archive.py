"""Where segments go that every consumer has passed, when `queue.archive = "keep"`.

A kept segment is the file it was, under the name it had: moved back into the queue it is read again from its start,
which identity makes harmless. It is not packed: a rename costs the uploader nothing, and `grep` reads it. When the
folder is past its limit, the oldest go first.
"""

from __future__ import annotations

from pathlib import Path

from cdesk.queue.disk import Disk, segments


class Archive:
    """One folder. Used by the one reader that deletes."""

    def __init__(self, folder: Path, bytes_max: int, *, disk: Disk | None = None) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._disk = disk or Disk()
        self._disk.folder(folder)
        self.bytes = sum(path.stat().st_size for path in segments(folder))

    def take(self, path: Path) -> None:
        """Moves the segment here and makes room for it. Raises QueueError."""
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return
        self._disk.move(path, self._folder / path.name)
        self.bytes += size
        if self.bytes > self._bytes_max:
            self._make_room()

    def _make_room(self) -> None:
        for path in segments(self._folder):
            if self.bytes <= self._bytes_max:
                return
            size = path.stat().st_size
            self._disk.remove(path)
            self.bytes -= size
