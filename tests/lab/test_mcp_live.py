"""The real Claude Code asks the real server: over stdio and HTTP, its service running, hung, killed and absent.

Runs only with CLAUDE_BIN (the executable) in the environment, offline, each session in a home of its own.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk
from tests.lab.claude import BINARY, LAB, NEEDED, settled
from tests.mcp.process import queued

pytestmark = NEEDED
ASKED: dict[str, dict[str, Any]] = {
    "get_context": {}, "record_insight": {"subject": "lab", "metric": "works", "statement": "The lab works."},
    "log_event": {"activity": "lab_visited"}, "usage": {"by": "model"}, "search_activity": {"text": "lab"},
    "explain": {"citation": "cdesk:none"}, "list_questions": {}, "ask": {"question": "tool_usage"},
    "get_artifact": {"artifact": "art_1a2225642db_00000000"},
    "submit_query": {"sql": "SELECT 1"}, "get_ticket": {"ticket": "tk_0_0"},
    "dataset": {"dataset": "primary all tool_called show ts"},
}  # fmt: skip
NEED_SERVICE = {
    "usage",
    "search_activity",
    "list_questions",
    "ask",
    "get_artifact",
    "submit_query",
    "get_ticket",
    "dataset",
}
ERRS_ALWAYS = {"explain", "get_artifact", "get_ticket"}
"""They are asked for what there is not."""


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    blank.put(tmp_path / "cdesk" / "warehouse")
    found = Cdesk(tmp_path / "cdesk", tmp_path / "claude")
    yield found
    found.run("down")


def stdio(cdesk: Cdesk) -> dict[str, Any]:
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {"CDESK_HOME": str(cdesk.home), **({"PYTHONPATH": path} if path else {})}
    return {"type": "stdio", "command": sys.executable, "args": ["-m", "cdesk", "mcp"], "env": environment}


def over_http(cdesk: Cdesk) -> dict[str, Any]:
    port = cdesk.json("status")["port"]
    token = (cdesk.home / "token").read_text().strip()
    return {"type": "http", "url": f"http://127.0.0.1:{port}/mcp", "headers": {"Authorization": f"Bearer {token}"}}


class Session:
    """Claude Code, whose scripted model calls every tool once, one after another."""

    def __init__(self, root: Path, server: dict[str, Any], settings: dict[str, Any] | None = None) -> None:
        sys.path.insert(0, str(LAB))
        from run_session import run_session  # type: ignore[import-not-found]

        turns: list[dict[str, Any]] = [
            {"content": [{"type": "tool_use", "name": f"mcp__cdesk__{name}", "input": given}]}
            for name, given in ASKED.items()
        ]
        config = json.dumps({"mcpServers": {"cdesk": {**server, "alwaysLoad": True}}})
        scenario = {
            "description": "Asks cdesk everything.",
            "session": {"runs": [{"prompts": ["Ask."], "args": ["--permission-mode", "bypassPermissions", "--mcp-config", config]}]},
            "scripts": {"main": {
                "match": {"has_tools": True}, "turns": [*turns, {"content": [{"type": "text", "text": "Asked."}]}],
            }},
        }  # fmt: skip
        root.parent.mkdir(parents=True, exist_ok=True)
        path = root.parent / f"{root.name}.json"
        path.write_text(json.dumps(scenario))
        result = run_session(Path(BINARY), path, root, hooks="none", extra_settings=settings or {})
        self.exit_statuses: list[int] = result.exit_statuses
        self.seconds: float = result.seconds
        self.claude_dir = root / "home" / ".claude"
        self.requests = [json.loads(line) for line in (root / "records" / "api.jsonl").read_text().splitlines()]

    def results(self) -> dict[str, tuple[bool, str]]:
        """What the model was given back for each tool: whether it is an error, and the text."""
        messages = self.requests[-1]["body"]["messages"]
        blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
        names = {block["id"]: block["name"] for block in blocks if block["type"] == "tool_use"}
        return {
            names[block["tool_use_id"]].removeprefix("mcp__cdesk__"): (
                bool(block.get("is_error")), json.dumps(block["content"])
            )
            for block in blocks if block["type"] == "tool_result"
        }  # fmt: skip

    def system(self) -> str:
        return json.dumps(self.requests[-1]["body"])


@pytest.mark.parametrize("transport", [stdio, over_http])
def test_claude_code_calls_every_tool(cdesk: Cdesk, tmp_path: Path, transport: Any) -> None:
    """Each is answered; the server's instructions reach the model; every call is one row, joined to the session's own."""
    cdesk.up()
    session = Session(tmp_path / "lab", transport(cdesk))
    assert session.exit_statuses == [0]
    results = session.results()
    assert {name for name, (is_error, _) in results.items() if is_error} == ERRS_ALWAYS, results
    assert set(results) == set(ASKED) and "Call get_context when you begin" in session.system()
    settled(cdesk)
    cdesk.text("import", "--claude-dir", str(session.claude_dir))
    settled(cdesk)
    rows = cdesk.rows("SELECT method, _source, success, _session_id, latency_ms FROM VW_MCP_EVENTS")
    assert {method for method, *_ in rows} == set(ASKED) and len(rows) == len(ASKED)
    assert all(set(source.split(",")) >= {"mcp", "transcript"} for _, source, *_ in rows), rows
    assert {method for method, _, success, *_ in rows if not success} == ERRS_ALWAYS
    assert len({session_id for _, _, _, session_id, _ in rows}) == 1
    assert all(latency is not None for *_, latency in rows)


@pytest.mark.parametrize("state", ["absent", "killed", "hung"])
def test_without_a_service_claude_code_goes_on(
    cdesk: Cdesk, tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What needs no service is answered; the rest says so with the remedy; insights and calls are kept."""
    pid = cdesk.up()["pid"]
    if state == "absent":
        cdesk.down()
    elif state == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGSTOP)
    try:
        session = Session(tmp_path / "lab", stdio(cdesk))
    finally:
        if state == "hung":
            os.kill(pid, signal.SIGCONT)
    assert session.exit_statuses == [0]
    with capsys.disabled():
        print(f"\nservice {state}: {session.seconds:.2f} s")
    results = session.results()
    assert {name for name, (is_error, _) in results.items() if is_error} == NEED_SERVICE | ERRS_ALWAYS
    remedy = "cdesk doctor" if state == "hung" else "cdesk up"
    assert all(remedy in results[name][1] for name in NEED_SERVICE)
    if state != "hung":
        kept = queued(cdesk.home)
        assert {line["feature_json"]["method"] for line in kept if line["activity"] == "mcp_called"} == set(ASKED)
        assert any(line["activity"] == "insight_recorded" for line in kept)
