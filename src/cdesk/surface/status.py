"""Is it running, is it flowing, what is in it: one shape for the CLI, HTTP and the page."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cdesk.app import App, Producer
from cdesk.capture.backfill import Progress


class QueueStatus(msgspec.Struct, frozen=True):
    events: int
    bytes: int
    oldest_age_s: float
    dead_letters: int


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


class Status(msgspec.Struct, frozen=True):
    """lag_s: age of the oldest activity that is durable but not yet in the warehouse"""

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


def of_app(app: App, port: int | None, backfill: Progress | None, pid: int | None = None) -> Status:
    import os

    depth = app.depth()
    return Status(
        running=port is not None,
        pid=os.getpid() if port is not None else pid,
        port=port,
        home=str(app.home.path),
        sample=app.home.is_sample,
        queue=QueueStatus(depth.events, depth.bytes, round(depth.oldest_age_s, 3), app.dead.count()),
        warehouse=WarehouseStatus(app.warehouse.count(), app.warehouse.data_as_of()),
        lag_s=round(depth.oldest_age_s, 3),
        backfill=None if backfill is None else _backfill(backfill),
        completeness=tuple(
            SourceStatus(
                source, int(sessions), int(facts), int(seen), int(missed), int(repaired), round(float(percent), 1)
            )
            for source, sessions, facts, seen, missed, repaired, percent in app.completeness()
            if seen
        ),
        drift=DriftStatus(*app.drift.unsettled()),
    )


def of_producer(producer: Producer) -> Status:
    """When the service is down and somebody else holds the warehouse: what the queue alone can tell."""
    from cdesk.queue import Reader

    depth = Reader(producer.home.queue, "warehouse", producer.dead).depth(producer.clock.now_ns() / 1e9)
    return Status(
        running=False, pid=None, port=None, home=str(producer.home.path), sample=producer.home.is_sample,
        queue=QueueStatus(depth.events, depth.bytes, round(depth.oldest_age_s, 3), producer.dead.count()),
        warehouse=WarehouseStatus(None), lag_s=round(depth.oldest_age_s, 3),
    )  # fmt: skip


def _backfill(progress: Progress) -> BackfillStatus:
    return BackfillStatus(
        progress.files, progress.files_total, progress.bytes, progress.bytes_total, progress.lines, progress.rejected,
        progress.is_done,
    )  # fmt: skip
