"""From the sample history to what Claude is told, with the service running, and after it is gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.journeys.cdesk import Cdesk

from cdesk.context.cache import ContextReader
from cdesk.context.model import ContextKey

WHO, PROJECT = "sample@cdesk.example", "/home/robin/ladle"
PATIENCE_S = 30


def test_from_history_to_context(cdesk: Cdesk) -> None:
    """The sample's projects have contexts; an event changes one; a reader sees it in the file; the service may go."""
    try:
        cdesk.text("up", "--sample", "--detach", "--port", "0")
        sample = Cdesk(cdesk.home.with_name(cdesk.home.name + "-sample"), cdesk.claude_dir)
        reader = ContextReader(sample.home / "context" / "cache.sqlite")
        key = ContextKey(WHO, PROJECT)
        _until(lambda: (found := reader.read(key)) is not None and found.statements)

        told = sample.text("context", "--project", PROJECT)
        assert told.startswith("# cdesk: what was recorded here earlier\n") and "[activity:" in told
        found = sample.json("context", "--project", PROJECT, "--kind", "engineer")
        for statement in found["statements"]:
            assert _resolves(sample, statement["sources"][0]), statement

        event = {"activity": "tool_called", "ts": "2026-11-28T09:00:00Z", "customer": WHO, "activity_id": "new",
                 "feature_json": {"tool_name": "Bash", "tool_use_id": "t", "success": False, "error": "quite new", "project_path": PROJECT}}  # fmt: skip
        sample.text("emit", stdin=json.dumps(event).encode())
        _until(lambda: "quite new" in str(reader.read(key)))

        assert "contexts" in sample.json("status") and "context " in sample.text("status")
        assert "quite new" in sample.text("context", "--project", PROJECT)
        cdesk.text("down", "--sample")
        done = sample.run("context", "--project", PROJECT)
        assert b"quite new" in done.stdout and b"The service is down" in done.stderr
    finally:
        cdesk.run("down", "--sample")


def _resolves(sample: Cdesk, source: str) -> bool:
    kind, _, id_ = source.partition(":")
    table, column = {
        "activity": ("CLAUDE_STREAM_V2", "activity_id"), "atom": ("INSIGHT_ATOMS", "id"), "cdesk": ("QUERY_HISTORY", "query_id"),
    }[kind]  # fmt: skip
    return bool(sample.rows(f"SELECT 1 FROM {table} WHERE {column} = '{id_}'"))


def _until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
