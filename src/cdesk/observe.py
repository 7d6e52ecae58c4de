"""What happens inside is told as named events: one JSON line each, never with a payload in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


class Effort:
    """One piece of work, as who measures it sees it. counts: False where it found nothing to do"""

    counts = True


@contextmanager
def unmeasured() -> Iterator[Effort]:
    """Around work that nobody measures."""
    yield Effort()


def event(level: str, name: str, **fields: object) -> None:
    """Tells one happening. The logging library is heavy and imported only when something happens.

    A log that cannot be written (the disk is full) stops nobody: what it would tell about goes on."""
    import structlog

    with suppress(OSError):
        if not structlog.is_configured():
            log_to(None)
        getattr(structlog.get_logger(), level)(name, **fields)


def log_to(stream_path: Path | None) -> None:
    """Events go to the file (0600); when there is none, errors alone go to standard error, since a command says in its own
    words what a person has to know. Never to standard output."""
    import structlog

    file: TextIO | None = None
    if stream_path is not None:
        stream_path.touch(mode=0o600, exist_ok=True)
        file = stream_path.open("a", buffering=1, encoding="utf-8")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO if file is not None else logging.ERROR),
        logger_factory=lambda *_: structlog.WriteLogger(file or sys.stderr),
    )
