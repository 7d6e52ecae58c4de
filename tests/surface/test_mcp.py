"""`/mcp` over real HTTP: statuses, headers, both eras; and the routes behind the tools."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.mcp.desk import MODERN_META
from tests.surface.page_service import NOW, Served, ago, answer, call, held, prompt, serve

from cdesk.query.template import load
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.tools import TOOLS

HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two sessions, one failure, one unpriced answer."""
    with serve(tmp_path_factory.mktemp("mcp"), held(NOW)) as running:
        running.put(
            prompt(ago(minutes=9), "Deploy <b>it</b> 100%"), call(ago(minutes=8), False, error_type="Exit", error_message="1"),
            answer(ago(minutes=7), 0.25), answer(ago(days=1), None, "s2", model="nobody-knows"),
            call(ago(days=40), True), call(ago(days=1), True, latency_ms=12.5),
        )  # fmt: skip
        running.app.tasks.run_pending()
        yield running


def post(
    served: Served,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    id: Any = 1,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """As a client of the era with a handshake."""
    body = {"jsonrpc": "2.0", "method": method, "params": params or {}, **({} if id is None else {"id": id})}
    return served.client.post("/mcp", content=json.dumps(body), headers={**HEADERS, **(headers or {})})


def modern(
    served: Served, method: str, params: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    """As a client of the later era: the headers say what the body says."""
    given = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if "name" in (params or {}):
        given["Mcp-Name"] = (params or {})["name"]
    whole = {name: value for name, value in {**given, **(headers or {})}.items() if value}
    return post(served, method, {**(params or {}), "_meta": MODERN_META}, headers=whole)


def tool(served: Served, name: str, **arguments: Any) -> dict[str, Any]:
    got = modern(served, "tools/call", {"name": name, "arguments": arguments})
    assert got.status_code == 200, got.text
    return dict(got.json()["result"])


# -- the transport -------------------------------------------------------------------------------------------------


def test_a_handshake_and_what_follows(served: Served) -> None:
    """Without a session: nothing is remembered."""
    got = post(served, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
    assert got.status_code == 200 and got.headers["content-type"] == "application/json"
    assert "mcp-session-id" not in got.headers and got.json()["result"]["protocolVersion"] == "2025-11-25"
    told = post(served, "notifications/initialized", id=None, headers={"MCP-Protocol-Version": "2025-11-25"})
    assert (told.status_code, told.content) == (202, b"")
    assert len(post(served, "tools/list").json()["result"]["tools"]) == len(TOOLS)


def test_the_later_era_needs_no_handshake(served: Served) -> None:
    assert modern(served, "server/discover").json()["result"]["supportedVersions"][0] == "2026-07-28"
    assert modern(served, "tools/list").json()["result"]["resultType"] == "complete"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"MCP-Protocol-Version": ""}, protocol.HEADER_MISMATCH),
        ({"MCP-Protocol-Version": "2025-11-25"}, protocol.HEADER_MISMATCH),
        ({"Mcp-Method": ""}, protocol.HEADER_MISMATCH),
        ({"Mcp-Method": "tools/list"}, protocol.HEADER_MISMATCH),
        ({"Mcp-Name": ""}, protocol.HEADER_MISMATCH),
        ({"Mcp-Name": "usage"}, protocol.HEADER_MISMATCH),
        ({"Mcp-Name": "=?base64?%%?="}, protocol.HEADER_MISMATCH),
    ],
)
def test_headers_that_say_other_than_the_body_are_refused(served: Served, headers: dict[str, str], code: int) -> None:
    got = modern(served, "tools/call", {"name": "list_questions", "arguments": {}}, headers)
    assert got.status_code == 400 and got.json()["error"]["code"] == code and got.json()["id"] == 1


@pytest.mark.parametrize("name", ["  list_questions  ", f"=?base64?{b64encode(b'list_questions').decode()}?="])
def test_headers_may_be_padded_or_encoded(served: Served, name: str) -> None:
    """As HTTP and MCP allow; httpx would not send the first."""
    params = {"name": "list_questions", "arguments": {}, "_meta": MODERN_META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    headers = {
        **HEADERS, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name,
        "Authorization": str(served.client.headers["authorization"]),
    }  # fmt: skip
    connection = HTTPConnection(served.url.removeprefix("http://"))
    connection.request("POST", "/mcp", body, headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_what_is_wrong_has_its_status(served: Served) -> None:
    """In the later era as HTTP statuses, too; errors of the era before keep 200."""
    assert modern(served, "resources/list").status_code == 404
    assert modern(served, "tools/call", {"name": "nothing"}).status_code == 400
    assert post(served, "resources/list").status_code == 200
    unknown = post(served, "ping", headers={"MCP-Protocol-Version": "1900-01-01"})
    assert unknown.status_code == 400 and unknown.json()["error"]["code"] == protocol.UNSUPPORTED_VERSION
    bare = post(served, "tools/list", headers={"MCP-Protocol-Version": "2026-07-28"})
    assert bare.status_code == 400 and bare.json()["error"]["code"] == protocol.INVALID_PARAMS
    for body, status in ((b"{", 400), (b"[]", 400), (b'{"jsonrpc":"2.0","id":1,"result":{}}', 400), (b"x" * 5_000_000, 413)):  # fmt: skip
        assert served.client.post("/mcp", content=body, headers=HEADERS).status_code == status
    assert (
        served.client.post("/mcp", content=b"{}", headers={**HEADERS, "Content-Type": "text/plain"}).status_code == 415
    )
    assert served.client.post("/mcp", content=b"{}", headers={**HEADERS, "Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_other_methods_are_not_offered(served: Served, method: str) -> None:
    got = served.client.request(method, "/mcp", headers=HEADERS)
    assert got.status_code == 405 and got.headers["allow"] == "POST"


def test_it_is_guarded_like_every_route(served: Served) -> None:
    """Token, Host, Origin."""
    ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    for headers, status in (({"Authorization": ""}, 401), ({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)):  # fmt: skip
        assert served.client.post("/mcp", content=ping, headers={**HEADERS, **headers}).status_code == status


def test_who_listens_gets_a_stream(served: Served) -> None:
    """Acknowledged first; promised nothing."""
    headers = {**HEADERS, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    body = {
        "jsonrpc": "2.0", "id": "l1", "method": "subscriptions/listen",
        "params": {"_meta": MODERN_META, "notifications": {"toolsListChanged": True}},
    }  # fmt: skip
    with served.client.stream("POST", "/mcp", json=body, headers=headers) as got:
        assert got.headers["content-type"].startswith("text/event-stream")
        data = next(line for line in got.iter_lines() if line.startswith("data: "))
    assert json.loads(data[6:])["params"]["notifications"] == {}


# -- the tools, from a real warehouse ------------------------------------------------------------------------------


def test_usage_is_that_of_the_report(served: Served) -> None:
    given = tool(served, "usage", by="model")["structuredContent"]
    report = served.client.post("/v1/usage", json={"by": "model"}).json()
    assert given["totals"] == report["totals"] and {row["model"] for row in given["rows"]} == {"claude-opus-5-5", "nobody-knows"}  # fmt: skip


def test_words_are_found_as_they_were_recorded(served: Served) -> None:
    """All of them, in any order; nothing in them is a wildcard; the newest first."""
    for words, count in (("deploy", 1), ("IT deploy", 1), ("100%", 1), ("1_0", 0), ("deploy nothing", 0)):
        given = tool(served, "search_activity", text=words, project="*")["structuredContent"]
        assert len(given["activities"]) == count, words
    everything = tool(served, "search_activity", project="*", session="s1")["structuredContent"]["activities"]
    assert [one["ts"] for one in everything] == sorted((one["ts"] for one in everything), reverse=True)
    assert len(everything) == 5, "also what is older than a month"
    assert everything[-1]["activity"] == "tool_called"


def test_a_search_goes_on_where_it_ended(served: Served) -> None:
    """Each activity once, one page at a time."""
    told: list[str] = []
    cursor = None
    while True:
        given = tool(served, "search_activity", project="*", session="s1", max_tokens=200, cursor=cursor)[
            "structuredContent"
        ]
        told += [one["cite"] for one in given["activities"]]
        if (cursor := given["cursor"]) is None:
            break
    assert len(told) == len(set(told)) == 5


def test_a_search_can_be_narrowed(served: Served) -> None:
    """By kind, session, time and folder."""
    for given, count in (
        ({"activity": "claude_responded"}, 2), ({"session": "s2"}, 1), ({"session": "s1", "since": str(ago(minutes=8))}, 2),
        ({"until": str(ago(days=2))}, 1), ({"project": "/nowhere"}, 0), ({"activity": "claude_responded", "project": "*"}, 2),
    ):  # fmt: skip
        found = tool(served, "search_activity", **{"project": "*", **given})["structuredContent"]["activities"]
        assert len(found) == count, given


KEPT = (
    "spend_by_day",
    "spend_by_model",
    "spend_by_project",
    "tool_usage",
    "slowest_tools",
    "recent_sessions",
    "failures_now",
)
"""Questions that were there from the beginning."""


@pytest.mark.parametrize("question", [each for each in load() if each.name in KEPT], ids=lambda question: question.name)
def test_every_question_has_an_answer_and_its_source(served: Served, question: Any) -> None:
    """With the columns it promises; the query it cites is in the log with what was asked."""
    given = tool(served, "ask", question=question.name, days=30, project="*")["structuredContent"]
    assert given["columns"] == [each.name for each in question.columns]
    assert given["rows"], "the warehouse has something to say to each"
    source = tool(served, "explain", citation=given["cite"])["structuredContent"]
    assert source["is_a"] == "query" and f'"question":"{question.name}"' in source["said"]["query_text"]
    assert (source["said"]["question"], source["said"]["role"]) == (question.name, "agent")
    nothing = tool(served, "ask", question=question.name, project="/nowhere")["structuredContent"]
    assert nothing["rows"] == []


def test_claude_asks_in_a_role_of_its_own(served: Served) -> None:
    """It is offered what that may ask, and what is blocked is answered to nobody."""
    offered = tool(served, "list_questions")["structuredContent"]["questions"]
    assert [one["name"] for one in offered] == [each.name for each in load() if "agent" in each.roles]
    assert offered[0]["parameters"]["days"] == "integer 1 to 366, 7 by default: so many days back"
    assert (
        served.client.post("/v1/questions/adoption/block", json={"reason": "a test"}).json()["question"]["state"]
        == "blocked"
    )
    refused = tool(served, "ask", question="adoption")
    assert refused["isError"] and "blocked: a test" in refused["content"][0]["text"]
    for word in ("review", "activate"):
        served.client.post(f"/v1/questions/adoption/{word}")
    assert not tool(served, "ask", question="adoption")["isError"]


def test_a_cell_is_followed_to_its_activities(served: Served) -> None:
    """By its row and column."""
    given = tool(served, "ask", question="tool_usage", days=30, project="*")["structuredContent"]
    said = tool(served, "explain", citation=given["cite"], row=1, column="failed")["structuredContent"]
    assert said["behind"] == given["rows"][0][2] == len(said["comes_from"]) == 1
    wrong = tool(served, "explain", citation=given["cite"], row=99)
    assert wrong["isError"] and "rows are 1 to" in wrong["content"][0]["text"]


def test_a_question_is_asked_by_its_address(served: Served) -> None:
    """With everything that its answer rests on; wrong parameters are told."""
    first = served.client.post("/v1/questions/cost_by", json={"parameters": {"by": "model"}}).json()
    again = served.client.post("/v1/questions/cost_by", json={"parameters": {"by": "model"}}).json()
    assert (again["is_recorded"], again["link"], again["rows"]) == (True, first["link"], first["rows"])
    assert first["columns"][1] == {"name": "cost_usd", "type": "number", "unit": "USD"}
    assert first["parameters"] == {"days": 30, "by": "model", "project": None, "models": None, "sessions": None}
    assert "ACTIVITY_ROLLUP" in first["sql"] and first["link"] == f"cdesk:{first['query_id']}"
    wrongs: tuple[Any, ...] = ({"parameters": {"by": "x"}}, {"parameter": {}}, [], {"role": "boss"})
    for body in wrongs:
        wrong = served.client.post("/v1/questions/cost_by", json=body)
        assert wrong.status_code == 400 and "\n" not in wrong.json()["error"]
    shown = served.client.get("/v1/questions/cost_by").json()
    assert shown["question"]["state"] == "active" and "FLATTEN" in shown["sql"]


def test_what_failed_can_be_followed_to_its_record(served: Served) -> None:
    """From the answer's row to the activity."""
    given = tool(served, "ask", question="failures_now", project="*")["structuredContent"]
    row = dict(zip(given["columns"], given["rows"][0], strict=True))
    said = tool(served, "explain", citation=f"activity:{row['last_activity']}")["structuredContent"]["said"]
    assert said["activity"] == "tool_called" and said["features"]["error_type"] == "Exit"


@pytest.mark.parametrize("citation", ["activity:none", "atom:none", "cdesk:none", "nothing", "x:y", ":", "activity:"])
def test_what_stands_behind_nothing_is_told(served: Served, citation: str) -> None:
    result = tool(served, "explain", citation=citation)
    assert result["isError"] and "\n" not in result["content"][0]["text"]


def test_an_unknown_question_names_its_neighbour(served: Served) -> None:
    result = tool(served, "ask", question="spend_by_days")
    assert result["isError"] and "spend_by_day" in result["content"][0]["text"]


def test_a_call_is_recorded_after_it_was_answered(served: Served) -> None:
    """By the session's name of it, in one row."""
    params = {"name": "list_questions", "arguments": {}, "_meta": {**MODERN_META, "claudecode/toolUseId": "toolu_http"}}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "list_questions"}
    for _ in range(2):
        assert post(served, "tools/call", params, headers=headers).status_code == 200
    served.app.uploader.drain()
    sql = "SELECT method, success, _source FROM VW_MCP_EVENTS WHERE tool_use_id = 'toolu_http'"
    assert served.app.warehouse.query(sql).rows == [("list_questions", True, "mcp")]


def test_an_insight_is_durable_when_it_is_answered(served: Served, tmp_path: Path) -> None:
    result = tool(served, "record_insight", subject="s", metric="m", statement="HTTP takes insights.", project="*")
    served.app.uploader.drain()
    said = tool(served, "explain", citation=result["structuredContent"]["cite"])["structuredContent"]["said"]
    assert said["features"]["statement"] == "HTTP takes insights." and said["features"]["author"] == "claude"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/search", {"text": " ".join("abcdefghi")}),
        ("/v1/search", {"since": "0001-01-01T00:00:00+14:00"}),
        ("/v1/search", {"nothing": 1}),
        ("/v1/explain", {"citation": "x"}),
        ("/v1/ask", {"question": "spend_by_day", "days": 0}),
        ("/v1/ask", {"question": "spend_by_day", "days": 100_000}),
    ],
)
def test_wrong_questions_are_one_clear_line(served: Served, path: str, body: dict[str, Any]) -> None:
    got = served.client.post(path, json=body)
    assert got.status_code == 400 and "\n" not in got.json()["error"], got.text
