"""Real processes, killed with SIGKILL while tasks follow the stream: every run is in effect exactly once.

`CDESK_KILLS=200 pytest tests/chaos -s` (`make chaos`) kills more often and prints what happened.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.chaos.processes import killed_after
from tests.chaos.refresher import BATCH, open_tasks
from tests.refresh.house import with_tables

from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("CDESK_KILLS", "24")) // 6


def test_every_run_is_in_effect_once_after_kill_9(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """A sum that goes up and down by changes and a list that only grows: both are just what the table says, after any
    number of deaths in the middle of runs."""
    chance = random.Random(os.environ.get("CDESK_SEED", "seed"))
    with_tables(DuckDBWarehouse(deployed(tmp_path / "warehouse"))).close()
    merged = 0
    for number in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.refresher", str(tmp_path), f"p{number}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        merged += killed_after(process, chance.randint(1, 30))[-1]
    warehouse = DuckDBWarehouse(tmp_path / "warehouse")
    runner = open_tasks(tmp_path, warehouse)
    assert [run.error for run in runner.run_pending() if run.error] == []
    stands = warehouse.query(f"SELECT customer, count(*) FROM {STREAM} GROUP BY 1 ORDER BY 1").rows
    runs = warehouse.query("SELECT name, count(*) FROM TASK_HISTORY GROUP BY 1 ORDER BY 1").rows
    print(f"\nkilled {KILLS} times after {merged} batches: {stands}, runs {dict(runs)}")
    assert sum(n for _, n in stands) >= merged * BATCH
    assert warehouse.query("SELECT customer, n FROM COUNTED ORDER BY 1").rows == stands
    doubled = warehouse.query("SELECT what FROM NOTED GROUP BY 1 HAVING count(*) > 1").rows
    missing = warehouse.query(f"SELECT activity_id::VARCHAR FROM {STREAM} EXCEPT SELECT what FROM NOTED").rows
    assert (doubled, missing) == ([], [])
    assert warehouse.query("SELECT count(*) FROM _STREAM_BEFORE").rows == [(0,)]
    warehouse.close()
