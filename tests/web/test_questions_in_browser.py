"""Questions, artifacts and citations in Chromium: asked with a form, kept, paged through, downloaded, and traced back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.surface.page_service import Served, answer, call, prompt, serve
from tests.web.browser import Watched, chromium, sync_api, watched

from cdesk.artifact.model import Column

expect = sync_api.expect
MARKUP = "<img src=x onerror=xss('cell')>"
LONG = "a_name_without_any_place_to_break_it_" * 6
ROWS = 120


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Served]:
    """Three days of answers and calls."""
    with serve(tmp_path_factory.mktemp("questions"), is_uploading=True) as served:
        now = datetime.now(UTC)
        for days in range(3):
            at = now - timedelta(days=days, minutes=9)
            served.put(prompt(at, "Build it"), call(at, days > 0), answer(at + timedelta(minutes=1), 0.25 + days))
        served.app.tasks.run_pending()
        yield served


@pytest.fixture
def page(browser: Any, busy: Served) -> Iterator[Watched]:
    with watched(browser, busy, permissions=["clipboard-read", "clipboard-write"]) as seen:
        yield seen
        seen.calm()


@pytest.fixture(scope="module")
def long(busy: Served) -> str:
    """An artifact of some pages, with hostile words in it."""
    columns = [
        Column("number", "BIGINT", unit="rows"),
        Column("says", "VARCHAR"),
        Column("cost_usd", "DOUBLE", unit="USD"),
    ]
    rows = [(number, f"{MARKUP} {LONG}", number / 4) for number in range(1, ROWS + 1)]
    kept = busy.app.artifacts.keep(
        "export", columns, rows, query_id=None, title=f"Long {MARKUP}", customer="ada@example.org"
    )
    return kept.artifact_id


def part(page: Watched, name: str) -> Any:
    return page.page.get_by_role("region", name=name, exact=True)


def copied(page: Watched) -> str:
    return str(page.page.evaluate("navigator.clipboard.readText()"))


# -- questions -----------------------------------------------------------------------------------------------------


def test_a_question_is_found_and_asked(page: Watched) -> None:
    """From the tab on, by its words; the answer is drawn, and is a table, too."""
    page.open("/")
    page.page.get_by_role("link", name="Questions", exact=True).click()
    expect(page.page.get_by_role("heading", name="Questions", level=1)).to_be_focused()
    page.page.get_by_label("Find a question").fill("each day")
    page.page.get_by_role("link", name="What each day cost").click()
    expect(part(page, "Answer").locator("canvas")).to_have_count(1)
    part(page, "Answer").get_by_role("radio", name="Table").check(force=True)
    table = page.page.get_by_role("region", name="The answer as a table")
    expect(table.locator("tbody tr")).to_have_count(3)
    expect(table).to_contain_text("$2.25")
    expect(part(page, "Where it comes from")).to_contain_text("cdesk:q_")


def test_the_address_says_what_was_asked(page: Watched) -> None:
    """By keyboard; the field that asked keeps the focus, and going back asks what was asked before."""
    page.open("/questions/cost_by")
    expect(part(page, "Answer")).to_contain_text("3 rows")
    days = page.page.get_by_role("spinbutton", name="days")
    page.page.get_by_label("by", exact=True).select_option("model")
    days.fill("90")
    days.press("Enter")
    expect(page.page).to_have_url(re.compile(r"\?days=90&by=model$"))
    expect(part(page, "Answer")).to_contain_text("1 row,")
    expect(part(page, "Answer").locator(".bar-list")).to_contain_text("claude-opus-5-5")
    expect(days).to_be_focused()
    page.page.go_back()
    expect(part(page, "Answer")).to_contain_text("3 rows")
    expect(days).to_have_value("30")


def test_an_answer_is_passed_on(page: Watched) -> None:
    """As an address that asks it again, and as a citation; asked again it comes from the record."""
    page.open("/questions/spend_by_model?days=30")
    part(page, "Pass it on").get_by_role("button", name="Copy link").click()
    expect(part(page, "Pass it on").get_by_text("Copied")).to_be_visible()
    assert copied(page) == f"{page.url}/questions/spend_by_model?days=30"
    part(page, "Pass it on").get_by_role("button", name="Copy citation").click()
    citation = part(page, "Where it comes from").get_by_role("link").inner_text()
    assert copied(page) == citation
    page.page.goto(f"{page.url}/questions/spend_by_model?days=30")
    expect(part(page, "Answer")).to_contain_text("recorded")
    part(page, "Where it comes from").get_by_role("link", name=citation).click()
    expect(part(page, "SQL")).to_contain_text("FROM ACTIVITY_ROLLUP")
    expect(part(page, "On record")).to_contain_text("ada@example.org")
    part(page, "What was asked").get_by_role("link", name="Ask it again").click()
    expect(page.page).to_have_url(re.compile(r"/questions/spend_by_model\?days=30$"))


def test_a_figure_leads_to_what_happened(page: Watched) -> None:
    """From a cell to its activities, and to the session where one of them is."""
    page.open("/questions/spend_by_day?days=30")
    part(page, "Answer").get_by_role("radio", name="Table").check(force=True)
    page.page.get_by_role("link", name="$1.25").click()
    behind = part(page, "Behind cost usd, row 2")
    expect(behind).to_contain_text("1 activity")
    behind.get_by_role("link", name="Activity").click()
    expect(page.page).to_have_url(re.compile(r"/sessions/s1#"))


def test_what_it_cannot_be_asked_with_is_said(browser: Any, busy: Served) -> None:
    """In one line, with the form still there."""
    with watched(browser, busy) as seen:
        seen.open("/questions/spend_by_day?days=9999")
        expect(seen.page.get_by_role("alert")).to_contain_text("days is a whole number from 1 to 366, not 9999.")
        seen.page.get_by_label("days").fill("7")
        seen.page.get_by_role("button", name="Ask", exact=True).click()
        expect(part(seen, "Answer")).to_be_visible()
        assert all("400" in each for each in seen.noticed)


@dataclass
class Costly:
    """Expects much of every question."""

    bytes: int = 8 * 1024**3
    rows: int = 9_000_000

    def estimate(self, sql: str, parameters: Any) -> Costly:
        return self


@dataclass
class Part:
    """Says that it reads a part of what a statement reads."""

    sql: str
    rate: float = 0.0123
    seed: int = 42
    watermark: str = "1.23 % of the time; sums are ± 4 %."


def test_what_would_read_too_much_is_offered_as_a_sample(
    browser: Any, busy: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the estimate beside the cap; a sample says that it is one, over the chart and in words."""
    monkeypatch.setattr(busy.app.asker, "_estimator", Costly())
    monkeypatch.setattr(busy.app.asker, "_sampler", lambda sql, *_: Part(sql))
    with watched(browser, busy) as seen:
        seen.open("/questions/spend_by_day?days=21")
        refused = seen.page.get_by_role("alert")
        expect(refused).to_contain_text("About 8.0 GB in 9,000,000 rows; it may read 1.0 GB.")
        refused.get_by_role("button", name="Answer from a sample").click()
        expect(part(seen, "Answer").get_by_role("note")).to_have_text("Sample. 1.23 % of the time; sums are ± 4 %.")
        expect(part(seen, "Answer").locator(".watermark")).to_be_visible()
        expect(part(seen, "Where it comes from")).to_contain_text("1.2 % was read, seed 42")
        assert all("400" in each for each in seen.noticed)


# -- artifacts -----------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_and_leaves_as_a_file(page: Watched, busy: Served) -> None:
    """One artifact, however often it is kept; downloaded here, and by a link that works without a cookie."""
    page.open("/questions/spend_by_model?days=60")
    part(page, "Pass it on").get_by_role("button", name="Keep it").click()
    part(page, "Pass it on").get_by_role("link", name="an artifact").click()
    expect(page.page.get_by_role("heading", name="What each model cost", level=1)).to_be_focused()
    expect(part(page, "Content")).to_contain_text("claude-opus-5-5")
    expect(part(page, "Columns")).to_contain_text("USD")
    with page.page.expect_download() as started:
        part(page, "Download").get_by_role("link", name="CSV").click()
    assert "claude-opus-5-5" in Path(started.value.path()).read_text()
    part(page, "Download").get_by_label("Link for ten minutes").select_option("json")
    part(page, "Download").get_by_role("button", name="Make a link").click()
    part(page, "Download").get_by_role("button", name="Copy").click()
    expect(part(page, "Download").get_by_text("Copied")).to_be_visible()
    assert "claude-opus-5-5" in httpx.get(copied(page)).text
    part(page, "Download").get_by_role("button", name="Pin").click()
    expect(part(page, "Download").get_by_role("button", name="Unpin")).to_be_visible()
    part(page, "Where it comes from").get_by_role("link", name="cdesk:").click()
    part(page, "What was asked").get_by_role("link", name="The whole answer").click()
    expect(part(page, "Content")).to_contain_text("claude-opus-5-5")


def test_a_long_one_is_paged_through(page: Watched, long: str) -> None:
    """From the list on, there and back again; markup in it is text."""
    page.open("/artifacts")
    page.page.get_by_role("link", name="Long").click()
    content = part(page, "Content")
    expect(content).to_contain_text(f"rows 1 to 50 of {ROWS}")
    content.get_by_role("button", name="Next").press("Enter")
    expect(content).to_contain_text(f"rows 51 to 100 of {ROWS}")
    content.get_by_role("button", name="Next").press("Enter")
    expect(content).to_contain_text(f"rows 101 to {ROWS} of {ROWS}")
    expect(content.get_by_role("button", name="Next")).to_have_attribute("aria-disabled", "true")
    content.get_by_role("button", name="Previous").press("Enter")
    expect(content.locator("tbody tr").first).to_contain_text("51")
    assert page.page.locator("main img").count() == 0


# -- citations -----------------------------------------------------------------------------------------------------


def test_any_citation_can_be_looked_up(browser: Any, busy: Served) -> None:
    """Typed by hand; one that nothing stands behind is told so."""
    with watched(browser, busy) as seen:
        seen.open("/explain")
        citation = seen.page.get_by_role("textbox", name="Citation")
        citation.fill("cdesk:q_none")
        citation.press("Enter")
        expect(seen.page.get_by_role("alert")).to_contain_text("nothing stands behind cdesk:q_none")
        assert all("400" in each for each in seen.noticed)


@pytest.mark.parametrize("path", ["/questions", "/questions/spend_by_day", "/artifacts", "artifact", "/explain"])
def test_a_narrow_window_needs_no_sideways_scrolling(browser: Any, busy: Served, long: str, path: str) -> None:
    """In the dark; every control has a name."""
    with watched(browser, busy, viewport={"width": 390, "height": 844}, color_scheme="dark") as seen:
        seen.open(f"/artifacts/{long}" if path == "artifact" else path)
        expect(seen.page.locator(".question-card, .part, .ask-form, tbody tr").first).to_be_visible()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
        nameless = seen.page.evaluate("""() => [...document.querySelectorAll("a, button, summary, input, select, section")]
            .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).length""")
        assert nameless == 0
        seen.calm()
