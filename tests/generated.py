"""Activities as Hypothesis makes them up: few distinct values, so that observations often nearly agree."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from cdesk.activity.catalog import CATALOG
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Source

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOURCES: tuple[Source, ...] = ("transcript", "otel", "hook", "mcp", "api", "cdesk")
NAMES = (
    "claude_responded", "session_totalled", "tool_called", "mcp_called", "user_asked", "file_edited",
    "never_heard_of", "another_unknown",
)  # fmt: skip
"""The two with groups, ones with preferred sources, and ones the catalog does not know."""

near_equal: st.SearchStrategy[Any] = st.sampled_from(
    (None, False, True, 0, 1, 1.0, -0.0, 2, 2.5, "", "1", "a", "b", "ab", [], [1], [1.0], {})
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
times = st.integers(0, 3).map(lambda n: START + timedelta(microseconds=n)) | st.sampled_from(
    (START + timedelta(days=9), datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)
maybe_text = st.none() | st.sampled_from(("a", "b", "é"))
money = st.none() | st.sampled_from((0.0, 0.5, 1.5))


def features(name: str, values: st.SearchStrategy[Any] = near_equal) -> st.SearchStrategy[Features]:
    declaration = CATALOG.get(name)
    known = [feature.name for feature in declaration.features] if declaration else ["x", "y"]
    return st.dictionaries(st.sampled_from([*known, "undeclared"]), values, max_size=6)


@st.composite
def activities(
    draw: st.DrawFn,
    name: str | None = None,
    key: str = "one fact",
    source: Source = "transcript",
    values: st.SearchStrategy[Any] = near_equal,
) -> Activity:
    """One observation by `source` of the fact that `key` names."""
    name = name or draw(st.sampled_from(NAMES))
    return Activity(
        activity_id=activity_id("given", key), ts=draw(times), activity=name, customer=draw(st.sampled_from(("ada", "bob"))),
        feature_json=draw(features(name, values)), source=source, identity=draw(maybe_text),
        anonymous_customer_id=draw(maybe_text), revenue_impact=draw(money), link=draw(maybe_text),
        org_id=draw(maybe_text), session_id=draw(maybe_text), query_tag=draw(maybe_text),
    )  # fmt: skip


def bare(activity: Activity) -> bytes:
    """The activity as bytes that tell 1 from 1.0 and true; a feature that is null is one left out."""
    known = {name: value for name, value in activity.feature_json.items() if value is not None}
    return msgspec.json.encode(msgspec.structs.replace(activity, feature_json=known), order="deterministic")


def joined(observations: Iterable[Activity]) -> Activity:
    from cdesk.activity.merge import join

    first, *others = observations
    for other in others:
        first = join(first, other)
    return first


def without_nulls(features: str) -> str:
    """The features' JSON without keys that say nothing: some rows have them, which is no difference."""
    return json.dumps({name: value for name, value in json.loads(features).items() if value is not None})
