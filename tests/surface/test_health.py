"""The health page over HTTP: what it tells, what needs a person, and who may act through it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.surface.page_service import NOW, Served, ago, call, prompt, serve
from tests.surface.test_dead_letters import GOOD

from cdesk.cost.budget import Level
from cdesk.query.cost import BudgetStanding
from cdesk.query.page import Suspended
from cdesk.queue import DeadLetter
from cdesk.surface.http import health
from cdesk.surface.http.health import ACTS, at_page, needs
from cdesk.surface.status import BackfillStatus, DriftStatus, QueueStatus, Status, WarehouseStatus

TASK = "roll_up_activity"
GOOD_LINE = httpx.Request("POST", "http://x", json=GOOD).content


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "home") as running:
        yield running


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    """Came in by a link, and sends what the page's own script sends."""
    with httpx.Client(base_url=served.url, headers={"Origin": served.url}) as client:
        client.get(served.link())
        yield client


def act(browser: httpx.Client, path: str, body: Any = None) -> Any:
    answer = browser.post(f"{health.PATH}/{path}", json=body or {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def needed(served: Served) -> list[tuple[str, int]]:
    return [(need["what"], need["count"]) for need in served.get("health")["needs"]]


def drifted(served: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = served.get("health")["drift"]["incidents"]
    return found


# -- what it tells -------------------------------------------------------------------------------------------------


def test_a_calm_house_needs_nobody(served: Served) -> None:
    """Tasks and their streams are told all the same."""
    found = served.get("health")
    assert found["needs"] == found["drift"]["incidents"] == found["dead"]["letters"] == []
    assert {task["state"] for task in found["tasks"]} == {"started"}
    read = {stream for task in found["tasks"] for stream in task["reads"]}
    assert {stream["name"] for stream in found["streams"]} == read
    assert found["identities"] == {"standing": 0, "undone": 0, "unfinished": 0, "latest_at": None}


def test_what_a_stream_has_not_read_is_counted(served: Served) -> None:
    """Per consumer, with the age of the oldest."""
    served.get("health")
    served.put(prompt(ago(minutes=1), "hello"))
    [stream] = [each for each in served.get("health")["streams"] if each["name"] == "ROLL_UP_ACTIVITY_CHANGES"]
    assert (stream["reads"], stream["pending"]) == ("CLAUDE_STREAM_V2", 1)
    assert stream["lag_s"] >= 0 and stream["oldest"]


def test_a_suspended_task_is_told_until_it_is_resumed(served: Served, browser: httpx.Client) -> None:
    """On this page and on the stream every page listens to."""
    act(browser, f"tasks/{TASK}/suspend")
    assert needed(served) == [("task_suspended", 1)]
    assert [need["what"] for need in served.get("overview")["flow"]["needs"]] == ["task_suspended"]
    act(browser, f"tasks/{TASK}/resume")
    assert needed(served) == []


def test_a_task_runs_when_somebody_says_so(served: Served, browser: httpx.Client) -> None:
    run = act(browser, f"tasks/{TASK}/run")
    assert (run["task"], run["error"]) == (TASK, None)


def test_drift_is_told_with_the_rows_that_wait_until_it_is_settled(served: Served, browser: httpx.Client) -> None:
    """Accepted, the rows go in; an incident that needs nothing is only counted."""
    served.put(*(call(ago(minutes=at), True, latency_ms="slow") for at in (1, 2)))
    [one] = drifted(served)
    assert (one["quarantined"], one["policy"], one["status"]) == (2, "additive", "open")
    assert one["message"] == "tool_called.latency_ms is number and came as string"
    assert needed(served) == [("drift", 1)]
    assert act(browser, f"drift/{one['id']}/accept")["requeued"] == 2
    served.app.uploader.drain()
    found = served.get("health")
    assert (found["needs"], found["drift"]) == ([], {"unsettled": 0, "settled": 1, "incidents": []})
    assert served.app.warehouse.query("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'").rows == [
        (2,)
    ]


def test_dead_letters_are_told_replayed_and_dropped(served: Served, browser: httpx.Client) -> None:
    """The first of them, cut, with the number of all."""
    for offset, line in enumerate((b"{" + b"x" * 5000, GOOD_LINE)):
        served.app.dead.put(DeadLetter(reason="was bad", source="/p/a.jsonl", offset=offset, line=line))
    found = served.get("health")["dead"]
    assert (found["total"], len(found["letters"][0]["text"])) == (2, health.TEXT_MAX)
    bad, good = (letter["id"] for letter in found["letters"])
    assert needed(served) == [("dead_letters", 2)]
    assert act(browser, "dead-letters/replay", {"ids": [good]})["replayed"] == 1
    assert act(browser, "dead-letters/drop", {"ids": [bad]}) == {"dropped": 1}
    assert needed(served) == []


def test_a_flood_is_told_in_part(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ITEMS_MAX", 3)
    served.app.dead.put_all([DeadLetter(reason="bad", source="/p", offset=at, line=b"{%d" % at) for at in range(10)])
    found = served.get("health")
    assert (found["dead"]["total"], len(found["dead"]["letters"])) == (10, 3)


# -- what needs a person -------------------------------------------------------------------------------------------


def status(**given: Any) -> Status:
    queue: dict[str, Any] = {"events": 0, "bytes": 0, "oldest_age_s": 0.0, "dead_letters": 0, "level": "normal", "segments": 1,
             "stored": 0, "bytes_max": 100, "refused": {}}  # fmt: skip
    queue.update({name: given.pop(name) for name in list(given) if name in queue})
    whole: dict[str, Any] = {"lag_s": 0.0, "drift": DriftStatus(0, 0), "backfill": None, **given}
    return Status(True, 1, 2, "/h", False, QueueStatus(**queue), WarehouseStatus(0), **whole)


def spent(level: Level) -> BudgetStanding:
    return BudgetStanding("2026-11-23", 90.0, 0.0, 100.0, 80.0, level, NOW)


def told(of: Status, failed: int = 0, asked: int = 0, refused: int = 0) -> list[tuple[str, int, bool]]:
    return [(need.what, need.count, need.is_urgent) for need in needs(of, Suspended(failed, asked), refused)]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (status(), []),
        (status(budget=spent("ok")), []),
        (status(budget=spent("soft")), [("budget", 1, False)]),
        (status(budget=spent("hard"), dead_letters=2), [("budget", 1, True), ("dead_letters", 2, False)]),
        (status(level="high"), [("pressure", 1, False)]),
        (status(level="critical"), [("pressure", 1, True)]),
        (status(events=7, lag_s=11.0), [("behind", 7, True)]),
        (status(events=7, lag_s=9.0), []),
        (status(events=7, lag_s=99.0, backfill=BackfillStatus(1, 2, 1, 2, 1, 0, False)), []),
        (status(drift=DriftStatus(2, 0)), [("drift", 2, False)]),
        (status(drift=DriftStatus(0, 5)), [("drift", 1, True)]),
    ],
)
def test_what_mends_itself_is_not_told(of: Status, expected: list[tuple[str, int, bool]]) -> None:
    """Pressure, a late warehouse and drift are; a history that is being read is not."""
    assert told(of) == expected


def test_the_urgent_comes_first() -> None:
    """Facts turned away and tasks that failed, before what somebody chose."""
    assert told(status(dead_letters=3), failed=1, asked=2, refused=4) == [
        ("refused", 4, True), ("task_failed", 1, True), ("dead_letters", 3, False), ("task_suspended", 2, False),
    ]  # fmt: skip


def test_events_just_turned_away_are_told(served: Served) -> None:
    """Until the loss is on record."""
    served.app.refusals.count("otel", 12)
    assert needed(served) == [("refused", 12)]
    served.app.refusals.tell(served.app.refusals.read())
    assert needed(served) == []
    assert served.get("health")["status"]["queue"]["refused"]["otel"] == 12


# -- who may act ---------------------------------------------------------------------------------------------------

SUSPEND = f"{health.PATH}/tasks/{TASK}/suspend"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Content-Type": "text/plain"}, 401),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 401),
    ],
)
def test_another_page_cannot_act(served: Served, browser: httpx.Client, headers: dict[str, str], status: int) -> None:
    """Neither another port nor a form that somebody made the browser send."""
    answer = browser.post(SUSPEND, content=b"{}", headers={"Content-Type": "application/json", **headers})
    assert (answer.status_code, needed(served)) == (status, [])


def test_an_act_says_where_it_comes_from(served: Served) -> None:
    """The cookie alone is not enough, nor is the page without it."""
    with httpx.Client(base_url=served.url) as browser:
        browser.get(served.link())
        assert browser.post(SUSPEND, json={}).status_code == 401
    assert httpx.post(served.url + SUSPEND, json={}, headers={"Origin": served.url}).status_code == 401
    assert needed(served) == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_acting_takes_a_post(browser: httpx.Client, method: str) -> None:
    """A link or an image changes nothing."""
    assert browser.request(method, SUSPEND, headers={"Content-Type": "application/json"}).status_code in (401, 404, 405)


def test_the_page_opens_its_acts_and_nothing_else_that_writes(browser: httpx.Client) -> None:
    """The service's own doors stay shut for a visit, and so does what the page has no act for."""
    for path in (*ACTS, "/v1/identity", "/v1/sql", "/v1/import", "/v1/activities", "/v1/page/key"):
        assert browser.post(path.replace("{name}", TASK).replace("{id}", "x"), json={}).status_code == 401
    assert browser.post(at_page("/v1/identity"), json={}).status_code in (404, 405)


def test_times_are_utc(served: Served) -> None:
    served.app.tasks.run(TASK)
    [task] = [task for task in served.get("health")["tasks"] if task["name"] == TASK]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(task["last_completed"])).total_seconds()) < 600
