"""A new version is built beside the old one, compared with it, and swapped; nothing is lost on the way, wherever it breaks off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec
import pytest
from sqlfluff.core import Linter
from tests.generated import START
from tests.snowflake.conftest import Emulator

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.config import SnowflakeSettings
from cdesk.errors import CdeskError, WarehouseUnready
from cdesk.refresh.task import load
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.blue_green import BlueGreen
from cdesk.warehouse.snowflake.deploy import DeployFailed, Deployment, Extra
from cdesk.warehouse.snowflake.sessions import Result, Session, Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.snowflake.trouble import connector_errors

STRIDE = int(os.environ.get("CDESK_SWAP_STRIDE", "61"))
"""Every how many statements one is made to fail; 1 takes minutes."""
FEW = ("account/01_database.sql", "01_tables.sql", "06_identity_tables.sql", "platform/10_landing.sql")
EXTRA = (
    Extra(
        "tasks/count",
        "ALTER TABLE CLAUDE_STREAM_V2 ADD COLUMN IF NOT EXISTS _told_customer VARCHAR;\n"
        "CREATE TABLE IF NOT EXISTS COUNTED (n INTEGER);\n"
        "CREATE STREAM IF NOT EXISTS COUNT_CHANGES ON TABLE CLAUDE_STREAM_V2 SHOW_INITIAL_ROWS = TRUE;\n"
        "CREATE OR REPLACE TASK CDESK_COUNT WAREHOUSE = CDESK_TASKS WHEN SYSTEM$STREAM_HAS_DATA('COUNT_CHANGES')"
        " AS INSERT INTO COUNTED (n) SELECT SUM(IFF(METADATA$ACTION = 'INSERT', 1, -1)) FROM COUNT_CHANGES;\n"
        "ALTER TASK CDESK_COUNT RESUME;",
    ),
    Extra(
        "tasks/grants",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CDESK.ACTIVITY.CLAUDE_STREAM_V2 TO ROLE CDESK_LOADER;",
    ),
)
"""Enough of a deployment to swap, and a task that counts what it sees: once each, or the sum is wrong."""
_number = count()


class Failing(Session):
    """A session whose nth statement fails, or is preceded by something; counts them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.said: list[str] = []
        self.fails_at = 0
        self.dies_at = "never"
        self.before: dict[str, Callable[[], None]] = {}
        self.is_lost = False

    def execute(self, sql: str, parameters: Sequence[Any] = (), **more: Any) -> Result:
        self.said.append(sql)
        for word in [word for word in self.before if word in sql]:
            self.before.pop(word)()
        self.is_lost = self.is_lost or self.dies_at in sql
        if self.is_lost or len(self.said) == self.fails_at:
            import snowflake.connector.errors as errors

            raise errors.ProgrammingError(msg="this one fails", errno=3001, sqlstate="42501")
        return self._session.execute(sql, parameters, **more)


@dataclass
class Small:
    """A small deployment of its own database, blue in front."""

    settings: SnowflakeSettings
    session: Failing
    warehouse: SnowflakeWarehouse
    emulator: Emulator

    def swap(self, *more: str) -> BlueGreen:
        """more: statements of the new version."""
        extra = [*EXTRA, *(Extra(f"tasks/more_{place}", one) for place, one in enumerate(more))]
        return BlueGreen(self.session, self.settings, extra, wait=lambda _: None, drain_seconds_max=8)

    def load(self, rows: int = 1, **more: Any) -> list[Activity]:
        told = [fact(**more) for _ in range(rows)]
        self.warehouse.merge(told)
        return told

    @property
    def error(self) -> type[Exception]:
        return connector_errors().Error  # type: ignore[no-any-return]

    def counted(self) -> int:
        self.emulator.tick(self.settings)
        return int(self.warehouse.query("SELECT COALESCE(SUM(n), 0) FROM COUNTED").rows[0][0])

    def ids(self, schema: str = "ACTIVITY") -> list[str]:
        where = f"{self.settings.database}.{schema}.CLAUDE_STREAM_V2"
        return [row[0] for row in self.warehouse.query(f"SELECT activity_id FROM {where} ORDER BY 1").rows]


def fact(**more: Any) -> Activity:
    given: dict[str, Any] = {
        "activity_id": activity_id("swap", str(next(_number))), "ts": START, "activity": "tool_called",
        "customer": "ada", "source": "hook", "feature_json": {"tool_name": "Bash"},
    }  # fmt: skip
    return Activity(**given | more)


def only(names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all files these, and every task that is given."""
    files = Deployment._files

    def few(self: Deployment) -> Iterator[tuple[str, str]]:
        return ((name, text) for name, text in files(self) if name in names or name.startswith("tasks/"))

    monkeypatch.setattr(Deployment, "_files", few)


@pytest.fixture
def small(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    only(FEW, monkeypatch)
    settings = emulator.settings()
    sessions = Sessions(settings)
    with sessions.take() as session:
        failing = Failing(session)
        made = Small(settings, failing, SnowflakeWarehouse(settings, sessions=sessions), emulator)
        made.swap().apply()
        yield made
    sessions.close()


COLUMN = "ALTER TABLE COUNTED ADD COLUMN IF NOT EXISTS note VARCHAR;"


def is_snowflakes(statement: str) -> bool:
    """Whether Snowflake's grammar takes it, as far as sqlfluff knows."""
    parsed = Linter(dialect="snowflake").parse_string(statement.replace("?", "1") + ";\n")
    return not [one for one in parsed.violations if one.rule_code() == "PRS"]


def ids(rows: Sequence[Activity]) -> list[str]:
    return sorted(row.activity_id for row in rows)


def test_what_was_loaded_is_there_after_a_swap(small: Small) -> None:
    """Before it, during it, and after it; the task counts each once. A second time there is nothing to do."""
    told = small.load(3)
    small.session.before = {
        "HASH_AGG": lambda: told.extend(small.load(2)), "EXECUTE TASK": lambda: told.extend(small.load())
    }  # fmt: skip
    steps = small.swap(COLUMN).apply_beside("a revision")
    assert [step.name for step in steps] == ["tasks/more_0"]
    told += small.load(2)
    assert small.ids() == ids(told) and len(told) == 8
    assert small.counted() == 8
    assert {note for (note,) in small.warehouse.query("SELECT note FROM COUNTED").rows} == {None}
    assert small.swap(COLUMN).apply_beside() == [] and small.swap(COLUMN).verify() == []
    [(before, after, back, sha)] = small.warehouse.query(
        "SELECT checksum_before, checksum_after, rollback_sql, git_sha FROM ACTIVITY_SCHEMA_VERSION"
        " WHERE migration_name = 'blue-green'"
    ).rows
    assert before == after and len(before) == 64 and "SWAP WITH" in back and sha == "a revision"
    kinds = {(*statement.split()[:3], "HASH" in statement): statement for statement in small.session.said}
    assert {statement for statement in kinds.values() if not is_snowflakes(statement)} == set()


def test_it_goes_on_wherever_it_broke_off(small: Small) -> None:
    """Statement by statement: those who read and load notice nothing, and in the end everything is there once."""
    told, places = small.load(2), range(1, 1000, STRIDE)
    for place in places:
        small.session.said.clear()
        small.session.fails_at = place
        try:
            small.swap(COLUMN).apply_beside()
        except (CdeskError, small.error):
            told += small.load()
            assert small.ids() == ids(told)
        else:
            break
    assert len(small.session.said) < place, "it never came to its end"
    small.session.fails_at = 0
    assert small.swap(COLUMN).apply_beside() == [] and small.swap(COLUMN).verify() == []
    told += small.load()
    assert small.ids() == ids(told) and small.counted() == len(told)
    assert small.warehouse.query("SELECT note FROM COUNTED").columns == ("note",)


def test_what_comes_to_blue_at_the_last_moment_is_merged(small: Small) -> None:
    """A transaction that had begun before the fence: a new fact, and another source of a known one. Blue's record stays."""
    [known] = told = small.load(feature_json={"tool_name": "Bash", "latency_ms": 1.5})
    other = msgspec.structs.replace(known, source="transcript", feature_json={"tool_name": "Bash", "result_size": 7})

    def late() -> None:
        told.extend(small.load())
        small.warehouse.merge([other])

    small.session.before = {"SWAP WITH": late}
    small.swap(COLUMN).apply_beside()
    assert small.ids() == ids(told) and small.counted() == 2
    [(sources, features)] = small.warehouse.query(
        "SELECT _source, feature_json FROM CLAUDE_STREAM_V2 WHERE activity_id = ?", [known.activity_id]
    ).rows
    assert sources == "hook,transcript" and json.loads(features) == known.feature_json | other.feature_json
    assert small.warehouse.merge([known, other]).unchanged == 1
    assert small.swap(COLUMN).drop() and small.ids() == ids(told)
    statuses = {row[0] for row in small.warehouse.query("SELECT status FROM ACTIVITY_SCHEMA_VERSION").rows}
    assert statuses == {"completed", "settled", "before: completed"}


def test_rolled_back_blue_has_what_green_was_told(small: Small) -> None:
    """And what is kept is in the way of another swap until it is given up."""
    told = small.load(2)
    small.swap(COLUMN).apply_beside()
    told += small.load(2)
    [undone] = small.swap(COLUMN).rollback()
    assert undone.name == "blue-green"
    told += small.load()
    assert small.ids() == ids(told) and small.counted() == len(told)
    assert small.warehouse.query("SELECT * FROM COUNTED").columns == ("n",)
    with pytest.raises(DeployFailed, match="cdesk deploy drop"):
        small.swap(COLUMN).apply_beside()
    assert small.swap(COLUMN).drop() and not small.swap(COLUMN).drop()
    assert small.swap(COLUMN).plan() != []


def test_what_has_no_place_in_green_is_not_given_up(small: Small) -> None:
    """Nor is anything swapped then; nor for a role that sees not everything; nor while a task does not come to its end."""
    small.swap("CREATE TABLE IF NOT EXISTS OLD (a INTEGER);").apply()
    small.warehouse.query("INSERT INTO OLD (a) VALUES (1)")
    told = small.load()
    with pytest.raises(DeployFailed, match=r"OLD has no place there.*Nothing has been swapped"):
        small.swap("SELECT 1;", COLUMN).apply_beside()
    small.warehouse.query("DELETE FROM OLD")
    small.session.execute("USE ROLE SOMEBODY", query_id="test")
    with pytest.raises(DeployFailed, match="does not see every row"):
        small.swap("SELECT 1;", COLUMN).apply_beside()
    small.session.execute("USE ROLE CDESK_OWNER", query_id="test")
    told += small.load()
    small.warehouse.query(
        "CREATE OR REPLACE TASK CDESK_COUNT WAREHOUSE = CDESK_TASKS WHEN SYSTEM$STREAM_HAS_DATA('COUNT_CHANGES')"
        " AS INSERT INTO NOWHERE (n) SELECT COUNT(*) FROM COUNT_CHANGES"
    )
    with pytest.raises(DeployFailed, match="do not come to their end: CDESK_COUNT"):
        small.swap("SELECT 1;", COLUMN).apply_beside()
    assert small.ids() == ids(told)


def test_whoever_was_killed_at_the_fence_leaves_nobody_there(small: Small) -> None:
    """Given up, nothing was: loaders have their grants and tasks run."""
    small.session.dies_at = "SWAP WITH"
    with pytest.raises(WarehouseUnready):
        small.swap(COLUMN).apply_beside()
    small.session.dies_at, small.session.is_lost = "never", False
    told = small.load()
    assert small.counted() == 0
    assert small.swap(COLUMN).drop() and not small.swap(COLUMN).drop()
    assert small.ids() == ids(told) and small.counted() == 1
    of_loaders = [one for one in small.emulator.recorded() if small.settings.database in one and "CDESK_LOADER" in one]
    assert of_loaders[-1].startswith("GRANT SELECT, INSERT")


def test_our_own_tasks_see_each_change_once(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that counts, and writes what it reads; and who may see what is the same in green."""
    only((*FEW, "04_rollup_tables.sql"), monkeypatch)
    tasks = [one for one in load() if one.name == "number_occurrences"]
    policy = Extra(
        "tasks/policy",
        "CREATE ROW ACCESS POLICY IF NOT EXISTS OWNERS AS (org VARCHAR) RETURNS BOOLEAN -> FALSE;\n"
        "ALTER ROW ACCESS POLICY OWNERS SET BODY -> IS_ROLE_IN_SESSION('CDESK_OWNER');\n"
        "ALTER TABLE CLAUDE_STREAM_V2 ADD ROW ACCESS POLICY OWNERS ON (_org_id);",
    )
    settings = emulator.settings()
    sessions = Sessions(settings)
    warehouse = SnowflakeWarehouse(settings, sessions=sessions)
    with sessions.take() as session:

        def deployment(*more: Extra) -> BlueGreen:
            return BlueGreen(session, settings, [EXTRA[0], policy, *task.steps(tasks), *more], wait=lambda _: None)

        deployment().apply()
        warehouse.merge([fact() for _ in range(5)])
        emulator.tick(settings)
        warehouse.merge([fact() for _ in range(2)])
        more = Extra("tasks/more", COLUMN.replace("COUNTED", "METRICS_DUE"))
        deployment(more).apply_beside()
        assert deployment(more).verify() == []
        warehouse.merge([fact()])
        for _ in range(2):
            assert {state for state, _ in emulator.tick(settings).values()} <= {"SUCCEEDED", "SKIPPED"}
        assert warehouse.query("SELECT SUM(occurrences) FROM OCCURRENCE_STATE").rows == [(8,)]
        assert warehouse.query("SELECT SUM(n) FROM COUNTED").rows == [(8,)]
        stranger = SnowflakeWarehouse(msgspec.structs.replace(settings, role="SOMEBODY_ELSE"))
        assert stranger.query("SELECT COUNT(*) FROM CLAUDE_STREAM_V2").rows == [(0,)]
        assert warehouse.query("SELECT MAX(activity_occurrence) FROM CLAUDE_STREAM_V2").rows == [(8,)]
    sessions.close()
