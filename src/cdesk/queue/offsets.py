"""How far one consumer has read, replaced as a whole and synced."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cdesk.queue.disk import Disk


class Offsets:
    """Bytes consumed by segment name."""

    def __init__(self, folder: Path, consumer: str, disk: Disk) -> None:
        self._path = folder / "offsets" / f"{consumer}.json"
        self._disk = disk
        disk.folder(self._path.parent)

    def load(self) -> dict[str, int]:
        """Empty when there are none, or when the file is damaged: reading again is harmless, losing is not."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def save(self, offsets: dict[str, int]) -> None:
        self._disk.replace(self._path, msgspec.json.encode(offsets, order="sorted") + b"\n")
