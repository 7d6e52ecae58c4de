"""Sample data: a month of a fictional person's work with Claude Code, for looking around without a history of one's own.

Every day is made from its date alone, so a second call writes the same bytes, and a call on a later day adds days:

    morning, each day         one task, just after midnight UTC, so that today has one, too
    afternoon, some days      an errand; or the morning's session forked
    next day                  some sessions are taken up again, once that day is over
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

from cdesk.sample import scene
from cdesk.sample.scene import File, Session
from cdesk.sample.story import PROJECTS, Project, Task

DAYS = 30
SATURDAY = 5


def write(folder: Path, now: datetime) -> None:
    """Makes `folder` a Claude Code configuration folder whose history ends on the day of `now`."""
    for path, content in _files(now.astimezone(UTC).date()):
        _put(folder / "projects" / path, content)


def _files(today: date) -> Iterator[File]:
    for back in reversed(range(DAYS)):
        for session in _day(today - timedelta(days=back), today):
            yield from session.files()


def _day(day: date, today: date) -> Iterator[Session]:
    number = day.toordinal()
    morning = _morning(day)
    if number % 5 == 3 and day + timedelta(days=1) < today:
        morning = scene.resumed(morning, _at(day + timedelta(days=1), hours=6))
    yield morning
    if day == today or day.weekday() >= SATURDAY:
        return
    if number % 4 == 1:
        yield scene.fork(_morning(day), _at(day, hours=5), Random(f"cdesk sample fork {number}"))
    elif number % 2:
        project, task = _task(number + 1)
        yield scene.errand(project, task, number // 4, _at(day, hours=8), Random(f"cdesk sample errand {number}"))


def _morning(day: date) -> Session:
    number = day.toordinal()
    project, task = _task(number)
    return scene.work(project, task, number, _at(day, minutes=1), Random(f"cdesk sample {number}"))


def _task(number: int) -> tuple[Project, Task]:
    project = PROJECTS[number % len(PROJECTS)]
    return project, project.tasks[number // len(PROJECTS) % len(project.tasks)]


def _at(day: date, *, hours: int = 0, minutes: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hours, minutes, tzinfo=UTC)


def _put(path: Path, content: bytes) -> None:
    """Writes only what changed: a follower need not look at the rest again."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(content)
