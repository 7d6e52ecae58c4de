"""A home with the bundled sample, imported once for every test that only asks; and an empty warehouse with artifacts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.artifact.house import House

from cdesk import sample
from cdesk.app import App
from cdesk.config import Home, PersonSettings, Settings
from cdesk.warehouse.duckdb.store import DuckDBWarehouse


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Its tasks have run; nobody follows anything."""
    folder = tmp_path_factory.mktemp("sampled")
    sample.write(folder / "claude", datetime.now(UTC))
    settings = Settings(person=PersonSettings(customer="robin"))
    app = App(
        Home(folder / "home"), settings, {"CLAUDE_CONFIG_DIR": str(folder / "claude"), "HOME": str(folder)}
    )  # fmt: skip
    app.import_transcripts([folder / "claude"])
    app.tasks.run_pending()
    yield app
    app.close()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(deployed(tmp_path_factory.mktemp("warehouse")))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, warehouse: DuckDBWarehouse) -> Iterator[House]:
    found = House(tmp_path_factory.mktemp("home"), warehouse)
    yield found
    found.artifacts.close()
