"""The lines set aside can be listed, replayed and dropped while the service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.surface.page_service import Served, serve

from cdesk.queue import DeadLetter

GOOD = {"type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2026-01-01T10:00:00.000Z",
        "message": {"role": "user", "content": "hello"}}  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path) as found:
        for offset, line in enumerate((b"{bad", json.dumps(GOOD).encode(), b"{worse")):
            found.app.dead.put(DeadLetter(reason="was bad", source="/p/a.jsonl", offset=offset, line=line))
        found.app.dead.put(DeadLetter(reason="was bad", source="/p/a.jsonl", offset=0, line=b"{bad"))
        found.app.dead.close()
        yield found


def letters(served: Served) -> list[dict[str, Any]]:
    found = served.client.get("/v1/dead-letters").json()
    assert found["total"] == len(found["letters"])
    return list(found["letters"])


def post(served: Served, act: str, body: Any) -> Any:
    answer = served.client.post(f"/v1/dead-letters/{act}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_letters_say_why_where_and_how_often(served: Served) -> None:
    first = letters(served)[0]
    assert (first["reason"], first["source"], first["offset"], first["size"], first["count"]) == (
        "was bad",
        "/p/a.jsonl",
        0,
        4,
        2,
    )


def test_what_can_be_read_now_is_loaded_once(served: Served) -> None:
    """The others stay, each with its reason."""
    done = post(served, "replay", {})
    assert (done["asked"], done["replayed"], len(done["stays"])) == (3, 1, 2)
    assert all("not valid JSON" in reason for reason in done["stays"].values())
    assert post(served, "replay", {"ids": [letters(served)[0]["id"]]})["replayed"] == 0
    served.app.uploader.drain()
    assert served.app.warehouse.query("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'user_asked'").rows == [
        (1,)
    ]
    assert len(letters(served)) == 2


def test_named_ones_or_all_are_dropped(served: Served) -> None:
    assert post(served, "drop", {"ids": [letters(served)[0]["id"], "unknown"]}) == {"dropped": 1}
    assert post(served, "drop", {"all": True}) == {"dropped": 2}
    assert letters(served) == []


@pytest.mark.parametrize(
    ("act", "body"), [("drop", {}), ("drop", {"ids": ["x"], "all": True}), ("drop", {"id": 1}), ("replay", [])]
)
def test_half_a_question_is_refused(served: Served, act: str, body: Any) -> None:
    """Dropping everything takes a word."""
    answer = served.client.post(f"/v1/dead-letters/{act}", json=body)
    assert answer.status_code == 400 and answer.json()["error"]
    assert len(letters(served)) == 3
