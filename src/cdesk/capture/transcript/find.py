"""Where transcripts are: below `projects/` of every Claude Code configuration folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def claude_dirs(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Configuration folders, by Claude Code's and ccusage's rule: CLAUDE_CONFIG_DIR (comma-separated), else
    `$XDG_CONFIG_HOME/claude` and `~/.claude`. Only folders that exist."""
    given = [part.strip() for part in environment.get("CLAUDE_CONFIG_DIR", "").split(",") if part.strip()]
    if given:
        candidates = [Path(part).expanduser() for part in given]
    else:
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        candidates = [config / "claude", home / ".claude"]
    return list(dict.fromkeys(path for path in candidates if path.is_dir()))


def find(claude_dir: Path) -> Iterator[Path]:
    """Every transcript below one configuration folder (or its `projects` folder), sorted by path."""
    root = claude_dir / "projects" if (claude_dir / "projects").is_dir() else claude_dir
    found: list[str] = []
    for folder, _, names in os.walk(root, onerror=None):
        found.extend(f"{folder}/{name}" for name in names if name.endswith(".jsonl"))
    return map(Path, sorted(found))
