"""The real Claude Code is told its project's context: in its request, once, by plain hooks and as plugin, in every state."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk
from tests.lab.claude import BINARY, NEEDED, Session, connected, settled

import cdesk as package
from cdesk.activity.catalog import CATALOG
from cdesk.capture.install import PLUGIN_FOLDER
from cdesk.cli import COMMANDS

pytestmark = NEEDED

FIRST = "ld: cannot find -lshop"
NEWS = "The tests of pay need a database"
TELL = """
import json, subprocess, sys, time
from pathlib import Path
from cdesk.context.cache import ContextReader
from cdesk.context.model import ContextKey
home, project, text, told = sys.argv[1:]
subprocess.run([sys.executable, "-m", "cdesk", "emit"], input=told.encode(), check=True, env={**__import__("os").environ, "CDESK_HOME": home})
reader = ContextReader(Path(home) / "context" / "cache.sqlite")
key = ContextKey("ada@example.org", project)
deadline = time.monotonic() + 20
while text not in str(reader.read(key)):
    assert time.monotonic() < deadline, "it is not in the context"
    reader.want(key)
    time.sleep(0.02)
"""
"""Tells cdesk something and waits until it is in the context; a process of its own, so that Claude Code can run it."""

WAYS = {"plain": (), "plugin": ("--plugin",)}


@pytest.fixture
def known(cdesk: Cdesk, tmp_path: Path) -> Cdesk:
    """A service that knows of a failure in the project the lab will play in."""
    (cdesk.home / "config.toml").write_text('[person]\ncustomer = "ada@example.org"\n')
    cdesk.up()
    failure = {"tool_name": "Bash", "tool_use_id": "t", "success": False, "error": FIRST}
    subprocess.run(tell(cdesk, tmp_path, FIRST, "tool_called", failure), check=True, env=environment())
    return cdesk


def tell(cdesk: Cdesk, tmp_path: Path, text: str, activity: str, features: dict[str, Any]) -> list[str]:
    project = str((tmp_path / "lab" / "project").resolve())
    told = {
        "activity": activity, "ts": datetime.now(UTC).isoformat(), "customer": "ada@example.org", "activity_id": text,
        "feature_json": {**features, "project_path": project},
    }  # fmt: skip
    return [sys.executable, "-c", TELL, str(cdesk.home), project, text, json.dumps(told)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}


def scenario(tmp_path: Path, command: list[str], *runs: dict[str, Any]) -> Path:
    """The first turn runs the command; every other one is a word."""
    path = tmp_path / "scenario.json"
    turns = [
        {
            "content": [
                {"type": "tool_use", "name": "Bash", "input": {"command": shlex.join(command), "description": "Look"}}
            ]
        },
        *({"content": [{"type": "text", "text": f"Word {number}."}]} for number in range(6)),
    ]
    session = {"runs": list(runs), "env": {"PYTHONPATH": environment()["PYTHONPATH"]}}
    script = {"match": {"has_tools": True}, "turns": turns}
    path.write_text(json.dumps({"scripts": {"main": script}, "session": session}))
    return path


def run(prompts: int, *args: str) -> dict[str, Any]:
    arguments = ["--permission-mode", "bypassPermissions", *args]
    return {"prompts": [f"Prompt {number}." for number in range(prompts)], "args": arguments}


def system_texts(request: dict[str, Any]) -> list[str]:
    """What stands in messages of role `system`, one text a message or block."""
    contents = [message["content"] for message in request["messages"] if message["role"] == "system"]
    return [
        block if isinstance(block, str) else block["text"]
        for content in contents
        for block in ([content] if isinstance(content, str) else content)
    ]


def heard(session: Session, text: str) -> list[int]:
    """How often the text stands in each request of the main thread."""
    return [sum(one.count(text) for one in system_texts(request)) for request in session.requests]


@pytest.mark.skipif("insight_recorded" not in CATALOG, reason="needs insights that people record")
@pytest.mark.parametrize("way", WAYS)
def test_claude_is_told_when_it_begins_and_what_is_new_with_a_prompt(known: Cdesk, tmp_path: Path, way: str) -> None:
    """Each once, before the first answer; and what it was told stands in the record to the letter."""
    insight = {"subject": "tests", "metric": "needs", "statement": NEWS, "confidence": 0.9, "author": "person"}
    news = scenario(tmp_path, tell(known, tmp_path, NEWS, "insight_recorded", insight), run(3))
    session = Session(tmp_path / "lab", news, connected(known, *WAYS[way]))
    assert session.exit_statuses == [0] and session.stderr == ""
    assert set(heard(session, FIRST)) == {1}, "in every request of the conversation, once"
    assert heard(session, NEWS) == [0, 0, 1, 1], "from the second prompt on"
    (begun,) = [one for one in system_texts(session.requests[0]) if FIRST in one]
    assert begun.startswith("SessionStart hook additional context: # cdesk: ")
    settled(known)
    rows = known.rows(
        "SELECT feature_json.hook_event::VARCHAR, feature_json.text::VARCHAR, feature_json.is_whole::BOOLEAN "
        "FROM CLAUDE_STREAM_V2 WHERE activity = 'context_hydrated' ORDER BY ts"
    )
    assert [(event, is_whole) for event, _, is_whole in rows] == [("SessionStart", True), ("UserPromptSubmit", False)]
    asked = "\n".join(system_texts(session.requests[-1]))
    assert all(text in asked for _, text, _ in rows)


def test_a_session_taken_up_again_is_not_told_twice(known: Cdesk, tmp_path: Path) -> None:
    """Its conversation holds it."""
    name = "00903cac-6cd7-4e0b-9c05-1336fab23028"
    runs = (run(1, "--session-id", name), run(1, "--resume", name))
    session = Session(tmp_path / "lab", scenario(tmp_path, ["true"], *runs), connected(known))
    assert session.exit_statuses == [0, 0] and set(heard(session, FIRST)) == {1}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session without us, played once for all states that it is compared with."""
    folder = tmp_path_factory.mktemp("alone")
    return Session(folder / "lab", scenario(folder, ["true"], run(2)), {})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", ["killed", "hung", "absent"])
def test_without_an_answer_claude_is_told_what_was_kept(
    known: Cdesk, tmp_path: Path, alone: Session, way: str, state: str
) -> None:
    """With its age; exit code, output and standard error are those of a session without us. The record comes later."""
    pid = known.json("status")["pid"]
    settings = connected(known, *WAYS[way])
    plain = scenario(tmp_path, ["true"], run(2))
    before = Session(tmp_path / "lab", plain, settings)  # leaves the plain file
    (tmp_path / "lab").rename(tmp_path / "earlier")
    assert set(heard(before, FIRST)) == {1}
    if state == "absent":
        known.down()
    else:
        os.kill(pid, signal.SIGKILL if state == "killed" else signal.SIGSTOP)
    try:
        session = Session(tmp_path / "lab", plain, settings)
    finally:
        if state == "hung":
            os.kill(pid, signal.SIGCONT)
    assert (session.exit_statuses, session.said(), session.stderr) == (alone.exit_statuses, alone.said(), "")
    assert set(heard(session, FIRST)) == {1}
    assert set(
        heard(session, "No cdesk service answers now; what follows was put together less than a minute ago.")
    ) == {1}
    settled(known) if state == "hung" else known.up()
    known.text("import", "--claude-dir", str(session.claude_dir))
    settled(known)
    rows = known.rows("SELECT feature_json.channel::VARCHAR, feature_json.text::VARCHAR FROM CLAUDE_STREAM_V2 "
                      "WHERE activity = 'context_hydrated' AND feature_json.hook_event::VARCHAR = 'SessionStart' ORDER BY 1")  # fmt: skip
    assert [channel for channel, _ in rows] == ["file", "service"]
    assert heard(session, rows[0][1])[-1] == 1, "the record says what it heard, to the letter"


@pytest.mark.parametrize("way", WAYS)
def test_off_tells_nothing(known: Cdesk, tmp_path: Path, way: str) -> None:
    """And Claude does what it does without us."""
    known.down()
    (known.home / "config.toml").write_text('[person]\ncustomer = "ada@example.org"\n[context]\nhook = "off"\n')
    known.up()
    session = Session(tmp_path / "lab", scenario(tmp_path, ["true"], run(2)), connected(known, *WAYS[way]))
    assert session.exit_statuses == [0] and set(heard(session, "hook additional context")) == {0}


# -- the plugin ----------------------------------------------------------------------------------------------------


def claude(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder / ".claude"),
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", **more}  # fmt: skip
    return subprocess.run(
        [BINARY, *arguments], env=bare, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_plugin_is_valid(known: Cdesk, tmp_path: Path) -> None:
    """To Claude Code itself, strictly: the marketplace and the plugin, as shipped and as written for this machine."""
    connected(known, "--plugin")
    shipped = Path(package.__file__).parent / "capture" / "plugin" / "market"
    for market in (shipped, known.home / PLUGIN_FOLDER):
        for folder in (market, market / "cdesk"):
            done = claude(tmp_path / "judge", "plugin", "validate", str(folder), "--strict")
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_plugin_brings_everything_once(known: Cdesk, tmp_path: Path) -> None:
    """Skill, commands, server and hooks; each tool call and each session is one row."""
    session = Session(tmp_path / "lab", scenario(tmp_path, ["true"], run(1)), connected(known, "--plugin"))
    begun = next(message for message in session.stream if message.get("subtype") == "init")
    assert [one["source"] for one in begun["plugins"] if one["name"] == "cdesk"] == ["cdesk@cdesk"]
    assert {"cdesk:status", "cdesk:usage", "cdesk:context", "cdesk:cdesk-memory"} <= set(begun["slash_commands"])
    assert [one["name"] for one in begun["mcp_servers"]] == ["plugin:cdesk:cdesk"]
    if "mcp" in COMMANDS:
        names = {tool["name"] for tool in session.requests[0]["tools"]}
        assert {f"mcp__plugin_cdesk_cdesk__{tool}" for tool in ("get_context", "record_insight", "explain")} <= names
    settled(known)
    told = known.rows("SELECT activity, count(*) FROM CLAUDE_STREAM_V2 WHERE list_contains(string_split(_source, ','), 'hook') "
                      "AND activity IN ('session_started', 'user_asked', 'tool_called') GROUP BY 1 ORDER BY 1")  # fmt: skip
    assert told == [["session_started", 1], ["tool_called", 1], ["user_asked", 1]]


def test_disconnecting_the_plugin_leaves_no_trace(known: Cdesk, tmp_path: Path) -> None:
    """Nor in the files in which Claude Code notes plugins by itself."""
    settings = connected(known, "--plugin")
    session = Session(tmp_path / "lab", scenario(tmp_path, ["true"], run(1)), settings)
    noted = session.claude_dir / "plugins"
    assert "cdesk" in (noted / "known_marketplaces.json").read_text()
    there = Cdesk(known.home, session.claude_dir)
    assert there.run("disconnect", "--yes").returncode == 0
    names = ("known_marketplaces.json", "installed_plugins.json", "../settings.json", "../.claude.json")
    for path in (noted / name for name in names):
        assert not path.exists() or "cdesk" not in path.read_text().replace(str(tmp_path), ""), path.read_text()
    assert not (known.home / PLUGIN_FOLDER).exists()
    listed = claude(tmp_path / "lab" / "home", "plugin", "list")
    assert listed.returncode == 0 and "cdesk" not in listed.stdout, listed.stdout


@pytest.mark.skipif("mcp" not in COMMANDS, reason="needs the MCP server")
@pytest.mark.parametrize("way", WAYS)
def test_claude_code_connects_to_the_server(known: Cdesk, tmp_path: Path, way: str) -> None:
    """It starts it from the entry that connecting wrote."""
    connected(known, *WAYS[way])
    seen = claude(
        tmp_path / "judge",
        "mcp",
        "list",
        CLAUDE_CONFIG_DIR=str(known.claude_dir),
        PYTHONPATH=environment()["PYTHONPATH"],
    )
    (line,) = [line for line in seen.stdout.splitlines() if "cdesk" in line]
    assert line.startswith("plugin:cdesk:cdesk: " if way == "plugin" else "cdesk: ") and "Connected" in line
