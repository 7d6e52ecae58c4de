"""Plays a scenario of the lab with the real Claude Code, connected as `cdesk connect` does it.

Only with CLAUDE_BIN (the executable) in the environment, offline, each session in a home of its own. LAB_PYTHON names an
interpreter that has the `mcp` package; without it the MCP calls of the scenario fail, which is told as well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk
from tests.shared_data import SHARED

LAB = SHARED.parent / "lab"
BINARY = os.environ.get("CLAUDE_BIN", "")
VOLATILE = frozenset({
    "uuid", "session_id", "id", "tool_use_id", "parent_tool_use_id", "timestamp", "duration_ms", "duration_api_ms", "usage",
    "total_cost_usd", "modelUsage", "request_id", "message_id", "cwd", "ttft_ms", "time_to_request_ms",
})  # fmt: skip

NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(not LAB.exists(), reason="needs ../shared/lab, which is not beside this repository"),
    pytest.mark.skipif(not Path(BINARY).is_file(), reason="needs CLAUDE_BIN, the Claude Code executable"),
]


class Session:
    """One scenario, played with these settings merged into the user's."""

    def __init__(self, root: Path, scenario: str | Path, settings: dict[str, Any]) -> None:
        sys.path.insert(0, str(LAB))
        from run_session import run_session  # type: ignore[import-not-found]

        result = run_session(
            Path(BINARY), _scenario(scenario), root, hooks="none", extra_settings=settings,
            python=os.environ.get("LAB_PYTHON", sys.executable),
        )  # fmt: skip
        self.exit_statuses: list[int] = result.exit_statuses
        self.seconds: float = result.seconds
        self.claude_dir = root / "home" / ".claude"
        self.requests: list[dict[str, Any]] = [
            entry["body"] for entry in result.api_requests if "messages" in (entry["body"] or {})
        ]
        self.stderr = (root / "records" / "stderr.txt").read_text()
        self.stream = [json.loads(line) for line in (root / "records" / "stream.jsonl").read_text().splitlines()]

    def said(self) -> list[tuple[str, str]]:
        """What came out, without what differs between any two runs. Tools of one batch and subagents run at once, so
        only what and how often counts, not in which order."""
        kinds = ("assistant", "user", "result")
        return sorted(
            (message["type"], json.dumps(_stable(message.get("message", message.get("result"))), sort_keys=True))
            for message in self.stream if message["type"] in kinds
        )  # fmt: skip

    def calls(self) -> Counter[str]:
        """Every tool call of every transcript."""
        lines = [
            line for path in (self.claude_dir / "projects").rglob("*.jsonl") for line in path.read_text().splitlines()
        ]
        blocks = [
            block
            for line in map(json.loads, lines)
            if line["type"] == "assistant"
            for block in line["message"]["content"]
        ]
        return Counter({block["id"]: 1 for block in blocks if block["type"] == "tool_use"})


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _stable(item) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    return (
        "…"
        if isinstance(value, str)
        and any(sign in value for sign in ("/tmp", "toolu_", "agentId", "subagent_tokens", "CLAUDE_CONFIG_DIR"))
        else value
    )


def _scenario(named: str | Path) -> Path:
    return named if isinstance(named, Path) else LAB / "scenarios" / f"{named}.json"


def connected(cdesk: Cdesk, *options: str) -> dict[str, Any]:
    """The settings that `cdesk connect` writes for this very Claude Code."""
    folder = cdesk.claude_dir.parent / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "claude").exists():
        (folder / "claude").symlink_to(Path(BINARY).resolve())
    done = cdesk.run("connect", "--yes", *options, PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads((cdesk.claude_dir / "settings.json").read_text()))


def settled(cdesk: Cdesk) -> None:
    deadline = time.monotonic() + 30
    while cdesk.json("status")["queue"]["bytes"] and time.monotonic() < deadline:
        time.sleep(0.1)


def tool_rows(cdesk: Cdesk) -> dict[str, str]:
    rows = cdesk.rows(
        "SELECT feature_json.tool_use_id::VARCHAR, _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'"
    )
    assert len({call for call, _ in rows}) == len(rows), "one tool call, one row"
    return dict(rows)
