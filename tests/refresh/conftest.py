from collections.abc import Iterator

import pytest
from tests.refresh.history import History


@pytest.fixture(scope="session")
def opened_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    opened = History(tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()


@pytest.fixture
def history(opened_history: History) -> History:
    """A warehouse without a row, and no task has run."""
    opened_history.forget()
    return opened_history
