"""The rollups, kept by adding what changed, against the same sums taken directly from the stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.refresh.history import TIMES, Command, History, commands

from cdesk.activity.model import Activity

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
KEPT = (
    "SELECT * FROM ACTIVITY_ROLLUP ORDER BY ALL",
    "SELECT * FROM LATENCY_ROLLUP ORDER BY ALL",
    "SELECT * FROM LINK_ROLLUP ORDER BY ALL",
)
RESPONSES = """
SELECT date_trunc('hour', ts) AS hour, customer, _session_id, project_path, git_branch, count(*)::BIGINT,
       count(CASE WHEN is_unpriced THEN 1 END)::BIGINT,
       coalesce(sum(CASE WHEN coalesce(is_counted, TRUE) THEN total_tokens END), 0)::BIGINT,
       coalesce(sum(CASE WHEN coalesce(is_counted, TRUE) THEN prompt_tokens END), 0)::BIGINT,
       coalesce(sum(CASE WHEN coalesce(is_counted, TRUE) THEN cache_read_tokens END), 0)::BIGINT,
       round(sum(revenue_impact), 9)
  FROM VW_LLM_EVENTS WHERE is_response GROUP BY ALL ORDER BY ALL"""
RESPONSES_KEPT = """
SELECT hour, customer, session_id, project_path, git_branch, sum(activities)::BIGINT, sum(unpriced)::BIGINT,
       sum(total_tokens)::BIGINT, sum(prompt_tokens)::BIGINT, sum(cache_read_tokens)::BIGINT,
       CASE WHEN sum(priced) > 0 THEN round(sum(cost_usd), 9) END
  FROM ACTIVITY_ROLLUP WHERE activity = 'claude_responded' GROUP BY ALL ORDER BY ALL"""
SHOWN = """
SELECT date_trunc('hour', ts) AS hour, _model, _project_path, count(*)::BIGINT,
       sum(COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + COALESCE(_cache_creation_5m_tokens, 0)
           + COALESCE(_cache_creation_1h_tokens, 0) + COALESCE(_cache_read_tokens, 0))::BIGINT,
       count(CASE WHEN revenue_impact IS NULL AND COALESCE(_prompt_tokens + _completion_tokens, 1) > 0 THEN 1 END)::BIGINT
  FROM CLAUDE_STREAM_V2 WHERE activity = 'claude_responded' AND COALESCE(_is_counted, TRUE) GROUP BY ALL ORDER BY ALL"""
SHOWN_KEPT = """
SELECT hour, name, project_path, sum(activities)::BIGINT, sum(tokens_shown)::BIGINT, sum(unpriced_shown)::BIGINT
  FROM ACTIVITY_ROLLUP WHERE activity = 'claude_responded' AND is_counted GROUP BY ALL ORDER BY ALL"""
CALLS = """
SELECT date_trunc('hour', ts) AS hour, customer, _session_id, tool_name_normalized, success, count(*)::BIGINT
  FROM VW_TOOL_EVENTS GROUP BY ALL ORDER BY ALL"""
CALLS_KEPT = """
SELECT hour, customer, session_id, name, is_success, sum(activities)::BIGINT
  FROM ACTIVITY_ROLLUP WHERE activity = 'tool_called' GROUP BY ALL ORDER BY ALL"""
ERRORS = "SELECT date_trunc('hour', ts) AS hour, customer, count(*)::BIGINT FROM V_ERRORS GROUP BY ALL ORDER BY ALL"
ERRORS_KEPT = (
    "SELECT hour, customer, sum(errors)::BIGINT FROM ACTIVITY_ROLLUP GROUP BY ALL HAVING sum(errors) > 0 ORDER BY ALL"
)
LINKS = "SELECT date_trunc('hour', ts) AS hour, customer, link, count(*) FROM CLAUDE_STREAM_V2 WHERE link IS NOT NULL GROUP BY ALL ORDER BY ALL"
LINKS_KEPT = "SELECT * FROM LINK_ROLLUP ORDER BY ALL"
LATENCIES = """
SELECT date_trunc('hour', ts) AS hour, customer, kind, name, latency_ms FROM (
    SELECT ts, customer, 'tool' AS kind, tool_name_normalized AS name, latency_ms FROM VW_TOOL_EVENTS
    UNION ALL SELECT ts, customer, 'mcp', NULL, latency_ms FROM VW_MCP_EVENTS
    UNION ALL SELECT ts, customer, 'llm', NULL, total_latency_ms FROM VW_LLM_EVENTS WHERE is_response)
 WHERE latency_ms BETWEEN 0 AND 1e12 ORDER BY ALL"""
LATENCIES_KEPT = "SELECT hour, customer, kind, name, latency_ms FROM LATENCY_ROLLUP, range(calls) AS r(i) WHERE calls > 0 ORDER BY ALL"
SAME = (
    (RESPONSES, RESPONSES_KEPT),
    (SHOWN, SHOWN_KEPT),
    (CALLS, CALLS_KEPT),
    (ERRORS, ERRORS_KEPT),
    (LINKS, LINKS_KEPT),
)


def check(history: History) -> None:
    history.tasks.run("roll_up_activity")
    for direct, kept in SAME:
        assert history.rows(kept) == history.rows(direct)
    times, kept_times = history.rows(LATENCIES), history.rows(LATENCIES_KEPT)
    assert [row[:4] for row in kept_times] == [row[:4] for row in times]
    assert [row[4] for row in kept_times] == pytest.approx([row[4] for row in times], rel=0.005)


@settings(
    deadline=None, max_examples=12 * TIMES, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(commands(), max_size=6), max_size=5))
def test_rollups_are_what_the_stream_adds_up_to(history: History, runs: list[list[Command]]) -> None:
    """After any history, however it is cut into runs; and adding up everything at once gives the same tables."""
    history.forget()
    for run in runs:
        for command in run:
            history.do(command)
        check(history)
    step_by_step = [_rounded(history.rows(table)) for table in KEPT]
    for table in ("ACTIVITY_ROLLUP", "LATENCY_ROLLUP", "LINK_ROLLUP"):
        history.rows(f"DELETE FROM {table}")
    history.tasks.forget()
    history.tasks.run("roll_up_activity")
    assert [_rounded(history.rows(table)) for table in KEPT] == step_by_step


def _rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(value, 9) + 0.0 if isinstance(value, float) else value for value in row) for row in rows]


def test_absurd_amounts_are_added_too(history: History) -> None:
    """What a source may say, up to the largest whole number, does not stop the task."""
    for number in (1, 2):
        history.merge([Activity(
            activity_id=str(UUID(int=number)), ts=datetime(2026, 3, 1, tzinfo=UTC), activity="claude_responded", customer="ada",
            source="transcript", feature_json={"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63 - 1, "total_tokens": 2**63 - 1},
        )])  # fmt: skip
    history.tasks.run("roll_up_activity")
    assert history.rows("SELECT sum(tokens_shown), sum(total_tokens) FROM ACTIVITY_ROLLUP") == [
        (4 * (2**63 - 1), 2 * (2**63 - 1))
    ]
