"""What command hooks kept while nobody answered comes in once, and goes only after it is durable."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cdesk.activity.codec import decode
from cdesk.activity.model import Person
from cdesk.capture import hook_command
from cdesk.capture.gate import Gate
from cdesk.capture.hook import Hooks
from cdesk.capture.spool import FOLDER_BYTES_KEPT, TORN_AFTER_S, Spool
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError
from cdesk.governance.consent import Consent
from cdesk.queue import DeadLetters, Writer
from cdesk.queue.disk import Disk

KEY = b"k" * 32
START = json.dumps({"session_id": "s-1", "cwd": "/p", "hook_event_name": "SessionStart", "source": "startup"}).encode()


class Home:
    def __init__(self, path: Path, clock: Clock = SYSTEM_CLOCK, consent: Consent | None = None) -> None:
        self.path = path
        self.writer = Writer(path / "queue")
        self.dead = DeadLetters(path / "dead")
        gate = Gate(self.writer, lambda line: line, consent or Consent(), KEY)
        self.spool = Spool(path / "spool", lambda: Hooks(Person("ada", "host_x"), gate), self.dead, clock=clock)

    def keep(self, payload: bytes = START, received_ns: int = 1_795_425_161_000_000_000) -> None:
        hook_command.keep(os.fsencode(self.path), payload, received_ns)

    def files(self) -> list[Path]:
        return sorted((self.path / "spool").glob("*.hook"))

    def queued(self) -> list[str]:
        lines = [line for path in (self.path / "queue").glob("*.ndjson") for line in path.read_bytes().splitlines(True)]
        return [decode(line).activity for line in lines]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_what_was_kept_comes_in_with_its_own_time(home: Home) -> None:
    """The moment of receipt is the hook's, not ours."""
    home.keep()
    assert home.spool.drain() == 1
    (path,) = (home.path / "queue").glob("*.ndjson")
    fact = decode(path.read_bytes())
    assert (fact.activity, fact.ts.isoformat(), fact.session_id) == (
        "session_started",
        "2026-11-23T09:12:41+00:00",
        "s-1",
    )
    assert home.files() == [] and home.spool.drain() == 0


def test_a_missing_folder_is_an_empty_one(home: Home) -> None:
    """Most homes never have one."""
    assert home.spool.drain() == 0


def test_a_queue_that_refuses_leaves_everything_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is durable goes."""
    home = Home(tmp_path)
    home.keep()

    def broken(self: Disk, handle: int) -> None:
        raise QueueError("no")

    monkeypatch.setattr(Disk, "sync", broken)
    with pytest.raises(QueueError):
        home.spool.drain()
    assert len(home.files()) == 1
    monkeypatch.undo()
    assert home.spool.drain() == 1 and home.queued() == ["session_started"]


def test_a_file_still_being_written_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """Then its hook died writing it, and it goes to the dead letters."""
    home = Home(tmp_path)
    home.keep()
    (path,) = home.files()
    path.write_bytes(path.read_bytes()[:-20])
    assert home.spool.drain() == 0 and home.files() == [path]
    old = path.stat().st_mtime - TORN_AFTER_S - 1
    os.utime(path, (old, old))
    assert home.spool.drain() == 1 and home.files() == [] and home.queued() == []
    assert [letter.source for letter in home.dead] == [path.name]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"nonsense\n", b'{"received_ns":-1e99,"payload":{}}\n',
                                  b'{"received_ns":1,"payload":[]}\n', b'{"received_ns":9999999999999999999999,"payload":{}}\n'])  # fmt: skip
def test_what_cannot_be_read_is_set_aside_with_its_reason(home: Home, line: bytes) -> None:
    """One bad file stops nothing."""
    (home.path / "spool").mkdir()
    (home.path / "spool" / f"{1:020d}-1.hook").write_bytes(line)
    home.keep()
    assert home.spool.drain() == 2
    assert home.queued() == ["session_started"] and home.dead.count() == 1 and home.files() == []


def test_taking_the_same_file_twice_tells_the_same_fact(home: Home) -> None:
    """A crash between queue and unlink."""
    home.keep()
    (path,) = home.files()
    content = path.read_bytes()
    home.spool.drain()
    path.write_bytes(content)
    home.spool.drain()
    lines = [line for path in (home.path / "queue").glob("*.ndjson") for line in path.read_bytes().splitlines(True)]
    assert len(lines) == 2 and len({decode(line).activity_id for line in lines}) == 1


def test_consent_holds_for_what_was_kept(tmp_path: Path) -> None:
    """An excluded project is not recorded, and its file does not stay."""
    home = Home(tmp_path, consent=Consent(exclude_projects=("/p",)))
    home.keep()
    assert home.spool.drain() == 1 and home.queued() == [] and home.files() == []


def test_a_folder_grown_large_is_begun_anew(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size never goes down again, and the hooks measure by it."""
    home.keep()
    home.spool.drain()
    assert (home.path / "spool").exists()
    monkeypatch.setattr("cdesk.capture.spool.FOLDER_BYTES_KEPT", -FOLDER_BYTES_KEPT)
    home.keep()
    home.spool.drain()
    assert not (home.path / "spool").exists()
    home.keep()
    assert home.spool.drain() == 1
