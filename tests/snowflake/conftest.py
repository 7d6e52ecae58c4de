"""The emulator as a process of its own, for the session; a database of its own for each test."""

from __future__ import annotations

import itertools
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.snowflake.emulator.process import PYTHON, ROOT, running

from cdesk.config import SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse

PYTHON_5 = Path(os.environ.get("CDESK_CONNECTOR5_PYTHON", ROOT / ".venv" / "connector5" / "bin" / "python"))
"""Of an environment with Snowflake's connector 5.x, for which the same contract holds."""
TASK_SECONDS = 120.0
JOINED: dict[str, Any] = json.loads(os.environ.get("CDESK_TEST_EMULATOR", "{}"))
"""port, connections, database: an emulator that runs already, with what is deployed there (see test_contract.py)."""
_number = itertools.count(1)


@dataclass(frozen=True)
class Emulator:
    port: int
    connections: Path

    def settings(self, **more: Any) -> SnowflakeSettings:
        """Of a database that nobody else uses."""
        given = {
            "database": f"CDESK_{os.getpid()}_{next(_number)}",
            "connection": "emulator",
            "role": "CDESK_OWNER",
        } | more
        return SnowflakeSettings(connections_file=str(self.connections), **given)

    def post(self, path: str, said: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(said or {}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def recorded(self) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_emu/recorded", timeout=60) as answer:
            return list(json.load(answer))

    def execute(self, name: str, settings: SnowflakeSettings) -> None:
        said = {"database": settings.database, "schema": settings.schema, "task": name}
        for _, state, error in self.post("/_emu/run", said):
            assert state != "FAILED", error

    def tick(self, settings: SnowflakeSettings) -> dict[str, tuple[str, str | None]]:
        """The last state of each task that was looked at, and what went wrong."""
        said = {"database": settings.database, "schema": settings.schema}
        return {name: (state, error) for name, state, error in self.post("/_emu/tick", said)}

    def expire(self, settings: SnowflakeSettings) -> None:
        """Storage lifecycle policies have run, as they do once a day."""
        self.post("/_emu/expire", {"database": settings.database, "schema": settings.schema})

    def fail(self, pattern: str, number: int, message: str, **more: str) -> None:
        """The next statement that looks like this fails so."""
        self.post("/_emu/fault", {"pattern": pattern, "number": number, "message": message, **more})


@dataclass(frozen=True)
class Account:
    """A deployed database, and a way to ask it. emulator: None in a real account."""

    settings: SnowflakeSettings
    sessions: Sessions
    warehouse: SnowflakeWarehouse
    emulator: Emulator | None

    @contextmanager
    def deployment(self) -> Iterator[Deployment]:
        with self.sessions.take() as session:
            yield Deployment(session, self.settings, task.steps(load()))

    def run(self, name: str) -> None:
        """A task, now, to its end."""
        name = f"CDESK_{name.upper()}"
        if self.emulator is not None:
            self.emulator.execute(name, self.settings)
            return
        before = self.warehouse.query("SELECT SYSDATE()").rows[0][0]
        self.warehouse.query(f"EXECUTE TASK {name}")
        ended = (
            f"SELECT state, error_message FROM TABLE({self.settings.database}.INFORMATION_SCHEMA.TASK_HISTORY(TASK_NAME => '{name}'))"
            f" WHERE state NOT IN ('SCHEDULED', 'EXECUTING') AND completed_time > '{before}'::TIMESTAMP_NTZ"
        )
        until = time.monotonic() + TASK_SECONDS
        while not (runs := self.warehouse.query(ended).rows):
            assert time.monotonic() < until, f"{name} did not end"
            time.sleep(2)
        assert {state for state, _ in runs} <= {"SUCCEEDED", "SKIPPED"}, runs


REAL = os.environ.get("CDESK_TEST_SNOWFLAKE_CONNECTION")
"""A name in ~/.snowflake/connections.toml: the same tests in a database of their own there, dropped at the end."""


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """One for all tests: they use facts of their own."""
    if REAL:
        pytest.importorskip("snowflake.connector", reason="Snowflake's connector is not installed: cdesk[snowflake]")
        settings, emulator = SnowflakeSettings(connection=REAL, database=f"CDESK_TEST_{os.getpid()}"), None
    else:
        emulator = request.getfixturevalue("emulator")
        settings = emulator.settings(**({"database": JOINED["database"]} if JOINED else {}))
    sessions = Sessions(settings)
    with sessions.take() as session:
        Deployment(session, settings, task.steps(load())).apply("a revision")
    warehouse = SnowflakeWarehouse(settings, sessions=sessions)
    yield Account(settings, sessions, warehouse, emulator)
    if REAL:
        warehouse.query(f"DROP DATABASE IF EXISTS {settings.database}")
    sessions.close()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    pytest.importorskip("snowflake.connector", reason="Snowflake's connector is not installed: cdesk[snowflake]")
    if JOINED:
        yield Emulator(JOINED["port"], Path(JOINED["connections"]))
        return
    if not PYTHON.exists():
        pytest.skip("there is no emulator of Snowflake: `make test`, or set CDESK_EMULATOR_PYTHON")
    with running(tmp_path_factory.mktemp("snowflake")) as server:
        yield Emulator(server.port, server.connections)
