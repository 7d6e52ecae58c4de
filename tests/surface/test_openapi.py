"""The service is what `/openapi.json` says: the same routes, and answers of the described shape to whatever is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.routing import Route
from tests.surface.page_service import NOW, TOKEN, Served, ago, answer, call, held, prompt, serve

from cdesk.capture.backfill import Progress
from cdesk.query.usage import BYS
from cdesk.surface.http import openapi, page, service

Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance, content_type_conformance]
EXAMPLES = 40
PRICES = {"models": {"claude-opus-5-5": {"input": 1000, "output": 2000}}}
UNBOUNDED = "/v1/page/events"
"""Goes on until the service stops; looked at by hand."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that knows two sessions, and has a page built."""
    folder = tmp_path_factory.mktemp("openapi")
    dist = folder / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>cdesk</title>")
    with pytest.MonkeyPatch.context() as patch, serve(_patched(patch, dist, folder / "home"), held(NOW)) as running:
        running.put(
            prompt(ago(minutes=9), "Build it"), call(ago(minutes=8), False, error_type="Exit", error_message="1"),
            answer(ago(minutes=7), 0.25), answer(ago(days=1), None, "s2", model="nobody-knows"),
            answer(ago(days=2), 0.5, "s2", is_counted=False),
        )  # fmt: skip
        yield running


def _patched(patch: pytest.MonkeyPatch, dist: Path, home: Path) -> Path:
    patch.setattr(page, "DIST", dist)
    return home


@pytest.fixture(scope="module")
def described(served: Served) -> dict[str, Any]:
    found: dict[str, Any] = served.client.get(openapi.PATH).raise_for_status().json()
    return found


def _operations() -> list[tuple[str, str]]:
    return [(operation.method, openapi.template(operation.path)) for operation in openapi.OPERATIONS]


# -- the description -----------------------------------------------------------------------------------------------


def test_every_route_is_described_and_every_description_has_a_route(served: Served) -> None:
    """By path and method; HEAD comes with GET."""
    guarded = service.create(served.app, TOKEN, 4740, Progress())
    assert isinstance(guarded, service.Guarded)
    assert isinstance(guarded._inner, Starlette)
    mounted = [
        (method, route.path)
        for route in guarded._inner.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    ]
    assert len(mounted) >= len(guarded._inner.routes)
    assert sorted(mounted) == sorted((operation.method, operation.path) for operation in openapi.OPERATIONS)


def test_the_description_is_for_who_has_the_token(served: Served) -> None:
    """As everything else."""
    assert httpx.get(served.url + openapi.PATH).status_code == 401
    assert served.client.get(openapi.PATH).status_code == 200


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    """And every schema is one."""
    names = set(described["components"]["schemas"])
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    assert {name.split('"')[0] for name in json.dumps(described).split("#/components/schemas/")[1:]} <= names


@pytest.mark.parametrize(("method", "path"), _operations())
def test_doors_are_as_described(served: Served, described: dict[str, Any], method: str, path: str) -> None:
    """Without a token 401, unless open; the ingest token and a visit open what they are said to, and nothing else.

    Acts are open to a visit that comes from the page itself."""
    operation = described["paths"][path][method.lower()]
    url = served.url + path.replace("{id}", "s1").replace("{name}", "nothing.js")
    doors = {name for door in operation["security"] for name in door}
    if "visit" in doors:
        doors = {*doors, "act"} if method == "GET" else {*doors, "act"} - {"visit"}
    ingest = (served.app.home.path / "ingest-token").read_text().strip()
    with httpx.Client() as browser:
        browser.get(served.link())
        for door, headers, who in (
            ("ingest", {"Authorization": f"Bearer {ingest}"}, httpx.Client()),
            ("visit", {}, browser),
            ("act", {"Origin": served.url, "Content-Type": "application/json"}, browser),
            ("nothing", {}, httpx.Client()),
        ):
            with who.stream(method, url, headers=headers) as got:
                assert (got.status_code != 401) == (not doors or door in doors), (door, got.status_code)


# -- the answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [each for each in _operations() if each[1] != UNBOUNDED])
def test_answers_are_as_described(served: Served, described: dict[str, Any], method: str, path: str) -> None:
    """Whatever is asked, in and out of what the description allows: no failure, a known status, the described body."""
    config = SchemathesisConfig.from_dict({"generation": {"with-security-parameters": False}})
    operation = schemathesis.openapi.from_dict(described, config=config)[path][method]

    @given(case=st.one_of(operation.as_strategy(), operation.as_strategy(schemathesis.GenerationMode.NEGATIVE)))
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(
            served.url, headers={"Authorization": f"Bearer {TOKEN}"}, checks=CHECKS, allow_redirects=False
        )

    ask()


@pytest.mark.parametrize("by", BYS)
def test_usage_is_as_described(served: Served, described: dict[str, Any], by: str) -> None:
    """Rows of every kind, with and without prices of one's own; no name that is not described."""
    for more in ({}, {"prices": PRICES}):
        got = served.client.post("/v1/usage", json={"by": by, **more})
        assert got.status_code == 200, got.text
        assert got.json()[by], "rows to look at"
        _validate(described, "UsageReport", got.json(), is_closed=True)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("overview", "Whole"),
        ("sessions", "Sessions"),
        ("sessions/s1", "Timeline"),
        ("projects", "Projects"),
        ("health", "Health"),
        ("context", "ToldPage"),
    ],
)
def test_the_page_is_as_described(served: Served, described: dict[str, Any], path: str, schema: str) -> None:
    """Full answers, which arbitrary questions seldom get."""
    _validate(described, schema, served.get(path), is_closed=True)


def test_events_are_as_described(served: Served, described: dict[str, Any]) -> None:
    """The first one comes at once."""
    with served.client.stream("GET", UNBOUNDED) as got:
        assert got.headers["content-type"].startswith(openapi.EVENTS)
        data = next(line for line in got.iter_lines() if line.startswith("data: "))
    _validate(described, "Flow", json.loads(data.removeprefix("data: ")), is_closed=True)


def test_lines_of_an_import_are_as_described(served: Served, described: dict[str, Any], tmp_path: Path) -> None:
    """Progress and a result; the last line is never missing."""
    transcripts = tmp_path / "claude" / "projects" / "p"
    transcripts.mkdir(parents=True)
    (transcripts / "s9.jsonl").write_text("{}\n")
    got = served.client.post("/v1/import", json={"dirs": [str(tmp_path / "claude")]})
    lines = [json.loads(line) for line in got.text.splitlines()]
    assert "result" in lines[-1] and "progress" in lines[0]
    for line in lines:
        _validate(described, "ImportLine", line, is_closed=True)


def _validate(described: dict[str, Any], name: str, value: Any, *, is_closed: bool = False) -> None:
    """is_closed: names that are not described are wrong, too"""
    components = json.loads(json.dumps(described["components"]))
    for schema in components["schemas"].values():
        if is_closed and "properties" in schema:
            schema["additionalProperties"] = False
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": components}).validate(value)


# -- found by asking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql", ["SELECT nope", "SELECT * FROM nope", "SELECT CAST('a' AS INT)", "SELECT error('x')", "SELECT ?"]
)
def test_a_wrong_question_is_the_askers(served: Served, sql: str) -> None:
    """400, not 500: the warehouse did not fail."""
    got = served.client.post("/v1/sql", json={"sql": sql})
    assert got.status_code == 400 and got.json()["error"]


@pytest.mark.parametrize("rows", [-1, 0, 1, 2**63 - 1, 2**63, 10**30])
def test_any_number_of_rows_can_be_asked_for(served: Served, rows: int) -> None:
    """At least one; beyond what the warehouse can count, all."""
    got = served.client.post("/v1/sql", json={"sql": "SELECT 7", "rows_max": rows})
    assert got.json()["rows"] == [[7]]


def test_the_last_day_there_is_can_be_asked_for(served: Served) -> None:
    """No day comes after it."""
    got = served.client.post("/v1/usage", json={"by": "daily", "since": "0001-01-01", "until": "9999-12-31"})
    assert len(got.json()["daily"]) == 2


@pytest.mark.parametrize("zone", ["localtime", "posix/UTC", "right/UTC", "posixrules"])
def test_files_among_the_zones_are_no_zones(served: Served, zone: str) -> None:
    """They open where a system keeps its zones, and the warehouse does not know them."""
    got = served.client.post("/v1/usage", json={"by": "daily", "timezone": zone})
    assert got.status_code == 400 and "time zone" in got.json()["error"]


@pytest.mark.parametrize("folder", ["\0", "x" * 5000])
def test_an_import_ends_with_a_result_or_an_error(served: Served, folder: str) -> None:
    """Also for names that no file system takes."""
    got = served.client.post("/v1/import", json={"dirs": [folder]})
    assert "error" in json.loads(got.text.splitlines()[-1])


def test_prices_of_ones_own_are_used(served: Served) -> None:
    """Any object was refused once; `{}` is a price book without `models`."""
    own = served.client.post("/v1/usage", json={"by": "daily", "prices": PRICES}).json()
    assert own["totals"]["totalCost"] == pytest.approx((100 * 1000 + 50 * 2000 + 850 * 100) / 1e6)
    assert served.client.post("/v1/usage", json={"by": "daily", "prices": {}}).status_code == 400


def test_another_method_is_refused_as_everything_is(served: Served) -> None:
    """As JSON, with the methods there are."""
    got = served.client.delete("/v1/sql")
    assert (got.status_code, got.headers["allow"], got.json()) == (
        405,
        "POST",
        {"error": "DELETE /v1/sql: Method Not Allowed."},
    )


def test_bodies_have_a_limit(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every route that reads one."""
    monkeypatch.setattr(service, "BODY_BYTES_MAX", 1000)
    for path in ("/v1/sql", "/v1/usage", "/v1/import", "/v1/activities"):
        got = served.client.post(path, content=b" " * 1001)
        assert got.status_code == 400 and "limit" in got.json()["error"]
