"""Small files that are there whole or not at all, in a folder that stays small."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_BESIDE = ".new"


def put(path: Path, data: bytes, files_max: int) -> None:
    """Replaces the file at once, readable by its owner only. A new one takes the place of the oldest above `files_max`.
    Not synced: what is kept this way can be made again. Raises OSError."""
    is_new = not path.exists()
    replace(path, data)
    if is_new:
        _keep_newest(path.parent, files_max)


def replace(path: Path, data: bytes) -> None:
    """At once, readable by its owner only, not synced. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}{_BESIDE}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    beside.replace(path)


def _keep_newest(folder: Path, files_max: int) -> None:
    with suppress(OSError):  # another process may be at it
        files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        for old in files[: max(0, len(files) - files_max)]:
            old.unlink(missing_ok=True)
