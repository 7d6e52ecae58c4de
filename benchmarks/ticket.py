"""How soon a long question has its ticket.

    python benchmarks/ticket.py                 200 questions, handed in one after the other
    python benchmarks/ticket.py --rounds 1000   more of them

A service of its own over an empty home; over one kept-alive connection, interleaved round by round: `/healthz`, which does
nothing and is the least any route can cost, and `POST /v1/queries`, which syncs the ticket to disk before it answers; beside
them a flush of this disk (`flush_ms`). Each question is waited for, so that none waits behind another; what is measured is
handing in. Then the same while a question without an end runs. Goal: < 50 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.config import Home

GOAL_MS = 50
UP_SECONDS_MAX = 60
PATH = "/v1/queries"
QUESTION = json.dumps({"sql": "SELECT count(*) FROM CLAUDE_STREAM_V2"}).encode()
_DIGITS = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))"
ENDLESS = json.dumps({"sql": f"SELECT count(*) FROM {', '.join(f'{_DIGITS} AS d{i}(d)' for i in range(18))}"}).encode()


class Service:
    def __init__(self, home: Home) -> None:
        self._headers = {
            "Authorization": f"Bearer {home.token.read_text().strip()}",
            "Content-Type": "application/json",
        }
        self._connection = http.client.HTTPConnection("127.0.0.1", json.loads(home.service.read_bytes())["port"])

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[bytes, float]:
        """The answer, and ms until it was read."""
        begun = time.perf_counter()
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        said = response.read()
        took = (time.perf_counter() - begun) * 1000
        assert response.status in (200, 202), said
        return said, took

    def see_through(self, ticket: dict[str, Any]) -> None:
        while ticket["state"] in ("queued", "running"):
            time.sleep(0.005)
            ticket = json.loads(self.ask("GET", f"{PATH}/{ticket['ticket']}")[0])
        assert ticket["state"] in ("done", "cancelled"), ticket


@contextmanager
def served(folder: Path) -> Iterator[Service]:
    home = Home(folder / "home")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CDESK_HOME": str(home.path)}
    environment |= {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "cdesk", "up", "--port", "0"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + UP_SECONDS_MAX
        while not _answers(home):
            assert process.poll() is None and time.monotonic() < until, "the service does not come up"
            time.sleep(0.05)
        yield Service(home)
    finally:
        process.terminate()
        process.wait()


def _answers(home: Home) -> bool:
    try:
        Service(home).ask("GET", "/healthz")
    except OSError:
        return False
    return True


def measured(service: Service, rounds: int, *, is_busy: bool) -> dict[str, list[float]]:
    """is_busy: what is handed in waits behind the question without an end, and is cancelled"""
    found: dict[str, list[float]] = {"/healthz": [], f"POST {PATH}": []}
    for _ in range(rounds):
        found["/healthz"].append(service.ask("GET", "/healthz")[1])
        said, took = service.ask("POST", PATH, QUESTION)
        found[f"POST {PATH}"].append(took)
        ticket = json.loads(said)
        if is_busy:
            ticket = json.loads(service.ask("DELETE", f"{PATH}/{ticket['ticket']}")[0])
        service.see_through(ticket)
    return found


def show(title: str, found: dict[str, list[float]]) -> None:
    print(f"{title:<28}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}  ms")
    for name, each in found.items():
        took = sorted(each)
        at = [took[min(int(share * len(took)), len(took) - 1)] for share in (0.5, 0.95, 0.99, 1)]
        print(f"{name:<28}" + "".join(f"{ms:>9.2f}" for ms in at))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    print(json.dumps(machine.facts()))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as service:
        measured(service, 5, is_busy=False)
        show("nothing else to do", measured(service, given.rounds, is_busy=False))
        for _ in range(max(1, (os.cpu_count() or 1) // 2)):
            service.ask("POST", PATH, ENDLESS)
        show("long questions run", measured(service, given.rounds, is_busy=True))


if __name__ == "__main__":
    main()
