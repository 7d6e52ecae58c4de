"""Is it running, is it flowing, what is in it: one shape for the CLI, HTTP and the page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from cdesk.app import COLLECTOR, TEAM, App, Producer
from cdesk.capture.backfill import Progress
from cdesk.capture.collected import Heard
from cdesk.query.cost import BudgetStanding
from cdesk.queue.depth import Depth


class Counted(msgspec.Struct, frozen=True):
    """Since the service started. acknowledged: lines made durable by it · delivered: lines the warehouse committed
    inserted, updated, duplicates: what they were there · rotations: segments closed · damaged, torn: lines that failed
    their check; half lines, never acknowledged · shrunk, sampled: activities cut, left out under pressure"""

    acknowledged: int
    delivered: int
    inserted: int
    updated: int
    duplicates: int
    rotations: int
    damaged: int
    torn: int
    shrunk: int
    sampled: int


class RecoveryStatus(msgspec.Struct, frozen=True):
    """What the service found when it started. killed_pid: the process before it, when that one did not end well"""

    segments: int
    bytes: int
    torn: int
    seconds: float
    killed_pid: int | None


class QueueStatus(msgspec.Struct, frozen=True):
    """stored: bytes of all segments, of bytes_max at most · refused: events turned away, by source
    counted, recovery: null when no service runs"""

    events: int
    bytes: int
    oldest_age_s: float
    dead_letters: int
    level: str
    segments: int
    stored: int
    bytes_max: int
    refused: dict[str, int]
    counted: Counted | None = None
    recovery: RecoveryStatus | None = None


class WarehouseStatus(msgspec.Struct, frozen=True):
    """activities: null when another process holds the warehouse"""

    activities: int | None
    data_as_of: datetime | None = None


class BackfillStatus(msgspec.Struct, frozen=True):
    files: int
    files_total: int
    bytes: int
    bytes_total: int
    lines: int
    rejected: int
    done: bool


class SourceStatus(msgspec.Struct, frozen=True):
    """What one source saw of the facts it can see; repaired: those that only the transcripts brought back"""

    source: str
    sessions: int
    facts: int
    seen: int
    missed: int
    repaired: int
    completeness_pct: float


class DriftStatus(msgspec.Struct, frozen=True):
    """open: incidents that want a decision · quarantined: rows that wait for one"""

    open: int
    quarantined: int


class ContextsStatus(msgspec.Struct, frozen=True):
    """contexts: how many are kept · oldest_age_s: of the one made longest ago; null when there is none"""

    contexts: int
    oldest_age_s: float | None


class ForwardStatus(msgspec.Struct, frozen=True):
    """What this laptop sends to its collector. sent: activities it has a receipt for, since the service started
    events, bytes, oldest_age_s: what waits · trouble: why it cannot go on, null when it can"""

    url: str
    sent: int
    events: int
    bytes: int
    oldest_age_s: float
    trouble: str | None


class CollectorStatus(msgspec.Struct, frozen=True):
    """Who sends to this collector. listen: null when the service was not started as one"""

    listen: str | None
    laptops: tuple[Heard, ...]


class CostStatus(msgspec.Struct, frozen=True):
    """What cdesk itself took today (UTC). cpu_s: seconds of processor of this machine, by workload"""

    cpu_s: dict[str, float]


class TeamStatus(msgspec.Struct, frozen=True):
    """What goes to the team's warehouse. path: copy or streaming · events, bytes: what waits for it · lag_s: age of the oldest
    of that · rows, batches, credits: since the service started, null when none runs; credits are an estimate · trouble: why
    nothing goes now"""

    path: str
    events: int
    bytes: int
    lag_s: float
    rows: int | None = None
    batches: int | None = None
    credits: float | None = None
    trouble: str | None = None


class Status(msgspec.Struct, frozen=True):
    """lag_s: age of the oldest activity that is durable but not yet in the warehouse
    budget: how today stands to what it may cost in Snowflake; null where that is not known, or no Snowflake is set"""

    running: bool
    pid: int | None
    port: int | None
    home: str
    sample: bool
    queue: QueueStatus
    warehouse: WarehouseStatus
    lag_s: float
    backfill: BackfillStatus | None = None
    completeness: tuple[SourceStatus, ...] = ()
    drift: DriftStatus | None = None
    contexts: ContextsStatus | None = None
    forward: ForwardStatus | None = None
    collector: CollectorStatus | None = None
    cost: CostStatus | None = None
    budget: BudgetStanding | None = None
    team: TeamStatus | None = None


def of_app(app: App, port: int | None, backfill: Progress | None, pid: int | None = None) -> Status:
    import os

    depth = app.depth()
    return Status(
        running=port is not None,
        pid=os.getpid() if port is not None else pid,
        port=port,
        home=str(app.home.path),
        sample=app.home.is_sample,
        queue=_queue(app, depth, _counted(app), _recovery(app)) if port is not None else _queue(app, depth),
        warehouse=WarehouseStatus(app.warehouse.count(), app.warehouse.data_as_of()),
        lag_s=round(depth.oldest_age_s, 3),
        backfill=None if backfill is None else _backfill(backfill),
        completeness=_completeness(app.completeness.rows() if port is not None else app.completeness.rows(None)),
        drift=DriftStatus(*app.drift.unsettled()),
        contexts=_contexts(app),
        forward=_forward(app),
        collector=_collector(app),
        cost=CostStatus(app.costs.today()),
        budget=app.costs.standing(),
        team=_team(app, port is not None) if app.settings.snowflake.load else None,
    )


def of_producer(producer: Producer) -> Status:
    """When the service is down and somebody else holds the warehouse: what the queue alone can tell."""
    depth = producer.depth()
    return Status(
        running=False, pid=None, port=None, home=str(producer.home.path), sample=producer.home.is_sample,
        queue=_queue(producer, depth), warehouse=WarehouseStatus(None), lag_s=round(depth.oldest_age_s, 3),
        contexts=_contexts(producer),
    )  # fmt: skip


def _queue(
    producer: Producer, depth: Depth, counted: Counted | None = None, recovery: RecoveryStatus | None = None
) -> QueueStatus:
    return QueueStatus(
        events=depth.events, bytes=depth.bytes, oldest_age_s=round(depth.oldest_age_s, 3),
        dead_letters=producer.dead.count(), level=(producer.pressure.level if counted else producer.level(depth)).word, segments=depth.segments,
        stored=depth.stored, bytes_max=producer.settings.queue.bytes_max,
        refused={source: seen.refused for source, seen in producer.refusals.read().items()},
        counted=counted, recovery=recovery,
    )  # fmt: skip


def _counted(app: App) -> Counted:
    merged, counts = app.uploader.merged, app.writer.counts
    return Counted(
        counts.acknowledged, app.reader.delivered, merged.inserted, merged.updated, merged.unchanged,
        counts.rotations, app.reader.damaged, app.reader.torn, app.relief.shrunk, app.relief.sampled,
    )  # fmt: skip


def _forward(app: App) -> ForwardStatus | None:
    depth, url = app.forward_depth(), app.settings.collector.url
    if depth is None or url is None:
        return None
    sent = app.collector.merged.inserted if "collector" in app.__dict__ else 0
    return ForwardStatus(url, sent, depth.events, depth.bytes, round(depth.oldest_age_s, 3), app.trouble.get(COLLECTOR))


def _collector(app: App) -> CollectorStatus | None:
    """None for who never invited anybody."""
    if app.listens_at is None and not app.home.laptops.exists():
        return None
    return CollectorStatus(app.listens_at, tuple(app.collected.heard()))


def _team(app: App, is_running: bool) -> TeamStatus:
    depth, carried = app.team_depth(), app.carried
    waits = carried.path, depth.events, depth.bytes, round(depth.oldest_age_s, 3)
    if not is_running:
        return TeamStatus(*waits)
    return TeamStatus(*waits, carried.rows, carried.batches, round(carried.credits, 6), app.trouble.get(TEAM))


def _contexts(producer: Producer) -> ContextsStatus:
    kept = producer.told.kept()
    if kept is None or kept.oldest is None:
        return ContextsStatus(0, None)
    return ContextsStatus(kept.contexts, round(max(0.0, producer.clock.now_ns() / 1e9 - kept.oldest), 3))


def _recovery(app: App) -> RecoveryStatus:
    found, died = app.recovered, app.killed
    return RecoveryStatus(found.segments, found.bytes, found.torn, round(found.seconds, 4), died.pid if died else None)


def _completeness(rows: Iterable[tuple[Any, ...]]) -> tuple[SourceStatus, ...]:
    return tuple(
        SourceStatus(source, int(sessions), int(facts), int(seen), int(missed), int(repaired), round(float(percent), 1))
        for source, sessions, facts, seen, missed, repaired, percent in rows
        if seen
    )


def _backfill(progress: Progress) -> BackfillStatus:
    return BackfillStatus(
        progress.files, progress.files_total, progress.bytes, progress.bytes_total, progress.lines, progress.rejected,
        progress.is_done,
    )  # fmt: skip
