"""The emulator as a process of its own, for the session; a database of its own for each test."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cdesk.config import SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("CDESK_EMULATOR_PYTHON", ROOT / ".venv" / "emulator" / "bin" / "python"))
STARTING_SECONDS = 60.0
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
        settings = emulator.settings()
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
    if not PYTHON.exists():
        pytest.skip("there is no emulator of Snowflake: `make test`, or set CDESK_EMULATOR_PYTHON")
    folder = tmp_path_factory.mktemp("snowflake")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connections = folder / "connections.toml"
    connections.write_text(
        f'[emulator]\naccount = "fakesnow"\nuser = "fake"\npassword = "snow"\nhost = "127.0.0.1"\nport = {port}\n'
        'protocol = "http"\n'
    )
    connections.chmod(0o600)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    log = (folder / "log").open("wb")
    server = subprocess.Popen(
        [PYTHON, str(Path(__file__).parent / "emulator" / "server.py"), str(port)],
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        _wait(server, port, folder / "log")
        yield Emulator(port, connections)
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text(errors="replace")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the emulator did not start: {log.read_text(errors='replace')}")
