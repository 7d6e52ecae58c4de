"""Several observations of one fact become one row, whatever their order and however often each is told.

Observations by *one* source meet in a join that is commutative, associative and idempotent:

    activity                         one id told as two activities: the first in the alphabet stands, whole
    ts, session, customer, link, …   the earliest / smallest wins
    a feature, rule "largest"        the larger value wins
    features of the group "usage"    the whole group, with its ts and cost, comes from the line that wins by ccusage's
                                     rule: main thread before side chain, more tokens, higher cost, then earlier
    features of the group "totals"   the whole group comes from the snapshot of the longest-running session

Rows seen by *several* sources keep what each one observed in `_observations`; the visible row is folded from
them by precedence (a feature's own `prefer`, else `PRECEDENCE`), so the last source to arrive changes nothing
that an earlier order would not also have given.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeAlias

import msgspec

from cdesk.activity.catalog import CATALOG
from cdesk.activity.model import JSON, Activity, Features

PRECEDENCE: tuple[str, ...] = ("transcript", "otel", "hook", "mcp", "api", "cdesk")

Rank: TypeAlias = tuple[Any, ...]

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


def join(left: Activity, right: Activity) -> Activity:
    """One observation from two of the same fact by the same source."""
    if left == right and _canonical(left) == _canonical(right):  # 1, 1.0 and true are equal, and not the same
        return left
    if left.activity != right.activity:
        return min(left, right, key=lambda seen: seen.activity)
    features, winner = _join_features(left, right)
    return Activity(
        activity_id=min(left.activity_id, right.activity_id),
        ts=winner.ts if winner else min(left.ts, right.ts),
        activity=left.activity,
        customer=min(left.customer, right.customer),
        feature_json=features,
        source=left.source,
        also_id=_least(left.also_id, right.also_id),
        also_id_2=_second_name(left, right),
        identity=_least(left.identity, right.identity),
        anonymous_customer_id=_least(left.anonymous_customer_id, right.anonymous_customer_id),
        revenue_impact=winner.revenue_impact if winner else _larger(left.revenue_impact, right.revenue_impact),
        link=_least(left.link, right.link),
        org_id=_least(left.org_id, right.org_id),
        session_id=_least(left.session_id, right.session_id),
        query_tag=_least(left.query_tag, right.query_tag),
    )


def fold(observations: Iterable[Activity]) -> Activity:
    """The visible row of one fact: what each source observed (one each), by precedence."""
    best_first = sorted(observations, key=lambda seen: _place(seen.source, PRECEDENCE))
    first = best_first[0]
    if len(best_first) == 1:
        return first
    names = {name for seen in best_first for name in seen.feature_json}
    prefer = _preferences(first.activity)
    features = {name: _pick(name, best_first, prefer.get(name)) for name in sorted(names)}
    return msgspec.structs.replace(
        first,
        feature_json=features,
        also_id=_first(seen.also_id for seen in best_first),
        also_id_2=_first(seen.also_id_2 for seen in best_first),
        identity=_first(seen.identity for seen in best_first),
        anonymous_customer_id=_first(seen.anonymous_customer_id for seen in best_first),
        revenue_impact=_first(seen.revenue_impact for seen in best_first),
        link=_first(seen.link for seen in best_first),
        org_id=_first(seen.org_id for seen in best_first),
        session_id=_first(seen.session_id for seen in best_first),
        query_tag=_first(seen.query_tag for seen in best_first),
    )


def _join_features(left: Activity, right: Activity) -> tuple[Features, Activity | None]:
    group = _group(left.activity)
    winner: Activity | None = None
    features: Features = {}
    if group:
        winner = max(left, right, key=_usage_rank if group is _USAGE else _totals_rank)
        features = {name: value for name, value in winner.feature_json.items() if name in group}
    for name in {**left.feature_json, **right.feature_json}:
        if name not in group:
            features[name] = _larger(left.feature_json.get(name), right.feature_json.get(name))
    return features, winner


def _usage_rank(seen: Activity) -> Rank:
    features = seen.feature_json
    return (
        features.get("total_tokens") is not None,
        features.get("is_counted") is True,
        features.get("is_sidechain") is not True,
        _amount(features.get("total_tokens")),
        seen.revenue_impact or 0.0,
        features.get("speed") is not None,
        _END_OF_TIME - seen.ts,
        _canonical((seen.revenue_impact, {name: value for name, value in features.items() if name in _USAGE})),
    )


def _totals_rank(seen: Activity) -> Rank:
    length = seen.feature_json.get("session_duration_ms")
    group = {name: value for name, value in seen.feature_json.items() if name in _TOTALS}
    return (length is not None, _amount(length), seen.ts, _canonical((seen.revenue_impact, group)))


def _amount(value: JSON) -> int | float:
    """The number, or 0: anybody may emit a word where a number belongs."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _larger(left: Any, right: Any) -> Any:
    return left if left is right or _size(left) >= _size(right) else right


def _size(value: JSON) -> Rank:
    """A total order over JSON: nothing < false < true < numbers < texts (by length) < lists < objects."""
    match value:
        case None:
            return (0,)
        case bool():
            return (1, value)
        case int() | float():
            return (2, value, _canonical(value))
        case str():
            return (3, len(value), value)
        case list():
            return (4, len(_canonical(value)), _canonical(value))
        case _:
            return (5, len(_canonical(value)), _canonical(value))


_canonical_encoder = msgspec.json.Encoder(order="deterministic")


def _canonical(value: Any) -> bytes:
    return _canonical_encoder.encode(value)


def _named(activity: str, rule: str) -> frozenset[str]:
    return frozenset(f.name for f in CATALOG[activity].features if f.rule == rule)


_NO_GROUP: frozenset[str] = frozenset()
_USAGE = _named("claude_responded", "usage") | {"is_sidechain", "agent_id"}
_TOTALS = _named("session_totalled", "totals")
_GROUP = {"claude_responded": _USAGE, "session_totalled": _TOTALS}


def _group(activity: str) -> frozenset[str]:
    return _GROUP.get(activity, _NO_GROUP)


@cache
def _preferences(activity: str) -> dict[str, tuple[str, ...]]:
    declaration = CATALOG.get(activity)
    return {f.name: f.prefer for f in declaration.features if f.prefer} if declaration else {}


def _pick(name: str, best_first: list[Activity], prefer: tuple[str, ...] | None) -> JSON:
    ordered = best_first if not prefer else sorted(best_first, key=lambda seen: _place(seen.source, prefer))
    return next((v for seen in ordered if (v := seen.feature_json.get(name)) is not None), None)


def _place(source: str, order: tuple[str, ...]) -> int:
    return order.index(source) if source in order else len(order)


def _second_name(left: Activity, right: Activity) -> str | None:
    """Of the observation that knows a first one: a side chain repeats a response under a request that was not its own."""
    if (left.also_id is None) != (right.also_id is None):
        return right.also_id_2 if left.also_id is None else left.also_id_2
    return _least(left.also_id_2, right.also_id_2)


def _least(left: str | None, right: str | None) -> str | None:
    return min((v for v in (left, right) if v is not None), default=None)


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)
