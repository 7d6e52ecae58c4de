"""Which contexts somebody wants to have made anew: a file for each wish, named after its key.

A file comes into being once, however many processes ask for it at the same moment, and nobody waits for anybody. So a
stampede of readers is one wish, also while the cache itself is being written, is damaged, or is not there.
"""

from __future__ import annotations

import os
import threading
import time
from hashlib import blake2b
from pathlib import Path

import msgspec

from cdesk.context.model import ContextKey

KEY_BYTES_MAX = 16_384
AT_ONCE_MAX = 1_000
"""Wishes looked at in one go."""
UNFINISHED_SECONDS = 60.0
"""A file that a process did not live to put in its place goes after this."""


def key_text(key: ContextKey) -> bytes:
    """The key as it is stored: a JSON array. Raises ValueError for what is no Unicode text."""
    return msgspec.json.encode((key.customer, key.project_path, key.kind))


def key_of(text: bytes) -> ContextKey:
    """Raises msgspec.DecodeError."""
    customer, project_path, kind = _decoder.decode(text)
    return msgspec.convert({"customer": customer, "project_path": project_path, "kind": kind}, ContextKey)


_decoder = msgspec.json.Decoder(tuple[str, str | None, str])


class Wishes:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, key: ContextKey) -> bool:
        """True for the one who asked first; False when it is asked already, or cannot be. Never raises."""
        try:
            text = key_text(key)
            path = self._path(text)
            return len(text) <= KEY_BYTES_MAX and not path.exists() and self._put(path, text)
        except (OSError, ValueError):
            return False

    def _put(self, path: Path, text: bytes) -> bool:
        beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        handle = self._create(beside)
        try:
            os.write(handle, text)
            os.link(beside, path)
            return True
        except FileExistsError:
            return False
        finally:
            os.close(handle)
            beside.unlink()

    def _create(self, path: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            for folder in (self._folder.parent, self._folder):  # a home is not made by who only asks
                folder.mkdir(mode=0o700, exist_ok=True)
            return os.open(path, flags, 0o600)

    def changed_ns(self) -> int | None:
        """When wishes last came or went, Unix nanoseconds; None when there never was one."""
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return None

    def look(self) -> list[ContextKey]:
        """Those that are open; what is no wish is removed."""
        found = []
        try:
            with os.scandir(self._folder) as entries:
                for entry, _ in zip(entries, range(AT_ONCE_MAX), strict=False):
                    if (key := self._read(Path(entry.path))) is not None:
                        found.append(key)
        except OSError:
            pass
        return found

    def _read(self, path: Path) -> ContextKey | None:
        try:
            if path.name.startswith("."):
                if time.time() - path.stat().st_mtime > UNFINISHED_SECONDS:
                    path.unlink()
                return None
            with path.open("rb") as file:
                text = file.read(KEY_BYTES_MAX + 1)
            key = key_of(text)
            if self._path(text) == path:
                return key
        except msgspec.DecodeError:
            pass
        path.unlink(missing_ok=True)
        return None

    def done(self, key: ContextKey) -> None:
        try:
            self._path(key_text(key)).unlink(missing_ok=True)
        except (OSError, ValueError):
            pass

    def _path(self, text: bytes) -> Path:
        return self._folder / blake2b(text, digest_size=16).hexdigest()
