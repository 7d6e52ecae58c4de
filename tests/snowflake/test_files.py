"""The files as they are, run by Snowflake's own command line and by schemachange."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.snowflake.conftest import Emulator
from tests.snowflake.emulator.process import ROOT

from cdesk.cli.deploy import _write as write
from cdesk.config import SnowflakeSettings
from cdesk.refresh.task import load
from cdesk.warehouse import deploy
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import Deployment
from cdesk.warehouse.snowflake.sessions import Sessions

BIN = Path(os.environ.get("CDESK_SNOW_BIN", ROOT / ".venv" / "snow" / "bin"))
SECONDS_MAX = 300
needs_tools = pytest.mark.skipif(
    not (BIN / "snow").exists(), reason="there is no snow and no schemachange: `make test`, or set CDESK_SNOW_BIN"
)


@pytest.fixture
def folder(emulator: Emulator, tmp_path: Path) -> tuple[Path, SnowflakeSettings]:
    """As `cdesk deploy plan --files` writes them, for a database of their own."""
    settings = emulator.settings()
    sessions = Sessions(settings)
    with sessions.take() as session:
        write(tmp_path / "files", Deployment(session, settings, task.steps(load())).files())
    sessions.close()
    return tmp_path / "files", settings


def ran(command: list[str], tmp_path: Path, **environment: str) -> str:
    """What it says, on either side. HOME: nothing of this machine's own is read."""
    kept = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("SNOWFLAKE_")
    }
    done = subprocess.run(
        command, env=kept | {"HOME": str(tmp_path)} | environment, cwd=tmp_path, capture_output=True, text=True,
        timeout=SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def missing(settings: SnowflakeSettings) -> list[str]:
    """Tables and views that the files make and that cannot be read."""
    sessions = Sessions(settings)
    with sessions.take() as session:
        texts = [text for name, text in Deployment(session, settings).files() if "/" not in name]
        found = [
            one.name
            for text in texts
            for table, columns in deploy.declared(text)
            for one in deploy.unreadable(table, columns, lambda sql: session.execute(sql, query_id="test").columns)
        ]
    sessions.close()
    return found


@needs_tools
def test_snow_runs_them(folder: tuple[Path, SnowflakeSettings], emulator: Emulator, tmp_path: Path) -> None:
    """`snow sql -f`, all of them in one session, in the order of their names."""
    files, settings = folder
    said = tomllib.loads(emulator.connections.read_text())["emulator"]
    config = tmp_path / "config.toml"
    lines = [f"{name} = {value!r}" for name, value in (said | {"role": "CDESK_OWNER"}).items()]
    config.write_text("\n".join(["[connections.emulator]", *lines, ""]))
    config.chmod(0o600)
    given = [part for file in sorted(files.iterdir()) for part in ("-f", str(file))]
    ran([str(BIN / "snow"), "--config-file", str(config), "sql", "-c", "emulator", *given], tmp_path)
    assert missing(settings) == []


@needs_tools
@pytest.mark.skipif(
    not os.environ.get("CDESK_SCHEMACHANGE"), reason="`make chaos` runs it: the same statements as by `snow`"
)
def test_schemachange_runs_them_and_a_second_time_none(
    folder: tuple[Path, SnowflakeSettings], emulator: Emulator, tmp_path: Path
) -> None:
    """Only account and tables: `snow` has run the others: it sends one statement after the other, too."""
    files, settings = folder
    for file in files.iterdir():
        if "views" in file.name or "tasks_" in file.name or "platform_" in file.name:
            file.unlink()
    said = tomllib.loads(emulator.connections.read_text())["emulator"]
    command = [
        str(BIN / "schemachange"), "deploy", "-f", str(files), "-a", said["account"], "-u", said["user"],
        "-d", settings.database, "-s", settings.schema, "-r", "CDESK_OWNER", "-c", f"{settings.database}.CHANGES.CHANGE_HISTORY",
        "--create-change-history-table",
    ]  # fmt: skip
    environment = {
        "SNOWFLAKE_PASSWORD": said["password"], "SNOWFLAKE_HOST": said["host"], "SNOWFLAKE_PORT": str(said["port"]),
        "SNOWFLAKE_PROTOCOL": "http",
    }  # fmt: skip
    ran(command, tmp_path, **environment)
    assert not [name for name in missing(settings) if not name.startswith("V")]
    again = ran(command, tmp_path, **environment)
    assert "Applying" not in again, again
