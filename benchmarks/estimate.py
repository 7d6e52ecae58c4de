"""How near an estimate comes to what a question reads: made before it is asked, beside the bytes that the process then reads.

    python benchmarks/estimate.py                      a warehouse of 300,000 activities (kept in the temporary folder)
    python benchmarks/estimate.py --activities 2000000

Each question is asked of a file opened for it, so that nothing is in memory; the kernel counts what is read (`rchar`,
Linux). Beside it: how long the estimate takes once the layout is known, how long the guard does, and how long planning
alone does, which no estimate of this kind can be faster than. Goal: within 2 times of what is read.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import activities, machine

from cdesk.query.estimate import Estimator
from cdesk.query.guard import guarded
from cdesk.warehouse.duckdb.store import FILE_NAME, MEMORY_LIMIT, DuckDBWarehouse

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
TIMES = 20
LATE = "ts >= TIMESTAMP '2026-02-01'"
QUESTIONS = (
    "SELECT activity, count(*) FROM CLAUDE_STREAM_V2 GROUP BY 1",
    f"SELECT activity, count(*) FROM CLAUDE_STREAM_V2 WHERE {LATE} GROUP BY 1",
    "SELECT max(activity_id) FROM CLAUDE_STREAM_V2",
    "SELECT _model, sum(_prompt_tokens), sum(revenue_impact) FROM CLAUDE_STREAM_V2 GROUP BY 1",
    "SELECT feature_json.tool_name::VARCHAR, count(*) FROM CLAUDE_STREAM_V2 GROUP BY 1",
    "SELECT sum(length(feature_json::VARCHAR)) FROM CLAUDE_STREAM_V2",
    "SELECT tool_name, count(*) FROM VW_TOOL_EVENTS GROUP BY 1",
    f"SELECT tool_name, avg(latency_ms) FROM VW_TOOL_EVENTS WHERE {LATE} GROUP BY 1",
    "SELECT model, sum(total_tokens) FROM VW_LLM_EVENTS GROUP BY 1",
    "SELECT customer, count(DISTINCT _session_id) FROM CLAUDE_STREAM_V2 GROUP BY 1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activities", type=int, default=300_000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cdesk-estimate-"))
    try:
        shutil.copyfile(activities.warehouse_with(given.activities, CACHE) / FILE_NAME, folder / FILE_NAME)
        _measure(folder)
    finally:
        shutil.rmtree(folder)


def _measure(folder: Path) -> None:
    print(machine.facts())
    print(f"{'estimated':>12} {'read':>12} {'times':>6} {'ms':>6} {'plan ms':>8} {'guard ms':>8}  question")
    warehouse = DuckDBWarehouse(folder)
    estimator = Estimator(warehouse)
    told = []
    for sql in QUESTIONS:
        estimated = estimator.estimate(sql).bytes
        took, plan, guard = (_ms(act) for act in (
            lambda sql=sql: estimator.estimate(sql), lambda sql=sql: warehouse.query(f"EXPLAIN {sql}"), lambda sql=sql: guarded(sql),
        ))  # fmt: skip
        told.append((sql, estimated, took, plan, guard))
    warehouse.close()
    worst = 1.0
    for sql, estimated, took, plan, guard in told:
        read = _read_bytes(folder / FILE_NAME, sql)
        times = estimated / max(read, 1)
        worst = max(worst, times, 1 / max(times, 1e-9))
        print(f"{estimated:>12,} {read:>12,} {times:>6.2f} {took:>6.1f} {plan:>8.1f} {guard:>8.1f}  {sql[:80]}")
    print(f"farthest off: {worst:.2f} times (goal: 2)")


def _ms(act: Callable[[], object]) -> float:
    """Median of TIMES."""
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def _read_bytes(path: Path, sql: str) -> int:
    with duckdb.connect(str(path), config={"memory_limit": MEMORY_LIMIT}) as connection:
        connection.execute(f"EXPLAIN {sql}").fetchall()
        before = _rchar()
        connection.execute(sql).fetchall()
        return _rchar() - before


def _rchar() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


if __name__ == "__main__":
    main()
