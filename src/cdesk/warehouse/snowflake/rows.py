"""A batch's rows as lines that Snowflake copies into CLAUDE_LANDING, and stored rows as they come back.

One line is one row, a JSON object by the names of the stream's columns; `batch` says whose it is, `was_seq` which state of
the row it replaces, null for a row that is new. Times are UTC, microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cdesk.activity.model import SCHEMA_VERSION, Activity, Columns
from cdesk.activity.resolution import Rules
from cdesk.warehouse.facts import Changed, Stored, packed
from cdesk.warehouse.hot import hot

_encode = msgspec.json.Encoder().encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_observations = msgspec.json.Decoder(list[Activity])
_COLUMNS = Columns.__struct_encode_fields__


def lines(
    changed: Iterable[Changed], batch: str, seq: int, was_seq: dict[str, int], ingested_at: datetime, rules: Rules
) -> bytes:
    """NDJSON. was_seq: `_seq` of the stored rows by activity_id · rules: under whom rows are to be shown"""
    return b"".join(_encode(_line(one, batch, seq, was_seq, ingested_at, rules)) + b"\n" for one in changed)


def _line(
    one: Changed, batch: str, seq: int, was_seq: dict[str, int], ingested_at: datetime, rules: Rules
) -> dict[str, Any]:
    more = {
        "batch": batch, "was_seq": was_seq.get(one.activity.activity_id), "_ingested_at": time_text(ingested_at),
        "_seq": seq, "_first_seq": one.stored.first_seq if one.stored else seq,
    }  # fmt: skip
    line = row(one) | {name: value for name, value in more.items() if value is not None}
    return line | _shown(one.activity, rules) if rules else line


def _shown(activity: Activity, rules: Rules) -> dict[str, Any]:
    """The customer to show, with the one it was told with where that is another."""
    shown = rules.shown(activity)
    return {} if shown == activity.customer else {"customer": shown, "_told_customer": activity.customer}


def row(one: Changed) -> dict[str, Any]:
    """What is said of one fact, by column; nothing of when and by whom it was written."""
    activity = one.activity.without_nulls()
    sources = sorted(one.seen)
    said = hot(activity.feature_json)
    values: dict[str, Any] = {
        "activity_id": activity.activity_id, "ts": time_text(activity.ts), "customer": activity.customer,
        "anonymous_customer_id": activity.anonymous_customer_id, "activity": activity.activity,
        "feature_json": activity.feature_json, "revenue_impact": activity.revenue_impact, "link": activity.link,
        "_org_id": activity.org_id, "_session_id": activity.session_id, "_source": ",".join(sources),
        "_schema_version": SCHEMA_VERSION, "_query_tag": activity.query_tag,
        "_identity": activity.identity, "_also_id": activity.also_id, "_also_id_2": activity.also_id_2,
        "_observations": packed(one.seen) if len(sources) > 1 else None,
        **{f"_{name}": getattr(said, name) for name in said.__struct_fields__},
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


def observations(line: bytes | str) -> list[Activity]:
    """What the sources said behind a line of `row`."""
    said: dict[str, Any] = msgspec.json.decode(line)
    if seen := said.get("_observations"):
        return _observations.decode(seen)
    known = {name: said[name] for name in _COLUMNS if name in said}
    known["ts"] = datetime.fromisoformat(said["ts"]).replace(tzinfo=UTC)
    return [msgspec.convert(known | {"feature_json": said.get("feature_json", {})}, Activity)]


def time_text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def stored(row: tuple[Any, ...]) -> tuple[Stored, int]:
    """A row of `known.sql`, and its `_seq`."""
    (activity_id, ts, customer, anonymous, activity, features, revenue, link, org, session, source, tag, identity,
     also, also_2, observations, first_seq, shown, seq) = row  # fmt: skip
    one = Activity(
        activity_id=activity_id, ts=ts.replace(tzinfo=UTC), customer=customer, anonymous_customer_id=anonymous,
        activity=activity,
        feature_json={name: value for name, value in msgspec.json.decode(features or "{}").items() if value is not None},
        revenue_impact=revenue, link=link, org_id=org, session_id=session, source=source, query_tag=tag,
        identity=identity, also_id=also, also_id_2=also_2,
    )  # fmt: skip
    seen = [one] if observations is None else _observations.decode(observations)
    return Stored(
        one, shown, {each.source: each for each in seen}, (one.ts - _EPOCH) // _MICROSECOND, int(first_seq or 0)
    ), int(seq or 0)
