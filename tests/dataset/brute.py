"""Datasets by looking at every pair of rows: what ActivitySchema's words mean, without any SQL.

filters → numbers, next and previous → occurrences → for each, the rows of an appended activity that fit → one, or a sum
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cdesk.dataset.definition import Append, Column, Condition, Definition, Operand


@dataclass(frozen=True)
class Row:
    activity_id: str
    ts: datetime
    customer: str | None
    anonymous_customer_id: str | None
    activity: str
    features: dict[str, Any]
    revenue_impact: float | None = None

    @property
    def key(self) -> str | None:
        return self.customer if self.customer is not None else self.anonymous_customer_id


@dataclass(frozen=True)
class Numbered:
    row: Row
    n: int
    next_ts: datetime | None
    previous_ts: datetime | None


def answer(definition: Definition, stream: Sequence[Row], bounds: str) -> list[tuple[Any, ...]]:
    """The rows, in any order."""
    primary = definition.primary
    kind = primary.occurrence.kind
    rows = _numbered(stream, primary.activity, primary.filters)
    if kind == "time_spine":
        rows = _spine(rows, primary.occurrence.interval or "")
    chosen = [
        each for each in rows
        if kind in ("all", "time_spine") or (kind == "first" and each.n == 1)
        or (kind == "last" and each.next_ts is None) or (kind == "nth" and each.n == primary.occurrence.n)
    ]  # fmt: skip
    found = []
    for each in chosen:
        cells = [_value(column, each) for column in primary.columns]
        for append in definition.appended:
            cells += _appended(append, each, kind, stream, bounds)
        found.append(tuple(cells))
    return found


def _numbered(stream: Sequence[Row], activity: str, filters: Sequence[Condition]) -> list[Numbered]:
    kept = [row for row in stream if row.activity == activity]
    kept = [row for row in kept if all(_holds(each, Numbered(row, 0, None, None), None) for each in filters)]
    found = []
    for key in {row.key for row in kept}:
        own = sorted((row for row in kept if row.key == key), key=lambda row: (row.ts, row.activity_id))
        for place, row in enumerate(own):
            following = own[place + 1].ts if place + 1 < len(own) else None
            found.append(Numbered(row, place + 1, following, own[place - 1].ts if place else None))
    return found


def _spine(rows: Sequence[Numbered], interval: str) -> list[Numbered]:
    found = []
    for key in {each.row.key for each in rows}:
        own = [each.row for each in rows if each.row.key == key]
        at, last = _floor(min(row.ts for row in own), interval), _floor(max(row.ts for row in own), interval)
        n = 1
        while at <= last:
            customers = [row.customer for row in own if row.customer is not None]
            row = Row("", at, max(customers) if customers else None, None, own[0].activity, {"key": key})
            found.append(Numbered(row, n, _moved(at, interval, 1), _moved(at, interval, -1)))
            at, n = _moved(at, interval, 1), n + 1
    return found


def _floor(at: datetime, interval: str) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
        case _:
            return day.replace(day=1, month=1)


def _moved(at: datetime, interval: str, by: int) -> datetime:
    if interval in ("day", "week"):
        return at + by * timedelta(days=1 if interval == "day" else 7)
    months = at.year * 12 + at.month - 1 + by * {"month": 1, "quarter": 3, "year": 12}[interval]
    return at.replace(year=months // 12, month=months % 12 + 1)


def _appended(append: Append, primary: Numbered, kind: str, stream: Sequence[Row], bounds: str) -> list[Any]:
    key = primary.row.features["key"] if kind == "time_spine" else primary.row.key
    candidates = [
        each for each in _numbered(stream, append.activity, append.filters)
        if key is not None and each.row.key == key and _fits(append, primary, each, kind, bounds)
        and all(_holds(condition, each, primary) for condition in append.join_conditions)
    ]  # fmt: skip
    candidates.sort(key=lambda each: (each.row.ts, each.row.activity_id))
    if append.pick == "aggregate":
        return [_aggregate(column, candidates, bounds) for column in append.columns]
    if append.pick == "nth":
        candidates = [each for each in candidates if each.n == append.n]
    one = (candidates[-1] if append.pick == "last" else candidates[0]) if candidates else None
    return [None if one is None else _value(column, one) for column in append.columns]


def _fits(append: Append, primary: Numbered, row: Numbered, kind: str, bounds: str) -> bool:
    at, ts = row.row.ts, primary.row.ts
    until, since = primary.next_ts, primary.previous_ts
    match append.when:
        case "ever":
            return True
        case "before" if bounds == "tnightengale" and append.pick == "first":
            return until is None or at <= until
        case "before":
            return at <= ts if bounds == "tnightengale" and append.pick == "last" else at < ts
        case "after":
            return at > ts
        case "in_between":
            if until is None or (bounds == "narrator" and kind in ("first", "last")):
                return at > ts
            return ts < at < until if bounds == "bcodell" else ts < at <= until
        case "between_before":
            if since is None:
                return at < ts
            return since < at < ts if bounds == "bcodell" else since <= at < ts


def _read(source: Column | Operand, row: Numbered, kind: str) -> Any:
    match source.column:
        case None:
            return _as(row.row.features.get(source.feature or ""), kind)
        case "activity_occurrence":
            return row.n
        case "activity_repeated_at":
            return row.next_ts
        case name:
            return getattr(row.row, name)


def _as(value: Any, kind: str) -> Any:
    """A feature's value as what it is asked for; null for what is none."""
    if value is None:
        return None
    if kind in ("integer", "number"):
        try:
            return int(value) if kind == "integer" else float(value)
        except ValueError:
            return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(str(value).lower())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(column: Column, row: Numbered) -> Any:
    return _read(column, row, column.type or "string")


def _holds(condition: Condition, row: Numbered, primary: Numbered | None) -> bool:
    left, right = (_operand(operand, row, primary) for operand in (condition.left, condition.right))
    match condition.op:
        case "is null":
            return left is None
        case "is not null":
            return left is not None
    if left is None or right is None:
        return False
    match condition.op:
        case "in":
            return left in right
        case "not in":
            return left not in right
        case "=":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _operand(operand: Operand, row: Numbered, primary: Numbered | None) -> Any:
    if operand.is_literal:
        return operand.literal
    return _read(
        operand, primary if primary is not None and operand.side == "primary" else row, operand.type or "string"
    )


def _aggregate(column: Column, rows: Sequence[Numbered], bounds: str) -> Any:
    kinds = {"sum": column.type or "number", "avg": "number", "sum_bool": "boolean", "min": column.type or "string",
             "max": column.type or "string"}  # fmt: skip
    read = (_read(column, row, kinds.get(column.aggregate or "", "string")) for row in rows)
    values = [value for value in read if value is not None]
    match column.aggregate:
        case "count":
            return len(values)
        case "count_distinct":
            return len(set(values))
        case "sum":
            return sum(values) if values or bounds != "tnightengale" else None
        case "sum_bool":
            return sum(values)
        case "avg":
            return sum(values) / len(values) if values else None
        case "min":
            return min(values, default=None)
        case "max":
            return max(values, default=None)
        case "listagg":
            return column.delimiter.join(sorted(map(str, values))) if values else None
        case _:
            return column.delimiter.join(sorted(set(map(str, values)))) if values else None
