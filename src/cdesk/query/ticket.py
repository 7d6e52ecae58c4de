"""Long questions: handed in, and looked at later.

    submit ──▶ queued ──▶ running ──▶ done, with the whole answer as an artifact
                  └─ cancel ─┴──▶ cancelled     ╲──▶ failed, with the reason

Limits first. A role may have ROLE_MAX tickets waiting or running; a ticket and its answer are kept TICKET_HOURS. A ticket
is a file of its own, synced before it is given out. What was waiting or running when the service ended is run again when
it is back, since reading twice does no harm, but only once: a question that took the service down with it is `lost`.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from cdesk import observe
from cdesk.artifact.model import Artifact
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, ServiceError, TooManyTickets, UsageError
from cdesk.query.template import Role
from cdesk.warehouse.warehouse import Execution

TICKET_HOURS = 24
ROLE_MAX = 20
SECONDS_MAX = 600.0
SQL_CHARACTERS_MAX = 100_000
RUNS_MAX = 2
CLOSING_SECONDS = 0.05

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
WAITING: frozenset[State] = frozenset({"queued", "running"})
_ID = re.compile(r"tk_[0-9a-f]+_[0-9a-z]+$", re.ASCII)


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """sql: one read-only SELECT · title: of the artifact that holds the answer · role: who is asked for"""

    sql: str
    title: str = ""
    role: Role = "owner"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was handed in, as it stands.

    query_id     what its answer is cited by, `cdesk:<query_id>`
    progress     of the run, from 0 to 1; None before it, and where the engine cannot tell
    runs         how often it was begun
    artifact_id  the whole answer
    expires_at   it is forgotten then, and its answer with it, unless that is pinned or held
    """

    ticket: str
    state: State
    query_id: str
    sql: str
    title: str
    role: Role
    submitted_at: datetime
    expires_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    runs: int = 0
    progress: float | None = None
    row_count: int | None = None
    artifact_id: str | None = None
    error: str | None = None


Answering: TypeAlias = Callable[[Ticket, Execution], Artifact]
"""Answers a ticket's question, under its query id, and keeps all of it until the ticket expires."""


class Tickets:
    """Those of one home. at_once: runs side by side"""

    def __init__(
        self,
        folder: Path,
        answer: Answering,
        query_id: Callable[[], str],
        *,
        at_once: int,
        check: Callable[[str], object] = lambda sql: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`check`: raises QueryRefused for what could never run. Tickets that were not done are taken up again."""
        self._files = _Files(folder)
        self._answer = answer
        self._query_id = query_id
        self._check = check
        self._clock = clock
        self._moved = threading.Condition()
        self._under_way: dict[str, Execution] = {}
        self._is_closing = False
        self._workers = ThreadPoolExecutor(at_once, "cdesk-ticket")
        self._tickets = {each.ticket: each for each in self._files.read()}
        for ticket in sorted(self._tickets.values(), key=lambda each: each.submitted_at):
            if ticket.state in WAITING:
                self._take_up(ticket)

    def submit(self, asked: Submission) -> Ticket:
        """It is durable when this returns. Raises QueryRefused for what could never run, TooManyTickets."""
        if len(asked.sql) > SQL_CHARACTERS_MAX:
            raise UsageError(f"the question is longer than {SQL_CHARACTERS_MAX:,} characters.")
        self._check(asked.sql)
        now = self._clock.now()
        ticket = Ticket(
            ticket=f"tk_{self._clock.now_ns() // 1_000_000:x}_{self._clock.name()}", state="queued",
            query_id=self._query_id(), sql=asked.sql, title=asked.title, role=asked.role, submitted_at=now,
            expires_at=now + timedelta(hours=TICKET_HOURS),
        )  # fmt: skip
        with self._moved:
            waiting = sum(each.role == asked.role and each.state in WAITING for each in self._tickets.values())
            if waiting >= ROLE_MAX:
                raise TooManyTickets(
                    f"{asked.role} has {waiting} tickets waiting or running already.", "Wait for one, or cancel one."
                )
            self._tickets[ticket.ticket] = ticket
        try:
            self._files.write(ticket)
        except OSError as error:
            with self._moved:
                del self._tickets[ticket.ticket]
            raise ServiceError(
                f"the ticket cannot be kept: {error.strerror}.", "See that there is disk space."
            ) from None
        self._workers.submit(self._run, ticket.ticket)
        return ticket

    def get(self, id_: str) -> Ticket:
        """As it stands now. Raises UsageError."""
        self._expire()
        with self._moved:
            ticket, execution = self._tickets.get(id_), self._under_way.get(id_)
        if ticket is None:
            raise UsageError(
                f"there is no ticket {id_[:60]!r}.", f"Tickets are kept {TICKET_HOURS} hours: `cdesk query list`."
            )
        return ticket if execution is None else msgspec.structs.replace(ticket, progress=execution.progress())

    def all(self) -> list[Ticket]:
        """The latest first."""
        self._expire()
        with self._moved:
            names = list(self._tickets)
        return sorted((self.get(name) for name in names), key=lambda each: each.submitted_at, reverse=True)

    def cancel(self, id_: str) -> Ticket:
        """A question that runs is broken off. One that has ended stays as it ended. Raises UsageError."""
        ticket = self.get(id_)
        with self._moved:
            execution = self._under_way.get(id_)
        if ticket.state in WAITING:
            self._end(ticket, "cancelled")
            if execution is not None:
                execution.interrupt()
        return self.get(id_)

    def close(self) -> None:
        """Runs under way are broken off; they are taken up again when the home is opened next."""
        self._is_closing = True
        self._workers.shutdown(wait=False, cancel_futures=True)
        with self._moved:
            while self._under_way:  # what is between two statements does not hear it the first time
                for execution in self._under_way.values():
                    execution.interrupt()
                self._moved.wait(CLOSING_SECONDS)
        self._workers.shutdown()

    # -- one run ---------------------------------------------------------------------------------------------------

    def _run(self, id_: str) -> None:
        with self._moved:
            ticket = self._tickets.get(id_)
            if ticket is None or ticket.state != "queued" or self._is_closing:
                return
            execution = self._under_way[id_] = Execution()
        try:
            ticket = self._put(
                msgspec.structs.replace(ticket, state="running", started_at=self._clock.now(), runs=ticket.runs + 1)
            )
            artifact = self._answer(ticket, execution)
            self._end(ticket, "done", row_count=artifact.row_count, artifact_id=artifact.artifact_id)
        except CdeskError as error:
            if not self._is_closing:
                self._end(ticket, "failed", error=str(error))
        except Exception as error:
            observe.event("error", "ticket_failed", ticket=id_, error=f"{type(error).__name__}: {error}")
            self._end(ticket, "failed", error=f"cdesk made a mistake: {type(error).__name__}.")
        finally:
            with self._moved:
                del self._under_way[id_]
                self._moved.notify_all()

    def _take_up(self, ticket: Ticket) -> None:
        if ticket.runs >= RUNS_MAX:
            self._end(ticket, "lost", error="the service ended twice while it ran.")
            return
        self._put(msgspec.structs.replace(ticket, state="queued", started_at=None))
        self._workers.submit(self._run, ticket.ticket)

    def _end(
        self, ticket: Ticket, state: State, *, row_count: int | None = None, artifact_id: str | None = None,
        error: str | None = None,
    ) -> None:  # fmt: skip
        """Unless it has ended already: who cancels a question that ends in this moment may find it done."""
        with self._moved:
            standing = self._tickets.get(ticket.ticket)
            if standing is None or standing.state not in WAITING:
                return
            ended = self._tickets[ticket.ticket] = msgspec.structs.replace(
                standing,
                state=state,
                ended_at=self._clock.now(),
                row_count=row_count,
                artifact_id=artifact_id,
                error=error,
            )
        self._keep(ended)

    def _put(self, ticket: Ticket) -> Ticket:
        with self._moved:
            standing = self._tickets[ticket.ticket]
            if standing.state not in WAITING:
                raise CdeskError("cancelled before it began.")
            self._tickets[ticket.ticket] = ticket
        self._keep(ticket)
        return ticket

    def _keep(self, ticket: Ticket) -> None:
        """A state that cannot be written is looked for again after a restart: the question is then run once more."""
        try:
            self._files.write(ticket)
        except OSError as error:
            observe.event("warning", "ticket_unwritten", ticket=ticket.ticket, error=str(error))

    def _expire(self) -> None:
        now = self._clock.now()
        with self._moved:
            gone = [each for each in self._tickets.values() if each.expires_at <= now and each.state not in WAITING]
            for ticket in gone:
                del self._tickets[ticket.ticket]
        for ticket in gone:
            self._files.forget(ticket.ticket)


class _Files:
    """A file for each ticket, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> list[Ticket]:
        """What cannot be read is left where it is, and told."""
        found = []
        for file in sorted(self._folder.glob("tk_*.json")):
            try:
                found.append(msgspec.json.decode(file.read_bytes(), type=Ticket))
            except (OSError, msgspec.MsgspecError) as error:
                observe.event("warning", "ticket_unread", file=file.name, error=str(error))
        return found

    def write(self, ticket: Ticket) -> None:
        """Durable when it returns. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f"{ticket.ticket}.{threading.get_ident()}.new"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(ticket))
            file.flush()
            os.fsync(handle)
        beside.replace(self._path(ticket.ticket))
        with _opened(self._folder) as folder:
            os.fsync(folder)

    def forget(self, id_: str) -> None:
        self._path(id_).unlink(missing_ok=True)

    def _path(self, id_: str) -> Path:
        assert _ID.match(id_), id_
        return self._folder / f"{id_}.json"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
