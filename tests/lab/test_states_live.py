"""The real Claude Code, connected: whatever state cdesk is in, it does the same."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk
from tests.lab.claude import NEEDED, Session, connected, settled, tool_rows

pytestmark = NEEDED


@pytest.fixture(scope="module")
def played_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    """A scenario without hooks, played once for all states that it is compared with."""
    return cache(lambda scenario: Session(tmp_path_factory.mktemp("alone") / "lab", scenario, {}))


@pytest.mark.parametrize(
    ("state", "scenario"),
    [
        ("absent", "tools"),
        ("hung", "tools"),
        ("killed half-way", "tools"),
        ("killed half-way", "subagents"),
        ("running", "subagents"),
    ],
)
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
