"""The real Claude Code, connected: what it does becomes rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk
from tests.lab.claude import NEEDED, Session, connected, settled, tool_rows

pytestmark = NEEDED


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
