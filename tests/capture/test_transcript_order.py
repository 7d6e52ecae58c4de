"""However the same lines are told, by files in any order, in halves, twice, forked: the same table, column by column."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.capture.house import PERSON, PRICES, House, differences
from tests.shared_data import SHARED, shared_data

from cdesk.activity.merge import join
from cdesk.capture.backfill import Progress
from cdesk.capture.transcript import Bookmark, Chunk, TranscriptFile, find

TREES = [
    *(f"transcripts/{path.name}" for path in sorted((SHARED / "transcripts").glob("*")) if path.is_dir()),
    "recordings",
]
Opened = Callable[[str], House]


@pytest.fixture
def opened(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[Opened]:
    """A new home by name; all are closed in the end."""
    houses: list[House] = []

    def open_(name: str) -> House:
        houses.append(House(tmp_path / name, deployed))
        return houses[-1]

    yield open_
    for house in houses:
        house.close()


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Callable[[str], list[Any]]:
    """The table that a tree gives when it is read once, whole, sorted by path."""
    known: dict[str, list[Any]] = {}

    def table(tree: str) -> list[Any]:
        if tree not in known:
            house = House(tmp_path_factory.mktemp("in-order"), deployed)
            house.take(shared_data(tree))
            known[tree] = house.rows()
            house.close()
        return known[tree]

    return table


@pytest.mark.parametrize("tree", TREES)
def test_files_in_any_order(tree: str, in_order: Callable[[str], list[Any]], opened: Opened) -> None:
    """A directory listing has no order; a watcher has another one."""
    files = list(find(shared_data(tree)))
    random.Random(tree).shuffle(files)
    house = opened("shuffled")
    house.take_new(files)
    assert differences(in_order(tree), house.rows()) == []


@pytest.mark.parametrize("tree", TREES)
def test_every_file_twice(tree: str, in_order: Callable[[str], list[Any]], opened: Opened) -> None:
    """A second import writes no row at all."""
    house = opened("twice")
    house.take(shared_data(tree))
    before = house.uploader.merged
    house.take(shared_data(tree))
    merged = house.uploader.merged
    assert (merged.inserted, merged.updated) == (before.inserted, before.updated)
    assert differences(in_order(tree), house.rows()) == []


@pytest.mark.parametrize("tree", TREES)
def test_half_a_file_now_and_half_later(
    tree: str, in_order: Callable[[str], list[Any]], opened: Opened, tmp_path: Path
) -> None:
    """Cut anywhere, in the middle of a line too; the reader goes on from its bookmark, in a new process. (Not within
    what a fork copied: that it was copied is said by marks further down, and Claude Code writes it at once.)"""
    originals = list(find(shared_data(tree)))
    copy = Path(shutil.copytree(shared_data(tree), tmp_path / "copy"))
    chance = random.Random(tree)
    house = opened("halves")
    cuts = {}
    for path in find(copy):
        content = path.read_bytes()
        cuts[path] = content
        copied = content.rfind(b'"requestSessionId"')
        path.write_bytes(
            content[: chance.randint(max(0, content.find(b"\n", copied)) if copied > 0 else 0, len(content))]
        )
    house.take_new(cuts)
    for path, content in cuts.items():
        with path.open("ab") as file:
            file.write(content[path.stat().st_size :])
    progress = house.take_new(cuts)
    assert len(originals) == len(cuts)
    assert differences(in_order(tree), house.rows()) == []
    assert progress.bytes < sum(map(len, cuts.values()))


def test_a_fork_beside_its_origin(opened: Opened) -> None:
    """`recordings/resume` holds a session and its fork, whose file repeats the origin's lines under its own id: the
    order does not matter, and nothing that was copied is there twice."""
    files = list(find(shared_data("recordings/resume")))
    assert len(files) == 2
    tables = []
    for name, order in (("one", files), ("two", files[::-1])):
        house = opened(name)
        house.take_new(order)
        tables.append(house.rows())
    assert differences(*tables) == []
    alone = [opened(f"alone {number}") for number in range(2)]
    for house, path in zip(alone, files, strict=True):
        house.take_new([path])
    separate = [{row["activity_id"] for row in house.rows()} for house in alone]
    assert {row["activity_id"] for row in tables[0]} == separate[0] | separate[1]
    assert separate[0] & separate[1], "the fork repeats nothing: this recording proves nothing"
    origin = next(path.stem for path in files if b'"requestSessionId"' not in path.read_bytes())
    shared = [row for row in tables[0] if row["activity_id"] in separate[0] & separate[1]]
    assert {row["_session_id"] for row in shared} == {origin}


@pytest.mark.parametrize("tree", TREES)
def test_pieces_of_any_size(tree: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file read in one piece, or in many that end anywhere, says the same of every fact. (Not so a fork, whose copied
    lines are marked as such further down.)"""
    for path in find(shared_data(tree)):
        if b'"requestSessionId"' in path.read_bytes():
            continue
        monkeypatch.setattr("cdesk.capture.transcript.file.BLOCK_BYTES", 1 << 26)
        whole = _facts(path)
        monkeypatch.setattr("cdesk.capture.transcript.file.BLOCK_BYTES", 3_001)
        assert _facts(path) == whole, path


def _facts(path: Path) -> dict[str, bytes]:
    return _told(TranscriptFile(path, PERSON, PRICES).read())


def _told(chunks: Iterable[Chunk]) -> dict[str, bytes]:
    facts: dict[str, Any] = {}
    for chunk in chunks:
        for seen in chunk.activities:
            known = facts.get(seen.activity_id)
            facts[seen.activity_id] = seen if known is None else join(known, seen)
    return {name: msgspec.json.encode(fact, order="deterministic") for name, fact in facts.items()}


# -- bookmarks -----------------------------------------------------------------------------------------------------


def line(n: int) -> bytes:
    return msgspec.json.encode({
        "type": "user", "uuid": f"u{n}", "sessionId": "s", "timestamp": "2026-03-01T12:00:00.000Z",
        "message": {"role": "user", "content": f"prompt {n}"},
    }) + b"\n"  # fmt: skip


def prompts(path: Path, bookmark: Bookmark | None = None) -> tuple[list[Any], Bookmark]:
    chunks = list(TranscriptFile(path, PERSON, PRICES).read(bookmark))
    found = [seen.feature_json["prompt_text"] for c in chunks for seen in c.activities if seen.activity == "user_asked"]
    return found, chunks[-1].bookmark if chunks else bookmark or Bookmark()


def test_reading_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """New lines only; with nothing new, nothing."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1))
    found, bookmark = prompts(path)
    assert found == ["prompt 1"]
    assert prompts(path, bookmark) == ([], bookmark)
    path.write_bytes(line(1) + line(2))
    assert prompts(path, bookmark)[0] == ["prompt 2"]


def test_a_line_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    """Half a line is neither read nor set aside; a whole object without its newline is a line already, once."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + line(2)[:-20])
    found, bookmark = prompts(path)
    assert found == ["prompt 1"]
    path.write_bytes(line(1) + line(2)[:-1])
    found, bookmark = prompts(path, bookmark)
    assert found == ["prompt 2"]
    path.write_bytes(line(1) + line(2) + line(3))
    assert prompts(path, bookmark)[0] == ["prompt 3"]


@pytest.mark.parametrize("content", [b"", line(7), line(7) + line(8) + line(9)], ids=["empty", "shorter", "longer"])
def test_another_file_under_the_same_name_is_read_from_its_start(tmp_path: Path, content: bytes) -> None:
    """Shorter than it was, or not beginning as it began."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(line(1) + line(2))
    _, bookmark = prompts(path)
    path.write_bytes(content)
    assert prompts(path, bookmark)[0] == [f"prompt {n}" for n in (7, 8, 9)[: content.count(b"\n")]]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"x":1}', b"\xff"])
def test_damaged_bookmarks_mean_reading_again(opened: Opened, content: bytes) -> None:
    """Twice is harmless."""
    house = opened("home")
    path = house.home / "a.jsonl"
    path.write_bytes(line(1))
    house.take_new([path])
    (house.home / "bookmarks.json").write_bytes(content)
    house.bookmarks = type(house.bookmarks)(house.home / "bookmarks.json")
    progress = house.take_new([path])
    assert isinstance(progress, Progress) and progress.lines == 1
    assert house.counts() == {"user_asked": 1, "session_started": 1}


@pytest.mark.parametrize(
    "file", ["recordings/search_and_todo/projects", "transcripts/daaain__claude-code-log", "recordings/plugin/projects"]
)
def test_a_file_cut_behind_any_line(file: str, tmp_path: Path) -> None:
    """Whatever a half-read file leaves open goes on in the second half: calls without their result, answers in the
    middle, limits of requests, the session that a title belongs to."""
    for path in find(shared_data(file)):
        content = path.read_bytes()
        half = tmp_path / path.name
        whole = _facts(path)
        ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
        for end in ends[:: max(1, len(ends) // 30)]:
            half.write_bytes(content[:end])
            first = list(TranscriptFile(half, PERSON, PRICES).read())
            left = msgspec.json.decode(msgspec.json.encode(first[-1].bookmark), type=Bookmark)
            half.write_bytes(content)
            assert _told([*first, *TranscriptFile(half, PERSON, PRICES).read(left)]) == whole, end
