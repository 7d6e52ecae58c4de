"""The real process, raw JSON-RPC: what comes out, what it loads, what it leaves in the queue, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk
from tests.mcp.desk import message, modern
from tests.mcp.process import queued, started

from cdesk.surface.mcp.protocol import MESSAGE_BYTES_MAX
from cdesk.surface.mcp.tools import TOOLS

HEAVY = ("duckdb", "sqlglot", "starlette", "uvicorn", "mcp", "pydantic", "rich", "numpy", "asyncio")
PROBE = f"""
import sys, threading
from cdesk.cli import main
status = main(["mcp"])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.__stderr__)
sys.exit(status)
"""
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


def test_both_eras_in_one_process(tmp_path: Path) -> None:
    """Nothing is remembered between requests, so that they may take turns."""
    with started(tmp_path / "home") as server:
        assert server.ask("server/discover", {"_meta": {}})["error"]["code"] == -32602
        server.send(modern("server/discover", id="probe"))
        assert server.hear()["result"]["supportedVersions"][0] == "2026-07-28"
        first = server.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        assert first["result"]["protocolVersion"] == "2025-11-25"
        server.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        assert server.ask("ping", id=7) == {"jsonrpc": "2.0", "id": 7, "result": {}}
        assert len(server.ask("tools/list")["result"]["tools"]) == len(TOOLS)
        assert server.end() == 0


def test_it_loads_no_warehouse_no_web_server_and_no_sdk(tmp_path: Path) -> None:
    """Not even after insights were recorded and the service was asked for."""
    with started(tmp_path / "home", python=("-c", PROBE)) as server:
        server.ask("initialize", {"protocolVersion": "2025-11-25"})
        server.ask("tools/list")
        assert not server.call("log_event", activity="app_deployed")["isError"]
        assert server.call("usage")["isError"]
        assert server.end() == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read().decode().strip() == "[]"


def test_what_was_answered_is_in_the_queue_at_the_end(tmp_path: Path) -> None:
    """Insights before their answer, calls at the latest when the process ends; redacted, and its owner's alone."""
    home = tmp_path / "home"
    with started(home, CLAUDE_CODE_SESSION_ID="s-1", CLAUDE_PROJECT_DIR="/work/app") as server:
        result = server.call(
            "record_insight", {"claudecode/toolUseId": "toolu_1"}, subject="deploy", metric="token",
            statement=f"The token is {SECRET}.",
        )  # fmt: skip
        assert not result["isError"]
        insight = next(line for line in queued(home) if line["activity"] == "insight_recorded")
        assert result["structuredContent"]["cite"] == f"activity:{insight['activity_id']}"
        server.call("usage", {"claudecode/toolUseId": "toolu_2"})
        assert server.end() == 0
    lines = queued(home)
    assert SECRET not in json.dumps(lines) and insight["_source"] == "mcp"
    calls = {line["feature_json"]["tool_use_id"]: line for line in lines if line["activity"] == "mcp_called"}
    assert set(calls) == {"toolu_1", "toolu_2"}
    assert calls["toolu_1"]["_session_id"] == "s-1" and calls["toolu_1"]["feature_json"]["success"] is True
    assert calls["toolu_2"]["feature_json"]["project_path"] == "/work/app"
    assert calls["toolu_2"]["feature_json"]["success"] is False
    for path in [home, *home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_loss(tmp_path: Path, number: signal.Signals) -> None:
    """Claude Code sends SIGINT, and SIGTERM a tenth of a second later."""
    home = tmp_path / "home"
    with started(home) as server:
        server.call("usage", {"claudecode/toolUseId": "toolu_1"})
        server.process.send_signal(number)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0
        assert server.process.stderr is not None and server.process.stderr.read() == b""
    assert [line["feature_json"]["tool_use_id"] for line in queued(home)] == ["toolu_1"]


def test_nothing_but_messages_on_standard_output(tmp_path: Path) -> None:
    """Whatever comes in."""
    with started(tmp_path / "home") as server:
        for line in (b"", b"   ", b"{", b"[]", b'{"jsonrpc":"2.0","method":"notifications/x"}', message("ping", id=9)):
            server.send(line)
        assert [server.hear().get("id") for _ in range(3)] == [None, None, 9]
        assert server.end() == 0
        assert server.process.stdout is not None and server.process.stdout.read() == b""


def test_a_line_without_end_is_refused_and_the_next_one_answered(tmp_path: Path) -> None:
    """Nobody's memory is filled."""
    with started(tmp_path / "home") as server:
        server.send(b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * (2 * MESSAGE_BYTES_MAX) + b'"}')
        assert server.hear()["error"]["code"] == -32600
        assert server.ask("ping", id=2)["result"] == {}


def test_who_listens_hears_the_end(tmp_path: Path) -> None:
    """Unless it was cancelled."""
    with started(tmp_path / "home") as server:
        for id_ in ("l1", "l2"):
            server.send(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=id_))
            assert server.hear()["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id_
        server.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "l1"}}).encode())  # fmt: skip
        assert server.ask("ping", id=3)["id"] == 3
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.hear()["id"] == "l2"
        assert server.process.wait(timeout=20) == 0


def test_a_slow_answer_holds_up_no_other_and_can_be_cancelled(cdesk: Cdesk) -> None:
    """The service stands still; what needs no service is answered meanwhile."""
    pid = cdesk.up()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with started(cdesk.home) as server:
            server.send(message("tools/call", {"name": "usage", "arguments": {}}, id="slow"))
            assert server.ask("ping", id="quick")["id"] == "quick"
            server.send(json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}}).encode())  # fmt: skip
            assert server.ask("ping", id="again")["id"] == "again"
            os.kill(pid, signal.SIGCONT)
            result = server.call("list_questions")
            assert result["structuredContent"]["questions"], "and of the cancelled one nothing is heard"
            assert server.end() == 0
    finally:
        os.kill(pid, signal.SIGCONT)
