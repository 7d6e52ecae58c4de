"""`cdesk doctor` says whether Claude can ask cdesk, and whether the status line is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cdesk.capture import install, mcp_entry, plugin, statusline
from cdesk.cli.doctor_mcp import asked
from cdesk.config import Home

HOOK = {"type": "http", "url": f"http://127.0.0.1:4740{install.ROUTE}"}
OURS: dict[str, Any] = {"hooks": {"Stop": [{"hooks": [HOOK]}]}}
MARKETPLACE = install.marketplace(Path("/anywhere") / install.PLUGIN_FOLDER)
PLUGIN: dict[str, Any] = {
    member: {name: value}
    for (member, name), value in ((install.PLUGIN_MEMBER, True), (install.MARKETPLACE_MEMBER, MARKETPLACE))
}


class Machine:
    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.settings, self.configuration = folder / "settings.json", folder / ".claude.json"

    def found(self, settings: Any, configuration: Any = None) -> dict[str, tuple[str, str]]:
        self.settings.write_text(json.dumps(settings))
        self.configuration.write_text(json.dumps(configuration or {}))
        return {one.subject: (one.level, one.finding) for one in asked(self.home, self.settings, self.configuration)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def servers(entry: Any) -> dict[str, Any]:
    return {"mcpServers": {"cdesk": entry}}


def test_who_is_not_connected_hears_nothing_of_either(machine: Machine) -> None:
    """One finding, of the hooks, says how to connect."""
    assert machine.found({}) == {}


def test_what_stands_is_well(machine: Machine) -> None:
    line = {"type": "command", "command": statusline.command_line(machine.home.path, "date")}
    found = machine.found({**OURS, "statusLine": line}, servers(mcp_entry.server(machine.home.path)))
    assert [level for level, _ in found.values()] == ["ok", "ok"] and "below your own" in found["status line"][1]


def test_what_is_missing_is_said(machine: Machine) -> None:
    """Neither is needed, so neither is a problem."""
    found = machine.found(OURS)
    assert {name: level for name, (level, _) in found.items()} == {"mcp": "note", "status line": "note"}


@pytest.mark.parametrize(
    ("change", "level", "said"),
    [
        ({"command": "/gone/python"}, "problem", "is gone"),
        ({"env": {"CDESK_HOME": "/other"}}, "problem", "another home, /other"),
        ({"env": None}, "problem", "another home"),
        ({"args": ["other.py"]}, "note", "not ours"),
    ],
)
def test_a_server_that_would_not_answer_is_a_problem(
    machine: Machine, change: dict[str, Any], level: str, said: str
) -> None:
    """It is of a Python or home that is gone; another's is theirs."""
    found = machine.found(OURS, servers({**mcp_entry.server(machine.home.path), **change}))
    assert found["mcp"][0] == level and said in found["mcp"][1]


@pytest.mark.parametrize("configuration", [[], {"mcpServers": 7}, {"mcpServers": {"cdesk": 7}}])
def test_odd_configurations_are_no_accident(machine: Machine, configuration: Any) -> None:
    assert machine.found(OURS, configuration)["mcp"][0] in ("note", "problem")


def test_the_plugins_server_is_in_its_folder(machine: Machine) -> None:
    """And a plugin without it cannot be asked."""
    assert machine.found(PLUGIN)["mcp"][0] == "problem"
    plugin.write(machine.home.path, {}, mcp_entry.server(machine.home.path))
    assert machine.found(PLUGIN)["mcp"][0] == "ok"


def test_a_status_line_of_another_home_is_a_problem(machine: Machine) -> None:
    line = {"type": "command", "command": statusline.command_line(Path("/other"), None)}
    assert machine.found({**OURS, "statusLine": line})["status line"][0] == "problem"
