"""The real service, `cdesk up`, in a home of its own, and how it is asked, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tests.chaos.processes import Process, started

UP = [sys.executable, "-m", "cdesk", "up", "--port", "0"]
PATIENCE_S = 60.0
LOOK_AGAIN_S = 0.005


def until(is_so: Callable[[], object], what: str) -> float:
    """Waits for something that another process does, and cannot tell us; gives back how many seconds."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < PATIENCE_S, f"waited in vain until {what}"
        time.sleep(LOOK_AGAIN_S)
    return time.monotonic() - started


def environment(home: Path) -> dict[str, str]:
    claude = home.parent / "claude"
    (claude / "projects").mkdir(parents=True, exist_ok=True)
    return {**os.environ, "HOME": str(home.parent), "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": str(claude)}


def up(home: Path) -> Process:
    return started(UP, stderr=subprocess.PIPE, env=environment(home))


class Service:
    """One that runs, and answers."""

    def __init__(self, home: Path, process: Process | None = None) -> None:
        self.home = home
        self.process = process or up(home)
        self.ready_s = until(self.is_ready, "the service answers")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.words()
        try:
            return self.record()["pid"] == self.process.pid and self.status() is not None
        except (OSError, ValueError):
            return False

    def record(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "service.json").read_bytes()))

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.ask("/v1/status")))

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """Raises OSError when nobody answers, or no."""
        token = (self.home / "token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.record()['port']}{path}", body,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return bytes(answer.read())

    def is_drained(self) -> bool:
        try:
            return int(self.status()["queue"]["bytes"]) == 0
        except URLError:
            return False

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)
        assert self.process.returncode == 0, self.words()

    def _end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(PATIENCE_S)

    def words(self) -> str:
        """What an ended service said last."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()
