"""What several rooms' tests need: a warehouse that is ready at once, and Hypothesis without a stopwatch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests import blank
from tests.refresh.history import History

settings.register_profile("cdesk", deadline=None)
settings.load_profile("cdesk")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By --dist loadgroup a file stays with one worker, and so do all tests of the deployed account in Snowflake's emulator:
    to deploy it costs more than most of them."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        group = "account" if "account" in getattr(item, "fixturenames", ()) else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def deployed() -> Callable[[Path], Path]:
    return blank.put


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
