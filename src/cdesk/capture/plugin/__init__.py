"""The Claude Code plugin: our hooks, the MCP server, a skill and commands, in a marketplace folder of this home.

    market/                              shipped with the package, the same for everybody
    $CDESK_HOME/plugin/                  a copy that names this machine, which is what Claude Code runs
      .claude-plugin/marketplace.json
      cdesk/.claude-plugin/plugin.json
      cdesk/hooks/hooks.json             those that `install.py` would write into the settings
      cdesk/.mcp.json                    the server of `mcp_entry.py`
      cdesk/bin/cdesk                    so that the commands find it in Bash
      cdesk/skills, cdesk/commands

Two members of the user's settings switch it on (`install.py`); nothing has to be installed: Claude Code reads the folder
when it starts, and notes it in files of its own, which `forget` clears. The hooks stand in the settings or here, never in
both.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cdesk.capture import install
from cdesk.capture.install import PLUGIN, PLUGIN_FOLDER, Handler
from cdesk.capture.settings_text import NoPlace, NotJson, SettingsText

SHIPPED = Path(__file__).with_name("market")
NAME = f"{PLUGIN}@{PLUGIN}"


def write(home: Path, hooks: Mapping[str, Handler], server: Mapping[str, Any]) -> Path:
    """The plugin's folder for this machine; each file changes at once. It holds the ingest token, so it is the owner's
    alone. Raises OSError."""
    folder = home / PLUGIN_FOLDER
    own = folder / PLUGIN
    texts = {
        folder / path.relative_to(SHIPPED): path.read_text("utf-8") for path in SHIPPED.rglob("*") if path.is_file()
    }
    texts[own / "hooks" / "hooks.json"] = _json({"hooks": {event: [{"hooks": [one]}] for event, one in hooks.items()}})
    texts[own / ".mcp.json"] = _json({"mcpServers": {PLUGIN: dict(server)}})
    for path, text in texts.items():
        _put(path, text, 0o600)
    _put(own / "bin" / PLUGIN, _program(home), 0o700)
    return folder


def standing_hooks(home: Path) -> dict[str, Handler]:
    """Those of the plugin's folder, by event; empty when there is none."""
    try:
        written = json.loads((home / PLUGIN_FOLDER / PLUGIN / "hooks" / "hooks.json").read_text("utf-8"))
        return {event: groups[0]["hooks"][0] for event, groups in written["hooks"].items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return {}


def standing_server(home: Path) -> dict[str, Any] | None:
    """That of the plugin's folder; None when there is none."""
    try:
        written = json.loads((home / PLUGIN_FOLDER / PLUGIN / ".mcp.json").read_text("utf-8"))
        return dict(written["mcpServers"][PLUGIN])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(home: Path, claude_dir: Path, configuration: Path) -> list[Path]:
    """Removes the folder and what Claude Code noted of it by itself, below its folder and in its configuration; gives back
    the files of Claude Code that were changed."""
    noted = (
        (claude_dir / "plugins" / "known_marketplaces.json", (PLUGIN,)),
        (claude_dir / "plugins" / "installed_plugins.json", ("plugins", NAME)),
        (configuration, ("pluginUsage", NAME)),
        *((configuration, ("skillUsage", f"{PLUGIN}:{skill}")) for skill in _skills()),
    )
    shutil.rmtree(home / PLUGIN_FOLDER, ignore_errors=True)
    shutil.rmtree(claude_dir / "plugins" / "cache" / PLUGIN, ignore_errors=True)
    shutil.rmtree(claude_dir / "plugins" / "data" / f"{PLUGIN}-{PLUGIN}", ignore_errors=True)
    return list(dict.fromkeys([path for path, member in noted if _without(path, member)]))


def _skills() -> list[str]:
    """Skills and commands, as Claude Code names them behind the plugin's name."""
    own = SHIPPED / PLUGIN
    return [*(path.name for path in (own / "skills").iterdir()), *(path.stem for path in (own / "commands").iterdir())]


def _without(path: Path, member: tuple[str, ...]) -> bool:
    try:
        text = SettingsText(path.read_text("utf-8"))
        if text.get(member) is None:
            return False
        text.remove(member)
        if len(member) > 1 and text.get(member[:1]) == {} and member[0] != "plugins":
            text.remove(member[:1])
        install.replace(path, text.text, path.stat().st_mode & 0o777)
        return True
    except (OSError, UnicodeDecodeError, NotJson, NoPlace):
        return False  # Claude Code passes over what it noted of a plugin that nobody switches on


def _put(path: Path, text: str, mode: int) -> None:
    for folder in reversed(path.parents):  # `parents=True` would give those in between a mode of its own
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    install.replace(path, text, mode)


def _program(home: Path) -> str:
    return f'#!/bin/sh\nCDESK_HOME={shlex.quote(str(home))} exec {shlex.quote(sys.executable)} -P -m cdesk "$@"\n'


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
