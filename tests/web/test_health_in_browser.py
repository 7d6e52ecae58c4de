"""The health page in Chromium: what needs somebody is found from the first page, mended by a click, and gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.surface.page_service import Served, call, row, serve
from tests.surface.test_dead_letters import GOOD
from tests.web.browser import Watched, chromium, sync_api, watched

from cdesk.queue import DeadLetter

expect = sync_api.expect
TASK = "roll_up_activity"
MARKUP = "<img src=x onerror=xss('drift')>"
LONG = "a_name_without_any_place_to_break_it_" * 6


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def calm(tmp_path: Path, browser: Any) -> Iterator[Served]:
    with serve(tmp_path / "home", is_uploading=True) as served:
        yield served


@pytest.fixture
def troubled(calm: Served) -> Served:
    """A suspended task, two rows that wait for a decision, a letter that can be read and one that cannot."""
    calm.app.tasks.suspend(TASK)
    now = datetime.now(UTC)
    calm.app.intake.take([call(now - timedelta(minutes=at), True, latency_ms="slow") for at in (1, 2)])
    calm.app.uploader.drain()
    good = json.dumps(GOOD).encode()
    for offset, line in enumerate((good, b"{" + MARKUP.encode() + LONG.encode())):
        calm.app.dead.put(DeadLetter(reason=f"was bad {offset}", source=f"/p/{LONG}.jsonl", offset=offset, line=line))
    return calm


@pytest.fixture
def page(browser: Any, troubled: Served) -> Iterator[Watched]:
    with watched(browser, troubled) as seen:
        yield seen
        seen.calm()


def part(page: Watched, name: str) -> Any:
    return page.page.get_by_role("region", name=name)


def test_nothing_needs_anybody_in_a_calm_house(browser: Any, calm: Served) -> None:
    """And the first page says nothing of it."""
    with watched(browser, calm) as seen:
        seen.open("/health")
        expect(seen.page.locator(".verdict")).to_have_text("Nothing needs you")
        expect(part(seen, "Drift and quarantine")).to_contain_text("Nothing needs you")
        expect(part(seen, "Dead letters")).to_contain_text("Nothing needs you")
        expect(part(seen, "Tasks").locator("li")).not_to_have_count(0)
        expect(part(seen, "Change streams").locator("li")).not_to_have_count(0)
        seen.open("/")
        expect(seen.page.get_by_role("region", name="Is it flowing").get_by_role("link")).to_have_count(1)
        expect(seen.page.get_by_text("needs you")).to_have_count(0)
        seen.calm()


def test_the_first_page_leads_to_what_needs_somebody(page: Watched) -> None:
    """A mark beside the tab, and a line that says how many things."""
    page.open("/")
    expect(page.page.get_by_role("link", name="Health (3 things need you)")).to_be_visible()
    page.page.get_by_role("link", name="3 things need you", exact=True).click()
    expect(page.page.get_by_role("heading", name="Health", level=1)).to_be_focused()
    needs = part(page, "What needs you").locator("li")
    expect(needs).to_have_count(3)
    expect(needs.first).to_contain_text("2 rows wait")


def test_a_suspended_task_is_resumed(page: Watched, troubled: Served) -> None:
    """By keyboard; the button that had the focus keeps it, and can take it back."""
    page.open("/health")
    tasks = part(page, "Tasks")
    expect(tasks).to_contain_text("suspended: what it writes grows old")
    tasks.get_by_role("button", name=f"Resume {TASK}").press("Enter")
    expect(tasks.get_by_role("status")).to_contain_text(f"{TASK} runs again")
    expect(tasks.get_by_role("button", name=f"Suspend {TASK}")).to_be_focused()
    expect(part(page, "What needs you").locator("li")).to_have_count(2)
    assert troubled.get("health")["needs"][-1]["what"] == "dead_letters"


def test_a_task_is_run(page: Watched) -> None:
    """What came of it is said."""
    page.open("/health")
    part(page, "Tasks").get_by_role("button", name=f"Run now: {TASK}").click()
    expect(part(page, "Tasks").get_by_role("status")).to_contain_text(f"{TASK} changed")


def test_drift_is_accepted(page: Watched, troubled: Served) -> None:
    """The rows that waited are in the warehouse; the focus is on what is said of it."""
    page.open("/health")
    drift = part(page, "Drift and quarantine")
    expect(drift.locator("li")).to_contain_text("tool_called.latency_ms is number and came as string")
    drift.get_by_role("button", name="Accept").press("Enter")
    expect(drift.get_by_role("status")).to_contain_text("2 rows went back into the queue")
    expect(drift).to_contain_text("1 change of shape settled")
    expect(drift.get_by_role("status")).to_be_focused()
    troubled.app.uploader.drain()
    found = troubled.app.warehouse.query("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'")
    assert found.rows == [(2,)]


def test_a_dead_letter_is_replayed_and_another_dropped(page: Watched, troubled: Served) -> None:
    """Dropping asks first; Escape and Keep change nothing."""
    page.open("/health")
    dead = part(page, "Dead letters")
    expect(dead.locator("li")).to_have_count(2)
    dead.locator("li").first.get_by_role("button", name="Replay").click()
    expect(dead.get_by_role("status")).to_contain_text("1 of 1 line went back into the queue")
    expect(dead.locator("li")).to_have_count(1)

    drop = dead.locator("li").get_by_role("button", name="Drop", exact=False)
    drop.press("Enter")
    expect(dead.get_by_role("button", name="Keep")).to_be_focused()
    page.page.keyboard.press("Escape")
    expect(drop).to_be_focused()
    assert troubled.app.dead.count() == 1

    drop.press("Enter")
    dead.get_by_role("button", name="Drop it").click()
    expect(dead.get_by_role("status")).to_contain_text("1 line dropped")
    expect(dead).to_contain_text("every line could be loaded")
    assert troubled.app.dead.count() == 0


def test_what_cannot_be_mended_says_why(page: Watched) -> None:
    """A line that still cannot be read stays, with its reason."""
    page.open("/health")
    dead = part(page, "Dead letters")
    dead.locator("li").last.get_by_role("button", name="Replay").click()
    expect(dead.get_by_role("status")).to_contain_text("0 of 1 line went back into the queue. One stays:")


def test_what_happens_elsewhere_shows_without_a_reload(page: Watched, troubled: Served) -> None:
    """Somebody resumed the task in a terminal."""
    page.open("/health")
    expect(part(page, "Tasks")).to_contain_text("1 does not run")
    troubled.app.tasks.resume(TASK)
    expect(part(page, "Tasks")).to_contain_text("all run by themselves")


def test_text_stays_text_and_fits(browser: Any, troubled: Served) -> None:
    """In a narrow window, with names that cannot be broken anywhere; every control has a name."""
    features: dict[str, Any] = {MARKUP: 1, "success": 1}
    troubled.app.intake.take([row("tool_called", datetime.now(UTC), **features)])
    troubled.app.uploader.drain()
    with watched(browser, troubled, viewport={"width": 400, "height": 900}) as seen:
        seen.open("/health")
        expect(part(seen, "Dead letters")).to_contain_text(MARKUP)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert seen.page.locator("main img").count() == 0
        nameless = seen.page.evaluate("""() => [...document.querySelectorAll("a, button, [role=region], section")]
            .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label"))).length""")
        assert nameless == 0
        seen.calm()


def test_pressure_says_what_is_left_out_and_what_helps(browser: Any, calm: Served) -> None:
    """An answer as a pressed queue gives it, and a task that failed too often."""

    def pressed(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        told["status"]["queue"].update(level="critical", refused={"hook": 12, "otel": 0})
        told["needs"] = [{"what": "refused", "count": 12, "is_urgent": True}]
        told["tasks"][0].update(state="suspended", suspended_by="failures", failures_in_a_row=5, last_error=LONG)
        route.fulfill(response=answer, json=told)

    with watched(browser, calm) as seen:
        seen.page.route("**/v1/page/health*", pressed)
        seen.open("/health")
        queue = part(seen, "Queue")
        expect(queue).to_contain_text("nearly all low-value facts are left out")
        expect(queue).to_contain_text("Turned away: 12 events of hook.")
        expect(queue).to_contain_text("What helps")
        expect(part(seen, "Tasks")).to_contain_text("stopped: it failed 5 times in a row")
        expect(part(seen, "Tasks")).to_contain_text(LONG)
        seen.calm()
