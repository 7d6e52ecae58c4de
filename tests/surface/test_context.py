"""`GET /v1/context`: what Claude is told, for whoever has the token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.surface.page_service import NOW, Served, ago, answer, call, held, prompt, serve

PROJECT = "/work/alpha"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("context"), held(NOW)) as running:
        running.put(
            prompt(ago(minutes=9), "Build it"),
            call(ago(minutes=8), False, error="exit 1"),
            answer(ago(minutes=7), 0.25),
        )
        for task in ("refresh_context_inputs", "roll_up_activity"):
            running.app.tasks.run(task)
        yield running


def get(served: Served, etag: str = "", **asked: str) -> httpx.Response:
    return served.client.get("/v1/context", params=asked, headers={"If-None-Match": etag} if etag else {})


def test_what_there_is_none_of_is_built(served: Served) -> None:
    """At once, and kept: the next one reads it in the cache."""
    asked = {"project": PROJECT, "kind": "engineer"}
    found = get(served, **asked).json()
    assert (found["customer"], found["project"], found["kind"]) == ("ada@example.org", PROJECT, "engineer")
    assert "exit 1" in found["text"] and found["statements"][0]["sources"] and not found["is_stale"]
    key = {"version": found["version"], "built_at": found["built_at"]}
    assert {name: get(served, **asked).json()[name] for name in key} == key


def test_without_a_project_all_are_told(served: Served) -> None:
    """And of another customer nothing, which is no error."""
    assert get(served).json()["project"] is None and get(served).json()["statements"]
    assert get(served, customer="bob").json()["statements"] == []


def test_what_is_known_is_not_sent_again(served: Served) -> None:
    """By the version, which is the same as long as the same is told."""
    first = get(served, project=PROJECT)
    again = get(served, first.headers["etag"], project=PROJECT)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert get(served, 'W/"other"', project=PROJECT).status_code == 200
    assert first.json()["version"] in first.headers["etag"]


def test_a_kind_that_is_none_is_said(served: Served) -> None:
    """With those there are."""
    got = get(served, kind="poet")
    assert got.status_code == 400 and "executive" in got.json()["error"]


def test_the_status_counts_what_is_kept(served: Served, tmp_path: Path) -> None:
    """And the age of the oldest."""
    get(served)
    told = served.client.get("/v1/status").json()["contexts"]
    assert told["contexts"] >= 1 and told["oldest_age_s"] >= 0
