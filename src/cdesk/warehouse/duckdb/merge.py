"""Merges a batch of observations into the stream, each fact once.

A batch is read against the rows it may already have, joined with them in memory (`activity/merge.py`), and only
what changed is written, in one transaction. An id may come again at any time, in any session, from any source, and
must be found; but most are new, and most others were written a moment ago. `known.py` tells which, so that the cost
of a batch does not grow with the table: new ones are not looked for, recent ones only where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import duckdb
import msgspec

from cdesk.activity.catalog import complete
from cdesk.activity.merge import fold, join
from cdesk.activity.model import SCHEMA_VERSION, Activity, Features
from cdesk.clock import Clock
from cdesk.errors import WarehouseUnready
from cdesk.warehouse.duckdb.known import Known
from cdesk.warehouse.warehouse import STREAM, Merged

ALIASED = frozenset({"claude_responded", "user_asked", "message_injected"})
"""Activities that sources know by different names."""

_COLUMNS = (
    ("activity_id", "UUID"), ("ts", "TIMESTAMP"), ("customer", "VARCHAR"), ("anonymous_customer_id", "VARCHAR"),
    ("activity", "VARCHAR"), ("feature_json", "JSON"), ("revenue_impact", "DOUBLE"), ("link", "VARCHAR"),
    ("_org_id", "VARCHAR"), ("_session_id", "VARCHAR"), ("_source", "VARCHAR"), ("_schema_version", "INTEGER"),
    ("_ingested_at", "TIMESTAMP"), ("_query_tag", "VARCHAR"), ("_identity", "VARCHAR"), ("_also_id", "UUID"),
    ("_also_id_2", "UUID"), ("_observations", "VARCHAR"),
    ("_project_path", "VARCHAR"), ("_model", "VARCHAR"), ("_speed", "VARCHAR"), ("_is_counted", "BOOLEAN"),
    ("_prompt_tokens", "BIGINT"), ("_completion_tokens", "BIGINT"), ("_cache_creation_5m_tokens", "BIGINT"),
    ("_cache_creation_1h_tokens", "BIGINT"), ("_cache_read_tokens", "BIGINT"), ("_seq", "BIGINT"), ("_first_seq", "BIGINT"),
)  # fmt: skip
_NAMES = [name for name, _ in _COLUMNS]
_LISTS = ", ".join(f"unnest(${name}::{'VARCHAR' if kind == 'JSON' else kind}[]) AS {name}" for name, kind in _COLUMNS)
_SOURCE = (
    "SELECT "
    + ", ".join(f"{n}::JSON::VARIANT AS {n}" if n == "feature_json" else n for n in _NAMES)
    + f" FROM (SELECT {_LISTS})"
)
"""One bound list a column: measured a third faster than one JSON document, and needs no file."""
_INSERT = f"INSERT INTO {STREAM} ({', '.join(_NAMES)}) {_SOURCE}"
_MERGE = f"""
MERGE INTO {STREAM} AS t USING ({_SOURCE}) AS s
   ON t.activity_id = s.activity_id AND t.ts >= make_timestamp($low::BIGINT) AND t.ts <= make_timestamp($high::BIGINT)
 WHEN MATCHED THEN UPDATE SET {", ".join(f"{n} = s.{n}" for n in _NAMES[1:] if n != "_first_seq")}
 WHEN NOT MATCHED THEN INSERT ({", ".join(_NAMES)}) VALUES ({", ".join(f"s.{n}" for n in _NAMES)})"""
_KNOWN = f"""
SELECT activity_id::VARCHAR, epoch_us(ts), customer, anonymous_customer_id, activity, feature_json::JSON::VARCHAR,
       revenue_impact, link, _org_id, _session_id, _source, _query_tag, _identity, _also_id::VARCHAR,
       _also_id_2::VARCHAR, _observations
  FROM {STREAM}
 WHERE ts >= make_timestamp($low::BIGINT) AND ts <= make_timestamp($high::BIGINT) AND activity_id IN (SELECT unnest($ids::UUID[]))"""
_ALIASED = _KNOWN.replace(
    "activity_id IN (SELECT unnest($ids::UUID[]))",
    """activity IN ('claude_responded', 'user_asked', 'message_injected')
   AND (_also_id IN (SELECT unnest($ids::UUID[])) OR _also_id_2 IN (SELECT unnest($ids::UUID[])))""",
)
_DELETE = f"DELETE FROM {STREAM} WHERE ts >= make_timestamp($low::BIGINT) AND ts <= make_timestamp($high::BIGINT) AND activity_id IN (SELECT unnest($ids::UUID[]))"
_BEFORE = (
    "activity_id", "ts", "customer", "anonymous_customer_id", "activity", "feature_json", "revenue_impact", "link",
    "_org_id", "_session_id", "_source", "_first_seq", "_project_path", "_model", "_speed", "_is_counted",
    "_prompt_tokens", "_completion_tokens", "_cache_creation_5m_tokens", "_cache_creation_1h_tokens",
    "_cache_read_tokens",
)  # fmt: skip
_KEEP_BEFORE = f"""
INSERT INTO _STREAM_BEFORE (_replaced_seq, {", ".join(_BEFORE)}) SELECT $seq, {", ".join(_BEFORE)} FROM {STREAM}
 WHERE ts >= make_timestamp($low::BIGINT) AND ts <= make_timestamp($high::BIGINT) AND activity_id IN (SELECT unnest($ids::UUID[]))"""
_LAST_SEQ = f"""
SELECT greatest(coalesce((SELECT max(_seq) FROM {STREAM}), 0), coalesce((SELECT max(_replaced_seq) FROM _STREAM_BEFORE), 0),
                coalesce((SELECT max(seq) FROM _STREAM_OFFSETS), 0))"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVER = (datetime.min, datetime.max)

Observations = dict[str, Activity]  # by source


@dataclass(slots=True)
class _Fact:
    """What is known of one fact: its stored row if any, and each source's observation, then and now."""

    name: str
    stored: Activity | None = None
    seen_before: Observations = field(default_factory=dict)
    seen: Observations = field(default_factory=dict)

    def add(self, activity: Activity) -> None:
        seen, known = _without_nulls(activity), self.seen.get(activity.source)
        if known is not None:
            ids = (known.activity_id, seen.activity_id)
            seen = join(known, seen)
            if self.name in ids:  # who knew the fact's first name still does
                seen = msgspec.structs.replace(seen, activity_id=self.name)
        self.seen[activity.source] = seen


_NOT_THE_DATA = (
    duckdb.IOException, duckdb.TransactionException, duckdb.ConnectionException, duckdb.FatalException,
    duckdb.InterruptException,
)  # fmt: skip


class Merger:
    """One thread at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self.seq = int(connection.execute(_LAST_SEQ).fetchall()[0][0])
        """Number of the last commit that wrote the stream."""

    @cached_property
    def _known(self) -> Known:
        return Known(self._connection, STREAM, ("activity_id", "_also_id", "_also_id_2"))

    def merge(self, activities: Sequence[Activity]) -> Merged:
        if not activities:
            return Merged()
        try:
            stored = self._stored(activities)
            facts, absorbed, told = _facts(activities, stored)
            rows, merged = self._changed(facts, told)
            self._write(rows, absorbed, merged, [row.ts for row, _ in stored.values()])
        except _NOT_THE_DATA as error:
            raise WarehouseUnready(
                f"the warehouse cannot write now: {str(error).splitlines()[0]}.",
                "Nothing is lost, it is tried again; see that there is disk space, and restart the service if it stays.",
            ) from error
        return merged

    def _stored(self, activities: Sequence[Activity]) -> dict[str, tuple[Activity, Observations]]:
        ids = {a.activity_id for a in activities}
        names = ids.union(*map(_other_names, activities))
        nameable = {name for a in activities if a.activity in ALIASED for name in (a.activity_id, *_other_names(a))}
        maybe = self._known.maybe(names)
        low, high = map(_microseconds, self._known.extent(maybe) or _EVER)
        found: dict[str, tuple[Activity, Observations]] = {}
        for statement, wanted in ((_KNOWN, names & maybe), (_ALIASED, nameable & maybe)):
            if wanted:
                rows = self._connection.execute(statement, {"ids": list(wanted), "low": low, "high": high}).fetchall()
                found.update((row.activity_id, (row, seen)) for row, seen in map(_decoded, rows))
        for row, _ in found.values():
            self._known.remember((row.activity_id, *_other_names(row)), _naive(row.ts))
        return found

    def _changed(self, facts: dict[str, _Fact], told: set[str]) -> tuple[list[tuple[Any, ...]], Merged]:
        rows: list[tuple[Any, ...]] = []
        inserted = updated = unchanged = 0
        ingested_at = _naive(self._clock.now())
        for activity_id, fact in facts.items():
            row = msgspec.structs.replace(fold(fact.seen.values()), activity_id=activity_id)
            if not fact.seen_before:
                inserted += 1
            elif _same(row, fact):
                unchanged += activity_id in told
                continue
            else:
                updated += 1
            rows.append((*_encoded(row, fact.seen, ingested_at), self.seq + 1, self.seq + 1))
            self._known.add((row.activity_id, *_other_names(row)), _naive(row.ts))
        return rows, Merged(inserted, updated, unchanged)

    def _write(self, rows: list[tuple[Any, ...]], absorbed: list[str], merged: Merged, known: list[datetime]) -> None:
        """`known`: the times of the rows that may change or go."""
        if not rows and not absorbed:
            return
        low, high = (_microseconds(_naive(min(known))), _microseconds(_naive(max(known)))) if known else (None, None)
        self._connection.execute("BEGIN")
        try:
            if known:
                replaced = [*absorbed, *(row[0] for row in rows)]
                self._connection.execute(_KEEP_BEFORE, {"ids": replaced, "low": low, "high": high, "seq": self.seq + 1})
            if absorbed:
                self._connection.execute(_DELETE, {"ids": absorbed, "low": low, "high": high})
            if rows:
                columns: dict[str, Any] = dict(zip(_NAMES, map(list, zip(*rows, strict=True)), strict=True))
                if merged.updated:
                    self._connection.execute(_MERGE, {**columns, "low": low, "high": high})
                else:
                    self._connection.execute(_INSERT, columns)
            self._connection.execute("COMMIT")
            self.seq += 1
        except BaseException:
            with suppress(duckdb.Error):  # a commit that failed has ended its transaction itself
                self._connection.execute("ROLLBACK")
            raise


def _facts(
    activities: Iterable[Activity], stored: dict[str, tuple[Activity, Observations]]
) -> tuple[dict[str, _Fact], list[str], set[str]]:
    """The batch grouped by fact, under its first name; stored rows that turn out to be another's second name; and
    the facts that the batch is about.

    An observation goes to whom its name belongs to now: where several facts share a second name, that may be another
    one than when it came.
    """
    names = _first_names(activities, stored)
    facts: dict[str, _Fact] = {}
    for activity in activities:
        name = names.get(activity.activity_id, activity.activity_id)
        facts.setdefault(name, _Fact(name)).add(activity)
    told = set(facts)
    absorbed = []
    for row_id, (row, seen) in stored.items():
        home = names.get(row_id, row_id)
        kept = facts.setdefault(home, _Fact(home))
        if home == row_id:
            kept.stored = row
        else:
            absorbed.append(row_id)
        kept.seen_before |= seen
        for observation in seen.values():
            name = home if len(seen) == 1 else names.get(observation.activity_id, home)
            facts.setdefault(name, _Fact(name)).add(observation)
    return facts, absorbed, told


def _first_names(activities: Iterable[Activity], stored: dict[str, tuple[Activity, Observations]]) -> dict[str, str]:
    """Second name → first name. Where several facts share a second name, the smallest first name has it."""
    names: dict[str, str] = {}
    for activity in (*activities, *(row for row, _ in stored.values())):
        for name in _other_names(activity):
            known = names.get(name)
            names[name] = activity.activity_id if known is None else min(known, activity.activity_id)
    return {name: _end(names, first) for name, first in names.items()}


def _end(names: dict[str, str], name: str) -> str:
    """Follows first names to the last one: a request id may name a message, and the message its response."""
    for _ in range(3):
        name = names.get(name, name)
    return name


def _other_names(activity: Activity) -> tuple[str, ...]:
    return tuple(
        name for name in (activity.also_id, activity.also_id_2) if name is not None and name != activity.activity_id
    )


def _same(row: Activity, fact: _Fact) -> bool:
    """Whether the stored row says it all already: what is seen, and what each source said behind it."""
    if fact.stored is None or fact.seen != fact.seen_before or _bare(row) != _bare(fact.stored):
        return False
    return _packed(fact.seen) == _packed(fact.seen_before)  # 1, 1.0 and true are equal, and not the same


def _bare(row: Activity) -> Activity:
    return _without_nulls(msgspec.structs.replace(row, source="cdesk"))


def _without_nulls(activity: Activity) -> Activity:
    features = activity.feature_json
    if None not in features.values():
        return activity
    known = {name: value for name, value in features.items() if value is not None}
    return msgspec.structs.replace(activity, feature_json=known)


def _packed(seen: Observations) -> str:
    return msgspec.json.encode([seen[source] for source in sorted(seen)], order="deterministic").decode()


_observations_decoder = msgspec.json.Decoder(list[Activity])


def _decoded(row: tuple[Any, ...]) -> tuple[Activity, Observations]:
    (activity_id, ts_us, customer, anonymous, activity, features, revenue, link, org, session, source, tag, identity,
     also, also_2, observations) = row  # fmt: skip
    stored = Activity(
        activity_id=activity_id, ts=_EPOCH + timedelta(microseconds=ts_us), customer=customer,
        anonymous_customer_id=anonymous, activity=activity,
        feature_json={name: value for name, value in msgspec.json.decode(features).items() if value is not None},
        revenue_impact=revenue, link=link, org_id=org, session_id=session, source=source, query_tag=tag,
        identity=identity, also_id=also, also_id_2=also_2,
    )  # fmt: skip
    if observations is None:
        return stored, {stored.source: stored}
    return stored, {seen.source: seen for seen in _observations_decoder.decode(observations)}


def _encoded(row: Activity, seen: Observations, ingested_at: datetime) -> tuple[Any, ...]:
    """Values in the order of `_COLUMNS`."""
    sources = sorted(seen)
    observations = _packed(seen) if len(sources) > 1 else None
    return (
        row.activity_id, _naive(row.ts), row.customer, row.anonymous_customer_id, row.activity,
        _encode(complete(row.activity, row.feature_json)).decode(), row.revenue_impact, row.link, row.org_id,
        row.session_id, ",".join(sources), SCHEMA_VERSION, ingested_at, row.query_tag, row.identity, row.also_id,
        row.also_id_2, observations, *_hot(row.feature_json),
    )  # fmt: skip


def _hot(features: Features) -> tuple[Any, ...]:
    """What reports sum over every day: beside the VARIANT as columns of its own type, read twenty times faster."""
    return (
        *(
            value if isinstance(value := features.get(name), str) else None
            for name in ("project_path", "model", "speed")
        ),
        value if isinstance(value := features.get("is_counted"), bool) else None,
        *(value if type(value := features.get(name)) is int and abs(value) < 2**63 else None for name in _TOKENS),
    )


_TOKENS = (
    "prompt_tokens", "completion_tokens", "cache_creation_5m_tokens", "cache_creation_1h_tokens", "cache_read_tokens",
)  # fmt: skip
_encode = msgspec.json.Encoder().encode


def _naive(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _microseconds(at: datetime) -> int:
    """Since 1970. Bound as a number, because DuckDB takes Python's last datetime for infinity."""
    return (at - _EPOCH.replace(tzinfo=None)) // timedelta(microseconds=1)
