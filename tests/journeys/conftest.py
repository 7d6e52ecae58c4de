from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.cdesk import Cdesk
from tests.shared_data import shared_data


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    """A home of one's own, and an empty Claude Code folder."""
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    found = Cdesk(tmp_path / "home", tmp_path / "claude")
    yield found
    found.down()


@pytest.fixture
def with_history(cdesk: Cdesk) -> Cdesk:
    """With the recorded `tools` session as its history."""
    shutil.copytree(shared_data("recordings/tools/projects"), cdesk.claude_dir / "projects", dirs_exist_ok=True)
    return cdesk
