"""Change streams over tables of the embedded warehouse: what changed since a consumer last looked, in the transaction
that takes note of it.

    commit 1, 2, 3, …  ──▶  every row: _seq, the commit that wrote it last, and _first_seq, the one that first did
    consumer           ──▶  its offset, the commit up to which everything is done
    its stream         ──▶  a view of the rows behind the offset, in the consumer's own transaction

Limits first. One process owns the warehouse, so last commits and offsets are also held in memory, and asking whether
there is data costs nothing. A row's zone maps carry `_seq`, so that reading a stream costs what changed, not what is
there. Old images of replaced and deleted rows are kept for CLAUDE_STREAM_V2 alone, until every consumer has passed
them; a stream over INSIGHT_ATOMS tells new and changed rows, not removed ones. Numbers count per table.

Modes, with Snowflake's names and meaning:

    append     rows that are new since the offset
    standard   net changes: a row that is new or changed as METADATA$ACTION 'INSERT', a row that was there and was
               changed or deleted, as it then stood, as 'DELETE'; METADATA$ISUPDATE marks the two halves of an update

Initial rows: the first look gives everything that is there. New rows only: it begins behind what is there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import duckdb

from cdesk.clock import Clock
from cdesk.warehouse.duckdb.trouble import Healing, translated
from cdesk.warehouse.warehouse import ATOMS, STREAM, Stream

BEFORE = "_STREAM_BEFORE"
PURGE_COMMITS_MIN = 64
"""Old images are deleted when everything is consumed, or this many commits are."""

_IMAGES: dict[str, str | None] = {STREAM: BEFORE, ATOMS: None}
"""Tables that have streams, and where the old images of their rows are."""

Listener = Callable[[str, int], None]


class Changes:
    """The streams of one warehouse. `lock` is held by who writes CLAUDE_STREAM_V2, `seq` is its last commit."""

    def __init__(
        self,
        connected: Callable[[], duckdb.DuckDBPyConnection],
        clock: Clock,
        lock: threading.Lock,
        seq: Callable[[], int],
        healing: Healing = nullcontext,
    ) -> None:
        self._connected = connected
        self._healing = healing
        self._clock = clock
        self._locks = {STREAM: lock, ATOMS: threading.Lock()}
        self._last: dict[str, Callable[[], int]] = {STREAM: seq, ATOMS: lambda: self._atoms}
        self._columns = {table: _columns(self._connection, _IMAGES[table] or table) for table in _IMAGES}
        self._atoms = 0
        self._offsets: dict[str, tuple[str, int]] = {}
        self._told = dict.fromkeys(_IMAGES, 0)
        self._taken: dict[str, int] = {}
        self.reload()
        self._listeners: list[Listener] = []
        self._purging = threading.Lock()
        self._purged = 0
        self._is_followed = any(table == STREAM and offset >= 0 for table, offset in self._offsets.values())
        self.gate = Gate()

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """It may have been opened anew."""
        return self._connected()

    def reload(self) -> None:
        """What is held in memory, as it stands on disk."""
        self._atoms = _last_seq(self._connection, ATOMS)
        self._offsets = _offsets(self._connection)

    @property
    def is_followed(self) -> bool:
        """Whether old images of CLAUDE_STREAM_V2 can matter to anybody; to be asked by who holds its lock.

        A consumer that has not looked yet wants every row as it is. So a first import keeps no images."""
        return self._is_followed

    def subscribe(self, listener: Listener) -> None:
        """`listener(table, seq)` is called after every commit that changed a table with streams, by who committed."""
        self._listeners.append(listener)

    def tell(self, table: str, rows: int = 1) -> None:
        """A commit changed so many rows of the table."""
        self._told[table] += rows
        for listener in self._listeners:
            listener(table, self.seq(table))

    def seq(self, table: str) -> int:
        """Number of the last commit that changed the table."""
        return self._last[table]()

    def offset(self, stream: str) -> int:
        return self._offsets[stream][1]

    def has_data(self, stream: str) -> bool:
        """Whether there were commits behind the offset; they may have been none of the stream's business."""
        table, offset = self._offsets[stream]
        return offset < self.seq(table)

    def behind(self, stream: str) -> int:
        """About how many rows have changed behind the offset, since this process runs; at least 1 where `has_data`."""
        if not self.has_data(stream):
            return 0
        return max(1, self._told[self._offsets[stream][0]] - self._taken.get(stream, 0))

    def open(self, streams: Iterable[Stream]) -> None:
        """Makes those consumers known that are not yet."""
        for stream in streams:
            known = self._offsets.get(stream.name)
            if known is not None and known[0] == stream.table:
                continue
            with self._locks[stream.table]:
                self._drop([stream.name])
                at = -1 if stream.initial_rows else self.seq(stream.table)
                self._connection.cursor().execute(_NEW_OFFSET, [stream.name, stream.table, at, self._now()])
                self._offsets[stream.name] = (stream.table, at)
                self._is_followed |= stream.table == STREAM and at >= 0

    def drop(self, names: Sequence[str]) -> None:
        """Forgets consumers: nothing is kept for them any more."""
        self._drop(names)
        self._purge()

    @contextmanager
    def consume(self, streams: Sequence[Stream], writes: Iterable[str] = ()) -> Iterator[Consumption]:
        """One transaction, in which the streams are views by their names. What is executed in it and the consumers'
        progress are committed together at its end, or, when it ends by an error, neither.

        `writes`: tables with streams that the transaction changes; it waits for others that do.
        Raises WarehouseError; WarehouseUnready when trying again may help, as after a conflict.
        """
        with ExitStack() as held:
            held.enter_context(self._healing())
            held.enter_context(self.gate.shared())
            tracked = sorted(set(writes) & _IMAGES.keys())
            for table in tracked:
                held.enter_context(self._locks[table])
            self._follow(streams, tracked)
            held.enter_context(translated(duckdb.OutOfMemoryException))
            cursor = held.enter_context(self._connection.cursor())
            consumption = self._begin(cursor, streams, tracked)
            try:
                yield consumption
                self._commit(consumption, streams)
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise
        self._after(consumption)

    def _follow(self, streams: Sequence[Stream], held: Sequence[str]) -> None:
        """Commits that begin after a consumer's first look keep old images: none may be under way in between."""
        if not self._is_followed and any(stream.table == STREAM for stream in streams):
            with nullcontext() if STREAM in held else self._locks[STREAM]:
                self._is_followed = True

    def _begin(self, cursor: duckdb.DuckDBPyConnection, streams: Sequence[Stream], tracked: list[str]) -> Consumption:
        told = dict(self._told)
        seen = {table: self.seq(table) for table in {*tracked, *(stream.table for stream in streams)}}
        cursor.execute("BEGIN")
        visible = {table: _visible(cursor, table, seq) for table, seq in seen.items()}
        consumption = Consumption(cursor, visible, told)
        for stream in streams:
            offset = self.offset(stream.name)
            with_images = stream.mode == "standard" and _has_images(cursor, stream.table, offset)
            cursor.execute(_view(stream, offset, self._columns[stream.table], with_images))
        return consumption

    def _commit(self, consumption: Consumption, streams: Sequence[Stream]) -> None:
        passed = {stream.name: (stream.table, consumption.seen[stream.table]) for stream in streams}
        for name, (_, seq) in passed.items():
            consumption.execute(_PASSED, {"seq": seq, "now": self._now(), "name": name})
        consumption.execute("COMMIT")
        self._offsets.update(passed)
        self._taken.update((name, consumption.told[table]) for name, (table, _) in passed.items())
        if ATOMS in consumption.changed:
            self._atoms += 1

    def _after(self, consumption: Consumption) -> None:
        self._purge()
        for table in consumption.changed:
            if table == ATOMS:
                self.tell(table)

    def _purge(self) -> None:
        """Old images that every consumer has passed."""
        offsets = [offset for table, offset in self._offsets.values() if table == STREAM]
        passed = min(offsets, default=self.seq(STREAM))
        if passed <= self._purged or (passed < self.seq(STREAM) and passed - self._purged < PURGE_COMMITS_MIN):
            return
        if self._purging.acquire(blocking=False):
            try:
                with suppress(duckdb.Error), self._healing(), self.gate.shared():
                    self._connection.cursor().execute(f"DELETE FROM {BEFORE} WHERE _replaced_seq <= {passed}")
                    self._purged = passed
            finally:
                self._purging.release()

    def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            self._connection.cursor().execute("DELETE FROM _STREAM_OFFSETS WHERE stream_name = ?", [name])
            self._offsets.pop(name, None)

    def _now(self) -> Any:
        return self._clock.now().replace(tzinfo=None)


@dataclass(slots=True, eq=False)
class Consumption:
    """An open transaction over streams.

    seen      table → its last commit that the transaction sees
    told      table → how many changed rows had been told of when it began
    changed   tables with streams in which it has changed rows
    """

    cursor: duckdb.DuckDBPyConnection
    seen: dict[str, int]
    told: dict[str, int]
    changed: set[str] = field(default_factory=set)

    def execute(self, sql: str, parameters: Mapping[str, Any] | None = None, changes: str = "") -> int:
        """How many rows the statement changed. `changes`: the table it is about."""
        found = self.cursor.execute(sql, dict(parameters) if parameters else None).fetchall()
        rows = int(found[0][0]) if found and isinstance(found[0][0], int) else 0
        if rows and changes in _IMAGES:
            self.changed.add(changes)
        return rows

    def lay_out(self, tables: Iterable[str]) -> None:
        """These tables are the transaction's own from here on, empty, and gone after it: nothing of them is logged."""
        for table in tables:
            self.cursor.execute(f'CREATE TEMP TABLE "{table}" AS FROM main."{table}" LIMIT 0')

    def next_seq(self, table: str) -> int:
        """The number this transaction's commit will have in a table with streams that it was opened to write."""
        return self.seen.get(table, 0) + 1

    def interrupt(self) -> None:
        """From another thread: what is being executed ends by an error."""
        self.cursor.interrupt()

    def has_rows(self, stream: str, activities: Sequence[str] = ()) -> bool:
        """activities: of these, where there are any"""
        sql = f'SELECT 1 FROM "{stream}"' + (" WHERE list_contains($1, activity)" if activities else "") + " LIMIT 1"
        return bool(self.cursor.execute(sql, [list(activities)] if activities else None).fetchall())


class Gate:
    """Any number may be inside together, or one who wants to be alone."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._inside = 0
        self._is_closed = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._moved:
            self._moved.wait_for(lambda: not self._is_closed)
            self._inside += 1
        try:
            yield
        finally:
            with self._moved:
                self._inside -= 1
                self._moved.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._moved:
            self._moved.wait_for(lambda: not self._is_closed)
            self._is_closed = True
            self._moved.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._moved:
                self._is_closed = False
                self._moved.notify_all()


# -- the statements ------------------------------------------------------------------------------------------------

_NEW_OFFSET = "INSERT INTO _STREAM_OFFSETS (stream_name, source_table, seq, updated_at) VALUES (?, ?, ?, ?)"
_PASSED = "UPDATE _STREAM_OFFSETS SET seq = $seq, updated_at = $now WHERE stream_name = $name"


def _has_images(cursor: duckdb.DuckDBPyConnection, table: str, offset: int) -> bool:
    """Whether rows that were there at the offset were replaced or deleted since."""
    images = _IMAGES[table]
    if images is None or offset < 0:
        return False
    return bool(cursor.execute(f"SELECT 1 FROM {images} WHERE {_were_there(offset)} LIMIT 1").fetchall())


def _were_there(offset: int) -> str:
    return f"_replaced_seq > {offset} AND _first_seq <= {offset}"


def _view(stream: Stream, offset: int, columns: str, with_images: bool) -> str:
    """Offsets stand in the text as numbers: so the text is all a statement's plan needs to know.

    Without images the view is one scan: statements that read it are planned in half the time."""
    if stream.mode == "append":
        rows = _appended(stream.table, offset, columns)
    else:
        rows = _net_changes(stream.table, offset, columns) if with_images else _new(stream.table, offset, columns)
    return f'CREATE OR REPLACE TEMP VIEW "{stream.name}" AS {rows}'


def _appended(table: str, offset: int, columns: str) -> str:
    return f"""
SELECT {columns}, 'INSERT' AS "METADATA$ACTION", FALSE AS "METADATA$ISUPDATE"
  FROM {table} WHERE _seq > {offset} AND _first_seq > {offset}"""


def _new(table: str, offset: int, columns: str) -> str:
    return f"""
SELECT {columns}, 'INSERT' AS "METADATA$ACTION", _first_seq <= {offset} AS "METADATA$ISUPDATE"
  FROM {table} WHERE _seq > {offset}"""


def _net_changes(table: str, offset: int, columns: str) -> str:
    """A row is who bears its activity_id: deleted and put in again between two looks, it has changed."""
    was = f"FROM {_IMAGES[table]} WHERE {_were_there(offset)}"
    return f"""
SELECT {columns}, 'INSERT' AS "METADATA$ACTION",
       _first_seq <= {offset} OR activity_id IN (SELECT activity_id {was}) AS "METADATA$ISUPDATE"
  FROM {table} WHERE _seq > {offset}
 UNION ALL
SELECT {columns}, 'DELETE' AS "METADATA$ACTION",
       activity_id IN (SELECT activity_id FROM {table} WHERE _seq > {offset}) AS "METADATA$ISUPDATE"
  FROM (SELECT * {was} QUALIFY row_number() OVER (PARTITION BY activity_id ORDER BY _replaced_seq) = 1)"""


def _visible(cursor: duckdb.DuckDBPyConnection, table: str, at_least: int) -> int:
    """The last commit that the transaction sees. `at_least` was known before it began; one may have come since."""
    images = _IMAGES[table]
    also = f", (SELECT max(_replaced_seq) FROM {images} WHERE _replaced_seq > {at_least})" if images else ""
    newer = f"SELECT greatest({at_least}, (SELECT max(_seq) FROM {table} WHERE _seq > {at_least}){also})"
    return int(cursor.execute(newer).fetchall()[0][0])


def _last_seq(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows may have gone since, offsets tell how far numbers were given."""
    found = connection.execute(f"""
SELECT greatest(0, (SELECT max(_seq) FROM {table}), (SELECT max(seq) FROM _STREAM_OFFSETS WHERE source_table = '{table}'))""")
    return int(found.fetchall()[0][0])


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    found = connection.execute(f"SELECT * FROM {table} LIMIT 0").description or []
    return ", ".join(f'"{column[0]}"' for column in found if column[0] not in ("_seq", "_replaced_seq"))


def _offsets(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, int]]:
    found = connection.execute("SELECT stream_name, source_table, seq FROM _STREAM_OFFSETS").fetchall()
    return {name: (table, int(seq)) for name, table, seq in found}
