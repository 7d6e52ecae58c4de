"""The accounts outlive the process, stay small, and never stop anybody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cdesk.clock import Clock
from cdesk.cost import book as accounts
from cdesk.cost.book import Book, Used
from cdesk.cost.budget import Budget, Standing

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
LONG_AGO = date(2000, 1, 1)


class Held:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at, self.seconds = NOW, 0.0

    @property
    def clock(self) -> Clock:
        return Clock(now_ns=lambda: int(self.at.timestamp()) * 10**9, monotonic=lambda: self.seconds)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cost.json"


def test_days_are_kept_apart_and_outlive_the_process(path: Path, held: Held) -> None:
    """For its owner's eyes only; what came since the start is of this process alone."""
    book = Book(path, clock=held.clock)
    book.add("ingest", "", Used(1, 2.5, 10, 20))
    held.at += timedelta(days=1)
    book.add("ingest", "", Used(1, 1.0))
    book.save()
    again = Book(path, clock=held.clock)
    assert {day: known.workloads for day, known in again.days(LONG_AGO).items()} == {
        "2026-11-23": {"ingest": Used(1, 2.5, 10, 20)}, "2026-11-24": {"ingest": Used(1, 1.0)}
    }  # fmt: skip
    assert list(again.days(date(2026, 11, 24))) == ["2026-11-24"]
    assert again.since_start == {} and book.since_start == {"ingest": Used(2, 3.5, 10, 20)}
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_written_now_and_then(path: Path, held: Held) -> None:
    """Not with every piece of work."""
    book = Book(path, clock=held.clock)
    book.add("ingest", "", Used(1, 1.0))
    book.save_in_time()
    assert not path.exists()
    held.seconds += accounts.SAVE_SECONDS
    book.save_in_time()
    assert path.exists()


def test_it_stays_small(path: Path, held: Held) -> None:
    """Days and tags that are old go; of a day's tags those stay that took most."""
    book = Book(path, clock=held.clock)
    for number in range(1_000):
        book.add("interactive", f"q_{number:04}", Used(1, number / 1000))
    book.save()
    [day] = book.days(LONG_AGO).values()
    assert list(day.tags)[:2] == ["interactive q_0999", "interactive q_0998"]
    assert len(day.tags) == accounts.TAGS_MAX and day.workloads["interactive"].runs == 1_000
    held.at += timedelta(days=accounts.TAG_DAYS + 1)
    book.add("ingest", "", Used(1, 1.0))
    book.save()
    assert [len(day.tags) for day in book.days(LONG_AGO).values()] == [0, 0]
    held.at += timedelta(days=accounts.DAYS_MAX)
    book.add("ingest", "", Used(1, 1.0))
    book.save()
    assert len(book.days(LONG_AGO)) == 2


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"days": 3}', b'{"days": {"2026-11-23": {"workloads": {"ingest": "x"}}}}']
)
def test_a_damaged_file_is_begun_anew(path: Path, held: Held, damage: bytes) -> None:
    path.write_bytes(damage)
    book = Book(path, clock=held.clock)
    assert book.days(LONG_AGO) == {} and book.standing is None
    book.add("ingest", "", Used(1, 1.0))
    book.save()
    assert Book(path, clock=held.clock).days(LONG_AGO)


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path, held: Held) -> None:
    """It is tried again with the next."""
    book = Book(tmp_path / "later" / "cost.json", clock=held.clock)
    book.add("ingest", "", Used(1, 1.0))
    book.save()
    (tmp_path / "later").mkdir()
    book.save()
    assert (tmp_path / "later" / "cost.json").exists()


def test_how_a_day_stands_is_durable_at_once(path: Path, held: Held) -> None:
    """A service that starts again must not forget that it pauses."""
    standing = Standing("2026-11-23", 101.5, 3.0, NOW)
    Book(path, clock=held.clock).standing = standing
    assert Book(path, clock=held.clock).standing == standing


@pytest.mark.parametrize(
    ("usd", "level"), [(0, "ok"), (79.99, "ok"), (80, "soft"), (99.99, "soft"), (100, "hard"), (500, "hard")]
)
def test_a_budget_has_a_soft_and_a_hard_limit(usd: float, level: str) -> None:
    assert Budget(100, 0.8).level(usd) == level
    assert Budget(None, 0.8).level(usd) == "ok"
