"""What waits is measured in bytes, events and the age of the oldest event, not of the file it stands in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.queue.lines import STARTED_NS, Hands, line

from cdesk.queue import DeadLetters, Reader, Writer

AT_S = STARTED_NS / 1e9


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "queue"
        self.hands = Hands()
        self.writer = Writer(self.folder, clock=self.hands.clock, segment_seconds_max=1e9)
        self.reader = Reader(self.folder, "warehouse", DeadLetters(folder / "dead"), clock=self.hands.clock)

    def put(self, name: str) -> None:
        """A line, and a file changed at the time our clock says."""
        self.writer.append([line(name)])
        for path in self.folder.glob("*.ndjson"):
            os.utime(path, ns=(self.hands.wall_ns, self.hands.wall_ns))

    def take(self, lines_max: int = 1_000) -> None:
        self.reader.commit(self.reader.read(lines_max=lines_max))

    def age(self) -> float:
        return self.reader.depth(self.hands.wall_ns / 1e9).oldest_age_s


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_empty_queue_has_no_age(house: House) -> None:
    assert house.age() == 0.0 and house.reader.depth(0.0).events == 0


def test_nothing_read_is_as_old_as_its_segment(house: House) -> None:
    house.put("a")
    house.hands.pass_(50)
    house.put("b")
    assert house.age() == pytest.approx(50)


def test_what_came_after_all_was_read_is_not_older_than_that(house: House) -> None:
    """A segment may live for hours with a line now and then."""
    house.put("a")
    house.hands.pass_(3_000)
    house.take()
    house.hands.pass_(10)
    house.put("b")
    assert house.age() == pytest.approx(10)
    house.take()
    house.hands.pass_(600)
    house.take()  # nothing new until here
    house.put("c")
    assert house.age() == pytest.approx(0)
    house.hands.pass_(7)
    assert house.age() == pytest.approx(7)


def test_a_segment_read_in_part_is_as_old_as_where_it_was_left(house: House) -> None:
    """Lines are taken to have come evenly: of four in 30 s, the third came after 15 s to 20 s."""
    for name in "abcd":
        house.put(name)
        house.hands.pass_(10)
    house.hands.pass_(-10)
    house.take(lines_max=2)
    assert house.age() == pytest.approx(15)


def test_another_process_can_tell_it_as_well(house: House, tmp_path: Path) -> None:
    """Who has only the files and the offsets."""
    for name in "abcd":
        house.put(name)
        house.hands.pass_(10)
    house.hands.pass_(-10)
    house.take(lines_max=2)
    other = Reader(house.folder, "warehouse", DeadLetters(tmp_path / "dead"))
    depth = other.depth(house.hands.wall_ns / 1e9)
    assert depth.oldest_age_s == pytest.approx(15)
    assert depth.events == 2 and depth.segments == 1 and depth.stored > depth.bytes > 0


def test_a_clock_that_went_back_makes_nothing_negative(house: House) -> None:
    house.put("a")
    house.hands.wall_ns -= 3_600 * 10**9
    assert house.age() == 0.0
