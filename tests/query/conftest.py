"""A home with the bundled sample, imported once for every test that only asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cdesk import sample
from cdesk.app import App
from cdesk.config import Home, PersonSettings, Settings


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
