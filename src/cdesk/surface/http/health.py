"""How the house feels, in one answer for the page, and the acts that mend it.

    GET  /v1/page/health                 queue, tasks, streams, drift, dead letters, identities; and what needs a person
    POST /v1/page/health/{act}           the acts of /v1/tasks, /v1/drift and /v1/dead-letters that ACTS names, as they are

Limits first: no answer reads the stream. Tasks and incidents are few, what is behind is counted by commit, and of dead
letters and incidents the first ITEMS_MAX are told with the number of all. A browser's visit may do what ACTS names and
nothing else that changes anything; `Visits.may_act` in page.py says which requests count as the page's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Literal

import msgspec
from starlette.routing import Route

from cdesk.app import App
from cdesk.query.page import Pages, StreamLag, Suspended
from cdesk.queue import Kept
from cdesk.queue.pressure import Level
from cdesk.refresh import report
from cdesk.refresh.report import TaskReport
from cdesk.surface.http import dead_letters, drift, tasks
from cdesk.surface.status import Status
from cdesk.upload.inspector import sentence
from cdesk.warehouse.drift import Incident

PATH = "/v1/page/health"
ACTS = (
    "/v1/tasks/{name}/run",
    "/v1/tasks/{name}/suspend",
    "/v1/tasks/{name}/resume",
    "/v1/drift/{id}/accept",
    "/v1/drift/{id}/release",
    f"{dead_letters.PATH}/replay",
    f"{dead_letters.PATH}/drop",
)
ITEMS_MAX = 50
TEXT_MAX = 400
LATE_SECONDS = 10.0

What = Literal["refused", "pressure", "behind", "task_failed", "drift", "dead_letters", "task_suspended", "budget"]


class Need(msgspec.Struct, frozen=True):
    """Something that waits for a person. count: of what it is about · is_urgent: figures are wrong or facts left out"""

    what: What
    count: int
    is_urgent: bool


class Drifted(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that wants a decision, or for which rows wait. policy: of its family; frozen ones cannot be accepted"""

    id: str
    message: str
    activity: str
    severity: str
    status: str
    policy: str
    occurrences: int
    quarantined: int
    first_seen: datetime
    last_seen: datetime


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter. text: how the line begins · size: bytes of all of it · count: how often it was seen"""

    id: str
    reason: str
    source: str
    offset: int
    at: str
    size: int
    count: int
    text: str


class Dead(msgspec.Struct, frozen=True):
    total: int
    letters: list[SetAside]


class Drifts(msgspec.Struct, frozen=True):
    """unsettled: how many there are · settled: incidents that need nothing any more"""

    unsettled: int
    settled: int
    incidents: list[Drifted]


class Identities(msgspec.Struct, frozen=True):
    """Operations on record; unfinished: whose rewriting is under way"""

    standing: int
    undone: int
    unfinished: int
    latest_at: datetime | None


class Health(msgspec.Struct, frozen=True):
    needs: list[Need]
    status: Status
    tasks: list[TaskReport]
    streams: list[StreamLag]
    drift: Drifts
    dead: Dead
    identities: Identities


class HealthDesk:
    """`status` reads what the queue and the warehouse say of themselves."""

    def __init__(self, app: App, pages: Pages, status: Callable[[], Status]) -> None:
        self._app = app
        self._pages = pages
        self._status = status

    @property
    def acts(self) -> list[Route]:
        known = {route.path: route for route in _acting(self._app)}
        return [Route(at_page(path), known[path].endpoint, methods=["POST"]) for path in ACTS]

    def needs(self, status: Status) -> list[Need]:
        untold = sum(seen.untold for seen in self._app.refusals.read().values())
        return needs(status, self._pages.suspended(), untold)

    def read(self) -> Health:
        status = self._status()
        return Health(
            needs=self.needs(status), status=status,
            tasks=report.tasks(self._app.warehouse, self._app.tasks), streams=self._pages.streams(),
            drift=self._drift(), dead=self._dead(), identities=self._identities(),
        )  # fmt: skip

    def _drift(self) -> Drifts:
        incidents = self._app.drift.list()
        unsettled = [one for one in incidents if one.status == "open" or one.quarantined]
        return Drifts(
            len(unsettled), len(incidents) - len(unsettled), [self._drifted(one) for one in unsettled[:ITEMS_MAX]]
        )

    def _drifted(self, one: Incident) -> Drifted:
        return Drifted(
            id=one.id, message=sentence(one), activity=one.activity, severity=one.severity, status=one.status,
            policy=self._app.inspector.policy_of(one), occurrences=one.occurrences, quarantined=one.quarantined,
            first_seen=one.first_seen, last_seen=one.last_seen,
        )  # fmt: skip

    def _dead(self) -> Dead:
        total = self._app.dead.count()
        return Dead(total, [_letter(kept) for kept in islice(self._app.dead, ITEMS_MAX)] if total else [])

    def _identities(self) -> Identities:
        known = self._app.identity.operations
        return Identities(
            standing=sum(one.stands for one in known), undone=sum(not one.stands for one in known),
            unfinished=sum(not one.is_settled for one in known), latest_at=max((one.said_at for one in known), default=None),
        )  # fmt: skip


def needs(status: Status, suspended: Suspended, refused: int) -> list[Need]:
    """What a person should look at, the urgent first. What mends itself is not told.

    refused: events turned away lately, so that no activity tells of them yet"""
    queue, drift, budget = status.queue, status.drift, status.budget
    is_reading = status.backfill is not None and not status.backfill.done
    late = status.lag_s > LATE_SECONDS and queue.events and not is_reading
    waiting = max(drift.open, 1 if drift.quarantined else 0) if drift else 0
    found = [
        Need("refused", refused, True) if refused else None,
        Need("pressure", 1, queue.level == Level.CRITICAL.word) if queue.level != Level.NORMAL.word else None,
        Need("behind", queue.events, True) if late else None,
        Need("task_failed", suspended.by_failures, True) if suspended.by_failures else None,
        Need("drift", waiting, bool(drift and drift.quarantined)) if waiting else None,
        Need("dead_letters", queue.dead_letters, False) if queue.dead_letters else None,
        Need("task_suspended", suspended.by_request, False) if suspended.by_request else None,
        Need("budget", 1, budget.level == "hard") if budget is not None and budget.level != "ok" else None,
    ]
    return sorted((need for need in found if need), key=lambda need: not need.is_urgent)


def at_page(path: str) -> str:
    """Where the page finds an act of the service."""
    return PATH + path.removeprefix("/v1")


def _acting(app: App) -> list[Route]:
    return [
        route for route in (*tasks.routes(app), *drift.routes(app), *dead_letters.routes(app))
        if "POST" in (route.methods or ())
    ]  # fmt: skip


def _letter(kept: Kept) -> SetAside:
    return SetAside(
        id=kept.digest, reason=kept.reason, source=kept.source, offset=kept.offset, at=kept.at, size=kept.size,
        count=kept.count, text=kept.line[:TEXT_MAX].decode("utf-8", "replace"),
    )  # fmt: skip
