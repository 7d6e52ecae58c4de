"""Long questions in Chromium: how they stand, cancelled, their rows page by page, and what a sample may be off by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.query.test_ticket import DIGITS, ENDLESS
from tests.surface.page_service import Served, answer, serve
from tests.web.browser import Watched, chromium, sync_api, watched

expect = sync_api.expect
PATIENCE_S = 60.0
MARKUP = "<img src=x onerror=xss('title')>"
HUNDRED = f"SELECT a.d + 10 * b.d AS n FROM {DIGITS} AS a(d), {DIGITS} AS b(d) ORDER BY n"
SPEND = """-- question: sampled
-- title: Dollars by model, of a part
-- description: One for each model.
-- version: 1
-- parameter: days integer 1 to 366 = 30: so many days back
-- column: model text: its name
-- column: cost_usd number in USD: dollars
-- roles: owner
-- access: figures
-- cap: 1 MB
-- cache: 1 h
-- chart: bars model cost_usd
-- reads: stream

SELECT _model AS model, SUM(revenue_impact) AS cost_usd FROM CLAUDE_STREAM_V2
WHERE ts >= :since AND activity = 'claude_responded' GROUP BY 1 ORDER BY 2 DESC
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("tickets")) as running:
        now = datetime.now(UTC)
        running.put(*(answer(now - timedelta(minutes=11 * n), 0.25) for n in range(300)))
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Watched]:
    with watched(browser, served) as seen:
        yield seen
        seen.calm()


@dataclass
class Costly:
    """Expects four times as much of a question as it may read."""

    bytes: int = 4 * 10**6
    rows: int = 300

    def estimate(self, sql: str, parameters: Any) -> Costly:
        return self


def part(page: Watched, name: str) -> Any:
    return page.page.get_by_role("region", name=name, exact=True)


def submitted(served: Served, sql: str, **more: Any) -> str:
    return str(served.client.post("/v1/queries", json={"sql": sql, **more}).json()["ticket"])


def test_a_long_question_is_watched_and_cancelled(page: Watched, served: Served) -> None:
    """From the list, which looks again by itself; after one more question."""
    submitted(served, ENDLESS, title=f"Endless {MARKUP}")
    page.open("/tickets")
    row = page.page.get_by_role("region", name="Tickets").locator("tbody tr").first
    expect(row).to_contain_text("running")
    expect(row).to_contain_text(MARKUP)
    row.get_by_role("button", name=re.compile("^Cancel Endless")).click()
    row.get_by_role("button", name="Cancel it").click()
    expect(row).to_contain_text("cancelled")
    expect(page.page.locator(".outcome-line")).to_have_text("Cancelled: what ran is broken off.")


def test_its_rows_are_paged_through(page: Watched, served: Served) -> None:
    """By cursor; it leads to the artifact that holds all of them."""
    ticket = submitted(served, HUNDRED, title="A hundred")
    served.app.tickets.wait(ticket, PATIENCE_S)
    page.open("/tickets")
    page.page.get_by_role("link", name="A hundred").click()
    expect(part(page, "Answer")).to_contain_text("rows 1 to 50 of 100")
    part(page, "Answer").get_by_role("button", name="Next").click()
    expect(part(page, "Answer")).to_contain_text("rows 51 to 100 of 100")
    expect(part(page, "Answer").locator("tbody tr").last).to_have_text("99")
    part(page, "How it stands").get_by_role("link", name=re.compile("^art_|^[0-9a-f-]+$")).click()
    expect(page.page.get_by_role("heading", level=1)).to_have_text("A hundred")


def test_one_that_failed_says_why(page: Watched, served: Served) -> None:
    ticket = submitted(served, "SELECT nope")
    served.app.tickets.wait(ticket, PATIENCE_S)
    page.open(f"/tickets/{ticket}")
    expect(part(page, "Answer")).to_contain_text("nope")
    expect(part(page, "How it stands")).to_contain_text("failed")


def test_a_sampled_answer_is_drawn_with_what_it_may_be_off_by(
    browser: Any, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whisker on the bar, the ± beside its figure, and what both mean."""
    templates = served.app.home.templates
    templates.mkdir(exist_ok=True)
    (templates / "sampled.sql").write_text(SPEND)
    monkeypatch.setattr(served.app.asker, "_estimator", Costly())
    with watched(browser, served) as seen:
        seen.open("/questions/sampled")
        seen.page.get_by_role("alert").get_by_role("button", name="Answer from a sample").click()
        bars = part(seen, "Answer").locator(".bar-list")
        expect(bars.locator(".whisker")).to_have_count(1)
        expect(bars).to_contain_text(re.compile(r"\$[\d.]+ ± \$[\d.]+"))
        expect(part(seen, "Answer").locator(".error-legend")).to_contain_text("± (95 %)")
        assert all("400" in each for each in seen.noticed)
