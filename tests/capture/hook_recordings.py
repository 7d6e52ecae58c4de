"""The recorded hooks and transcripts of whole sessions, as activities."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.shared_data import shared_data

from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.hook import interpret
from cdesk.capture.transcript import TranscriptFile

PERSON = Person("ada@example.org", "host_test", None)
PRICES = PriceBook.bundled()
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SCENARIOS = (
    "agent_team", "auto_mode", "blocking", "elicitation", "errors", "interactive", "lifecycle", "permissions", "plugin",
    "resume", "search_and_todo", "subagents", "tools", "tools_http", "versions/1.0.128", "versions/2.0.76",
    "versions/2.1.100", "versions/2.1.197", "versions/2.1.240", "worktree",
)  # fmt: skip


def calls(scenario: str) -> list[tuple[datetime, dict[str, Any]]]:
    """When each hook was called, and its payload, in order of receipt."""
    lines = (shared_data("recordings") / scenario / "hooks.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [(datetime.fromtimestamp(call.get("time", 0) or NOW.timestamp(), UTC), call["payload"]) for call in found]


def told(payload: dict[str, Any], received: datetime = NOW) -> list[Activity]:
    return interpret(json.dumps(payload).encode(), received, PERSON)


def hooks(scenario: str) -> list[Activity]:
    return [activity for received, payload in calls(scenario) for activity in told(payload, received)]


def transcript_paths(scenario: str) -> list[Path]:
    return sorted((shared_data("recordings") / scenario / "projects").rglob("*.jsonl"))


def transcripts(scenario: str) -> list[Activity]:
    chunks = (chunk for path in transcript_paths(scenario) for chunk in TranscriptFile(path, PERSON, PRICES).read())
    return [activity for chunk in chunks for activity in chunk.activities]
