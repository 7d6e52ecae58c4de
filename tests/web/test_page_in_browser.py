"""The page in Chromium, on real transcripts and on what somebody might write to break it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.shared_data import shared_data
from tests.surface.page_service import Served, answer, call, held, prompt, row, serve
from tests.web.browser import Watched, chromium, sync_api, watched

expect = sync_api.expect


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Served]:
    """Real transcripts, looked at on a day when some of them were new."""
    with serve(tmp_path_factory.mktemp("recorded"), held(datetime(2025, 11, 29, 18, tzinfo=UTC))) as served:
        served.app.import_transcripts([shared_data("transcripts")])
        yield served


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("empty"), is_uploading=True) as served:
        yield served


@pytest.fixture
def page(browser: Any, recorded: Served) -> Iterator[Watched]:
    with watched(browser, recorded) as seen:
        yield seen
        seen.calm()


# -- what is there -------------------------------------------------------------------------------------------------


def test_the_first_page_shows_what_happened(page: Watched) -> None:
    """Five tiles, the chart, sessions and failures; nothing asked of anybody else, nothing complained about."""
    page.open("/?days=90")
    expect(page.page.locator(".tile")).to_have_count(5)
    expect(page.page.locator(".tile").first).to_contain_text("$")
    expect(page.page.locator(".chart canvas")).to_have_count(1)
    expect(page.page.get_by_role("region", name="Sessions now").locator("li").first).to_be_visible()
    expect(page.page.get_by_role("region", name="Latest failures").locator("li").first).to_be_visible()
    expect(page.page.get_by_text("Live", exact=True)).to_be_visible()


def test_the_chart_is_also_a_table(page: Watched) -> None:
    """With the same total as the tile."""
    page.open("/?days=90&as=table")
    table = page.page.get_by_role("region", name="The chart as a table")
    expect(table.locator("tbody tr")).to_have_count(90)
    cells = table.locator("tbody tr td:last-child").all_inner_texts()
    total = sum(float(cell.replace("$", "").replace(",", "").replace("<", "")) for cell in cells)
    tile = page.page.locator(".tile .value").first.inner_text()
    assert total == pytest.approx(float(tile.replace("$", "").replace("≥", "").replace(",", "")), abs=0.5)


def test_a_session_is_a_story_with_subagents_inside(page: Watched) -> None:
    """Prompts, tools, costs; a subagent's work opens within it."""
    page.open("/sessions/ef958aa1-0e93-49f0-bb71-150f63befcd1")
    expect(page.page.locator(".turn")).not_to_have_count(0)
    expect(page.page.locator(".facts")).to_contain_text("$5.45")
    agent = page.page.locator("details.agent").first
    expect(agent.locator(".items").first).to_be_hidden()
    agent.locator("summary").first.click()
    expect(agent.locator(".items").first).to_be_visible()


def test_projects_can_be_sorted(page: Watched) -> None:
    """By any column, both ways; a project leads to its sessions."""
    page.open("/projects?days=90")
    heading = page.page.get_by_role("columnheader", name="Sessions")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    name = page.page.locator("tbody th a").first.inner_text()
    page.page.locator("tbody th a").first.click()
    expect(page.page.locator(".chip")).to_contain_text(name)
    expect(page.page.locator("tbody tr").first).to_be_visible()


def test_going_back_goes_back(page: Watched) -> None:
    """Addresses are real ones: back, forward and reload work."""
    page.open("/sessions")
    page.page.locator("tbody th a").first.click()
    expect(page.page.locator(".turn").first).to_be_visible()
    page.page.reload()
    expect(page.page.locator(".turn").first).to_be_visible()
    page.page.go_back()
    expect(page.page.get_by_role("heading", name="Sessions", level=1)).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/?days=90", "/sessions", "/sessions/ef958aa1-0e93-49f0-bb71-150f63befcd1", "/projects?days=90"]
)
def test_a_narrow_window_needs_no_sideways_scrolling(browser: Any, recorded: Served, path: str) -> None:
    """Wide tables scroll in their own place."""
    with watched(browser, recorded, viewport={"width": 420, "height": 900}) as seen:
        seen.open(path)
        expect(seen.page.locator(".tile, .turn, tbody tr").first).to_be_visible()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 420
        seen.calm()


# -- who is not let in, and what is not there -----------------------------------------------------------------------


def test_who_is_not_let_in_is_told_how(browser: Any, empty: Served) -> None:
    """And who comes with a used link, too."""
    with watched(browser, empty, is_let_in=False) as seen:
        seen.open("/")
        expect(seen.page.get_by_role("heading", name="This page is locked")).to_be_visible()
        expect(seen.page.get_by_text("cdesk open")).to_be_visible()
        link = empty.link()
        with watched(browser, empty, is_let_in=False) as other:
            other.page.goto(link)
            expect(other.page.get_by_role("heading", name="Nothing is recorded yet")).to_be_visible()
            other.calm()
        seen.page.goto(link)
        expect(seen.page.get_by_role("heading", name="This link is used up")).to_be_visible()


def test_an_empty_page_says_what_to_do(browser: Any, empty: Served) -> None:
    """Three ways to begin, on every page."""
    with watched(browser, empty) as seen:
        expect(seen.page.get_by_text("cdesk up --sample")).to_be_visible()
        seen.open("/sessions")
        expect(seen.page.get_by_text("No session yet")).to_be_visible()
        seen.open("/projects")
        expect(seen.page.get_by_text("No project in these days")).to_be_visible()
        seen.open("/sessions/nobody")
        expect(seen.page.get_by_text("No session has this id")).to_be_visible()
        assert [each for each in seen.noticed if "404" not in each] == []


# -- live ----------------------------------------------------------------------------------------------------------


def test_what_is_emitted_appears_without_a_reload(browser: Any, empty: Served) -> None:
    """From `cdesk emit` through the queue and the warehouse to the list of sessions, and into an open session."""
    with watched(browser, empty) as seen:
        expect(seen.page.get_by_text("Live", exact=True)).to_be_visible()
        emit(empty, prompt(datetime.now(UTC), "Water the plants", "live-1", project_path="/home/robin/garden"))
        live = seen.page.get_by_role("region", name="Sessions now").locator("li")
        expect(live.first).to_contain_text("garden")
        live.first.get_by_role("link").click()
        expect(seen.page.locator(".turn")).to_contain_text("Water the plants")
        emit(empty, call(datetime.now(UTC), True, "live-1", parameters={"command": "open valve"}))
        expect(seen.page.locator(".tool")).to_contain_text("open valve")
        seen.calm()


def emit(served: Served, *activities: dict[str, Any]) -> None:
    given = "\n".join(json.dumps(activity) for activity in activities)
    environment = {**os.environ, "CDESK_HOME": str(served.app.home.path)}
    subprocess.run(
        [sys.executable, "-m", "cdesk", "emit"], input=given.encode(), env=environment, check=True, capture_output=True
    )


# -- by keyboard ---------------------------------------------------------------------------------------------------


def test_the_page_can_be_used_by_keyboard(page: Watched) -> None:
    """Skip link, chart, choices, navigation; focus goes to the new page's heading."""
    page.open("/?days=90")
    keys = page.page.keyboard
    expect(page.page.locator(".chart canvas")).to_have_count(1)
    keys.press("Tab")
    expect(page.page.get_by_text("Skip to the content")).to_be_focused()
    page.page.locator(".chart").focus()
    keys.press("End")
    expect(page.page.locator(".tip")).to_contain_text("29 Nov")
    keys.press("ArrowLeft")
    expect(page.page.locator(".tip")).to_contain_text("28 Nov")
    keys.press("Escape")
    expect(page.page.locator(".tip")).to_have_count(0)
    page.page.get_by_role("radio", name="Model").focus()
    keys.press("ArrowRight")
    expect(page.page.get_by_role("heading", name="Cost by project")).to_be_visible()
    page.page.get_by_role("link", name="Sessions", exact=True).focus()
    keys.press("Enter")
    expect(page.page.get_by_role("heading", name="Sessions", level=1)).to_be_focused()


def test_everything_that_can_be_used_has_a_name(page: Watched) -> None:
    """No nameless button, link, choice or region on any page."""
    for path in ("/?days=90", "/sessions", "/sessions/ef958aa1-0e93-49f0-bb71-150f63befcd1", "/projects?days=90"):
        page.open(path)
        expect(page.page.locator(".tile, .turn, tbody tr").first).to_be_visible()
        nameless = page.page.evaluate("""() => [...document.querySelectorAll("a, button, input, [role=region], summary")]
            .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
                             || e.closest("label")?.textContent.trim()))
            .map((e) => e.outerHTML.slice(0, 120))""")
        assert nameless == []
        assert page.page.locator("main h1").count() == 1
        assert page.page.locator("main").count() == page.page.locator("header.top nav").count() == 1


# -- light and dark ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_one_is_chosen(browser: Any, recorded: Served, scheme: str) -> None:
    """A choice outlives a reload, and can be taken back."""
    with watched(browser, recorded, color_scheme=scheme) as seen:
        background = "getComputedStyle(document.body).backgroundColor"
        of_system = seen.page.evaluate(background)
        other = "light" if scheme == "dark" else "dark"
        button = seen.page.get_by_role("button", name="Theme")
        for _ in range(3):
            if seen.page.evaluate("document.documentElement.dataset.theme") == other:
                break
            button.click()
        assert seen.page.evaluate(background) != of_system
        seen.page.reload()
        assert seen.page.evaluate(background) != of_system
        while seen.page.evaluate("document.documentElement.dataset.theme"):
            button.click()
        assert seen.page.evaluate(background) == of_system
        seen.calm()


# -- text stays text -----------------------------------------------------------------------------------------------

MARKUP = [
    "<script>xss('script')</script>",
    "<img src=x onerror=xss('img')>",
    "\"><svg/onload=xss('svg')>",
    "'><iframe srcdoc=\"<script>parent.xss('iframe')</script>\"></iframe>",
    "javascript:xss('url')",
    "</title></style></textarea><script>xss('out')</script>",
    "<details open ontoggle=xss('toggle')><summary>x</summary></details>",
    "{{constructor.constructor('xss()')()}} ${xss('template')}",
    "<a href=\"javascript:xss('link')\">here</a>",
    "[x](javascript:xss('markdown)) `<b onmouseover=xss('code')>`",
    "%3Cscript%3Exss('percent')%3C/script%3E",
    "\u202e\u2066<script>xss('bidi')</script>",
]
SESSION = "<img src=x onerror=xss('session')>/../%00?#"


def naughty() -> list[str]:
    found: list[str] = json.loads((shared_data("naughty-strings") / "blns.json").read_text("utf-8"))
    return [text for text in found if text.strip()]


def hostile(texts: list[str]) -> list[dict[str, Any]]:
    """Each text wherever the page shows text."""
    now = datetime.now(UTC) - timedelta(minutes=20)
    rows = []
    for n, text in enumerate(texts):
        at = now + timedelta(seconds=n)
        common: dict[str, Any] = {"project_path": f"/x/{text}", "git_branch": text}
        rows += [
            prompt(at, text, SESSION, command_name=text if n % 2 else None, prompt_kind=text if n % 3 == 2 else "human", **common),
            answer(at, 0.1, SESSION, model=text, response_text=text, message_id=f"m{n}", **common),
            call(at, False, SESSION, tool_name=text, error=text, error_type=text, tool_use_id=f"t{n}",
                 parameters={text: text, "command": text, "description": text}, **common),
            row("file_edited", at, SESSION, file_path=text, operation=text, tool_use_id=f"t{n}", lines_added=1, **common),
            row("subagent_started", at, SESSION, subagent_id=text, agent_id=text, agent_type=text, description=text, **common),
            call(at, None, SESSION, tool_name=text, agent_id=text, tool_use_id=f"u{n}", **common),
            row("api_request_failed", at, SESSION, error=text, error_type=text, model=text, **common),
            row("message_injected", at, SESSION, kind=text, text=text, **common),
            row("hook_ran", at, SESSION, hook_name=text, outcome=text, **common),
            row("context_compacted", at, SESSION, trigger=text, **common),
            row(text.strip()[:60] or "x", at, SESSION, message=text, **common),
            prompt(at, text, f"{text[:40]} {n}", **common),
            row("session_titled", at, f"{text[:40]} {n}", title=text, **common),
        ]  # fmt: skip
    return rows


@pytest.mark.parametrize("texts", [MARKUP, pytest.param(None, id="naughty-strings")])
def test_text_stays_text(browser: Any, tmp_path: Path, texts: list[str] | None) -> None:
    """Whatever prompts, tools, paths, models and errors are called: no script runs, no element comes of it."""
    texts = texts or naughty()
    with serve(tmp_path / "home") as served:
        receipt = served.app.intake.take(hostile(texts))
        assert receipt.accepted > len(texts) * 10
        served.app.uploader.drain()
        with watched(browser, served) as seen:
            for path in ("/?days=1", "/?days=1&by=project", "/?days=1&by=project&as=table", "/sessions", "/projects?days=1",
                         f"/sessions?project={quote('/x/' + texts[0], safe='')}", f"/sessions/{quote(SESSION, safe='')}"):  # fmt: skip
                seen.open(path)
                expect(seen.page.locator(".tile, .turn, tbody tr").first).to_be_visible()
                if "/sessions/" in path:
                    everything_open(seen)
                made = seen.page.evaluate("""() => [...document.querySelectorAll("body *")].filter((e) =>
                    ["SCRIPT", "IFRAME", "OBJECT", "EMBED", "STYLE", "BASE", "FORM", "VIDEO", "AUDIO", "MARQUEE"].includes(e.tagName)
                    || (e.tagName === "IMG" && !e.src.endsWith("/mark.svg"))
                    || [...e.attributes].some((a) => a.name.startsWith("on")
                        || (["href", "src", "action", "xlink:href"].includes(a.name) && /^\\s*javascript:/i.test(a.value))))
                    .map((e) => e.outerHTML.slice(0, 200))""")
                assert made == []
            assert seen.page.locator(".turn").count() > 0
            shown = seen.page.locator("main").inner_text()
            if texts is MARKUP:
                assert all(text.split("\u2066")[-1] in shown for text in texts)
            seen.calm()


def everything_open(seen: Watched) -> None:
    while seen.page.get_by_role("button", name="more of").count():
        seen.page.get_by_role("button", name="more of").click()
    seen.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")


def test_the_policy_stops_what_slips_through(page: Watched) -> None:
    """Even our own code cannot turn text into elements: the browser refuses."""
    page.open("/")
    expect(page.page.locator(".tile").first).to_be_visible()
    outcome = page.page.evaluate("""() => {
        try { document.querySelector("main").innerHTML = "<img src=x onerror=xss()>"; return "made"; }
        catch (error) { return error.name; }
    }""")
    assert outcome == "TypeError"
    page.noticed.clear()
