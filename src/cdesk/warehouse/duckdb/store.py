"""The embedded warehouse: one DuckDB file, owned by one process."""

from __future__ import annotations

import fcntl
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from cdesk import observe
from cdesk.activity.model import Activity, RawActivity
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, QueryRefused, WarehouseBusy, WarehouseError, WarehouseUnready
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb.changes import Changes, Listener
from cdesk.warehouse.duckdb.drift import DuckDBDrift
from cdesk.warehouse.duckdb.identity import Identities
from cdesk.warehouse.duckdb.trouble import first_line, translated
from cdesk.warehouse.warehouse import IS_DATA, STREAM, Answer, Execution, Merged

if TYPE_CHECKING:
    from cdesk.warehouse.duckdb.merge import Merger

FILE_NAME = "warehouse.duckdb"
MEMORY_LIMIT = "256MB"
COMPACTING_MEMORY_LIMIT = "512MB"
"""A row group of 122,880 documents is in memory whole while it is stored key by key; and what tasks updated, too."""
CHECKPOINT_THRESHOLD = "32MB"
SHREDDING_ROWS_MIN = 30_000
CLOSE_AGAIN_SECONDS = 0.002
CLOSINGS_MAX = 1_000
HEADERS_BYTES = 3 * 4096
_KNOWS_PROGRESS = "SET enable_progress_bar = true; SET enable_progress_bar_print = false"
"""Of one cursor only."""
"""What DuckDB writes first of all: a shorter file was never a database."""

_NEWEST = f"SELECT max(ts) FROM {STREAM} WHERE {IS_DATA}"
_NEWEST_OF_A_DAY = f"{_NEWEST} AND ts >= (SELECT max(ts) FROM {STREAM}) - INTERVAL 1 DAY"


class DuckDBWarehouse:
    """Raises WarehouseBusy on opening when another process owns the file.

    A sync that fails makes DuckDB refuse everything from then on; it is opened anew, and what asked may be tried again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        memory_limit: str = MEMORY_LIMIT,
        measured: Callable[[str], AbstractContextManager[object]] = lambda query_id: nullcontext(),
    ) -> None:
        """measured: goes around each question, by its id where it has one"""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock
        self._measured = measured
        self._path = folder / FILE_NAME
        self._memory_limit = memory_limit
        self._writing = threading.Lock()
        self._beginning = threading.Lock()
        self._is_closed = False
        self._merger_opened: Merger | None = None
        self._seq_known: int | None = None
        self._open()
        self.drift = DuckDBDrift(lambda: self._connection, self._writing, self._healing)
        self.changes = Changes(lambda: self._connection, clock, self._writing, lambda: self.seq, self._healing)
        self.identities = Identities(lambda: self._connection, self.commit, clock, self._healing)

    def _open(self) -> None:
        self._connection = _connected(self._path, self._path.parent / "spill", self._memory_limit)
        self._path.chmod(0o600)
        with translated():
            deploy.apply(self._connection)

    @property
    def _merger(self) -> Merger:
        """Opened by who writes; who only asks does not wait for its libraries."""
        with self._beginning:
            if self._merger_opened is None:
                from cdesk.warehouse.duckdb.merge import Merger

                self._merger_opened = Merger(
                    self._connection, self._clock, lambda: self.changes.is_followed, lambda: self.identities.rules
                )
            return self._merger_opened

    def open_for_writing(self) -> None:
        """Loads what writing needs now, rather than with the first batch, when the disk may be in trouble."""
        with translated():
            _ = self._merger

    @property
    def seq(self) -> int:
        """Number of the last commit that changed the stream. Known at any time, while a broken database is opened anew, too."""
        with self._beginning:
            if self._merger_opened is None and self._seq_known is not None:
                return self._seq_known
        return self._merger.seq

    def on_change(self, listener: Listener) -> None:
        """`listener(table, seq)` is called after every commit that changed a table with change streams."""
        self.changes.subscribe(listener)

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        with self._healing(), self._writing, translated():
            before = self.seq
            merged = self._merger.merge(activities)
            has_changed = self.seq > before
        if has_changed:
            self.changes.tell(STREAM, len(activities))
        return merged

    @contextmanager
    def commit(self) -> Iterator[int]:
        """One transaction as the only writer, and its number; what it writes into the stream bears that as `_seq`."""
        with self._healing(), self._writing, translated():
            self._connection.execute("BEGIN")
            try:
                yield self._merger.seq + 1
                self._connection.execute("COMMIT")
                self._merger.seq += 1
                self._merger.forget()
            except BaseException:
                _quietly(lambda: self._connection.execute("ROLLBACK"))
                raise
        self.changes.tell(STREAM)

    def write(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        """Trusted statements over tables that have no change streams, in one transaction as the only writer; how many
        rows each changed. Raises WarehouseError; then nothing changed."""
        with self._healing(), self._writing, translated():
            self._connection.execute("BEGIN")
            try:
                changed = [self._connection.execute(sql, list(given)).fetchall() for sql, given in statements]
                self._connection.execute("COMMIT")
            except BaseException:
                _quietly(lambda: self._connection.execute("ROLLBACK"))
                raise
        return [int(rows[0][0]) if rows else 0 for rows in changed]

    def query(
        self, sql: str, parameters: Sequence[Any] | dict[str, Any] = (), *, rows_max: int | None = None
    ) -> Answer:
        with self._measured(""), self._healing(), translated(), self._connection.cursor() as cursor:
            given = parameters if isinstance(parameters, dict) else list(parameters)
            return _fetch(cursor.execute(sql, given), "", rows_max)

    def ask(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        query_id: str,
        rows_max: int,
        seconds_max: float,
        execution: Execution | None = None,
    ) -> Answer:
        statement = _one_select(sql)
        started = self._clock.now()
        is_watched, execution = execution is not None, execution or Execution()
        with self._measured(query_id), self._healing(), translated(), self._connection.cursor() as cursor:
            watchdog = threading.Timer(seconds_max, cursor.interrupt)
            watchdog.daemon = True
            watchdog.start()
            try:
                if is_watched:
                    cursor.execute(_KNOWS_PROGRESS)
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                with execution.under_way(cursor.interrupt, cursor.query_progress):
                    if execution.is_interrupted:
                        raise duckdb.InterruptException("before it began")
                    answer = _fetch(cursor.execute(statement, list(parameters)), query_id, rows_max)
            except duckdb.InterruptException:
                error = _stopped(execution, seconds_max)
                self._log(query_id, sql, started, error=str(error))
                raise error from None
            except duckdb.Error as failure:
                self._log(query_id, sql, started, error=first_line(failure))
                raise _blamed(failure)(first_line(failure)) from failure
            finally:
                watchdog.cancel()
                _quietly(cursor.rollback)
        self._log(query_id, sql, started, rows=len(answer.rows))
        return answer

    def count(self) -> int:
        return int(self.query(f"SELECT count(*) FROM {STREAM}").rows[0][0])

    def data_as_of(self) -> datetime | None:
        """Looked for in the last day first, which zone maps find: the end of the stream costs the same however long it is."""
        newest = self.query(_NEWEST_OF_A_DAY).rows[0][0] or self.query(_NEWEST).rows[0][0]
        return None if newest is None else newest.replace(tzinfo=UTC)

    def compact(self) -> bool:
        """Puts the next few small row groups together and stores their VARIANTs key by key, which large tables read
        faster. True while there is more to do.

        One group of a table at a time: commits wait for it some seconds, and DuckDB holds a group in memory."""
        with self._healing(), self.changes.gate.alone(), self._writing, translated():
            if self._memory_limit == MEMORY_LIMIT:
                self._connection.execute(f"SET memory_limit = '{COMPACTING_MEMORY_LIMIT}'")
            before = self._row_groups()
            self._connection.execute("SET max_vacuum_tasks = 1")
            self._connection.execute(f"SET variant_minimum_shredding_size = {SHREDDING_ROWS_MIN}")
            try:
                self._connection.execute("CREATE OR REPLACE TABLE _compacted AS SELECT now() AS at")
                self._connection.execute("CHECKPOINT")
            finally:  # a database that has given up refuses these, too, and is opened anew
                for usual in (
                    "max_vacuum_tasks = 0", "variant_minimum_shredding_size = -1", f"memory_limit = '{self._memory_limit}'"
                ):  # fmt: skip
                    _quietly(partial(self._connection.execute, f"SET {usual}"))
            return self._row_groups() < before

    def _row_groups(self) -> int:
        sql = f"SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('{STREAM}')"
        return int(self._connection.execute(sql).fetchall()[0][0])

    def close(self) -> None:
        with self._writing:
            self._is_closed = True
            self._close_merger()
            _close(self._connection)

    def _close_merger(self) -> None:
        with self._beginning:
            merger, self._merger_opened = self._merger_opened, None
            if merger is not None:
                self._seq_known = merger.seq
                merger.close()

    @contextmanager
    def _healing(self) -> Iterator[None]:
        """Raises what it is given; when DuckDB has given up, the next try meets a database opened anew.

        Around everything that is asked of DuckDB, outside of `_writing`: whoever asks first may be the only one."""
        connection = self._connection
        try:
            yield
        except (WarehouseError, duckdb.Error) as error:
            if _has_given_up(error):
                try:
                    self._reopen(connection)
                except (CdeskError, duckdb.Error, OSError) as trouble:  # whoever asks next tries it again
                    observe.event("error", "warehouse_stays_closed", error=f"{type(trouble).__name__}: {trouble}")
            raise

    def _reopen(self, broken: duckdb.DuckDBPyConnection) -> None:
        """What DuckDB committed is in its log; what it may only have in memory is written out before anyone relies on it."""
        with self._writing:
            if self._is_closed or self._connection is not broken:
                return
            self._close_merger()
            _close(broken)
            gc.collect()  # what a traceback holds would keep the broken database open, and it would be given again
            self._open()
            self._connection.execute("CHECKPOINT")
            _ = self._merger
            self.changes.reload()

    def _log(
        self, query_id: str, sql: str, started: datetime, *, rows: int | None = None, error: str | None = None
    ) -> None:
        """Every question is in the query log, answered or not, with QUERY_HISTORY's own columns."""
        ended = self._clock.now()
        with self._writing:
            _quietly(
                lambda: self._connection.execute(
                    """INSERT INTO QUERY_HISTORY (query_id, query_tag, query_text, database_name, schema_name,
                   execution_status, error_message, start_time, end_time, total_elapsed_time, rows_produced)
                   VALUES (?, ?, ?, 'warehouse', 'main', ?, ?, ?, ?, ?, ?)""",
                    [
                        query_id,
                        f"cdesk:{query_id}",
                        sql,
                        "FAIL" if error else "SUCCESS",
                        error,
                        started.replace(tzinfo=None),
                        ended.replace(tzinfo=None),
                        round((ended - started).total_seconds() * 1000),
                        rows,
                    ],
                )
            )


@contextmanager
def undeployed(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The database as it is, for whoever deploys. Raises WarehouseBusy when another process owns it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = _connected(folder / FILE_NAME, folder / "spill", MEMORY_LIMIT)
    try:
        (folder / FILE_NAME).chmod(0o600)
        with translated():
            yield connection
    finally:
        _close(connection)


def _connected(path: Path, spill: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    try:
        with _alone(path.parent):
            _remove_unborn(path)
            return _connect(path, spill, memory_limit)
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise WarehouseBusy(
                f"another process is using {path}.", "Wait for it to end, or ask it: `cdesk status`."
            ) from None
        raise WarehouseUnready(f"cannot open {path}: {first_line(error)}.", "See that there is disk space.") from None
    except duckdb.Error as error:
        raise WarehouseError(f"cannot open {path}: {first_line(error)}") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time opens the database."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _close(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB refuses it while any thread is taking a cursor, or executes something."""
    for _ in range(CLOSINGS_MAX):
        try:
            connection.close()
            return
        except duckdb.ResourceInUseException:
            _quietly(connection.interrupt)
            time.sleep(CLOSE_AGAIN_SECONDS)
    connection.close()


def _remove_unborn(path: Path) -> None:
    """DuckDB does not open a file whose making was cut short, by a full disk or a kill; nothing was ever in it."""
    with suppress(FileNotFoundError, BlockingIOError, PermissionError):
        if path.stat().st_size >= HEADERS_BYTES:
            return
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _connect(path: Path, spill: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        str(path),
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "checkpoint_threshold": CHECKPOINT_THRESHOLD,
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "variant_minimum_shredding_size": "-1",  # shredding makes a checkpoint five times longer: see compact
            "max_vacuum_tasks": "0",  # a checkpoint that rewrites row groups stalls commits for seconds
        },
    )
    try:
        connection.execute("SET enable_external_access = false")
    except duckdb.Error:
        connection.close()  # or whoever opens it next is given the same broken database
        raise
    return connection


def _one_select(sql: str) -> str:
    """The text of exactly one SELECT. DuckDB's own parser decides, so nothing hides behind a comment."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(f"this is not SQL: {first_line(error)}", "See `cdesk sql --help` for examples.") from None
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time, not {len(statements)}.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryRefused(
            f"only SELECT is allowed here, not {statements[0].type.name}.", "The warehouse is read-only for questions."
        )
    return statements[0].query


def _fetch(cursor: duckdb.DuckDBPyConnection, query_id: str, rows_max: int | None) -> Answer:
    description = cursor.description or []
    rows = cursor.fetchall() if rows_max is None else cursor.fetchmany(rows_max)
    return Answer(tuple(c[0] for c in description), tuple(str(c[1]) for c in description), rows, query_id)


def _stopped(execution: Execution, seconds_max: float) -> QueryRefused:
    if execution.is_interrupted:
        return QueryRefused("the query was cancelled.")
    return QueryRefused(f"the query ran longer than {seconds_max:g} s and was stopped.", "Narrow it down.")


def _blamed(failure: duckdb.Error) -> type[WarehouseError]:
    """Names that do not exist, values that do not convert: the question is wrong, not the warehouse."""
    is_askers = isinstance(failure, duckdb.ProgrammingError | duckdb.DataError | duckdb.NotSupportedError)
    return QueryRefused if is_askers else WarehouseError


def _has_given_up(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, duckdb.FatalException | duckdb.ConnectionException):
            return True
        error = error.__cause__ or error.__context__
    return False


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except duckdb.Error:
        return
