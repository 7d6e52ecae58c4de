"""The stream's columns as the merge writes them, and a batch of rows as the Arrow arrays that DuckDB reads.

Times are microseconds since 1970, UTC: DuckDB takes Python's last datetime for infinity. A column without any value in
the batch is left out of the statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeAlias

import msgspec
import nanoarrow as na  # type: ignore[import-untyped]

from cdesk.activity.catalog import CATALOG, complete
from cdesk.activity.model import SCHEMA_VERSION, Features, RawActivity
from cdesk.warehouse.hot import hot_of
from cdesk.warehouse.warehouse import STREAM

COLUMNS: dict[str, str] = {
    "activity_id": "UUID", "ts": "TIMESTAMP", "customer": "VARCHAR", "anonymous_customer_id": "VARCHAR",
    "activity": "VARCHAR", "feature_json": "VARIANT", "revenue_impact": "DOUBLE", "link": "VARCHAR",
    "activity_occurrence": "INTEGER", "activity_repeated_at": "TIMESTAMP",
    "_org_id": "VARCHAR", "_session_id": "VARCHAR", "_source": "VARCHAR", "_schema_version": "INTEGER",
    "_ingested_at": "TIMESTAMP", "_query_tag": "VARCHAR", "_identity": "VARCHAR", "_also_id": "UUID",
    "_also_id_2": "UUID", "_observations": "VARCHAR",
    "_project_path": "VARCHAR", "_model": "VARCHAR", "_speed": "VARCHAR", "_is_counted": "BOOLEAN",
    "_prompt_tokens": "BIGINT", "_completion_tokens": "BIGINT", "_cache_creation_5m_tokens": "BIGINT",
    "_cache_creation_1h_tokens": "BIGINT", "_cache_read_tokens": "BIGINT", "_told_customer": "VARCHAR",
    "_seq": "BIGINT", "_first_seq": "BIGINT",
}  # fmt: skip
"""Name and DuckDB type."""

BEFORE: dict[str, str] = {"_replaced_seq": "BIGINT"} | {
    name: COLUMNS[name]
    for name in (
        "activity_id", "ts", "customer", "anonymous_customer_id", "activity", "feature_json", "revenue_impact", "link",
        "_org_id", "_session_id", "_source", "_first_seq", "_project_path", "_model", "_speed", "_is_counted",
        "_prompt_tokens", "_completion_tokens", "_cache_creation_5m_tokens", "_cache_creation_1h_tokens",
        "_cache_read_tokens",
    )
}  # fmt: skip
"""Columns of _STREAM_BEFORE."""

Batch: TypeAlias = dict[str, list[Any]]
"""Values by column, all of one length."""

SOURCE = "_batch"
PART_ROWS = 2_500
"""DuckDB reads the parts of a batch side by side."""
PARTS_MAX = 2

_ARROW = {
    "UUID": na.string(), "VARCHAR": na.string(), "VARIANT": na.string(), "TIMESTAMP": na.int64(), "BIGINT": na.int64(),
    "INTEGER": na.int32(), "DOUBLE": na.float64(), "BOOLEAN": na.bool_(),
}  # fmt: skip
_READ = {"UUID": "{0}::UUID", "VARIANT": "{0}::JSON::VARIANT", "TIMESTAMP": "make_timestamp({0})"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Since 1970, of a time with a zone."""
    return (at - _EPOCH) // _MICROSECOND


def of_rows(rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows with their values in the order of COLUMNS."""
    return dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}


def of_fresh(
    activities: Sequence[RawActivity], times: list[int], shown: list[str | None], ingested_at: int, seq: int
) -> Batch:
    """Rows of facts seen for the first time, by one source. Raises msgspec.DecodeError for features that are no object."""
    count = len(activities)
    told = [a.customer for a in activities]
    hot = [hot_of(activity.feature_json) for activity in activities]
    return {
        "activity_id": [a.activity_id for a in activities],
        "ts": times,
        "customer": shown,
        "anonymous_customer_id": [a.anonymous_customer_id for a in activities],
        "activity": [a.activity for a in activities],
        "feature_json": _features(activities),
        "revenue_impact": [a.revenue_impact for a in activities],
        "link": [a.link for a in activities],
        "activity_occurrence": [None] * count,
        "activity_repeated_at": [None] * count,
        "_org_id": [a.org_id for a in activities],
        "_session_id": [a.session_id for a in activities],
        "_source": [a.source for a in activities],
        "_schema_version": [SCHEMA_VERSION] * count,
        "_ingested_at": [ingested_at] * count,
        "_query_tag": [a.query_tag for a in activities],
        "_identity": [a.identity for a in activities],
        "_also_id": [a.also_id for a in activities],
        "_also_id_2": [a.also_id_2 for a in activities],
        "_observations": [None] * count,
        "_project_path": [h.project_path for h in hot],
        "_model": [h.model for h in hot],
        "_speed": [h.speed for h in hot],
        "_is_counted": [h.is_counted for h in hot],
        "_prompt_tokens": [h.prompt_tokens for h in hot],
        "_completion_tokens": [h.completion_tokens for h in hot],
        "_cache_creation_5m_tokens": [h.cache_creation_5m_tokens for h in hot],
        "_cache_creation_1h_tokens": [h.cache_creation_1h_tokens for h in hot],
        "_cache_read_tokens": [h.cache_read_tokens for h in hot],
        "_told_customer": list(map(beside, told, shown)),
        "_seq": [seq] * count,
        "_first_seq": [seq] * count,
    }


def beside(told: str, shown: str | None) -> str | None:
    """What `_told_customer` keeps: what was told, where another customer is shown."""
    return None if told == shown else told


def together(first: Batch, second: Batch) -> Batch:
    if not first or not second:
        return first or second
    return {name: first[name] + second[name] for name in COLUMNS}


def insert(batch: Batch) -> tuple[str, na.ArrayStream]:
    """The statement that writes the batch into the stream, and what it reads under the name SOURCE."""
    return _insert(STREAM, COLUMNS, batch)


def insert_before(rows: Sequence[tuple[Any, ...]]) -> tuple[str, na.ArrayStream]:
    """The same for rows as they stood, with their values in the order of BEFORE."""
    return _insert("_STREAM_BEFORE", BEFORE, dict(zip(BEFORE, map(list, zip(*rows, strict=True)), strict=True)))


def _insert(table: str, types: dict[str, str], batch: Batch) -> tuple[str, na.ArrayStream]:
    count = len(batch["activity_id"])
    present = tuple(name for name in types if batch[name].count(None) < count)
    kinds = {name: _ARROW[types[name]] for name in present}
    parts = max(1, min(PARTS_MAX, count // PART_ROWS))
    size = -(-count // parts)
    chunks = [
        na.c_array_from_buffers(
            na.struct(kinds), min(size, count - start), [None],
            children=[na.c_array(batch[name][start : start + size], kind) for name, kind in kinds.items()],
        )
        for start in range(0, count, size)
    ]  # fmt: skip
    return _insert_sql(table, present), na.ArrayStream(chunks[0] if len(chunks) == 1 else na.Array.from_chunks(chunks))


@cache
def _insert_sql(table: str, names: tuple[str, ...]) -> str:
    types = COLUMNS | BEFORE
    read = ", ".join(_READ.get(types[name], "{0}").format(name) for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {read} FROM {SOURCE}"


# -- features ------------------------------------------------------------------------------------------------------

_features_decoder = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


def encoded(features: Features) -> str:
    return _encode(features).decode()


def _features(activities: Sequence[RawActivity]) -> list[str]:
    """Their texts, without nulls; the first row of each activity has all its keys."""
    texts: list[str] = []
    begun: set[str] = set()
    for activity in activities:
        raw = bytes(activity.feature_json)
        if activity.activity not in begun:
            begun.add(activity.activity)
            if activity.activity in CATALOG:
                raw = _encode(complete(activity.activity, _features_decoder.decode(raw)))
        elif b":null" in raw:
            raw = _encode({name: value for name, value in _features_decoder.decode(raw).items() if value is not None})
        texts.append(raw.decode())
    return texts
