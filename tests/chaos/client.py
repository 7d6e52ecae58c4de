"""A process that tells the service of a home things over HTTP, each until it is answered "ok".

python client.py HOME NAME activities|hooks      prints the name of each thing that was acknowledged, one a line; ends
                                                 when its standard input is closed and the last thing is told
"""

from __future__ import annotations

import http.client
import json
import select
import sys
import time
from itertools import count
from pathlib import Path

ANSWER_S_MAX = 30.0
TRY_AGAIN_S = 0.005


class Teller:
    """Keeps its connection while it can; after a failure it looks anew where the service is."""

    def __init__(self, home: Path, path: str) -> None:
        self._home = home
        self._path = path
        self._connection: http.client.HTTPConnection | None = None
        self._token = ""

    def tell(self, body: bytes) -> None:
        """Returns when it was acknowledged: the same words again and again until then."""
        while True:
            try:
                if self._told(body):
                    return
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                self._connection = None
            time.sleep(TRY_AGAIN_S)

    def _told(self, body: bytes) -> bool:
        connection = self._connection or self._connect()
        connection.request(
            "POST", self._path, body, {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200

    def _connect(self) -> http.client.HTTPConnection:
        port = json.loads((self._home / "service.json").read_bytes())["port"]
        self._token = (self._home / "token").read_text().strip()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S_MAX)
        return self._connection


def activity(name: str) -> bytes:
    return json.dumps({
        "activity_id": name, "activity": "survived", "ts": "2026-03-01T12:00:00Z", "customer": "ada",
        "feature_json": {"text": "x" * 500},
    }).encode()  # fmt: skip


def hook(name: str) -> bytes:
    return json.dumps({
        "session_id": "chaos", "hook_event_name": "PostToolUse", "tool_use_id": name, "tool_name": "Bash",
        "tool_input": {"command": "ls"}, "tool_response": {}, "cwd": "/project",
    }).encode()  # fmt: skip


KINDS = {"activities": ("/v1/activities", activity), "hooks": ("/v1/hooks/claude-code", hook)}


def main(home: str, name: str, kind: str) -> None:
    path, made = KINDS[kind]
    teller = Teller(Path(home), path)
    for number in count():
        if select.select([sys.stdin], [], [], 0)[0]:
            return
        teller.tell(made(f"{name}-{number}"))
        print(f"{name}-{number}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
