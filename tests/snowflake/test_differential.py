"""The same recordings through both engines give the same rows in every table and view."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.capture.house import House
from tests.snowflake.conftest import Emulator
from tests.snowflake.rows import DIGITS, table

from cdesk import sample
from cdesk.query.ask import bound, engine
from cdesk.query.cells import rows_json
from cdesk.query.team import placed
from cdesk.query.template import compiled
from cdesk.query.template import load as load_templates
from cdesk.queue import Reader
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.upload.uploader import Uploader
from cdesk.warehouse import deploy
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.warehouse import Answer, Warehouse

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
OWN_WORDS = ("made_at", "valid_from", "features")
"""Columns of questions that say when an atom was calculated, and JSON as a text that is cut off: in which order each engine
writes keys is its own affair, and the stream's features are compared as values."""
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
    _same_answers(house.warehouse, snowflake)
    house.close()
    sessions.close()


def _same_answers(mine: Warehouse, theirs: Warehouse) -> None:
    """Every bundled question, as each engine is told it, wide enough that the sample answers."""
    answered = 0
    differ: dict[str, list[str]] = {}
    for template in load_templates():
        wide = {
            each.name: {"days": 30, "hours": 720}[each.name]
            for each in template.parameters
            if each.name in ("days", "hours")
        }
        given = bound(template, template.values(wide), datetime.now(UTC))
        sql, names = placed(template.ask)
        said = [
            warehouse.ask(text, [engine(each, given[each]) for each in which], query_id="q_same", rows_max=10_000, seconds_max=60)
            for warehouse, text, which in (
                (mine, compiled(template.ask), template.ask.names), (theirs, sql, names)
            )
        ]  # fmt: skip
        here, there = (_plainly(answer) for answer in said)
        if said[0].columns != said[1].columns or here != there:
            differ[template.name] = [*said[0].columns, *said[1].columns, *here[:2], *there[:2]]
        answered += bool(here)
    assert not differ
    assert answered > 15


def _plainly(answer: Answer) -> list[str]:
    """Rows whose order the question leaves open stand in one order; OWN_WORDS are left out."""
    kept = [at for at, column in enumerate(answer.columns) if column not in OWN_WORDS]
    return sorted(json.dumps([_number(row[at]) for at in kept]) for row in rows_json(answer.rows))


def _number(value: object) -> object:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, int | float) and not isinstance(value, bool) else value


def _rows(warehouse: Warehouse, name: str) -> list[dict[str, object]]:
    rows = [_compared(name, row) for row in table(warehouse, name)]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _compared(name: str, row: dict[str, object]) -> dict[str, object]:
    left_out = NOT_COMPARED_COLUMNS.get(name, set())
    if name == "CONTEXT_INPUTS" and row["kind"] == "session":
        left_out = {"activity_id"}  # of those at a session's last moment, any one
    return {column: value for column, value in row.items() if column not in left_out}
