"""Who the person of this machine is shown as, where somebody said so later: one small file, which whoever has the warehouse
writes and every reader of contexts sees at once.

    names.json    {"ada@old.example":"ada@example.org"}

Sessions, hooks and servers know the name that facts are told with; contexts are kept under the one they are shown under.
A lost file is written anew when the service starts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cdesk.context.whole import replace

FILE = "names.json"
BYTES_MAX = 4_096


class Names:
    """In any process; what cannot be read says nothing."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: tuple[int, int] | None = None
        self._names: dict[str, str] = {}

    def shown(self, told: str) -> str:
        return self.known().get(told, told)

    def known(self) -> Mapping[str, str]:
        """The name that is shown, by the one that is told."""
        try:
            found = os.stat(self._path)  # noqa: PTH116
            file = found.st_ino, found.st_mtime_ns
            if file != self._file:
                self._names, self._file = self._read(), file
        except (OSError, ValueError):
            self._names, self._file = {}, None
        return self._names

    def keep(self, names: Mapping[str, str]) -> None:
        """Raises OSError."""
        replace(self._path, json.dumps(names).encode())

    def _read(self) -> dict[str, str]:
        with self._path.open("rb") as file:
            given = json.loads(file.read(BYTES_MAX))
        is_whole = isinstance(given, dict) and all(isinstance(name, str) for name in given.values())
        return given if is_whole else {}
