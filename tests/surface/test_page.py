"""What the page asks, over HTTP: who is let in, what is answered, and what the stream tells."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.shared_data import shared_data
from tests.surface.page_service import NOW, TOKEN, Served, ago, answer, call, held, prompt, row, serve

from cdesk.activity.pricing import PriceBook
from cdesk.query import page as questions
from cdesk.query.text import prepared, text
from cdesk.query.usage import Usages
from cdesk.sql.dialect import to_duckdb
from cdesk.surface.http import page
from cdesk.surface.http.page import Memory, Visits


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small build in place of the real one."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>cdesk</title>")
    (dist / "assets" / "index-abc123.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("not part of the page")
    monkeypatch.setattr(page, "DIST", dist)
    return dist


@pytest.fixture(params=["stream", "rollup"])
def served(tmp_path: Path, built: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    """Whose answers come from the stream alone, or from the rollup and what came after it."""
    with serve(tmp_path / "home", held(NOW)) as running:
        running.is_rolled = request.param == "rollup"
        yield running


# -- who is let in -------------------------------------------------------------------------------------------------

ROUTES = ("overview", "sessions", "sessions/s1", "projects", "context", "context/source", "health", "events")


@pytest.mark.parametrize("route", ROUTES)
def test_data_is_for_who_has_the_token_or_the_cookie(served: Served, route: str) -> None:
    """Neither nothing nor a made-up token or cookie opens a question."""
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Cookie": f"cdesk_{httpx.URL(served.url).port}=99999999999.00"},
    ):
        assert httpx.get(f"{served.url}/v1/page/{route}", headers=headers).status_code == 401


def test_a_link_lets_one_browser_in(served: Served) -> None:
    """It is good once, and sets a cookie that scripts and other sites cannot use."""
    link = served.link()
    first = httpx.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert httpx.get(link).headers["location"] == "/?login=failed"
    assert "set-cookie" not in httpx.get(link).headers


def test_the_cookie_opens_the_page_and_nothing_else(served: Served) -> None:
    """Reading routes of the page and the acts of its health page (test_health.py); no SQL, no import, no status, no key."""
    with httpx.Client(base_url=served.url) as browser:
        browser.get(served.link())
        assert browser.get("/v1/page/overview").status_code == 200
        assert browser.get("/login?key=used").headers["location"] == "/"
        assert browser.get("/v1/status").status_code == 401
        assert browser.post("/v1/page/key").status_code == 401
        assert browser.post("/v1/sql", json={"sql": "SELECT 1"}).status_code == 401
        assert browser.post("/v1/activities", json={}).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_cannot_use_the_cookie(served: Served, site: str) -> None:
    """Another port of this machine is the same site to a browser; it is refused all the same."""
    with httpx.Client(base_url=served.url) as browser:
        browser.get(served.link())
        assert browser.get("/v1/page/overview", headers={"Sec-Fetch-Site": site}).status_code == 401
        assert browser.get("/v1/page/overview", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_a_foreign_host_or_origin_is_refused(served: Served) -> None:
    """Also for the page's own files (DNS rebinding)."""
    assert httpx.get(served.url, headers={"Host": "evil.example"}).status_code == 421
    assert httpx.get(served.url, headers={"Origin": "http://evil.example"}).status_code == 403


def test_keys_grow_old_and_few() -> None:
    """Ten minutes, and no more than KEYS_MAX at a time."""
    clock = [1000.0]
    visits = Visits(TOKEN, 4740, lambda: clock[0])
    old = visits.new_key()
    clock[0] += page.KEY_SECONDS_MAX + 1
    assert not visits.take_key(old)
    first, *others = [visits.new_key() for _ in range(page.KEYS_MAX + 1)]
    assert not visits.take_key(first)
    assert all(visits.take_key(key) for key in others)
    assert not visits.take_key("")


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/sessions", "/sessions/some%2Fid", "/projects", "/health"])
def test_the_shell_is_served_with_a_strict_policy(served: Served, path: str) -> None:
    """Every address of the page gives the same file; scripts and requests stay on this origin."""
    got = httpx.get(served.url + path)
    assert got.status_code == 200
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"] == "no-cache"
    assert httpx.get(served.url + path, headers={"If-None-Match": got.headers["etag"]}).status_code == 304


def test_hashed_files_may_be_kept_for_ever(served: Served) -> None:
    """Their name changes when they do."""
    got = httpx.get(f"{served.url}/assets/index-abc123.js")
    assert "immutable" in got.headers["cache-control"]
    assert got.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/nothing"]
)
def test_only_the_pages_files_are_served(served: Served, path: str) -> None:
    """Nothing beside the folder, however one asks."""
    assert served.client.get(path).status_code == 404
    assert httpx.get(served.url + path).status_code == 401


def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source checkout answers with a plain page."""
    monkeypatch.setattr(page, "DIST", tmp_path / "missing")
    with serve(tmp_path / "home") as served:
        got = httpx.get(served.url)
    assert got.status_code == 503
    assert "make web" in got.text


# -- the first page ------------------------------------------------------------------------------------------------


def test_an_empty_warehouse_answers(served: Served) -> None:
    """Nothing is 0, and nothing is compared."""
    whole = served.get("overview", days=7)
    assert whole["overview"]["activities"] == 0
    assert whole["overview"]["spend"] == {"value": 0.0, "baseline": None, "spark": [0.0] * 7, "unpriced": 0}
    assert whole["overview"]["failures"]["rate"] is None
    assert whole["flow"]["status"]["queue"]["events"] == 0
    assert whole["flow"]["sessions"] == []


def test_figures_are_compared_with_the_mean_of_the_periods_before(served: Served) -> None:
    """Each earlier period ends at the same time of day; what is later in its last day is left out."""
    served.put(
        answer(ago(hours=1), 3.0),
        answer(ago(days=7), 1.0),  # 18:00 is not before 18:00
        answer(ago(days=7, hours=1), 2.0),
        answer(ago(days=14, hours=1), 4.0),
        row("session_started", ago(days=40)),
    )  # fmt: skip
    overview = served.get("overview", days=7)["overview"]
    assert overview["period"]["compared_with"] == 4
    assert overview["spend"]["value"] == pytest.approx(3.0)
    assert overview["spend"]["baseline"] == pytest.approx((2.0 + 4.0) / 4)
    assert overview["tokens"]["value"] == 1000


def test_periods_before_the_history_began_do_not_count(served: Served) -> None:
    """A young history has a baseline of what there is of it, or none."""
    served.put(answer(ago(hours=1), 3.0), answer(ago(days=7, hours=1), 2.0), row("session_started", ago(days=14)))
    overview = served.get("overview", days=7)["overview"]
    assert (overview["period"]["compared_with"], overview["spend"]["baseline"]) == (1, pytest.approx(2.0))
    assert served.get("overview", days=30)["overview"]["spend"]["baseline"] is None


def test_only_counted_answers_count_and_unpriced_is_said(served: Served) -> None:
    """A line that usage reports leave out is left out; an answer without a price is never $0."""
    served.put(
        answer(ago(minutes=3), None, model="somebody-elses-model"),
        answer(ago(minutes=2), 9.0, is_counted=False),
    )  # fmt: skip
    spend = served.get("overview", days=1)["overview"]["spend"]
    assert (spend["value"], spend["unpriced"]) == (None, 1)
    served.put(answer(ago(minutes=1), 0.5))
    spend = Served(served.app, served.url, served.client).get("overview", days=7)["overview"]["spend"]
    assert (spend["value"], spend["unpriced"]) == (pytest.approx(0.5), 1)


def test_failures_are_a_share_of_calls_that_ended(served: Served) -> None:
    """A call that goes on is neither."""
    served.put(
        call(ago(minutes=5), True), call(ago(minutes=4), False, error="no such file"), call(ago(minutes=3), None),
        call(ago(days=1, minutes=5), False), row("session_started", ago(days=3)),
    )  # fmt: skip
    overview = served.get("overview", days=1)["overview"]
    assert overview["failures"] == {
        "failed": 1, "calls": 2, "rate": 0.5, "baseline": 1.0, "spark": overview["failures"]["spark"],
    }  # fmt: skip
    assert sum(overview["failures"]["spark"]) == 1
    assert [each["message"] for each in overview["latest_failures"]] == ["no such file", None]


def test_calls_without_any_result_are_no_failures(served: Served) -> None:
    """Nothing ended: there is no rate, and no error."""
    served.put(call(ago(minutes=3), None))
    assert served.get("overview", days=1)["overview"]["failures"]["rate"] is None


def test_days_are_the_askers(served: Served) -> None:
    """23:30 in London is tomorrow in Berlin, and half past something in India."""
    served.put(answer(datetime(2026, 11, 22, 23, 30, tzinfo=UTC), 1.0))
    assert served.get("overview", days=7, tz="UTC")["overview"]["spend"]["spark"][-2:] == [1.0, 0.0]
    assert served.get("overview", days=7, tz="Europe/Berlin")["overview"]["spend"]["spark"][-2:] == [0.0, 1.0]
    hourly = served.get("overview", days=1, tz="Asia/Kolkata")["overview"]
    at = hourly["spend"]["spark"].index(1.0)
    assert hourly["period"]["buckets"][at] == "2026-11-23T05:00:00+05:30"


def test_the_day_the_clocks_go_back_has_25_hours(tmp_path: Path, built: Path) -> None:
    """Each hour is there once, by its own offset."""
    with serve(tmp_path / "home", held(datetime(2026, 10, 25, 22, 30, tzinfo=UTC))) as served:
        served.put(
            answer(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), 1.0),
            answer(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), 2.0),
        )
        overview = served.get("overview", days=1, tz="Europe/Berlin")["overview"]
    buckets = overview["period"]["buckets"]
    assert len(buckets) == len(set(buckets)) == 25
    assert overview["spend"]["spark"][buckets.index("2026-10-25T02:00:00+02:00")] == 1.0
    assert overview["spend"]["spark"][buckets.index("2026-10-25T02:00:00+01:00")] == 2.0


def test_many_series_become_eight(served: Served) -> None:
    """The smallest are put together; nothing is lost."""
    served.put(*(answer(ago(minutes=n + 1), float(n + 1), model=f"model-{n}") for n in range(12)))
    series = served.get("overview", days=1, by="model")["overview"]["series"]
    assert len(series) == questions.SERIES_MAX
    assert (series[0]["name"], series[-1]["name"], series[-1]["others"]) == ("model-11", None, 5)
    assert sum(sum(each["cost"]) for each in series) == pytest.approx(sum(range(1, 13)))


@pytest.mark.parametrize(
    "given", [{"days": 8}, {"days": "x"}, {"tz": "Mars/Olympus"}, {"by": "customer"}, {"grain": "minute"}, {"days": 30, "grain": "hour"}]
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_a_reason(served: Served, given: dict[str, Any]) -> None:
    """400 and a sentence."""
    got = served.client.get("/v1/page/overview", params=given)
    assert got.status_code == 400
    assert got.json()["error"]


def test_each_source_says_what_it_saw(served: Served) -> None:
    """Activities in these days by who told them."""
    served.put(prompt(ago(minutes=5), "hello"))
    [source] = served.get("overview", days=1)["overview"]["sources"]
    assert (source["source"], source["activities"]) == ("api", 1)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_sessions_come_page_by_page_each_once(served: Served) -> None:
    """Also those that ended at the same moment."""
    served.put(*(prompt(ago(minutes=n // 3), f"number {n}", f"session-{n:02}") for n in range(20)))
    found: list[str] = []
    given: dict[str, Any] = {"limit": 7}
    while True:
        got = served.get("sessions", **given)
        found += [session["id"] for session in got["sessions"]]
        if got["next"] is None:
            break
        given["after"] = got["next"]
    assert sorted(found) == [f"session-{n:02}" for n in range(20)]
    assert served.client.get("/v1/page/sessions", params={"after": "nonsense"}).status_code == 400


def test_a_session_says_what_it_is_about(served: Served) -> None:
    """Its first prompt or title, its sums, what it does now."""
    served.put(
        row("session_started", ago(minutes=9)),
        prompt(ago(minutes=8), "Fix the oven", git_branch="oven"), prompt(ago(minutes=4), "And the door"),
        answer(ago(minutes=7), 0.25, message_id="m1"), answer(ago(minutes=6), None, model="other"),
        call(ago(minutes=3), False, parameters={"command": "make door"}),
    )  # fmt: skip
    [session] = served.get("sessions")["sessions"]
    assert {name: session[name] for name in ("prompt", "doing", "state", "project", "prompts", "responses", "tools", "failed")} == {
        "prompt": "Fix the oven", "doing": "Bash make door", "state": "working", "project": "/work/alpha", "prompts": 2,
        "responses": 2, "tools": 1, "failed": 1,
    }  # fmt: skip
    assert (session["cost"], session["unpriced"], session["tokens"]) == (0.25, 1, 2000)
    assert session["models"] == ["claude-opus-5-5", "other"]


@pytest.mark.parametrize(("last", "state"), [
    (answer(ago(minutes=1), 0.1, stop_reason="end_turn"), "waiting"),
    (answer(ago(minutes=1), 0.1, stop_reason="tool_use"), "working"),
    (row("turn_completed", ago(minutes=1)), "waiting"),
    (row("session_ended", ago(minutes=1)), "ended"),
])  # fmt: skip
def test_a_session_is_in_a_state(served: Served, last: dict[str, Any], state: str) -> None:
    """By what it did last."""
    served.put(prompt(ago(minutes=2), "go"), last)
    assert served.get("sessions")["sessions"][0]["state"] == state


def test_a_session_falls_quiet(served: Served) -> None:
    """After half an hour of nothing."""
    served.put(prompt(ago(minutes=31), "go"))
    assert served.get("sessions")["sessions"][0]["state"] == "quiet"


def test_sessions_of_a_project(served: Served) -> None:
    """Only those; none for a project nobody knows."""
    served.put(answer(ago(minutes=2), 0.1, "a"), answer(ago(minutes=1), 0.1, "b", project_path="/work/beta' OR 1=1 --"))
    assert [s["id"] for s in served.get("sessions", project="/work/beta' OR 1=1 --")["sessions"]] == ["b"]
    assert served.get("sessions", project="/nowhere")["sessions"] == []


def test_a_timeline_is_in_order_and_long_texts_are_cut(served: Served) -> None:
    """What was cut is named."""
    served.put(
        prompt(ago(minutes=3), "x" * 10_000, "a/b %2F?#"), call(ago(minutes=1), True, "a/b %2F?#"),
        answer(ago(minutes=2), 0.5, "a/b %2F?#", response_text="done"),
    )  # fmt: skip
    got = served.get("sessions/a%2Fb%20%252F%3F%23")
    assert [entry["activity"] for entry in got["entries"]] == ["user_asked", "claude_responded", "tool_called"]
    first = got["entries"][0]
    assert (len(first["features"]["prompt_text"]), first["cut"]) == (questions.TEXT_MAX + 1, ["prompt_text"])
    assert got["next"] is None


def test_a_long_timeline_comes_in_parts(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offset of the next part is given."""
    monkeypatch.setattr(questions, "ENTRIES_MAX", 10)
    served.put(*(prompt(ago(minutes=30 - n), f"{n}") for n in range(25)))
    first, second, third = (served.get("sessions/s1", offset=offset) for offset in (0, 10, 20))
    assert (first["next"], second["next"], third["next"]) == (10, 20, None)
    entries = [*first["entries"], *second["entries"], *third["entries"]]
    assert [entry["features"]["prompt_text"] for entry in entries] == [str(n) for n in range(25)]


def test_an_unknown_session_is_not_found(served: Served) -> None:
    """404, and a sentence."""
    got = served.client.get("/v1/page/sessions/nobody")
    assert (got.status_code, got.json()) == (404, {"error": "no session has this id."})


def test_projects_stand_side_by_side(served: Served) -> None:
    """The dearest first, with what was done in each."""
    served.put(
        answer(ago(days=1), 0.5, "a"), answer(ago(days=1, minutes=1), 2.0, "b", project_path="/work/beta"),
        answer(ago(days=1, minutes=2), 1.0, "c", project_path="/work/beta"), call(ago(days=1, minutes=3), False, "a"),
        row("file_edited", ago(days=1, minutes=4), file_path="/work/alpha/x.py", operation="edit", lines_added=5, lines_removed=2),
    )  # fmt: skip
    beta, alpha = served.get("projects", days=7)["projects"]
    assert (beta["project"], beta["cost"], beta["sessions"], beta["tools"]) == ("/work/beta", 3.0, 2, 0)
    assert (alpha["tools"], alpha["failed"], alpha["files"], alpha["added"], alpha["removed"]) == (1, 1, 1, 5, 2)
    assert sum(beta["spark"]) == 3.0


def test_sums_equal_the_usage_report(served: Served) -> None:
    """On real transcripts: session by session, what `cdesk usage session` says."""
    served.app.import_transcripts([shared_data("transcripts")])
    report = Usages(served.app.warehouse, PriceBook.bundled()).report("session")
    wanted = {each.key: (each.tokens.total_tokens, each.tokens.total_cost) for each in report.rows}
    found: dict[str, tuple[int, float]] = {}
    after: str | None = None
    while True:
        got = served.get("sessions", limit=200, **({"after": after} if after else {}))
        found |= {s["id"]: (s["tokens"], s["cost"] or 0.0) for s in got["sessions"] if s["responses"]}
        after = got["next"]
        if after is None:
            break
    assert found.keys() >= wanted.keys() - {""}
    for session in wanted.keys() - {""}:
        assert found[session][0] == wanted[session][0]
        assert found[session][1] == pytest.approx(wanted[session][1])


# -- what happens now ----------------------------------------------------------------------------------------------


def events(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_the_stream_tells_what_arrives(served: Served) -> None:
    """At once how it stands, and again when something came in."""
    with served.client.stream("GET", "/v1/page/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream.iter_lines())
        assert next(told)["sessions"] == []
        served.put(prompt(ago(minutes=1), "what is new"))
        flow = next(told)
    assert flow["sessions"][0]["prompt"] == "what is new"
    assert flow["status"]["warehouse"]["activities"] == 1


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path, built: Path) -> None:
    """It ends when the service does, before the server loses its patience."""
    first = threading.Event()

    def listen(url: str) -> None:
        with httpx.stream(
            "GET", f"{url}/v1/page/events", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        ) as stream:
            for _ in events(stream.iter_lines()):
                first.set()

    with serve(tmp_path / "home") as served:
        listener = threading.Thread(target=listen, args=(served.url,))
        listener.start()
        assert first.wait(10)
        stopping = time.monotonic()
    listener.join()
    assert time.monotonic() - stopping < 4


# -- memory and text -----------------------------------------------------------------------------------------------


def test_an_answer_is_kept_while_nothing_changed() -> None:
    """And for a short while when something did; each question is asked once however many wait."""
    version, clock, asked = [0], [0.0], [0]
    memory = Memory(lambda: version[0], lambda: clock[0])

    def ask() -> int:
        asked[0] += 1
        return asked[0]

    assert [memory.recall(("q",), ask) for _ in range(3)] == [1, 1, 1]
    version[0] += 1
    assert memory.recall(("q",), ask) == 1
    assert memory.recall(("q",), ask, busy_seconds=0) == 2
    clock[0] += page.REMEMBERED_SECONDS_MAX + 1
    assert memory.recall(("q",), ask) == 3
    for other in range(page.REMEMBERED_MAX + 5):
        memory.recall((other,), ask)
    assert len(memory._known) == page.REMEMBERED_MAX


PARTS = {
    "period": "CASE WHEN ts >= CAST('2026-11-23 00:00:00' AS TIMESTAMP) THEN 0 END", "series": "name", "rows_max": "10",
    "offset": "0", "where": "TRUE", "wanted": "1", "ids": ":id_0, :id_1", "activities": "'user_asked'",
    "rows": text("page_rows"), "since": "CAST('2026-11-23' AS TIMESTAMP)", "cut": "FALSE", "hours": "TRUE",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(questions.__file__).parent.glob("page_*.sql")))
def test_every_question_is_portable(name: str) -> None:
    """DuckDB takes the text as it stands; the dialect takes it as Snowflake's."""
    nested = tuple((part, sql.format(**PARTS) if part == "rows" else sql) for part, sql in PARTS.items())
    asked, _ = prepared(name, nested)
    assert len(to_duckdb(asked.replace("$", ":p"))) == 1
