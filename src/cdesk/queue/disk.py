"""The few things the queue does to a disk, in one place, so that a test can make any of them fail."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cdesk.errors import QueueError, QueueFull

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class Disk:
    """The real disk. Every method raises QueueError, or QueueFull when there is no room."""

    def folder(self, path: Path) -> None:
        with translated(f"create {path}"):
            path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)

    def create(self, path: Path) -> int:
        """A new file, locked by this process for as long as the descriptor is open; its name is durable.

        It is locked before it gets its name: a reader that found it unowned would take its writer for dead."""
        with translated(f"create {path}"):
            beside = path.with_name(path.name + ".new")
            handle = os.open(beside, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            made = [beside]
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.hardlink_to(beside)  # unlike a rename, never over a file that is there
                made.append(path)
                beside.unlink()
                self.sync_folder(path.parent)
            except BaseException:
                os.close(handle)
                for name in made:
                    name.unlink(missing_ok=True)
                raise
            return handle

    def open(self, path: Path) -> int:
        """A file to append to, made where it is missing; not locked."""
        with translated(f"open {path}"):
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def append(self, handle: int, data: bytes) -> None:
        with translated("append to the queue"):
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]

    def sync(self, handle: int) -> None:
        with translated("sync the queue"):
            _flush(handle)

    def truncate(self, handle: int, size: int) -> None:
        with translated("mend the queue"):
            os.ftruncate(handle, size)

    def close(self, handle: int) -> None:
        os.close(handle)

    def replace(self, path: Path, data: bytes) -> None:
        """The whole file changes at once, durably, or not at all."""
        with translated(f"write {path}"):
            beside = path.with_name(path.name + ".new")
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            try:
                self.append(handle, data)
                _flush(handle)
            finally:
                os.close(handle)
            beside.replace(path)
            self.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        with translated(f"remove {path}"):
            path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        with translated(f"sync {folder}"):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def is_owned(self, path: Path) -> bool:
        """Whether a living process still holds the file open for appending."""
        with translated(f"look at {path}"):
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
            return False


def _flush(handle: int) -> None:
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:  # macOS: fsync alone does not reach the platter
        fcntl.fcntl(handle, full_sync)
    else:
        os.fdatasync(handle)


class translated:
    """Turns an OSError into the queue's own failure, once, at the wall."""

    def __init__(self, act: str) -> None:
        self.act = act

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise QueueFull(f"could not {self.act}: no space left.", "Free some disk space.") from error
        raise QueueError(f"could not {self.act}: {error.strerror}.", "Check the disk and its permissions.") from error


def segments(folder: Path) -> Iterator[Path]:
    """Queue segments, oldest first. Raises QueueError."""
    with translated(f"list {folder}"):
        return iter(sorted(folder.glob("[0-9]*-*.ndjson")))
