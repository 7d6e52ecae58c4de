"""Keeps identity operations, and rewrites the rows of the stream that they show under another customer.

    IDENTITY_OPERATION ──those that stand──▶ Rules ──▶ the merge, for every row it writes
                                                  └──▶ rewrite: rows whose customer is not the one to show

A rewriting walks through time in chunks of about CHUNK_ROWS rows to change; each chunk is a commit of its own, with a
number of its own, and for who follows changes the rows as they were in `_STREAM_BEFORE`. It looks for rows that are not
shown as they should be, so one that was cut short is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import duckdb
import msgspec

from cdesk.activity.model import Columns, Person
from cdesk.activity.resolution import REMOVED, Claim, Count, IdentityOperation, Rules
from cdesk.clock import Clock
from cdesk.warehouse.duckdb.trouble import Healing, translated
from cdesk.warehouse.warehouse import STREAM

CHUNK_ROWS = 20_000

Commit: TypeAlias = Callable[[], AbstractContextManager[int]]
"""Opens a transaction as the only writer, and gives the number its commit will have."""
Tell: TypeAlias = Callable[[int, int], None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNING_US = -62_135_596_800_000_000
_END_US = 253_402_300_799_999_999

_WRONG = f"""
WITH corrected AS (SELECT unnest($facts::UUID[]) AS fact, unnest($fact_owners::VARCHAR[]) AS owner),
     linked AS (SELECT unnest($anonymous_ids::VARCHAR[]) AS anonymous_id, unnest($owners::VARCHAR[]) AS owner,
                       unnest($starts::BIGINT[]) AS starts, unnest($ends::BIGINT[]) AS ends),
     named AS (SELECT unnest($names::VARCHAR[]) AS name, unnest($customers::VARCHAR[]) AS customer),
     owned AS (
    SELECT s.activity_id, s.ts, s.customer, s.anonymous_customer_id, coalesce(s._told_customer, s.customer) AS told,
           coalesce(c.owner, c1.owner, c2.owner, l.owner, s._told_customer, s.customer) AS owner
      FROM {STREAM} AS s
      LEFT JOIN corrected AS c ON c.fact = s.activity_id
      LEFT JOIN corrected AS c1 ON c1.fact = s._also_id
      LEFT JOIN corrected AS c2 ON c2.fact = s._also_id_2
      LEFT JOIN linked AS l ON l.anonymous_id = s.anonymous_customer_id
                           AND epoch_us(s.ts) >= l.starts AND epoch_us(s.ts) < l.ends
     WHERE s.ts >= make_timestamp($low::BIGINT) AND s.ts <= make_timestamp($high::BIGINT)
)
SELECT o.activity_id, o.ts, o.customer, o.told,
       CASE WHEN n.name IS NULL THEN o.owner
            WHEN n.customer IS NULL AND o.anonymous_customer_id IS NULL THEN '{REMOVED}'
            ELSE n.customer END AS shown
  FROM owned AS o LEFT JOIN named AS n ON n.name = o.owner
 WHERE o.customer IS DISTINCT FROM shown"""
_STARTS = f"""
SELECT starts, total FROM (
    SELECT epoch_us(ts) AS starts, row_number() OVER (ORDER BY ts) AS place, count(*) OVER () AS total FROM ({_WRONG})
) WHERE (place - 1) % $chunk_rows = 0 ORDER BY starts"""
_MOVES = f"SELECT customer, shown, count(*) FROM ({_WRONG}) GROUP BY ALL"
_ROWS_OF = (
    f"SELECT customer, count(*) FROM {STREAM} WHERE customer IS NULL OR list_contains($names, customer) GROUP BY ALL"
)

_CHUNK = f"CREATE TEMP TABLE _identity_chunk AS {_WRONG}"
_END_CHUNK = "DROP TABLE _identity_chunk"
_IN_CHUNK = """ts >= make_timestamp($low::BIGINT) AND ts <= make_timestamp($high::BIGINT)
   AND activity_id IN (SELECT activity_id FROM _identity_chunk) AND EXISTS (SELECT 1 FROM _STREAM_OFFSETS)"""
_REWRITE = f"""
UPDATE {STREAM} AS s
   SET customer = c.shown, _told_customer = CASE WHEN c.told IS DISTINCT FROM c.shown THEN c.told END,
       _seq = $seq, _ingested_at = make_timestamp($now::BIGINT)
  FROM _identity_chunk AS c
 WHERE s.activity_id = c.activity_id AND s.ts >= make_timestamp($low::BIGINT) AND s.ts <= make_timestamp($high::BIGINT)"""

_TIMES = ("identified_at", "said_at", "undone_at")
_OPERATION_COLUMNS = (
    "number", "kind", "subject", "customer", "identified_at", "said_at", "said_by", "reason", "rows_changed", "counts",
    "undone_at", "undone_by", "undone_reason", "rows_restored", "is_settled",
)  # fmt: skip
_OPERATIONS = f"""
SELECT {", ".join("counts::JSON::VARCHAR" if name == "counts" else name for name in _OPERATION_COLUMNS)}
  FROM IDENTITY_OPERATION ORDER BY number"""
_RECORD = f"""
INSERT INTO IDENTITY_OPERATION ({", ".join(_OPERATION_COLUMNS)})
SELECT {", ".join("$counts::JSON::VARIANT" if name == "counts" else f"${name}" for name in _OPERATION_COLUMNS)}"""
_FORGET = "DELETE FROM IDENTITY_OPERATION WHERE number = $number"

_CUSTOMERS = f"SELECT customer FROM {STREAM} UNION SELECT _told_customer FROM {STREAM}"
_ANONYMOUS_IDS = f"SELECT DISTINCT anonymous_customer_id FROM {STREAM}"
_HAS_FACT = f"SELECT 1 FROM {STREAM} WHERE $id::UUID IN (activity_id, _also_id, _also_id_2) LIMIT 1"
_BEFORE_COLUMNS = "SELECT column_name FROM duckdb_columns() WHERE table_name = '_STREAM_BEFORE' ORDER BY column_index"


class Identities:
    """The operations of one warehouse, in the order in which they were said, and the rules that follow from them.

    `connection`: the one that is open now. Every row is written by `rules` as they are in that moment. Whoever operates does so one at a time.
    """

    def __init__(
        self,
        connection: Callable[[], duckdb.DuckDBPyConnection],
        commit: Commit,
        clock: Clock,
        healing: Healing = nullcontext,
    ) -> None:
        self._connection = connection
        self._commit = commit
        self._healing = healing
        self._clock = clock
        self._follow(_operations(connection()))

    def record(self, operation: IdentityOperation) -> None:
        """Puts the operation on record, or a new state of one, and its rules into force."""
        before = self.operations
        others = [known for known in before if known.number != operation.number]
        try:
            with self._commit():
                self._connection().execute(_FORGET, {"number": operation.number})
                self._connection().execute(_RECORD, _values(operation))
                self._follow(sorted([*others, operation], key=lambda known: known.number))
        except BaseException:
            self._follow(before)
            raise

    def counts(self, claims: Iterable[Claim]) -> tuple[int, tuple[Count, ...]]:
        """Rows that would change if exactly these claims stood, and what it would mean for each customer."""
        moves = self._read(_MOVES, _bound(Rules(claims)))
        names = {name for before, after, _ in moves for name in (before, after)}
        rows = self._read(_ROWS_OF, {"names": [name for name in names if name is not None]})
        before = dict.fromkeys(names, 0) | {name: count for name, count in rows if name in names}
        after = dict(before)
        for left, gained, count in moves:
            after[left] -= count
            after[gained] += count
        counts = (
            Count(name, before[name], after[name]) for name in sorted(names, key=lambda name: (name is None, name))
        )
        return sum(count for _, _, count in moves), tuple(counts)

    def rewrite(self, tell: Tell) -> None:
        """Every row is shown as the rules say, committed chunk by chunk; `tell` hears of rows done, and of how many."""
        found = self._read(_STARTS, _bound(self.rules) | {"chunk_rows": CHUNK_ROWS})
        done = 0
        for low, high in pairwise([*sorted({start for start, _ in found}), _END_US + 1]):
            done += self._rewrite(low, high - 1)
            tell(done, found[0][1])

    def shown(self, who: Person) -> str | None:
        """As whom a person's facts of now are shown; None when they are nobody's."""
        return self.rules.shown(Columns(
            activity_id="", ts=self._clock.now(), activity="", customer=who.customer,
            anonymous_customer_id=who.anonymous_customer_id, source="cdesk",
        ))  # fmt: skip

    def customers(self) -> set[str]:
        """All names that facts were told with, or are shown under."""
        return self._texts(_CUSTOMERS)

    def anonymous_ids(self) -> set[str]:
        return self._texts(_ANONYMOUS_IDS)

    def has_fact(self, activity_id: str) -> bool:
        return bool(self._read(_HAS_FACT, {"id": activity_id}))

    def _rewrite(self, low: int, high: int) -> int:
        extent = {"low": low, "high": high}
        now = _microseconds(self._clock.now())
        with self._commit() as seq:
            self._connection().execute(_CHUNK, _bound(self.rules) | extent)
            self._connection().execute(self._keep_before(), {**extent, "seq": seq})
            [[rows]] = self._connection().execute(_REWRITE, {**extent, "seq": seq, "now": now}).fetchall()
            self._connection().execute(_END_CHUNK)
        return int(rows)

    def _keep_before(self) -> str:
        """Whatever the table of replaced rows keeps of a row, if anybody follows changes."""
        names = [name for (name,) in self._connection().execute(_BEFORE_COLUMNS).fetchall()]
        kept = ", ".join("$seq" if name == "_replaced_seq" else name for name in names)
        return f"INSERT INTO _STREAM_BEFORE ({', '.join(names)}) SELECT {kept} FROM {STREAM} WHERE {_IN_CHUNK}"

    def _follow(self, operations: list[IdentityOperation]) -> None:
        """While nobody else writes, so that a row is written by the rules before or after, and then looked at again."""
        self.operations = operations
        self.rules = Rules(operation for operation in operations if operation.stands)

    def _texts(self, sql: str) -> set[str]:
        return {text for (text,) in self._read(sql, {}) if text is not None}

    def _read(self, sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._healing(), translated(), self._connection().cursor() as cursor:
            return cursor.execute(sql, values).fetchall()


def _bound(rules: Rules) -> dict[str, Any]:
    """The rules as the lists that `_WRONG` takes, for all of time."""
    windows = [
        (anonymous_id, window.customer, _microseconds(window.starts), end)
        for anonymous_id, line in rules.timelines.items()
        for window, end in zip(line, [*(_microseconds(w.starts) for w in line[1:]), _END_US + 1], strict=True)
    ]
    anonymous_ids, owners, starts, ends = map(list, zip(*windows, strict=True)) if windows else ([], [], [], [])
    return {
        "facts": list(rules.facts), "fact_owners": list(rules.facts.values()), "anonymous_ids": anonymous_ids,
        "owners": owners, "starts": starts, "ends": ends, "names": list(rules.names),
        "customers": list(rules.names.values()), "low": _BEGINNING_US, "high": _END_US,
    }  # fmt: skip


def _operations(connection: duckdb.DuckDBPyConnection) -> list[IdentityOperation]:
    return [_operation(row) for row in connection.execute(_OPERATIONS).fetchall()]


def _operation(row: tuple[Any, ...]) -> IdentityOperation:
    told = dict(zip(_OPERATION_COLUMNS, row, strict=True))
    told["counts"] = msgspec.json.decode(told["counts"])
    for name in _TIMES:
        told[name] = None if told[name] is None else told[name].replace(tzinfo=UTC)
    return msgspec.convert(told, IdentityOperation)


def _values(operation: IdentityOperation) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(operation, name) for name in _OPERATION_COLUMNS}
    told["counts"] = msgspec.json.encode(operation.counts).decode()
    for name in _TIMES:
        told[name] = None if told[name] is None else told[name].astimezone(UTC).replace(tzinfo=None)
    return told


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
