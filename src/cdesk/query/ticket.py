"""Long questions: handed in, and looked at later.

    submit ──▶ queued ──▶ running ──▶ done, with the whole answer as an artifact
                  └─ cancel ─┴──▶ cancelled     ╲──▶ failed, with the reason

Limits first. A role may have ROLE_MAX tickets waiting or running; a ticket and its answer are kept TICKET_HOURS, and of
those that have ended the latest KEPT_MAX. A ticket is a file of its own, synced before it is given out. What was waiting
or running when the service ended is run again when it is back, since reading twice does no harm; but a question whose
runs ended with a killed service RUNS_MAX times is `lost`: it may be what takes the service down.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from cdesk import observe
from cdesk.artifact.model import Artifact
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, ServiceError, TooManyTickets, UnknownTicket, UsageError
from cdesk.query.estimate import Estimate
from cdesk.query.granted import BYTES_MAX
from cdesk.query.template import Role
from cdesk.warehouse.warehouse import Execution

TICKET_HOURS = 24
ROLE_MAX = 20
SECONDS_MAX = 600.0
SQL_CHARACTERS_MAX = 100_000
TITLE_CHARACTERS_MAX = 200
RUNS_MAX = 2
KEPT_MAX = 1000
AGAIN_SECONDS = 0.02
BREAKING_OFF_SECONDS_MAX = 5.0

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
WAITING: frozenset[State] = frozenset({"queued", "running"})
_ID = re.compile(r"tk_[0-9a-f]+_[0-9a-z]+", re.ASCII)


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """sql: one read-only SELECT · title: of the artifact that holds the answer · role: who is asked for
    bytes_max: what it may read, as it is estimated · over_cap: what to do when it would read more"""

    sql: str
    title: str = ""
    role: Role = "owner"
    bytes_max: int = BYTES_MAX
    over_cap: Literal["refuse", "sample"] = "refuse"


class Part(msgspec.Struct, frozen=True):
    """rate: part of the time that was read · watermark: to be shown with every figure"""

    rate: float
    seed: int
    watermark: str


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A question that was handed in, as it stands.

    query_id     what its answer is cited by, `cdesk:<query_id>`
    progress     of the run, from 0 to 1; None before it, and where the engine cannot tell
    runs         how often it was begun; a run that the service broke off when it was stopped does not count
    artifact_id  the whole answer
    estimate     of the whole, once it is known; a ticket does not wait for it
    sample       of what part the answer is, where it is not of all
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
    bytes_max: int = BYTES_MAX
    over_cap: Literal["refuse", "sample"] = "refuse"
    estimate: Estimate | None = None
    sample: Part | None = None


class Kept(NamedTuple):
    """The answer, and what is known of it by then."""

    artifact: Artifact
    estimate: Estimate | None = None
    sample: Part | None = None


Answering: TypeAlias = Callable[[Ticket, Execution], Kept]
"""Answers a ticket's question, under its query id, and keeps all of it until the ticket expires."""
Checking: TypeAlias = Callable[[Submission], Estimate | None]
"""What a question is expected to read, as far as that is known at once. Raises QueryRefused for what could never run."""


class Tickets:
    """Those of one home. at_once: runs side by side"""

    def __init__(
        self,
        folder: Path,
        answer: Answering,
        query_id: Callable[[], str],
        *,
        at_once: int,
        check: Checking = lambda asked: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`check` is asked when a question is handed in. Tickets that were not done are taken up again."""
        self._files = _Files(folder)
        self._answer = answer
        self._query_id = query_id
        self._check = check
        self._clock = clock
        self._moved = threading.Condition()
        self._writing = threading.Lock()
        self._under_way: dict[str, Execution] = {}
        self._is_closing = threading.Event()
        self._workers = ThreadPoolExecutor(at_once, "cdesk-ticket")
        self._tickets = {each.ticket: each for each in self._files.read()}
        for ticket in sorted(self._tickets.values(), key=lambda each: each.submitted_at):
            if ticket.state in WAITING:
                self._take_up(ticket)

    def submit(self, asked: Submission) -> Ticket:
        """It is durable when this returns. Raises UsageError, QueryRefused for what could never run, TooManyTickets, and
        ServiceError where it cannot be kept."""
        self._expire()
        if len(asked.sql) > SQL_CHARACTERS_MAX:
            raise UsageError(f"the question is longer than {SQL_CHARACTERS_MAX:,} characters.")
        estimate = self._check(asked)
        now = self._clock.now()
        ticket = Ticket(
            ticket=f"tk_{self._clock.now_ns() // 1_000_000:x}_{self._clock.name()}", state="queued",
            query_id=self._query_id(), sql=asked.sql, title=" ".join(asked.title.split())[:TITLE_CHARACTERS_MAX], role=asked.role, submitted_at=now,
            expires_at=now + timedelta(hours=TICKET_HOURS), bytes_max=asked.bytes_max, over_cap=asked.over_cap,
            estimate=estimate,
        )  # fmt: skip
        with self._moved:
            waiting = sum(each.role == asked.role and each.state in WAITING for each in self._tickets.values())
            if waiting >= ROLE_MAX:
                raise TooManyTickets(
                    f"{asked.role} has {waiting} tickets waiting or running already.", "Wait for one, or cancel one."
                )
            self._tickets[ticket.ticket] = ticket
        try:
            self._write(ticket.ticket)
        except OSError as error:
            with self._moved:
                del self._tickets[ticket.ticket]
            raise ServiceError(
                f"the ticket cannot be kept: {error.strerror}.", "See that there is disk space."
            ) from None
        self._enqueue(ticket.ticket)
        return ticket

    def get(self, id_: str) -> Ticket:
        """As it stands now. Raises UnknownTicket."""
        self._expire()
        with self._moved:
            ticket = self._tickets.get(id_)
        if ticket is None:
            raise UnknownTicket(
                f"there is no ticket {id_[:60]!r}.", f"Tickets are kept {TICKET_HOURS} hours: `cdesk query list`."
            )
        return self._seen(ticket)

    def all(self) -> list[Ticket]:
        """The latest first."""
        self._expire()
        with self._moved:
            found = list(self._tickets.values())
        return [self._seen(each) for each in sorted(found, key=lambda each: each.submitted_at, reverse=True)]

    def cancel(self, id_: str) -> Ticket:
        """A question that runs is broken off before this returns. One that has ended stays as it ended. Raises
        UnknownTicket."""
        self._end(self.get(id_), "cancelled")
        self._break_off(lambda: [id_], BREAKING_OFF_SECONDS_MAX)
        return self.get(id_)

    def wait(self, id_: str, seconds_max: float) -> Ticket:
        """As it stands when it has ended, or so many seconds from now. Raises UnknownTicket."""
        with self._moved:
            self._moved.wait_for(lambda: id_ not in self._tickets or self._has_ended(id_), seconds_max)
        return self.get(id_)

    def close(self) -> None:
        """Runs under way are broken off; they are taken up again when the home is opened next."""
        self._is_closing.set()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._break_off(lambda: list(self._under_way), None)
        self._workers.shutdown()

    def _break_off(self, which: Callable[[], list[str]], seconds_max: float | None) -> None:
        """What is between two statements does not hear it the first time."""
        until = None if seconds_max is None else self._clock.monotonic() + seconds_max
        with self._moved:
            while heard := [each for each in which() if each in self._under_way]:
                if until is not None and self._clock.monotonic() >= until:
                    return
                for each in heard:
                    self._under_way[each].interrupt()
                self._moved.wait(AGAIN_SECONDS)

    def _has_ended(self, id_: str) -> bool:
        return self._tickets[id_].state not in WAITING

    def _seen(self, ticket: Ticket) -> Ticket:
        with self._moved:
            execution = self._under_way.get(ticket.ticket)
        if execution is None or ticket.state != "running":
            return ticket
        return msgspec.structs.replace(ticket, progress=execution.progress())

    # -- one run ---------------------------------------------------------------------------------------------------

    def _run(self, id_: str) -> None:
        with self._moved:
            ticket = self._tickets.get(id_)
            if ticket is None or ticket.state != "queued" or self._is_closing.is_set():
                return
            execution = self._under_way[id_] = Execution()
        try:
            begun = self._put(
                msgspec.structs.replace(ticket, state="running", started_at=self._clock.now(), runs=ticket.runs + 1)
            )
            if begun.state != "running":
                return
            self._end(begun, "done", self._answer(begun, execution))
        except CdeskError as error:
            if self._is_closing.is_set() and execution.is_interrupted:
                self._put(ticket)
            else:
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
            self._end(ticket, "lost", error=f"the service ended {ticket.runs} times while it ran.")
            return
        self._put(msgspec.structs.replace(ticket, state="queued", started_at=None))
        self._enqueue(ticket.ticket)

    def _enqueue(self, id_: str) -> None:
        """What comes when the service ends already is taken up when it is back."""
        if not self._is_closing.is_set():
            with suppress(RuntimeError):
                self._workers.submit(self._run, id_)

    def _end(
        self, ticket: Ticket, state: State, kept: Kept | None = None, *, error: str | None = None
    ) -> None:  # fmt: skip
        """Unless it has ended already: who cancels a question that ends in this moment may find it done."""
        with self._moved:
            standing = self._tickets.get(ticket.ticket)
            if standing is None or standing.state not in WAITING:
                return
            self._tickets[ticket.ticket] = msgspec.structs.replace(
                standing,
                state=state,
                ended_at=self._clock.now(),
                row_count=kept and kept.artifact.row_count,
                artifact_id=kept and kept.artifact.artifact_id,
                estimate=(kept and kept.estimate) or standing.estimate,
                sample=kept and kept.sample,
                error=error,
            )
            self._moved.notify_all()
        self._keep(ticket.ticket)

    def _put(self, ticket: Ticket) -> Ticket:
        """Unless it has ended: the one that stands."""
        with self._moved:
            standing = self._tickets[ticket.ticket]
            if standing.state not in WAITING:
                return standing
            self._tickets[ticket.ticket] = ticket
        self._keep(ticket.ticket)
        return ticket

    def _keep(self, id_: str) -> None:
        """A state that cannot be written is looked for again after a restart: the question is then run once more."""
        try:
            self._write(id_)
        except OSError as error:
            observe.event("warning", "ticket_unwritten", ticket=id_, error=str(error))

    def _write(self, id_: str) -> None:
        """As it stands, so that no older state follows a newer one. Raises OSError."""
        with self._writing:
            with self._moved:
                ticket = self._tickets.get(id_)
            if ticket is not None:
                self._files.write(ticket)

    def _expire(self) -> None:
        now = self._clock.now()
        with self._moved:
            ended = [each for each in self._tickets.values() if each.state not in WAITING]
            ended.sort(key=lambda each: each.submitted_at, reverse=True)
            gone = [each.ticket for i, each in enumerate(ended) if i >= KEPT_MAX or each.expires_at <= now]
            for id_ in gone:
                del self._tickets[id_]
        with self._writing:
            for id_ in gone:
                self._files.forget(id_)


class _Files:
    """A file for each ticket, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> list[Ticket]:
        """What cannot be read is left where it is, and told; what was half written when the service ended goes."""
        found = []
        for half in self._folder.glob("tk_*.new"):
            half.unlink(missing_ok=True)
        for file in sorted(self._folder.glob("tk_*.json")):
            try:
                ticket = msgspec.json.decode(file.read_bytes(), type=Ticket)
                if ticket.ticket != file.stem or not _ID.fullmatch(ticket.ticket):
                    raise ValueError(f"it says {ticket.ticket!r}")
                found.append(ticket)
            except (OSError, ValueError) as error:
                observe.event("warning", "ticket_unread", file=file.name, error=str(error))
        return found

    def write(self, ticket: Ticket) -> None:
        """Durable when it returns. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f"{ticket.ticket}.new"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(ticket))
                file.flush()
                os.fsync(handle)
            beside.replace(self._path(ticket.ticket))
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        with _opened(self._folder) as folder:
            os.fsync(folder)

    def forget(self, id_: str) -> None:
        self._path(id_).unlink(missing_ok=True)

    def _path(self, id_: str) -> Path:
        assert _ID.fullmatch(id_), id_
        return self._folder / f"{id_}.json"


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)
