"""Artifacts over HTTP: kept, paged through, downloaded whole and in parts, linked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from tests.surface.page_service import NOW, Served, serve

from cdesk.clock import Clock

ANYBODY = httpx.Client()
"""Knows no token."""
SQL = "SELECT range AS number, 'row ' || range AS words FROM range(25)"


class Hand:
    """Holds the time."""

    def __init__(self) -> None:
        self.at = NOW

    @property
    def clock(self) -> Clock:
        return Clock(now_ns=lambda: int(self.at.timestamp() * 1_000_000_000))


@pytest.fixture(scope="module")
def hand() -> Hand:
    return Hand()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path], hand: Hand) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("artifacts")
    deployed(home / "warehouse")
    with serve(home, hand.clock) as found:
        yield found


@pytest.fixture
def id_(served: Served) -> str:
    answer = served.client.post("/v1/artifacts", json={"sql": SQL, "title": "Numbers & words"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["artifact_id"])


def content(served: Served, id_: str, form: str = "csv", **headers: str) -> httpx.Response:
    return served.client.get(f"/v1/artifacts/{id_}/content", params={"format": form}, headers=headers)


def link(served: Served, id_: str, form: str = "csv") -> str:
    answer = served.client.post(f"/v1/artifacts/{id_}/link", json={"format": form})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


def changed(url: str, **query: str) -> str:
    found = urlsplit(url)
    return found._replace(query=urlencode({**dict(parse_qsl(found.query)), **query})).geturl()


def test_the_life_of_an_artifact(served: Served, id_: str) -> None:
    """It is listed and shown, leads to its question, and is gone when it is deleted."""
    listed = served.client.get("/v1/artifacts").json()["artifacts"]
    assert listed[0]["artifact_id"] == id_ and "sample" not in listed[0]
    found = served.client.get(f"/v1/artifacts/{id_}").json()
    assert (found["row_count"], len(found["sample"]), found["has_content"]) == (25, 10, True)
    assert [(c["name"], c["type"], c["nullable"]) for c in found["columns"]] == [
        ("number", "BIGINT", False), ("words", "VARCHAR", False),
    ]  # fmt: skip
    by_query = served.client.get("/v1/artifacts", params={"query_id": found["query_id"]}).json()["artifacts"]
    assert [one["artifact_id"] for one in by_query] == [id_]
    assert served.client.delete(f"/v1/artifacts/{id_}").status_code == 200
    assert served.client.get(f"/v1/artifacts/{id_}").status_code == 404
    assert not list(served.app.home.artifacts.glob(f"{id_}*"))


def test_pages_are_the_whole_in_order(served: Served, id_: str) -> None:
    rows: list[Any] = []
    page = served.client.get(f"/v1/artifacts/{id_}/rows", params={"limit": 10}).json()
    rows += page["rows"]
    while page["cursor"]:
        page = served.client.get(f"/v1/artifacts/{id_}/rows", params={"limit": 10, "cursor": page["cursor"]}).json()
        rows += page["rows"]
    assert rows == [[n, f"row {n}"] for n in range(25)]


def test_a_cursor_of_another_artifact_is_refused(served: Served, id_: str) -> None:
    other = served.client.post("/v1/artifacts", json={"sql": SQL}).json()["artifact_id"]
    cursor = served.client.get(f"/v1/artifacts/{other}/rows", params={"limit": 10}).json()["cursor"]
    for given in (cursor, cursor[:-2] + "AA", "x", ""):
        answer = served.client.get(f"/v1/artifacts/{id_}/rows", params={"cursor": given})
        assert answer.status_code == 400 and "cursor" in answer.json()["error"], given


def test_whole_content_says_how_long_it_may_be_kept(served: Served, id_: str) -> None:
    """Who has it is told so; another form has another name."""
    whole = content(served, id_)
    assert whole.status_code == 200 and whole.text.startswith("number,words\r\n0,row 0\r\n")
    assert whole.headers["cache-control"] == "private, max-age=600" and whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-disposition"] == 'attachment; filename="numbers-words.csv"'
    tag = whole.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = content(served, id_, **{"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert content(served, id_, "json", **{"If-None-Match": tag}).status_code == 200
    head = served.client.head(f"/v1/artifacts/{id_}/content", params={"format": "csv"})
    assert head.status_code == 200 and int(head.headers["content-length"]) == len(whole.content)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_part_is_that_part(served: Served, id_: str, form: str) -> None:
    whole = content(served, id_, form)
    size = len(whole.content)
    for asked, start, end in (("0-9", 0, 10), ("10-", 10, size), ("-7", size - 7, size), (f"5-{size * 2}", 5, size)):
        part = content(served, id_, form, Range=f"bytes={asked}")
        assert (part.status_code, part.content) == (206, whole.content[start:end]), asked
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for asked in (f"{size}-", "-0"):
        part = content(served, id_, form, Range=f"bytes={asked}")
        assert (part.status_code, part.headers["content-range"]) == (416, f"bytes */{size}"), asked
    for asked in ("9-2", "x", "0-1,4-5"):
        assert content(served, id_, form, Range=f"bytes={asked}").status_code == 200, asked
    assert content(served, id_, form, Range="bytes=0-1", **{"If-Range": whole.headers["etag"]}).status_code == 206
    assert content(served, id_, form, Range="bytes=0-1", **{"If-Range": '"older"'}).status_code == 200


def test_a_link_opens_without_the_token_until_it_ends(served: Served, id_: str, hand: Hand) -> None:
    url = link(served, id_)
    assert ANYBODY.get(url).content == content(served, id_).content
    assert ANYBODY.get(url, headers={"Range": "bytes=0-5"}).text == "number"
    began = hand.at
    try:
        hand.at = began + timedelta(seconds=599)
        assert ANYBODY.get(url).status_code == 200
        hand.at = began + timedelta(seconds=600)
        late = ANYBODY.get(url)
        assert late.status_code == 403 and "expired" in late.json()["error"]
    finally:
        hand.at = began


def test_a_link_is_good_for_nothing_else(served: Served, id_: str) -> None:
    """Another method, artifact, format or end, a changed signature, more said than was signed: refused."""
    other = served.client.post("/v1/artifacts", json={"sql": SQL}).json()["artifact_id"]
    url = link(served, id_)
    last = "1" if url[-1] == "0" else "0"
    for wrong in (
        url.replace(id_, other), changed(url, format="json"), changed(url, expires="9999999999"), url[:-1] + last,
        url[:-10], f"{url}&download=1", f"{url}&format=csv", changed(url, signature=""), changed(url, expires="x"),
    ):  # fmt: skip
        assert ANYBODY.get(wrong).status_code == 403, wrong
    for method in ("HEAD", "POST", "DELETE", "PUT"):
        assert ANYBODY.request(method, url).status_code == 403, method
    query = urlsplit(url).query
    for path in (
        f"/v1/artifacts/{id_}",
        f"/v1/artifacts/{id_}/rows",
        f"/v1/artifacts/{id_}/pin",
        "/v1/artifacts",
        "/v1/status",
    ):
        assert ANYBODY.get(f"{served.url}{path}?{query}").status_code == 401, path
    assert ANYBODY.get(url, headers={"Host": "evil.example"}).status_code == 421
    assert ANYBODY.get(url, headers={"Origin": "https://evil.example"}).status_code == 403
    assert ANYBODY.get(url, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert ANYBODY.get(url).status_code == 200


def test_pinned_and_held_stay(served: Served, id_: str) -> None:
    at = f"/v1/artifacts/{id_}"
    assert served.client.post(f"{at}/pin").json()["is_pinned"] is True
    assert "pinned" in served.client.delete(at).json()["error"]
    assert served.client.delete(f"{at}/pin").json()["is_pinned"] is False
    assert served.client.post(f"{at}/hold", json={"reason": " "}).status_code == 400
    assert served.client.post(f"{at}/hold", json={"reason": "matter 7"}).json()["is_held"] is True
    refused = served.client.delete(at)
    assert refused.status_code == 400 and "hold" in refused.json()["error"]
    assert served.client.delete(f"{at}/hold").json()["is_held"] is False
    assert served.client.delete(f"{at}/hold").status_code == 400
    assert served.client.delete(at).status_code == 200


def test_content_that_is_lost_says_so(served: Served, id_: str) -> None:
    """The row goes on telling what it was."""
    (served.app.home.artifacts / f"{id_}.parquet").unlink()
    assert served.client.get(f"/v1/artifacts/{id_}").json()["has_content"] is False
    for lost in (content(served, id_), content(served, id_, "parquet"), served.client.get(f"/v1/artifacts/{id_}/rows")):
        assert lost.status_code == 410 and "not in this home" in lost.json()["error"]


@pytest.mark.parametrize(
    "path", ["art_1a2225642db_00000000", "x", "art_", "..%2F..%2Fkey", "%00", "art_1a2225642db_00000000%0a"]
)
def test_what_there_is_not_is_not_found(served: Served, path: str) -> None:
    for more in ("", "/rows", "/content"):
        assert served.client.get(f"/v1/artifacts/{path}{more}").status_code in (400, 404), path


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"sql": "DELETE FROM ARTIFACTS"}, "SELECT"), ({"sql": "SELECT 1; SELECT 2"}, "one statement"),
        ({"sql": "SELECT 1", "parent": "art_nobody"}, "no artifact"), ({"sql": "SELECT nothing"}, "nothing"),
        ({"sql": "SELECT 1 AS a", "chart": {"kind": "bar", "x": "a", "y": "b"}}, "'b'"), ({}, "sql"),
        ({"sql": "SELECT * FROM range(200001)"}, "200,000"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(served: Served, body: Any, says: str) -> None:
    answer = served.client.post("/v1/artifacts", json=body)
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text


def test_a_new_version_knows_the_old(served: Served, id_: str) -> None:
    new = served.client.post("/v1/artifacts", json={"sql": SQL, "parent": id_}).json()
    assert (new["version"], new["parent_artifact_id"]) == (2, id_)
    assert served.client.get(f"/v1/artifacts/{id_}").json()["children"] == [new["artifact_id"]]


def test_reading_is_counted(served: Served, id_: str) -> None:
    content(served, id_)
    served.client.get(f"/v1/artifacts/{id_}/rows")
    found = served.client.get(f"/v1/artifacts/{id_}").json()
    assert found["access_count"] == 2 and found["last_accessed_at"]


def test_answers_that_are_files_run_nothing(served: Served, id_: str, tmp_path: Path) -> None:
    """A browser that opens one inline still gives it no script and no origin."""
    for form in ("html", "json", "csv", "markdown"):
        headers = content(served, id_, form).headers
        assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff" and headers["content-disposition"].startswith(
            "attachment"
        )


def test_claude_pages_through_it_within_its_budget(served: Served, id_: str) -> None:
    """Every row once, in order, whichever way the budget cuts the service's pages."""
    rows: list[Any] = []
    arguments: dict[str, Any] = {"artifact": f"artifact:{id_}", "max_tokens": 250}
    while True:
        asked = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "get_artifact", "arguments": arguments},
        }
        headers = {"Accept": "application/json, text/event-stream"}
        result = served.client.post("/mcp", json=asked, headers=headers).json()["result"]
        assert not result["isError"], result
        given = result["structuredContent"]
        assert given["offset"] == len(rows) and given["row_count"] == 25 and given["cites"].startswith("cdesk:q_")
        rows += given["rows"]
        if given["cursor"] is None:
            break
        arguments["cursor"] = given["cursor"]
    assert rows == [[n, f"row {n}"] for n in range(25)]


def test_what_expired_goes_by_night_and_that_is_on_record(served: Served, id_: str, hand: Hand) -> None:
    """The task of the service deletes row and file, and tells it as an activity; what is pinned stays."""
    pinned = served.client.post("/v1/artifacts", json={"sql": SQL}).json()["artifact_id"]
    served.client.post(f"/v1/artifacts/{pinned}/pin")
    began = hand.at
    try:
        hand.at = began + timedelta(days=91)
        assert served.client.post("/v1/tasks/clean_artifacts/run", json={}).json()["error"] is None
    finally:
        hand.at = began
    left = [one["artifact_id"] for one in served.client.get("/v1/artifacts").json()["artifacts"]]
    assert pinned in left and id_ not in left
    files = {path.stem for path in served.app.home.artifacts.glob("*.parquet")}
    assert pinned in files and id_ not in files
    served.app.uploader.drain()
    [told] = served.app.warehouse.query(
        "SELECT feature_json::JSON->'$.metrics.artifacts' FROM CLAUDE_STREAM_V2 WHERE activity = 'artifacts_cleaned'"
    ).rows
    assert int(told[0]) >= 1
