"""Whether a stream has the activities and features a dataset names: a misspelt name is an error, not an empty answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from cdesk.activity.catalog import CATALOG, COMMON
from cdesk.dataset.definition import Column, Condition, Definition, nearest
from cdesk.errors import UsageError
from cdesk.sql.dialect import to_duckdb
from cdesk.sql.identifier import quote

Rows: TypeAlias = list[tuple[Any, ...]]
Read: TypeAlias = Callable[[str, Sequence[Any]], Rows]

_ACTIVITIES = "SELECT DISTINCT activity FROM {stream}"
_KEYS = "SELECT DISTINCT TO_JSON(OBJECT_KEYS(feature_json)) FROM {stream} WHERE activity = :1"


def check_names(definition: Definition, read: Read, stream: str, *, is_ours: bool) -> None:
    """Raises UsageError naming the nearest known one. is_ours: what the catalog declares is known, whether or not it has
    happened yet."""
    asked = _asked(definition)
    declared = {name: set(_declared(name)) for name in asked} if is_ours else {name: set[str]() for name in asked}
    unsure = [name for name, features in asked.items() if features - declared[name] or not declared[name]]
    if not unsure:
        return
    activities = {str(row[0]) for row in read(_sql(_ACTIVITIES, stream), [])}
    for name in unsure:
        if name not in activities and not declared[name]:
            known = activities | set(CATALOG) if is_ours else activities
            raise UsageError(f"there is no activity {name[:80]!r} in the stream.", nearest(name, known))
        _check_features(name, asked[name], declared[name], read, stream)


def _check_features(name: str, asked: set[str], declared: set[str], read: Read, stream: str) -> None:
    if not asked - declared:
        return
    rows = read(_sql(_KEYS, stream), [name])
    known = declared.union(*(msgspec.json.decode(keys, type=list[str]) for (keys,) in rows if keys))
    for feature in sorted(asked - known):
        raise UsageError(f"{name!r} has no feature {feature[:80]!r}.", nearest(feature, known))


def _asked(definition: Definition) -> dict[str, set[str]]:
    """By activity, the features that are read of it."""
    asked: dict[str, set[str]] = {definition.primary.activity: set()}
    primary = asked[definition.primary.activity]
    primary |= {
        *_of_columns(definition.primary.columns),
        *_of_conditions(definition.primary.filters, "primary", "primary"),
    }
    for append in definition.appended:
        found = asked.setdefault(append.activity, set())
        found |= {*_of_columns(append.columns), *_of_conditions(append.filters, "appended", "appended")}
        found |= set(_of_conditions(append.join_conditions, "appended", "appended"))
        primary |= set(_of_conditions(append.join_conditions, "primary", "appended"))
    return asked


def _of_columns(columns: Sequence[Column]) -> Iterator[str]:
    yield from (column.feature for column in columns if column.feature is not None)


def _of_conditions(conditions: Sequence[Condition], side: str, unsaid: str) -> Iterator[str]:
    for condition in conditions:
        for operand in condition.operands:
            if operand.feature is not None and (operand.side or unsaid) == side:
                yield operand.feature


def _declared(activity: str) -> Iterator[str]:
    if activity in CATALOG:
        yield from (feature.name for feature in (*CATALOG[activity].features, *COMMON))


def _sql(text: str, stream: str) -> str:
    return to_duckdb(text.format(stream=quote(stream)))[0]
