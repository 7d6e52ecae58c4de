"""Our MCP server in Claude Code's own configuration: the entry `cdesk` under `mcpServers`.

    $CLAUDE_CONFIG_DIR/.claude.json, else ~/.claude.json      mcpServers                      the user's
                                                              projects.<folder>.mcpServers    for one project, private

Claude Code itself writes that file, much more than servers; so only this entry is touched, at once, and not at all when
the file changed meanwhile. A server called `cdesk` that is not ours stays.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdesk.capture.install import Connection, Connections, Edit, Scope, parsed_settings, settings_text
from cdesk.capture.settings_text import NoPlace, SettingsText
from cdesk.errors import ConfigError

NAME = "cdesk"
ARGUMENTS = ["-P", "-m", "cdesk", "mcp"]
"""-P: modules of the folder a session works in are not ours to run."""


def server(home: Path) -> dict[str, Any]:
    """alwaysLoad: its tools are there from the first request on, instead of being looked for by name."""
    return {
        "type": "stdio", "command": sys.executable, "args": ARGUMENTS, "env": {"CDESK_HOME": str(home)},
        "alwaysLoad": True,
    }  # fmt: skip


def configuration_path(scope: Scope, claude_dir: Path | None, environment: Mapping[str, str]) -> Path:
    """Beside `~/.claude`, but inside any other folder that takes its place."""
    given = environment.get("CLAUDE_CONFIG_DIR", "").split(",")[0].strip()
    if given:
        folder = Path(given).expanduser().absolute()
        return (folder if scope == "project" or claude_dir is None else claude_dir) / ".claude.json"
    if scope == "project" or claude_dir is None or claude_dir == Path.home() / ".claude":
        return Path.home() / ".claude.json"
    return claude_dir / ".claude.json"


def place(scope: Scope, project: Path) -> tuple[str, ...]:
    return ("mcpServers", NAME) if scope == "user" else ("projects", str(project), "mcpServers", NAME)


def connect(path: Path, member: tuple[str, ...], want: Mapping[str, Any] | None, connections: Connections) -> Edit:
    """The file with the wanted server as this member, or without ours when none is wanted. Raises ConfigError."""
    before = settings_text(path)
    known = connections.known.get(str(path))
    if before is None and want is None:
        return Edit(path, None, None)
    text = parsed_settings(path, before or "")
    standing = text.get(member)
    if standing is not None and not is_ours(standing):
        note = f"{path} has another MCP server called {NAME}; it stays, and ours is not registered."
        return Edit(path, before, before, (note,) if want is not None else (), known)
    if standing == want:
        return Edit(path, before, before, (), known)
    try:
        if want is not None:
            made = [list(map(str, new)) for new in text.put(member, dict(want)) if len(new) < len(member)]
            containers = [*(known.containers if known is not None else []), *made]
            is_new_file = before is None or (known is not None and known.is_new_file)
            return Edit(path, before, text.text, (), Connection(containers, [], is_new_file))
        _remove(text, member, known)
    except NoPlace as error:
        raise ConfigError(f"{path}: {error}.", "Correct the file first; nothing was changed.") from None
    is_ours_alone = known is not None and known.is_new_file and text.value() == {}
    return Edit(path, before, None if is_ours_alone else text.text)


def is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and list(entry.get("args") or [])[-2:] == ARGUMENTS[-2:]


def _remove(text: SettingsText, member: tuple[str, ...], known: Connection | None) -> None:
    """With the containers that were made for it, where they are empty now; those of a lost memory stay."""
    text.remove(member)
    for depth in range(len(member) - 1, 0, -1):
        container = member[:depth]
        if known is not None and list(container) in known.containers and text.get(container) == {}:
            text.remove(container)
