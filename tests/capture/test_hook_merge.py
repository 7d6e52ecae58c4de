"""Recorded hooks and transcripts of whole sessions: told in any order, any number of times, one fact is one row."""

from __future__ import annotations

import random
from typing import Any

import duckdb
import msgspec
import pytest
from tests.capture.hook_recordings import SCENARIOS, calls, hooks, transcripts
from tests.generated import without_nulls

from cdesk.activity.model import Activity
from cdesk.clock import Clock
from cdesk.sql.dialect import to_duckdb
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb.merge import Merger

ORDERS = 3
TABLES = [
    statement
    for name in ("01_tables.sql", "02_changes.sql", "06_identity_tables.sql")
    for statement in to_duckdb((deploy.SCHEMA_FOLDER / name).read_text())
]
CURRENT = tuple(name for name in SCENARIOS if not name.startswith("versions/"))
Rows = dict[str, dict[str, Any]]


def merged(*batches: list[Activity]) -> Rows:
    """Every row without `_ingested_at`, by id, when these were merged into an empty stream."""
    connection = duckdb.connect()
    for statement in TABLES:
        connection.execute(statement)
    merger = Merger(connection, Clock(now_ns=lambda: 0))
    for batch in batches:
        merger.merge(batch)
    found = connection.execute(
        "SELECT * EXCLUDE (_ingested_at, _seq, _first_seq) REPLACE (activity_id::VARCHAR AS activity_id,"
        " feature_json::JSON::VARCHAR AS feature_json) FROM CLAUDE_STREAM_V2"
    )
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert len({row["activity_id"] for row in rows}) == len(rows)
    return {
        row["activity_id"]: {**row, "feature_json": msgspec.json.decode(without_nulls(row["feature_json"]))}
        for row in rows
    }


def shuffled(activities: list[Activity], seed: int) -> list[list[Activity]]:
    """All of them, some several times, in random order and batches of random sizes."""
    chance = random.Random(seed)
    pile = [*activities, *chance.sample(activities, len(activities) // 2)]
    chance.shuffle(pile)
    batches = []
    while pile:
        size = chance.randint(1, 60)
        batches.append(pile[:size])
        pile = pile[size:]
    return batches


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_order_and_repetition_leave_no_trace(scenario: str) -> None:
    """Hooks first, transcripts first, or both interleaved at random with repeats: the same rows."""
    hook, transcript = hooks(scenario), transcripts(scenario)
    expected = merged(hook, transcript)
    assert merged(transcript, hook) == expected
    for seed in range(ORDERS):
        assert merged(*shuffled([*hook, *transcript], seed)) == expected


@pytest.mark.parametrize("scenario", CURRENT)
def test_a_fact_both_tell_is_one_row_of_both(scenario: str) -> None:
    """Every prompt, tool call, MCP call, file change and session start that a hook knows is a row of both sources, but
    for what transcripts leave out: what a subagent's tools gave back, and the end of subagents nobody waits for."""
    rows = merged(hooks(scenario), transcripts(scenario)).values()
    both = {row["activity"] for row in rows if row["_source"] == "hook,transcript"}
    alone = [row for row in rows if row["_source"] == "hook"]
    assert {"user_asked", "session_started"} <= both
    told_by_both = {
        "user_asked",
        "tool_called",
        "mcp_called",
        "session_started",
        "file_created",
        "file_written",
        "file_edited",
    }
    assert [row for row in alone if row["activity"] in told_by_both] == []
    assert all(row["feature_json"]["agent_id"] for row in alone if row["activity"] == "file_read")


@pytest.mark.parametrize("scenario", CURRENT)
def test_each_tool_call_is_exactly_one_row(scenario: str) -> None:
    """By tool_use_id, and PostToolBatch saw them all; run times are the hook's, the rest the transcript's."""
    rows = merged(hooks(scenario), transcripts(scenario)).values()
    called = [row for row in rows if row["activity"] == "tool_called"]
    ids = [row["feature_json"]["tool_use_id"] for row in called]
    assert len(set(ids)) == len(ids)
    assert all(row["_source"] == "hook,transcript" for row in called)
    assert all(row["feature_json"]["success"] is not None and row["feature_json"]["tool_name"] for row in called)
    told = {
        payload["tool_use_id"]: payload["duration_ms"]
        for _, payload in calls(scenario) if "duration_ms" in payload
    }  # fmt: skip
    assert {
        row["feature_json"]["tool_use_id"]: row["feature_json"]["latency_ms"] for row in called
    }.items() >= told.items()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_session_begins_once(scenario: str) -> None:
    """Both tell it; the start is when the transcript says, or earlier than any of its facts."""
    rows = merged(hooks(scenario), transcripts(scenario)).values()
    started = [row["_session_id"] for row in rows if row["activity"] == "session_started"]
    assert started and len(set(started)) == len(started)


def test_versions_that_do_not_name_the_prompt_leave_it_to_the_transcript() -> None:
    """2.1.100 and older send no prompt id: a hook's row of its own would count the prompt twice."""
    for version in ("1.0.128", "2.0.76", "2.1.100"):
        rows = merged(hooks(f"versions/{version}"), transcripts(f"versions/{version}")).values()
        assert {row["_source"] for row in rows if row["activity"] == "user_asked"} == {"transcript"}
