"""What each piece of work took adds up to what the process took."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdesk.clock import Clock
from cdesk.cost.book import Book, Used
from cdesk.cost.meter import Meter, reading

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
DAY = "2026-11-23"


class Process:
    """Takes what a test says."""

    def __init__(self) -> None:
        self.taken = Used()

    def takes(self, cpu_s: float, read: float = 0, written: float = 0) -> None:
        self.taken += Used(0, cpu_s, read, written)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "cost.json", clock=Clock(now_ns=lambda: int(NOW.timestamp()) * 10**9))


@pytest.fixture
def meter(book: Book, process: Process) -> Meter:
    return Meter(book, read=lambda: process.taken)


def workloads(book: Book) -> dict[str, Used]:
    return book.days(NOW.date())[DAY].workloads


def test_work_is_given_what_was_taken_meanwhile(meter: Meter, book: Book, process: Process) -> None:
    """What was taken before and after it is the service's own; all together is what the process took."""
    process.takes(1, 100)
    with meter.work("ingest"):
        process.takes(2, 30, 40)
    process.takes(0.5)
    meter.settle()
    assert workloads(book) == {"ingest": Used(1, 2, 30, 40), "service": Used(0, 1.5, 100, 0)}


def test_work_side_by_side_shares(meter: Meter, book: Book, process: Process) -> None:
    """In equal parts, for as long as both are under way."""
    began, ends = threading.Event(), threading.Event()

    def question() -> None:
        with meter.work("interactive", "q_1"):
            began.set()
            assert ends.wait(30)

    with meter.work("tasks", "task:count"):
        process.takes(1)
        other = threading.Thread(target=question)
        other.start()
        assert began.wait(30)
        process.takes(4)
    process.takes(3)
    ends.set()
    other.join()
    found = workloads(book)
    assert (found["tasks"].cpu_s, found["interactive"].cpu_s) == (1 + 2, 2 + 3)
    assert {name: used.cpu_s for name, used in book.days(NOW.date())[DAY].tags.items()} == {
        "tasks task:count": 3, "interactive q_1": 5
    }  # fmt: skip


def test_work_within_work_is_part_of_it(meter: Meter, book: Book, process: Process) -> None:
    """A task that asks the warehouse is still a task, and one run."""
    with meter.work("tasks"), meter.work("interactive"), meter.apart("ingest"):
        process.takes(1)
    assert workloads(book) == {"tasks": Used(1, 1)}


def test_what_found_nothing_to_do_is_no_run(meter: Meter, book: Book, process: Process) -> None:
    with meter.work("ingest") as effort:
        process.takes(0.25)
        effort.counts = False
    assert workloads(book) == {"ingest": Used(0, 0.25)}


def test_a_failure_is_paid_for(meter: Meter, book: Book, process: Process) -> None:
    """And whatever comes next on the thread is measured again."""
    with pytest.raises(ValueError), meter.work("batch"):
        process.takes(1)
        raise ValueError
    with meter.work("ingest"):
        process.takes(2)
    assert {name: used.cpu_s for name, used in workloads(book).items()} == {"batch": 1, "ingest": 2}


def test_work_that_waits_elsewhere_takes_its_own_thread_only(book: Book) -> None:
    """Nobody is charged twice: all together stays what the process took."""
    before = reading()
    meter = Meter(book)
    with meter.apart("ingest", "snowflake"):
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
    meter.settle()
    found = workloads(book)
    assert found["ingest"].cpu_s >= 0.02
    assert found["ingest"].cpu_s + found["service"].cpu_s <= (reading() - before).cpu_s


def test_the_process_is_read_whole() -> None:
    """Processor time that another thread takes is in it, and bytes that were made durable."""
    before = reading()

    def spin() -> None:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    other = threading.Thread(target=spin)
    other.start()
    other.join()
    assert (reading() - before).cpu_s >= 0.02
