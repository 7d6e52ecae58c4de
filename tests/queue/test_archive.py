"""Segments that every consumer has passed may be kept, within bounds, and can be read again."""

from __future__ import annotations

from pathlib import Path

from tests.queue.lines import Hands, drained, line, segments

from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.archive import Archive


def put(folder: Path, hands: Hands, *names: str) -> None:
    """A segment for each."""
    for name in names:
        writer = Writer(folder, clock=hands.clock)
        hands.pass_(1)
        writer.append([line(name)])
        writer.close()


def reader(tmp_path: Path, archive: Archive | None) -> Reader:
    return Reader(
        tmp_path / "queue", "warehouse", DeadLetters(tmp_path / "dead"), retire=archive.take if archive else None
    )


def test_loaded_segments_are_deleted_by_default(tmp_path: Path) -> None:
    put(tmp_path / "queue", Hands(), "a")
    assert drained(reader(tmp_path, None)) == [line("a")]
    assert segments(tmp_path / "queue") == []


def test_kept_segments_are_as_they_were_and_count_for_nothing(tmp_path: Path) -> None:
    """Out of the queue and out of its depth; put back, they are read again."""
    folder = tmp_path / "queue"
    put(folder, Hands(), "a", "b")
    before = [(path.name, path.read_bytes()) for path in segments(folder)]
    consumer = reader(tmp_path, Archive(folder / "archive", 10**6))
    assert drained(consumer) == [line("a"), line("b")]
    assert segments(folder) == [] and consumer.depth(0.0).stored == 0
    assert [(path.name, path.read_bytes()) for path in segments(folder / "archive")] == before
    kept = segments(folder / "archive")[0]
    kept.rename(folder / kept.name)
    assert drained(consumer) == [line("a")]


def test_the_oldest_make_room(tmp_path: Path) -> None:
    """Also those that an earlier process left."""
    folder = tmp_path / "queue"
    size = len(line("a"))
    hands = Hands()
    put(folder, hands, "a", "b")
    drained(reader(tmp_path, Archive(folder / "archive", 2 * size)))
    put(folder, hands, "c", "d")
    archive = Archive(folder / "archive", 2 * size)
    drained(reader(tmp_path, archive))
    assert [path.read_bytes() for path in segments(folder / "archive")] == [line("c"), line("d")]
    assert archive.bytes == 2 * size
