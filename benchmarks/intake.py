"""How many activities a second become durable over HTTP, beside Redis Streams that sync each command, in the same run.

    python benchmarks/intake.py                a table, and results/intake.json
    python benchmarks/intake.py --rounds 5     more rounds

All are driven by C load generators over kept connections, each client waiting for its answer: `wrk` for HTTP, and
`redis-benchmark` for `XADD` with `appendfsync always`. Both come from Debian (`apt-get install wrk redis-server`); without
wrk nothing can be measured, without Redis its column is left out.

    cdesk            `POST /v1/activities`: authenticated, validated, consent and redaction applied, on disk; what
                     waits for the client, without the uploader
    hooks            `POST /v1/hooks/claude-code` of the same service, with the payload of a tool call
    whole service    as `cdesk up` runs it: the uploader merges into the warehouse on the same cores meanwhile;
                     measured after the others, which it would disturb
    bare uvicorn     an ASGI endpoint that reads the body, keeps nothing, and answers `{}`

Figures are medians over the rounds, ratios are taken within a round. Goal: cdesk ≥ 0.9 × Redis at 64 and 256 clients.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk import config
from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.capture.install import ROUTE as HOOK
from cdesk.surface.http import service
from cdesk.surface.http import token as tokens
from cdesk.surface.http.lane import Lane

CLIENTS = (1, 8, 64, 256)
GOAL = 0.9
TEXT = "the quick brown fox runs over the lazy dog, and "
ACTIVITY = {
    "activity": "measured", "ts": "2026-11-23T09:00:00Z", "customer": "ada", "activity_id": "ID",
    "feature_json": {"text": TEXT * 8, "number": 7},
}  # fmt: skip
PAYLOAD = {
    "session_id": "00903cac-6cd7-4e0b-9c05-1336fab23028", "transcript_path": "/home/ada/.claude/projects/-p/0090.jsonl",
    "cwd": "/home/ada/p", "prompt_id": "9cbbaba7-3b0b-4ae2-a81e-fa6898d447a7", "permission_mode": "default",
    "hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_use_id": "toolu_ID", "tool_input": {"command": "ls -l"},
    "tool_response": {"stdout": TEXT * 8, "stderr": "", "interrupted": False}, "duration_ms": 43,
}  # fmt: skip
SCRIPT = """
local before, after = "%s", "%s"
local number, thread = 0, 0
function request()
  number = number + 1
  return wrk.format("POST", "%s", {["Authorization"] = "Bearer %s", ["Content-Type"] = "application/json"},
                    before .. string.format("%%012d", number) .. after)
end
function done(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('\\n{"requests": %%d, "us": %%d, "p50": %%f, "p99": %%f, "failed": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
"""


@dataclass(frozen=True)
class Figure:
    """acknowledged a second; how long each took, in ms"""

    rate: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Endpoint:
    port: int
    token: str
    route: str
    body: dict[str, Any]


def over_http(endpoint: Endpoint, clients: int, seconds: int) -> Figure:
    """Each request with an id of its own."""
    quoted = json.dumps(endpoint.body).replace("\\", "\\\\").replace('"', '\\"')
    before, after = quoted.split("ID", 1)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (before, after, endpoint.route, endpoint.token))
        script.flush()
        done = subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", script.name, f"http://127.0.0.1:{endpoint.port}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if told["failed"]:
        raise SystemExit(f"{told['failed']} requests to {endpoint.route} failed:\n{done.stdout}")
    return Figure(told["requests"] / told["us"] * 1e6, told["p50"], told["p99"])


def over_redis(port: int, clients: int, seconds: int, rate: float) -> Figure:
    """As many commands as keep it busy for about so many seconds, going by the rate of the round before."""
    count = max(int(rate * seconds), clients * 20)
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-c", str(clients), "-n", str(count), "-r", "1000000000", "--csv",
         "XADD", "activities", "*", "activity", json.dumps(ACTIVITY).replace("ID", "__rand_int__")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *_, rps, _, _, p50, _, p99, _ = done.stdout.strip().splitlines()[-1].replace('"', "").rsplit(",", 7)
    return Figure(float(rps), float(p50), float(p99))


# -- who is measured -----------------------------------------------------------------------------------------------


@contextmanager
def redis(folder: Path) -> Iterator[int | None]:
    if shutil.which("redis-server") is None or shutil.which("redis-benchmark") is None:
        print("Redis is missing, so there is nothing to compare with: apt-get install redis-server")
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always",
         "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


@contextmanager
def cdesk(folder: Path, *, is_whole: bool) -> Iterator[tuple[int, str]]:
    """The service in a process of its own; `is_whole`: with its uploader."""
    folder.mkdir()
    (folder / "config.toml").write_text("[queue]\nbytes_max = 50000000000\n")
    environment = {
        **os.environ,
        "CDESK_HOME": str(folder),
        "CLAUDE_CONFIG_DIR": str(folder / "none"),
        "HOME": str(folder),
    }
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", "whole" if is_whole else "intake"], env=environment,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline()), (folder / "token").read_text().strip()
    finally:
        server.kill()  # what it holds is thrown away
        server.wait()


def serve(*, is_whole: bool) -> None:
    """What `cdesk up` opens, and says which port."""
    home = config.home()
    home.make()
    app = App(home, config.load(home))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    guarded = service.create(app, tokens.load_or_make(home.token), port, Progress())
    lane = Lane(app, guarded)
    lane.open()
    if is_whole:
        app.start()
    print(port, flush=True)
    uvicorn.Server(uvicorn.Config(
        guarded, http=lane.protocol(), log_config=None, access_log=False, lifespan="off", server_header=False,
    )).run(sockets=[listener])  # fmt: skip


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


@contextmanager
def bare() -> Iterator[int]:
    command = [sys.executable, __file__, "--serve", "bare"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


def serve_bare() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(_bare, log_config=None, access_log=False, lifespan="off")).run(sockets=[listener])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# -- the run -------------------------------------------------------------------------------------------------------


def measure(rounds: int, seconds: int, clients: tuple[int, ...]) -> dict[str, list[Figure]]:
    """By name and clients, one figure a round; all of one round side by side, but for the whole service, which would
    go on merging beside the others."""
    found: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with (
            redis(folder / "redis") as redis_port,
            cdesk(folder / "intake", is_whole=False) as (port, token),
            bare() as bare_port,
        ):
            endpoints = {
                "cdesk": Endpoint(port, token, "/v1/activities", ACTIVITY),
                "hooks": Endpoint(port, token, HOOK, PAYLOAD),
                "bare uvicorn": Endpoint(bare_port, "", "/", ACTIVITY),
            }
            for count in clients:
                for _ in range(rounds):
                    if redis_port is not None:
                        runs = found.setdefault(f"redis {count}", [])
                        rate = runs[-1].rate if runs else over_redis(redis_port, count, 0, 0).rate
                        runs.append(over_redis(redis_port, count, seconds, rate))
                    for name, endpoint in endpoints.items():
                        found.setdefault(f"{name} {count}", []).append(over_http(endpoint, count, seconds))
        for count in clients:
            with cdesk(folder / f"whole-{count}", is_whole=True) as (port, token):
                endpoint = Endpoint(port, token, "/v1/activities", ACTIVITY)
                found[f"whole service {count}"] = [over_http(endpoint, count, seconds) for _ in range(rounds)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="of each figure in a round (default 2)")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--serve", choices=("intake", "whole", "bare"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve == "bare":
        serve_bare()
        return
    if given.serve:
        serve(is_whole=given.serve == "whole")
        return
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing, and nothing else here is fast enough to measure with: apt-get install wrk")
    facts = machine.facts()
    print(json.dumps(facts))
    found = measure(given.rounds, given.seconds, tuple(given.clients))
    middle = {
        name: Figure(*(round(statistics.median(getattr(one, part) for one in runs), 3) for part in ("rate", "p50", "p99")))
        for name, runs in found.items()
    }  # fmt: skip
    print(f"\n{'clients':<18} {'a second':>10} {'P50 ms':>9} {'P99 ms':>9}")
    for name, value in middle.items():
        print(f"{name:<18} {value.rate:10,.0f} {value.p50:9.2f} {value.p99:9.2f}")
    ratios: dict[str, dict[str, float]] = {}
    print(f"\n{'ratio to':<32} {'median':>8} {'least':>8} {'most':>8}")
    for peer in ("redis", "bare uvicorn"):
        for count in given.clients:
            for ours in ("cdesk", "hooks", "whole service"):
                pairs = zip(found[f"{ours} {count}"], found.get(f"{peer} {count}", []), strict=False)
                if values := sorted(one.rate / other.rate for one, other in pairs):
                    name = f"{ours} / {peer} {count}"
                    ratios[name] = {
                        "median": round(statistics.median(values), 3),
                        "least": round(values[0], 3),
                        "most": round(values[-1], 3),
                    }
                    goal = f"   goal {GOAL}" if (ours, peer) == ("cdesk", "redis") and count >= 64 else ""
                    print(f"{name:<32} {statistics.median(values):8.2f} {values[0]:8.2f} {values[-1]:8.2f}{goal}")
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "intake.json").write_text(json.dumps({
        "machine": {**facts, "load_1m_after": round(os.getloadavg()[0], 2)}, "rounds": given.rounds, "seconds": given.seconds,
        "figures": {name: asdict(value) for name, value in middle.items()}, "ratios": ratios,
    }, indent=1) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
