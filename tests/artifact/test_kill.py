"""A process is killed while it keeps an artifact: afterwards there is the whole of it, or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.artifact.house import House

from cdesk.artifact.artifacts import KEEPING_SECONDS_MAX
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

SEAMS = ("before the content", "before its name", "before the row", "after the row")
CHILD = """
import os, signal, sys
from pathlib import Path
from tests.artifact.house import House
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def keep(home, seam):
    house = House(home, DuckDBWarehouse(home / "warehouse"))
    artifacts, put = house.artifacts, house.artifacts._rows.put
    if seam == "before the content":
        artifacts._parquet.write = die
    elif seam == "before its name":
        artifacts._here.put = die
    else:
        artifacts._rows.put = die if seam == "before the row" else lambda artifact: (put(artifact), die())
    house.keep()

children = []
for seam in sys.argv[2:]:
    if not (child := os.fork()):
        keep(Path(sys.argv[1]) / seam, seam)
    children.append(child)
sys.exit(sum(os.waitpid(child, 0)[1] != signal.SIGKILL for child in children))
"""


def test_a_kill_at_any_point_leaves_all_or_nothing(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    for seam in SEAMS:
        deployed(tmp_path / seam / "warehouse")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", CHILD, tmp_path, *SEAMS], env=environment, check=False)
    assert done.returncode == 0, "not every child was killed where it should be"
    for seam in SEAMS:
        _look_after(tmp_path / seam, is_kept=seam == "after the row")


def _look_after(home: Path, is_kept: bool) -> None:
    warehouse = DuckDBWarehouse(home / "warehouse")
    house = House(home, warehouse)
    try:
        house.wait(seconds=KEEPING_SECONDS_MAX + 60)
        house.artifacts.sweep()
        found = house.artifacts.latest()
        assert len(found) == len(house.files()) == int(is_kept), home.name
        for one in found:
            assert house.rows(house.artifacts.get(one.artifact_id)) == [[1, "one"], [2, "two"]]
        assert not warehouse.query("SELECT * FROM ARTIFACT_CONTENT_DUE").rows
    finally:
        house.artifacts.close()
        warehouse.close()
