"""Questions and artifacts at the page's door: what a visit may ask and keep, and what it may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.surface.page_service import NOW, Served, ago, answer, held, serve

LONG = """-- question: long
-- title: Many rows
-- description: One for each number.
-- version: 1
-- parameter: days integer 1 to 9 = 7: so many days back
-- column: number integer in rows: from 1
-- column: at time: when it was asked
-- roles: owner
-- access: figures
-- cap: 1 MB
-- cache: 1 h
-- chart: line at number
-- reads: stream

SELECT ROW_NUMBER() OVER (ORDER BY a.n, b.n) AS number, CAST(:now AS TIMESTAMP) AS at
FROM (VALUES {forty}) AS a (n) CROSS JOIN (VALUES {forty}) AS b (n)
ORDER BY 1
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("asked")
    (home / "templates").mkdir()
    (home / "templates" / "long.sql").write_text(LONG.replace("{forty}", ", ".join(f"({n})" for n in range(40))))
    with serve(home, held(NOW)) as running:
        running.put(answer(ago(days=1), 0.25), answer(ago(days=2), 0.5))
        running.app.tasks.run("roll_up_activity")
        yield running


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[httpx.Client]:
    """A visit whose requests are the page's own."""
    with httpx.Client(base_url=served.url, headers={"Origin": served.url}) as client:
        client.get(served.link())
        yield client


def asked(browser: httpx.Client, name: str, **given: Any) -> dict[str, Any]:
    answered = browser.post(f"/v1/page/questions/{name}", json=given)
    assert answered.status_code == 200, answered.text
    return dict(answered.json())


def kept(browser: httpx.Client, query_id: str) -> dict[str, Any]:
    answered = browser.post(f"/v1/page/artifacts/of/{query_id}", json={})
    assert answered.status_code == 200, answered.text
    return dict(answered.json())


def test_an_answer_is_kept_once(browser: httpx.Client) -> None:
    """With its units, its chart and its citation; the rows are those of the answer."""
    found = asked(browser, "spend_by_day", parameters={"days": 7})
    artifact = kept(browser, found["query_id"])
    assert kept(browser, found["query_id"])["artifact_id"] == artifact["artifact_id"]
    assert (artifact["query_id"], artifact["title"]) == (found["query_id"], "What each day cost")
    assert artifact["chart"] == {"kind": "bar", "x": "day", "y": "cost_usd", "series": None}
    assert {column["name"]: column["unit"] for column in artifact["columns"]}["cost_usd"] == "USD"
    page = browser.get(f"/v1/page/artifacts/{artifact['artifact_id']}/rows").json()
    assert page["rows"] == found["rows"]
    [listed] = browser.get("/v1/page/artifacts", params={"query_id": found["query_id"]}).json()["artifacts"]
    assert listed["artifact_id"] == artifact["artifact_id"]


def test_a_long_answer_is_kept_whole_by_itself(browser: httpx.Client) -> None:
    """It comes with its first rows and says where the others are."""
    found = asked(browser, "long")
    assert (found["row_count"], len(found["rows"])) == (1600, 1000)
    artifact = browser.get(f"/v1/page/artifacts/{found['artifact_id']}").json()
    assert (artifact["row_count"], artifact["has_content"]) == (1600, True)
    assert kept(browser, found["query_id"])["artifact_id"] == found["artifact_id"]


def test_what_is_not_recorded_cannot_be_kept(browser: httpx.Client) -> None:
    answered = browser.post("/v1/page/artifacts/of/q_none", json={})
    assert (answered.status_code, "Ask the question again" in answered.text) == (400, True)


@dataclass
class Costly:
    bytes: int = 2 * 1024**3
    rows: int = 7

    def estimate(self, sql: str, parameters: Any) -> Costly:
        return self


def test_what_would_read_too_much_says_how_much(
    served: Served, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As numbers, for who would rather have a sample."""
    monkeypatch.setattr(served.app.asker, "_estimator", Costly())
    answered = browser.post("/v1/page/questions/spend_by_day", json={"parameters": {"days": 3}})
    told = answered.json()
    assert answered.status_code == 400
    assert (told["estimate"], told["cap"], told["can_sample"]) == ({"bytes": 2 * 1024**3, "rows": 7}, 1024**3, True)
    assert "would read about 2,147,483,648 bytes" in told["error"]


@dataclass
class Part:
    sql: str
    rate: float = 0.25
    seed: int = 42
    watermark: str = "a sample of 25 %"


def test_a_kept_sample_says_that_it_is_one(
    served: Served, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its title, whether it was kept by somebody or because it is long."""
    monkeypatch.setattr(served.app.asker, "_estimator", Costly())
    monkeypatch.setattr(served.app.asker, "_sampler", lambda sql, *_: Part(sql))
    found = asked(browser, "spend_by_day", parameters={"days": 4}, over_cap="sample")
    assert found["sample"] == {"rate": 0.25, "seed": 42, "watermark": "a sample of 25 %"}
    assert kept(browser, found["query_id"])["title"] == "What each day cost (a sample of 25 %)"
    long = asked(browser, "long", parameters={"days": 2}, over_cap="sample")
    artifact = browser.get(f"/v1/page/artifacts/{long['artifact_id']}").json()
    assert artifact["title"] == "Many rows (a sample of 25 %)"


def test_a_cell_leads_to_its_activities(browser: httpx.Client) -> None:
    found = asked(browser, "spend_by_day", parameters={"days": 7})
    given = {"citation": found["link"], "row": 1, "column": "cost_usd"}
    cell = browser.get("/v1/page/context/source", params=given).json()["explanation"]["cell"]
    assert (cell["value"], len(cell["activities"])) == (0.25, 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/page/artifacts"), ("DELETE", "/v1/page/artifacts/{id}"), ("POST", "/v1/page/artifacts/{id}/hold"),
        ("DELETE", "/v1/page/artifacts/{id}/hold"), ("POST", "/v1/page/questions/spend_by_day/block"),
        ("POST", "/v1/artifacts"), ("DELETE", "/v1/artifacts/{id}"), ("POST", "/v1/questions/spend_by_day"),
        ("GET", "/v1/artifacts"),
    ],
)  # fmt: skip
def test_a_visit_neither_writes_sql_nor_deletes_nor_decides(browser: httpx.Client, method: str, path: str) -> None:
    """Nor does it reach the service's own door."""
    artifact = kept(browser, asked(browser, "spend_by_day")["query_id"])["artifact_id"]
    answered = browser.request(method, path.format(id=artifact), json={"sql": "SELECT 1", "reason": "r"})
    assert answered.status_code in (401, 404, 405), answered.text
    assert browser.get(f"/v1/page/artifacts/{artifact}").json()["has_content"]


@pytest.mark.parametrize("path", ["questions/spend_by_day", "artifacts/of/q", "artifacts/a/pin", "artifacts/a/link"])
def test_another_page_can_neither_ask_nor_keep(served: Served, browser: httpx.Client, path: str) -> None:
    """Nor a form of our own: an act is JSON with our own Origin."""
    address = f"/v1/page/{path}"
    assert browser.post(address, json={}, headers={"Origin": "http://127.0.0.1:1"}).status_code == 403
    assert browser.post(address, json={}, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 401
    assert browser.post(address, content="{}", headers={"Content-Type": "text/plain"}).status_code == 401
    assert httpx.post(served.url + address, json={}, headers={"Origin": served.url}).status_code == 401


def test_a_file_leaves_by_the_cookie_alone(served: Served, browser: httpx.Client) -> None:
    """As an attachment that no browser runs; not for another page, and not for nobody."""
    artifact = kept(browser, asked(browser, "spend_by_day")["query_id"])["artifact_id"]
    address = f"/v1/page/artifacts/{artifact}/content?format=html"
    given = browser.get(address)
    assert given.status_code == 200
    assert given.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in given.headers["content-security-policy"]
    assert "Cookie" in given.headers["vary"]
    assert browser.get(address, headers={"Sec-Fetch-Site": "same-site"}).status_code == 401
    assert httpx.get(served.url + address).status_code == 401


def test_the_new_pages_are_there(served: Served) -> None:
    """By plain addresses, before anybody is let in."""
    for path in ("/questions", "/questions/cost_by", "/artifacts", "/artifacts/art_1", "/explain"):
        assert httpx.get(served.url + path).status_code in (200, 503)
