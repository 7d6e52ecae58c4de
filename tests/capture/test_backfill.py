"""Reading every transcript there is: all of it, once, and marked as read only when it is durable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.capture.house import KEY, PERSON, PRICES, REDACTOR, House
from tests.queue.hostile_disk import Fault, HostileDisk

from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.transcript import Bookmark, claude_dirs, find
from cdesk.errors import QueueError
from cdesk.governance.consent import Consent
from cdesk.queue import DeadLetters, Writer


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    found = House(tmp_path / "home", deployed)
    yield found
    found.close()


def prompt(n: object) -> bytes:
    return json.dumps({
        "type": "user", "uuid": f"u{n}", "sessionId": "s", "timestamp": "2026-03-01T12:00:00.000Z", "cwd": "/work/x",
        "message": {"role": "user", "content": f"prompt {n}"},
    }).encode() + b"\n"  # fmt: skip


def write(path: Path, *numbers: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(prompt, numbers)))
    return path


# -- what is found -------------------------------------------------------------------------------------------------


def test_transcripts_are_found_wherever_they_lie_below(tmp_path: Path) -> None:
    """Main threads, subagents in their folder, sorted by path; nothing else."""
    wanted = [
        write(tmp_path / "projects" / name)
        for name in ("a/1.jsonl", "a/1/subagents/agent-2.jsonl", "b/0.jsonl", "b/agent-1.jsonl")
    ]
    for name in ("history.jsonl", "projects/a/1.json", "projects/a/notes.jsonl.bak", "projects/a/tool-results/x.txt"):
        write(tmp_path / name)
    assert list(find(tmp_path)) == sorted(wanted, key=str)
    assert list(find(tmp_path / "projects")) == sorted(wanted, key=str)
    assert list(find(tmp_path / "nowhere")) == []


def test_configuration_folders_follow_claude_codes_own_rule(tmp_path: Path) -> None:
    """CLAUDE_CONFIG_DIR may be several; without it, XDG and home; folders that are not there are none."""
    for name in ("one", "two", "home/.claude", "home/.config/claude", "xdg/claude"):
        (tmp_path / name).mkdir(parents=True)
    one, two, home = tmp_path / "one", tmp_path / "two", tmp_path / "home"
    given = {"CLAUDE_CONFIG_DIR": f"{one}, {two},,{one},{tmp_path / 'missing'}"}
    assert claude_dirs(given, home) == [one, two]
    assert claude_dirs({}, home) == [home / ".config" / "claude", home / ".claude"]
    assert claude_dirs({"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, home) == [
        tmp_path / "xdg" / "claude",
        home / ".claude",
    ]


# -- what is read --------------------------------------------------------------------------------------------------


def test_progress_counts_everything(house: House, tmp_path: Path) -> None:
    """Files, bytes, lines, what they gave and what was set aside."""
    one = write(tmp_path / "projects" / "a.jsonl", 1, 2)
    two = write(tmp_path / "projects" / "b.jsonl", 3)
    two.write_bytes(two.read_bytes() + b"{bad\n\n  \n")
    told: list[int] = []
    progress = house.backfill.run([tmp_path], house.bookmarks, tell=lambda so_far: told.append(so_far.files))
    total = one.stat().st_size + two.stat().st_size
    assert (progress.files, progress.files_total, progress.bytes, progress.bytes_total) == (2, 2, total, total)
    assert (progress.lines, progress.rejected, progress.is_done) == (4, 1, True)
    assert progress.observed == 5  # three prompts, and the session's beginning in each file
    assert told[-1] == 2


def test_a_resumed_run_reads_only_what_is_new(house: House, tmp_path: Path) -> None:
    """A whole run reads all again, which changes nothing."""
    path = write(tmp_path / "projects" / "a.jsonl", 1)
    house.take(tmp_path)
    write(path, 1, 2)
    assert house.backfill.run([tmp_path], house.bookmarks, resume=True).lines == 1
    assert house.backfill.run([tmp_path], house.bookmarks, resume=True).lines == 0
    assert house.take(tmp_path).lines == 2
    assert house.counts()["user_asked"] == 2


def test_bookmarks_outlive_the_process(house: House, tmp_path: Path) -> None:
    """They are on disk when a run is over."""
    write(tmp_path / "projects" / "a.jsonl", 1)
    house.take(tmp_path)
    again = Bookmarks(house.home / "bookmarks.json")
    assert house.backfill.run([tmp_path], again, resume=True).lines == 0


@pytest.mark.parametrize("how", ["full", "error"])
def test_a_refused_append_moves_no_bookmark(house: House, tmp_path: Path, how: str) -> None:
    """What is not durable was not read: the next run takes all of it."""
    disk = HostileDisk()
    gate = Gate(Writer(tmp_path / "queue", disk=disk), REDACTOR.line, Consent(), KEY)
    backfill = Backfill(PERSON, PRICES, gate, house.dead, lambda: None)
    path = write(tmp_path / "projects" / "a.jsonl", 1, 2)
    disk.fault = Fault("append", how)
    with pytest.raises(QueueError):
        backfill.read(path, house.bookmarks, Progress())
    assert house.bookmarks.get(str(path)) is None
    progress = Progress()
    backfill.read(path, house.bookmarks, progress)
    assert progress.lines == 2


def test_a_fast_reader_is_held_back(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pace` is called after every batch that went into the queue."""
    monkeypatch.setattr("cdesk.capture.backfill.BATCH_BYTES", 1)
    calls: list[int] = []
    backfill = Backfill(PERSON, PRICES, house.gate, house.dead, lambda: calls.append(1))
    for n in range(3):
        write(tmp_path / "projects" / f"{n}.jsonl", n)
    backfill.run([tmp_path], house.bookmarks)
    assert len(calls) == 3


# -- consent and redaction stand before the queue ------------------------------------------------------------------


def test_secrets_are_gone_before_anything_is_written(house: House, tmp_path: Path) -> None:
    """Not in the queue, not in the dead letters, not in the bookmarks, not in the warehouse."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    path = write(tmp_path / "projects" / "a.jsonl", f"my token is {secret} ok")
    path.write_bytes(path.read_bytes() + b'{"bad": "' + secret.encode() + b"\n")
    house.backfill.run([tmp_path], house.bookmarks)
    kept = b"".join(file.read_bytes() for file in house.home.rglob("*") if file.is_file())
    assert secret.encode() not in kept and b"[redacted:" in kept
    house.uploader.drain()
    [row] = house.rows(
        "SELECT feature_json.prompt_text::VARCHAR AS text FROM CLAUDE_STREAM_V2 WHERE activity = 'user_asked'"
    )
    assert row["text"].startswith("prompt my token is [redacted:")


@pytest.mark.parametrize(
    ("consent", "asked"),
    [
        (Consent(), 1), (Consent(sources=("hook",)), 0), (Consent(exclude_projects=("/work/*",)), 0),
        (Consent(exclude_projects=("/elsewhere",)), 1), (Consent(text="drop"), 1),
    ],
)  # fmt: skip
def test_what_nobody_consented_to_is_not_kept(house: House, tmp_path: Path, consent: Consent, asked: int) -> None:
    """By source, by project, by words."""
    backfill = Backfill(PERSON, PRICES, Gate(house.writer, REDACTOR.line, consent, KEY), house.dead, lambda: None)
    write(tmp_path / "projects" / "a.jsonl", "words")
    backfill.run([tmp_path], house.bookmarks)
    queued = b"".join(path.read_bytes() for path in (house.home / "queue").glob("*.ndjson"))
    assert queued.count(b'"user_asked"') == asked
    assert (b"prompt words" in queued) == (asked == 1 and consent.text == "keep")


# -- bookmarks -----------------------------------------------------------------------------------------------------


def test_bookmarks_are_written_only_when_they_changed(tmp_path: Path) -> None:
    """A sweep over a thousand old files costs no write."""
    marks = Bookmarks(tmp_path / "b.json")
    marks.save()
    assert not (tmp_path / "b.json").exists()
    marks.put("a", Bookmark(5, "x", 3))
    marks.save()
    (tmp_path / "b.json").unlink()
    marks.put("a", Bookmark(5, "x", 3))
    marks.save()
    assert not (tmp_path / "b.json").exists()


def test_bookmarks_come_back_as_they_were(tmp_path: Path) -> None:
    """With what the interpreter has to remember, under any name."""
    marks = Bookmarks(tmp_path / "b.json")
    for name in ("a", "é\n😀", "b'/x/\\xff.jsonl'"):
        marks.put(name, Bookmark(5, "x", 3))
    marks.save()
    again = Bookmarks(tmp_path / "b.json")
    assert [again.get(name) for name in ("a", "é\n😀", "b'/x/\\xff.jsonl'")] == [Bookmark(5, "x", 3)] * 3
    assert again.get("other") is None
    assert (tmp_path / "b.json").stat().st_mode & 0o777 == 0o600
    assert msgspec.json.decode((tmp_path / "b.json").read_bytes())


def test_a_dead_letter_is_put_once_however_often_a_file_is_read(house: House, tmp_path: Path) -> None:
    """A bad line in an old file is not news at every sweep."""
    path = write(tmp_path / "projects" / "a.jsonl", 1)
    path.write_bytes(path.read_bytes() + b"{bad\n")
    for _ in range(3):
        house.take(tmp_path)
    assert house.dead.count() == 1 and DeadLetters(house.home / "dead").count() == 1
