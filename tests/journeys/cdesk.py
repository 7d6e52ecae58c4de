"""Runs the real command as a person would, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cdesk:
    home: Path
    claude_dir: Path

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "cdesk", *arguments],
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
            env={
                **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
                "HOME": str(self.home.parent),
                "CDESK_HOME": str(self.home),
                "CLAUDE_CONFIG_DIR": str(self.claude_dir),
                **environment,
            },
        )

    def json(self, *arguments: str, stdin: bytes = b"") -> Any:
        done = self.run(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def rows(self, query: str) -> list[list[Any]]:
        return list(self.json("sql", query)["rows"])

    def up(self) -> dict[str, Any]:
        self.text("up", "--detach", "--port", "0")
        return dict(self.json("status"))

    def down(self) -> None:
        self.run("down")
