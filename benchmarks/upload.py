"""How the uploader keeps up: from "acknowledged" to "committed in the warehouse", event by event, nothing lost or doubled.

    python benchmarks/upload.py --rate 10000 --seconds 30 --base 0       one run: lag, stall, cores, memory, exactness
    python benchmarks/upload.py --rate 10000 --base 10000000 --late 0.001  into ten million rows, some facts told late
    python benchmarks/upload.py --rate 10000 --default-duckdb            the same beside DuckDB's own vacuum and thresholds
    python benchmarks/upload.py --catch-up 200000                        sealed segments, beside raw read_json
    python benchmarks/upload.py --dedupe                                 a batch at ten million rows beside one at none
    python benchmarks/upload.py [--quick] [--json]                       all of it

This process is the producer: it appends through `cdesk.queue.Writer`, which returns when the lines are on disk. The
uploader has a process of its own, wired by `cdesk.app.App` as the service wires it. Lag of an event: from the return of
its append to the return of the `Reader.commit` that covers its last byte, both on the system's monotonic clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb
from benchmarks import activities, machine

from cdesk.activity.codec import decode
from cdesk.app import App
from cdesk.config import Home, Settings
from cdesk.queue import Writer
from cdesk.queue.reader import Delivery
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
TICK_SECONDS = 0.01
WARM_UP_LINES = 1_000
DRAIN_SECONDS_MAX = 900.0
QUEUE_BYTES_MAX = 16 * 1024**3
GOALS = {"p95_s": 0.25, "p99_s": 1.0, "stall_s": 0.6, "cores": 0.4, "peak_mb": 400}
DEDUPE_LINES, DEDUPE_BATCHES = 2_000, 20
DEFAULTS_RESET = ("max_vacuum_tasks", "checkpoint_threshold", "variant_minimum_shredding_size")


@dataclass(frozen=True)
class Load:
    """rate: events a second, 0: as fast as they are taken · base: rows before · late: share that tells old facts again ·
    idle_s: silence after the last commit, before one more event"""

    rate: int
    seconds: float
    base: int
    late: float = 0.0
    default_duckdb: bool = False
    idle_s: float = 0.0


@dataclass(frozen=True)
class Kept:
    """What one run showed.

    events, accepted_per_s   acknowledged while the load lasted
    p50_s … max_s            lag, over all events of the load
    stall_s                  the longest that lines waited while nothing was committed
    cores                    CPU seconds of the uploader's process by second, while the load lasted
    us_per_event             the same by event, until the last was committed
    first_s                  from the first append to an opened warehouse to its commit
    drained_s                from the last acknowledgement to the last commit
    after_idle_s             lag of one event that came after the silence: it waits for a compaction that began in it
    peak_mb                  the uploader process's largest resident size
    lost, doubled            facts acknowledged but not there; ids that are there twice
    """

    events: int
    accepted_per_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    stall_s: float
    cores: float
    us_per_event: float
    first_s: float
    drained_s: float
    after_idle_s: float
    peak_mb: float
    rows: int
    lost: int
    doubled: int
    dead: int


# -- the uploader, in a process of its own -------------------------------------------------------------------------


class Commits:
    """Stands where `reader.commit` did, and notes when how much of the queue was committed."""

    def __init__(self, commit: Callable[[Delivery], None]) -> None:
        self._commit = commit
        self._ends: dict[str, int] = {}
        self.log: list[tuple[float, int]] = []

    def __call__(self, delivery: Delivery) -> None:
        self._commit(delivery)
        if delivery.offsets:
            self._ends.update(delivery.offsets)
            self.log.append((time.monotonic(), sum(self._ends.values())))


def uploader(home: Path, default_duckdb: bool) -> None:
    """Answers one word a line: `usage` while it runs, `quit` with everything that it noted."""
    opened = time.monotonic()
    app = App(Home(home), Settings(), {})
    if default_duckdb:
        for name in DEFAULTS_RESET:
            app.warehouse.query(f"RESET GLOBAL {name}")
    commits = Commits(app.reader.commit)
    setattr(app.reader, "commit", commits)  # noqa: B010
    app.start()
    _tell({"open_s": time.monotonic() - opened})
    for word in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {
            "cpu_s": used.ru_utime + used.ru_stime,
            "peak_mb": _peak_mb(),
            "bytes": commits.log[-1][1] if commits.log else 0,
        }
        if word.strip() == "quit":
            app.close()
            _tell({**told, "log": commits.log, "dead": app.dead.count()})
            return
        _tell(told)


def _tell(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def _peak_mb() -> float:
    """Of this program alone: `ru_maxrss` also counts what the process was before exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


class Child:
    """The uploader's process, as seen from here."""

    def __init__(self, home: Path, default_duckdb: bool) -> None:
        flags = ["--default-duckdb"] if default_duckdb else []
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--uploader", str(home), *flags],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.open_s = float(self._answer()["open_s"])

    def ask(self, word: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def wait_until(self, size: int) -> None:
        until = time.monotonic() + DRAIN_SECONDS_MAX
        while self.ask("usage")["bytes"] < size:
            if time.monotonic() > until:
                raise SystemExit(f"not drained within {DRAIN_SECONDS_MAX:g} s")
            time.sleep(0.02)

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the uploader's process ended")
        return dict(json.loads(line))


# -- the producer --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ack:
    """When an append returned, and how many bytes and events were durable then."""

    at: float
    bytes: int
    events: int


class Producer:
    def __init__(self, home: Path, stream: activities.Stream) -> None:
        self._writer = Writer(home / "queue", bytes_max=QUEUE_BYTES_MAX)
        self.stream = stream
        self.acks: list[Ack] = []
        self.bytes = 0
        self.events = 0

    def append(self, count: int) -> None:
        lines = self.stream.lines(count)
        self._writer.append(lines)
        self.bytes += sum(map(len, lines))
        self.events += count
        self.acks.append(Ack(time.monotonic(), self.bytes, self.events))

    def run(self, rate: int, seconds: float) -> float:
        """Appends what is due every TICK_SECONDS; gives back how long it took."""
        start = time.monotonic()
        batch_max = max(round((rate or 200_000) * TICK_SECONDS), 1) * 4
        done = 0
        while (now := time.monotonic()) < start + seconds:
            due = round((now - start + TICK_SECONDS) * rate) - done if rate else batch_max
            if due > 0:
                self.append(min(due, batch_max))
                done += min(due, batch_max)
            if rate:
                time.sleep(max(0.0, start + done / rate - time.monotonic()))
        return time.monotonic() - start

    def close(self) -> None:
        self._writer.close()


# -- one run -------------------------------------------------------------------------------------------------------


@contextmanager
def fresh_home(base: int, cache: Path) -> Iterator[Path]:
    """A home whose warehouse holds so many rows."""
    cache.mkdir(parents=True, exist_ok=True)
    source = activities.warehouse_with(base, cache)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        shutil.copytree(source, Path(folder) / "warehouse")
        (Path(folder) / "warehouse/complete").unlink()
        os.sync()  # what copying left to write must not be written while something is measured
        yield Path(folder)


def kept_up(load: Load, cache: Path) -> Kept:
    with fresh_home(load.base, cache) as home:
        stream = activities.Stream("run", late=load.late, base_rows=load.base)
        child = Child(home, load.default_duckdb)
        producer = Producer(home, stream)
        try:
            begun = time.monotonic()
            producer.append(WARM_UP_LINES)
            child.wait_until(producer.bytes)
            warm = producer.events
            before = child.ask("usage")
            took = producer.run(load.rate, load.seconds)
            after = child.ask("usage")
            child.wait_until(producer.bytes)
            end = len(producer.acks)
            if load.idle_s:
                time.sleep(load.idle_s)
                producer.append(1)
                child.wait_until(producer.bytes)
            producer.close()
            told = child.ask("quit")
        finally:
            child.end()
        warehouse = DuckDBWarehouse(home / "warehouse", memory_limit="2GB")
        try:
            rows, doubled = activities.counts(warehouse)
            gone = load.base + stream.facts - (rows - doubled)
            lost = max(activities.missing(warehouse, "run", stream.facts), gone)
        finally:
            warehouse.close()
    log = [(float(at), int(size)) for at, size in told["log"]]
    acks, alone = producer.acks[1:end], producer.acks[end:]
    waited = lags(acks, log, warm)
    events = acks[-1].events - warm
    done_at = log[bisect_left([size for _, size in log], acks[-1].bytes)][0]
    p50, p95, p99, worst = (round(percentile(waited, share), 3) for share in (0.5, 0.95, 0.99, 1.0))
    return Kept(
        events=events, accepted_per_s=round(events / took), p50_s=p50, p95_s=p95, p99_s=p99, max_s=worst,
        stall_s=round(stall(acks, log), 3), cores=round((after["cpu_s"] - before["cpu_s"]) / took, 3),
        us_per_event=round((told["cpu_s"] - before["cpu_s"]) / events * 1e6, 1), first_s=round(log[0][0] - begun, 3),
        drained_s=round(done_at - acks[-1].at, 3), after_idle_s=round(log[-1][0] - alone[0].at, 3) if alone else 0.0, peak_mb=round(told["peak_mb"]),
        rows=rows, lost=lost, doubled=doubled, dead=told["dead"],
    )  # fmt: skip


def lags(acks: Sequence[Ack], log: list[tuple[float, int]], events: int) -> list[tuple[float, int]]:
    """(lag, events with it). Events of one append share its last one's."""
    sizes = [size for _, size in log]
    found: list[tuple[float, int]] = []
    for ack in acks:
        found.append((log[bisect_left(sizes, ack.bytes)][0] - ack.at, ack.events - events))
        events = ack.events
    return sorted(found)


def percentile(waited: list[tuple[float, int]], share: float) -> float:
    wanted = share * sum(count for _, count in waited)
    for lag, count in waited:
        wanted -= count
        if wanted <= 0:
            return lag
    return waited[-1][0]


def stall(acks: Sequence[Ack], log: list[tuple[float, int]]) -> float:
    """The longest time without a commit while something acknowledged waited for one."""
    sizes = [ack.bytes for ack in acks]
    worst, last_at, last_size = 0.0, 0.0, 0
    for at, size in log:
        oldest = bisect_left(sizes, last_size + 1)
        if oldest < len(acks) and acks[oldest].bytes <= size:
            worst = max(worst, at - max(last_at, acks[oldest].at))
        last_at, last_size = at, size
    return worst


# -- catching up ---------------------------------------------------------------------------------------------------


def drained(home: Path) -> None:
    """Role of a child: everything that waits, as fast as possible."""
    app = App(Home(home), Settings(), {})
    start, before = time.perf_counter(), time.process_time()
    app.uploader.drain()
    took, cpu = time.perf_counter() - start, time.process_time() - before
    app.close()
    _tell({"seconds": took, "cpu_s": cpu, "peak_mb": round(_peak_mb())})


def raw_json(home: Path, kind: str) -> None:
    """Role of a child: the least that loading these lines must cost, with features as JSON text or as VARIANT."""
    columns = {
        "activity_id": "UUID", "ts": "TIMESTAMP", "activity": "VARCHAR", "customer": "VARCHAR", "feature_json": "JSON",
        "_source": "VARCHAR", "_also_id": "UUID", "_also_id_2": "UUID", "anonymous_customer_id": "VARCHAR",
        "revenue_impact": "DOUBLE", "link": "VARCHAR", "_session_id": "VARCHAR", "_crc": "VARCHAR",
    }  # fmt: skip
    files = [str(path) for path in sorted((home / "queue").glob("[0-9]*.ndjson"))]
    with duckdb.connect(str(home / "raw.duckdb")) as connection:
        start, before = time.perf_counter(), time.process_time()
        connection.execute(
            f"CREATE TABLE raw AS SELECT * REPLACE (feature_json::{kind} AS feature_json) "
            f"FROM read_json($1, format='newline_delimited', columns={columns})",
            [files],
        )
        took, cpu = time.perf_counter() - start, time.process_time() - before
    _tell({"seconds": took, "cpu_s": cpu, "peak_mb": round(_peak_mb())})


def caught_up(lines: int, cache: Path, rounds: int) -> dict[str, Any]:
    """Each way `rounds` times in turn, each time from a fresh copy."""
    found: dict[str, list[dict[str, float]]] = {"raw read_json, JSON": [], "raw read_json, VARIANT": [], "cdesk": []}
    for number in range(rounds):
        with fresh_home(0, cache) as home:
            producer = Producer(home, activities.Stream(f"catch-up-{number}"))
            while producer.events < lines:
                producer.append(min(2_000, lines - producer.events))
            producer.close()
            os.sync()
            found["raw read_json, JSON"].append(_role("--raw-json", str(home), "JSON"))
            (home / "raw.duckdb").unlink()
            found["raw read_json, VARIANT"].append(_role("--raw-json", str(home), "VARIANT"))
            (home / "raw.duckdb").unlink()
            found["cdesk"].append(_role("--drain", str(home)))
    middle = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    return {
        "lines": lines, "goal_ratio": 0.5,
        "ratio": round(middle["raw read_json, JSON"] / middle["cdesk"], 3),
        "ratio_variant": round(middle["raw read_json, VARIANT"] / middle["cdesk"], 3),
        "events_per_s": {name: round(lines / seconds) for name, seconds in middle.items()}, "runs": found,
    }  # fmt: skip


def _role(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


# -- what the rows that are there already cost ---------------------------------------------------------------------


class Recorder:
    """A DuckDB connection that counts the row groups which look-ups in the stream scan, where it is told to."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_on = False
        self.groups: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if self.is_on and STREAM in sql and sql.lstrip().upper().startswith(("SELECT", "WITH")):
            plan = self._connection.execute(f"EXPLAIN (ANALYZE, FORMAT json) {sql}", *parameters).fetchall()[0][1]
            self.groups.append(groups_scanned(json.loads(plan)["operator"]))
        return self._connection.execute(sql, *parameters)


def groups_scanned(operators: list[dict[str, Any]]) -> int:
    """Of a plan's scans of the stream, below these operators: each says "2 / 82"."""
    scanned = 0
    for operator in operators:
        told = operator["extra_info"]
        if str(told.get("Table", "")).endswith(STREAM):
            scanned += int(str(told.get("Row Groups Scanned", "0")).split("/")[0].replace(",", ""))
        scanned += groups_scanned(operator.get("children", []))
    return scanned


@contextmanager
def recorded(folder: Path) -> Iterator[tuple[DuckDBWarehouse, Recorder]]:
    """The warehouse, opened on a connection that can tell what look-ups scan."""
    recorders: list[Recorder] = []
    connect = duckdb.connect

    def recording(*given: Any, **named: Any) -> Any:
        recorders.append(Recorder(connect(*given, **named)))
        return recorders[-1]

    setattr(duckdb, "connect", recording)  # noqa: B010
    try:
        warehouse = DuckDBWarehouse(folder)
    finally:
        setattr(duckdb, "connect", connect)  # noqa: B010
    try:
        yield warehouse, recorders[0]
    finally:
        warehouse.close()


def deduped(bases: Sequence[int], cache: Path, batches: int) -> dict[str, Any]:
    """Batches of DEDUPE_LINES into each base in turn, without and with one late event in each of them.

    At an empty base "late" means: as many lines as above, none of them late, as nothing is there to be told again."""
    figures = []
    with _opened(bases, cache) as opened:
        streams = {base: activities.Stream(f"dedupe-{base}", base_rows=base) for base in bases}
        times: dict[tuple[int, bool], list[tuple[float, float]]] = {}
        groups: dict[tuple[int, bool], list[int]] = {}
        for number in range(-3, batches):
            for late in (False, True):
                for base, (warehouse, _) in opened.items():
                    lines = streams[base].lines(DEDUPE_LINES - 1)
                    lines.append(streams[base].late_line() if late and base else streams[base].lines(1)[0])
                    batch = [decode(line) for line in lines]
                    start, cpu = time.perf_counter(), time.process_time()
                    warehouse.merge(batch)
                    if number >= 0:
                        took = (time.perf_counter() - start, time.process_time() - cpu)
                        times.setdefault((base, late), []).append(took)
        for base, (warehouse, recorder) in opened.items():
            recorder.is_on = True
            for late in (False, True):
                recorder.groups.clear()
                lines = streams[base].lines(DEDUPE_LINES - 1)
                lines += [streams[base].late_line()] if late and base else []
                warehouse.merge([decode(line) for line in lines])
                groups[base, late] = list(recorder.groups)
    for base, late in times:
        wall, cpu_s = (statistics.median(column) * 1000 for column in zip(*times[base, late], strict=True))
        figures.append(
            {
                "base": base,
                "late": late,
                "ms": round(wall, 1),
                "cpu_ms": round(cpu_s, 1),
                "row_groups": groups[base, late],
            }
        )
    return {"lines": DEDUPE_LINES, "batches": batches, "figures": figures}


@contextmanager
def _opened(bases: Sequence[int], cache: Path) -> Iterator[dict[int, tuple[DuckDBWarehouse, Recorder]]]:
    if not bases:
        yield {}
        return
    with (
        fresh_home(bases[0], cache) as home,
        recorded(home / "warehouse") as first,
        _opened(bases[1:], cache) as others,
    ):
        yield {bases[0]: first, **others}


# -- what is said --------------------------------------------------------------------------------------------------

HEAD = (
    f"{'rate':>7} {'base':>11} {'late':>6} {'':8} {'taken/s':>8} {'P50 s':>7} {'P95 s':>7} {'P99 s':>7} {'max s':>7} {'stall s':>8}"
    f" {'cores':>6} {'us/ev':>6} {'first s':>8} {'drained':>8} {'idle s':>7} {'MB':>5} {'lost':>5} {'doubled':>7}"
)


def _row(load: Load, kept: Kept) -> str:
    how = "default" if load.default_duckdb else "cdesk"
    return (
        f"{load.rate or 'max':>7} {load.base:>11,} {load.late:>6g} {how:8} {kept.accepted_per_s:>8,} {kept.p50_s:>7.3f} {kept.p95_s:>7.3f}"
        f" {kept.p99_s:>7.3f} {kept.max_s:>7.3f} {kept.stall_s:>8.3f} {kept.cores:>6.2f} {kept.us_per_event:>6.1f} {kept.first_s:>8.2f}"
        f" {kept.drained_s:>8.2f} {kept.after_idle_s:>7.2f} {kept.peak_mb:>5.0f} {kept.lost:>5} {kept.doubled:>7}"
    )


def _loads(quick: bool) -> list[Load]:
    if quick:
        return [Load(10_000, 5, 0), Load(10_000, 5, 100_000, late=0.001), Load(0, 2, 0)]
    return [
        Load(10_000, 60, 0),
        Load(10_000, 60, 1_000_000, idle_s=5.5), Load(10_000, 60, 10_000_000),
        Load(10_000, 60, 10_000_000, late=0.001), Load(10_000, 60, 1_000_000, default_duckdb=True),
        Load(40_000, 30, 1_000_000), Load(50_000, 10, 1_000_000), Load(0, 10, 1_000_000),
    ]  # fmt: skip


def _everything(quick: bool, cache: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    runs = []
    tell(HEAD)
    for load in _loads(quick):
        kept = kept_up(load, cache)
        tell(_row(load, kept))
        runs.append({**asdict(load), **asdict(kept)})
    catch_up = caught_up(50_000 if quick else 500_000, cache, 1 if quick else 3)
    _tell_catch_up(catch_up, tell)
    dedupe = deduped((0, 100_000) if quick else (0, 1_000_000, 10_000_000), cache, 5 if quick else DEDUPE_BATCHES)
    _tell_dedupe(dedupe, tell)
    return {"goals": GOALS, "lag": runs, "catch_up": catch_up, "dedupe": dedupe}


def _tell_catch_up(found: dict[str, Any], tell: Callable[[str], None]) -> None:
    tell(f"\ncatch-up, {found['lines']:,} lines in sealed segments")
    for name, rate in found["events_per_s"].items():
        peak = max(run["peak_mb"] for run in found["runs"][name])
        cpu = statistics.median(run["cpu_s"] for run in found["runs"][name]) / found["lines"] * 1e6
        tell(f"{name:<24} {rate:>9,}/s   {cpu:6.1f} CPU us/line   peak {peak:,.0f} MB")
    tell(f"ratio {found['ratio']} of raw JSON (goal {found['goal_ratio']}), {found['ratio_variant']} of raw VARIANT")


def _tell_dedupe(found: dict[str, Any], tell: Callable[[str], None]) -> None:
    tell(f"\na batch of {found['lines']:,} lines, median of {found['batches']}")
    at_none = {figure["late"]: figure for figure in found["figures"] if not figure["base"]}
    for f in found["figures"]:
        ratios = (
            f"x {f['ms'] / at_none[False]['ms']:5.2f}   CPU x {f['cpu_ms'] / at_none[False]['cpu_ms']:5.2f}"
            if at_none
            else ""
        )
        tell(f"{f['base']:>11,} rows {'one late' if f['late'] else 'none late':<9} {f['ms']:8.1f} ms {f['cpu_ms']:8.1f} CPU ms   {ratios}"
             f"   row groups scanned {f['row_groups']}")  # fmt: skip
    tell("goal at 10,000,000 rows: x 1.1, with one late x 1.5; two row groups")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rate", type=int, metavar="N", help="one run at N events a second; 0: as fast as they are taken"
    )
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S")
    parser.add_argument("--base", type=int, default=0, metavar="ROWS", help="rows that are there before")
    parser.add_argument(
        "--late", type=float, default=0.0, metavar="SHARE", help="of events that tell a fact of the base again"
    )
    parser.add_argument("--default-duckdb", action="store_true", help="with DuckDB's own vacuum and thresholds")
    parser.add_argument("--idle", type=float, default=0.0, metavar="S", help="silence afterwards, then one more event")
    parser.add_argument("--catch-up", type=int, metavar="LINES", help="only sealed segments, so many lines")
    parser.add_argument("--dedupe", action="store_true", help="only batches at 0 and at --base rows (10,000,000)")
    parser.add_argument("--quick", action="store_true", help="short, with small bases; keeps no results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR", help="where bases are kept and homes made")
    parser.add_argument("--uploader", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--drain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--raw-json", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # with what was started
    if given.uploader:
        uploader(given.uploader, given.default_duckdb)
    elif given.drain:
        drained(given.drain)
    elif given.raw_json:
        raw_json(Path(given.raw_json[0]), given.raw_json[1])
    else:
        _measure(given)


def _measure(given: argparse.Namespace) -> None:
    def tell(line: str) -> None:
        if not given.json:
            print(line, flush=True)

    if given.rate is not None:
        load = Load(given.rate, given.seconds, given.base, given.late, given.default_duckdb, given.idle)
        tell(HEAD)
        kept = kept_up(load, given.cache)
        tell(_row(load, kept))
        found: dict[str, Any] = {**asdict(load), **asdict(kept)}
    elif given.catch_up:
        found = caught_up(given.catch_up, given.cache, 1 if given.quick else 3)
        _tell_catch_up(found, tell)
    elif given.dedupe:
        bases = (0, given.base or (100_000 if given.quick else 10_000_000))
        found = deduped(bases, given.cache, 5 if given.quick else DEDUPE_BATCHES)
        _tell_dedupe(found, tell)
    else:
        facts = machine.facts()
        found = {"benchmark": "upload", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts,
                 **_everything(given.quick, given.cache, tell)}  # fmt: skip
        if not given.quick:
            machine.RESULTS.mkdir(exist_ok=True)
            (machine.RESULTS / "upload.json").write_text(json.dumps(found, indent=2) + "\n")
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
