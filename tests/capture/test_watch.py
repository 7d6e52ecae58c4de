"""Changes of the queue are told through the queue itself: each once, and later when there is no room now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.capture.house import KEY, PERSON
from tests.queue.hostile_disk import Fault, HostileDisk
from tests.queue.lines import Hands, drained

from cdesk.activity.codec import decode
from cdesk.activity.model import Activity
from cdesk.capture.gate import Gate
from cdesk.capture.incident import Incidents
from cdesk.capture.relief import Relief
from cdesk.capture.watch import Watch, Watched
from cdesk.config import PressureSettings
from cdesk.governance.consent import Consent
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.depth import Depth
from cdesk.queue.pressure import Level, Pressure, Thresholds
from cdesk.queue.refusals import Refusals

LIMITS = Thresholds(bytes=(100, 200, 400), events=(1e9, 1e9, 1e9), age_s=(60, 120, 240), falls_at=0.5, calm_s=0)


@dataclass
class Rooms:
    folder: Path
    hands: Hands = field(default_factory=Hands)
    depth: Depth = field(default_factory=lambda: Depth(0, 0, 0.0))
    disk: HostileDisk = field(default_factory=HostileDisk)
    swept: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = self.folder / "queue"
        self.reader = Reader(self.queue, "warehouse", DeadLetters(self.folder / "dead"))
        self.refusals = Refusals(self.folder / "refused")
        self.open()

    def open(self) -> None:
        """As a new process does."""
        self.writer = Writer(self.queue, disk=self.disk, clock=self.hands.clock, segment_bytes_max=20_000)
        pressure = Pressure(self.queue, LIMITS, clock=self.hands.clock)
        relief = Relief(PressureSettings(), lambda: pressure.level)
        gate = Gate(self.writer, lambda line: line, Consent(), KEY, relief=relief)
        watched = Watched(
            lambda: self.depth, pressure, self.refusals, self.writer.counts, lambda: gate, relief,
            Incidents(lambda: PERSON, self.hands.clock),
        )  # fmt: skip
        self.watch = Watch(watched, clock=self.hands.clock, on_room=lambda: self.swept.append(True))

    def look(self, bytes_: int = 0, age_s: float = 0.0) -> Level:
        self.depth = Depth(bytes_, 0, age_s)
        return self.watch.look()

    def told(self) -> list[Activity]:
        self.writer.close()
        return [decode(line) for line in drained(self.reader)]


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path)


def _features(told: list[Activity], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(seen.feature_json[name] for name in names) for seen in told]


def test_each_change_of_level_is_told(rooms: Rooms) -> None:
    """Up over two, down in steps, with what is done about it."""
    for bytes_ in (50, 200, 250, 450, 199, 10, 10):
        rooms.look(bytes_)
    told = rooms.told()
    assert {(seen.activity, seen.source) for seen in told} == {("backpressure", "cdesk")}
    assert _features(told, "severity", "message") == [
        ("error", "the queue's pressure rose from normal to high"),
        ("critical", "the queue's pressure rose from high to critical"),
        ("error", "the queue's pressure fell from critical to high"),
        ("info", "the queue's pressure fell from high to normal"),
    ]
    metrics: Any = told[0].feature_json["metrics"]
    assert (metrics["from"], metrics["to"], metrics["bytes"], metrics["keep_one_in"]) == ("normal", "high", 200, 10)
    assert "one in 10 of low-value activities is kept" in str(told[0].feature_json["action_taken"])


def test_many_processes_tell_one_change_once(rooms: Rooms) -> None:
    """The second one goes on from what the first one knew; had it not known, it would have told the same fact."""
    rooms.look(200)
    rooms.open()
    assert rooms.look(200) is Level.HIGH
    assert len(rooms.told()) == 1


def test_what_cannot_be_told_now_is_told_later(rooms: Rooms) -> None:
    """A queue without room is what there is to tell. A process that dies meanwhile leaves it to the next."""
    rooms.disk.fault = Fault("append", "full")
    assert rooms.look(450) is Level.CRITICAL
    assert rooms.told() == []
    rooms.disk.fault = None
    rooms.look(450)
    assert len(rooms.told()) == 1
    rooms.disk.fault = Fault("append", "full")
    rooms.look(0)
    rooms.disk.fault = None
    rooms.open()
    rooms.look(0)
    assert _features(rooms.told(), "message") == [("the queue's pressure fell from critical to normal",)]


def test_age_counts_from_when_somebody_looks(rooms: Rooms) -> None:
    """A queue that waited over a holiday is old, not pressed; one that nobody empties while we look is."""
    assert rooms.look(10, age_s=1e6) is Level.NORMAL
    rooms.hands.pass_(61)
    assert rooms.look(10, age_s=1e6) is Level.ELEVATED


def test_refusals_are_told_once_there_is_room(rooms: Rooms) -> None:
    """Not while more are coming, and not at critical; each is told once, and the transcripts are read again."""
    rooms.refusals.count("hook", 3)
    rooms.refusals.count("otel", 40)
    rooms.look(450)
    rooms.hands.pass_(10)
    rooms.look(450)
    assert not rooms.swept
    rooms.refusals.count("hook")
    rooms.look(0)
    rooms.hands.pass_(4)
    rooms.look(0)
    assert not rooms.swept
    rooms.hands.pass_(2)
    rooms.look(0)
    rooms.hands.pass_(60)
    rooms.look(0)
    assert rooms.swept == [True]
    [told] = [seen for seen in rooms.told() if seen.activity == "error_recovered"]
    assert told.feature_json["metrics"] == {"refused_hook": 4, "refused_otel": 40}
    assert told.feature_json["message"] == "the queue takes events again; it had refused 4 of hooks and 40 of telemetry"


def test_full_segments_are_told_and_old_ones_are_not(rooms: Rooms, tmp_path: Path) -> None:
    """One a minute for ever would say nothing."""
    line = b"x" * 15_000 + b"\n"
    rooms.writer.append([line])
    rooms.writer.append([line])
    rooms.hands.pass_(61)
    rooms.writer.rotate()
    rooms.look()
    assert rooms.writer.counts.rotations == 2
    rooms.writer.close()
    told = [decode(seen) for seen in drained(rooms.reader)]
    assert _features(told, "event_type", "message") == [
        ("queue_rotation", "a segment of the queue was full after 15,001 bytes")
    ]


def test_looking_stops_when_told(rooms: Rooms) -> None:
    """And outlives a look that fails."""
    import threading

    looks = 0

    def measure() -> Depth:
        nonlocal looks
        looks += 1
        rooms.watch.stop()
        raise OSError(5, "the disk is away")

    rooms.watch._at = _with(rooms.watch._at, measure)
    thread = threading.Thread(target=rooms.watch.run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and looks == 1


def _with(watched: Watched, measure: Callable[[], Depth]) -> Watched:
    from dataclasses import replace

    return replace(watched, measure=measure)
