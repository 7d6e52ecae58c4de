"""The command in Claude Code's `statusLine` setting: ours, around the person's own.

    cdesk_theirs='date +%H:%M' && '/usr/bin/python3' -P -m cdesk statusline --home '/home/ada/.cdesk' \\
        --wrap "$cdesk_theirs" 2>/dev/null || eval "$cdesk_theirs"

There is one status line, so ours runs theirs and shows what it says first. Where our interpreter or package is gone, the
shell runs theirs by itself. Theirs stands in the line as it is, so that a lost home can still be disconnected.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

MEMBER = ("statusLine",)
COMMAND = ("statusLine", "command")
_VARIABLE = "cdesk_theirs"
_PROGRAM = ["-P", "-m", "cdesk", "statusline", "--home"]
"""-P: modules of the folder a session works in are not ours to run."""


def command_line(home: Path, theirs: str | None) -> str:
    """theirs: None when the person has no status line."""
    return _line(sys.executable, str(home), theirs)


def _line(python: str, home: str, theirs: str | None) -> str:
    ours = shlex.join([python, *_PROGRAM, home])
    if theirs is None:
        return f"{ours} 2>/dev/null || :"
    return f'{_VARIABLE}={shlex.quote(theirs)} && {ours} --wrap "${_VARIABLE}" 2>/dev/null || eval "${_VARIABLE}"'


def standing(settings: dict[str, Any]) -> str | None:
    """The command that stands there, ours or theirs; None without one."""
    found = settings.get(MEMBER[0])
    command = found.get("command") if isinstance(found, dict) and found.get("type") == "command" else None
    return command if isinstance(command, str) else None


def is_ours(command: str | None) -> bool:
    """Only when it is to the letter what we write, for whatever interpreter and home."""
    if command is None or _PROGRAM[3] not in command:
        return False
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    own = words[2:] if words[0].startswith(f"{_VARIABLE}=") else words
    return own[1:6] == _PROGRAM and len(own) > 6 and command == _line(own[0], own[6], _wrapped(words))


def theirs(command: str | None) -> str | None:
    """The person's own command, out of ours where ours is around it."""
    return _wrapped(shlex.split(command)) if command is not None and is_ours(command) else command


def program(command: str) -> tuple[str, str]:
    """The interpreter and the home in ours."""
    words = shlex.split(command)
    own = words[2:] if words[0].startswith(f"{_VARIABLE}=") else words
    return own[0], own[6]


def _wrapped(words: list[str]) -> str | None:
    name, _, value = words[0].partition("=")
    return value if name == _VARIABLE else None
