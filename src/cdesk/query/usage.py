"""Tokens and dollars by day, week, month, session, project, model, tool or user.

Counted is what ccusage counts (`is_counted`), each response once. The default price is the dated book's, as it was
recorded with each response; with a price book of the asker's own (the dated book stands behind it for models it does
not list), every response is priced anew, exactly: responses small enough that no tier can apply are priced as sums, the others one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cdesk.activity.pricing import PriceBook, Usage, cost_at
from cdesk.errors import UsageError
from cdesk.warehouse.warehouse import Warehouse

By = Literal["daily", "weekly", "monthly", "session", "project", "model", "tool", "user"]
BYS: tuple[By, ...] = get_args(By)


class Tokens(msgspec.Struct, rename="camel", kw_only=True):
    """Sums over responses. cost is null when every response is unpriced; `unpriced` counts those."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    total_tokens: int = 0
    total_cost: float = 0.0
    responses: int = 0
    unpriced_responses: int = 0

    def add(self, other: Tokens) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Breakdown(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """One model's part of a row, in ccusage's words."""

    model_name: str
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    cost: float
    missing_pricing: bool = False


@dataclass(slots=True)
class Row:
    key: str
    tokens: Tokens
    models: dict[str, Tokens]
    more: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    by: By
    rows: list[Row]
    totals: Tokens
    excluded: int
    timezone: str

    def json(self) -> dict[str, Any]:
        """ccusage's shape: rows under the report's name, then totals."""
        rows = [_row_json(self.by, row) for row in self.rows]
        given: dict[str, Any] = {self.by: rows, "totals": _totals_json(self.totals)}
        if self.excluded:
            given["excludedResponses"] = self.excluded
        return given


_KEYS: dict[By, tuple[str, str]] = {
    "daily": ("date", "{day}"),
    "weekly": ("week", "{day}"),
    "monthly": ("month", "{day}"),
    "session": ("sessionId", "COALESCE(_session_id, '')"),
    "project": ("project", "COALESCE(_project_path, '')"),
    "model": ("model", "COALESCE(_model, '')"),
    "user": ("user", "COALESCE(customer, anonymous_customer_id)"),
}

_SQL = """
SELECT {key} AS k, _model, _speed, _is_counted, COUNT(*), SUM(_prompt_tokens), SUM(_completion_tokens),
       SUM(_cache_creation_5m_tokens), SUM(_cache_creation_1h_tokens), SUM(_cache_read_tokens), SUM(revenue_impact),
       SUM(CASE WHEN revenue_impact IS NULL AND {total} > 0 THEN 1 ELSE 0 END){more}
  FROM CLAUDE_STREAM_V2
 WHERE activity = 'claude_responded' AND {when}
 GROUP BY 1, 2, 3, 4{groups}"""

_SESSION_MORE = ", MIN(ts), MAX(ts), MAX(_project_path)"

_TOTAL = (
    "(COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)"
    " + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0))"
)

_TOOLS = """
WITH calls AS (
  SELECT tool_name, success, latency_ms, message_id FROM VW_TOOL_EVENTS WHERE {when} AND tool_name IS NOT NULL
), responses AS (
  SELECT message_id, MAX(cost_usd) AS cost_usd, MAX(total_tokens) AS total_tokens
    FROM VW_LLM_EVENTS
   WHERE activity = 'claude_responded' AND is_counted AND message_id IS NOT NULL AND {when}
   GROUP BY 1
), shares AS (
  SELECT calls.*, responses.cost_usd / COUNT(*) OVER (PARTITION BY calls.message_id) AS cost,
         responses.total_tokens / COUNT(*) OVER (PARTITION BY calls.message_id) AS tokens
    FROM calls LEFT JOIN responses ON calls.message_id = responses.message_id
)
SELECT tool_name, COUNT(*), SUM(CASE WHEN success THEN 1 ELSE 0 END), SUM(CASE WHEN NOT success THEN 1 ELSE 0 END),
       AVG(latency_ms), SUM(tokens), SUM(cost)
  FROM shares GROUP BY 1 ORDER BY 2 DESC, 1"""


class Usages:
    """Answers for one warehouse. `prices` is the dated book that recorded costs were taken from."""

    def __init__(self, warehouse: Warehouse, prices: PriceBook) -> None:
        self._warehouse = warehouse
        self._prices = prices

    def report(
        self,
        by: By,
        *,
        since: date | None = None,
        until: date | None = None,
        timezone: str = "UTC",
        prices: PriceBook | None = None,
    ) -> Report:
        """Rows in order of their key (time, else cost). Both dates are inclusive, in `timezone`.

        Raises UsageError for an unknown time zone."""
        day, when, parameters = _period(timezone, since, until)
        if by == "tool":
            return self._tools(when, parameters, timezone)
        key = _KEYS[by][1].format(day=day)
        prices = prices.over(self._prices) if prices else None
        more = _SESSION_MORE if by == "session" else ""
        groups = ""
        if prices is not None:
            single = f"CASE WHEN {_TOTAL} > {prices.linear_tokens_max} THEN activity_id END"
            more, groups = f"{more}, CAST(ts AS DATE) AS d, {single} AS single", ", d, single"
        sql = _SQL.format(key=key, more=more, groups=groups, total=_TOTAL, when=when)
        rows: dict[str, Row] = {}
        excluded = 0
        for found in self._warehouse.query(sql, parameters).rows:
            group = _group(found, by == "session", prices)
            if found[3]:
                _add(rows, by, group)
            elif group.tokens.total_tokens:
                excluded += group.tokens.responses
        ordered = sorted(rows.values(), key=_order(by))
        totals = Tokens()
        for row in ordered:
            totals.add(row.tokens)
        return Report(by, ordered, totals, excluded, timezone)

    def _tools(self, when: str, parameters: list[Any], timezone: str) -> Report:
        rows: list[Row] = []
        totals = Tokens()
        for name, calls, succeeded, failed, latency, tokens, cost in self._warehouse.query(
            _TOOLS.format(when=when), parameters * 2
        ).rows:
            sums = Tokens(total_tokens=round(tokens or 0), total_cost=cost or 0.0, responses=calls)
            totals.add(sums)
            rows.append(Row(name, sums, {}, {
                "calls": calls, "succeeded": succeeded, "failed": failed,
                "averageLatencyMs": None if latency is None else round(latency, 1),
            }))  # fmt: skip
        return Report("tool", rows, totals, 0, timezone)


def parse_day(text: str) -> date:
    """`2026-11-23` or `20261123`. Raises UsageError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date.", "Write it as 2026-11-23.") from None


_FILES_OF_ZONES = ("localtime", "posix/", "right/", "posixrules")
"""Names of files in a system's folder of zones that the warehouse does not know."""


def _period(timezone: str, since: date | None, until: date | None) -> tuple[str, str, list[Any]]:
    try:
        if timezone.startswith(_FILES_OF_ZONES):
            raise ValueError
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"unknown time zone {timezone!r}.", "Use a name such as Europe/Berlin or UTC.") from None
    local = "ts" if timezone.upper() == "UTC" else f"timezone('{timezone}', ts AT TIME ZONE 'UTC')"
    conditions = ["TRUE"]
    parameters: list[Any] = []
    if since is not None:
        conditions.append(f"{local} >= ?")
        parameters.append(since)
    if until is not None and until < date.max:
        conditions.append(f"{local} < ?")
        parameters.append(until + timedelta(days=1))
    return f"CAST({local} AS DATE)", " AND ".join(conditions), parameters


@dataclass(frozen=True, slots=True)
class _Group:
    """One row that the warehouse gave back: a key and model with their sums."""

    key: Any
    model: str | None
    is_fast: bool
    tokens: Tokens
    first: Any = None
    last: Any = None
    project: str | None = None


def _group(found: tuple[Any, ...], has_session: bool, prices: PriceBook | None) -> _Group:
    key, model, speed, _, count, prompt, completion, five, hour, reused, cost, unpriced, *more = found
    usage = Usage(
        input_tokens=int(prompt or 0),
        output_tokens=int(completion or 0),
        cache_creation_5m_tokens=int(five or 0),
        cache_creation_1h_tokens=int(hour or 0),
        cache_read_tokens=int(reused or 0),
        speed="fast" if speed == "fast" else None,
    )
    total = usage.prompt_tokens + usage.output_tokens
    if prices is not None:
        day, single = more[-2:]
        cost = _priced(prices, model, usage, day, single is not None)
        unpriced = count if cost is None and total else 0
    tokens = Tokens(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_creation_tokens=usage.cache_creation_5m_tokens + usage.cache_creation_1h_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        total_tokens=total,
        total_cost=cost or 0.0,
        responses=int(count),
        unpriced_responses=int(unpriced),
    )
    return _Group(key, model, speed == "fast", tokens, *(more[:3] if has_session else ()))


def _add(rows: dict[str, Row], by: By, group: _Group) -> None:
    name = _key(by, group.key)
    row = rows.setdefault(
        name, Row(name, Tokens(), {}, {"first": group.first, "last": group.last, "project": group.project})
    )
    row.tokens.add(group.tokens)
    if group.first is not None:
        row.more["first"] = min(row.more["first"], group.first)
        row.more["last"] = max(row.more["last"], group.last)
    if group.model and group.model != "<synthetic>":
        model = f"{group.model}-fast" if group.is_fast else group.model
        row.models.setdefault(model, Tokens()).add(group.tokens)


def _priced(prices: PriceBook, model: str | None, usage: Usage, day: date, is_single: bool) -> float | None:
    price = prices.find(model, day) if model else None
    if price is None:
        return None
    if is_single:
        return cost_at(price, usage)
    flat = msgspec.structs.replace(
        price, input_above_200k=None, output_above_200k=None, cache_write_5m_above_200k=None,
        cache_write_1h_above_200k=None, cache_read_above_200k=None, long_prompt=None,
    )  # fmt: skip
    return cost_at(flat, usage)


def _key(by: By, key: Any) -> str:
    if isinstance(key, date):
        if by == "weekly":
            return (key - timedelta(days=(key.weekday() + 1) % 7)).isoformat()  # a week begins on Sunday, as ccusage's
        return key.isoformat()[:7] if by == "monthly" else key.isoformat()
    return str(key)


def _order(by: By) -> Any:
    if by in ("daily", "weekly", "monthly"):
        return lambda row: row.key
    if by == "session":
        return lambda row: (row.more["last"], row.key)
    return lambda row: (-row.tokens.total_cost, -row.tokens.total_tokens, row.key)


def _row_json(by: By, row: Row) -> dict[str, Any]:
    if by == "tool":
        return {
            "tool": row.key, **row.more, "totalTokens": row.tokens.total_tokens, "totalCost": row.tokens.total_cost,
        }  # fmt: skip
    given: dict[str, Any] = {_KEYS[by][0]: row.key, **_totals_json(row.tokens)}
    if by == "session":
        given |= {"projectPath": row.more["project"], "firstActivity": _iso(row.more["first"]),
                  "lastActivity": _iso(row.more["last"])}  # fmt: skip
    given["modelsUsed"] = sorted(row.models)
    given["modelBreakdowns"] = [_breakdown(name, tokens) for name, tokens in _by_cost(row.models.items())]
    return given


def _totals_json(tokens: Tokens) -> dict[str, Any]:
    given = msgspec.to_builtins(tokens)
    del given["responses"]
    if not given["unpricedResponses"]:
        del given["unpricedResponses"]
    return dict(given)


def _breakdown(name: str, tokens: Tokens) -> dict[str, Any]:
    found = Breakdown(
        model_name=name, input_tokens=tokens.input_tokens, output_tokens=tokens.output_tokens,
        cache_creation_tokens=tokens.cache_creation_tokens, cache_read_tokens=tokens.cache_read_tokens,
        cost=tokens.total_cost, missing_pricing=tokens.unpriced_responses > 0,
    )  # fmt: skip
    return dict(msgspec.to_builtins(found))


def _by_cost(models: Iterable[tuple[str, Tokens]]) -> list[tuple[str, Tokens]]:
    return sorted(models, key=lambda item: (-item[1].total_cost, item[0]))


def _iso(at: Any) -> str:
    return f"{at.isoformat()}Z"
