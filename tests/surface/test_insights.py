"""Insights over HTTP: recorded, found, explained and corrected by who has the token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.surface.page_service import Served, serve

TESTS = {"subject": "tests", "metric": "command", "statement": "Tests run with make ci.", "value": "make ci"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path) as found:
        yield found


def post(served: Served, path: str, body: Any) -> str:
    answer = served.client.post(f"/v1/insights{path}", json=body)
    assert answer.status_code == 200, answer.text
    served.app.uploader.drain()
    served.app.tasks.run("record_insights")
    return str(answer.json()["id"])


def found(served: Served, **asked: Any) -> list[dict[str, Any]]:
    answer = served.client.get("/v1/insights", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["insights"])


def test_the_life_of_an_insight(served: Served) -> None:
    """Each act is in effect once its activity is in."""
    id_ = post(served, "", {**TESTS, "author": "claude", "evidence": ["x"]})
    assert [(one["id"], one["author"], one["customer"]) for one in found(served, text="make")] == [
        (id_, "claude", "ada@example.org")
    ]
    explained = served.client.get(f"/v1/insights/{id_[:8]}").json()
    assert (explained["insight"]["id"], explained["missing"]) == (id_, ["x"])
    post(served, f"/{id_}/corrections", {"action": "silence"})
    assert found(served) == [] and [one["state"] for one in found(served, all="true")] == ["silenced"]
    post(served, f"/{id_}/corrections", {"action": "restore"})
    new = post(served, f"/{id_}/corrections", {"action": "correct", "statement": "Tests run with nox.", "value": "nox"})
    assert [(one["id"], one["author"]) for one in found(served)] == [(new, "person")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}), ("", {**TESTS, "subject": ""}), ("", {**TESTS, "mood": 1}), ("", {**TESTS, "statement": "x" * 1001}),
        ("", {**TESTS, "value": "x" * 10_001}), ("/nothing/corrections", {"action": "silence"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(served: Served, path: str, body: Any) -> None:
    answer = served.client.post(f"/v1/insights{path}", json=body)
    assert answer.status_code == 400 and answer.json()["error"]


@pytest.mark.parametrize("asked", [{"since": "soon"}, {"all": "maybe"}, {"count": "-1"}, {"count": "many"}])
def test_a_wrong_question_is_the_askers(served: Served, asked: dict[str, str]) -> None:
    assert served.client.get("/v1/insights", params=asked).status_code == 400
