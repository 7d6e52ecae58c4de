from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk
from tests.shared_data import shared_data


@pytest.fixture
def cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    """A home of one's own, with a warehouse that is ready, and an empty Claude Code folder."""
    blank.put(tmp_path / "home" / "warehouse")
    yield from _installed(tmp_path)


@pytest.fixture
def new_cdesk(tmp_path: Path) -> Iterator[Cdesk]:
    """As after the installation: there is no home."""
    yield from _installed(tmp_path)


def _installed(folder: Path) -> Iterator[Cdesk]:
    (folder / "claude" / "projects").mkdir(parents=True)
    found = Cdesk(folder / "home", folder / "claude")
    yield found
    found.down()


@pytest.fixture
def with_history(cdesk: Cdesk) -> Cdesk:
    """With the recorded `tools` session as its history."""
    shutil.copytree(shared_data("recordings/tools/projects"), cdesk.claude_dir / "projects", dirs_exist_ok=True)
    return cdesk
