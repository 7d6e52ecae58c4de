"""The same recordings through both engines give the same rows in every table and view."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.capture.house import House
from tests.snowflake.conftest import Emulator
from tests.snowflake.rows import table

from cdesk import sample
from cdesk.queue import Reader
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.upload.uploader import Uploader
from cdesk.warehouse import deploy
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.warehouse import Warehouse

NOT_COMPARED = {
    "ACTIVITY_SCHEMA_VERSION": "says when it was deployed, and Snowflake has more steps",
    "QUERY_HISTORY": "each engine's own statements",
    "TASK_STATE": "Snowflake keeps its tasks itself",
    "TASK_HISTORY": "Snowflake keeps its tasks itself",
    "V_TASK_MONITORING": "stands on the two",
    "_STREAM_OFFSETS": "Snowflake keeps its streams itself",
    "_STREAM_BEFORE": "Snowflake keeps its streams itself",
    "V_STREAM_LAG": "stands on the two",
    "_DRIFT_COUNTED": "drift is looked for before the embedded warehouse only",
}
NOT_COMPARED_COLUMNS = {
    "INSIGHT_ATOMS": {"ts"},  # when it was calculated
    "V_EXECUTIVE_SUMMARY": {"last_updated"},  # now
}
SAMPLE_DAYS = 2
"""Of the sample's month; enough for every family of activities."""


def test_the_same_recordings_give_the_same_rows(
    emulator: Emulator, tmp_path: Path, deployed: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transcripts → queue → each warehouse by its own uploader → tasks → tables and views."""
    settings = emulator.settings()
    sessions = Sessions(settings)
    with sessions.take() as session:
        Deployment(session, settings, task.steps(load())).apply()
    snowflake = SnowflakeWarehouse(settings, sessions=sessions)
    monkeypatch.setattr(sample, "DAYS", SAMPLE_DAYS)
    sample.write(tmp_path / "claude", datetime.now(UTC))
    house = House(tmp_path / "home", deployed)
    reader = Reader(tmp_path / "home" / "queue", "snowflake", house.dead)
    reader.read(lines_max=0)  # from now on its lines stay until it has them
    team = Uploader(reader, snowflake, house.dead)
    house.take(tmp_path / "claude")
    team.drain()
    assert team.merged == house.uploader.merged and team.merged.inserted > 50 and not list(house.dead)
    Runner(house.warehouse, load()).run_pending()
    states = {name: state for _ in range(2) for name, state in emulator.tick(settings).items()}
    assert all(error is None for _, error in states.values()), states

    compared = 0
    for path in sorted(deploy.SCHEMA_FOLDER.glob("[0-9]*.sql")):
        for name, _ in deploy.declared(path.read_text("utf-8")):
            if name in NOT_COMPARED:
                continue
            mine, theirs = (_rows(warehouse, name) for warehouse in (house.warehouse, snowflake))
            assert mine == theirs, name
            compared += 1
    assert compared > 30
    house.close()
    sessions.close()


def _rows(warehouse: Warehouse, name: str) -> list[dict[str, object]]:
    rows = [_compared(name, row) for row in table(warehouse, name)]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _compared(name: str, row: dict[str, object]) -> dict[str, object]:
    left_out = NOT_COMPARED_COLUMNS.get(name, set())
    if name == "CONTEXT_INPUTS" and row["kind"] == "session":
        left_out = {"activity_id"}  # of those at a session's last moment, any one
    return {column: value for column, value in row.items() if column not in left_out}
