"""What somebody records is known a moment later, and stays known when the service is gone."""

from __future__ import annotations

import time
from typing import Any

from tests.journeys.cdesk import Cdesk

PATIENCE_S = 20


def _known(cdesk: Cdesk, *words: str, count: int = 1) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE_S
    while len(found := cdesk.json("insight", "list", *words)["insights"]) != count and time.monotonic() < deadline:
        pass
    return list(found)


def test_an_insight_outlives_the_service(cdesk: Cdesk) -> None:
    """Recorded while it runs, silenced while it does not, restored when it runs again."""
    cdesk.up()
    id_ = cdesk.json("insight", "record", "tests", "command", "Tests run with make ci.", "--value", "make ci")["id"]
    [one] = _known(cdesk, "ci")
    assert (one["id"], one["value"], one["author"]) == (id_, "make ci", "person")
    cdesk.down()
    cdesk.text("insight", "silence", id_[:8])
    assert _known(cdesk, "ci", count=0) == []
    cdesk.up()
    cdesk.text("insight", "restore", id_[:8])
    assert [each["id"] for each in _known(cdesk, "ci")] == [id_]
