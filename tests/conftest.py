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
