"""A home of cdesk for each session of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    blank.put(tmp_path / "cdesk" / "warehouse")
    found = Cdesk(tmp_path / "cdesk", tmp_path / "claude")
    yield found
    found.run("down")
