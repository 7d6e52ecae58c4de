"""How long until all is ready again after `kill -9`: the queue, the warehouse, and the first batch between them.

    python benchmarks/recovery.py                                  bases of none, 1 and 10 million rows
    python benchmarks/recovery.py --base 1000000 --wal 64 --queue 256

A process fills the warehouse until its write-ahead log has so many MB, and the queue until it holds so many that
nobody has read, and is killed in the middle of the next append; then half a line is left behind its last whole one.
A new process opens all rooms (`cdesk.app.App`), as the service does; the start of Python and the imports are only in
`up`, the whole command `cdesk up` on the same home until it answers. What was written stays in the system's page
cache, as it does when a process dies and the machine does not.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import activities, machine
from benchmarks.append import free_port
from benchmarks.upload import fresh_home

from cdesk.activity.codec import decode
from cdesk.app import App
from cdesk.config import Home, Settings
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.disk import segments
from cdesk.warehouse.duckdb.store import FILE_NAME, DuckDBWarehouse

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
GOAL_S = 0.25
BATCH_LINES = 2_000
QUEUE_BYTES_MAX = 8 * 1024**3
UP_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class Case:
    base: int
    wal_mb: int
    queue_mb: int


@dataclass(frozen=True)
class Recovered:
    """Seconds, from the moment that opening began:

    open_s             all rooms are open and the warehouse answers
    first_batch_s      the first batch of what waited is committed
    readable_s         of the queue alone: opened, and the first batch in hand
    drained_s_per_gb   of the queue alone: every line checked, read and let go, by 10^9 bytes
    up_s               from the start of the command `cdesk up` to its first answer over HTTP
    missing            lines that were acknowledged and not given back
    """

    open_s: float
    first_batch_s: float
    readable_s: float
    drained_s_per_gb: float
    up_s: float
    missing: int


# -- roles of children ---------------------------------------------------------------------------------------------


def filled(home: Path, wal_mb: int, queue_mb: int) -> None:
    """Fills both, says how many lines the queue acknowledged, and goes on until it is killed."""
    warehouse = DuckDBWarehouse(home / "warehouse")
    warehouse.query("SET GLOBAL checkpoint_threshold = '1GB'")
    stream = activities.Stream("wal")
    wal = home / "warehouse" / f"{FILE_NAME}.wal"
    while not wal.exists() or wal.stat().st_size < wal_mb * 1_000_000:
        warehouse.merge([decode(line) for line in stream.lines(BATCH_LINES)])
    writer = Writer(home / "queue", bytes_max=QUEUE_BYTES_MAX)
    waiting = activities.Stream("waiting")
    size = 0
    told = 0
    while True:
        lines = waiting.lines(BATCH_LINES)
        writer.append(lines)
        size += sum(map(len, lines))
        told += len(lines)
        if size >= queue_mb * 1_000_000:
            print(told, flush=True)


def recovered(home: Path) -> None:
    """The queue's own reader comes first: once it has read, what it has not let go of stays."""
    start = time.perf_counter()
    reader = Reader(home / "queue", "measured", DeadLetters(home / "dead"))
    delivery = reader.read()
    readable_s = time.perf_counter() - start
    open_s, first_batch_s = _rooms(home)
    start = time.perf_counter()
    lines = size = 0
    while not delivery.is_empty:
        lines += len(delivery.lines)
        size += sum(map(len, delivery.lines))
        reader.commit(delivery)
        delivery = reader.read()
    drained_s = readable_s + time.perf_counter() - start
    print(json.dumps({"open_s": open_s, "first_batch_s": first_batch_s, "readable_s": readable_s, "lines": lines,
                      "drained_s_per_gb": drained_s / size * 1e9}), flush=True)  # fmt: skip
    os._exit(0)  # no orderly end: it would checkpoint what the next one must find


def _rooms(home: Path) -> tuple[float, float]:
    start = time.perf_counter()
    app = App(Home(home), Settings(), {})
    app.warehouse.count()
    opened = time.perf_counter() - start
    app.uploader.step()
    return opened, time.perf_counter() - start


# -- measuring -----------------------------------------------------------------------------------------------------


def measured(case: Case, cache: Path) -> Recovered:
    with fresh_home(case.base, cache) as home:
        told = _killed(home, case)
        _tear(home / "queue")
        answer = subprocess.run(
            [sys.executable, __file__, "--recovered", str(home)], stdout=subprocess.PIPE, check=True
        ).stdout
        found = dict(json.loads(answer))
        up_s = _up(home)
    lines = int(found.pop("lines"))
    return Recovered(
        **{name: round(float(value), 4) for name, value in found.items()}, up_s=up_s, missing=max(told - lines, 0)
    )


def _killed(home: Path, case: Case) -> int:
    """The lines that it acknowledged, at least."""
    command = [sys.executable, __file__, "--filled", str(home), str(case.wal_mb), str(case.queue_mb)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(3)]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    said += process.stdout.read().splitlines()
    process.stdout.close()
    return int([line for line in said if line.strip()][-1])


def _tear(queue: Path) -> None:
    *_, last = segments(queue)
    with last.open("ab") as file:
        file.write(activities.Stream("torn").lines(1)[0][:300])


def _up(home: Path) -> float:
    """From the start of `cdesk up` until it answers; it is told to end then."""
    port = free_port()
    environment = {**os.environ, "CDESK_HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / "nothing")}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cdesk", "up", "--port", str(port)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None or time.perf_counter() > start + UP_SECONDS_MAX:
                raise SystemExit("the service did not start")
            time.sleep(0.01)
        return round(time.perf_counter() - start, 3)
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=UP_SECONDS_MAX)
    try:
        connection.request("GET", "/v1/status")
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()


def cases(quick: bool) -> list[Case]:
    if quick:
        return [Case(0, 4, 16), Case(100_000, 4, 16)]
    return [Case(0, 16, 16), Case(0, 64, 1_000), Case(1_000_000, 16, 64), Case(1_000_000, 64, 64), Case(10_000_000, 16, 64),
            Case(10_000_000, 64, 64)]  # fmt: skip


def run(chosen: list[Case], cache: Path, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    found = []
    tell(f"{'base':>11} {'WAL MB':>7} {'queue MB':>9} {'open s':>8} {'1st batch s':>12} {'readable s':>11} {'drained s/GB':>13}"
         f" {'up s':>7} {'missing':>8}")  # fmt: skip
    for case in chosen:
        r = measured(case, cache)
        tell(f"{case.base:>11,} {case.wal_mb:>7} {case.queue_mb:>9} {r.open_s:>8.3f} {r.first_batch_s:>12.3f} {r.readable_s:>11.3f}"
             f" {r.drained_s_per_gb:>13.1f} {r.up_s:>7.2f} {r.missing:>8}")  # fmt: skip
        found.append({**asdict(case), **asdict(r), "reached": r.open_s <= GOAL_S and not r.missing})
    tell(f"goal: open within {GOAL_S} s, none missing")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", type=int, metavar="ROWS", help="one case only, with so many rows there before")
    parser.add_argument("--wal", type=int, default=16, metavar="MB")
    parser.add_argument("--queue", type=int, default=64, metavar="MB")
    parser.add_argument("--quick", action="store_true", help="small ones; keeps no results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="where bases are kept and homes made")
    parser.add_argument("--filled", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--recovered", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # with what was started
    if given.filled:
        filled(Path(given.filled[0]), int(given.filled[1]), int(given.filled[2]))
    elif given.recovered:
        recovered(given.recovered)
    else:
        _measure(given)


def _measure(given: argparse.Namespace) -> None:
    def tell(line: str) -> None:
        if not given.json:
            print(line, flush=True)

    one = given.base is not None
    facts = machine.facts()
    chosen = [Case(given.base, given.wal, given.queue)] if one else cases(given.quick)
    found = {"benchmark": "recovery", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts, "goal_s": GOAL_S,
             "figures": run(chosen, given.cache, tell)}  # fmt: skip
    if given.json:
        print(json.dumps(found))
    if not given.quick and not one:
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / "recovery.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
