"""Content in this home's own folder: one file for each artifact.

    art_….parquet.new ──write, sync──▶ ──rename──▶ art_….parquet ──sync of the folder──▶ only now a row tells of it

A file without a row was never told of, or is not any more: it is deleted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cdesk.artifact.model import Place
from cdesk.artifact.store import SUFFIX
from cdesk.errors import ArtifactError, ContentMissing


class FolderStore:
    """`now`: Unix seconds"""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._now = now

    def put(self, artifact_id: str, file: Path) -> Place:
        target = self._folder / f"{artifact_id}{SUFFIX}"
        with translated(f"keep {target.name}"):
            file.chmod(0o600)
            _sync(file, os.O_RDONLY)
            file.replace(target)
            _sync(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return Place(f"file:{target.name}", None, target.name)

    def file(self, place: Place, sha256: str) -> Path:
        path = self._folder / place.key
        if not path.is_file():
            raise ContentMissing(
                f"{place.key} is not in this home's folder of artifacts any more.", "Ask its question again."
            )
        return path

    def has(self, place: Place) -> bool:
        return (self._folder / place.key).is_file()

    def delete(self, place: Place) -> None:
        with translated(f"delete {place.key}"):
            (self._folder / place.key).unlink(missing_ok=True)

    def each(self) -> Iterator[tuple[str, Place, float]]:
        with translated("look into the folder of artifacts"):
            for path in sorted(self._folder.glob(f"*{SUFFIX}*")):
                try:
                    age = self._now() - path.stat().st_mtime
                except FileNotFoundError:
                    continue
                yield path.name.partition(".")[0], Place(f"file:{path.name}", None, path.name), age

    def signed(self, place: Place, method: str, seconds: int) -> str | None:
        return None


@contextmanager
def translated(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"cannot {what}: {error.strerror}.", "See that there is disk space, and that the folder is yours."
        ) from None


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
