"""How fast the MCP server starts, and how fast it gives a context, over stdio and HTTP.

    python benchmarks/mcp_server.py                  all of it, a few minutes
    python benchmarks/mcp_server.py --quick          a look
    python benchmarks/mcp_server.py --ingest 10000   the calls while the service takes in so many activities a second

Start: from the process to the answer of `initialize`, interleaved round by round with `python -c pass`, and with a server
of the official SDK when `mcp` is installed (LAB_PYTHON names an interpreter that has it). Goal: ≤ 0.15 of the SDK's.
Calls: `get_context` of 20 statements, interleaved call by call with a tool that does nothing, and with `ping`, which is the
least this server does, beside a raw look-up in SQLite in this process. Over stdio each client is a session with a server of its own, and waits 20 to 50 ms
between calls, as Claude Code does at the fastest; over HTTP one connection each. Goals: P95 ≤ 8 ms over stdio with 8
sessions, < 25 ms over HTTP with 10 clients, ≤ 1.2 × the tool that does nothing.

The MCP Inspector, where it is installed, says the same from outside (`--load`), at as many calls a second.

Under ingest the service reads a queue that a process of its own fills, on the same cores; the load is the one of
`upload.py`.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pytest
from benchmarks import machine
from tests.mcp import judges

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
CDESK = [sys.executable, __file__, "--with-nothing"]
"""cdesk itself, with one tool more."""
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
    process = spoken_to([*CDESK, "mcp"], home)
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
    found: Timings = {"ping": [], "nothing": [], "get_context": []}
    steps: dict[str, tuple[str, dict[str, Any]]] = {
        "ping": ("ping", {}),
        "nothing": ("tools/call", {"name": "nothing", "arguments": {}}),
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


def with_nothing(words: list[str]) -> int:
    """The command line of cdesk, in which every MCP server also has a tool that does nothing."""
    from cdesk.cli import main as cdesk
    from cdesk.surface.mcp import tools

    class Nothing(tools.Arguments, frozen=True):
        pass

    class GivenNothing(tools.Given, frozen=True):
        pass

    tools.TOOLS["nothing"] = tools.Tool(
        name="nothing", title="Nothing", description="Nothing.", takes=Nothing, gives=GivenNothing,
        run=lambda *_: GivenNothing(), waits_for="nothing",
    )  # fmt: skip
    sys.argv = ["cdesk", *words]
    return cdesk(words)


# -- load ----------------------------------------------------------------------------------------------------------


def produce(home: Path, rate: int) -> None:
    """Fills the queue until its standard input ends; then tells how many were durable, and in how many seconds."""
    from benchmarks import activities, upload

    producer = upload.Producer(home, activities.Stream("run"))
    producer.append(upload.WARM_UP_LINES)
    print(flush=True)
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    seconds, events = 0.0, producer.events
    while not ended.is_set():
        seconds += producer.run(rate, 1.0)
    print(json.dumps({"events": producer.events - events, "seconds": seconds}))


@contextmanager
def ingest(home: Path, rate: int) -> Iterator[None]:
    if not rate:
        yield
        return
    command = [sys.executable, __file__, "--produce", str(home), "--ingest", str(rate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        time.sleep(3)
        yield
        process.stdin.close()
        told = json.loads(process.stdout.read())
        status = asked_status(home)
    print(
        f"  meanwhile {told['events'] / told['seconds']:,.0f} activities a second made durable; "
        f"in the queue at the end {status['queue']['bytes'] / 1e6:,.0f} MB"
    )


def asked_status(home: Path) -> dict[str, Any]:
    port = json.loads((home / "service.json").read_text())["port"]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {(home / 'token').read_text().strip()}"})
    return dict(json.loads(connection.getresponse().read()))


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


def inspected(home: Path, title: str, *target: str, clients: int, seconds: int) -> None:
    rate = round(clients * 1_000 / 35)
    load = ("--load", "--load-duration", str(seconds), "--load-concurrency", str(clients), "--load-rate", str(rate))
    call = ("--method", "tools/call", "--tool-name", "get_context", "--tool-arg", f"project={PROJECT}")
    try:
        done = judges.run(judges.INSPECTOR, "--cli", *target, *call, *load, "--format", "json", home=home.parent)
    except pytest.skip.Exception as missing:
        print(f"\n{title}: not asked by the Inspector, which {missing}")
        return
    found = json.loads(done.stdout)["result"]
    took = found["latencyMs"]
    print(
        f"\n{title}, asked by the Inspector: P50 {took['p50']:.2f}  P90 {took['p90']:.2f}  P99 {took['p99']:.2f} ms, "
        f"{found['throughput']:.0f}/s, {found['errors'] + found['toolErrors']} errors of {found['requests']}"
    )


def measured(home: Path, quick: bool, rate: int) -> None:
    rounds, calls = (3, 20) if quick else (30, 200)
    environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": str(home.parent / "claude")}
    if not rate:
        show("start to initialize answered", starts(rounds, home))
        show("one row of SQLite", {"look-up": looked_up(home, 1_000)})
    service = subprocess.Popen([*CDESK, "up", "--port", "0"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while not (home / "service.json").exists():
            time.sleep(0.05)
        for clients in (1, 8) if not quick else (1,):
            keep(home)
            with ingest(home, rate):
                show(f"stdio, {clients} sessions", called(over_stdio, home, clients, calls))
        seconds = 2 if quick else 10
        with ingest(home, rate):
            stdio = ("-e", f"CDESK_HOME={home}", sys.executable, "-m", "cdesk", "mcp")
            inspected(home, "stdio", *stdio, clients=8, seconds=seconds)
            keep(home)
            address = f"http://127.0.0.1:{json.loads((home / 'service.json').read_text())['port']}/mcp"
            token = f"Authorization: Bearer {(home / 'token').read_text().strip()}"
            over = ("--server-url", address, "--transport", "http", "--header", token)
            inspected(home, "HTTP", *over, clients=10, seconds=seconds)
        for clients in (1, 10, 50) if not quick else (1,):
            keep(home)
            with ingest(home, rate):
                show(f"HTTP, {clients} clients", called(over_http, home, clients, calls))
    finally:
        service.terminate()
        service.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ingest", type=int, default=0, metavar="RATE", help="activities a second meanwhile")
    parser.add_argument("--produce", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.produce:
        produce(given.produce, given.ingest)
        return
    print(json.dumps(machine.facts()))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(f'[person]\ncustomer = "{CUSTOMER}"\n')
        keep(home)
        measured(home, given.quick, given.ingest)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--with-nothing"]:
        raise SystemExit(with_nothing(sys.argv[2:]))
    main()
