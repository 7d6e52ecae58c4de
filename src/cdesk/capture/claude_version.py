"""Which Claude Code is installed, and which hook events it knows.

Up to 2.1.100 one unknown event name in a settings file silently voids every hook in it; from 2.1.101 an unknown name
is passed over. So an event is registered only where the installed version is known to know it. Versions are those of
Claude Code's changelog; events that it never mentioned count from 2.1.101, where being wrong does no harm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TypeAlias

Version: TypeAlias = tuple[int, int, int]

FORGIVING: Version = (2, 1, 101)
HTTP_SINCE: Version = (2, 1, 63)
ASK_SECONDS_MAX = 10

FIRST_VERSION: dict[str, Version] = {
    "PreToolUse": (1, 0, 38), "PostToolUse": (1, 0, 38), "Notification": (1, 0, 38), "Stop": (1, 0, 38),
    "SubagentStop": (1, 0, 41), "PreCompact": (1, 0, 48), "UserPromptSubmit": (1, 0, 54), "SessionStart": (1, 0, 62),
    "SessionEnd": (1, 0, 85), "SubagentStart": (2, 0, 43), "PermissionRequest": (2, 0, 45), "Setup": (2, 1, 10),
    "TeammateIdle": (2, 1, 33), "TaskCompleted": (2, 1, 33), "ConfigChange": (2, 1, 49), "WorktreeCreate": (2, 1, 50),
    "WorktreeRemove": (2, 1, 50), "InstructionsLoaded": (2, 1, 69), "PostCompact": (2, 1, 76),
    "Elicitation": (2, 1, 76), "ElicitationResult": (2, 1, 76), "StopFailure": (2, 1, 78), "CwdChanged": (2, 1, 83),
    "FileChanged": (2, 1, 83), "TaskCreated": (2, 1, 84), "PermissionDenied": (2, 1, 89),
    "PostToolUseFailure": FORGIVING, "PostToolBatch": FORGIVING, "UserPromptExpansion": FORGIVING,
    "MessageDisplay": (2, 1, 152), "DirectoryAdded": (2, 1, 219), "PreModelSwitch": (2, 1, 241),
    "PostModelSwitch": (2, 1, 241),
}  # fmt: skip
"""All 33 events of 2.1.330. The model switch events came after 2.1.240, which does not document them."""

OLDEST_EVENTS = frozenset({
    "PreToolUse", "PostToolUse", "Notification", "Stop", "SubagentStop", "PreCompact", "UserPromptSubmit",
    "SessionStart", "SessionEnd",
})  # fmt: skip
"""The nine that every version since 1.0.85 knows: all that is safe when the version is unknown."""


def ask(binary: str | None = None) -> str | None:
    """What the `claude` on PATH (or `binary`) says its version is. Asked in a throw-away home: even `--version` of
    old releases writes there."""
    found = binary or shutil.which("claude")
    if found is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": folder, "CLAUDE_CONFIG_DIR": folder}
        try:
            told = subprocess.run(
                [found, "--version"], env=environment, capture_output=True, text=True, timeout=ASK_SECONDS_MAX,
                check=False, cwd=folder, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
            return None
    words = told.stdout.split()
    return words[0] if words and words[0][:1].isdigit() else None


def parsed(text: str | None) -> Version | None:
    parts = (text or "").split("-")[0].split(".")
    if len(parts) < 3 or not all(part.isdigit() for part in parts[:3]):
        return None
    return int(parts[0]), int(parts[1]), int(parts[2])


def known_events(version: Version | None) -> frozenset[str]:
    """Events that may be registered with this version; None is an unknown one."""
    if version is None:
        return OLDEST_EVENTS
    return frozenset(event for event, first in FIRST_VERSION.items() if first <= version)
