"""How fast the MCP server starts, and how fast it gives a context, over stdio and HTTP.

    python benchmarks/mcp_server.py                  all of it, a few minutes
    python benchmarks/mcp_server.py --quick          a look

Start: from the process to the answer of `initialize`, interleaved round by round with `python -c pass`, and with a server
of the official SDK when `mcp` is installed (LAB_PYTHON names an interpreter that has it). Goal: ≤ 0.15 of the SDK's.
Calls: `get_context` of 20 statements, interleaved call by call with `ping`, which is the least this server does, beside a
raw look-up in SQLite in this process. Over stdio each client is a session with a server of its own, and waits 20 to 50 ms
between calls, as Claude Code does at the fastest; over HTTP one connection each. Goals: P95 ≤ 8 ms over stdio with 8
sessions, < 25 ms over HTTP with 10 clients, ≤ 1.2 × ping.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.context.model import Context, ContextKey, Statement

CUSTOMER, PROJECT = "ada@example.org", "/work/app"
SPACING_S = (0.02, 0.05)
STATEMENTS = 20
SDK = "from mcp.server import MCPServer\nMCPServer('bare').run()"
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
Ask = Callable[[str, dict[str, Any]], None]
Timings = dict[str, list[float]]


def message(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def spoken_to(command: list[str], home: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_PROJECT_DIR": PROJECT}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )


def asked(process: subprocess.Popen[bytes], method: str, params: dict[str, Any]) -> None:
    assert process.stdin and process.stdout
    process.stdin.write(message(method, params) + b"\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    assert "result" in answer and not answer["result"].get("isError"), answer


# -- start ---------------------------------------------------------------------------------------------------------


def started(command: list[str], home: Path) -> float:
    begun = time.perf_counter()
    with spoken_to(command, home) as process:
        asked(process, "initialize", INITIALIZE)
        took = time.perf_counter() - begun
        assert process.stdin
        process.stdin.close()
    return took * 1000


def passed() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.perf_counter() - begun) * 1000


def starts(rounds: int, home: Path) -> Timings:
    python = os.environ.get("LAB_PYTHON", sys.executable)
    has_sdk = subprocess.run([python, "-c", "import mcp"], capture_output=True, check=False).returncode == 0
    ways: dict[str, Callable[[], float]] = {
        "python -c pass": passed,
        "cdesk mcp": lambda: started([sys.executable, "-m", "cdesk", "mcp"], home),
    }
    if has_sdk:
        ways["official SDK"] = lambda: started([python, "-c", SDK], home)
    found: Timings = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            took = way()
            if number:  # the first reads files into memory
                found[name].append(took)
    return found


# -- calls ---------------------------------------------------------------------------------------------------------


def over_stdio(home: Path) -> tuple[Ask, Callable[[], object]]:
    process = spoken_to([sys.executable, "-m", "cdesk", "mcp"], home)
    asked(process, "initialize", INITIALIZE)

    def end() -> None:
        with process:
            assert process.stdin
            process.stdin.close()

    return lambda method, params: asked(process, method, params), end


def over_http(home: Path) -> tuple[Ask, Callable[[], object]]:
    port = json.loads((home / "service.json").read_text())["port"]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {
        "Authorization": f"Bearer {(home / 'token').read_text().strip()}", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }  # fmt: skip

    def ask(method: str, params: dict[str, Any]) -> None:
        connection.request("POST", "/mcp", message(method, params), headers)
        answer = json.loads(connection.getresponse().read())
        assert "result" in answer and not answer["result"].get("isError"), answer

    return ask, connection.close


def called(opened: Callable[[Path], tuple[Ask, Callable[[], object]]], home: Path, clients: int, calls: int) -> Timings:
    """Each client in a thread; ping and get_context take turns."""
    found: Timings = {"ping": [], "get_context": []}
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "ping": ("ping", {}),
        "get_context": ("tools/call", {"name": "get_context", "arguments": {"project": PROJECT}}),
    }
    ready = threading.Barrier(clients)

    def client() -> None:
        ask, end = opened(home)
        for _ in range(3):
            for method, params in steps.values():
                ask(method, params)
        ready.wait()
        for _ in range(calls):
            for name, (method, params) in steps.items():
                time.sleep(random.uniform(*SPACING_S))
                begun = time.perf_counter()
                ask(method, params)
                found[name].append((time.perf_counter() - begun) * 1000)
        end()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def looked_up(home: Path, times: int) -> list[float]:
    """The least a context can cost: one row by its key, from an open file."""
    connection = sqlite3.connect(home / "context" / "cache.sqlite")
    (key,) = connection.execute("SELECT key FROM context LIMIT 1").fetchone()
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        connection.execute("SELECT body FROM context WHERE key = ?", (key,)).fetchone()
        found.append((time.perf_counter() - begun) * 1000)
    connection.close()
    return found


def keep(home: Path) -> None:
    """A context that stays fresh for the whole run: made by a clock that is ahead."""
    cache = import_module("cdesk.context.cache").ContextCache(home / "context" / "cache.sqlite")
    now = time.time() + 3_600
    statements = tuple(
        Statement(f"Command {number} failed 3 times, and `make db` came before it passed.", "failure", ("activity:0aa62d5f",), "why", 1.0)
        for number in range(STATEMENTS)
    )  # fmt: skip
    cache.keep([Context(ContextKey(CUSTOMER, PROJECT), statements, now, now, "v1")])
    cache.close()


def show(title: str, found: Timings) -> None:
    print(f"\n{title}, ms{'':<22}    P50     P95     P99      n")
    for name, values in found.items():
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        print(f"  {name:<30} {statistics.median(values):>7.2f} {cuts[94]:>7.2f} {cuts[98]:>7.2f} {len(values):>6}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    rounds, calls = (3, 20) if given.quick else (30, 300)
    print(json.dumps(machine.facts()))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(f'[person]\ncustomer = "{CUSTOMER}"\n')
        keep(home)
        show("start to initialize answered", starts(rounds, home))
        show("one row of SQLite", {"look-up": looked_up(home, 1_000)})
        for clients in (1, 8) if not given.quick else (1,):
            show(f"stdio, {clients} sessions", called(over_stdio, home, clients, calls))
        environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": str(Path(folder) / "claude")}
        cdesk = [sys.executable, "-m", "cdesk"]
        subprocess.run(
            [*cdesk, "up", "--detach", "--port", "0"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        try:
            for clients in (1, 10, 50) if not given.quick else (1,):
                keep(home)
                show(f"HTTP, {clients} clients", called(over_http, home, clients, calls))
        finally:
            subprocess.run([*cdesk, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
