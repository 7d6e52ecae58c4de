"""Time and random names, held by whoever needs them so that a test can hold them instead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Name = Callable[[], str]


def _random_name() -> str:
    return os.urandom(4).hex()


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time in nanoseconds since 1970 UTC, monotonic seconds, and 8 random hex digits."""

    now_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    name: Name = _random_name

    def now(self) -> datetime:
        """UTC, microseconds."""
        return datetime.fromtimestamp(self.now_ns() // 1000 / 1_000_000, UTC)


SYSTEM_CLOCK = Clock()


def local_timezone() -> str:
    """This machine's zone by name; UTC when it has none."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    candidates = [os.environ.get("TZ", "").lstrip(":")]
    link = os.path.realpath("/etc/localtime")
    if "/zoneinfo/" in link:
        candidates.append(link.split("/zoneinfo/", 1)[1])
    for name in filter(None, candidates):
        try:
            ZoneInfo(name)
            return "UTC" if name in ("Etc/UTC", "Etc/UCT", "Zulu") else name
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"
