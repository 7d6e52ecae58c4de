"""Recorded telemetry and transcripts of whole sessions: told in any order, any number of times, one fact is one row."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import blank
from tests.generated import without_nulls
from tests.shared_data import shared_data

from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.otlp import wire_json
from cdesk.capture.otlp.claude_code import ClaudeCode
from cdesk.capture.transcript import TranscriptFile
from cdesk.query.usage import Usages
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

SCENARIOS = (
    "auto_mode", "blocking", "elicitation", "errors", "lifecycle", "permissions", "resume", "search_and_todo",
    "subagents", "tools", "tools_http", "worktree",
)  # fmt: skip
PERSON = Person("ada@example.org", "host_test", None)
PRICES = PriceBook.bundled()
ORDERS = 3
Rows = dict[str, tuple[Any, ...]]


def exports(scenario: str) -> list[tuple[str, bytes]]:
    """Path and body of every export, in order of receipt."""
    lines = (shared_data("recordings") / scenario / "otlp.jsonl").read_text().splitlines()
    return [(record["path"], json.dumps(record["body"]).encode()) for record in map(json.loads, lines)]


def told(path: str, body: bytes) -> list[Activity]:
    claude_code = ClaudeCode(PERSON, PRICES)
    match path:
        case "/v1/logs":
            return [activity for record in wire_json.logs(body) for activity in claude_code.event(record)]
        case "/v1/metrics":
            return [activity for point in wire_json.metrics(body) for activity in claude_code.point(point)]
        case _:
            return [activity for span in wire_json.traces(body) for activity in claude_code.span(span)]


def telemetry(scenario: str) -> list[Activity]:
    return [activity for path, body in exports(scenario) for activity in told(path, body)]


def transcripts(scenario: str) -> list[Activity]:
    paths = sorted((shared_data("recordings") / scenario / "projects").rglob("*.jsonl"))
    chunks = (chunk for path in paths for chunk in TranscriptFile(path, PERSON, PRICES).read())
    return [activity for chunk in chunks for activity in chunk.activities]


def merged(folder: Path, batches: list[list[Activity]]) -> Rows:
    warehouse = DuckDBWarehouse(blank.put(folder))
    try:
        for batch in batches:
            warehouse.merge(batch)
        return rows(warehouse)
    finally:
        warehouse.close()


def rows(warehouse: DuckDBWarehouse) -> Rows:
    """Every row without `_ingested_at`, by id."""
    found = warehouse.query(
        "SELECT activity_id::VARCHAR, activity, ts, customer, feature_json::JSON::VARCHAR, revenue_impact, link,"
        " _session_id, _source, _also_id::VARCHAR, _also_id_2::VARCHAR FROM CLAUDE_STREAM_V2"
    ).rows
    assert len(found) == len({row[0] for row in found})
    return {row[0]: (row[1], row[2], row[3], msgspec.json.decode(without_nulls(row[4])), *row[5:]) for row in found}


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
def test_order_and_repetition_leave_no_trace(scenario: str, tmp_path: Path) -> None:
    """Telemetry first, transcripts first, or both interleaved at random with repeats: the same rows."""
    otel, transcript = telemetry(scenario), transcripts(scenario)
    expected = merged(tmp_path / "in-order", [otel, transcript])
    assert merged(tmp_path / "reversed", [transcript, otel]) == expected
    for seed in range(ORDERS):
        assert merged(tmp_path / str(seed), shuffled([*otel, *transcript], seed)) == expected


def test_any_part_tells_the_same_in_any_order(tmp_path: Path) -> None:
    """Some of the exports and some of the lines never came: what did come still agrees with itself."""
    everything = [*telemetry("tools"), *transcripts("tools")]
    for seed in range(ORDERS):
        part = random.Random(seed).sample(everything, len(everything) // 2)
        expected = merged(tmp_path / f"{seed}-in-order", [part])
        assert merged(tmp_path / f"{seed}-shuffled", shuffled(part, seed)) == expected


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_fact_both_tell_is_one_row_of_both(scenario: str, tmp_path: Path) -> None:
    """Every prompt, response, tool call, MCP call, file and subagent that telemetry knows is a row of both sources,
    but for what transcripts leave out: requests that Claude Code makes for itself, subagents it does not wait for, and
    what a subagent's tools gave back."""
    found = merged(tmp_path / "w", [telemetry(scenario), transcripts(scenario)])
    alone = defaultdict(list)
    both = set()
    for activity, _, _, features, *rest in found.values():
        if rest[3] == "otel":
            alone[activity].append(features)
        elif rest[3] == "otel,transcript":
            both.add(activity)
    assert {"user_asked", "claude_responded", "session_started"} <= both
    for activity in ("user_asked", "tool_called", "mcp_called", "session_started", "file_written", "file_edited"):
        assert alone[activity] == []
    assert all(features["agent_id"] for features in alone["file_read"])
    assert {features["query_source"] for features in alone["claude_responded"]} <= {"compact"}
    assert all(features["subagent_id"] for features in alone["subagent_completed"])
    keys = {
        "claude_responded": "request_id", "tool_called": "tool_use_id", "mcp_called": "tool_use_id",
        "session_started": "session_id", "subagent_completed": "subagent_id",
    }  # fmt: skip
    for activity, key in keys.items():
        values = [row[3][key] for row in found.values() if row[0] == activity]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_source_adds_what_the_other_lacks(scenario: str, tmp_path: Path) -> None:
    """Latency and Claude Code's own cost come from telemetry; branch, project and message id from the transcript."""
    found = merged(tmp_path / "w", [telemetry(scenario), transcripts(scenario)])
    answers = [row[3] for row in found.values() if row[0] == "claude_responded" and row[7] == "otel,transcript"]
    assert answers
    for features in answers:
        assert features["message_id"] and features["project_path"] and features["latency_ms"] is not None
        assert features["reported_cost_usd"] > 0 and features["query_source"]
    calls = [row[3] for row in found.values() if row[0] == "tool_called" and row[7] == "otel,transcript"]
    assert all(features["tool_name"] and features["tool_name"] != "mcp_tool" for features in calls)
    assert all(features["permission_decision"] in ("accept", "reject") for features in calls)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_telemetry_alone_counts_in_usage(scenario: str, tmp_path: Path) -> None:
    """Where no transcript is read, usage is what Claude Code reported itself, to the last token."""
    otel = telemetry(scenario)
    warehouse = DuckDBWarehouse(blank.put(tmp_path / "w"))
    try:
        warehouse.merge(otel)
        totals = Usages(warehouse, PRICES).report("daily").totals
    finally:
        warehouse.close()
    asked = [record for path, body in exports(scenario) if path == "/v1/logs" for record in wire_json.logs(body)
             if record.attributes["event.name"] == "api_request"]  # fmt: skip
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")
    assert totals.responses == len(asked)
    assert totals.total_tokens == sum(int(str(record.attributes[name])) for record in asked for name in names)


def test_failed_requests_are_one_row(tmp_path: Path) -> None:
    """An API error that both sources tell, by its request id."""
    found = merged(tmp_path / "w", [telemetry("errors"), transcripts("errors")])
    failed = [row[3]["request_id"] for row in found.values() if row[0] == "api_request_failed"]
    assert failed and len(failed) == len(set(failed))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_metrics_add_up(scenario: str, tmp_path: Path) -> None:
    """What was counted is the sum of the data points, however often they were exported."""
    wanted: dict[str, float] = defaultdict(float)
    for path, body in exports(scenario):
        for point in wire_json.metrics(body) if path == "/v1/metrics" else ():
            wanted[point.metric.removeprefix("claude_code.")] += point.value or 0
    otel = telemetry(scenario)
    found = merged(tmp_path / "w", [otel, otel])
    sums: dict[str, float] = defaultdict(float)
    for features in (row[3] for row in found.values() if row[0] == "metric_recorded"):
        sums[features["metric"]] += features["amount"]
    kept = {"lines_of_code.count", "active_time.total", "code_edit_tool.decision", "commit.count", "pull_request.count"}
    assert dict(sums) == pytest.approx({name: total for name, total in wanted.items() if name in kept})


def every_record() -> Iterator[Any]:
    for scenario in SCENARIOS:
        for path, body in exports(scenario):
            if path == "/v1/logs":
                yield from wire_json.logs(body)


def test_nobody_signed_in_becomes_the_customer() -> None:
    """The account's e-mail may be told; who the activities belong to is this machine's own setting."""
    claude_code = ClaudeCode(PERSON, PRICES)
    for record in every_record():
        attributes = {**record.attributes, "user.email": "other@example.com", "user.account_uuid": "u"}
        for activity in claude_code.event(msgspec.structs.replace(record, attributes=attributes)):
            assert activity.customer == "ada@example.org"
            assert b"other@example.com" not in msgspec.json.encode(activity)
