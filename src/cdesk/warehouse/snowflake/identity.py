"""Who did what, as the team says it: operations on record in Snowflake, and the rows that they show under another customer.

    IDENTITY_OPERATION ──those that stand──▶ Rules ──▶ every batch, for the rows it writes (`merge.py`)
                                                  └──▶ rewrite: rows whose customer is not the one to show

They hold for every machine's rows, and only a machine that says so changes them: an operation on one machine's own warehouse
is that machine's affair. Two that say something at the same moment want the same number; the later one is asked to try again.

A batch reads the rules before it is joined, and again once its rows are written, in the same transaction: if somebody said
something meanwhile it is taken back and made anew. A rewriting begins after its operation is on record and waits for batches that
are writing, so no row escapes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from cdesk.activity.resolution import Claim, Count, IdentityOperation, Rules
from cdesk.errors import WarehouseUnready
from cdesk.warehouse.snowflake.sessions import Session
from cdesk.warehouse.snowflake.trouble import translated

_HERE = Path(__file__).parent
_WRONG = (_HERE / "identity_wrong.sql").read_text("utf-8").replace(":1", "?")
_REWRITE = (_HERE / "identity_rewrite.sql").read_text("utf-8").replace(":1", "?").replace("(WRONG)", f"({_WRONG})")
_MOVES = f"SELECT customer, shown, COUNT(*) FROM ({_WRONG}) AS w GROUP BY 1, 2"
_ROWS_OF = """
SELECT customer, COUNT(*) FROM CLAUDE_STREAM_V2
 WHERE customer IS NULL OR customer IN (SELECT f.value::VARCHAR FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS f)
 GROUP BY 1"""
_NEXT = "SELECT COMMIT_NUMBER.NEXTVAL"
_TIMES = ("identified_at", "said_at", "undone_at")
_COLUMNS = (
    "number", "kind", "subject", "customer", "identified_at", "said_at", "said_by", "reason", "rows_changed", "counts",
    "undone_at", "undone_by", "undone_reason", "rows_restored", "is_settled",
)  # fmt: skip
_TYPES = {
    **dict.fromkeys(_TIMES, "TIMESTAMP_NTZ"), "number": "INTEGER", "rows_changed": "BIGINT", "rows_restored": "BIGINT",
    "is_settled": "BOOLEAN",
}  # fmt: skip
_OPERATIONS = f"SELECT {', '.join(_COLUMNS)} FROM IDENTITY_OPERATION ORDER BY number"
_RECORD = f"""
INSERT INTO IDENTITY_OPERATION ({", ".join(_COLUMNS)})
SELECT {", ".join("PARSE_JSON(?)" if name == "counts" else f"CAST(? AS {_TYPES.get(name, 'VARCHAR')})" for name in _COLUMNS)}"""
_FORGET = "DELETE FROM IDENTITY_OPERATION WHERE number = ?"
_HAS_NUMBER = "SELECT COUNT(*) FROM IDENTITY_OPERATION WHERE number = ?"
_CUSTOMERS = "SELECT customer FROM CLAUDE_STREAM_V2 UNION SELECT _told_customer FROM CLAUDE_STREAM_V2"
_ANONYMOUS_IDS = "SELECT DISTINCT anonymous_customer_id FROM CLAUDE_STREAM_V2"
_HAS_FACT = "SELECT 1 FROM CLAUDE_STREAM_V2 WHERE activity_id = ? OR _also_id = ? OR _also_id_2 = ? LIMIT 1"
_END = "9999-12-31 23:59:59.999999"
_BEGINNING = "0001-01-01 00:00:00"


class SnowflakeIdentities:
    """What is on record is asked for each time: others say things, too. Raises WarehouseError."""

    def __init__(self, take: Callable[[], AbstractContextManager[Session]], new_query_id: Callable[[], str]) -> None:
        self._take = take
        self._new_query_id = new_query_id

    @property
    def operations(self) -> list[IdentityOperation]:
        with translated(), self._take() as session:
            return operations(session, self._new_query_id())

    def record(self, operation: IdentityOperation) -> None:
        """Puts the operation on record, or a new state of one. Raises WarehouseUnready when its number was given meanwhile."""
        query_id = self._new_query_id()
        is_new = not operation.is_settled and operation.stands
        with translated(), self._take() as session, session.transaction(query_id):
            if is_new and session.execute(_HAS_NUMBER, [operation.number], query_id=query_id).rows[0][0]:
                raise WarehouseUnready("somebody else said something at the same moment.", "Say it again.")
            session.execute(_FORGET, [operation.number], query_id=query_id)
            session.execute(_RECORD, _values(operation), query_id=query_id)

    def counts(self, claims: Iterable[Claim]) -> tuple[int, tuple[Count, ...]]:
        """Rows that would change if exactly these claims stood, and what it would mean for each customer."""
        moves = self._read(_MOVES, _bound(Rules(claims)))
        names = {name for before, after, _ in moves for name in (before, after)}
        wanted = msgspec.json.encode(sorted(name for name in names if name is not None)).decode()
        before = dict.fromkeys(names, 0)
        before |= {name: int(count) for name, count in self._read(_ROWS_OF, [wanted]) if name in names}
        after = dict(before)
        for left, gained, count in moves:
            after[left] -= int(count)
            after[gained] += int(count)
        counts = (
            Count(name, before[name], after[name]) for name in sorted(names, key=lambda name: (name is None, name))
        )
        return sum(int(count) for _, _, count in moves), tuple(counts)

    def rewrite(self, tell: Callable[[int, int], None]) -> None:
        """Every row is shown as the rules say, in one commit; `tell` hears of all rows at the end."""
        query_id = self._new_query_id()
        with translated(), self._take() as session:
            standing = Rules(each for each in operations(session, query_id) if each.stands)
            seq = int(session.execute(_NEXT, query_id=query_id).rows[0][0])
            rows = session.execute(_REWRITE, [seq, *_bound(standing)], query_id=query_id).count
        tell(rows, rows)

    def customers(self) -> set[str]:
        return {name for (name,) in self._read(_CUSTOMERS, []) if name is not None}

    def anonymous_ids(self) -> set[str]:
        return {name for (name,) in self._read(_ANONYMOUS_IDS, []) if name is not None}

    def has_fact(self, activity_id: str) -> bool:
        return bool(self._read(_HAS_FACT, [activity_id] * 3))

    def _read(self, sql: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with translated(), self._take() as session:
            return session.execute(sql, values, query_id=self._new_query_id()).rows


def operations(session: Session, query_id: str) -> list[IdentityOperation]:
    """All on record, in the order in which they were said. Raises the connector's own errors."""
    return [_operation(row) for row in session.execute(_OPERATIONS, query_id=query_id).rows]


def _operation(row: tuple[Any, ...]) -> IdentityOperation:
    told = dict(zip(_COLUMNS, row, strict=True))
    told["counts"] = msgspec.json.decode(told["counts"] or "[]")
    for name in _TIMES:
        told[name] = None if told[name] is None else told[name].replace(tzinfo=UTC)
    return msgspec.convert(told, IdentityOperation)


def _values(operation: IdentityOperation) -> list[Any]:
    told: dict[str, Any] = {name: getattr(operation, name) for name in _COLUMNS}
    told["counts"] = msgspec.json.encode(operation.counts).decode()
    for name in _TIMES:
        told[name] = None if told[name] is None else _text(told[name])
    return list(told.values())


def _bound(rules: Rules) -> list[str]:
    """The rules as the arrays that identity_wrong.sql takes."""
    windows = [
        {"anonymous_id": anonymous_id, "owner": window.customer, "starts": starts, "ends": ends}
        for anonymous_id, line in rules.timelines.items()
        for window, starts, ends in zip(
            line, [_BEGINNING, *(_text(later.starts) for later in line[1:])],
            [*(_text(later.starts) for later in line[1:]), _END], strict=True,
        )
    ]  # fmt: skip
    names = [
        {"name": name} if customer is None else {"name": name, "customer": customer}
        for name, customer in rules.names.items()
    ]
    facts = [{"fact": fact, "owner": owner} for fact, owner in rules.facts.items()]
    return [msgspec.json.encode(each).decode() for each in (facts, windows, names)]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
