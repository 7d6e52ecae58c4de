"""The accounts: what each kind of work took, day by day, in one small file of the home.

    cost.json    {"days": {"2026-11-28": {"workloads": {"ingest": [runs, cpu_s, read, written]}, "tags": {…}}}, "standing": …}

Days are UTC. DAYS_MAX days are kept, and of each the TAGS_MAX tags that took most, for TAG_DAYS days. The file is written
anew at most every SAVE_SECONDS: a process that is killed loses that much. One that cannot be read is begun anew.
"""

from __future__ import annotations

import os
import threading
from datetime import date, timedelta
from pathlib import Path

import msgspec

from cdesk import observe
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.cost.budget import Standing

DAYS_MAX = 400
TAGS_MAX = 20
TAG_DAYS = 30
TAGS_AT_ONCE_MAX = 200
"""So many tags of a day are held before all but TAGS_MAX are forgotten."""
SAVE_SECONDS = 60.0


class Used(msgspec.Struct, frozen=True, array_like=True):
    """runs: pieces of work · cpu_s: seconds of processor · read, written: bytes from and to the disk"""

    runs: int = 0
    cpu_s: float = 0.0
    read: float = 0
    written: float = 0

    def __add__(self, other: Used) -> Used:
        return Used(
            self.runs + other.runs, self.cpu_s + other.cpu_s, self.read + other.read, self.written + other.written
        )

    def __sub__(self, other: Used) -> Used:
        return Used(
            self.runs - other.runs, self.cpu_s - other.cpu_s, self.read - other.read, self.written - other.written
        )

    def __truediv__(self, parts: int) -> Used:
        return Used(self.runs, self.cpu_s / parts, self.read / parts, self.written / parts)


class Day(msgspec.Struct):
    """tags: each with its workload before it, as `interactive q_…`"""

    workloads: dict[str, Used] = {}
    tags: dict[str, Used] = {}


class Accounts(msgspec.Struct):
    """standing: how today's spending in Snowflake stands to its budget, as it was last read"""

    days: dict[str, Day] = {}
    standing: Standing | None = None


class Book:
    """One process writes it: the one that owns the home. Others may read."""

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts = read(path)
        self._since_start: dict[str, Used] = {}
        self._saved_at = clock.monotonic()
        self._is_new = False

    def add(self, workload: str, tag: str, used: Used) -> None:
        with self._lock:
            day = self._accounts.days.setdefault(self._clock.now().date().isoformat(), Day())
            for table, name in ((day.workloads, workload), (self._since_start, workload)):
                table[name] = table.get(name, Used()) + used
            if tag:
                name = f"{workload} {tag}"
                day.tags[name] = day.tags.get(name, Used()) + used
                if len(day.tags) > TAGS_AT_ONCE_MAX:
                    day.tags = _largest(day.tags)
            self._is_new = True

    @property
    def since_start(self) -> dict[str, Used]:
        """By workload, of this process."""
        with self._lock:
            return dict(self._since_start)

    def days(self, since: date) -> dict[str, Day]:
        """Each day on which something was done, the first one first."""
        with self._lock:
            return {
                name: Day(dict(day.workloads), _largest(day.tags))
                for name, day in sorted(self._accounts.days.items())
                if name >= since.isoformat()
            }

    @property
    def standing(self) -> Standing | None:
        with self._lock:
            return self._accounts.standing

    @standing.setter
    def standing(self, standing: Standing) -> None:
        """Durable at once: a service that starts again must not forget that it pauses."""
        with self._lock:
            self._accounts.standing, self._is_new = standing, True
        self.save()

    def save_in_time(self) -> None:
        if self._clock.monotonic() - self._saved_at >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """A file that cannot be written is told, and tried again with the next."""
        with self._lock:
            self._saved_at = self._clock.monotonic()
            if not self._is_new:
                return
            self._forget()
            try:
                _replace(self._path, msgspec.json.encode(self._accounts))
                self._is_new = False
            except OSError as error:
                observe.event("warning", "cost_unkept", error=str(error))

    def _forget(self) -> None:
        today = self._clock.now().date()
        days = self._accounts.days
        for name in [name for name in days if name < (today - timedelta(days=DAYS_MAX)).isoformat()]:
            del days[name]
        for name, day in days.items():
            day.tags = _largest(day.tags) if name >= (today - timedelta(days=TAG_DAYS)).isoformat() else {}


def read(path: Path) -> Accounts:
    """Empty where there is none yet, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Accounts)
    except FileNotFoundError:
        return Accounts()
    except (OSError, msgspec.MsgspecError) as error:
        observe.event("warning", "cost_unread", error=str(error))
        return Accounts()


def _largest(tags: dict[str, Used]) -> dict[str, Used]:
    return dict(sorted(tags.items(), key=lambda item: (-item[1].cpu_s, item[0]))[:TAGS_MAX])


def _replace(path: Path, content: bytes) -> None:
    """The old file or the new one, whenever somebody reads it. Raises OSError."""
    beside = path.with_suffix(".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    beside.replace(path)
