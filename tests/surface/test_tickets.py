"""Long questions over HTTP: handed in, looked at, paged through, cancelled, and as many as a role may have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.query.test_ticket import DIGITS, ENDLESS
from tests.surface.page_service import Served, call, serve

from cdesk.query import ticket as tickets

PATH = "/v1/queries"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("tickets")
    deployed(home / "warehouse")
    with serve(home) as found:
        yield found


def submit(served: Served, sql: str, **more: str | int) -> dict[str, Any]:
    answer = served.client.post(PATH, json={"sql": sql, **more})
    assert answer.status_code == 202, answer.text
    ticket: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PATH}/{ticket['ticket']}"
    return ticket


def seen(served: Served, ticket: dict[str, Any], *states: str) -> dict[str, Any]:
    """As it stands when it is one of these."""
    until = time.monotonic() + PATIENCE_S
    while (found := served.client.get(f"{PATH}/{ticket['ticket']}").json())["state"] not in states:
        assert time.monotonic() < until, found
        served.app.tickets.wait(ticket["ticket"], 0.01)
    return dict(found)


def test_a_question_is_handed_in_and_its_answer_paged_through(served: Served) -> None:
    """The pages are the whole answer in order, and it is an artifact under the ticket's query id."""
    done = seen(served, submit(served, f"SELECT d FROM {DIGITS} AS d(d) ORDER BY d", title="Digits"), "done")
    at = f"{PATH}/{done['ticket']}/rows"
    page = served.client.get(at, params={"limit": 4}).json()
    rows = page["rows"]
    while page["cursor"]:
        page = served.client.get(at, params={"limit": 4, "cursor": page["cursor"]}).json()
        rows += page["rows"]
    assert rows == [[digit] for digit in range(10)] and page["row_count"] == done["row_count"] == 10
    kept = served.client.get(f"/v1/artifacts/{done['artifact_id']}").json()
    assert (kept["title"], kept["query_id"]) == ("Digits", done["query_id"])
    assert served.client.get(PATH).json()["queries"][0] == done
    for wrong in ({"limit": "x"}, {"cursor": "x"}):
        assert served.client.get(at, params=wrong).status_code == 400
    assert served.client.delete(f"/v1/artifacts/{done['artifact_id']}").status_code == 200
    assert served.client.get(at).status_code == 404


def test_one_that_runs_has_no_rows_and_can_be_cancelled(served: Served) -> None:
    ticket = seen(served, submit(served, ENDLESS), "running")
    at = f"{PATH}/{ticket['ticket']}"
    early = served.client.get(f"{at}/rows")
    assert early.status_code == 409 and "is running. Ask again when it is done." in early.json()["error"]
    assert served.client.delete(at).json()["state"] == "cancelled"
    late = served.client.get(f"{at}/rows")
    assert late.status_code == 409 and "is cancelled and has no rows." in late.json()["error"]


def test_one_that_fails_says_why(served: Served) -> None:
    failed = seen(served, submit(served, "SELECT nope"), "failed")
    rows = served.client.get(f"{PATH}/{failed['ticket']}/rows")
    assert rows.status_code == 409 and failed["error"] in rows.json()["error"] and "nope" in failed["error"]


def test_a_role_has_only_so_many(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """429, and when to come again."""
    monkeypatch.setattr(tickets, "ROLE_MAX", 1)
    endless = submit(served, ENDLESS, role="analyst")
    refused = served.client.post(PATH, json={"sql": "SELECT 1", "role": "analyst"})
    assert refused.status_code == 429 and refused.headers["retry-after"].isdigit()
    assert "analyst has 1 tickets waiting or running already." in refused.json()["error"]
    served.client.delete(f"{PATH}/{endless['ticket']}")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"sql":1}', b'{"sql":"SELECT 1","nope":1}', b'{"sql":"SELECT 1","role":"x"}', b"\xff"])  # fmt: skip
def test_nonsense_is_refused(served: Served, body: bytes) -> None:
    answer = served.client.post(PATH, content=body)
    assert answer.status_code == 400 and answer.json()["error"].startswith("the request body is wrong: ")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEKT 1", "SELEKT"), ("", ""), ("DELETE FROM CLAUDE_STREAM_V2", "DELETE"), ("SELECT 1; SELECT 2", "one"),
        ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"), ("SELECT * FROM QUERY_HISTORY_OF_OTHERS", "QUERY_HISTORY"),
    ],
)  # fmt: skip
def test_what_could_never_run_gets_no_ticket(served: Served, sql: str, said: str) -> None:
    """The guard says so at once."""
    before = served.client.get(PATH).json()
    answer = served.client.post(PATH, json={"sql": sql})
    assert answer.status_code == 400 and said in answer.json()["error"] and "\n" not in answer.json()["error"]
    assert served.client.get(PATH).json() == before


def test_too_much_is_refused(served: Served) -> None:
    long = served.client.post(PATH, json={"sql": "x" * (tickets.SQL_CHARACTERS_MAX + 1)})
    assert long.status_code == 400 and "longer than 100,000 characters" in long.json()["error"]
    assert "over the limit" in served.client.post(PATH, content=b" " * 600_000).json()["error"]


@pytest.mark.parametrize("id_", ["tk_0_0", "..%2F..%2Ftoken", "%00", "x" * 500])
def test_there_is_no_such_ticket(served: Served, id_: str) -> None:
    for method, path in (("GET", f"{PATH}/{id_}"), ("DELETE", f"{PATH}/{id_}"), ("GET", f"{PATH}/{id_}/rows")):
        assert served.client.request(method, path).status_code in (404, 405)


def test_claude_hands_one_in_and_reads_its_answer(served: Served) -> None:
    """As an agent; the first rows within the budget, the rest by the artifact's cursor."""
    ticket = called(
        served, "submit_query", sql=f"SELECT a.d + 10 * b.d AS n FROM {DIGITS} AS a(d), {DIGITS} AS b(d) ORDER BY n"
    )
    assert (ticket["answer"], seen(served, ticket, "done")["role"]) == (None, "agent")
    done = called(served, "get_ticket", ticket=ticket["ticket"], max_tokens=200)
    assert (done["state"], done["error"], done["answer"]["row_count"]) == ("done", None, 100)
    rows, cursor = done["answer"]["rows"], done["answer"]["cursor"]
    assert rows and cursor, "more than the budget holds"
    while cursor:
        given = called(served, "get_artifact", artifact=done["answer"]["artifact"], cursor=cursor)
        rows, cursor = rows + given["rows"], given["cursor"]
    assert rows == [[n] for n in range(100)]


def test_claude_is_told_why_one_failed(served: Served) -> None:
    ticket = called(served, "submit_query", sql="SELECT nope")
    seen(served, ticket, "failed")
    told = called(served, "get_ticket", ticket=ticket["ticket"])
    assert told["state"] == "failed" and "nope" in told["error"] and told["answer"] is None


def called(served: Served, tool: str, **arguments: Any) -> dict[str, Any]:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Accept": "application/json, text/event-stream"}
    result = served.client.post("/mcp", json=asked, headers=headers).json()["result"]
    assert not result["isError"], result
    return dict(result["structuredContent"])


# -- what it would read ---------------------------------------------------------------------------------------------

COUNTED = "SELECT activity, count(*) AS times FROM CLAUDE_STREAM_V2 GROUP BY 1"


@pytest.fixture(scope="module")
def filled(served: Served) -> Served:
    """Two days of calls, so that there is something to read."""
    now = datetime.now(UTC)
    served.put(*(call(now - timedelta(minutes=7 * n), False) for n in range(400)))
    return served


def test_a_ticket_says_what_it_reads(filled: Served) -> None:
    """At once where that is known, and with the answer."""
    ticket = submit(filled, COUNTED)
    done = seen(filled, ticket, "done")
    assert (
        done["estimate"]["bytes"] > 0 and done["estimate"]["tables"] == ["CLAUDE_STREAM_V2"] and done["sample"] is None
    )
    assert ticket["estimate"] in (None, done["estimate"])


def test_what_would_read_more_than_it_may_gets_no_ticket(filled: Served) -> None:
    """The words are those of SQL that is answered at once."""
    asked = {"sql": COUNTED, "bytes_max": 1000}
    refused, directly = filled.client.post(PATH, json=asked), filled.client.post("/v1/sql", json=asked)
    assert (refused.status_code, refused.json()["error"]) == (400, directly.json()["error"])
    assert "this would read about" in refused.json()["error"] and "its cap is 1,000." in refused.json()["error"]


def test_where_it_is_not_known_at_once_it_is_refused_when_it_runs(
    filled: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who hands in waits for the layout of a large table."""
    monkeypatch.setattr(filled.app.adhoc._estimator, "at_once", lambda sql: None)
    failed = seen(filled, submit(filled, COUNTED, bytes_max=1000), "failed")
    assert "this would read about" in failed["error"] and failed["artifact_id"] is None


def test_a_ticket_answers_from_a_sample(filled: Served) -> None:
    """Where that is wanted: with a ± to each figure, and it says so wherever it is read."""
    estimate = filled.client.post("/v1/sql/estimate", json={"sql": COUNTED}).json()
    done = seen(filled, submit(filled, COUNTED, bytes_max=estimate["bytes"] // 2, over_cap="sample"), "done")
    assert done["sample"]["rate"] == 0.5 and done["sample"]["watermark"].startswith("SAMPLE: 1 of 2 slices")
    kept = filled.client.get(f"/v1/artifacts/{done['artifact_id']}").json()
    assert done["sample"]["watermark"] in kept["title"]
    assert [column["name"] for column in kept["columns"]] == ["activity", "times", "times_error"]
    told = called(filled, "get_ticket", ticket=done["ticket"])
    assert (told["watermark"], told["bytes_expected"]) == (done["sample"]["watermark"], estimate["bytes"])


def test_what_cannot_be_sampled_gets_no_ticket(filled: Served) -> None:
    asked = {"sql": "SELECT DISTINCT activity FROM CLAUDE_STREAM_V2", "bytes_max": 1000, "over_cap": "sample"}
    refused = filled.client.post(PATH, json=asked)
    assert refused.status_code == 400 and "this cannot be sampled: it has DISTINCT." in refused.json()["error"]
