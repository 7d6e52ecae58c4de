"""What cannot be loaded is kept with its reason and its place, once, until somebody decides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.queue.lines import Hands

from cdesk.errors import QueueError
from cdesk.queue import DeadLetter, DeadLetters, dead_letter
from cdesk.queue.dead_letter import LINE_KEPT_BYTES


def letter(line: bytes = b"{", offset: int = 7) -> DeadLetter:
    return DeadLetter(reason="not valid JSON", source="a.jsonl", offset=offset, line=line)


def test_a_letter_is_kept_as_it_was_put(tmp_path: Path) -> None:
    """Any bytes, also after reopening."""
    line = bytes(range(256)) + "é😀".encode()
    DeadLetters(tmp_path).put(letter(line))
    assert _put(tmp_path) == [letter(line)]


def test_the_same_line_from_the_same_place_is_one_letter(tmp_path: Path) -> None:
    """A second import says nothing new, whoever does it; another place does."""
    dead = DeadLetters(tmp_path)
    assert dead.put(letter())
    assert not dead.put(letter())
    assert not DeadLetters(tmp_path).put(letter())
    assert dead.put_all([letter(offset=8), letter(offset=8), letter(b"}")]) == 2
    assert DeadLetters(tmp_path).count() == 3


def test_letters_are_redacted_before_they_are_written(tmp_path: Path) -> None:
    """A line that is no JSON may hold a secret all the same."""
    DeadLetters(tmp_path, redact=lambda line: line.replace(b"secret", b"******")).put(letter(b"my secret"))
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [kept.line for kept in DeadLetters(tmp_path)] == [b"my ******"]


def test_a_long_line_is_kept_in_part(tmp_path: Path) -> None:
    """A bound on what one bad line may cost."""
    DeadLetters(tmp_path).put(letter(b"x" * (LINE_KEPT_BYTES * 3)))
    assert [len(kept.line) for kept in DeadLetters(tmp_path)] == [LINE_KEPT_BYTES]


@pytest.mark.parametrize(
    "source", ["a\nb.jsonl", 'a".jsonl', "é😀.jsonl", "\udcff.jsonl".encode("utf-8", "replace").decode()]
)
def test_hostile_names_are_only_names(tmp_path: Path, source: str) -> None:
    """One letter is one line of the file, whatever its source is called."""
    dead = DeadLetters(tmp_path)
    dead.put(DeadLetter(reason="r", source=source, offset=0, line=b""))
    assert [kept.source for kept in DeadLetters(tmp_path)] == [source]


def test_a_letter_torn_by_a_crash_does_not_swallow_the_next(tmp_path: Path) -> None:
    """The file ends in half a letter; the one put after it is found again."""
    DeadLetters(tmp_path).put(letter(offset=1))
    path = tmp_path / "letters.ndjson"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    dead = DeadLetters(tmp_path)
    assert dead.count() == 1
    dead.put(letter(offset=2))
    assert [kept.offset for kept in DeadLetters(tmp_path)] == [1, 2]
    assert DeadLetters(tmp_path).count() == 2


def test_a_letter_that_could_not_be_written_is_put_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full: the failure has a name, and nothing pretends to know the letter."""
    dead = DeadLetters(tmp_path)

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(QueueError):
            dead.put(letter())
    assert dead.put(letter())
    assert _put(tmp_path) == [letter()]


def test_letters_are_for_the_owner_only(tmp_path: Path) -> None:
    """They hold raw lines."""
    dead = DeadLetters(tmp_path / "dead")
    dead.put(letter())
    assert (tmp_path / "dead").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "dead").iterdir()] == [0o600]


def test_dropped_letters_are_forgotten(tmp_path: Path) -> None:
    """The others stay; a dropped one may come again."""
    dead = DeadLetters(tmp_path)
    dead.put_all([letter(offset=1), letter(offset=2), letter(offset=3)])
    second = list(dead)[1]
    assert dead.drop({second.digest}) == 1 and dead.drop({second.digest}) == 0
    assert [kept.offset for kept in DeadLetters(tmp_path)] == [1, 3]
    assert dead.put(letter(offset=2))


def _put(folder: Path) -> list[DeadLetter]:
    """The letters of a folder as they were put."""
    return [
        DeadLetter(reason=kept.reason, source=kept.source, offset=kept.offset, line=kept.line)
        for kept in DeadLetters(folder)
    ]


def test_how_often_a_line_was_seen_is_counted(tmp_path: Path) -> None:
    """Also over processes, and in what is left when others are dropped."""
    dead = DeadLetters(tmp_path)
    dead.put_all([letter(offset=1), letter(offset=1), letter(offset=2)])
    dead.put(letter(offset=1))
    dead.close()
    again = DeadLetters(tmp_path)
    again.put(letter(offset=1))
    again.close()
    assert [kept.count for kept in DeadLetters(tmp_path)] == [4, 1]
    dropping = DeadLetters(tmp_path)
    dropping.drop({list(dropping)[1].digest})
    assert [kept.count for kept in DeadLetters(tmp_path)] == [4]
    assert DeadLetters(tmp_path).count() == 1


def test_seeing_it_again_costs_no_write_of_its_own(tmp_path: Path) -> None:
    """A warehouse that is away makes the same damaged line be seen every second."""
    hands = Hands()
    dead = DeadLetters(tmp_path, clock=hands.clock)
    dead.put(letter())
    size = (tmp_path / "letters.ndjson").stat().st_size
    for _ in range(50):
        hands.pass_(1)
        dead.put(letter())
    assert (tmp_path / "letters.ndjson").stat().st_size == size
    hands.pass_(60)
    dead.put(letter())
    assert [kept.count for kept in DeadLetters(tmp_path)] == [52]


def test_counts_do_not_outgrow_the_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is put together when it says more of repeats than of letters."""
    monkeypatch.setattr(dead_letter, "AGAIN_LINES_MAX", 5)
    for _ in range(20):
        dead = DeadLetters(tmp_path)
        dead.put(letter())
        dead.close()
    dead.put(letter(offset=9))
    assert [kept.count for kept in DeadLetters(tmp_path)] == [20, 1]
    assert len((tmp_path / "letters.ndjson").read_bytes().splitlines()) <= 22


def test_letters_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit they are counted, not kept, and nobody says they are known."""
    dead = DeadLetters(tmp_path)
    dead.put(letter(offset=1))
    monkeypatch.setattr(dead_letter, "LETTERS_BYTES_MAX", 10)
    assert not dead.put(letter(offset=2))
    assert dead.unkept == 1 and dead.count() == 1


def test_letters_may_be_put_and_dropped_by_many_threads(tmp_path: Path) -> None:
    """None is lost, none is twice."""
    from concurrent.futures import ThreadPoolExecutor

    dead = DeadLetters(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        put = list(pool.map(lambda n: dead.put(letter(offset=n % 40)), range(200)))
        pool.map(dead.drop, [{"none"}] * 10)
    assert sum(put) == 40
    dead.close()
    assert sorted(kept.offset for kept in DeadLetters(tmp_path)) == list(range(40))
    assert sum(kept.count for kept in DeadLetters(tmp_path)) == 200
