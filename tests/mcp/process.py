"""`cdesk mcp` as a client starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.mcp.desk import MODERN_META


class Server:
    """One process, spoken to a line at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def ask(self, method: str, params: dict[str, Any] | None = None, *, id: Any = 1) -> dict[str, Any]:
        self.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}).encode())
        return self.hear()

    def call(self, name: str, meta: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        """The result of a tool, in the later era."""
        params = {"name": name, "arguments": arguments, "_meta": {**MODERN_META, **(meta or {})}}
        return dict(self.ask("tools/call", params)["result"])

    def end(self) -> int:
        """As clients do: they close its input, and wait."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=20)


@contextmanager
def started(home: Path, *, python: tuple[str, ...] = ("-m", "cdesk", "mcp"), **environment: str) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, *python], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            "HOME": str(home.parent), "CDESK_HOME": str(home), **environment,
        },
    )  # fmt: skip
    with process:
        try:
            yield Server(process)
        finally:
            if process.poll() is None:
                process.kill()


def queued(home: Path) -> list[dict[str, Any]]:
    """What waits in the queue, by the order in which it was appended."""
    lines = [line for path in sorted((home / "queue").glob("*.ndjson")) for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]
