"""Content in this home's own folder: one file for each artifact.

art_….parquet.new ──write, sync──▶ ──rename──▶ art_….parquet ──sync of the folder──▶ only now a row tells of it
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdesk.artifact.model import Place
from cdesk.artifact.store import SUFFIX
from cdesk.errors import ArtifactError, ContentMissing


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, artifact_id: str) -> Place:
        return Place(f"file:{artifact_id}{SUFFIX}", None, f"{artifact_id}{SUFFIX}")

    def put(self, place: Place, file: Path) -> None:
        with translated(f"keep {place.key}"):
            file.chmod(0o600)
            _sync(file, os.O_RDONLY)
            file.replace(self._folder / place.key)
            _sync(self._folder, os.O_RDONLY | os.O_DIRECTORY)

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
