"""From the queue to everything derived: how long an event waits until every task has taken it in, and what that costs.

    python benchmarks/refresh.py                                             all of it, about ten minutes
    python benchmarks/refresh.py --rate 10000 --seconds 30 --base 10000000   one run; --late 0.05: some come a minute late
    python benchmarks/refresh.py --changed                                   10, 1,000 and 100,000 customers changed

This process is the producer: it appends through `cdesk.queue.Writer`. Uploader and tasks share a process of their own,
wired by `cdesk.app.App` as the service wires it. An event is done when every task that runs on changes and promises
to do so within seconds has committed a run that saw it, and `calculate_metrics` one that also saw the rollups it is in. Its time is from the return of its append
to the return of that commit, both on the system's monotonic clock. It is taken for each append, about a hundred a second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from benchmarks import activities, machine
from benchmarks.upload import CACHE, Ack, Commits, Producer, fresh_home, percentile

from cdesk.activity.codec import decode
from cdesk.app import App
from cdesk.config import Home, Settings
from cdesk.queue.reader import Delivery
from cdesk.refresh.pace import PATIENT_SECONDS
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import Task, load
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

GOALS = {"p95_s": 1.0, "cores_of_tasks": 0.35, "idle_cores": 0.01, "screen_ms": 100}
WARM_UP_S = 3.0
QUIET_S = 10.0
"""The service compacts after five quiet seconds; that is not idle."""
IDLE_S = 10.0
CALM_CORES = 0.1
PATIENCE_S = 900.0
"""At ten million rows the first batch builds a filter over all ids."""
LATE_S_MAX = 60
CHANGED = (10, 1_000, 100_000)
CHANGED_BASE = 100_000
SCREENS = ("VW_PRODUCT_METRICS", "V_EXECUTIVE_SUMMARY", "V_USER_ADOPTION")
SCREEN_RUNS = 5

Figures = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """rate: events a second · base: rows before · late: share of events that come up to LATE_S_MAX late"""

    rate: int
    seconds: float
    base: int
    late: float = 0.0


@dataclass(frozen=True)
class Kept:
    """What one run showed.

    p50_s … max_s       from acknowledged to taken in by every task, over all events of the load
    by_task             P95 of each task alone; `upload` is the warehouse's own commit
    runs, run_ms        of each task: how many runs while the load lasted, and their median
    cores               CPU seconds of the whole process by second, while the load lasted
    cores_upload        its uploader's thread · cores_of_tasks  threads of tasks · cores_shared  DuckDB's, for both
    us_per_event        CPU microseconds of the whole process by event, until all was done: does not depend on other load
    us_of_tasks         of these, by threads of tasks and what DuckDB's do for them (shared by the threads that ask)
    idle_cores          CPU seconds by second when all was done
    """

    events: int
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float
    by_task: dict[str, float]
    runs: dict[str, int]
    run_ms: dict[str, float]
    cores: float
    cores_upload: float
    cores_of_tasks: float
    cores_shared: float
    us_per_event: float
    us_of_tasks: float
    idle_cores: float
    load_1m: float


# -- uploader and tasks, in a process of their own -----------------------------------------------------------------


def served(home: Path) -> None:
    """Answers one word a line: `usage` while it runs, `quit` with everything that it noted."""
    app = App(Home(home), Settings(), {})
    commit, turn = app.reader.commit, app.tasks._turn
    commits: list[tuple[float, int, int]] = []
    noted = Commits(commit)
    turns: list[tuple[str, float, float, int, bool]] = []

    def committed(delivery: Delivery) -> None:
        before = len(noted.log)
        noted(delivery)
        commits.extend((at, size, app.warehouse.seq) for at, size in noted.log[before:])

    def turned(standing: Any, *given: Any) -> Any:
        start = time.monotonic()
        run = turn(standing, *given)
        seen = min(app.warehouse.changes.offset(stream.name) for stream in standing.task.reads)
        turns.append((standing.task.name, start, time.monotonic(), seen, run is not None and run.error is None))
        return run

    setattr(app.reader, "commit", committed)  # noqa: B010
    setattr(app.tasks, "_turn", turned)  # noqa: B010
    app.start()
    app.keep_fresh()
    _tell({})
    for word in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        told = {"cpu_s": used.ru_utime + used.ru_stime, "threads": _threads(), "bytes": commits[-1][1] if commits else 0,
                "is_done": not any(app.tasks.has_data(task.name) for task in _prompt())}  # fmt: skip
        _tell({**told, "commits": commits, "turns": turns} if word.strip() == "quit" else told)
        if word.strip() == "quit":
            break
    app.close()


def _threads() -> dict[str, float]:
    """CPU seconds of Python's threads, by what they do; empty where the system does not tell."""
    found = {"upload": 0.0, "task": 0.0}
    tick = os.sysconf("SC_CLK_TCK")
    for thread in threading.enumerate():
        kind = next((kind for kind in found if thread.name.startswith(f"cdesk-{kind}")), None)
        if kind is None or thread.native_id is None:
            continue
        try:
            fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[kind] += (int(fields[11]) + int(fields[12])) / tick
    return found


def _tell(what: Figures) -> None:
    print(json.dumps(what), flush=True)


class Child:
    """That process, as seen from here."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--served", str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def ask(self, word: str) -> Figures:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._answer()

    def wait_until_done(self, size: int) -> None:
        until = time.monotonic() + PATIENCE_S
        while (told := self.ask("usage"))["bytes"] < size or not told["is_done"]:
            if time.monotonic() > until:
                raise SystemExit(f"not done within {PATIENCE_S:g} s")
            time.sleep(0.1)

    def wait_until_calm(self) -> None:
        """What the first batch set going in the background is done, for example the filter over all ids."""
        until, used = time.monotonic() + PATIENCE_S, self.ask("usage")["cpu_s"]
        while time.monotonic() < until:
            time.sleep(1.0)
            before, used = used, self.ask("usage")["cpu_s"]
            if used - before < CALM_CORES:
                return

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _answer(self) -> Figures:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the process ended")
        return dict(json.loads(line))


class Unpunctual(activities.Stream):
    """Some of what it tells happened up to a minute ago."""

    def __init__(self, name: str, share: float) -> None:
        super().__init__(name)
        self._share = share

    def new_line(self, ts: bytes) -> bytes:
        if self._rng.random() < self._share:
            at = datetime.fromisoformat(ts.decode()) - timedelta(seconds=self._rng.random() * LATE_S_MAX)
            ts = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        return super().new_line(ts)


# -- one run -------------------------------------------------------------------------------------------------------


def _on_changes() -> list[Task]:
    return [task for task in load() if task.cron is None]


def _prompt() -> list[Task]:
    """Those that promise to be there within seconds: an event waits for these. Others look at everything once a minute."""
    return [task for task in _on_changes() if task.fresh_seconds < PATIENT_SECONDS]


def as_if_done(warehouse: DuckDBWarehouse) -> None:
    """The base counts as taken in: consumers stand behind it, and what tasks look up per pair and hour is there."""
    for task in _on_changes():
        for stream in task.reads:
            warehouse.query(
                "INSERT INTO _STREAM_OFFSETS VALUES ($1, $2, 0, now()::TIMESTAMP)", [stream.name, stream.table]
            )
    warehouse.query(f"""
INSERT INTO OCCURRENCE_STATE SELECT customer, activity, count(*), max(ts), arg_max(activity_id, ts) FROM {STREAM} GROUP BY ALL""")
    warehouse.query(f"""
INSERT INTO ACTIVITY_ROLLUP
SELECT date_trunc('hour', ts), customer, _session_id, _project_path, NULL, activity, _model, NULL, _is_counted, count(*), 0,
       count(revenue_impact), coalesce(sum(revenue_impact), 0), 0, 0, 0, 0, 0, 0, 0, 0
  FROM {STREAM} GROUP BY ALL ORDER BY 1""")  # fmt: skip
    warehouse.query("CHECKPOINT")


def kept_fresh(given: Load, cache: Path) -> Kept:
    with fresh_home(given.base, cache) as home:
        warehouse = DuckDBWarehouse(home / "warehouse", memory_limit="2GB")
        as_if_done(warehouse)
        warehouse.close()
        child = Child(home)
        producer = Producer(home, Unpunctual("run", given.late))
        try:
            producer.run(given.rate, WARM_UP_S)
            child.wait_until_done(producer.bytes)
            child.wait_until_calm()
            warm, begun = len(producer.acks), time.monotonic()
            before = child.ask("usage")
            took = producer.run(given.rate, given.seconds)
            after, ended = child.ask("usage"), time.monotonic()
            load_1m = os.getloadavg()[0]
            child.wait_until_done(producer.bytes)
            spent = child.ask("usage")
            time.sleep(QUIET_S)
            still = child.ask("usage")
            time.sleep(IDLE_S)
            idle = child.ask("usage")
            producer.close()
            told = child.ask("quit")
        finally:
            child.end()
    acks = producer.acks[warm:]
    done = _done(told["commits"], told["turns"])
    waits = {name: _waits(acks, log, producer.acks[warm - 1].events) for name, log in done.items()}
    everything = waits.pop("everything")
    turns = [(name, end - start) for name, start, end, _, was_run in told["turns"] if was_run and begun < end < ended]
    names = sorted({name for name, _ in turns})
    threads = {kind: (after["threads"][kind] - before["threads"][kind]) / took for kind in after["threads"]}
    cores = (after["cpu_s"] - before["cpu_s"]) / took
    events = acks[-1].events - producer.acks[warm - 1].events
    spent_us = (spent["cpu_s"] - before["cpu_s"]) / events * 1e6
    asked = {kind: spent["threads"][kind] - before["threads"][kind] for kind in spent["threads"]}
    p50, p95, p99, worst = (round(percentile(everything, share), 3) for share in (0.5, 0.95, 0.99, 1.0))
    return Kept(
        events=events, p50_s=p50, p95_s=p95, p99_s=p99, max_s=worst,
        by_task={name: round(percentile(found, 0.95), 3) for name, found in waits.items()},
        runs={name: sum(one == name for one, _ in turns) for name in names},
        run_ms={name: round(statistics.median(s for one, s in turns if one == name) * 1000, 1) for name in names},
        cores=round(cores, 3), cores_upload=round(threads["upload"], 3), cores_of_tasks=round(threads["task"], 3),
        cores_shared=round(cores - sum(threads.values()), 3),
        us_per_event=round(spent_us, 1),
        us_of_tasks=round(spent_us * asked["task"] / max(sum(asked.values()), 1e-9), 1),
        idle_cores=round((idle["cpu_s"] - still["cpu_s"]) / IDLE_S, 4), load_1m=round(load_1m, 2),
    )  # fmt: skip


def _done(commits: list[list[float]], turns: list[list[Any]]) -> dict[str, list[tuple[float, float]]]:
    """For each task, `upload` and `everything`: (when, bytes of the queue that were taken in by then)."""
    sizes, seqs = [size for _, size, _ in commits], [seq for _, _, seq in commits]
    found = {"upload": [(at, size) for at, size, _ in commits]}
    after = {task.name: task.after for task in _prompt()}
    seen: dict[str, list[tuple[float, int]]] = {name: [] for name in after}
    for name, start, end, seq, _ in sorted(turns, key=lambda turn: turn[2]):
        if name in seen:
            behind = [max((known for at, known in seen[first] if at <= start), default=-1) for first in after[name]]
            seen[name].append((end, min([seq, *behind])))
    for name, log in seen.items():
        found[name] = []
        for at, seq in log:
            place = bisect_left(seqs, seq + 1)
            found[name].append((at, sizes[place - 1] if place else 0))
    times = sorted(at for name in seen for at, _ in found[name])
    found["everything"] = [(at, min(_size_at(found[name], at) for name in seen)) for at in times]
    return found


def _size_at(log: list[tuple[float, float]], at: float) -> float:
    return max((size for when, size in log if when <= at), default=0)


def _waits(acks: Sequence[Ack], log: list[tuple[float, float]], events: int) -> list[tuple[float, int]]:
    """(seconds, events with it). Events of one append share its last one's."""
    best, rising = 0.0, []
    for at, size in log:
        best = max(best, size)
        rising.append((at, best))
    sizes = [size for _, size in rising]
    found: list[tuple[float, int]] = []
    for ack in acks:
        found.append((rising[bisect_left(sizes, ack.bytes)][0] - ack.at, ack.events - events))
        events = ack.events
    return sorted(found)


# -- by customers changed, and what reads the rollups then ---------------------------------------------------------


def changed(cache: Path) -> tuple[Figures, Figures]:
    """CPU ms and ms of each task after one new activity each of so many customers; then screens."""
    with fresh_home(CHANGED_BASE, cache) as home:
        warehouse = DuckDBWarehouse(home / "warehouse")
        as_if_done(warehouse)
        tasks = _on_changes()
        runner = Runner(warehouse, tasks)
        found: Figures = {}
        try:
            for customers in (*CHANGED[:1], *CHANGED):  # the first of all also reads and translates the tasks
                _merge_of(warehouse, customers)
                costs = {task.name: _timed(partial(runner.run, task.name)) for task in tasks}
                found[str(customers)] = {**costs, "cpu_ms": round(sum(cost["cpu_ms"] for cost in costs.values()), 1)}
            screens = {
                name: _middle([_timed(partial(warehouse.query, f"SELECT * FROM {name}")) for _ in range(SCREEN_RUNS)])
                for name in SCREENS
            }
        finally:
            runner.stop()
            warehouse.close()
    return found, screens


def _merge_of(warehouse: DuckDBWarehouse, customers: int) -> None:
    stream = activities.Stream(f"changed-{customers}-{time.monotonic_ns()}")
    for low in range(0, customers, 2_000):
        count = min(2_000, customers - low)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
        found = [decode(stream.new_line(now)) for _ in range(count)]
        warehouse.merge([_of(activity, f"customer_{low + place}") for place, activity in enumerate(found)])


def _of(activity: Any, customer: str) -> Any:
    return msgspec.structs.replace(activity, customer=customer)


def _timed(act: Callable[[], Any]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return {
        "ms": round((time.perf_counter() - wall) * 1000, 1),
        "cpu_ms": round((time.process_time() - cpu) * 1000, 1),
    }


def _middle(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(run[key] for run in runs), 1) for key in runs[0]}


# -- what is said --------------------------------------------------------------------------------------------------


def _show(given: Load, kept: Kept) -> None:
    print(f"{given.rate:,}/s for {given.seconds:g} s, base {given.base:,}, late {given.late:g}")
    for name, value in asdict(kept).items():
        print(f"  {name:<16} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--base", type=int, metavar="ROWS")
    parser.add_argument("--late", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--served", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.served:
        served(given.served)
        return
    is_whole = given.base is None and not given.changed
    bases = [] if given.changed else [given.base] if given.base is not None else [0, 1_000_000, 10_000_000]
    loads = [Load(given.rate, given.seconds, base, given.late) for base in bases]
    loads += [Load(given.rate, given.seconds, 1_000_000, 0.05)] if is_whole else []
    found: Figures = {"goals": GOALS, "fresh": []}
    for one in loads:
        kept = kept_fresh(one, given.cache)
        found["fresh"].append({**asdict(one), **asdict(kept)})
        if not given.json:
            _show(one, kept)
    if is_whole or given.changed:
        found["customers_changed"], found["screens"] = changed(given.cache)
        if not given.json:
            print(json.dumps({key: found[key] for key in ("customers_changed", "screens")}, indent=2))
    found = {
        "benchmark": "refresh",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.facts(),
        **found,
    }
    if given.json:
        print(json.dumps(found, indent=2))
    if is_whole:
        machine.RESULTS.mkdir(exist_ok=True)
        (machine.RESULTS / "refresh.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
