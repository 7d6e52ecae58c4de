"""A real disk that fails when told to: with an error, or by the death of its process, before, during or after an act.

What was written and not yet synced may be lost at a death, wholly or in part, as a power cut would have it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cdesk.errors import QueueError, QueueFull
from cdesk.queue.disk import Disk

T = TypeVar("T")

OPERATIONS = ("append", "sync", "truncate", "create", "replace", "remove", "sync_folder")


class Death(BaseException):
    """The process ends here: nothing after this line of it runs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the next such operation.

    how    full: no space left · error: input/output error · death
    part   how much of an append gets to the file first, 0 to 1
    late   the operation is done, and only its report fails
    """

    operation: str
    how: str
    part: float = 0.0
    late: bool = False


class HostileDisk(Disk):
    """One process's view of the disk."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.is_dead = False
        self.done: list[str] = []
        self._paths: dict[int, Path] = {}
        self._synced: dict[int, int] = {}

    def create(self, path: Path) -> int:
        def act() -> int:
            handle = super(HostileDisk, self).create(path)
            self._paths[handle], self._synced[handle] = path, 0
            return handle

        handle = self._run("create", act, undo=lambda made: self.close(made))
        return handle

    def append(self, handle: int, data: bytes) -> None:
        fault = self._due("append")
        if fault is not None:
            super().append(handle, data[: int(len(data) * fault.part)])
            self._fail(fault)
        self.done.append("append")
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        self._run("sync", lambda: super(HostileDisk, self).sync(handle))
        self._synced[handle] = os.fstat(handle).st_size

    def truncate(self, handle: int, size: int) -> None:
        self._run("truncate", lambda: super(HostileDisk, self).truncate(handle, size))
        self._synced[handle] = min(self._synced.get(handle, 0), size)

    def replace(self, path: Path, data: bytes) -> None:
        self._run("replace", lambda: super(HostileDisk, self).replace(path, data))

    def remove(self, path: Path) -> None:
        self._run("remove", lambda: super(HostileDisk, self).remove(path))

    def sync_folder(self, folder: Path) -> None:
        self._run("sync_folder", lambda: super(HostileDisk, self).sync_folder(folder))

    def close(self, handle: int) -> None:
        self._alive()
        self._forget(handle)
        super().close(handle)

    def die(self, *, lost: float = 0.0, junk: bytes = b"") -> None:
        """The process is gone, its locks with it. `lost`: the part of what was not synced that never reached the disk;
        `junk`: what stands there instead."""
        self.is_dead = True
        for handle in list(self._paths):
            size, synced = os.fstat(handle).st_size, self._synced.get(handle, 0)
            kept = synced + int((size - synced) * (1.0 - lost))
            if kept < size:
                os.ftruncate(handle, kept)
                os.write(handle, junk)
            self._forget(handle)
            os.close(handle)

    def _forget(self, handle: int) -> None:
        self._paths.pop(handle, None)
        self._synced.pop(handle, None)

    def _run(self, operation: str, act: Callable[[], T], undo: Callable[[T], None] | None = None) -> T:
        fault = self._due(operation)
        if fault is not None and not fault.late:
            self._fail(fault)
        self.done.append(operation)
        result = act()
        if fault is not None:
            if undo is not None and fault.how != "death":
                undo(result)
            self._fail(fault)
        return result

    def _due(self, operation: str) -> Fault | None:
        self._alive()
        fault = self.fault
        if fault is None or fault.operation != operation:
            return None
        self.fault = None
        return fault

    def _fail(self, fault: Fault) -> None:
        if fault.how == "death":
            self.is_dead = True
            raise Death
        if fault.how == "full":
            raise QueueFull(f"could not {fault.operation}: no space left.")
        raise QueueError(f"could not {fault.operation}: input/output error.")

    def _alive(self) -> None:
        if self.is_dead:
            raise Death
