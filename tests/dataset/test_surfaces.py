"""Datasets as people and programs ask for them: the command, HTTP, a file, the query log; and that nothing gets into SQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlfluff.core import Linter
from tests.shared_data import shared_data
from tests.surface.page_service import Served, serve

from cdesk.cli import main
from cdesk.dataset import (
    BOUNDS,
    Append,
    Column,
    Condition,
    Definition,
    Operand,
    Primary,
    checked,
    compiled,
    over_file,
    read,
)
from cdesk.dataset.definition import AGGREGATES, COLUMNS
from cdesk.errors import UsageError
from cdesk.sql.dialect import to_duckdb

STREAM = """activity_id,ts,customer,activity,feature_json,revenue_impact
1,2024-01-01 10:00:00,ada,visited,"{""page"": ""home""}",
2,2024-01-01 10:00:00.5,ada,bought,"{""amount"": 2}",9.5
3,2024-01-02 10:00:00,ada,visited,"{""page"": ""shop""}",
4,2024-01-03 10:00:00,ada,bought,"{""amount"": 3}",1.5
5,2024-01-01 12:00:00,bob,visited,"{""page"": null}",
"""
WORDS = """primary all visited show customer, ts, page
append first after bought show ts as bought_at, amount:integer
append aggregate in between bought show sum(revenue_impact) as revenue, count(activity_id) as times"""
ROWS = [
    ["ada", "2024-01-01 10:00:00", "home", "2024-01-01 10:00:00.500000", 2, 9.5, 1],
    ["bob", "2024-01-01 12:00:00", None, None, None, 0, 0],
    ["ada", "2024-01-02 10:00:00", "shop", "2024-01-03 10:00:00", 3, 1.5, 1],
]


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "stream.csv"
    path.write_text(STREAM)
    return path


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_command_prints_columns_and_rows(stream: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """In words or from a file; times as the case format has them."""
    (tmp_path / "words.txt").write_text(WORDS)
    for given in ([WORDS], ["--definition", str(tmp_path / "words.txt")]):
        assert main(["dataset", *given, "--stream", str(stream), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert list(found) == ["columns", "rows"] and found["rows"] == ROWS
        assert found["columns"] == ["customer", "ts", "page", "bought_at", "amount", "revenue", "times"]


def test_the_sql_is_shown_on_request(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", WORDS, "--stream", str(stream), "--show-sql"]) == 0
    told = capsys.readouterr().out
    assert "ASOF JOIN" in told and '-- bound: ["visited"' in told and "home" in told
    assert main(["dataset", WORDS, "--stream", str(stream), "--show-sql", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["columns", "rows", "sql", "values"]


@pytest.mark.parametrize(("given", "told"), [
    ([], "--definition"), (["x", "--definition", "y"], "--definition"), (["--definition", "/none"], "cannot read /none"),
    (["primary all visited show ts", "--stream", "/none"], "no file /none"),
    (["primary all visitd show ts", "--stream", ...], "Did you mean 'visited'?"),
    (["primary all visited show pages", "--stream", ...], "Did you mean 'page'?"),
    (["primary all visited show ts append first ever bought where amont = 1 show ts as x", "--stream", ...], "'amount'"),
    (["primary all visited show ts append first ever bought join amount = primary.pge show ts as x", "--stream", ...],
     "Did you mean 'page'?"),
])  # fmt: skip
def test_what_is_wrong_is_one_line(
    given: list[Any], told: str, stream: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", *(str(stream) if each is ... else each for each in given)]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


@pytest.mark.parametrize(("text", "told"), [
    ("", "column"), ("activity_id,ts,activity\n", "customers"), ("ts,customer,activity\n", "activity_id"),
    (STREAM.replace("2024-01-02", "yesterday"), "ts is no time: yesterday 10:00:00 (activity_id 3)"),
    (STREAM.replace('"{""page"": ""shop""}"', "shop"), "feature_json is no JSON (activity_id 3)"),
    (STREAM.replace(",1.5", ",much"), "revenue_impact is no number (activity_id 4)"),
    (STREAM.replace("\n3,", "\n,"), "activity_id is missing"),
])  # fmt: skip
def test_a_file_that_is_no_stream_is_told(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "stream.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        over_file(read("primary all visited show ts"), path)
    assert told in str(error.value) and "\n" not in str(error.value)


# -- the warehouse -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("home")) as found:
        at = datetime(2026, 11, 1, 12, tzinfo=UTC)
        found.put(
            {"activity": "tool_called", "activity_id": "t1", "ts": at.isoformat(), "customer": "ada",
             "feature_json": {"tool_name": "Bash", "success": False, "tool_use_id": "u1"}},
            {"activity": "tool_called", "activity_id": "t2", "ts": at.replace(hour=13).isoformat(), "customer": "ada",
             "feature_json": {"tool_name": "Edit", "success": True, "tool_use_id": "u2"}},
            {"activity": "order_shipped", "activity_id": "o1", "ts": at.replace(hour=14).isoformat(), "customer": "ada",
             "feature_json": {"weight": 2}},
        )  # fmt: skip
        yield found


def post(served: Served, definition: Any, **more: Any) -> Any:
    answer = served.client.post("/v1/datasets", json={"definition": definition, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_http_answers_from_the_warehouse_and_the_query_log_knows_it(served: Served) -> None:
    """Our own activities and others'; what was asked stands in the log beside its SQL."""
    words = (
        "primary all tool_called show ts, tool_name append first after tool_called where success = true show tool_name as "
        "next append aggregate ever order_shipped show sum(weight:integer) as weight, min(activity_id) as shipped"
    )
    found = post(served, words)
    assert [row[:4] for row in found["rows"]] == [
        ["2026-11-01 12:00:00", "Bash", "Edit", 2], ["2026-11-01 13:00:00", "Edit", None, 2],
    ]  # fmt: skip
    assert found["is_cut"] is False and post(served, words, rows_max=1)["is_cut"] is True
    log = served.app.warehouse.query("SELECT query_text FROM QUERY_HISTORY WHERE query_id = ?", [found["query_id"]])
    assert '"aggregate_ever"' in log.rows[0][0]
    explained = served.client.post("/v1/explain", json={"citation": f"cdesk:{found['query_id']}"})
    assert explained.status_code == 200


def test_every_way_of_joining_runs_on_the_warehouses_own_types(served: Served) -> None:
    """There ids are UUIDs, and features one document."""
    own = ["first before", "last after", "nth(1) before", "first in between", "last in between", "last between before"]
    words = "primary all tool_called show activity_id " + " ".join(
        f'append {way} tool_called where activity_id is not null show activity_id as "{way}"' for way in own
    )
    sums = "show count(activity_id) as {0}1, min(activity_id) as {0}2, sum(latency_ms:integer) as {0}3"
    for name, way in (("b", "before"), ("a", "after"), ("i", "in between"), ("e", "ever")):
        words += f" append aggregate {way} tool_called {sums.format(name)}"
    first, second = post(served, words)["rows"]
    one, two = first[0], second[0]
    assert first[1:] == [None, two, None, two, two, None, 0, None, 0, 1, two, 0, 1, two, 0, 2, min(one, two), 0]
    assert second[1:] == [one, None, one, None, None, one, 1, one, 0, 0, None, 0, 0, None, 0, 2, min(one, two), 0]
    spine = "primary every week tool_called show ts, activity_id append aggregate in between tool_called show count(ts) as n"
    assert [(row[0], row[2]) for row in post(served, spine)["rows"]] == [("2026-10-26 00:00:00", 2)]


def test_what_the_catalog_declares_need_not_have_happened(served: Served) -> None:
    assert post(served, {"primary": {"activity": "file_edited", "columns": [{"column": "ts"}]}})["rows"] == []


@pytest.mark.parametrize(("definition", "told"), [
    ("primary all tool_caled show ts", "tool_called"), ("primary all tool_called show tool_nme", "tool_name"),
    ("primary all order_shipped show wight", "weight"), ({"primary": {}}, "missing required field"), (7, "body is wrong"),
])  # fmt: skip
def test_http_says_what_is_wrong(served: Served, definition: Any, told: str) -> None:
    answer = served.client.post("/v1/datasets", json={"definition": definition})
    assert answer.status_code == 400 and told in answer.json()["error"]


# -- names and values ----------------------------------------------------------------------------------------------

HOSTILE = [
    "'",
    '"',
    "\\",
    "\\'",
    "';--",
    '";--',
    "a'); DROP TABLE CLAUDE_STREAM_V2; --",
    ":1",
    "$1",
    "?",
    "{x}",
    "é\n\t",
    "/*",
]


def hostile() -> list[str]:
    try:
        folder = shared_data("sqli")
    except BaseException:  # what is here is enough to see a name or value get out
        return HOSTILE
    lines = [
        line
        for path in sorted(folder.rglob("Generic_*.txt"))
        for line in path.read_text("utf-8", "replace").splitlines()
    ]
    return [*HOSTILE, *lines[:: max(1, len(lines) // 6)]]


def test_names_and_values_never_become_sql(tmp_path: Path) -> None:
    """Each as activity, feature, column name, literal and delimiter at once: the answer is what brute force says."""
    path = tmp_path / "stream.csv"
    for text in hostile():
        if not text or "\0" in text or len(text) > 255:
            continue
        features = json.dumps({text: text}).replace('"', '""')
        activity = text.replace('"', '""')
        path.write_text(
            f'activity_id,ts,customer,activity,feature_json\n1,2024-01-01,a,"{activity}","{features}"\n'
            f'2,2024-01-02,a,"{activity}","{features}"\n', encoding="utf-8",
        )  # fmt: skip
        equals = (Condition("=", Operand(feature=text), Operand(literal=text)),)
        columns = (Column(feature=text, name=text), Column("ts", name="at"))
        listed = Append(text, "aggregate_ever", None, equals, (), (Column(feature=text, name="l", aggregate="listagg", delimiter=text),))  # fmt: skip
        following = Append(text, "first_after", None, equals, equals, (Column(feature=text, name="next"),))
        found = over_file(
            checked(Definition(Primary(text, filters=equals, columns=columns), (listed, following))), path
        )
        both = text + text + text
        assert found.answer.columns[0] == text
        assert [(row[0], row[2], row[3]) for row in found.answer.rows] == [(text, both, text), (text, both, None)], text


def test_the_pages_examples_are_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/dataset.md: Python runs, and the words mean what the JSON beside them means. Its commands run in tests/docs."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "dataset.md").read_text()
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", page, flags=re.S))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks["python"], "docs/dataset.md", "exec"), {})
    asked, written = read(blocks["text"]), read(blocks["json"])
    assert compiled(asked).sql == compiled(written).sql and compiled(asked).values == compiled(written).values
    for name in (*COLUMNS, *AGGREGATES, *BOUNDS):
        assert name in page, name


def test_the_statement_is_snowflakes() -> None:
    """sqlfluff reads each way of joining as Snowflake's SQL."""
    spine = "primary every month a where y is not null show ts append aggregate before b show sum(y:integer) as s"
    spine += " append aggregate in between b show count(x) as c append aggregate ever b show max(ts) as m"
    words = """primary nth(2) a show ts append first after b show ts as t1 append last in between b show x
    append nth(2) before b show ts as t2 append aggregate after b show listagg(x, ', ') as l, count_distinct(x) as d
    append first after b join x >= primary.customer show ts as t3"""
    linter = Linter(dialect="snowflake")
    for text in (spine, words):
        sql = compiled(read(text)).sql
        assert linter.parse_string(sql).violations == [], sql
        assert len(to_duckdb(sql)) == 1
