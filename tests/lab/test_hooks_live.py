"""The real Claude Code, connected: what it does becomes rows, and whatever state cdesk is in, it does the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk
from tests.lab.claude import NEEDED, Session, connected, settled

pytestmark = NEEDED


def tool_rows(cdesk: Cdesk) -> dict[str, str]:
    rows = cdesk.rows(
        "SELECT feature_json.tool_use_id::VARCHAR, _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'"
    )
    assert len({call for call, _ in rows}) == len(rows), "one tool call, one row"
    return dict(rows)


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


@pytest.fixture(scope="module")
def played_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    """A scenario without hooks, played once for all states that it is compared with."""
    return cache(lambda scenario: Session(tmp_path_factory.mktemp("alone") / "lab", scenario, {}))


@pytest.mark.parametrize("scenario", ["tools", "subagents"])
@pytest.mark.parametrize("state", ["absent", "killed half-way", "hung", "running"])
def test_claude_code_does_the_same_whatever_state_we_are_in(
    cdesk: Cdesk, tmp_path: Path, played_alone: Callable[[str], Session], scenario: str, state: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit code and what is said are those of a session without hooks; and nothing is told twice afterwards."""
    alone = played_alone(scenario)
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
