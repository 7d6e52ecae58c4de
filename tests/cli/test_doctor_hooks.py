"""`cdesk doctor` says whether Claude Code is connected, and proves that what is told arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    blank.put(tmp_path / "home" / "warehouse")
    found = Cdesk(tmp_path / "home", tmp_path / "claude")
    yield found
    found.down()


def findings(cdesk: Cdesk, *subjects: str) -> list[tuple[str, str]]:
    told = json.loads(cdesk.run("doctor", "--json").stdout)["findings"]
    return [(found["level"], found["subject"]) for found in told if found["subject"] in subjects]


def test_without_connection_it_says_how_to_connect(cdesk: Cdesk) -> None:
    """Nothing wrong, something to do."""
    done = cdesk.run("doctor")
    assert b"`cdesk connect`" in done.stdout and findings(cdesk, "hooks") == [("note", "hooks")]


@pytest.mark.parametrize("options", [(), ("--plugin",)])
def test_a_test_event_through_each_way_reaches_the_warehouse(cdesk: Cdesk, options: tuple[str, ...]) -> None:
    """Connected and running: all is well, and the events are rows."""
    cdesk.up()
    cdesk.text("connect", "--yes", *options)
    ways = ("hooks", "http hook", "command hook")
    assert findings(cdesk, *ways) == [("ok", way) for way in ways]
    assert cdesk.rows(
        "SELECT _source, count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'self_test_arrived' GROUP BY 1"
    ) == [["hook", 2]]


def test_a_connection_to_another_port_is_a_problem(cdesk: Cdesk) -> None:
    """The hooks would talk to nobody."""
    cdesk.text("connect", "--yes")
    path = cdesk.claude_dir / "settings.json"
    handler = {"type": "http", "url": "http://127.0.0.1:1/v1/hooks/claude-code", "timeout": 1}
    path.write_text(json.dumps({"hooks": {"Stop": [{"hooks": [handler]}]}}))
    assert findings(cdesk, "hooks") == [("problem", "hooks")]


def test_a_plugin_that_lost_its_folder_is_a_problem(cdesk: Cdesk) -> None:
    """Claude Code would find nothing there, silently."""
    cdesk.text("connect", "--yes", "--plugin")
    (cdesk.home / "plugin" / "cdesk" / "hooks" / "hooks.json").unlink()
    assert findings(cdesk, "hooks") == [("problem", "hooks")]


def test_hooks_switched_off_are_a_problem(cdesk: Cdesk) -> None:
    """disableAllHooks, and a program that is gone."""
    cdesk.text("connect", "--yes")
    path = cdesk.claude_dir / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "disableAllHooks": True}))
    (cdesk.home / "hook" / "claude_code.pyc").unlink()
    assert findings(cdesk, "hooks")[:2] == [("problem", "hooks"), ("problem", "hooks")]


def test_broken_settings_are_a_problem(cdesk: Cdesk) -> None:
    """Claude Code cannot read them either."""
    (cdesk.claude_dir / "settings.json").write_text("{")
    assert findings(cdesk, "hooks") == [("problem", "hooks")]
