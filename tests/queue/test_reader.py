"""A reader gives whole lines in order, each until it is committed, and lets go of nothing before that."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.queue.hostile_disk import Death, Fault, HostileDisk
from tests.queue.lines import STARTED_NS, Hands, drained, line, segments, torn

from cdesk.errors import QueueError
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.disk import Disk
from cdesk.queue.writer import LINE_BYTES_MAX


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


@pytest.fixture
def dead(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead")


def write(folder: Path, number: int, data: bytes) -> Path:
    """A segment whose writer is gone."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{STARTED_NS + number:020d}-00000000.ndjson"
    path.write_bytes(data)
    return path


# -- a disk that fails ---------------------------------------------------------------------------------------------


def test_a_disk_that_cannot_be_read_is_a_queue_error(
    folder: Path, dead: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says so and can be tried again, whatever it was that failed; nothing has moved meanwhile."""
    Writer(folder).append([line(1)])
    reader = Reader(folder, "warehouse", dead)
    for act in ("open", "glob", "stat"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, act, _fails)
            with pytest.raises(QueueError, match=r"Input/output error\."):
                reader.commit(reader.read())
    assert drained(reader) == [line(1)]


def _fails(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


# -- where reading goes on -----------------------------------------------------------------------------------------


def test_lines_come_again_until_they_are_committed(folder: Path, dead: DeadLetters) -> None:
    """A consumer that died before its commit reads them once more; after it, never."""
    with_writer = Writer(folder)
    with_writer.append([line(1), line(2)])
    assert Reader(folder, "warehouse", dead).read().lines == (line(1), line(2))
    again = Reader(folder, "warehouse", dead)
    delivery = again.read(lines_max=1)
    again.commit(delivery)
    assert delivery.lines == (line(1),)
    assert Reader(folder, "warehouse", dead).read().lines == (line(2),)


def test_an_origin_says_where_a_line_stands(folder: Path, dead: DeadLetters) -> None:
    """Segment and byte offset, so that a person can look."""
    path = write(folder, 0, line(1) + line("é", 10) + line(3))
    delivery = Reader(folder, "w", dead).read()
    for place, one in enumerate(delivery.lines):
        origin = delivery.origin(place)
        assert origin.segment == path.name
        assert path.read_bytes()[origin.offset :].startswith(one)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x":"y"}', b"\xff\x00"])
def test_damaged_offsets_mean_reading_again(folder: Path, dead: DeadLetters, content: bytes) -> None:
    """Twice is harmless, lost is not."""
    Writer(folder).append([line(1)])
    found = Reader(folder, "warehouse", dead)
    found.commit(found.read())
    (folder / "offsets" / "warehouse.json").write_bytes(content)
    assert Reader(folder, "warehouse", dead).read().lines == (line(1),)


@pytest.mark.parametrize("how", ["error", "full", "death"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("operation", ["replace", "sync_folder", "remove"])
def test_a_commit_that_failed_loses_nothing(
    folder: Path, dead: DeadLetters, operation: str, how: str, late: bool
) -> None:
    """Offsets change as a whole or not at all; what follows is still delivered."""
    writer = Writer(folder)
    writer.append([line(1)])
    disk = HostileDisk()
    found = Reader(folder, "warehouse", dead, disk=disk)
    delivery = found.read()
    writer.close()
    disk.fault = Fault(operation, how, late=late)
    with pytest.raises((QueueError, Death)):
        found.commit(delivery)
    Writer(folder).append([line(2)])
    found = found if how != "death" else Reader(folder, "warehouse", dead)
    assert drained(found)[-1:] == [line(2)]
    assert dead.count() == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=30), st.integers(1, 2_000), st.integers(1, 8), st.integers(50, 3_000))
def test_limits_of_a_read_change_nothing_about_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bytes_max: int, lines_max: int, segment: int
) -> None:
    """Whole lines, each once and in order, however small the pieces."""
    home = tmp_path_factory.mktemp("home")
    lines = [line(number, size) for number, size in enumerate(sizes)]
    writer = Writer(home / "queue", clock=Hands().clock, segment_bytes_max=segment)
    for one in lines:
        writer.append([one])
    writer.close()
    found = Reader(home / "queue", "warehouse", DeadLetters(home / "dead"))
    assert drained(found, lines_max, bytes_max) == lines
    assert segments(home / "queue") == []


def test_a_later_segment_waits_for_the_rest_of_an_earlier_one(folder: Path, dead: DeadLetters) -> None:
    """Long lines fill a read before its limits are reached; the next segment's must not overtake the rest."""
    lines = [line(number, 20_000) for number in range(8)]
    write(folder, 0, b"".join(lines[:6]))
    write(folder, 1, b"".join(lines[6:]))
    assert drained(Reader(folder, "warehouse", dead), lines_max=50, bytes_max=1 << 20) == lines


def test_a_line_larger_than_a_read_is_still_one_line(folder: Path, dead: DeadLetters) -> None:
    """It is delivered whole, and so is what follows."""
    lines = [line(1), line("large", 3_000_000), line(3)]
    write(folder, 0, b"".join(lines))
    assert drained(Reader(folder, "warehouse", dead), bytes_max=1_000) == lines


# -- torn and damaged lines ----------------------------------------------------------------------------------------


def test_a_line_being_written_is_not_read_yet(folder: Path, dead: DeadLetters) -> None:
    """While its writer lives a half line is a line to come, not a torn one."""
    disk = Disk()
    disk.folder(folder)
    handle = disk.create(folder / f"{STARTED_NS:020d}-00000000.ndjson")
    disk.append(handle, line(1) + torn(line(2)))
    found = Reader(folder, "warehouse", dead)
    assert drained(found) == [line(1)]
    disk.append(handle, line(2)[len(torn(line(2))) :])
    disk.close(handle)
    assert drained(found) == [line(2)]
    assert segments(folder) == [] and dead.count() == 0


@pytest.mark.parametrize("part", [0.01, 0.5, 1.0])
def test_a_torn_tail_is_passed_over(folder: Path, dead: DeadLetters, part: float) -> None:
    """Its writer is gone, it was never acknowledged: no delivery, no dead letter, and the segment goes."""
    write(folder, 0, line(1) + torn(line(2), part))
    write(folder, 1, line(3))
    assert drained(Reader(folder, "warehouse", dead)) == [line(1), line(3)]
    assert segments(folder) == [] and dead.count() == 0


def test_an_empty_segment_of_a_dead_writer_goes_away(folder: Path, dead: DeadLetters) -> None:
    """It died between making its segment and writing to it; thousands of hooks must not leave thousands of files."""
    write(folder, 0, b"")
    found = Reader(folder, "warehouse", dead)
    found.commit(found.read())
    assert segments(folder) == []


def test_an_empty_segment_of_a_living_writer_stays(folder: Path, dead: DeadLetters) -> None:
    """What it is about to write belongs there."""
    disk = Disk()
    disk.folder(folder)
    handle = disk.create(folder / f"{STARTED_NS:020d}-00000000.ndjson")
    found = Reader(folder, "warehouse", dead)
    found.commit(found.read())
    disk.append(handle, line(1))
    assert drained(found) == [line(1)]
    disk.close(handle)


@pytest.mark.parametrize("damage", [b"\x00", b"}", b"\r", b"\xff"])
@pytest.mark.parametrize("at", [0, 10, -3])
def test_a_damaged_line_in_the_middle_is_kept_aside(folder: Path, dead: DeadLetters, damage: bytes, at: int) -> None:
    """With its place and reason; the lines around it are delivered."""
    broken = bytearray(line(2))
    broken[at] = damage[0]
    path = write(folder, 0, line(1) + bytes(broken) + line(3))
    assert drained(Reader(folder, "warehouse", dead)) == [line(1), line(3)]
    [letter] = dead
    assert (letter.line, letter.offset, letter.source) == (bytes(broken), len(line(1)), f"queue/{path.name}")
    assert "checksum" in letter.reason


def test_a_lost_newline_costs_the_two_lines_it_held_apart(folder: Path, dead: DeadLetters) -> None:
    """And no more."""
    write(folder, 0, line(1) + line(2)[:-1] + line(3) + line(4))
    assert drained(Reader(folder, "warehouse", dead)) == [line(1), line(4)]
    assert [letter.line for letter in dead] == [line(2)[:-1] + line(3)]


def test_a_segment_without_any_newline_does_not_stop_the_queue(folder: Path, dead: DeadLetters) -> None:
    """More junk than the longest line, then a good line, then a good segment: both are delivered."""
    junk = b"\x00" * (LINE_BYTES_MAX + 2_000_000)
    write(folder, 0, junk + b"\n" + line(1))
    write(folder, 1, line(2))
    assert drained(Reader(folder, "warehouse", dead)) == [line(1), line(2)]
    assert dead.count() == 1


@pytest.mark.parametrize("name", ["notes.ndjson", "x", ".hidden.ndjson", "00000000000000000000-a.ndjson.new"])
def test_other_files_in_the_folder_do_no_harm(folder: Path, dead: DeadLetters, name: str) -> None:
    """Somebody's own file is not ours to judge by."""
    write(folder, 0, line(1))
    (folder / name).write_bytes(b"hello\n")
    found = Reader(folder, "warehouse", dead)
    assert found.depth(STARTED_NS / 1e9).bytes >= len(line(1))
    assert line(1) in drained(found)


# -- letting go ----------------------------------------------------------------------------------------------------


def test_a_segment_stays_until_its_last_line_is_committed(folder: Path, dead: DeadLetters) -> None:
    """Reading is not enough."""
    writer = Writer(folder, segment_bytes_max=1)
    writer.append([line(1)])
    writer.append([line(2)])
    writer.close()
    found = Reader(folder, "warehouse", dead)
    delivery = found.read(lines_max=1)
    assert len(segments(folder)) == 2
    found.commit(delivery)
    assert len(segments(folder)) == 1
    found.commit(found.read())
    assert segments(folder) == []


def test_a_segment_stays_while_its_writer_lives(folder: Path, dead: DeadLetters) -> None:
    """It may be about to append."""
    writer = Writer(folder)
    writer.append([line(1)])
    found = Reader(folder, "warehouse", dead)
    assert drained(found) == [line(1)]
    assert len(segments(folder)) == 1
    writer.append([line(2)])
    assert drained(found) == [line(2)]
    writer.close()
    found.commit(found.read())
    assert segments(folder) == []


def test_a_segment_stays_until_every_consumer_is_past_it(folder: Path, dead: DeadLetters) -> None:
    """The warehouse is fast and another consumer slow: the slow one misses nothing."""
    writer = Writer(folder, segment_bytes_max=1)
    slow, fast = Reader(folder, "slow", dead), Reader(folder, "fast", dead)
    slow.read()
    for number in range(3):
        writer.append([line(number)])
    writer.close()
    everything = [line(number) for number in range(3)]
    assert drained(fast) == everything
    assert len(segments(folder)) == 3
    slow.commit(slow.read(lines_max=1))
    assert len(segments(folder)) == 2
    assert drained(Reader(folder, "slow", dead)) == everything[1:]
    assert segments(folder) == []
    assert drained(fast) == []


def test_nothing_stays_for_a_consumer_that_is_no_more(folder: Path, dead: DeadLetters) -> None:
    """And it would begin anew, with what is there then."""
    write(folder, 1, line(1))
    team, warehouse = Reader(folder, "team", dead), Reader(folder, "warehouse", dead)
    team.read()
    assert drained(warehouse) == [line(1)] and len(segments(folder)) == 1
    team.withdraw()
    warehouse.commit(warehouse.read())
    assert segments(folder) == []
    write(folder, 2, line(2))
    assert drained(team) == [line(2)]


def test_looking_at_the_depth_makes_nobody_a_consumer(folder: Path, dead: DeadLetters) -> None:
    """`cdesk status` looks and goes; nothing waits for it."""
    write(folder, 0, line(1))
    Reader(folder, "somebody", dead).depth(0)
    assert drained(Reader(folder, "warehouse", dead)) == [line(1)]
    assert segments(folder) == []


# -- depth ---------------------------------------------------------------------------------------------------------


def test_depth_counts_what_waits(folder: Path, dead: DeadLetters) -> None:
    """Bytes exactly, lines about, the age of the oldest segment with work."""
    hands = Hands()
    writer = Writer(folder, clock=hands.clock, segment_bytes_max=1)
    found = Reader(folder, "warehouse", dead)
    assert found.depth(hands.wall_ns / 1e9).bytes == 0
    for number in range(3):
        writer.append([line(number)])
        hands.pass_(10)
    depth = found.depth(hands.wall_ns / 1e9)
    assert (depth.bytes, depth.events, round(depth.oldest_age_s)) == (3 * len(line(0)), 3, 30)
    found.commit(found.read(lines_max=1))
    assert round(found.depth(hands.wall_ns / 1e9).oldest_age_s) == 20
    drained(found)
    assert (lambda d: (d.bytes, d.events, d.oldest_age_s))(found.depth(hands.wall_ns / 1e9)) == (0, 0, 0.0)


def test_age_is_never_negative(folder: Path, dead: DeadLetters) -> None:
    """The clock may have stepped back since."""
    write(folder, 0, line(1))
    assert Reader(folder, "warehouse", dead).depth(0.0).oldest_age_s == 0.0
