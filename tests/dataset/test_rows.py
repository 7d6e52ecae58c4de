"""Datasets give the rows that the words of ActivitySchema mean, on streams with ties, nulls, anonymous customers, times on
the edge and fractions of seconds: every answer is compared with brute force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.dataset.brute import Row, answer

from cdesk.dataset import BOUNDS, Append, Column, Condition, Definition, Occurrence, Operand, Primary, checked, compiled
from cdesk.dataset.definition import AGGREGATES, PICKS, WHENS
from cdesk.sql.dialect import to_duckdb

BEGIN = datetime(2024, 1, 30, 22)
_TABLE = """CREATE OR REPLACE TABLE CLAUDE_STREAM_V2 (
    activity_id VARCHAR, ts TIMESTAMP, customer VARCHAR, anonymous_customer_id VARCHAR, activity VARCHAR,
    feature_json VARIANT, revenue_impact DOUBLE, link VARCHAR)"""
_connection = duckdb.connect()


def run(definition: Definition, stream: Sequence[Row], bounds: Any) -> list[tuple[Any, ...]]:
    _connection.execute(_TABLE)
    values = [
        [row.activity_id, row.ts, row.customer, row.anonymous_customer_id, row.activity, json.dumps(row.features),
         row.revenue_impact] for row in stream
    ]  # fmt: skip
    if values:
        _connection.executemany(
            "INSERT INTO CLAUDE_STREAM_V2 VALUES (?, ?, ?, ?, ?, CAST(CAST(? AS JSON) AS VARIANT), ?, NULL)", values
        )
    statement = compiled(definition, bounds)
    (sql,) = to_duckdb(statement.sql)
    return _connection.execute(sql, list(statement.values)).fetchall()


def bag(rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """In one order; 6 and 6.0 are one number."""
    return sorted(tuple(_plain(cell) for cell in row) for row in rows)


def _plain(cell: Any) -> str:
    is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return f"{round(float(cell), 9) + 0.0}" if is_number else repr(cell)


# -- random streams and definitions --------------------------------------------------------------------------------

_AT = st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(hours=1, milliseconds=500), timedelta(hours=2),
                       timedelta(hours=2, microseconds=1), timedelta(hours=2, seconds=1), timedelta(days=2),
                       timedelta(days=33), timedelta(days=33, hours=3)])  # fmt: skip
_WHO = st.sampled_from([("a", None), ("a", "x"), (None, "x"), (None, "a"), ("b", None), (None, None)])
_FEATURES = st.fixed_dictionaries({
    "color": st.sampled_from([None, "", "red", "blue", "o'x"]), "amount": st.sampled_from([None, 0, 1, 2, 3]),
    "share": st.sampled_from([None, 0.5, 1.5, -2.0]), "is_new": st.sampled_from([None, True, False]),
})  # fmt: skip


def revenue(features: dict[str, Any]) -> float | None:
    share = features["share"]
    return None if share is None else float(share)


@st.composite
def streams(draw: st.DrawFn) -> list[Row]:
    rows = draw(st.lists(st.tuples(_AT, _WHO, st.sampled_from("vvo"), _FEATURES), max_size=14))
    ids = draw(st.permutations(range(len(rows))))
    return [
        Row(f"e{ids[place]:02}", BEGIN + at, customer, anonymous, activity, features, revenue(features))
        for place, (at, (customer, anonymous), activity, features) in enumerate(rows)
    ]


def _operand(side: Any, what: str) -> Operand:
    kinds = {"color": "string", "amount": "integer", "share": "number", "is_new": "boolean"}
    return Operand(side, feature=what, type=kinds[what])


_LITERALS: dict[str, list[Any]] = {
    "color": ["red", "o'x", ""],
    "amount": [0, 1, 2],
    "share": [0.5, 1],
    "is_new": [True],
}


@st.composite
def conditions(draw: st.DrawFn, side: str) -> Condition:
    what = draw(st.sampled_from(sorted(_LITERALS)))
    op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]))
    if op.startswith("is"):
        return Condition(op, _operand(side, what))
    literals = _LITERALS[what]
    literal = literals if op.endswith("in") else draw(st.sampled_from(literals))
    return Condition(op, _operand(side, what), Operand(literal=literal))


_ACROSS = st.builds(
    lambda op, what, side: Condition(op, _operand(side, what), _operand("primary", what)),
    st.sampled_from(["=", "<", ">="]), st.sampled_from(["amount", "color"]), st.sampled_from([None, "appended"]),
)  # fmt: skip
_SOURCES: list[dict[str, Any]] = [
    {"column": "activity_id"}, {"column": "ts", "type": "timestamp"}, {"feature": "color"},
    {"feature": "amount", "type": "integer"}, {"feature": "share", "type": "number"},
    {"feature": "is_new", "type": "boolean"}, {"column": "activity_occurrence", "type": "integer"},
    {"column": "revenue_impact", "type": "number"}, {"column": "activity_repeated_at", "type": "timestamp"},
]  # fmt: skip
_SUMMED = {
    "count": _SOURCES, "count_distinct": [*_SOURCES[2:5]], "sum": [_SOURCES[3], _SOURCES[4], _SOURCES[6]],
    "avg": [_SOURCES[3], _SOURCES[4]], "sum_bool": [_SOURCES[5]], "min": _SOURCES[1:5], "max": _SOURCES[1:5],
    "listagg": _SOURCES[2:4], "listagg_distinct": [_SOURCES[2]],
}  # fmt: skip


@st.composite
def appends(draw: st.DrawFn, number: int, with_features: bool) -> Append:
    pick, when = draw(st.sampled_from(PICKS)), draw(st.sampled_from(WHENS))
    columns = []
    for place in range(draw(st.integers(1, 3))):
        aggregate = draw(st.sampled_from(AGGREGATES)) if pick == "aggregate" else None
        source = draw(st.sampled_from(_SUMMED[aggregate] if aggregate else _SOURCES))
        columns.append(Column(**source, name=f"a{number}_{place}", aggregate=aggregate, delimiter=", "))
    joins = draw(st.lists(conditions("appended") | (_ACROSS if with_features else conditions("appended")), max_size=1))
    return Append(
        draw(st.sampled_from("vo")), f"{pick}_{when}", draw(st.integers(1, 3)) if pick == "nth" else None,
        tuple(draw(st.lists(conditions("appended"), max_size=1))), tuple(joins), tuple(columns),
    )  # fmt: skip


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    kind: Any = draw(st.sampled_from(["all", "all", "first", "last", "nth", "time_spine"]))
    interval: Any = draw(st.sampled_from(["day", "week", "month", "quarter", "year"])) if kind == "time_spine" else None
    is_spine = kind == "time_spine"
    occurrence = Occurrence(kind, draw(st.integers(1, 3)) if kind == "nth" else None, interval)
    sources = [_SOURCES[1], {"column": "customer"}, *([] if is_spine else _SOURCES[2:7])]
    columns = [Column(**source, name=f"p{place}") for place, source in enumerate([*sources, _SOURCES[8]])]
    filters = tuple(draw(st.lists(conditions("primary"), max_size=1)))
    count = draw(st.integers(0, 2))
    appended = tuple(draw(appends(number, not is_spine)) for number in range(count))
    return checked(Definition(Primary("v", occurrence, filters, tuple(columns)), appended))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams(), definitions(), st.sampled_from(BOUNDS))
def test_random_datasets_equal_brute_force(stream: list[Row], definition: Definition, bounds: Any) -> None:
    """Whatever is appended, with filters and join conditions on both sides."""
    assert bag(run(definition, stream, bounds)) == bag(answer(definition, stream, bounds))


# -- every relationship, on one hard stream ------------------------------------------------------------------------


def hard_stream() -> list[Row]:
    """Primary rows v at hours 0, 2, 2, 4 and appended rows o on, before and after each, for three kinds of customers."""
    rows = []
    for who in (("a", None), (None, "x"), (None, None)):
        for place, (activity, hours) in enumerate(
            [("o", -1.0), ("v", 0), ("o", 0), ("o", 0), ("o", 1.5), ("o", 1.5000001), ("v", 2), ("v", 2), ("o", 2),
             ("o", 3), ("v", 4), ("o", 4), ("o", 5)]
        ):  # fmt: skip
            name = f"{str(who[0] or who[1])[0]}{(place * 7) % 13:02}"
            color, amount = [None, "red", ""][place % 3], [1, None, 2, 3][place % 4]
            features = {"color": color, "amount": amount, "share": 0.5, "is_new": place % 2 == 0}
            rows.append(Row(name, BEGIN + timedelta(hours=hours), who[0], who[1], activity, features))
    return rows


@pytest.mark.parametrize(("kind", "bounds"), [
    *((kind, bounds) for kind in ("all", "first") for bounds in BOUNDS), ("last", "default"), ("nth", "default"),
])  # fmt: skip
def test_every_relationship_with_every_bound_equals_brute_force(kind: Any, bounds: Any) -> None:
    """All in one dataset, so that it is also seen that none disturbs another."""
    stream, twice = hard_stream(), 2 if kind == "nth" else None
    picked = ({"column": "activity_id"}, {"feature": "color"})
    summed = (
        {"column": "activity_id", "aggregate": "count"},
        {"feature": "amount", "type": "integer", "aggregate": "sum"},
    )
    appended = tuple(
        Append("o", f"{pick}_{when}", 2 if pick == "nth" else None, columns=tuple(
            Column(**one, name=f"{pick} {when} {place}")  # type: ignore[arg-type]
            for place, one in enumerate(summed if pick == "aggregate" else picked)))
        for pick in PICKS for when in WHENS
    )  # fmt: skip
    primary = Primary("v", Occurrence(kind, twice), (), (Column("activity_id"),))
    definition = checked(Definition(primary, appended))
    assert bag(run(definition, stream, bounds)) == bag(answer(definition, stream, bounds))


@pytest.mark.parametrize("bounds", BOUNDS)
def test_an_activity_appended_to_itself(bounds: Any) -> None:
    """In between, by default, is the next occurrence, and between before the previous one."""
    appended = tuple(
        Append("v", relationship, columns=(Column("activity_id", name=relationship),))
        for relationship in (
            "first_in_between",
            "last_in_between",
            "last_between_before",
            "first_before",
            "last_before",
        )
    )
    definition = checked(Definition(Primary("v", columns=(Column("activity_id"),)), appended))
    assert bag(run(definition, hard_stream(), bounds)) == bag(answer(definition, hard_stream(), bounds))
