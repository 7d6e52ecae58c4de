"""`cdesk connect`: lets Claude Code tell cdesk what it does, and ask it: hooks, telemetry and the MCP server."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cdesk import config
from cdesk.capture import claude_version, install, mcp_entry, plugin
from cdesk.capture.install import Connections, Edit, Wanted
from cdesk.cli import show
from cdesk.cli.client import running
from cdesk.config import Home
from cdesk.errors import UsageError

LINE_CHARACTERS_MAX = 400
_TOKEN = re.compile(re.escape(install.TOKEN_START) + r"[\w-]+")


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "connect", "Writes hooks and telemetry into Claude Code's settings and the MCP server into its configuration, after\n"
        "showing the difference and keeping a backup. Everything else in the files stays as it is. Repeating it changes\n"
        "nothing; `cdesk disconnect` undoes it.",
    )  # fmt: skip
    add_place(parser)
    parser.add_argument("--command-hooks", action="store_true",
                        help="hooks as commands only, for those who run no service; then no telemetry either")  # fmt: skip
    parser.add_argument("--plugin", action="store_true",
                        help="hooks, MCP server, a skill and /cdesk commands as a plugin instead")  # fmt: skip
    given = parser.parse_args(arguments)
    if given.plugin and given.scope != "user":
        raise UsageError("the plugin is yours in every project.", "Leave out --scope, or leave out --plugin.")
    home = config.home()
    path = settings_path(given)
    told = claude_version.ask()
    version = claude_version.parsed(told)
    token = install.known_token(home.path) or f"{install.TOKEN_START}made-when-connecting"
    if not given.dry_run:
        home.make()
        token = install.ingest_token(home.path)
    want = install.wanted(home.path, version, _port(home), token, only_commands=given.command_hooks)
    if given.plugin:
        want = replace(want, plugin=home.path / install.PLUGIN_FOLDER)
    edit = install.connect(path, want, Connections.load(home.path), _environment(given.scope))
    server = partial(server_edit, given, home, None if given.plugin else mcp_entry.server(home.path))
    print(_about(told, len(want.hooks)))
    for note in (*edit.notes, *server().notes):
        print(note)
    if not given.dry_run:
        install.install_command(home.path)
        install.answer_token(home.path)
    is_change = edit.is_change or server().is_change
    if is_change and not carry_out(edit, server, home, given):
        return 0
    if not given.dry_run:
        _settle_plugin(given, home, want, path)
    if not is_change:
        print(f"{path} is connected already; nothing to change.")
        return 0
    print("New sessions report from now on; running ones as soon as they notice the change.")
    if running(home) is None and not given.command_hooks:
        print("Next: `cdesk up` starts the service they report to.")
    return 0


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that `connect` and `disconnect` share."""
    parser.add_argument("--scope", choices=("user", "project"), default="user",
                        help="your own settings (default), or this project's private ones (.claude/settings.local.json)")  # fmt: skip
    parser.add_argument("--claude-dir", type=Path, metavar="DIR",
                        help="folder of the settings file (default: CLAUDE_CONFIG_DIR, else ~/.claude)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show the difference and write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def settings_path(given: argparse.Namespace) -> Path:
    folder = given.claude_dir
    return install.settings_path(
        given.scope, folder.expanduser().absolute() if folder else None, os.environ, Path.cwd()
    )


def server_edit(given: argparse.Namespace, home: Home, server: dict[str, Any] | None) -> Edit:
    """Of Claude Code's own configuration, which names MCP servers, as it is at this moment."""
    folder = given.claude_dir.expanduser().absolute() if given.claude_dir else None
    path = mcp_entry.configuration_path(given.scope, folder, os.environ)
    member = mcp_entry.place(given.scope, Path.cwd())
    return mcp_entry.connect(path, member, server, Connections.load(home.path))


def carry_out(edit: Edit, server: Callable[[], Edit], home: Home, given: argparse.Namespace) -> bool:
    """Shows what is to be changed, asks, writes it, and remembers what came in with it. Whether it was written.

    server: made anew before it is written, since running sessions write that file while a person reads."""
    changes = [one for one in (edit, server()) if one.is_change]
    for one in changes:
        print(difference(one))
    if given.dry_run:
        print("Nothing was written (--dry-run).")
        return False
    if not given.yes and not _agreed(changes):
        print("Nothing was written.")
        return False
    _write(edit, home)
    _write(server(), home)
    return True


def _write(edit: Edit, home: Home) -> None:
    if not edit.is_change:
        return
    backup = install.write(edit, datetime.now(UTC))
    print(f"Removed {edit.path}." if edit.after is None else f"Wrote {edit.path}.", end="")
    print(f" What it was before: {backup}" if backup else "")
    connections = Connections.load(home.path)
    if edit.connection is not None or str(edit.path) in connections.known:
        connections.remember(edit.path, edit.connection)


def _settle_plugin(given: argparse.Namespace, home: Home, want: Wanted, path: Path) -> None:
    """The plugin's folder is there when it is wanted, and gone when the settings hold the hooks instead."""
    if given.plugin:
        plugin.write(home.path, want.hooks, mcp_entry.server(home.path))
    elif given.scope == "user":
        plugin.forget(home.path, path.parent, server_edit(given, home, None).path)


def _agreed(edits: list[Edit]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask.", "Repeat with --yes to write it, or with --dry-run to look only.")
    paths = " and ".join(str(edit.path) for edit in edits)
    return input(f"Write this to {paths}? [y/N] ").strip().lower() in ("y", "yes")


def difference(edit: Edit) -> str:
    """A unified diff, without the token, and without the ends of lines that a machine wrote."""
    lines = difflib.unified_diff(
        (edit.before or "").splitlines(),
        (edit.after or "").splitlines(),
        str(edit.path),
        f"{edit.path} (new)",
        lineterm="",
    )
    short = (line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}…" for line in lines)
    return _TOKEN.sub(f"{install.TOKEN_START}…", "\n".join(short))


def _about(told: str | None, hooks: int) -> str:
    if told is None:
        return f"Claude Code's version is not known (no `claude` on PATH): only the {hooks} events every version knows."
    return f"Claude Code {told}: {hooks} of its events."


def _port(home: Home) -> int:
    record = running(home)
    return record.port if record else config.load(home).service.port


def _environment(scope: str) -> Mapping[str, str]:
    """Where telemetry could be spoken for outside the file: the shell and, for a project, the user's own settings."""
    if scope == "user":
        return os.environ
    mine: dict[str, Any] = (
        install.standing(install.settings_path("user", None, os.environ, Path.cwd())).get("env") or {}
    )
    return (
        {**{name: str(value) for name, value in mine.items()}, **os.environ} if isinstance(mine, dict) else os.environ
    )
