"""How long `cdesk usage daily --json` takes over a year and two million activities.

    python benchmarks/usage_daily.py                     build the warehouse once (kept in the temporary folder), measure
    python benchmarks/usage_daily.py --activities 200000 a smaller one
    python benchmarks/usage_daily.py --profile           also where the time of the query goes

Three ways, in turn, ten times each: the whole command with no service, the whole command with a service, and the query
inside a process that has the warehouse open. Goal: p50 < 300 ms for the whole command.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.activity.catalog import CATALOG, complete
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Features
from cdesk.activity.pricing import PriceBook
from cdesk.config import Home
from cdesk.query.usage import Usages
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM, Answer, Warehouse

CACHE = Path(tempfile.gettempdir()) / "cdesk-benchmarks"
RUNS = 10
GOAL_MS = 300
DAYS = 365
PATTERNS = 20_000
"""Rows are made from so many different feature objects; ids, times and sessions are each row's own."""
SESSION_ROWS = 250
BATCH_ROWS = 100_000

MODELS = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5-20251001", "claude-opus-4-8", "claude-sonnet-4-6")
SHARES = (("claude_responded", 30), ("tool_called", 40), ("file_read", 7), ("file_edited", 6), ("file_created", 2),
          ("user_asked", 8), ("turn_completed", 4), ("message_injected", 3))  # fmt: skip
TEXT = "The change is small: the amounts scale now, and the tests pass. " * 6

# -- the warehouse -------------------------------------------------------------------------------------------------


def built(activities: int) -> Home:
    """A home whose warehouse holds so many activities over the year up to now; kept between runs of one schema."""
    schema = sha256(
        b"".join(path.read_bytes() for path in sorted(deploy.SCHEMA_FOLDER.glob("[0-9]*.sql")))
    ).hexdigest()[:8]
    home = Home(CACHE / f"usage-{activities}-{schema}")
    if (home.path / "complete").exists():
        return home
    shutil.rmtree(home.path, ignore_errors=True)
    home.make()
    warehouse = DuckDBWarehouse(home.warehouse)
    try:
        _fill(warehouse, activities)
        while warehouse.compact():
            pass
    finally:
        warehouse.close()
    (home.path / "complete").touch()
    return home


def _fill(warehouse: DuckDBWarehouse, activities: int) -> None:
    rng = Random(20261123)
    names = rng.choices([name for name, _ in SHARES], [share for _, share in SHARES], k=PATTERNS)
    patterns = [(name, json.dumps(complete(name, _features(name, rng)))) for name in names]
    warehouse.query("CREATE TABLE _pattern (i INTEGER, activity VARCHAR, features JSON)")
    warehouse.query(
        "INSERT INTO _pattern SELECT unnest($1::INTEGER[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[])",
        [list(range(PATTERNS)), [name for name, _ in patterns], [features for _, features in patterns]],
    )
    begin = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=DAYS)
    step_us = DAYS * 86_400_000_000 // activities
    sql = _rows(_typed(warehouse))
    for low in range(0, activities, BATCH_ROWS):
        warehouse.query(sql, [begin, step_us, low, min(low + BATCH_ROWS, activities)])
    warehouse.query("DROP TABLE _pattern")


def _typed(warehouse: DuckDBWarehouse) -> dict[str, str]:
    """Features that the stream also keeps as columns of their own type, under their name with an underscore."""
    features = {f"_{feature.name}" for feature in CATALOG["claude_responded"].features}
    found = warehouse.query("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = $1", [STREAM]).rows
    return {name: kind for name, kind in found if name in features}


def _rows(typed: dict[str, str]) -> str:
    values = "".join(f", CAST(p.features ->> '{name[1:]}' AS {kind})" for name, kind in typed.items())
    return f"""
INSERT INTO {STREAM} (activity_id, ts, customer, anonymous_customer_id, activity, feature_json, revenue_impact,
                      _session_id, _source, _schema_version, _ingested_at{"".join(f", {name}" for name in typed)})
SELECT uuid()::VARCHAR, $1 + to_microseconds(r.i * $2), 'robin@example.org', 'host_sample', p.activity,
       p.features::VARIANT, CAST(p.features ->> 'cost_usd' AS DOUBLE), md5((r.i // {SESSION_ROWS})::VARCHAR), 'transcript', 2,
       $1{values}
  FROM range($3, $4) AS r(i) JOIN _pattern AS p ON p.i = hash(r.i) % {PATTERNS}
 ORDER BY r.i"""


def _features(name: str, rng: Random) -> Features:
    common: Features = {
        "project_path": f"/home/robin/project-{rng.randint(1, 12)}", "git_branch": "main", "cli_version": "2.1.330", "is_sidechain": False,
    }  # fmt: skip
    call = f"toolu_{rng.getrandbits(88):022x}"
    match name:
        case "claude_responded":
            return {**common, **_usage(rng), "response_text": TEXT[: rng.randint(20, 380)], "stop_reason": "tool_use"}
        case "tool_called":
            return {
                **common, "tool_name": rng.choice(("Bash", "Read", "Edit", "Grep")), "tool_use_id": call, "tool_category": "execute",
                "parameters": {"command": TEXT[: rng.randint(20, 200)]}, "success": rng.random() > 0.05,
                "latency_ms": rng.randint(5, 9000), "result_size": rng.randint(0, 30_000), "result_type": "text",
            }  # fmt: skip
        case "user_asked" | "message_injected":
            return {
                **common,
                "prompt_text": TEXT[: rng.randint(20, 380)],
                "prompt_kind": "human",
                "prompt_id": activity_id("p", call),
            }
        case "turn_completed":
            return {**common, "session_id": call, "event_type": "turn", "duration_ms": rng.randint(900, 90_000)}
        case _:
            path = f"/home/robin/src/file_{rng.randint(1, 400)}.py"
            return {
                **common,
                "operation": "edit",
                "file_path": path,
                "file_type": "py",
                "success": True,
                "lines_affected": 3,
                "tool_use_id": call,
            }


def _usage(rng: Random) -> Features:
    prompt, written, five, reused = (
        rng.randint(1, 20),
        rng.randint(10, 2000),
        rng.randint(0, 9000),
        rng.randint(0, 120_000),
    )
    return {
        "model": rng.choice(MODELS), "prompt_tokens": prompt, "completion_tokens": written, "cache_creation_tokens": five,
        "cache_creation_5m_tokens": five, "cache_creation_1h_tokens": 0, "cache_read_tokens": reused,
        "total_tokens": prompt + written + five + reused, "speed": "standard", "service_tier": "standard",
        "cost_usd": round(rng.random(), 6), "is_priced": True, "is_counted": rng.random() < 0.99,
        "message_id": f"msg_{rng.getrandbits(88):022x}", "request_id": f"req_{rng.getrandbits(88):022x}",
    }  # fmt: skip


# -- measuring -----------------------------------------------------------------------------------------------------


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def cdesk(home: Home, *arguments: str) -> str:
    """One whole command, with an empty Claude Code folder so that there is nothing to read."""
    empty = CACHE / "nothing"
    empty.mkdir(exist_ok=True)
    environment = {**os.environ, "CDESK_HOME": str(home.path), "CLAUDE_CONFIG_DIR": str(empty)}
    command = [sys.executable, "-m", "cdesk", *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def measure(home: Home, runs: int) -> dict[str, list[float]]:
    def usage() -> str:
        return cdesk(home, "usage", "daily", "--json")

    usage()
    found = {"command": [timed(usage) for _ in range(runs)]}
    cdesk(home, "up", "--detach", "--port", "0")
    try:
        usage()
        found["with_service"] = [timed(usage) for _ in range(runs)]
    finally:
        cdesk(home, "down")
    warehouse = DuckDBWarehouse(home.warehouse)
    try:
        usages = Usages(warehouse, PriceBook.bundled())
        found["query"] = [timed(lambda: usages.report("daily")) for _ in range(runs)]
    finally:
        warehouse.close()
    found["python"] = [timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(runs)]
    return found


class Explained:
    """A warehouse that prints DuckDB's own account of every question."""

    def __init__(self, warehouse: DuckDBWarehouse) -> None:
        self._warehouse = warehouse

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        for *_, plan in self._warehouse.query(f"EXPLAIN ANALYZE {sql}", parameters).rows:
            print(plan)
        return self._warehouse.query(sql, parameters, rows_max=rows_max)


def profile(home: Home) -> None:
    warehouse = DuckDBWarehouse(home.warehouse)
    try:
        Usages(cast(Warehouse, Explained(warehouse)), PriceBook.bundled()).report("daily")
    finally:
        warehouse.close()


def p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activities", type=int, default=2_000_000, metavar="N")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    parser.add_argument("--profile", action="store_true", help="show the query's plan with times, and stop")
    given = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    home = built(given.activities)
    if given.profile:
        profile(home)
        return
    size = (home.warehouse / "warehouse.duckdb").stat().st_size
    found = measure(home, given.runs)
    print(f"{given.activities:,} activities, {size / 1e6:,.0f} MB")
    for name, values in found.items():
        print(f"{name:<14} p50 {statistics.median(values):8.0f} ms   p95 {p95(values):8.0f} ms")
    reached = statistics.median(found["command"]) < GOAL_MS
    print(f"goal < {GOAL_MS} ms for the command: {'reached' if reached else 'missed'}")
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "usage_daily.json").write_text(json.dumps({
        "benchmark": "usage_daily", "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine.facts(),
        "activities": given.activities, "warehouse_mb": round(size / 1e6), "goal_ms": GOAL_MS, "reached": reached,
        "ms": {name: {"p50": round(statistics.median(values), 1), "p95": round(p95(values), 1), "runs": [round(v, 1) for v in values]}
               for name, values in found.items()},
    }, indent=2) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
