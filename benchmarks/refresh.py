"""What it costs to keep occurrences, rollups, metrics and context inputs up to date, and what first screens cost then.

    python benchmarks/refresh.py                       a million activities
    python benchmarks/refresh.py --activities 10000000 ten million

Occurrences: runs of 5,000 new rows each (half a second at 10,000 events/s), of 100 customers, on a table as dense as
that; once in order, once with 5 % that come up to a minute late, of which the following rows of the pair get new numbers.
Refresh: one new activity each of 10, 1,000 and 100,000 customers. Screens: the views that read rollups, goal 100 ms.
CPU time is that of the whole process; wall time depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine
from benchmarks.usage_daily import _features
from tests.refresh.changes import Tasks

from cdesk.activity.catalog import complete
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

GOAL_MS = 100
RUNS = 5
BATCH = 5_000
CUSTOMERS = 100
CHANGED = (10, 1_000, 100_000)
LATE_S_MAX = 60
STEP = 200_000
TASKS = ("roll_up_activity", "calculate_metrics", "refresh_context_inputs")
SCREENS = ("VW_PRODUCT_METRICS", "V_EXECUTIVE_SUMMARY", "V_USER_ADOPTION")
SHARES = (("claude_responded", 30), ("tool_called", 40), ("file_edited", 15), ("user_asked", 8), ("turn_completed", 7))
PATTERNS = 5_000

Figures = dict[str, Any]

_COLUMNS = "activity_id, ts, customer, anonymous_customer_id, activity, _session_id, _source, _schema_version, _seq, _first_seq"
_DENSE = f"""
INSERT INTO CLAUDE_STREAM_V2 ({_COLUMNS})
SELECT uuid(), TIMESTAMP '2026-03-01' + to_microseconds(i * 100 - CASE WHEN hash(i + 77) % 1000 < $late THEN (hash(i + 99) % {LATE_S_MAX * 1_000_000})::BIGINT ELSE 0 END),
       'customer_' || (hash(i) % {CUSTOMERS}), 'host', CASE WHEN hash(i + 1) % 100 < 40 THEN 'tool_called' WHEN hash(i + 1) % 100 < 70 THEN 'claude_responded'
       ELSE 'activity_' || (hash(i + 1) % 100) // 4 END, 's', 'hook', 2, $seq, $seq
  FROM range($low, $high) AS r(i)"""
_SPREAD = f"""
INSERT INTO CLAUDE_STREAM_V2 ({_COLUMNS}, feature_json, revenue_impact, _project_path, _model, _is_counted, _prompt_tokens, _completion_tokens)
SELECT uuid(), $begin + to_microseconds(i * $step_us), 'customer_' || (i // $each % $customers), 'host', activity, 's_' || (i // 250), 'hook', 2, $seq, $seq,
       features::VARIANT, (features ->> 'cost_usd')::DOUBLE, '/p/' || (i // 250 % 12), features ->> 'model', (features ->> 'is_counted')::BOOLEAN,
       (features ->> 'prompt_tokens')::BIGINT, (features ->> 'completion_tokens')::BIGINT
  FROM range($low, $high) AS r(i) JOIN _pattern ON pattern = hash(i) % {PATTERNS}"""


class Bench:
    """A warehouse in the temporary folder, and its tasks."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cdesk-refresh-"))
        self.warehouse = DuckDBWarehouse(self._folder)
        self.tasks = Tasks(self.warehouse._connection)
        self.seq = 0

    def insert(self, sql: str, low: int, high: int, **values: object) -> None:
        self.seq += 1
        for start in range(low, high, STEP):
            self.sql(sql, {"low": start, "high": min(start + STEP, high), "seq": self.seq, **values})

    def sql(self, sql: str, values: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        return self.warehouse._connection.execute(sql, values or {}).fetchall()

    def run(self, task: str) -> tuple[float, float, list[int]]:
        """Wall ms, CPU ms, rows of each statement."""
        return timed(lambda: self.tasks.run(task, datetime.now(UTC).replace(tzinfo=None)))

    def close(self) -> None:
        self.warehouse.close()
        shutil.rmtree(self._folder)


def timed(act: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = act()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000, found


def occurrences(activities: int) -> Figures:
    bench = Bench()
    try:
        bench.insert(_DENSE, 0, activities, late=0)
        bench.run("number_occurrences")
        bench.sql("CHECKPOINT")
        found, at = {}, activities
        for name, late in (("in_order", 0), ("late_5_percent", 50)):
            runs = []
            for _ in range(RUNS):
                bench.insert(_DENSE, at, at + BATCH, late=late)
                at += BATCH
                wall, cpu, rows = bench.run("number_occurrences")
                runs.append((wall, cpu, sum(rows[6:8])))
            found[name] = _medians(runs)
        return found
    finally:
        bench.close()


def _medians(runs: list[tuple[float, float, int]]) -> Figures:
    wall, cpu, rows = (statistics.median(column) for column in zip(*runs, strict=True))
    return {"new_rows": BATCH, "ms": round(wall, 1), "cpu_ms": round(cpu, 1), "rows_updated": int(rows)}


def refresh(activities: int) -> tuple[Figures, Figures]:
    bench = Bench()
    try:
        spread = _filled(bench, activities)
        screens = {name: _screen(bench, name) for name in SCREENS}
        found: Figures = {}
        at = activities
        for customers in CHANGED:
            bench.insert(_SPREAD, at, at + customers, **{**spread, "each": 1, "customers": customers})
            at += customers
            costs = {}
            for task in TASKS:
                wall, cpu, _ = bench.run(task)
                costs[task] = {"ms": round(wall, 1), "cpu_ms": round(cpu, 1)}
            found[str(customers)] = costs
        return found, screens
    finally:
        bench.close()


def _filled(bench: Bench, activities: int) -> dict[str, object]:
    rng = Random(20261123)
    names = rng.choices([name for name, _ in SHARES], [share for _, share in SHARES], k=PATTERNS)
    features = [
        json.dumps({key: value for key, value in complete(name, _features(name, rng)).items() if value is not None})
        for name in names
    ]
    bench.sql("CREATE TABLE _pattern (pattern INTEGER, activity VARCHAR, features JSON)")
    bench.sql("INSERT INTO _pattern SELECT unnest($i::INTEGER[]), unnest($names::VARCHAR[]), unnest($features::VARCHAR[])",
              {"i": list(range(PATTERNS)), "names": names, "features": features})  # fmt: skip
    now = datetime.now(UTC).replace(tzinfo=None)
    spread: dict[str, object] = {"begin": datetime.fromtimestamp(now.timestamp() - 30 * 86_400), "step_us": 30 * 86_400_000_000 // activities,
                                 "each": 250, "customers": CUSTOMERS}  # fmt: skip
    bench.insert(_SPREAD, 0, activities, **spread)
    for task in TASKS:
        bench.run(task)
    bench.sql("CHECKPOINT")
    return spread


def _screen(bench: Bench, name: str) -> Figures:
    runs = [timed(lambda: bench.sql(f"SELECT * FROM {name}"))[:2] for _ in range(RUNS)]
    wall, cpu = (round(statistics.median(column), 1) for column in zip(*runs, strict=True))
    return {"ms": wall, "cpu_ms": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activities", type=int, default=1_000_000, metavar="N")
    given = parser.parse_args()
    numbered = occurrences(given.activities)
    refreshed, screens = refresh(given.activities)
    for title, figures in (
        ("occurrences", numbered),
        ("refresh, by customers changed", refreshed),
        ("screens", screens),
    ):
        print(title)
        for name, figure in figures.items():
            print(f"  {name:<20} {figure}")
    reached = all(screen["ms"] < GOAL_MS for screen in screens.values())
    print(f"goal < {GOAL_MS} ms for each screen: {'reached' if reached else 'missed'}")
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "refresh.json").write_text(json.dumps({
        "benchmark": "refresh", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        "activities": given.activities, "goal_ms": GOAL_MS, "reached": reached, "occurrences": numbered,
        "refresh": refreshed, "screens": screens,
    }, indent=2) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
