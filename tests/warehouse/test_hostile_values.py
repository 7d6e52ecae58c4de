"""Typed views against whatever JSON can say: they answer in full, and a value of the wrong kind reads NULL."""

from __future__ import annotations

import json
from datetime import datetime

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generated import json_values

from cdesk.activity.catalog import FAMILIES, Family, complete
from cdesk.activity.model import JSON, Features
from cdesk.warehouse.deploy import apply

EXAMPLES = 12
NOW = datetime(2026, 3, 1, 12)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    opened = duckdb.connect()
    apply(opened)
    return opened


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.view)
def test_no_kind_of_value_breaks_a_typed_view(family: Family, connection: duckdb.DuckDBPyConnection) -> None:
    """Every declared key of every activity with the same odd values, and with a different one each."""

    @given(values=st.lists(json_values, min_size=3, max_size=7))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    def select(values: list[JSON]) -> None:
        documents = []
        for activity in family.activities:
            names = [feature.name for feature in activity.features]
            alike: list[Features] = [dict.fromkeys(names, value) for value in values]
            mixed: Features = {name: values[i % len(values)] for i, name in enumerate(names)}
            documents += [(activity.activity, json.dumps(complete(activity.activity, row))) for row in (*alike, mixed)]
        connection.execute("DELETE FROM CLAUDE_STREAM_V2")
        connection.execute(
            "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, customer, activity, feature_json)"
            " SELECT uuid(), ?, 'ada', a, f::JSON::VARIANT FROM (SELECT unnest(?) AS a, unnest(?) AS f)",
            [NOW, [activity for activity, _ in documents], [document for _, document in documents]],
        )
        assert len(connection.execute(f"SELECT * FROM {family.view}").fetchall()) == len(documents)

    select()
