"""The latest of each kind that a context is made from, for the customers that changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.refresh.history import History

from cdesk.activity.model import Activity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KIND = "SELECT key, detail::JSON::VARCHAR, is_open FROM CONTEXT_INPUTS WHERE kind = '{}' ORDER BY ts, key"


def told(number: int, name: str, session: str = "s1", **features: Any) -> Activity:
    return Activity(
        activity_id=str(UUID(int=number)), ts=NOON + timedelta(seconds=number), activity=name, customer="ada",
        session_id=session, source="transcript", feature_json={"project_path": "/p", **features},
    )  # fmt: skip


def run(history: History, *activities: Activity) -> None:
    history.merge(activities)
    history.tasks.run("refresh_context_inputs")


def test_each_kind_has_its_latest(history: History) -> None:
    """A file and a session once, a failure with what it said, a query that gave an answer."""
    run(history, told(1, "tool_called", tool_name="Bash", success=False, error="x" * 900),
        told(2, "file_read", file_path="/p/a", operation="read"), told(3, "file_edited", file_path="/p/a", operation="edit"),
        told(4, "sql_executed", sql="SELECT 1", success=True), told(5, "sql_executed", sql="SELEC", success=False))  # fmt: skip
    [(_, failure, _)] = history.rows(KIND.format("failure"))
    assert '"tool":"Bash"' in failure and "x" * 500 in failure and "x" * 501 not in failure
    assert history.rows(KIND.format("file")) == [("/p/a", '{"operation":"edit"}', None)]
    assert [row[1] for row in history.rows(KIND.format("query"))] == ['{"sql":"SELECT 1"}']
    assert [row[0] for row in history.rows(KIND.format("session"))] == ["s1"]


def test_a_thread_is_open_until_its_session_ended(history: History) -> None:
    """The last prompt tells what it is about; the end closes it, also when the prompt comes late."""
    run(history, told(1, "user_asked", prompt_text="first"), told(2, "user_asked", prompt_text="second"))
    assert history.rows(KIND.format("thread")) == [("s1", '{"prompt":"second"}', True)]
    run(history, told(9, "session_ended"))
    run(history, told(5, "user_asked", prompt_text="late"))
    assert [row[2] for row in history.rows(KIND.format("thread"))] == [False]


def test_what_is_kept_is_bounded(history: History) -> None:
    """Twenty of a kind for each project, the latest; a corrected row is replaced."""
    run(history, *(told(n, "tool_called", tool_name="Bash", success=False) for n in range(1, 31)))
    assert [row[0] for row in history.rows(KIND.format("failure"))] == [str(UUID(int=n)) for n in range(11, 31)]
    history.do(("give", (30, "bob")))
    history.tasks.run("refresh_context_inputs")
    assert history.rows("SELECT customer FROM CONTEXT_INPUTS WHERE key = '00000000-0000-0000-0000-00000000001e'") == [
        ("bob",)
    ]
