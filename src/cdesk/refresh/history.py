"""How tasks stand and how their runs went, kept in the warehouse: TASK_STATE and TASK_HISTORY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from cdesk.errors import WarehouseUnready
from cdesk.refresh.task import Task
from cdesk.warehouse.duckdb.changes import Changes, Consumption

RUNS_KEPT = 1_000
PRUNE_EVERY = 500

Cause: TypeAlias = Literal["SCHEDULE", "TRIGGER", "EXECUTE TASK"]
SuspendedBy: TypeAlias = Literal["failures", "request"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run that ended: error is None when it succeeded; left_out: its parts that failed, and why. Times are UTC."""

    query_id: str
    name: str
    cause: Cause
    scheduled: datetime
    started: datetime
    completed: datetime
    attempt: int
    rows: int
    elapsed_ms: float
    error: str | None = None
    left_out: str | None = None

    @property
    def state(self) -> Literal["SUCCEEDED", "FAILED"]:
        return "SUCCEEDED" if self.error is None else "FAILED"


@dataclass(frozen=True, slots=True)
class Known:
    """What TASK_STATE says of a task. done: scheduled times up to here need nothing more. Its last run: started … completed."""

    name: str
    checksum: str
    suspended_by: SuspendedBy | None
    failures: int
    done: datetime
    reads: tuple[str, ...]
    started: datetime | None
    completed: datetime | None

    def is_behind(self, first: Known) -> bool:
        """Whether a task it comes after ended a run that it has not followed."""
        return first.completed is not None and self.started is not None and self.started < first.completed


class History:
    """Raises WarehouseError."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._runs = 0

    def open(self, tasks: Sequence[Task], now: datetime) -> dict[str, Known]:
        """Brings TASK_STATE and the streams in line with the tasks there are, and gives what is known of each."""
        known = self._known()
        gone = [known[name] for name in known.keys() - {task.name for task in tasks}]
        fresh = [task for task in tasks if task.name not in known or known[task.name].checksum != task.checksum]
        if gone or fresh:
            with self._changes.consume(()) as unit:
                for one in gone:
                    unit.execute("DELETE FROM TASK_STATE WHERE name = $name", {"name": one.name})
                for task in fresh:
                    _register(unit, task, known.get(task.name), now)
            known = self._known()
        streams = [stream for task in tasks for stream in task.reads]
        was = {name for one in (*gone, *(known[task.name] for task in fresh)) for name in one.reads}
        if forgotten := was - {stream.name for stream in streams}:
            self._changes.drop(sorted(forgotten))
        self._changes.open(streams)
        return known

    def _known(self) -> dict[str, Known]:
        with self._changes.consume(()) as unit:
            found = unit.cursor.execute(_KNOWN).fetchall()
        return {
            name: Known(
                name, checksum, by, failures, at.replace(tzinfo=UTC), tuple(filter(None, reads.split(","))), *run
            )
            for name, checksum, by, failures, at, reads, *run in found
        }

    def record(self, unit: Consumption, run: Run, suspended_by: SuspendedBy | None = None) -> None:
        """In the run's own transaction when it succeeded; else in one after it."""
        unit.execute(_RECORD, {
            "query_id": run.query_id, "name": run.name, "state": run.state,
            "error": run.error or run.left_out, "scheduled": _naive(run.scheduled), "started": _naive(run.started), "completed": _naive(run.completed),
            "cause": run.cause, "attempt": run.attempt, "rows": run.rows, "ms": run.elapsed_ms,
        })  # fmt: skip
        unit.execute(_FAILED if run.error else _SUCCEEDED, {
            "name": run.name, "error": run.error, "scheduled": _naive(run.scheduled), "started": _naive(run.started),
            "completed": _naive(run.completed), "by": suspended_by,
        } if run.error else {
            "name": run.name, "scheduled": _naive(run.scheduled), "started": _naive(run.started),
            "completed": _naive(run.completed),
        })  # fmt: skip

    def record_failure(self, run: Run, suspended_by: SuspendedBy | None) -> None:
        with self._changes.consume(()) as unit:
            self.record(unit, run, suspended_by)

    def passed(self, unit: Consumption, name: str, now: datetime) -> None:
        """A scheduled time had nothing to do: it is not missed."""
        unit.execute(_PASSED, {"name": name, "now": _naive(now)})

    def set(self, name: str, suspended_by: SuspendedBy | None) -> None:
        with self._changes.consume(()) as unit:
            unit.execute(_SET, {"name": name, "by": suspended_by})

    def prune(self) -> None:
        """Now and then: the last runs of each task stay."""
        self._runs += 1
        if self._runs % PRUNE_EVERY == 0:
            with suppress(WarehouseUnready), self._changes.consume(()) as unit:
                unit.execute(_PRUNE)


_KNOWN = """
SELECT name, checksum, suspended_by, failures_in_a_row,
       CASE last_run_state WHEN 'FAILED' THEN last_scheduled_time - INTERVAL 1 SECOND
            ELSE COALESCE(GREATEST(last_scheduled_time, last_started_time), registered_at) END, reads,
       last_started_time, last_completed_time
  FROM TASK_STATE"""
_REGISTER = """
INSERT INTO TASK_STATE (name, meaning, schedule, fresh_seconds, reads, writes, state, failures_in_a_row, checksum, registered_at)
VALUES ($name, $meaning, $schedule, $fresh, $reads, $writes, 'started', 0, $checksum, $now)"""
_REREGISTER = """
UPDATE TASK_STATE
   SET meaning = $meaning, schedule = $schedule, fresh_seconds = $fresh, reads = $reads, writes = $writes,
       checksum = $checksum, failures_in_a_row = 0,
       state = CASE WHEN suspended_by = 'request' THEN state ELSE 'started' END,
       suspended_by = CASE WHEN suspended_by = 'request' THEN suspended_by END
 WHERE name = $name"""
_RECORD = """
INSERT INTO TASK_HISTORY (query_id, name, database_name, schema_name, state, error_message, scheduled_time,
       query_start_time, completed_time, scheduled_from, attempt_number, rows_changed, elapsed_ms)
VALUES ($query_id, $name, 'warehouse', 'main', $state, $error, $scheduled, $started, $completed, $cause, $attempt, $rows, $ms)"""
_SUCCEEDED = """
UPDATE TASK_STATE
   SET failures_in_a_row = 0, last_run_state = 'SUCCEEDED', last_scheduled_time = $scheduled,
       last_started_time = $started, last_completed_time = $completed, last_error = NULL
 WHERE name = $name"""
_FAILED = """
UPDATE TASK_STATE
   SET failures_in_a_row = failures_in_a_row + 1, last_run_state = 'FAILED', last_scheduled_time = $scheduled,
       last_started_time = $started, last_completed_time = $completed, last_error = $error,
       state = CASE WHEN $by::VARCHAR IS NULL THEN state ELSE 'suspended' END, suspended_by = COALESCE($by, suspended_by)
 WHERE name = $name"""
_PASSED = "UPDATE TASK_STATE SET last_scheduled_time = $now WHERE name = $name"
_SET = """
UPDATE TASK_STATE
   SET state = CASE WHEN $by::VARCHAR IS NULL THEN 'started' ELSE 'suspended' END, suspended_by = $by,
       failures_in_a_row = CASE WHEN $by::VARCHAR IS NULL THEN 0 ELSE failures_in_a_row END
 WHERE name = $name"""
_PRUNE = f"""
DELETE FROM TASK_HISTORY WHERE query_id IN (
    SELECT query_id FROM TASK_HISTORY
   QUALIFY ROW_NUMBER() OVER (PARTITION BY name ORDER BY completed_time DESC, query_id DESC) > {RUNS_KEPT})"""


def _register(unit: Consumption, task: Task, known: Known | None, now: datetime) -> None:
    row: Mapping[str, Any] = {
        "name": task.name, "meaning": task.meaning, "schedule": task.when, "fresh": task.fresh_seconds,
        "reads": ",".join(stream.name for stream in task.reads), "writes": ",".join(task.writes),
        "checksum": task.checksum,
    }  # fmt: skip
    if known is None:
        unit.execute(_REGISTER, {**row, "now": _naive(now)})
    else:
        unit.execute(_REREGISTER, row)


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
