"""What `cdesk doctor` says of the MCP server that Claude asks, and of the status line: are they ours, and would they run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cdesk.capture import install, mcp_entry, plugin, statusline
from cdesk.cli.finding import Finding
from cdesk.config import Home
from cdesk.errors import ConfigError

AGAIN = "`cdesk connect` writes it anew."
AGAIN_PLUGIN = "`cdesk connect --plugin` writes it anew."
AGAIN_LINE = "`cdesk connect --statusline` writes it anew."


def asked(home: Home, settings_path: Path, configuration: Path) -> Iterator[Finding]:
    """Both, of the user's own settings. What is wrong with these files the hooks' finding says."""
    try:
        settings = install.standing(settings_path)
    except ConfigError:
        return
    yield from _server(home, settings, configuration)
    yield from _status_line(home, settings)


def _server(home: Home, settings: dict[str, Any], configuration: Path) -> Iterator[Finding]:
    if install.has_plugin(settings):
        where, again, entry = "the plugin", AGAIN_PLUGIN, plugin.standing_server(home.path)
    else:
        where, again = str(configuration), AGAIN
        try:
            entry = _member(install.standing(configuration), *mcp_entry.place("user", Path.cwd()))
        except ConfigError as error:
            yield Finding("problem", "mcp", error.message, error.hint)
            return
    if entry is None and install.has_plugin(settings):
        yield Finding("problem", "mcp", "the plugin has lost its server.", again)
    elif entry is None and install.our_hooks(settings):
        yield Finding(
            "note", "mcp", f"none registered in {where}: Claude cannot ask cdesk.", "`cdesk connect` registers it."
        )
    elif entry is not None and not mcp_entry.is_ours(entry):
        yield Finding("note", "mcp", f"the server {mcp_entry.NAME} in {where} is not ours, and stays.")
    elif entry is not None:
        yield _runs("mcp", where, entry.get("command"), _member(entry, "env", "CDESK_HOME"), home, again)


def _status_line(home: Home, settings: dict[str, Any]) -> Iterator[Finding]:
    command = statusline.standing(settings)
    if command is not None and statusline.is_ours(command):
        theirs = "below your own" if statusline.theirs(command) else "alone"
        yield _runs("status line", theirs, *statusline.program(command), home, AGAIN_LINE)
    elif install.our_hooks(settings) or install.has_plugin(settings):
        yield Finding(
            "note", "status line", "not shown.", "`cdesk connect --statusline` shows spend and the context's age."
        )


def _member(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _runs(subject: str, where: str, python: Any, its_home: Any, home: Home, again: str) -> Finding:
    if not isinstance(python, str) or shutil.which(python) is None:
        return Finding("problem", subject, f"its Python {python} is gone.", again)
    if not isinstance(its_home, str) or Path(its_home) != home.path:
        return Finding("problem", subject, f"it is of another home, {its_home}.", again)
    return Finding("ok", subject, f"{where}, by {python}")
