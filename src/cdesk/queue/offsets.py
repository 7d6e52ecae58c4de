"""How far one consumer has read, replaced as a whole and synced."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from cdesk.queue.disk import Disk, translated


class Offsets:
    """Bytes consumed by segment name."""

    def __init__(self, folder: Path, consumer: str, disk: Disk) -> None:
        self._path = folder / "offsets" / f"{consumer}.json"
        self._disk = disk
        disk.folder(self._path.parent)

    def load(self) -> dict[str, int]:
        """Empty when there are none, or when the file is damaged: reading again is harmless, losing is not."""
        return _load(self._path)

    def load_others(self) -> list[dict[str, int]]:
        """Those of every other consumer: what they have not read must stay."""
        return [_load(path) for path in self._path.parent.glob("*.json") if path != self._path]

    def announce(self) -> None:
        """From now on, what this consumer has not read stays."""
        if not self._path.exists():
            self.save({})

    def forget(self) -> None:
        """From now on, nothing stays for this consumer."""
        self._path.unlink(missing_ok=True)

    def save(self, offsets: dict[str, int]) -> None:
        self._disk.replace(self._path, msgspec.json.encode(offsets, order="sorted") + b"\n")


def _load(path: Path) -> dict[str, int]:
    with translated(f"read {path}"):
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, Annotated[int, msgspec.Meta(ge=0)]])
        except (FileNotFoundError, ValueError):
            return {}
