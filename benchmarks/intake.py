"""How many activities a second `POST /v1/activities` makes durable, beside a bare uvicorn endpoint in the same run.

Each client keeps one connection and sends one activity a request; 64 clients. `python benchmarks/intake.py [--json]`
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

CLIENTS = 64
SECONDS = 4.0
ROUNDS = 3


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def _client(port: int, token: str, number: int, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < until:
        body = json.dumps({
            "activity": "measured", "ts": "2026-11-23T09:00:00Z", "customer": "ada", "activity_id": f"{until}-{number}-{count}",
            "feature_json": {"text": "x" * 400},
        }).encode()  # fmt: skip
        head = (
            f"POST /v1/activities HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        started = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[16:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        await reader.readexactly(length)
        assert b" 200 " in answer.split(b"\r\n", 1)[0], answer
        times.append(time.perf_counter() - started)
        count += 1
    writer.close()


async def _load(port: int, token: str) -> tuple[float, float, float]:
    times: list[float] = []
    until = time.perf_counter() + SECONDS
    await asyncio.gather(*(_client(port, token, number, until, times) for number in range(CLIENTS)))
    times.sort()
    return len(times) / SECONDS, times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": folder}
        cdesk = [sys.executable, "-m", "cdesk"]
        subprocess.run(
            [*cdesk, "up", "--detach", "--port", "0"], env=environment, check=True, stdout=subprocess.DEVNULL
        )
        server = uvicorn.Server(uvicorn.Config(_bare, port=0, log_level="error", access_log=False, lifespan="off"))
        threading.Thread(target=server.run, daemon=True).start()
        while not server.started:
            time.sleep(0.05)
        ports = {
            "bare uvicorn": server.servers[0].sockets[0].getsockname()[1],
            "cdesk, durable": json.loads((home / "service.json").read_bytes())["port"],
        }
        token = (home / "token").read_text().strip()
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ports}
        for _ in range(ROUNDS):
            for name, port in ports.items():
                found[name].append(asyncio.run(_load(port, token)))
        subprocess.run([*cdesk, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        server.should_exit = True
    middle = {name: sorted(runs)[len(runs) // 2] for name, runs in found.items()}
    ratio = middle["cdesk, durable"][0] / middle["bare uvicorn"][0]
    if "--json" in sys.argv:
        print(json.dumps({"clients": CLIENTS, **middle, "ratio": round(ratio, 3)}))
        return
    for name, (rate, p50, p99) in middle.items():
        print(f"{name:<16} {rate:8,.0f}/s   P50 {p50:6.1f} ms   P99 {p99:6.1f} ms")
    print(f"ratio {ratio:.2f} (goal 0.5), {CLIENTS} clients")


main()
