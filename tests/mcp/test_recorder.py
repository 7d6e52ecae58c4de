"""What was answered is recorded behind the answer's back, and all of it by the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from cdesk.activity.model import Activity
from cdesk.clock import SYSTEM_CLOCK
from cdesk.errors import QueueFull
from cdesk.surface.mcp import recorder
from cdesk.surface.mcp.recorder import Recorder


def fact(number: int) -> Callable[[], Activity]:
    return lambda: Activity(
        activity_id=str(number),
        ts=SYSTEM_CLOCK.now(),
        activity="mcp_called",
        customer="ada",
        source="mcp",
        feature_json={},
    )


class Queue:
    """Takes everything, in batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()

    def admit(self, activities: Sequence[Activity]) -> None:
        self.threads.add(threading.current_thread().name)
        self.batches.append([activity.activity_id for activity in activities])


def test_the_end_waits_for_all_of_it() -> None:
    """In order, in few batches, and never in the thread of who is answered."""
    queue = Queue()
    recording = Recorder(queue.admit)
    for number in range(500):
        recording.tell(fact(number))
    assert queue.batches == [], "nobody has been quiet yet"
    recording.close()
    assert [name for batch in queue.batches for name in batch] == [str(number) for number in range(500)]
    assert len(queue.batches) <= 2 and queue.threads == {"cdesk-mcp-recorder"} and recording.lost == 0


def test_who_never_called_costs_no_thread() -> None:
    before = threading.active_count()
    Recorder(Queue().admit).close()
    assert threading.active_count() == before


def test_a_full_queue_is_told_once_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The answers went out all the same."""

    def full(activities: Sequence[Activity]) -> None:
        raise QueueFull("the queue is full.", "Make room.")

    recording = Recorder(full)
    for number in range(3):
        recording.tell(fact(number))
    recording.close()
    assert recording.lost == 3 and capsys.readouterr().err.count("queue is full") == 1


def test_what_waits_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are given up, and counted."""
    monkeypatch.setattr(recorder, "WAITING_MAX", 5)
    queue = Queue()
    recording = Recorder(queue.admit)
    for number in range(20):
        recording.tell(fact(number))
    recording.close()
    kept = [name for batch in queue.batches for name in batch]
    assert kept[:5] == ["0", "1", "2", "3", "4"] and len(kept) + recording.lost == 20
