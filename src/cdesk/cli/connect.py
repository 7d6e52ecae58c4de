"""`cdesk connect`: lets Claude Code tell cdesk what it does, by hooks and telemetry in its settings."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdesk import config
from cdesk.capture import claude_version, install
from cdesk.capture.install import Connections, Edit
from cdesk.cli import show
from cdesk.cli.client import running
from cdesk.config import Home
from cdesk.errors import UsageError

_TOKEN = re.compile(re.escape(install.TOKEN_START) + r"[\w-]+")


def run(arguments: list[str]) -> int:
    parser = show.parser(
        "connect", "Writes hooks and telemetry into Claude Code's settings, after showing the difference and keeping a\n"
        "backup. Everything else in the file stays as it is. Repeating it changes nothing; `cdesk disconnect` undoes it.",
    )  # fmt: skip
    add_place(parser)
    parser.add_argument("--command-hooks", action="store_true",
                        help="hooks as commands only, for those who run no service; then no telemetry either")  # fmt: skip
    given = parser.parse_args(arguments)
    home = config.home()
    path = settings_path(given)
    told = claude_version.ask()
    version = claude_version.parsed(told)
    token = install.known_token(home.path) or f"{install.TOKEN_START}made-when-connecting"
    if not given.dry_run:
        home.make()
        token = install.ingest_token(home.path)
    want = install.wanted(home.path, version, _port(home), token, only_commands=given.command_hooks)
    edit = install.connect(path, want, Connections.load(home.path), _environment(given.scope))
    print(_about(told, len(want.hooks)))
    for note in edit.notes:
        print(note)
    if not given.dry_run:
        install.install_command(home.path)
    if not edit.is_change:
        print(f"{path} is connected already; nothing to change.")
        return 0
    if not carry_out(edit, home, given):
        return 0
    install.Connections.load(home.path).remember(path, edit.connection)
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


def carry_out(edit: Edit, home: Home, given: argparse.Namespace) -> bool:
    """Shows the edit, asks, and writes it. Whether it was written."""
    print(difference(edit))
    if given.dry_run:
        print("Nothing was written (--dry-run).")
        return False
    if not given.yes and not _agreed(edit):
        print("Nothing was written.")
        return False
    backup = install.write(edit, datetime.now(UTC))
    print(f"Removed {edit.path}." if edit.after is None else f"Wrote {edit.path}.", end="")
    print(f" What it was before: {backup}" if backup else "")
    return True


def _agreed(edit: Edit) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("there is nobody to ask.", "Repeat with --yes to write it, or with --dry-run to look only.")
    return input(f"Write this to {edit.path}? [y/N] ").strip().lower() in ("y", "yes")


def difference(edit: Edit) -> str:
    """A unified diff, without the token."""
    lines = difflib.unified_diff(
        (edit.before or "").splitlines(),
        (edit.after or "").splitlines(),
        str(edit.path),
        f"{edit.path} (new)",
        lineterm="",
    )
    return _TOKEN.sub(f"{install.TOKEN_START}…", "\n".join(lines))


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
