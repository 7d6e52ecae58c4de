"""The context page in Chromium: what Claude is told and was told, followed to its source, and put right by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.surface.page_service import Served, answer, call, prompt, row, serve
from tests.web.browser import Watched, chromium, sync_api, watched

from cdesk.context.model import ContextKey

expect = sync_api.expect
PROJECT = "/work/alpha"
ADDRESS = f"/context?project={quote(PROJECT, safe='')}"
MARKUP = "<img src=x onerror=xss('context')>"
LONG = "a_name_without_any_place_to_break_it_" * 6
RIGHT = "Tests run with nox."
SOON = 60_000
"""Until what a person said is in effect, on a busy machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def calm(tmp_path: Path, browser: Any) -> Iterator[Served]:
    """A service that keeps itself up to date, and knows nothing yet."""
    with serve(tmp_path / "home", is_uploading=True) as served:
        served.app.keep_fresh()
        yield served


@pytest.fixture
def busy(calm: Served) -> Served:
    """A session with a failure whose words are hostile, and an insight of Claude's that rests on its prompt."""
    now = datetime.now(UTC)
    calm.put(
        prompt(now - timedelta(minutes=9), "Build it"),
        call(now - timedelta(minutes=8), False, error=f"exit 1 {MARKUP} {LONG}"),
        row("file_edited", now - timedelta(minutes=7), file_path=f"{PROJECT}/a.py", operation="edit"),
        answer(now - timedelta(minutes=6), 0.25),
    )
    [(asked,)] = calm.app.warehouse.query("SELECT activity_id FROM CLAUDE_STREAM_V2 WHERE activity = 'user_asked'").rows
    note = {"subject": "tests", "metric": "command", "statement": "Tests run with make ci.", "author": "claude"}
    calm.client.post(
        "/v1/insights", json={**note, "project_path": PROJECT, "evidence": [str(asked)]}
    ).raise_for_status()
    settle(calm)
    return calm


@pytest.fixture
def page(browser: Any, busy: Served) -> Iterator[Watched]:
    with watched(browser, busy) as seen:
        yield seen
        seen.calm()


def settle(served: Served) -> None:
    served.app.uploader.drain()
    served.app.tasks.run_pending()
    served.app.contexts.now(ContextKey("ada@example.org", PROJECT))


def start_session(served: Served, session: str = "s-new") -> str:
    """Claude Code starts one here; what it is told."""
    payload = {"hook_event_name": "SessionStart", "session_id": session, "cwd": PROJECT, "source": "startup"}
    given = served.app.answers.answer(json.dumps(payload).encode(), served.app.clock.now_ns(), is_proven=True)
    served.app.uploader.drain()
    return str(json.loads(given)["hookSpecificOutput"]["additionalContext"])


def part(page: Watched, name: str) -> Any:
    return page.page.get_by_role("region", name=name)


def line(page: Watched, words: str) -> Any:
    return part(page, "What Claude is told").locator("li").filter(has_text=words)


# -- what is there -------------------------------------------------------------------------------------------------


def test_an_empty_house_says_what_to_do_next(browser: Any, calm: Served) -> None:
    with watched(browser, calm) as seen:
        seen.open("/context")
        empty = part(seen, "Nothing is known yet")
        expect(empty).to_contain_text("cdesk connect")
        empty.get_by_role("link", name="Health").click()
        expect(seen.page.get_by_role("heading", name="Health", level=1)).to_be_focused()
        seen.calm()


def test_what_is_known_shows_when_it_comes(browser: Any, calm: Served) -> None:
    """Without a reload."""
    with watched(browser, calm) as seen:
        seen.open(ADDRESS)
        expect(part(seen, "Nothing is known of alpha yet")).to_be_visible()
        calm.put(prompt(datetime.now(UTC), "Build it"))
        expect(line(seen, '"Build it"').first).to_be_visible(timeout=SOON)
        seen.calm()


def test_a_project_is_chosen_and_each_line_says_why(page: Watched) -> None:
    """From the tab on; the choice stands in the address."""
    page.open("/")
    page.page.get_by_role("link", name="Context", exact=True).click()
    expect(page.page.get_by_role("heading", name="Context", level=1)).to_be_focused()
    page.page.get_by_label("Project").select_option(PROJECT)
    expect(page.page).to_have_url(re.compile(r"project=%2Fwork%2Falpha$"))
    failed = line(page, "The tool")
    expect(failed).to_contain_text("failed lately; failure weighs 1 for default")
    expect(failed).to_contain_text("Told when a session starts")
    expect(failed.get_by_role("link", name="Source: activity")).to_be_visible()
    expect(line(page, "make ci")).to_contain_text("an insight, confidence 0.7")
    page.page.get_by_label("Executive").check(force=True)
    expect(line(page, "$0.25").first).to_contain_text("for executive")
    expect(part(page, "What Claude is told")).to_contain_text("Sessions are not told this by themselves")


# -- where it is from ----------------------------------------------------------------------------------------------


def test_an_activity_is_shown_where_it_happened(page: Watched) -> None:
    """One click away, and back again; also one that has no row of its own."""
    page.open(ADDRESS)
    line(page, "The tool").get_by_role("link", name="Source").click()
    expect(page.page).to_have_url(re.compile(r"/sessions/s1#"))
    expect(page.page.locator(".target")).to_contain_text("exit 1")
    page.page.go_back()
    line(page, "The file").get_by_role("link", name="Source").click()
    expect(page.page.locator(".target")).to_be_visible()
    page.page.go_back()
    expect(line(page, "The tool")).to_be_visible()


def test_an_insight_and_a_figure_are_explained(page: Watched) -> None:
    """What the one rests on leads on to the session; of the other, the question."""
    page.open(ADDRESS)
    line(page, "make ci").get_by_role("link", name="Source: insight").click()
    expect(page.page.get_by_role("heading", name="Tests run with make ci.", level=1)).to_be_focused()
    expect(part(page, "The insight")).to_contain_text("noted by Claude")
    part(page, "What it rests on").get_by_role("link", name="user asked").click()
    expect(page.page.locator(".target")).to_contain_text("Build it")
    page.open(ADDRESS)
    line(page, "$0.25").first.get_by_role("link", name="Source: query").click()
    expect(part(page, "SQL")).to_contain_text("FROM ACTIVITY_ROLLUP")


def test_what_nothing_stands_behind_is_said(browser: Any, busy: Served) -> None:
    """With a way to try again."""
    with watched(browser, busy) as seen:
        seen.open("/explain?cite=atom%3Anone")
        expect(seen.page.get_by_role("alert")).to_contain_text("nothing stands behind atom:none")
        assert all("400" in each for each in seen.noticed)


# -- when it was told ----------------------------------------------------------------------------------------------


def test_what_a_session_was_told_is_shown_to_the_letter(page: Watched, busy: Served) -> None:
    """By keyboard, down to the session itself; markup in it is text."""
    page.open(ADDRESS)
    expect(part(page, "When it was told")).to_contain_text("never")
    text = start_session(busy)
    assert "make ci" in text
    told = part(page, "When it was told").locator(".telling")
    expect(told).to_have_count(1, timeout=SOON)
    told.locator("summary").first.press("Enter")
    expect(told).to_contain_text("A session started")
    expect(told.locator(".told-lines li").first).to_contain_text("weighs")
    told.locator("summary").last.press("Enter")
    assert told.locator("pre").inner_text() == text
    told.get_by_role("link", name="Session s-new").click()
    expect(page.page.locator(".target")).to_contain_text("Context given")
    assert page.page.locator("main img").count() == 0


# -- put right -----------------------------------------------------------------------------------------------------


def test_an_insight_is_silenced_and_restored(page: Watched, busy: Served) -> None:
    """By keyboard; what came of it is said, and a session that starts meanwhile is not told it."""
    page.open(ADDRESS)
    line(page, "make ci").get_by_role("button", name="Silence").press("Enter")
    expect(part(page, "What Claude is told").get_by_role("status").first).to_contain_text("Silenced.")
    kept = part(page, "Kept from Claude")
    expect(kept).to_contain_text("Tests run with make ci.", timeout=SOON)
    expect(line(page, "make ci")).to_have_count(0, timeout=SOON)
    assert "make ci" not in start_session(busy)
    kept.get_by_role("button", name="Restore").press("Enter")
    expect(line(page, "make ci")).to_be_visible(timeout=SOON)
    expect(kept).to_contain_text("nothing")
    assert "make ci" in start_session(busy, "s-other")


def test_an_insight_is_corrected(page: Watched, busy: Served) -> None:
    """Escape changes nothing and gives the focus back; nothing is no correction."""
    page.open(ADDRESS)
    correct = line(page, "make ci").get_by_role("button", name="Correct")
    correct.press("Enter")
    words = page.page.get_by_label("What is right, in one sentence")
    expect(words).to_be_focused()
    words.press("Enter")
    words.press("Escape")
    expect(correct).to_be_focused()
    correct.press("Enter")
    words.fill(RIGHT)
    page.page.get_by_label("Why").fill("make is gone")
    page.page.get_by_role("button", name="Tell Claude this instead").click()
    expect(line(page, f'Noted by a person: "{RIGHT}"')).to_be_visible(timeout=SOON)
    expect(line(page, "make ci")).to_have_count(0)
    assert RIGHT in start_session(busy)


def test_an_insight_is_put_right_where_it_is_explained(page: Watched) -> None:
    """It says what it is now, what was said of it, and what took its place."""
    page.open(ADDRESS)
    line(page, "make ci").get_by_role("link", name="Source: insight").click()
    about = part(page, "The insight")
    about.get_by_role("button", name="Silence").click()
    expect(about).to_contain_text("silenced: kept from Claude", timeout=SOON)
    about.get_by_role("button", name="Restore").click()
    expect(about).to_contain_text("Claude is told it", timeout=SOON)
    about.get_by_role("button", name="Correct").click()
    page.page.get_by_label("What is right, in one sentence").fill(RIGHT)
    page.page.get_by_label("Why").press("Enter")
    expect(about).to_contain_text("superseded by a newer one", timeout=SOON)
    expect(part(page, "What was said about it").locator("li")).to_have_count(3)
    part(page, "Superseded by").get_by_role("link", name=RIGHT).click()
    expect(page.page.get_by_role("heading", name=RIGHT, level=1)).to_be_visible()


def test_text_stays_text_and_fits(browser: Any, busy: Served) -> None:
    """In a narrow window and the dark, with words that cannot be broken anywhere; every control has a name."""
    start_session(busy)
    with watched(browser, busy, viewport={"width": 400, "height": 900}, color_scheme="dark") as seen:
        seen.open(ADDRESS)
        expect(line(seen, "exit 1").first).to_contain_text("(img src=x onerror=xss('context'))")
        seen.page.locator(".telling summary").first.click()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 400
        assert seen.page.locator("main img").count() == 0
        nameless = seen.page.evaluate("""() => [...document.querySelectorAll("a, button, select, summary, section")]
            .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label"))).length""")
        assert nameless == 0
        seen.calm()
