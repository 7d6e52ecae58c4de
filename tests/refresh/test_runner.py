"""Tasks run when they should, once each in effect, and never for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.refresh.house import activity, counted, tasks, with_tables

from cdesk.refresh.runner import Incident, Runner
from cdesk.warehouse.duckdb.store import DuckDBWarehouse


class House:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.incidents: list[Incident] = []
        self.told = threading.Event()
        self.runner: Runner | None = None
        self.warehouse = with_tables(DuckDBWarehouse(home / "warehouse"))

    def open(self, files: Mapping[str, str]) -> Runner:
        self.runner = Runner(self.warehouse, tasks(self.home / "tasks", files), tell=self.tell)
        return self.runner

    def tell(self, incident: Incident) -> None:
        self.incidents.append(incident)
        self.told.set()

    def restart(self, files: Mapping[str, str]) -> Runner:
        self.close()
        self.warehouse = DuckDBWarehouse(self.home / "warehouse")
        return self.open(files)

    def close(self) -> None:
        if self.runner is not None:
            self.runner.stop()
        self.warehouse.close()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.warehouse.query(sql).rows

    def counted(self) -> dict[object, object]:
        return dict(self.rows("SELECT customer, n FROM COUNTED WHERE n <> 0"))


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    deployed(tmp_path / "warehouse")
    found = House(tmp_path)
    yield found
    found.close()


def test_pending(house: House) -> None:
    runner = house.open({"count_activities": counted()})
    assert runner.run_pending() == []
    house.warehouse.merge([activity("a"), activity("bb", "bob")])
    [run] = runner.run_pending()
    assert run.error is None and run.rows == 2
    assert house.counted() == {"ada": 1, "bob": 1}
    house.warehouse.merge([activity("a", source="transcript", exit_code=1), activity("cc", "bob")])
    [run] = runner.run_pending()
    assert house.counted() == {"ada": 1, "bob": 2}
    assert runner.run_pending() == []
    assert house.rows("SELECT name, state, rows_changed, scheduled_from FROM TASK_HISTORY ORDER BY completed_time") == [
        ("count_activities", "SUCCEEDED", 2, "TRIGGER"),
        ("count_activities", "SUCCEEDED", 2, "TRIGGER"),
    ]
    assert house.rows("SELECT count(*) FROM _STREAM_BEFORE") == [(0,)]
    runner = house.restart({"count_activities": counted()})
    assert runner.run_pending() == []
