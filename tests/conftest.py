"""What several rooms' tests need: a warehouse that is ready at once, and Hypothesis without a stopwatch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.refresh.history import History

from cdesk.warehouse.duckdb.store import FILE_NAME, DuckDBWarehouse

settings.register_profile("cdesk", deadline=None)
settings.load_profile("cdesk")


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Puts an empty warehouse with all its tables and views into a folder; deploying them anew takes half a second."""
    blank = tmp_path_factory.mktemp("blank-warehouse")
    DuckDBWarehouse(blank).close()

    def put(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(blank / FILE_NAME, folder / FILE_NAME)
        return folder

    return put


@pytest.fixture(scope="session")
def opened_history(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[History]:
    opened = History(deployed(tmp_path_factory.mktemp("history") / "warehouse"))
    yield opened
    opened.close()


@pytest.fixture
def history(opened_history: History) -> History:
    """A warehouse without a row, and no task has run."""
    opened_history.forget()
    return opened_history
