"""The context page over HTTP: what Claude is told and was told, what stands behind it, and who may correct it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.surface.page_service import NOW, Served, ago, answer, call, held, prompt, row, serve

from cdesk.clock import Clock
from cdesk.config import PersonSettings, Settings
from cdesk.context.cache import ContextReader
from cdesk.context.model import ContextKey
from cdesk.governance.consent import Consent
from cdesk.surface.http.told import ACTS, PATH, at_page

PROJECT = "/work/alpha"
NOTE = {"subject": "tests", "metric": "command", "statement": "Tests run with make ci.", "value": "make ci"}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """For who changes nothing."""
    with serve(tmp_path_factory.mktemp("told"), held(NOW)) as running:
        yield filled(running)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Each look at the clock is a microsecond after the one before: of two words on an insight the later one stands."""
    looks = count(int(NOW.timestamp()) * 1_000_000)
    with serve(tmp_path / "home", Clock(now_ns=lambda: next(looks) * 1000)) as running:
        yield filled(running)


@pytest.fixture
def browser(served: Served) -> Iterator[httpx.Client]:
    """Came in by a link, and sends what the page's own script sends."""
    with httpx.Client(base_url=served.url, headers={"Origin": served.url}) as client:
        client.get(served.link())
        yield client


def filled(served: Served) -> Served:
    """A failure in one project, an answer in another, an insight of Claude's that rests on the prompt."""
    served.put(
        prompt(ago(minutes=9), "Build it"), call(ago(minutes=8), False, error="exit 1"), answer(ago(minutes=7), 0.25),
        answer(ago(days=1), 0.5, "s2", project_path="/work/beta"),
    )  # fmt: skip
    [(asked,)] = served.app.warehouse.query(
        "SELECT activity_id FROM CLAUDE_STREAM_V2 WHERE activity = 'user_asked'"
    ).rows
    note = {**NOTE, "author": "claude", "project_path": PROJECT, "evidence": [str(asked)]}
    assert served.client.post("/v1/insights", json=note).status_code == 200
    settle(served)
    return served


def settle(served: Served) -> None:
    """What the service does by itself a moment later."""
    served.app.uploader.drain()
    for task in ("refresh_context_inputs", "roll_up_activity", "record_insights"):
        served.app.tasks.run(task)
    for project in (None, PROJECT, "/work/beta"):
        served.app.contexts.now(ContextKey("ada@example.org", project))


def hook(served: Served, event: str, session: str = "s-new", **more: str) -> str:
    """A hook of Claude Code asks what there is to tell; what it is answered."""
    payload = {"hook_event_name": event, "session_id": session, "cwd": PROJECT, "source": "startup", **more}
    raw = json.dumps(payload).encode()
    given = served.app.answers.answer(raw, served.app.clock.now_ns(), is_proven=True)
    served.app.uploader.drain()
    return str(json.loads(given)["hookSpecificOutput"]["additionalContext"]) if given else ""


def lines(served: Served, **asked: str) -> list[dict[str, Any]]:
    return list(served.get("context", **{"project": PROJECT, **asked})["context"]["lines"])


def insight(served: Served) -> dict[str, Any] | None:
    return next((line for line in lines(served) if line["section"] == "insight"), None)


def act(browser: httpx.Client, id_: str, body: dict[str, str]) -> httpx.Response:
    return browser.post(f"{PATH}/insights/{id_}/corrections", json=body)


# -- what it tells -------------------------------------------------------------------------------------------------


def test_every_line_says_why_and_where_it_is_from(read: Served) -> None:
    """And whether it has room in what a hook tells."""
    page = read.get("context", project=PROJECT)
    found = page["context"]
    assert (found["project"], found["kind"], found["is_stale"]) == (PROJECT, "default", False)
    assert found["version"] and found["built_at"] == pytest.approx(NOW.timestamp(), abs=1)
    assert {"failure", "insight", "thread", "usage"} <= {line["section"] for line in found["lines"]}
    assert all(line["why"] and line["sources"] and line["is_told"] for line in found["lines"])
    scores = [line["score"] for line in found["lines"]]
    assert scores == sorted(scores, reverse=True)
    assert (page["hook"], page["characters"], page["told"], page["silenced"]) == ("brief", 1500, [], [])


def test_projects_are_listed_by_their_newest_data(read: Served) -> None:
    """A folder that nothing is known of is no project, also after somebody asked for it."""
    assert read.get("context", project="/never/seen")["context"]["lines"] == []
    places = read.get("context")["places"]
    assert [place["project_path"] for place in places if place["project_path"]] == [PROJECT, "/work/beta"]
    assert [place["data_as_of"] for place in places] == sorted((p["data_as_of"] for p in places), reverse=True)


def test_a_cache_that_is_lost_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache.sqlite").write_bytes(b"not a cache")
    assert ContextReader(tmp_path / "cache.sqlite").places("ada@example.org", 9) == []
    assert ContextReader(tmp_path / "none.sqlite").places("ada@example.org", 9) == []


def test_another_kind_is_not_told_by_hooks(read: Served) -> None:
    """Claude gets it when it asks."""
    assert lines(read, kind="engineer") and not any(line["is_told"] for line in lines(read, kind="engineer"))


def test_what_has_no_room_is_not_marked_as_told(served: Served) -> None:
    """The marks are what a session that starts now is told, to the line."""
    served.put(*(call(ago(minutes=at), False, error=f"exit {at}: " + "x" * 150) for at in range(20, 32)))
    settle(served)
    text = hook(served, "SessionStart")
    found = lines(served)
    assert {line["text"] for line in found if line["is_told"]} == {
        line["text"] for line in found if line["text"] in text
    }
    assert 0 < sum(line["is_told"] for line in found) < len(found)


# -- when it was told ----------------------------------------------------------------------------------------------


def test_what_a_session_was_told_is_there_to_the_letter(served: Served) -> None:
    """With each line's reason and sources as they were then, and the way to the session."""
    text = hook(served, "SessionStart")
    [told] = served.get("context", project=PROJECT)["told"]
    assert (told["by"], told["session"], told["text"], told["channel"]) == ("SessionStart", "s-new", text, "service")
    assert (told["is_whole"], told["is_stale"], told["project"]) == (True, False, PROJECT)
    assert told["bytes"] == len(text.encode()) and 0 <= told["age_ms"] < 1000
    known = {line["text"]: line for line in lines(served)}
    assert told["lines"]
    for line in told["lines"]:
        assert line == {name: known[line["text"]][name] for name in ("text", "section", "sources", "why")}
    entries = served.get("sessions/s-new")["entries"]
    assert told["id"] in [entry["id"] for entry in entries if entry["activity"] == "context_hydrated"]


def test_what_claude_asked_for_itself_counts(served: Served) -> None:
    """A call of get_context that was answered; neither one that failed nor another tool."""
    served.put(
        row("mcp_called", ago(minutes=3), method="get_context", mcp_server="cdesk", context_size=900, cache_age_ms=12.0),
        row("mcp_called", ago(minutes=2), method="get_context", mcp_server="cdesk", success=False),
        row("mcp_called", ago(minutes=1), method="search_activity", mcp_server="cdesk"),
    )  # fmt: skip
    [told] = served.get("context", project=PROJECT)["told"]
    assert (told["by"], told["bytes"], told["age_ms"], told["text"], told["lines"]) == (
        "get_context",
        900,
        12.0,
        None,
        [],
    )


def test_the_latest_are_told_first_and_of_this_project_only(served: Served) -> None:
    """However long ago; without a project, of all."""
    calls = {"method": "get_context", "mcp_server": "cdesk"}
    served.put(
        row("mcp_called", ago(days=400), **calls), row("mcp_called", ago(days=9), **calls),
        row("mcp_called", ago(hours=1), **{**calls, "project_path": "/work/beta"}),
    )  # fmt: skip
    hook(served, "SessionStart")
    here = [told["ts"] for told in served.get("context", project=PROJECT)["told"]]
    assert len(here) == 3 and here == sorted(here, reverse=True)
    assert len(served.get("context")["told"]) == 4


def test_words_that_were_not_kept_are_not_shown(tmp_path: Path) -> None:
    """The telling itself is."""
    settings = Settings(person=PersonSettings(customer="ada@example.org"), consent=Consent(text="drop"))
    with serve(tmp_path / "home", held(NOW), settings=settings) as served:
        served.put(call(ago(minutes=8), True), answer(ago(minutes=7), 0.25))
        settle(served)
        assert hook(served, "SessionStart")
        [told] = served.get("context", project=PROJECT)["told"]
        assert (told["text"], told["lines"]) == (None, []) and told["bytes"] > 0


# -- where it is from ----------------------------------------------------------------------------------------------


def test_every_source_leads_somewhere(read: Served) -> None:
    """Activities to their session, insights to what they rest on, figures to a question that gives them again."""
    cited = {source for line in lines(read) for source in line["sources"]}
    assert {source.split(":")[0] for source in cited} == {"activity", "atom", "cdesk"}
    for source in cited:
        found = read.get("context/source", citation=source)
        said = found["explanation"]["said"]
        match found["explanation"]["is_a"]:
            case "activity":
                assert said["session"] == "s1" and found["insight"] is None
                entries = read.get("sessions/s1")["entries"]
                assert said["activity_id"] in [entry["id"] for entry in entries]
            case "insight":
                assert found["insight"]["insight"]["statement"] == NOTE["statement"]
                assert [each["session_id"] for each in found["insight"]["evidence"]] == ["s1"]
            case "query":
                assert read.client.post("/v1/sql", json={"sql": said["query_text"]}).json()["rows"]


@pytest.mark.parametrize("citation", ["", "nonsense", "atom:", "atom:none", "activity:none", "x" * 500])
def test_what_nothing_stands_behind_is_said(read: Served, citation: str) -> None:
    got = read.client.get(f"{PATH}/source", params={"citation": citation})
    assert got.status_code == 400 and got.json()["error"]


# -- acting --------------------------------------------------------------------------------------------------------


def test_an_insight_is_silenced_and_restored(served: Served, browser: httpx.Client) -> None:
    """Claude is not told it meanwhile, and the page says what is kept from it."""
    before = insight(served)
    assert before and "Tests run with make ci" in hook(served, "SessionStart", "a")
    id_ = before["sources"][0].removeprefix("atom:")
    assert act(browser, id_, {"action": "silence"}).status_code == 200
    settle(served)
    assert insight(served) is None and "make ci" not in hook(served, "SessionStart", "b")
    [kept] = served.get("context", project=PROJECT)["silenced"]
    assert (kept["id"], kept["state"], kept["statement"]) == (id_, "silenced", NOTE["statement"])
    assert served.get("context")["silenced"] == [kept] and served.get("context", project="/work/beta")["silenced"] == []
    assert act(browser, id_, {"action": "restore"}).status_code == 200
    settle(served)
    assert insight(served) == before and served.get("context", project=PROJECT)["silenced"] == []


def test_an_insight_is_corrected(served: Served, browser: httpx.Client) -> None:
    """In a person's words, of which the page knows where they are from."""
    before = insight(served)
    assert before
    told = {"action": "correct", "statement": "Tests run with nox.", "reason": "make is gone"}
    assert act(browser, before["sources"][0].removeprefix("atom:"), told).status_code == 200
    settle(served)
    after = insight(served)
    assert after and after["text"] == 'Noted by a person: "Tests run with nox.".'
    found = served.get("context/source", citation=before["sources"][0])["insight"]
    assert (found["insight"]["state"], found["superseded_by"]["statement"]) == ("superseded", "Tests run with nox.")
    assert [(said["action"], said["reason"]) for said in found["said_later"]] == [("correct", "make is gone")]


def test_what_cannot_be_meant_is_refused(served: Served, browser: httpx.Client) -> None:
    """And changes nothing."""
    found = insight(served)
    assert found
    bodies: list[dict[str, str]] = [
        {},
        {"action": "forget"},
        {"action": "correct"},
        {"action": "silence", "mood": "bad"},
    ]
    for body in bodies:
        got = act(browser, found["sources"][0].removeprefix("atom:"), body)
        assert got.status_code == 400 and got.json()["error"]
    settle(served)
    assert insight(served) == found


def test_another_page_cannot_act(read: Served) -> None:
    """Nor can who has no visit, though it says where it comes from."""
    url = f"{read.url}{PATH}/insights/x/corrections"
    with httpx.Client(headers={"Origin": read.url, "Content-Type": "application/json"}) as browser:
        browser.get(read.link())
        assert browser.post(url, content=b'{"action": "silence"}').status_code == 400
        for headers, status in (
            ({"Origin": "http://127.0.0.1:1"}, 403), ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "same-site"}, 401),
            ({"Content-Type": "text/plain"}, 401),
        ):  # fmt: skip
            assert browser.post(url, content=b'{"action": "silence"}', headers=headers).status_code == status
    assert httpx.post(url, json={"action": "silence"}, headers={"Origin": read.url}).status_code == 401


def test_the_page_corrects_and_does_nothing_else(browser: httpx.Client) -> None:
    """No visit records an insight, nor uses the service's own door."""
    for path in (*ACTS, "/v1/insights", at_page("/v1/insights"), at_page("/v1/sql")):
        got = browser.post(path.replace("{id}", "x"), json={"action": "silence"})
        assert got.status_code in ((401,) if path.startswith("/v1/insights") else (404, 405)), path
