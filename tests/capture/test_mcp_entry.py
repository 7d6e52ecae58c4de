"""Our entry in Claude Code's own configuration comes and goes, and nothing else in that file is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdesk.capture import mcp_entry
from cdesk.capture.install import Connections, Edit
from cdesk.errors import ConfigError

THEIRS = """{
  "numStartups": 7, "oauthAccount": {"x": 1.50},
  "projects": {"/work/shop": {"allowedTools": [ ], "mcpServers": {}}}
}"""


class Configuration:
    def __init__(self, folder: Path, member: tuple[str, ...] = ("mcpServers", "cdesk")) -> None:
        self.path = folder / ".claude.json"
        self.home = folder / "home"
        self.home.mkdir()
        self.member = member

    def edit(self, want: dict[str, Any] | None) -> Edit:
        return mcp_entry.connect(self.path, self.member, want, Connections.load(self.home))

    def apply(self, want: dict[str, Any] | None) -> Edit:
        edit = self.edit(want)
        if edit.after is None:
            self.path.unlink(missing_ok=True)
        else:
            self.path.write_text(edit.after)
        Connections.load(self.home).remember(self.path, edit.connection)
        return edit


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return Configuration(tmp_path)


@pytest.mark.parametrize("scope", ["user", "project"])
@pytest.mark.parametrize("before", [THEIRS, "{}", '{"mcpServers":{"other":{"command":"x"}}}', None])
def test_it_comes_and_goes_to_the_byte(tmp_path: Path, scope: Any, before: str | None) -> None:
    """Whatever was there, and when nothing was."""
    found = Configuration(tmp_path, mcp_entry.place(scope, Path("/work/shop")))
    if before is not None:
        found.path.write_text(before)
    server = mcp_entry.server(tmp_path / "home")
    written = json.loads(found.apply(server).after or "")
    for step in found.member:
        written = written[step]
    assert written == server and written["alwaysLoad"] is True
    assert not found.edit(server).is_change
    found.apply(None)
    assert (found.path.read_text() if found.path.exists() else None) == before
    assert not found.edit(None).is_change


def test_it_runs_no_module_of_the_folder_it_is_started_in(tmp_path: Path) -> None:
    """Claude Code starts it in the project, which may hold a `cdesk.py` of its own."""
    assert mcp_entry.server(tmp_path)["args"] == ["-P", "-m", "cdesk", "mcp"]
    assert mcp_entry.server(tmp_path)["env"] == {"CDESK_HOME": str(tmp_path)}


def test_another_interpreter_or_home_replaces_it(configuration: Configuration) -> None:
    """And it still goes to the byte."""
    configuration.path.write_text(THEIRS)
    configuration.apply(mcp_entry.server(configuration.home))
    moved = mcp_entry.server(configuration.home / "elsewhere")
    configuration.apply(moved)
    assert json.loads(configuration.path.read_text())["mcpServers"] == {"cdesk": moved}
    configuration.apply(None)
    assert configuration.path.read_text() == THEIRS


def test_a_server_of_that_name_that_is_not_ours_stays(configuration: Configuration) -> None:
    """It is said; disconnecting leaves it as well."""
    configuration.path.write_text('{"mcpServers": {"cdesk": {"command": "their-own"}}}')
    edit = configuration.edit(mcp_entry.server(configuration.home))
    assert not edit.is_change and "it stays" in edit.notes[0]
    assert not configuration.edit(None).is_change and configuration.edit(None).notes == ()


@pytest.mark.parametrize("broken", ["{", "[]", '{"mcpServers": 7}'])
def test_what_is_no_configuration_is_refused_untouched(configuration: Configuration, broken: str) -> None:
    """With one line that says so."""
    configuration.path.write_text(broken)
    with pytest.raises(ConfigError):
        configuration.edit(mcp_entry.server(configuration.home))
    assert configuration.path.read_text() == broken


def test_the_file_is_where_claude_code_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside `~/.claude`, inside any other folder; a project's entry stands in the user's file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    other = tmp_path / "other"
    inside: dict[str, str] = {"CLAUDE_CONFIG_DIR": str(other)}
    assert mcp_entry.configuration_path("user", None, {}) == tmp_path / ".claude.json"
    assert mcp_entry.configuration_path("user", tmp_path / ".claude", {}) == tmp_path / ".claude.json"
    assert mcp_entry.configuration_path("user", other, {}) == other / ".claude.json"
    assert mcp_entry.configuration_path("user", None, inside) == other / ".claude.json"
    assert mcp_entry.configuration_path("user", tmp_path / "third", inside) == tmp_path / "third" / ".claude.json"
    assert mcp_entry.configuration_path("project", tmp_path / "p" / ".claude", {}) == tmp_path / ".claude.json"
    assert mcp_entry.configuration_path("project", tmp_path / "p" / ".claude", inside) == other / ".claude.json"
