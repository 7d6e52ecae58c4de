"""The page that says what cdesk itself costs, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.surface.page_service import NOW, Served, held, serve
from tests.surface.team_cost import team
from tests.web.browser import Watched, chromium, sync_api, watched

from cdesk.config import PersonSettings, Settings, SnowflakeSettings
from cdesk.cost.book import Used

expect = sync_api.expect


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Served]:
    """A home with some days of work, and a team's warehouse whose budget is nearly spent."""
    settings = Settings(person=PersonSettings(customer="ada@example.org"),
                        snowflake=SnowflakeSettings(account="a", user="u"))  # fmt: skip
    with serve(tmp_path_factory.mktemp("spent"), held(NOW), settings=settings) as served:
        team(served)
        for workload, tag, used in (
            ("ingest", "", Used(1_204, 83.4, 3e8, 9e8)), ("tasks", "task:roll_up_activity", Used(310, 41.2, 1e8, 2e8)),
            ("interactive", "q_19a3_0f3b", Used(96, 12.7, 5e7, 0)), ("batch", "q_19a4_77aa", Used(2, 6.1, 4e8, 1e6)),
        ):  # fmt: skip
            served.app.book.add(workload, tag, used)
        yield served


@pytest.fixture(params=[1280, 390])
def page(request: pytest.FixtureRequest, browser: Any, spent: Served) -> Iterator[Watched]:
    with watched(browser, spent, viewport={"width": request.param, "height": 900}) as seen:
        yield seen
        seen.calm()


def test_both_warehouses_are_told_and_the_budget(page: Watched) -> None:
    """Nothing stands out of the page, on a wide one and on a phone."""
    page.open("/cost")
    here = page.page.get_by_role("region", name="This machine", exact=True)
    there = page.page.get_by_role("region", name="Snowflake", exact=True)
    expect(here.get_by_role("row")).to_have_count(1 + 5)
    expect(here).to_contain_text("83.4 s")
    expect(there).to_contain_text("$83.70 of $100.00 today, most of the budget is spent")
    expect(there).to_contain_text("2.40 credits are estimated")
    expect(page.page.locator(".chart canvas")).to_have_count(2)
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_dearest_are_told_by_name(page: Watched) -> None:
    page.open("/cost?by=tag")
    expect(page.page.get_by_role("region", name="This machine", exact=True)).to_contain_text("task:roll_up_activity")
    expect(page.page.get_by_role("region", name="Snowflake", exact=True)).to_contain_text("cdesk:task:roll_up_activity")


def test_without_snowflake_it_says_how_there_would_be_one(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serve(tmp_path_factory.mktemp("alone")) as served, watched(browser, served) as seen:
        seen.open("/cost")
        expect(seen.page.get_by_role("region", name="Snowflake", exact=True)).to_contain_text("config.toml")
        seen.open("/cost?by=tag")
        expect(seen.page.get_by_role("region", name="This machine", exact=True)).to_contain_text(
            "Nothing was asked or run"
        )
        seen.calm()
