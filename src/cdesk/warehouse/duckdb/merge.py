"""Merges a batch of observations into the stream, each fact once.

    batch ──▶ may the stream know it? ──no──▶ fresh: one observation is the whole row, written as it came
                     │ maybe
                     ▼
              look it up ──▶ join in memory with what is stored (`activity/merge.py`) ──▶ write what changed

An id may come again at any time, in any session, from any source, and must be found; but most are new (`known.py` is
certain of it), and most others were written a moment ago (`recent.py` has them). The rest is looked for around its own
time, and what is not found there everywhere, so that the cost of a batch does not grow with the table.

Fresh rows are nearly all there are, and nearly all the cost. Their features stay the JSON text they came as, and go to
DuckDB column by column as Arrow arrays. Keys without a value are left out, which halves the VARIANT, but for the first row
of each activity in a batch: DuckDB reads a key that no row of a row group has three hundred times slower.

All of a batch is one transaction with a number of its own (`schema/02_changes.sql`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, compress
from typing import Any, TypeAlias

import duckdb
import msgspec

from cdesk.activity.model import SCHEMA_VERSION, Activity, Columns, RawActivity
from cdesk.activity.resolution import Rules
from cdesk.clock import Clock
from cdesk.errors import WarehouseUnready
from cdesk.warehouse.duckdb import columns
from cdesk.warehouse.duckdb.known import Known
from cdesk.warehouse.duckdb.recent import Recent
from cdesk.warehouse.facts import Changed, Observations, Stored, joined, packed, whole
from cdesk.warehouse.hot import hot
from cdesk.warehouse.warehouse import STREAM, Merged

ALIASED = frozenset({"claude_responded", "user_asked", "message_injected"})
"""Activities that sources know by different names."""

NEAR = timedelta(minutes=2)
"""How far from its own time a known fact is looked for first."""
RANGES_MAX = 4
"""Ranges of time looked through one by one; more are looked through as one."""

_READ_COLUMNS = """
activity_id::VARCHAR, epoch_us(ts), coalesce(_told_customer, customer), anonymous_customer_id, activity,
feature_json::JSON::VARCHAR, revenue_impact, link, _org_id, _session_id, _source, _query_tag, _identity, _also_id::VARCHAR, _also_id_2::VARCHAR, _observations,
_first_seq, customer"""
_IN_RANGE = "ts >= make_timestamp($low::BIGINT) AND ts <= make_timestamp($high::BIGINT)"
_IDS = "(SELECT unnest($ids::UUID[]))"
_KNOWN = f"SELECT {_READ_COLUMNS} FROM {STREAM} WHERE {_IN_RANGE} AND activity_id IN {_IDS}"
_ALIASED = f"""SELECT {_READ_COLUMNS} FROM {STREAM}
 WHERE {_IN_RANGE} AND activity IN ({", ".join(f"'{name}'" for name in sorted(ALIASED))})
   AND (_also_id IN {_IDS} OR _also_id_2 IN {_IDS})"""
_PLACES = f"SELECT activity_id::VARCHAR, epoch_us(ts) FROM {STREAM} WHERE activity_id IN {_IDS}"
_ALIASED_PLACES = f"""SELECT activity_id::VARCHAR, epoch_us(ts) FROM {STREAM}
 WHERE activity IN ({", ".join(f"'{name}'" for name in sorted(ALIASED))}) AND (_also_id IN {_IDS} OR _also_id_2 IN {_IDS})"""
_DELETE = f"""DELETE FROM {STREAM} WHERE {_IN_RANGE} AND activity_id IN {_IDS}
RETURNING activity_id::VARCHAR, activity_occurrence, epoch_us(activity_repeated_at)"""
_LAST_SEQ = f"""
SELECT greatest(coalesce((SELECT max(_seq) FROM {STREAM}), 0), coalesce((SELECT max(_replaced_seq) FROM _STREAM_BEFORE), 0),
                coalesce((SELECT max(seq) FROM _STREAM_OFFSETS WHERE source_table = '{STREAM}'), 0))"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Extent: TypeAlias = tuple[int, int]
"""First and last time, in microseconds since 1970."""

_EVER: Extent = (
    columns.microseconds(datetime.min.replace(tzinfo=UTC)),
    columns.microseconds(datetime.max.replace(tzinfo=UTC)),
)
_NEAR_US = NEAR // timedelta(microseconds=1)


class Merger:
    """One thread at a time. `is_followed`: whether anybody wants to know how replaced rows stood."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        clock: Clock,
        is_followed: Callable[[], bool] = lambda: False,
        rules: Callable[[], Rules] = Rules,
    ) -> None:
        """`rules`: under whom rows are to be shown, as it stands in that moment."""
        self._connection = connection
        self._clock = clock
        self._is_followed = is_followed
        self._rules = rules
        self.seq = int(connection.execute(_LAST_SEQ).fetchall()[0][0])
        """Number of the last commit that wrote the stream."""
        self._recent = Recent()

    @cached_property
    def _known(self) -> Known:
        return Known(self._connection, STREAM, ("activity_id", "_also_id", "_also_id_2"))

    def forget(self) -> None:
        """Somebody else has changed rows."""
        self._recent.forget()

    def close(self) -> None:
        if "_known" in self.__dict__:
            self._known.close()

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        if not activities:
            return Merged()
        try:
            return self._merge(activities)
        except duckdb.OutOfMemoryException as error:
            if len(activities) > 1:
                raise  # half of them may fit
            raise WarehouseUnready(f"no memory for one activity: {str(error).splitlines()[0]}.") from error

    def _merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        names_of = [activity.names for activity in activities]
        names = [name for names in names_of for name in names]
        stored = self._stored(activities, self._known.maybe(names))
        taken = _repeated(names).union(*(found.row.names for found in stored.values()))
        is_fresh = list(map(taken.isdisjoint, names_of))
        fresh = _Fresh(list(map(_raw, compress(activities, is_fresh))), list(compress(names_of, is_fresh)))
        told = [activity for activity, new in zip(activities, is_fresh, strict=True) if not new]
        changed, absorbed, merged = joined(map(whole, told), stored)
        self._write(fresh, self._rows(changed), [stored[name] for name in absorbed])
        return merged + Merged(inserted=len(fresh.rows))

    # -- looking up ------------------------------------------------------------------------------------------------

    def _stored(self, activities: Sequence[Activity | RawActivity], maybe: set[str]) -> dict[str, Stored]:
        """Rows that hold any of the names: written lately, else looked for around their own time, else everywhere."""
        if not maybe:
            return {}
        found: dict[str, Stored] = {}
        near: dict[str, Extent] = {}
        shared: set[str] = set()
        nameable: set[str] = set()
        for activity in activities:
            for name in maybe.intersection(activity.names):
                if activity.activity in ALIASED:
                    nameable.add(name)
                if (recent := self._recent.get(name)) is not None:
                    found[recent.row.activity_id] = recent
                elif self._recent.knows(name):
                    shared.add(name)
                else:
                    extent = _near(columns.microseconds(activity.ts))
                    near[name] = _hull(extent, near.get(name, extent))
        for low, high, names in _ranges(near):
            found |= self._look(names, nameable, low, high)
        missing = shared | set(near).difference(*(stored.row.names for stored in found.values()))
        if missing:
            found |= self._look_everywhere(missing, nameable)
        return found

    def _look_everywhere(self, names: set[str], nameable: set[str]) -> dict[str, Stored]:
        """First which rows it is, and when: DuckDB would read every column of every row to find a few."""
        places: dict[str, Extent] = {}
        for statement, wanted in ((_PLACES, names), (_ALIASED_PLACES, names & nameable)):
            if wanted:
                found = self._connection.execute(statement, {"ids": list(wanted)}).fetchall()
                places.update((name, (ts, ts)) for name, ts in found)
        rows: dict[str, Stored] = {}
        for low, high, ids in _ranges(places):
            rows |= self._look(ids, set(), low, high)
        return rows

    def _look(self, names: set[str], nameable: set[str], low: int, high: int) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        for statement, wanted in ((_KNOWN, names), (_ALIASED, names & nameable)):
            if wanted:
                values = {"ids": list(wanted), "low": low, "high": high}
                rows = self._connection.execute(statement, values).fetchall()
                found.update((stored.row.activity_id, stored) for stored in map(_decoded, rows))
        return found

    # -- writing ---------------------------------------------------------------------------------------------------

    def _rows(self, changed: list[Changed]) -> list[_Row]:
        shown = self._shown([one.activity for one in changed])
        return [_Row(one.activity, who, one.seen, one.stored) for one, who in zip(changed, shown, strict=True)]

    def _write(self, fresh: _Fresh, rows: list[_Row], absorbed: list[Stored]) -> None:
        if not fresh.rows and not rows and not absorbed:
            return
        seq = self.seq + 1
        times = [columns.microseconds(row.ts) for row in fresh.rows]
        shown = self._shown(fresh.rows)
        self._known.add([*chain.from_iterable(fresh.names), *(name for row in rows for name in row.activity.names)])
        replaced = absorbed + [row.stored for row in rows if row.stored is not None]
        self._connection.execute("BEGIN")
        try:
            numbered = self._replace(replaced, seq) if replaced else {}
            batch = self._batch(
                fresh.rows, times, shown, [(row, numbered.get(row.activity.activity_id)) for row in rows], seq
            )
            if batch:
                self._insert(*columns.insert(batch))
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(duckdb.Error):  # a commit that failed has ended its transaction itself
                self._connection.execute("ROLLBACK")
            raise
        self.seq = seq
        self._recent.drop(replaced)
        self._recent.put_fresh(fresh.rows, fresh.names, times, shown, seq)
        self._recent.put(row.written(seq) for row in rows)

    def _shown(self, activities: Sequence[Columns]) -> list[str | None]:
        rules = self._rules()
        return [rules.shown(a) for a in activities] if rules else [a.customer for a in activities]

    def _replace(self, replaced: list[Stored], seq: int) -> dict[str, _Numbered]:
        """Takes rows out; as they stood they are kept for consumers of changes, if there are any. Gives the numbers that
        a task has given them meanwhile."""
        numbered: dict[str, _Numbered] = {}
        if self._is_followed():
            self._insert(*columns.insert_before([_before(stored, seq) for stored in replaced]))
        for low, high, ids in _ranges({stored.row.activity_id: (stored.ts, stored.ts) for stored in replaced}):
            deleted = self._connection.execute(_DELETE, {"ids": list(ids), "low": low, "high": high}).fetchall()
            numbered.update((name, (occurrence, repeated_at)) for name, occurrence, repeated_at in deleted)
        return numbered

    def _batch(
        self,
        fresh: list[RawActivity],
        times: list[int],
        shown: list[str | None],
        rows: list[tuple[_Row, _Numbered | None]],
        seq: int,
    ) -> columns.Batch:
        ingested_at = columns.microseconds(self._clock.now())
        encoded = columns.of_rows([_encoded(row, numbered or (None, None), ingested_at, seq) for row, numbered in rows])
        return columns.together(columns.of_fresh(fresh, times, shown, ingested_at, seq) if fresh else {}, encoded)

    def _insert(self, statement: str, source: object) -> None:
        self._connection.register(columns.SOURCE, source)
        try:
            self._connection.execute(statement)
        finally:
            with suppress(duckdb.Error):  # a transaction that failed has taken it along
                self._connection.unregister(columns.SOURCE)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """Facts that are certain to be new, and the names of each."""

    rows: list[RawActivity]
    names: list[tuple[str, ...]]


_Numbered: TypeAlias = tuple[int | None, int | None]
"""activity_occurrence, and activity_repeated_at in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What is to be written of one fact, and the row that it replaces."""

    activity: Activity
    shown: str | None
    seen: Observations
    stored: Stored | None

    def written(self, seq: int) -> Stored:
        """As it stands after the commit of this number."""
        known = {source: one.without_nulls() for source, one in self.seen.items()}
        first_seq = self.stored.first_seq if self.stored else seq
        ts = columns.microseconds(self.activity.ts)
        return Stored(self.activity.without_nulls(), self.shown, known, ts, first_seq)


def _repeated(names: list[str]) -> set[str]:
    if len(set(names)) == len(names):
        return set()
    return {name for name, count in Counter(names).items() if count > 1}


def _raw(activity: Activity | RawActivity) -> RawActivity:
    if isinstance(activity, RawActivity):
        return activity
    values = {name: getattr(activity, name) for name in Columns.__struct_fields__}
    return RawActivity(feature_json=msgspec.Raw(columns.encoded(activity.feature_json).encode()), **values)


def _near(ts: int) -> Extent:
    return (max(ts - _NEAR_US, _EVER[0]), min(ts + _NEAR_US, _EVER[1]))


def _hull(left: Extent, right: Extent) -> Extent:
    return (min(left[0], right[0]), max(left[1], right[1]))


def _ranges(wanted: dict[str, Extent]) -> list[tuple[int, int, set[str]]]:
    """Names by where to look for them: a few ranges of time with wide gaps between them, or one range over all."""
    ranges: list[tuple[int, int, set[str]]] = []
    for name, (low, high) in sorted(wanted.items(), key=lambda item: item[1]):
        if ranges and low <= ranges[-1][1] + _NEAR_US:
            ranges[-1][2].add(name)
            ranges[-1] = (ranges[-1][0], max(high, ranges[-1][1]), ranges[-1][2])
        else:
            ranges.append((low, high, {name}))
    if len(ranges) <= RANGES_MAX:
        return ranges
    return [(ranges[0][0], max(high for _, high, _ in ranges), set(wanted))]


def _before(stored: Stored, seq: int) -> tuple[Any, ...]:
    """Values in the order of `columns.BEFORE`."""
    row, told = stored.row, hot(stored.row.feature_json)
    return (
        seq, row.activity_id, stored.ts, stored.shown, row.anonymous_customer_id, row.activity,
        columns.encoded(row.feature_json), row.revenue_impact, row.link, row.org_id, row.session_id,
        ",".join(sorted(stored.seen)), stored.first_seq, *(getattr(told, name) for name in told.__struct_fields__),
    )  # fmt: skip


_observations_decoder = msgspec.json.Decoder(list[Activity])


def _decoded(row: tuple[Any, ...]) -> Stored:
    (activity_id, ts_us, customer, anonymous, activity, features, revenue, link, org, session, source, tag, identity,
     also, also_2, observations, first_seq, shown) = row  # fmt: skip
    stored = Activity(
        activity_id=activity_id, ts=_EPOCH + timedelta(microseconds=ts_us), customer=customer,
        anonymous_customer_id=anonymous, activity=activity,
        feature_json={name: value for name, value in msgspec.json.decode(features).items() if value is not None},
        revenue_impact=revenue, link=link, org_id=org, session_id=session, source=source, query_tag=tag,
        identity=identity, also_id=also, also_id_2=also_2,
    )  # fmt: skip
    seen = [stored] if observations is None else _observations_decoder.decode(observations)
    return Stored(stored, shown, {one.source: one for one in seen}, ts_us, first_seq)


def _encoded(row: _Row, numbered: _Numbered, ingested_at: int, seq: int) -> tuple[Any, ...]:
    """Values in the order of `columns.COLUMNS`."""
    activity, stored = row.activity, row.stored
    sources = sorted(row.seen)
    observations = packed(row.seen) if len(sources) > 1 else None
    told = hot(activity.feature_json)
    return (
        activity.activity_id, columns.microseconds(activity.ts), row.shown, activity.anonymous_customer_id,
        activity.activity, columns.encoded(activity.without_nulls().feature_json), activity.revenue_impact, activity.link,
        *numbered,
        activity.org_id, activity.session_id, ",".join(sources), SCHEMA_VERSION, ingested_at, activity.query_tag,
        activity.identity, activity.also_id, activity.also_id_2, observations,
        *(getattr(told, name) for name in told.__struct_fields__), columns.beside(activity.customer, row.shown), seq, stored.first_seq if stored else seq,
    )  # fmt: skip
