"""A process that merges facts and lets tasks follow them for ever, until somebody kills it.

python -m tests.chaos.refresher HOME NAME       prints how many facts of its own are merged, one number a line, unbuffered
"""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

from tests.refresh.house import activity, counted, noting, tasks

from cdesk.activity.model import Source
from cdesk.refresh.runner import Runner
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

BATCH = 3
SOURCES: tuple[Source, ...] = ("hook", "transcript", "otel")


def open_tasks(home: Path, warehouse: DuckDBWarehouse) -> Runner:
    return Runner(warehouse, tasks(home / "tasks", {"count_activities": counted("1 ms"), "keep_names": keeping()}))


def keeping() -> str:
    """Keeps the name of every fact, once."""
    header, _, _ = noting("keep_names", fresh="1 ms").partition("\n\n")
    return f"{header}\n\nINSERT INTO NOTED (what) SELECT activity_id FROM KEEP_NAMES_CHANGES;"


def main(home: str, name: str) -> None:
    warehouse = DuckDBWarehouse(Path(home) / "warehouse")
    open_tasks(Path(home), warehouse).start()
    for batch in count():
        for source in SOURCES:  # each fact is told three times: the row is replaced twice
            warehouse.merge([activity(f"{name}-{batch}-{n}", f"c{n}", source) for n in range(BATCH)])
        os.write(1, b"%d\n" % (batch + 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
