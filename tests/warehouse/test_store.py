"""The database file outlives what happens to it: a birth cut short, a sync that failed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from msgspec.structs import replace
from tests.generated import START

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.errors import WarehouseBusy, WarehouseError
from cdesk.warehouse.duckdb.store import FILE_NAME, HEADERS_BYTES, DuckDBWarehouse


def activity(n: int) -> Activity:
    return Activity(
        activity_id=activity_id("given", str(n)), ts=START, activity="thing_happened", customer="ada", feature_json={},
        source="api",
    )  # fmt: skip


@pytest.mark.parametrize("size", [0, 4_096, HEADERS_BYTES - 1])
def test_a_file_that_never_became_a_database_is_begun_anew(tmp_path: Path, size: int) -> None:
    """Whoever made it was killed, or found the disk full."""
    (tmp_path / FILE_NAME).write_bytes(bytes(size))
    warehouse = DuckDBWarehouse(tmp_path)
    assert warehouse.count() == 0
    warehouse.close()


BEING_BORN = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""


def test_a_file_that_somebody_is_making_is_left_alone(tmp_path: Path) -> None:
    maker = subprocess.Popen(
        [sys.executable, "-c", BEING_BORN, str(tmp_path / FILE_NAME)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert maker.stdout is not None and maker.stdout.readline() == b"locked\n"
    with pytest.raises(WarehouseBusy):
        DuckDBWarehouse(tmp_path)
    maker.communicate(b"\n")
    assert (tmp_path / FILE_NAME).exists()


class FailedOnce:
    """A connection that has given up, as DuckDB does after a sync that failed."""

    def __init__(self, real: duckdb.DuckDBPyConnection) -> None:
        self._real = real

    def execute(self, *_: object) -> None:
        raise duckdb.FatalException("FATAL Error: fsync failed!")

    def cursor(self) -> None:
        raise duckdb.FatalException("FATAL Error: database has been invalidated")

    def close(self) -> None:
        self._real.close()


def _consumed(warehouse: DuckDBWarehouse) -> None:
    with warehouse.changes.consume([]):
        pass


ACTS: dict[str, Callable[[DuckDBWarehouse], object]] = {
    "merge": lambda warehouse: warehouse.merge([activity(2)]),
    "query": DuckDBWarehouse.count,
    "ask": lambda warehouse: warehouse.ask("SELECT 1", query_id="q", rows_max=1, seconds_max=9.0),
    "compact": DuckDBWarehouse.compact,
    "consume a change stream": _consumed,
    "read incidents": lambda warehouse: warehouse.drift.incidents(),
    "write incidents": lambda warehouse: warehouse.drift.requeued([], START),
    "read identities": lambda warehouse: warehouse.identities.anonymous_ids(),
}


@pytest.mark.parametrize("act", ACTS)
def test_after_duckdb_gave_up_the_next_try_succeeds(tmp_path: Path, deployed: Callable[[Path], Path], act: str) -> None:
    """Whoever is the first to meet it: it is opened anew for all; what was committed is there."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    warehouse.merge([activity(1)])
    seq = warehouse.seq
    broken: Any = FailedOnce(warehouse._connection)
    warehouse._connection = warehouse._merger._connection = broken
    with pytest.raises(WarehouseError):
        ACTS[act](warehouse)
    assert warehouse._connection is not broken and warehouse.seq == seq
    warehouse.merge([activity(1), activity(2)])
    assert warehouse.count() == 2
    warehouse.close()


def test_a_busy_connection_is_closed_as_soon_as_it_can_be(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """DuckDB refuses to close what another thread is using in that moment."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    connection, asked = warehouse._connection, threading.Event()

    def go_on_asking() -> None:
        with suppress(duckdb.ConnectionException):
            while True:
                connection.cursor().close()
                asked.set()

    askers = [threading.Thread(target=go_on_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    asked.wait()
    warehouse.close()
    for asker in askers:
        asker.join()


def test_compaction_puts_small_row_groups_together(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Step by step until there is nothing left to do; no row is lost by it."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    for batch in range(5):
        warehouse.merge([activity(batch * 1_000 + n) for n in range(1_000)])
        warehouse.query("CHECKPOINT")
    before = warehouse._row_groups()
    steps = [warehouse.compact() for _ in range(before + 1)]
    assert before > 1 and warehouse._row_groups() == 1 and not steps[-1]
    assert steps == sorted(steps, reverse=True)
    assert warehouse.count() == 5_000
    warehouse.close()


def test_data_is_not_newer_for_being_asked_about(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """That cdesk was asked is on record, and says nothing of how far the data has come; what Claude asked does."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    told = [(source, name) for source in ("cdesk", "mcp") for name in ("sql_executed", "mcp_called")]
    for hours, (source, name) in enumerate([("api", "thing_happened"), *told]):
        ts = START + timedelta(hours=hours)
        warehouse.merge([replace(activity(hours), ts=ts, activity=name, source=source)])
    assert warehouse.data_as_of() == START
    warehouse.merge([replace(activity(9), ts=START + timedelta(hours=9), activity="mcp_called", source="hook")])
    assert warehouse.data_as_of() == START + timedelta(hours=9)
    warehouse.close()


def test_a_closed_warehouse_stays_closed(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """A question that comes too late does not open it again."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    warehouse.close()
    for _ in range(2):
        with pytest.raises(WarehouseError):
            warehouse.count()
