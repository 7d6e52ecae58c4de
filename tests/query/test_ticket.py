"""Long questions: handed in, cancelled, forgotten, and what a restart makes of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.artifact.house import House

from cdesk.activity.model import Person
from cdesk.clock import Clock
from cdesk.errors import QueryRefused, ServiceError, TooManyTickets, UnknownTicket, UsageError
from cdesk.query import ticket as tickets
from cdesk.query.make import MakeRequest, make
from cdesk.query.ticket import ROLE_MAX, RUNS_MAX, TICKET_HOURS, Checking, Kept, Submission, Ticket, Tickets
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import Execution

PATIENCE_S = 60.0
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DIGITS = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
ENDLESS = f"SELECT count(*) FROM {', '.join(f'{DIGITS} AS d{i}(d)' for i in range(18))}"
"""A count to 10^18."""


@dataclass
class Desk:
    """Answers when it is let; holds the time."""

    folder: Path
    at: datetime = NOW
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let: threading.Event = field(default_factory=threading.Event)
    answer: Callable[[Ticket, Execution], Kept] | None = None
    ids: int = 0

    def wait_until_let(self, ticket: Ticket, execution: Execution) -> Kept:
        self.begun.release()
        while not self.let.wait(0.005):
            if execution.is_interrupted:
                raise QueryRefused("the query was cancelled.")
        raise QueryRefused(f"no rows for {ticket.sql}.")

    def query_id(self) -> str:
        self.ids += 1
        return f"q_{self.ids}"

    @contextmanager
    def open(self, check: Checking = lambda asked: None) -> Iterator[Tickets]:
        clock = Clock(now_ns=lambda: int(self.at.timestamp() * 1_000_000_000))
        opened = Tickets(
            self.folder, self.answer or self.wait_until_let, self.query_id, at_once=1, check=check, clock=clock
        )
        try:
            yield opened
        finally:
            opened.close()

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE_S)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "tickets")


@pytest.fixture
def real(desk: Desk, warehouse: DuckDBWarehouse, house: House) -> Desk:
    """Asks a warehouse."""

    def answer(ticket: Ticket, execution: Execution) -> Kept:
        desk.begun.release()
        return Kept(make(
            warehouse, house.artifacts, MakeRequest(ticket.sql, ticket.title), Person("robin", "anonymous"),
            lambda: ticket.query_id, days=TICKET_HOURS / 24, execution=execution,
        ))  # fmt: skip

    desk.answer = answer
    return desk


def ended(opened: Tickets, ticket: Ticket) -> Ticket:
    found = opened.wait(ticket.ticket, PATIENCE_S)
    assert found.state not in tickets.WAITING, found
    return found


# -- answered ------------------------------------------------------------------------------------------------------


def test_the_whole_answer_is_kept(real: Desk, house: House) -> None:
    """As an artifact under the ticket's query id, page by page, for as long as the ticket."""
    with real.open() as opened:
        handed_in = opened.submit(Submission(f"SELECT d FROM {DIGITS} AS d(d) ORDER BY d", " The  digits "))
        assert (handed_in.state, handed_in.query_id, handed_in.title) == ("queued", "q_1", "The digits")
        done = ended(opened, handed_in)
    assert (done.state, done.runs, done.error) == ("done", 1, None) and done.artifact_id
    kept = house.artifacts.get(done.artifact_id)
    assert (kept.query_id, kept.title, kept.row_count) == ("q_1", "The digits", 10)
    assert kept.expires_at is not None and kept.expires_at - kept.created_at == timedelta(hours=TICKET_HOURS)
    page = house.artifacts.page(done.artifact_id, None, 2)
    assert (page.rows, page.row_count, done.row_count) == ([[0], [1]], 10, 10) and page.cursor


def test_a_question_that_fails_says_why(real: Desk) -> None:
    with real.open() as opened:
        failed = ended(opened, opened.submit(Submission("SELECT nope")))
        assert failed.state == "failed" and "nope" in (failed.error or "") and failed.artifact_id is None
        assert ended(opened, opened.submit(Submission("SELECT 1"))).state == "done"


def test_a_mistake_of_ours_ends_the_ticket_not_the_desk(desk: Desk) -> None:
    def broken(ticket: Ticket, execution: Execution) -> Kept:
        raise ZeroDivisionError

    desk.answer = broken
    with desk.open() as opened:
        for _ in range(2):
            failed = ended(opened, opened.submit(Submission("SELECT 1")))
            assert (failed.state, failed.error) == ("failed", "cdesk made a mistake: ZeroDivisionError.")


# -- refused -------------------------------------------------------------------------------------------------------


def test_what_could_never_run_is_refused_at_once(desk: Desk) -> None:
    """And leaves nothing behind."""

    def check(asked: Submission) -> None:
        raise QueryRefused("this is not SQL.")

    with desk.open(check) as opened:
        with pytest.raises(QueryRefused, match="not SQL"):
            opened.submit(Submission("SELEKT"))
        with pytest.raises(UsageError, match="longer than"):
            opened.submit(Submission("x" * (tickets.SQL_CHARACTERS_MAX + 1)))
        assert opened.all() == [] and not desk.folder.exists()


def test_a_role_has_a_limit_of_its_own(desk: Desk) -> None:
    """Another role still may; and so may this one when one of its tickets has ended."""
    with desk.open() as opened:
        first = [opened.submit(Submission("SELECT 1", role="agent")) for _ in range(ROLE_MAX)]
        with pytest.raises(TooManyTickets, match="agent has"):
            opened.submit(Submission("SELECT 1", role="agent"))
        opened.submit(Submission("SELECT 1", role="owner"))
        opened.cancel(first[-1].ticket)
        opened.submit(Submission("SELECT 1", role="agent"))


def test_without_disk_space_nothing_is_promised(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no ticket, nothing half written; later it works."""
    with desk.open() as opened:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _no_space)
            with pytest.raises(ServiceError, match=r"cannot be kept: No space left on device\. See that there is disk"):
                opened.submit(Submission("SELECT 1"))
        assert opened.all() == [] and list(desk.folder.iterdir()) == []
        desk.let.set()
        assert ended(opened, opened.submit(Submission("SELECT 1"))).state == "failed"


def _no_space(handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- cancelled -----------------------------------------------------------------------------------------------------


def test_a_question_that_waits_is_cancelled(desk: Desk) -> None:
    """It never begins."""
    with desk.open() as opened:
        runs = opened.submit(Submission("SELECT 1"))
        waits = opened.submit(Submission("SELECT 2"))
        desk.wait_begun()
        assert opened.cancel(waits.ticket).state == "cancelled"
        desk.let.set()
        ended(opened, runs)
        last = ended(opened, opened.submit(Submission("SELECT 3")))
        assert (opened.get(waits.ticket).runs, last.runs) == (0, 1)


def test_a_question_that_runs_is_really_broken_off(real: Desk) -> None:
    """The engine lets go of it: the next one runs. It would have counted for years."""
    with real.open() as opened:
        endless = opened.submit(Submission(ENDLESS))
        real.wait_begun()
        assert opened.get(endless.ticket).state == "running"
        cancelled = opened.cancel(endless.ticket)
        assert (cancelled.state, cancelled.artifact_id) == ("cancelled", None) and not opened._under_way
        assert ended(opened, opened.submit(Submission("SELECT 1"))).state == "done"


def test_it_says_how_far_it_is(real: Desk) -> None:
    """From 0 to 1, as soon as the engine knows; nothing when it has ended."""
    with real.open() as opened:
        endless = opened.submit(Submission(ENDLESS))
        real.wait_begun()
        while (progress := opened.get(endless.ticket).progress) is None:
            opened.wait(endless.ticket, 0.01)
        assert 0 <= progress < 1
        assert opened.cancel(endless.ticket).progress is None


def test_what_has_ended_stays_as_it_ended(real: Desk) -> None:
    with real.open() as opened:
        done = ended(opened, opened.submit(Submission("SELECT 1")))
        assert opened.cancel(done.ticket) == done
        with pytest.raises(UnknownTicket, match=r"no ticket 'tk_0_0'.*cdesk query list"):
            opened.cancel("tk_0_0")


# -- forgotten -----------------------------------------------------------------------------------------------------


def test_tickets_expire(desk: Desk) -> None:
    """With their file; what still waits does not."""
    with desk.open() as opened:
        first = opened.submit(Submission("SELECT 1"))
        desk.wait_begun()
        waits = opened.submit(Submission("SELECT 2"))
        opened.cancel(first.ticket)
        desk.wait_begun()
        desk.at += timedelta(hours=TICKET_HOURS) - timedelta(seconds=1)
        assert opened.get(first.ticket).state == "cancelled"
        desk.at += timedelta(seconds=1)
        assert [each.ticket for each in opened.all()] == [waits.ticket]
        with pytest.raises(UnknownTicket):
            opened.get(first.ticket)
        assert [file.stem for file in desk.folder.iterdir()] == [waits.ticket]


def test_only_so_many_are_remembered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "KEPT_MAX", 3)
    desk.let.set()
    with desk.open() as opened:
        made = []
        for _ in range(5):
            desk.at += timedelta(seconds=1)
            made.append(ended(opened, opened.submit(Submission("SELECT 1"))).ticket)
        assert [each.ticket for each in opened.all()] == made[:1:-1]
        assert len(list(desk.folder.iterdir())) == 3


# -- restarted -----------------------------------------------------------------------------------------------------


def test_a_restart_takes_up_what_was_not_done(real: Desk) -> None:
    """What is done stays done; what ran or waited runs again, and being stopped in order is not held against it."""
    with real.open() as opened:
        done = ended(opened, opened.submit(Submission("SELECT 1")))
        runs = opened.submit(Submission(ENDLESS))
        real.at += timedelta(seconds=1)
        waits = opened.submit(Submission("SELECT 2"))
        real.wait_begun()
        real.wait_begun()
    for _ in range(RUNS_MAX):
        with real.open() as opened:
            assert opened.get(done.ticket) == done
            real.wait_begun()
            assert (opened.get(runs.ticket).state, opened.get(runs.ticket).runs) == ("running", 1)
    with real.open() as opened:
        real.wait_begun()
        opened.cancel(runs.ticket)
        assert ended(opened, waits).state == "done"


def test_a_question_that_takes_the_service_down_is_not_asked_for_ever(desk: Desk) -> None:
    """Killed as often as it may be, it is lost; so every other question gets its turn."""
    with desk.open() as opened:
        ticket = opened.submit(Submission("SELECT 1"))
        desk.wait_begun()
        file = desk.folder / f"{ticket.ticket}.json"
        killed = file.read_bytes()
        assert b'"state":"running","' in killed and b'"runs":1' in killed
    file.write_bytes(killed)
    with desk.open():
        desk.wait_begun()
        killed = file.read_bytes()
        assert b'"runs":2' in killed
    file.write_bytes(killed)
    with desk.open() as opened:
        lost = opened.get(ticket.ticket)
        assert (lost.state, lost.error) == ("lost", "the service ended 2 times while it ran.")


def test_files_that_say_nothing_are_left_alone(desk: Desk) -> None:
    """The others are read."""
    desk.let.set()
    with desk.open() as opened:
        good = ended(opened, opened.submit(Submission("SELECT 1")))
    strange = {
        "tk_1_a.json": b"{", "tk_1_b.json": b"\xff", "tk_1_c.json": b"{}",
        "tk_1_d.json": (desk.folder / f"{good.ticket}.json").read_bytes(),
        "tk_1_e.json": (desk.folder / f"{good.ticket}.json").read_bytes().replace(good.ticket.encode(), b"../tk_1_e"),
    }  # fmt: skip
    for name, content in strange.items():
        (desk.folder / name).write_bytes(content)
    (desk.folder / "tk_1_f.new").write_bytes(b"{")
    with desk.open() as opened:
        assert opened.all() == [good]
    assert {file.name for file in desk.folder.iterdir()} == {f"{good.ticket}.json", *strange}


def test_files_are_their_owners_alone(desk: Desk) -> None:
    with desk.open() as opened:
        opened.submit(Submission("SELECT 'secret'"))
        assert desk.folder.stat().st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in desk.folder.iterdir()} == {0o600}


_KILLED = """
import os, sys, threading
from pathlib import Path
from cdesk.query.ticket import Submission, Tickets

begun = threading.Event()

def answer(ticket, execution):
    begun.set()
    threading.Event().wait()

opened = Tickets(Path(sys.argv[1]), answer, lambda: "q_1", at_once=1)
print(opened.submit(Submission("SELECT 1")).ticket, opened.submit(Submission("SELECT 2")).ticket, flush=True)
begun.wait()
print("begun", flush=True)
threading.Event().wait()
"""


def test_a_killed_process_forgets_no_ticket(desk: Desk) -> None:
    """What was given out is there, and is answered."""
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(desk.folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        given_out = process.stdout.readline().split()
        assert process.stdout.readline() == "begun\n"
        os.kill(process.pid, signal.SIGKILL)
    desk.let.set()
    with desk.open() as opened:
        assert [opened.wait(id_, PATIENCE_S).error for id_ in given_out] == [
            "no rows for SELECT 1.",
            "no rows for SELECT 2.",
        ]
