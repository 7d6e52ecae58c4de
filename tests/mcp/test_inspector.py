"""The MCP Inspector's command line finds nothing in the tools' schemas, and calls one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.mcp import judges


def ask(home: Path, era: str, *arguments: str) -> dict[str, Any]:
    """The result that it prints; of a schema that some client may not like it warns."""
    kept = {"CDESK_HOME": str(home / "cdesk"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    environment = [part for name, value in kept.items() if value for part in ("-e", f"{name}={value}")]
    server = (sys.executable, "-m", "cdesk", "mcp")
    era_asked = ("--protocol-era", era)
    done = judges.run(judges.INSPECTOR, "--cli", *environment, *server, *era_asked, *arguments, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_nothing(tmp_path: Path, era: str) -> None:
    """Over stdio, with nothing there before."""
    listed = ask(tmp_path, era, "--method", "tools/list", "--strict")
    assert "get_context" in [tool["name"] for tool in listed["tools"]]
    event = ("--tool-name", "log_event", "--tool-arg", "activity=app_deployed")
    called = ask(tmp_path, era, "--method", "tools/call", *event)
    assert called["structuredContent"]["is_durable"] is True
