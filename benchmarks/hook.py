"""How fast the command hook is, and how fast the service acknowledges an HTTP hook.

    python benchmarks/hook.py                 both
    python benchmarks/hook.py --rounds 200    more of the first

Starts are interleaved round by round with `python -I -S -c pass` of the same interpreter, which is the least any Python
hook can cost; figures are wall times of whole processes. Acknowledgements are measured over one kept connection and
beside bare fdatasync calls of the same disk. Goals: start ≤ 1.1 × `-c pass`; acknowledgement P99 < 5 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.capture import hook_command, install

PAYLOAD = json.dumps({
    "session_id": "00903cac-6cd7-4e0b-9c05-1336fab23028", "transcript_path": "/home/ada/.claude/projects/-p/0090.jsonl",
    "cwd": "/home/ada/p", "prompt_id": "9cbbaba7-3b0b-4ae2-a81e-fa6898d447a7", "permission_mode": "default",
    "hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_use_id": "toolu_018113ac0400000000000005",
    "tool_input": {"command": "ls -l"}, "tool_response": {"stdout": "x" * 600, "stderr": "", "interrupted": False},
    "duration_ms": 43,
}).encode()  # fmt: skip
RATES = (1, 100, 1_000)
SECONDS_PER_RATE = 5
WARM_UP = 50


def started(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, input=PAYLOAD, stdout=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - begun) * 1000


def starts(rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as folder, answering(Path(folder) / "told") as _:
        told, alone = Path(folder) / "told", Path(folder) / "alone"
        for home in (told, alone):
            install.install_command(home)
            install.ingest_token(home)
        bare = [sys.executable, "-I", "-S"]
        ways = {
            "-c pass": [*bare, "-c", "pass"],
            "hook, service answers": [*bare, str(told / install.COMMAND_FILE)],
            "hook, no service, kept": [*bare, str(alone / install.COMMAND_FILE)],
            "the same from source": [*bare, str(_source(alone))],
            "whole command line (sh)": ["sh", "-c", install.command_line(told)],
            "sh -c :": ["sh", "-c", ":"],
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, command in ways.items():
                found[name].append(started(command))
        return found


def _source(home: Path) -> Path:
    path = home / "hook" / "claude_code.py"
    path.write_bytes(Path(hook_command.__file__).read_bytes())
    return path


class answering:
    """Somebody who answers 200 at once, so that only the hook is measured."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> answering:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._home.mkdir(parents=True)
        record = {"pid": os.getpid(), "port": self._listener.getsockname()[1], "started_at": ""}
        (self._home / "service.json").write_text(json.dumps(record, separators=(",", ":")))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 20)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def acknowledgements() -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (Path(folder) / "claude" / "projects").mkdir(parents=True)
        environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": f"{folder}/claude", "HOME": folder}
        cdesk = [sys.executable, "-m", "cdesk"]
        subprocess.run(
            [*cdesk, "up", "--detach", "--port", "0"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        try:
            port = json.loads((home / "service.json").read_bytes())["port"]
            connection = http.client.HTTPConnection("127.0.0.1", port)
            headers = {"Authorization": f"Bearer {install.ingest_token(home)}", "Content-Type": "application/json"}

            def acknowledge(number: int) -> None:
                body = PAYLOAD.replace(b"0000000005", b"%010d" % number)
                connection.request("POST", install.ROUTE, body, headers)
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (200, b"")

            for number in range(WARM_UP):
                acknowledge(number)
            for rate in RATES:
                found[f"HTTP hook, {rate:,}/s"] = paced(
                    acknowledge, rate, max(rate * SECONDS_PER_RATE, 20), WARM_UP * rate
                )
            found["HTTP hook, back to back"] = paced(acknowledge, 1_000_000, 2_000, 10_000_000)
        finally:
            subprocess.run([*cdesk, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        found["fdatasync of 1 KB alone"] = paced(_syncer(Path(folder) / "sync"), 1_000_000, 500, 0)
    return found


def paced(act: Callable[[int], None], rate: int, count: int, first: int) -> list[float]:
    """Wall milliseconds of each act, begun at this rate where it can be kept."""
    found = []
    begun = time.perf_counter()
    for number in range(count):
        due = begun + number / rate
        if (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        start = time.perf_counter()
        act(first + number)
        found.append((time.perf_counter() - start) * 1000)
    return found


def _syncer(path: Path) -> Callable[[int], None]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def sync(number: int) -> None:
        os.write(handle, b"x" * 1024)
        os.fdatasync(handle)

    return sync


def row(name: str, values: list[float], least: float | None) -> str:
    ordered = sorted(values)
    p25, p50, p95, p99 = (ordered[min(int(len(ordered) * q), len(ordered) - 1)] for q in (0.25, 0.5, 0.95, 0.99))
    ratio = f"  {statistics.median(ordered) / least:5.2f} x" if least else ""
    return f"{name:<26} {p25:7.2f} {p50:7.2f} {p95:7.2f} {p99:7.2f}{ratio}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    print(json.dumps(machine.facts()))
    print(f"\n{'process, ms':<26} {'p25':>7} {'p50':>7} {'p95':>7} {'p99':>7}   to -c pass")
    found = starts(given.rounds)
    least = statistics.median(found["-c pass"])
    for name, values in found.items():
        print(row(name, values, least))
    print(f"\n{'acknowledgement, ms':<26} {'p25':>7} {'p50':>7} {'p95':>7} {'p99':>7}")
    for name, values in acknowledgements().items():
        print(row(name, values, None))


if __name__ == "__main__":
    main()
