"""Tasks and their runs as records, for whoever shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from cdesk.refresh.history import Cause, Run, SuspendedBy
from cdesk.refresh.runner import Runner
from cdesk.warehouse.warehouse import Warehouse

RUNS_MAX = 1_000

Health = Literal["healthy", "warning", "critical", "unknown"]


class TaskReport(msgspec.Struct, frozen=True):
    """has_data: something waits for it · last_…: of its last run, null before the first · times in UTC"""

    name: str
    meaning: str
    schedule: str
    fresh_s: float
    reads: list[str]
    writes: list[str]
    state: Literal["started", "suspended"]
    suspended_by: SuspendedBy | None
    health: Health
    has_data: bool
    failures_in_a_row: int
    last_state: Literal["SUCCEEDED", "FAILED"] | None
    last_completed: datetime | None
    last_error: str | None
    runs_24h: int
    failures_24h: int
    average_ms_24h: float | None


class RunReport(msgspec.Struct, frozen=True):
    """scheduled_from: SCHEDULE by the clock, TRIGGER by changes, EXECUTE TASK by request · times in UTC"""

    query_id: str
    task: str
    state: Literal["SUCCEEDED", "FAILED"]
    scheduled_from: Cause
    scheduled: datetime
    started: datetime
    completed: datetime
    attempt: int
    rows_changed: int
    elapsed_ms: float
    error: str | None


def tasks(warehouse: Warehouse, runner: Runner) -> list[TaskReport]:
    """In the order in which they run."""
    found = {row[0]: row for row in warehouse.query(_TASKS).rows}
    return [_task(found[task.name], runner.has_data(task.name)) for task in runner.tasks if task.name in found]


def runs(warehouse: Warehouse, runner: Runner, task: str | None = None, count: int = 50) -> list[RunReport]:
    """The latest first. Raises UsageError for a task that does not exist."""
    if task is not None:
        runner.has_data(task)
    rows = warehouse.query(_RUNS, [task, max(1, min(count, RUNS_MAX))]).rows
    return [RunReport(*row[:4], *map(_utc, row[4:7]), *row[7:]) for row in rows]


def of_run(run: Run) -> RunReport:
    return RunReport(
        run.query_id, run.name, run.state, run.cause, run.scheduled, run.started, run.completed, run.attempt, run.rows,
        run.elapsed_ms, run.error or run.left_out,
    )  # fmt: skip


_TASKS = """
SELECT task_name, meaning, schedule, fresh_seconds, reads, writes, task_state, suspended_by, health_status,
       failures_in_a_row, state, completed_time, error_message, runs_24h, failures_24h, average_ms_24h
  FROM V_TASK_MONITORING"""
_RUNS = """
SELECT query_id, name, state, scheduled_from, scheduled_time, query_start_time, completed_time, attempt_number,
       rows_changed, elapsed_ms, error_message
  FROM TASK_HISTORY WHERE name = coalesce($1, name) ORDER BY completed_time DESC, query_id DESC LIMIT $2"""


def _task(row: tuple[Any, ...], has_data: bool) -> TaskReport:
    (name, meaning, schedule, fresh, reads, writes, state, by, health, failures, last, completed, error, runs_24h,
     failures_24h, average) = row  # fmt: skip
    return TaskReport(
        name, meaning, schedule, fresh, _list(reads), _list(writes), state, by, health, has_data, failures, last,
        None if completed is None else _utc(completed), error, int(runs_24h), int(failures_24h),
        None if average is None else round(average, 3),
    )  # fmt: skip


def _list(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
