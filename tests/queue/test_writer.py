"""A writer says "ok" when the lines are on disk, and leaves no trace when it cannot say it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from tests.queue.hostile_disk import Death, Fault, HostileDisk
from tests.queue.lines import Hands, drained, line, segments

from cdesk.errors import QueueError, QueueFull
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.disk import Disk
from cdesk.queue.writer import LINE_BYTES_MAX


def everything(folder: Path) -> list[bytes]:
    return [line for path in segments(folder) for line in path.read_bytes().splitlines(keepends=True)]


def reader(folder: Path, consumer: str = "warehouse") -> Reader:
    return Reader(folder, consumer, DeadLetters(folder.parent / "dead"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


# -- acknowledged means durable ------------------------------------------------------------------------------------


def test_a_line_is_synced_before_it_is_acknowledged(folder: Path) -> None:
    """Segment made and its name synced, bytes written, bytes synced: in this order, and then "ok"."""
    disk = HostileDisk()
    writer = Writer(folder, disk=disk)
    assert writer.append([line(1), line(2)]) == 2
    assert disk.done == ["create", "sync_folder", "append", "sync"]
    assert everything(folder) == [line(1), line(2)]


def test_nothing_to_append_touches_nothing(folder: Path) -> None:
    """No lines, or empty ones, make no segment."""
    writer = Writer(folder)
    assert writer.append([]) == 0
    writer.append([b""])
    assert segments(folder) == []


def test_files_are_for_the_owner_only(folder: Path) -> None:
    """Prompts and file contents stand in them."""
    Writer(folder).append([line(1)])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in segments(folder)] == [0o600]


def test_a_line_over_the_limit_is_refused_and_nothing_is_written(folder: Path) -> None:
    """The reader could not take it back out; lines beside it in the same call are not taken either."""
    with pytest.raises(QueueError, match="over the limit"):
        Writer(folder).append([line(1), b"x" * (LINE_BYTES_MAX + 1)])
    assert segments(folder) == []


# -- rotation ------------------------------------------------------------------------------------------------------


def test_a_segment_is_closed_before_it_grows_over_its_size(folder: Path) -> None:
    """Lines are never cut; a line larger than a segment has one of its own."""
    writer = Writer(folder, segment_bytes_max=300)
    for number in range(6):
        writer.append([line(number, 80)])
    writer.append([line("large", 1_000)])
    writer.append([line("after")])
    sizes = [path.stat().st_size for path in segments(folder)]
    assert [len(path.read_bytes().splitlines()) for path in segments(folder)] == [2, 2, 2, 1, 1]
    assert all(size <= 300 for size in sizes if size < 1_000)


def test_a_segment_is_closed_when_it_is_old(folder: Path) -> None:
    """At the next append or the next `rotate`, by monotonic time."""
    hands = Hands()
    writer = Writer(folder, clock=hands.clock, segment_seconds_max=60)
    writer.append([line(1)])
    hands.pass_(59)
    writer.append([line(2)])
    writer.rotate()
    assert Disk().is_owned(segments(folder)[0])
    hands.pass_(1)
    writer.rotate()
    assert not Disk().is_owned(segments(folder)[0])
    writer.append([line(3)])
    assert len(segments(folder)) == 2


def test_an_idle_writer_makes_no_empty_segments(folder: Path) -> None:
    """However often it looks."""
    hands = Hands()
    writer = Writer(folder, clock=hands.clock)
    for _ in range(3):
        hands.pass_(120)
        writer.rotate()
    assert segments(folder) == []


def test_names_grow_while_the_clock_steps_back(folder: Path) -> None:
    """Segments are read by name: a producer's later lines must not come first."""
    hands = Hands()
    writer = Writer(folder, clock=hands.clock, segment_bytes_max=1)
    for number in range(5):
        writer.append([line(number)])
        hands.wall_ns -= 3_600_000_000_000
    assert drained(reader(folder)) == [line(number) for number in range(5)]


def test_two_writers_at_one_moment_get_segments_of_their_own(folder: Path) -> None:
    """The same nanosecond, and by bad luck the same random name: one of them is refused, nothing is overwritten."""
    hands = Hands()
    one, two = (Writer(folder, clock=Hands().clock) for _ in range(2))
    one.append([line("one")])
    with pytest.raises(QueueError):
        two.append([line("two")])
    two.append([line("two")])
    assert sorted(everything(folder)) == [line("one"), line("two")]
    assert hands.wall_ns


# -- the budget ----------------------------------------------------------------------------------------------------


def test_a_full_queue_refuses_and_takes_again_when_drained(folder: Path) -> None:
    """QueueFull says what to do, can be tried again, and leaves what is there alone."""
    writer = Writer(folder, bytes_max=1_000, segment_bytes_max=400)
    taken = 0
    with pytest.raises(QueueFull, match="cdesk up") as refusal:
        for _ in range(100):
            writer.append([line(taken, 100)])
            taken += 1
    assert refusal.value.retryable and taken > 3
    writer.close()
    assert drained(reader(folder)) == [line(number, 100) for number in range(taken)]
    assert writer.append([line("again")]) == 1


def test_the_budget_holds_within_one_segment_as_well(folder: Path) -> None:
    """A budget smaller than a segment is still a budget."""
    writer = Writer(folder, bytes_max=1_000)
    with pytest.raises(QueueFull):
        for number in range(100):
            writer.append([line(number, 100)])
    assert sum(path.stat().st_size for path in segments(folder)) <= 1_000


# -- a disk that fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(("how", "raised"), [("full", QueueFull), ("error", QueueError)])
def test_a_failed_append_leaves_no_part_of_a_line(
    folder: Path, how: str, raised: type[QueueError], part: float
) -> None:
    """Nothing of what was refused is delivered, and the next append is whole."""
    disk = HostileDisk()
    writer = Writer(folder, disk=disk)
    writer.append([line("before")])
    disk.fault = Fault("append", how, part)
    with pytest.raises(raised):
        writer.append([line("refused 1"), line("refused 2")])
    assert writer.append([line("after")]) == 1
    writer.close()
    assert drained(reader(folder)) == [line("before"), line("after")]
    assert DeadLetters(folder.parent / "dead").count() == 0


@pytest.mark.parametrize("operation", ["sync", "create", "sync_folder"])
@pytest.mark.parametrize("late", [False, True])
def test_a_failed_sync_or_create_refuses_and_recovers(folder: Path, operation: str, late: bool) -> None:
    """A sync whose report failed may have worked: the line is refused all the same, and taken away again."""
    disk = HostileDisk()
    writer = Writer(folder, disk=disk)
    disk.fault = Fault(operation, "error", late=late)
    with pytest.raises(QueueError):
        writer.append([line("refused")])
    assert writer.append([line("after")]) == 1
    writer.close()
    found = reader(folder)
    assert drained(found) == [line("after")]
    assert segments(folder) == []


def test_a_line_that_cannot_be_taken_back_does_not_harm_the_next(folder: Path) -> None:
    """Append fails in the middle, and mending fails too: the half line stays behind, in a segment that is given up."""

    class Broken(HostileDisk):
        def truncate(self, handle: int, size: int) -> None:
            raise QueueError("could not mend the queue: input/output error.")

    disk = Broken()
    writer = Writer(folder, disk=disk)
    writer.append([line("before")])
    disk.fault = Fault("append", "error", 0.3)
    with pytest.raises(QueueError):
        writer.append([line("refused")])
    writer.append([line("after")])
    writer.close()
    assert drained(reader(folder)) == [line("before"), line("after")]


def test_an_interrupted_append_does_not_harm_the_next(folder: Path) -> None:
    """Ctrl-C in the middle of a write: the half line must not swallow the line written after it."""

    class Interrupted(HostileDisk):
        def append(self, handle: int, data: bytes) -> None:
            if self.fault is not None:
                self.fault = None
                Disk.append(self, handle, data[: len(data) // 2])
                raise KeyboardInterrupt
            super().append(handle, data)

    disk = Interrupted()
    writer = Writer(folder, disk=disk)
    disk.fault = Fault("append", "interrupt")
    with pytest.raises(KeyboardInterrupt):
        writer.append([line("refused")])
    assert writer.append([line("after")]) == 1
    writer.close()
    assert drained(reader(folder)) == [line("after")]


@pytest.mark.parametrize(
    ("number", "raised", "remedy"),
    [
        (errno.ENOSPC, QueueFull, "Free some disk space"),
        (errno.EDQUOT, QueueFull, "Free some disk space"),
        (errno.EIO, QueueError, "Check the disk"),
        (errno.EROFS, QueueError, "Check the disk"),
    ],
)
def test_errors_of_the_disk_are_told_with_a_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: type[QueueError], remedy: str
) -> None:
    """Translated once, at the wall."""
    writer = Writer(folder)
    writer.append([line("before")])

    def failing(handle: int, data: bytes) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("cdesk.queue.disk.os.write", failing)
        with pytest.raises(raised, match=remedy):
            writer.append([line("refused")])
    assert writer.append([line("after")]) == 1


def test_a_write_that_takes_only_a_part_is_continued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """write(2) may take fewer bytes than it was given."""
    real = os.write
    monkeypatch.setattr("cdesk.queue.disk.os.write", lambda handle, data: real(handle, data[:7]))
    Writer(folder).append([line(1), line(2)])
    assert everything(folder) == [line(1), line(2)]


# -- several producers ---------------------------------------------------------------------------------------------


def test_threads_share_a_writer(folder: Path) -> None:
    """Each call's lines stand together and in order; all are there."""
    writer = Writer(folder, segment_bytes_max=2_000)

    def work(name: int) -> None:
        for number in range(20):
            writer.append([line(f"{name}-{number}-a"), line(f"{name}-{number}-b")])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = drained(reader(folder))
    assert len(found) == 160
    for name in range(4):
        own = [one for one in found if b'"name":"%d-' % name in one]
        assert own == [line(f"{name}-{number}-{part}") for number in range(20) for part in "ab"]


def test_two_writers_append_at_once(folder: Path) -> None:
    """Each in a segment of its own; neither sees the other."""
    one, two = Writer(folder), Writer(folder)
    for number in range(5):
        one.append([line(f"one {number}")])
        two.append([line(f"two {number}")])
    found = drained(reader(folder))
    assert [item for item in found if b"one" in item] == [line(f"one {number}") for number in range(5)]
    assert [item for item in found if b"two" in item] == [line(f"two {number}") for number in range(5)]


def test_a_writer_that_died_leaves_only_whole_lines(folder: Path) -> None:
    """In the middle of its second append, half of the bytes unsynced and gone."""
    disk = HostileDisk()
    writer = Writer(folder, disk=disk)
    writer.append([line("acknowledged")])
    disk.fault = Fault("append", "death", part=0.8)
    with pytest.raises(Death):
        writer.append([line("torn", 200)])
    disk.die(lost=0.5)
    Writer(folder).append([line("another writer")])
    found = reader(folder)
    assert sorted(drained(found)) == sorted([line("acknowledged"), line("another writer")])
