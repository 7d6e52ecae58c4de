"""Runs tasks when what they read has changed or their time has come, each run exactly once in effect.

    commit ──on_change──▶ runner (one thread, asleep) ──plan──▶ workers ──▶ BEGIN
                                                                                statements of the task
                                                                                offsets, TASK_STATE, TASK_HISTORY
                                                                                COMMIT

What a run reads, what it writes and how far it came are one transaction: a run that was killed at any point has not
happened, and the next one sees what it saw. Nothing is polled: without commits and scheduled times no thread wakes.

A run that fails in a way that may pass (a conflict, no space) is tried again at once, a few times; a run that failed
is repeated after a growing pause. After FAILURES_MAX in a row the task is suspended and an incident told.

A part of a task that fails is left out, and the run begins anew without it: nothing of the broken one is in effect, and all
of the others is. After FAILURES_MAX in a row the part is suspended, and an incident told, until the service starts again or
the task is resumed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial

from cdesk import observe
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, UsageError
from cdesk.observe import Effort, unmeasured
from cdesk.refresh.history import Cause, History, Run
from cdesk.refresh.pace import Standing, at_once, plan
from cdesk.refresh.statements import Statement
from cdesk.refresh.task import Piece, Task
from cdesk.warehouse.duckdb.changes import Consumption
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

FAILURES_MAX = 5
ATTEMPTS_MAX = 4
RETRY_SECONDS = 0.05
AGAIN_SECONDS = 1.0
INTERRUPT_SECONDS = 0.1
"""What is told to end between two statements does not hear it: it is told again."""
ROUNDS_MAX = 5
"""`run_pending` ends although tasks go on giving each other work."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A task, or a part of one (task/part), was suspended after `failures` in a row; `error` is the last one."""

    task: str
    failures: int
    error: str
    at: datetime

    @property
    def message(self) -> str:
        return f"task {self.task} is suspended after {self.failures} failures in a row: {self.error}"

    @property
    def remedy(self) -> str:
        task = self.task.partition("/")[0]
        return f"See `cdesk task history {task}`; when it is mended, `cdesk task resume {task}`."


class Stopped(CdeskError):
    """The runner was told to stop while the run was under way; nothing of it is in effect."""

    retryable = True


class Runner:
    """The tasks of one warehouse. Opening it makes them and their streams known. Raises WarehouseError.

    on_done: called after every run, by the thread that ran it
    measured: goes around each run of the task it is given the name of, and learns whether it had something to do"""

    def __init__(
        self,
        warehouse: DuckDBWarehouse,
        tasks: Sequence[Task],
        *,
        clock: Clock = SYSTEM_CLOCK,
        cores: int = os.cpu_count() or 1,
        tell: Callable[[Incident], None] = lambda incident: None,
        on_done: Callable[[Run], None] = lambda run: None,
        measured: Callable[[str], AbstractContextManager[Effort]] = lambda name: unmeasured(),
    ) -> None:
        self._changes = warehouse.changes
        self._at_once = at_once(cores)
        self._clock = clock
        self._tell = tell
        self._on_done = on_done
        self._measured = measured
        self._history = History(self._changes)
        self._moved = threading.Condition()
        self._is_stopping = threading.Event()
        self._under_way: set[Consumption] = set()
        self._thread: threading.Thread | None = None
        known = self._history.open(tasks, clock.now())
        self._standings = {
            task.name: Standing(
                task, is_suspended=known[task.name].suspended_by is not None, failures=known[task.name].failures,
                next_time=task.cron.after(known[task.name].done) if task.cron else None,
                is_due=any(known[task.name].is_behind(known[name]) for name in task.after),
            )
            for task in tasks
        }  # fmt: skip

    # -- by itself -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._changes.subscribe(self._wake)
        self._thread = threading.Thread(target=self._watch, name="cdesk-refresh", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Runs that are under way are broken off, as if they had not begun."""
        self._is_stopping.set()
        with self._moved:
            self._moved.notify_all()
            while self._under_way:
                for consumption in self._under_way:
                    consumption.interrupt()
                self._moved.wait(INTERRUPT_SECONDS)
        if self._thread is not None:
            self._thread.join()
            self._workers.shutdown()

    def _wake(self, table: str, seq: int) -> None:
        with self._moved:
            self._moved.notify_all()

    def _watch(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._hand_out()
            except Exception as error:  # nothing is lost by waiting, and everything by ending
                observe.event("error", "tasks_wait", error=f"{type(error).__name__}: {error}")
                self._is_stopping.wait(AGAIN_SECONDS)

    def _hand_out(self) -> None:
        with self._moved:
            while not self._is_stopping.is_set():
                ready, seconds = self._plan()
                for standing in ready:
                    scheduled = standing.begin(self._clock.monotonic(), self._clock.now())
                    cause: Cause = "SCHEDULE" if standing.task.cron else "TRIGGER"
                    self._workers.submit(self._turn, standing, scheduled, cause)
                self._wait(seconds)

    def _wait(self, seconds: float | None) -> None:
        self._moved.wait(seconds)

    def _plan(self) -> tuple[list[Standing], float | None]:
        now, utc = self._clock.monotonic(), self._clock.now()
        return plan(self._standings.values(), self._changes.behind, now, utc, self._at_once)

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._at_once, "cdesk-task")

    # -- when asked ------------------------------------------------------------------------------------------------

    def run(self, name: str) -> Run:
        """Now, also when it is suspended or nothing has changed. Waits for a run that is under way."""
        standing = self._standing(name)
        with self._moved:
            self._moved.wait_for(lambda: not standing.is_running)
            standing.begin(self._clock.monotonic(), self._clock.now())
        run = self._turn(standing, self._clock.now(), "EXECUTE TASK")
        if run is None:
            raise Stopped(f"task {name} was broken off, and nothing of it is in effect.", "Try again.")
        return run

    def run_pending(self) -> list[Run]:
        """Everything that is wanted now, each behind those it comes after; what fails is not repeated."""
        runs: list[Run] = []
        failed: set[str] = set()
        for _ in range(ROUNDS_MAX):
            before = len(runs)
            for standing in self._standings.values():
                if standing.task.name not in failed and (run := self._run_if_wanted(standing)) is not None:
                    runs.append(run)
                    failed |= {run.name} if run.error else set()
            if len(runs) == before:
                break
        return runs

    def suspend(self, name: str) -> None:
        standing = self._standing(name)
        with self._moved:
            standing.is_suspended = True
        with self._held(standing):
            self._history.set(name, "request")

    def resume(self, name: str) -> None:
        standing = self._standing(name)
        with self._held(standing):
            self._history.set(name, None)
            standing.is_suspended, standing.failures, standing.not_before = False, 0, self._clock.monotonic()
            standing.broken.clear()

    @contextmanager
    def _held(self, standing: Standing) -> Iterator[None]:
        """No run of the task is under way: one would write the same row."""
        with self._moved:
            self._moved.wait_for(lambda: not standing.is_running)
            standing.is_running = True
        try:
            yield
        finally:
            with self._moved:
                standing.is_running = False
                self._moved.notify_all()

    @property
    def tasks(self) -> list[Task]:
        return [standing.task for standing in self._standings.values()]

    def has_data(self, name: str) -> bool:
        """Whether something it reads has changed since its last run."""
        return any(self._changes.has_data(stream.name) for stream in self._standing(name).task.reads)

    def _standing(self, name: str) -> Standing:
        found = self._standings.get(name)
        if found is None:
            known = ", ".join(self._standings) or "none yet"
            raise UsageError(f"there is no task {name!r}.", f"Tasks: {known}.")
        return found

    def _run_if_wanted(self, standing: Standing) -> Run | None:
        with self._moved:
            utc = self._clock.now()
            if standing.is_running or not standing.is_wanted(self._changes.behind, utc):
                return None
            scheduled = standing.begin(self._clock.monotonic(), utc)
        return self._turn(standing, scheduled, "SCHEDULE" if standing.task.cron else "TRIGGER")

    # -- one run ---------------------------------------------------------------------------------------------------

    def _turn(self, standing: Standing, scheduled: datetime, cause: Cause) -> Run | None:
        """One run and what follows from it; None when there was nothing to do, or it was broken off."""
        was_first_look = any(self._changes.offset(stream.name) < 0 for stream in standing.task.reads)
        run, has_failed = None, True
        try:
            with self._measured(standing.task.name) as effort:
                run = self._attempts(standing, scheduled, cause)
                effort.counts = run is not None
                has_failed = run is not None and run.error is not None
                self._history.prune()
        except Stopped:
            has_failed = False
        except Exception as error:  # the run failed, and so did taking note of it: it is repeated as any other
            observe.event("error", "task_unrecorded", task=standing.task.name, error=str(error))
        with self._moved:
            now, utc = self._clock.monotonic(), self._clock.now()
            standing.end(now, utc, has_failed=has_failed, was_first_look=was_first_look)
            if run is not None and run.rows:
                self._pass_on(standing)
            self._moved.notify_all()
        if run is not None:
            self._on_done(run)
        return run

    def _pass_on(self, first: Standing) -> None:
        """A commit between two looks is told to the second task before the first has derived anything from it."""
        for standing in self._standings.values():
            if first.task.name in standing.task.after and standing.task.cron is None:
                standing.is_due = True

    def _attempts(self, standing: Standing, scheduled: datetime, cause: Cause) -> Run | None:
        started, begun = self._clock.now(), self._clock.monotonic()
        left_out: dict[str, str] = {}
        suspended = {name for name, failures in standing.broken.items() if failures >= FAILURES_MAX}
        without = set() if cause == "EXECUTE TASK" else suspended

        def ended(attempt: int, rows: int, error: str | None = None) -> Run:
            now, ms = self._clock.now(), round((self._clock.monotonic() - begun) * 1000, 3)
            query_id = f"t_{self._clock.now_ns() // 1_000_000:x}_{self._clock.name()}"
            told = "; ".join(f"without {name}: {why}" for name, why in left_out.items()) or None
            return Run(query_id, standing.task.name, cause, scheduled, started, now, attempt, rows, ms, error, told)

        attempt = 1
        while True:
            try:
                pieces = [piece for piece in standing.task.pieces if piece.name not in without | left_out.keys()]
                run = self._execute(standing, pieces, scheduled, cause, partial(ended, attempt))
                if run is not None:
                    self._left_out(standing, left_out, without)
                return run
            except Exception as error:
                if self._is_stopping.is_set():
                    raise Stopped("stopping") from None
                said = str(error) or type(error).__name__
                if isinstance(error, CdeskError) and error.retryable and attempt < ATTEMPTS_MAX:
                    self._is_stopping.wait(RETRY_SECONDS * 4.0 ** (attempt - 1))
                    attempt += 1
                elif standing.piece:
                    left_out[standing.piece] = said
                else:
                    return self._failed(standing, ended(attempt, 0, said))

    def _left_out(self, standing: Standing, left_out: Mapping[str, str], not_tried: Set[str]) -> None:
        """What came of the parts in a run that is in effect; one that worked has not failed before."""
        failed = {name: standing.broken.get(name, 0) + 1 for name in left_out}
        standing.broken = {name: standing.broken[name] for name in not_tried} | failed
        for name, error in left_out.items():
            told = f"{standing.task.name}/{name}"
            observe.event("error", "task_failed", task=told, error=error, is_suspended=failed[name] >= FAILURES_MAX)
            if failed[name] == FAILURES_MAX:
                self._tell(Incident(told, FAILURES_MAX, error, self._clock.now()))

    def _execute(
        self, standing: Standing, pieces: Sequence[Piece], scheduled: datetime, cause: Cause,
        ended: Callable[[int], Run],
    ) -> Run | None:  # fmt: skip
        task, is_asked = standing.task, cause == "EXECUTE TASK" or standing.was_due
        standing.piece = ""
        with self._changes.consume(task.reads, task.writes) as unit:
            self._enter(unit)
            try:
                if not is_asked and task.reads and not any(unit.has_rows(s.name, task.about) for s in task.reads):
                    if task.cron:
                        self._history.passed(unit, task.name, self._clock.now())
                    return None
                unit.lay_out(task.scratch)
                run = ended(sum(self._changed(unit, standing, piece) for piece in pieces))
                self._history.record(unit, run)
            finally:
                self._leave(unit)
        return run

    def _changed(self, unit: Consumption, standing: Standing, piece: Piece) -> int:
        """How many rows that are kept."""
        standing.piece = piece.name
        counts = [(one.table, self._rows(unit, one)) for one in self._statements(standing.task, piece)]
        standing.piece = ""
        return sum(rows for table, rows in counts if table in standing.task.writes)

    def _rows(self, unit: Consumption, statement: Statement) -> int:
        if self._is_stopping.is_set():
            raise Stopped("stopping")
        given = {"now": self._clock.now().replace(tzinfo=None), "seq": unit.next_seq(statement.table)}
        return unit.execute(statement.sql, {name: given[name] for name in statement.binds}, statement.table)

    def _statements(self, task: Task, piece: Piece) -> tuple[Statement, ...]:
        """Made when first needed: reading SQL takes longer than a command that runs no task."""
        from cdesk.refresh.statements import compiled

        return compiled(task, piece.sql)

    def _failed(self, standing: Standing, run: Run) -> Run:
        is_last = standing.failures + 1 >= FAILURES_MAX and not standing.is_suspended
        standing.is_suspended |= is_last
        observe.event("error", "task_failed", task=run.name, error=run.error, is_suspended=standing.is_suspended)
        self._history.record_failure(run, "failures" if is_last else None)
        if is_last:
            self._tell(Incident(run.name, FAILURES_MAX, run.error or "", run.completed))
        return run

    def _enter(self, unit: Consumption) -> None:
        with self._moved:
            if self._is_stopping.is_set():
                raise Stopped("stopping")
            self._under_way.add(unit)

    def _leave(self, unit: Consumption) -> None:
        with self._moved:
            self._under_way.discard(unit)
            self._moved.notify_all()
