"""What one session records, the next is told: from `record_insight` to `get_context`, through queue, warehouse and cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk
from tests.mcp.process import started

pytest.importorskip("cdesk.insight.context", reason="needs who makes contexts")
PATIENCE_S = 30.0
STATEMENT = "The API tests pass after `make db`."


def _until(ask: Callable[[], dict[str, Any]], is_there: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while not is_there(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


def test_an_insight_comes_back_with_its_source(cdesk: Cdesk) -> None:
    """It is an atom under the id that was given at once; the context of its project cites it; explain leads back."""
    cdesk.up()
    with started(cdesk.home, CLAUDE_PROJECT_DIR="/work/app") as first:
        told = first.call("record_insight", subject="tests/api", metric="fix_command", statement=STATEMENT)
        assert not told["isError"], told
        assert first.end() == 0
    cite = told["structuredContent"]["cite"].replace("activity:", "atom:")
    assert cite in told["structuredContent"]["note"]
    with started(cdesk.home, CLAUDE_PROJECT_DIR="/work/app") as second:
        _until(lambda: second.call("explain", citation=cite), lambda answer: not answer["isError"])
        given = _until(
            lambda: dict(second.call("get_context")["structuredContent"]),
            lambda answer: any(STATEMENT in one["text"].replace("'", "`") for one in answer["statements"]),
        )
        sources = [source for one in given["statements"] for source in one["sources"]]
        assert cite in sources, given
        source = second.call("explain", citation=cite)["structuredContent"]
        assert source["is_a"] == "insight" and source["said"]["subject"] == "tests/api"
