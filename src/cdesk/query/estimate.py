"""How many bytes a question would read, from what the engine already knows of its own file.

    SQL ──EXPLAIN──▶ scans: table, columns, bounds of time ──layout of the table──▶ blocks that hold them ──▶ bytes

The engine's planner resolves views and moves columns and conditions down to the tables, so a scan says what it needs.
A table's layout says in which blocks of the file each column of each row group is, and between which times its rows
are. DuckDB reads a block whole, and once; so the estimate is the number of different blocks.

A layout is read once and again when the table has grown or shrunk by GROWTH, or is older than SECONDS_KEPT. Of a large
table that takes seconds (0.4 s for each million rows): it is read when the service starts, and later in the background,
while who asks is told by the one that is known. Who hands in a ticket (`at_once`) waits for none.

What is not foreseen: a LIMIT or a join that stops a scan early (the estimate is too high then); a key of a document that
no row has, for which the engine reads the documents whole (too low); blocks already in memory (read again for nothing).
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import WarehouseError
from cdesk.query.text import text
from cdesk.sql.identifier import quote
from cdesk.warehouse.warehouse import STREAM, Warehouse

BLOCK_BYTES = 262_144
GROWTH = 0.05
SECONDS_KEPT = 600.0
READ_AT_ONCE_ROWS_MAX = 300_000
AT_ONCE_ROWS_MAX = 20_000
"""Who hands in a ticket waits for the layout of a smaller table only: it is read in some milliseconds."""
AT_ONCE_SECONDS = 0.01
"""So long for who reads another table's layout."""
UNWRITTEN_BYTES = 32
"""A value that is not in the file yet, in the mean."""

_BOUND = re.compile(r"\(?(\w+) (>=|<=|>|<|=) '([^']+)'::TIMESTAMP")
_WORD = re.compile(r"\w+")


class Estimate(msgspec.Struct, frozen=True):
    """bytes: of the file · rows: that would be looked at · tables: that are read, views resolved"""

    bytes: int
    rows: int
    tables: list[str]


@dataclass(frozen=True, slots=True)
class Part:
    """A column in a row group. blocks: of the file · unwritten: values that are not there yet
    is_apart: it is a document stored key by key; else its keys can only be read with all of it"""

    blocks: frozenset[int]
    unwritten: int
    is_apart: bool
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Layout:
    """rows, parts: by row group · read_at: monotonic seconds"""

    rows: dict[int, int]
    parts: dict[int, dict[str, Part]]
    size: int
    read_at: float


@dataclass(frozen=True, slots=True)
class Scan:
    """columns: names, or `document.key` · bounds: (column, operator, time)"""

    table: str
    columns: frozenset[str]
    bounds: tuple[tuple[str, str, datetime], ...]


@dataclass(slots=True)
class _Found:
    blocks: set[int] = field(default_factory=set)
    unwritten: int = 0
    rows: int = 0
    tables: set[str] = field(default_factory=set)


class Estimator:
    """For one warehouse. May be asked from several threads at once."""

    def __init__(self, warehouse: Warehouse, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._lock = threading.RLock()
        self._layouts: dict[str, Layout] = {}
        self._being_read: set[str] = set()

    def estimate(self, sql: str, parameters: Sequence[Any] = ()) -> Estimate:
        """Of one trusted or guarded statement. Raises WarehouseError for what the engine cannot plan."""
        return _estimated((scan, self._layout(scan.table)) for scan in self._scans(sql, parameters))

    def at_once(self, sql: str, parameters: Sequence[Any] = ()) -> Estimate | None:
        """As `estimate`; None where a layout would have to be read first that takes long to read."""
        found = []
        for scan in self._scans(sql, parameters):
            if not self._lock.acquire(timeout=AT_ONCE_SECONDS):
                return None
            try:
                layout = self._known(scan.table, AT_ONCE_ROWS_MAX)
            finally:
                self._lock.release()
            if layout is None:
                return None
            found.append((scan, layout))
        return _estimated(found)

    def _scans(self, sql: str, parameters: Sequence[Any]) -> list[Scan]:
        plan = self._warehouse.query(f"EXPLAIN (FORMAT json) {sql}", parameters).rows[0][1]
        return list(scans(msgspec.json.decode(plan)))

    def prepare(self) -> None:
        """Reads the layout of the stream where that takes long, before anybody asks. What cannot be read now is read then."""
        with suppress(WarehouseError):
            if self._size(STREAM) > READ_AT_ONCE_ROWS_MAX:
                self._layout(STREAM)

    def _layout(self, table: str) -> Layout:
        with self._lock:
            known = self._known(table, READ_AT_ONCE_ROWS_MAX)
            if known is None:
                size, now = self._size(table), self._clock.monotonic()
                known = self._layouts[table] = _layout(self._read(table), size, now)
            return known

    def _known(self, table: str, rows_max: int) -> Layout | None:
        """The one that is known, while the lock is held. What is not or no longer known is read now where a table has so
        many rows at most; else in the background where an older one is known, or nobody waits for a first one."""
        size, now = self._size(table), self._clock.monotonic()
        known = self._layouts.get(table)
        if known and abs(size - known.size) <= GROWTH * known.size and now - known.read_at < SECONDS_KEPT:
            return known
        if size <= rows_max:
            layout = self._layouts[table] = _layout(self._read(table), size, now)
            return layout
        if (known is not None or rows_max < READ_AT_ONCE_ROWS_MAX) and table not in self._being_read:
            self._being_read.add(table)
            threading.Thread(target=self._read_anew, args=(table,), name="cdesk-layout", daemon=True).start()
        return known

    def _read_anew(self, table: str) -> None:
        try:
            with suppress(WarehouseError):
                layout = _layout(self._read(table), self._size(table), self._clock.monotonic())
                with self._lock:
                    self._layouts[table] = layout
        finally:
            with self._lock:
                self._being_read.discard(table)

    def _size(self, table: str) -> int:
        rows = self._warehouse.query(text("estimate_size"), [table]).rows
        return int(rows[0][0]) if rows else 0

    def _read(self, table: str) -> list[tuple[Any, ...]]:
        return self._warehouse.query(text("estimate_layout").format(table=quote(table).replace("'", "''"))).rows


def scans(plan: Any) -> Iterator[Scan]:
    """Every scan of a table in a plan that EXPLAIN gives as JSON."""
    for node in plan if isinstance(plan, list) else [plan]:
        told = node.get("extra_info", {})
        if "Table" in told:
            filters = [each for each in _listed(told.get("Filters")) if " OR " not in each]
            columns = set(_listed(told.get("Projections")))
            columns |= {word for each in _listed(told.get("Filters")) for word in _WORD.findall(each)}
            table = str(told["Table"]).rpartition(".")[2].strip('"')
            yield Scan(table, frozenset(columns), tuple(_bounds(filters)))
        yield from scans(node.get("children", []))


def _bounds(filters: list[str]) -> Iterator[tuple[str, str, datetime]]:
    for each in filters:
        for column, operator, time in _BOUND.findall(each):
            try:
                yield column, operator, datetime.fromisoformat(time)
            except ValueError:  # infinity
                continue


def _estimated(read: Iterable[tuple[Scan, Layout]]) -> Estimate:
    found = _Found()
    for scan, layout in read:
        _add(scan, layout, found)
    return Estimate(len(found.blocks) * BLOCK_BYTES + found.unwritten, found.rows, sorted(found.tables))


def _add(scan: Scan, layout: Layout, found: _Found) -> None:
    found.tables.add(scan.table)
    wanted = {(name, key) for name, _, key in (column.partition(".") for column in scan.columns)}
    for group, parts in layout.parts.items():
        if not all(_may_hold(parts.get(column), operator, time) for column, operator, time in scan.bounds):
            continue
        found.rows += layout.rows[group]
        for name, key in wanted:
            part = parts.get(name)
            if part is None:
                continue
            found.blocks |= frozenset(sorted(part.blocks)[:1]) if key and part.is_apart else part.blocks
            found.unwritten += part.unwritten * UNWRITTEN_BYTES


def _may_hold(part: Part | None, operator: str, time: datetime) -> bool:
    if part is None or part.first is None or part.last is None:
        return True
    match operator:
        case ">=":
            return part.last >= time
        case ">":
            return part.last > time
        case "<=":
            return part.first <= time
        case "<":
            return part.first < time
        case _:
            return part.first <= time <= part.last


def _layout(rows: list[tuple[Any, ...]], size: int, now: float) -> Layout:
    counts: dict[int, int] = {}
    parts: dict[int, dict[str, Part]] = {}
    for group, column, count, blocks, unwritten, is_apart, first, last in rows:
        counts[group] = max(counts.get(group, 0), int(count or 0))
        parts.setdefault(group, {})[column] = Part(
            frozenset(blocks or ()), int(unwritten or 0), bool(is_apart), first, last
        )
    return Layout(counts, parts, size, now)


def _listed(told: Any) -> list[str]:
    return [str(each) for each in told] if isinstance(told, list) else [] if told is None else str(told).split("\n")


def in_words(estimate: Estimate) -> str:
    """`about 12 MB in 300,000 rows of CLAUDE_STREAM_V2`"""
    units = ("B", "KB", "MB", "GB", "TB")
    step = min(int(math.log(max(estimate.bytes, 1), 1000)), len(units) - 1)
    where = f" of {', '.join(estimate.tables)}" if estimate.tables else ""
    return f"about {estimate.bytes / 1000**step:.3g} {units[step]} in {estimate.rows:,} rows{where}"
