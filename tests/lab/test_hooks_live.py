"""The real Claude Code, connected: what it does becomes rows, and whatever state cdesk is in, it does the same.

Runs only with CLAUDE_BIN (the executable) in the environment, offline, each session in a home of its own. LAB_PYTHON
names an interpreter that has the `mcp` package; without it the MCP calls of the scenario fail, which is told as well.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
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

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LAB.exists(), reason="needs ../shared/lab, which is not beside this repository"),
    pytest.mark.skipif(not Path(BINARY).is_file(), reason="needs CLAUDE_BIN, the Claude Code executable"),
]


class Session:
    """One scenario, played with these settings merged into the user's."""

    def __init__(self, root: Path, scenario: str, settings: dict[str, Any]) -> None:
        sys.path.insert(0, str(LAB))
        from run_session import run_session  # type: ignore[import-not-found]

        result = run_session(
            Path(BINARY), LAB / "scenarios" / f"{scenario}.json", root, hooks="none", extra_settings=settings,
            python=os.environ.get("LAB_PYTHON", sys.executable),
        )  # fmt: skip
        self.exit_statuses: list[int] = result.exit_statuses
        self.seconds: float = result.seconds
        self.claude_dir = root / "home" / ".claude"
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


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    found = Cdesk(tmp_path / "cdesk", tmp_path / "claude")
    yield found
    found.run("down")


def connected(cdesk: Cdesk, *options: str) -> dict[str, Any]:
    """The settings that `cdesk connect` writes for this very Claude Code."""
    folder = cdesk.claude_dir.parent / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "claude").exists():
        (folder / "claude").symlink_to(Path(BINARY).resolve())
    done = cdesk.run("connect", "--yes", *options, PATH=f"{folder}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads((cdesk.claude_dir / "settings.json").read_text()))


def tool_rows(cdesk: Cdesk) -> dict[str, str]:
    rows = cdesk.rows(
        "SELECT feature_json.tool_use_id::VARCHAR, _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'"
    )
    assert len({call for call, _ in rows}) == len(rows), "one tool call, one row"
    return dict(rows)


def settled(cdesk: Cdesk) -> None:
    deadline = time.monotonic() + 30
    while cdesk.json("status")["queue"]["bytes"] and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.mark.parametrize("scenario", ["tools", "subagents", "permissions", "lifecycle", "resume", "errors"])
def test_every_tool_call_is_one_row_of_hook_and_transcript(cdesk: Cdesk, tmp_path: Path, scenario: str) -> None:
    """Connected and running; then the transcripts are read, too."""
    cdesk.up()
    session = Session(tmp_path / "lab", scenario, connected(cdesk))
    assert set(session.exit_statuses) == {0}, session.stderr
    settled(cdesk)
    before = {call: source for call, source in tool_rows(cdesk).items() if "hook" in source.split(",")}
    assert set(before) == set(session.calls())
    cdesk.text("import", "--claude-dir", str(session.claude_dir))
    settled(cdesk)
    found = tool_rows(cdesk)
    assert set(found) == set(session.calls())
    assert {call for call, source in found.items() if not {"hook", "transcript"} <= set(source.split(","))} == set()
    started = cdesk.rows("SELECT _session_id, _source FROM CLAUDE_STREAM_V2 WHERE activity = 'session_started'")
    assert len({name for name, _ in started}) == len(started)
    assert all({"hook", "transcript"} <= set(source.split(",")) for _, source in started)
    ended = cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'session_ended'")[0][0]
    assert ended >= len(session.exit_statuses)
    alone = cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'user_asked' AND _source = 'hook'")
    assert alone == [[0]]
    failures = cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'hook_ran' AND feature_json.outcome::VARCHAR LIKE '%error%'")  # fmt: skip
    assert failures == [[0]]


@pytest.mark.parametrize("scenario", ["tools", "subagents"])
@pytest.mark.parametrize("state", ["absent", "killed half-way", "hung", "running"])
def test_claude_code_does_the_same_whatever_state_we_are_in(
    cdesk: Cdesk, tmp_path: Path, scenario: str, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code and what is said are those of a session without hooks; and nothing is told twice afterwards."""
    alone = Session(tmp_path / "alone", scenario, {})
    pid = cdesk.up()["pid"]
    settings = connected(cdesk)
    if state == "absent":
        os.kill(pid, signal.SIGKILL)
    elif state == "hung":
        os.kill(pid, signal.SIGSTOP)
    killer = threading.Timer(2.0, os.kill, (pid, signal.SIGKILL))
    if state == "killed half-way":
        killer.start()
    try:
        session = Session(tmp_path / "lab", scenario, settings)
    finally:
        killer.cancel()
        if state == "hung":
            os.kill(pid, signal.SIGCONT)
    assert session.exit_statuses == alone.exit_statuses == [0]
    assert session.said() == alone.said()
    assert session.stderr == alone.stderr
    with capsys.disabled():
        print(f"\n{scenario}, {state}: {session.seconds:.2f} s (without hooks {alone.seconds:.2f} s)")
    cdesk.up() if state in ("absent", "killed half-way") else settled(cdesk)
    cdesk.text("import", "--claude-dir", str(session.claude_dir))
    settled(cdesk)
    assert set(tool_rows(cdesk)) == set(session.calls())
    started = cdesk.rows("SELECT _source FROM CLAUDE_STREAM_V2 WHERE activity = 'session_started'")
    assert len(started) == 1 and "hook" in started[0][0].split(","), "the command hook kept it on disk"


def test_command_hooks_without_a_service_tell_the_facts(cdesk: Cdesk, tmp_path: Path) -> None:
    """No service at all: ids, times and outcomes come from the hooks, words from the transcript."""
    session = Session(tmp_path / "lab", "tools", connected(cdesk, "--command-hooks"))
    assert session.exit_statuses == [0]
    assert list((cdesk.home / "spool").glob("*.hook"))
    cdesk.text("import", "--claude-dir", str(session.claude_dir))
    found = tool_rows(cdesk)
    assert set(found) == set(session.calls())
    assert [source for source in found.values() if source == "hook,transcript"]
    assert list((cdesk.home / "spool").glob("*.hook")) == []
