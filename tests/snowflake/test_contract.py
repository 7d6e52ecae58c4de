"""What every warehouse does, asked of each of them: DuckDB, and Snowflake's own connector talking to an account."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
from tests.generated import START
from tests.snowflake.conftest import JOINED, PYTHON_5, Account
from tests.snowflake.emulator.process import ROOT
from tests.snowflake.rows import stream

from cdesk.activity.codec import decode_raw, encode
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.errors import QueryRefused, WarehouseError
from cdesk.refresh.runner import Runner
from cdesk.refresh.task import load
from cdesk.warehouse.deploy import apply
from cdesk.warehouse.duckdb.store import DuckDBWarehouse, undeployed
from cdesk.warehouse.warehouse import STREAM, Merged, Warehouse

_number = count()
LANE = "not duckdb and not connector_5 and not each_change and not order_and_grouping"
"""Of this file, with connector 5.x: not what takes long and says nothing more of it."""
LANE_SECONDS = 300


class House(Protocol):
    """A warehouse with what keeps it fresh."""

    @property
    def warehouse(self) -> Warehouse: ...
    def run(self, name: str) -> object:
        """A task, now, to its end."""
        ...

    def deployed_again(self) -> list[str]:
        """Steps that a second deployment takes."""
        ...


class Embedded:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warehouse = DuckDBWarehouse(folder)
        self._runner = Runner(self.warehouse, load())

    def run(self, name: str) -> None:
        assert self._runner.run(name).error is None

    def deployed_again(self) -> list[str]:
        self.warehouse.close()
        with undeployed(self._folder) as connection:
            return [step.name for step in apply(connection)]


class Team:
    def __init__(self, account: Account) -> None:
        self.warehouse, self.run, self._account = account.warehouse, account.run, account

    def deployed_again(self) -> list[str]:
        with self._account.deployment() as deployment:
            return [step.name for step in deployment.apply()]


@pytest.fixture(params=["duckdb", "snowflake"])
def house(request: pytest.FixtureRequest, tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    if request.param == "snowflake":
        yield Team(request.getfixturevalue("account"))
        return
    opened = Embedded(deployed(tmp_path))
    yield opened
    opened.warehouse.close()


@pytest.fixture
def warehouse(house: House) -> Warehouse:
    return house.warehouse


def fact(**more: Any) -> Activity:
    """One that no other test has, nor another process."""
    given: dict[str, Any] = {
        "activity_id": activity_id("contract", f"{os.getpid()} {next(_number)}"), "ts": START, "activity": "tool_called",
        "customer": "ada", "source": "hook", "feature_json": {"tool_name": "Bash"},
    }  # fmt: skip
    return Activity(**given | more)


def test_a_fact_is_there_once_however_often_it_is_told(warehouse: Warehouse) -> None:
    """Within a batch and across batches."""
    one, other = fact(), fact()
    assert warehouse.merge([one, one, other]) == Merged(inserted=2)
    assert warehouse.merge([other, one]) == Merged(unchanged=2)
    assert len(stream(warehouse, [one.activity_id, other.activity_id])) == 2


def test_two_sources_of_one_fact_are_one_row(warehouse: Warehouse) -> None:
    """What each said stays behind the row; the transcript goes before the hook."""
    hook = fact(feature_json={"tool_name": "Bash", "latency_ms": 12.5, "success": True}, customer="from hook")
    transcript = msgspec.structs.replace(
        hook, source="transcript", customer="from transcript", feature_json={"tool_name": "Bash", "result_size": 7}
    )
    assert warehouse.merge([hook]) == Merged(inserted=1)
    assert warehouse.merge([transcript]) == Merged(updated=1)
    assert warehouse.merge([hook]) == Merged(unchanged=1)
    [row] = stream(warehouse, [hook.activity_id])
    assert row["_source"] == "hook,transcript" and row["customer"] == "from transcript"
    assert row["feature_json"] == {"tool_name": "Bash", "latency_ms": 12.5, "success": True, "result_size": 7}


def test_a_row_that_turns_out_to_be_anothers_second_name_is_absorbed(warehouse: Warehouse) -> None:
    """Sources know a response by different names until one of them knows both."""
    request = fact(activity="claude_responded", source="otel", feature_json={"model": "m"})
    message = fact(
        activity="claude_responded", source="transcript", also_id=request.activity_id, feature_json={"effort": "high"}
    )
    warehouse.merge([request])
    warehouse.merge([message])
    [row] = stream(warehouse, [request.activity_id, message.activity_id])
    assert row["activity_id"] == message.activity_id and row["_source"] == "otel,transcript"
    assert row["feature_json"] == {"model": "m", "effort": "high"}


HOSTILE = (
    "it's",
    'a "quoted" \\ back\\\\slash',
    "new\nline\ttab",
    "'); DROP TABLE CLAUDE_STREAM_V2; --",
    "💥 é ﷽",
    "$$",
    "?",
    ":1",
)


def test_hostile_values_come_back_as_they_went(warehouse: Warehouse) -> None:
    """No quoting, no binding and no file format changes what was said."""
    facts = [fact(customer=text, link=text, feature_json={"tool_name": text, "error": text}) for text in HOSTILE]
    assert warehouse.merge([decode_raw(encode(one)) for one in facts]) == Merged(inserted=len(facts))
    rows = {row["activity_id"]: row for row in stream(warehouse, [one.activity_id for one in facts])}
    for one in facts:
        row = rows[one.activity_id]
        assert (row["customer"], row["link"], row["feature_json"]) == (one.customer, one.link, one.feature_json)


def test_times_keep_their_microseconds(warehouse: Warehouse) -> None:
    one = fact(ts=START + timedelta(microseconds=123_457))
    warehouse.merge([one])
    [row] = stream(warehouse, [one.activity_id])
    assert row["ts"] == one.ts.replace(tzinfo=None)


def test_order_and_grouping_change_nothing(warehouse: Warehouse) -> None:
    """Six sources tell of four facts, in any order, in any batches, some of them twice."""
    chance = random.Random(7)
    facts = [fact() for _ in range(4)]
    told = [
        msgspec.structs.replace(
            one, source=source, feature_json={"latency_ms": n, source: n}
        )
        for n, one in enumerate(facts) for source in ("transcript", "otel", "hook", "mcp", "api", "cdesk")
    ]  # fmt: skip
    chance.shuffle(told)
    told += told[:6]
    while told:
        size = chance.randint(1, 9)
        warehouse.merge(told[:size])
        told = told[size:]
    rows = stream(warehouse, [one.activity_id for one in facts])
    assert [sorted(row["feature_json"]) for row in rows] == [
        ["api", "cdesk", "hook", "latency_ms", "mcp", "otel", "transcript"]
    ] * 4
    assert {row["_source"] for row in rows} == {"api,cdesk,hook,mcp,otel,transcript"}


def test_a_question_is_answered_with_names_types_and_its_id(warehouse: Warehouse) -> None:
    """Names without quotes are lower case; values are bound; rows are cut where it is asked for."""
    answer = warehouse.ask(
        "SELECT 1 AS one, CAST(? AS VARCHAR) AS said UNION ALL SELECT 2, 'b' ORDER BY 1", ["it's"], query_id="q_1",
        rows_max=1, seconds_max=30,
    )  # fmt: skip
    assert (answer.columns, answer.rows, answer.query_id) == (("one", "said"), [(1, "it's")], "q_1")


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM CLAUDE_STREAM_V2", "SELECT 1; SELECT 2", "SELEC 1", "DROP TABLE CLAUDE_STREAM_V2",
     "SELECT * FROM NO_SUCH_TABLE", "CREATE TABLE x (a INTEGER)", ""],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_one_line(warehouse: Warehouse, sql: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        warehouse.ask(sql, query_id="q_2", rows_max=10, seconds_max=30)
    assert "\n" not in str(refused.value) and str(refused.value)


def test_a_trusted_statement_that_fails_says_so(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError):
        warehouse.query("SELECT * FROM NO_SUCH_TABLE")


def test_it_knows_how_much_it_has_and_until_when(warehouse: Warehouse) -> None:
    """The doctor's self-tests are nobody's data."""
    before = warehouse.count()
    newest = datetime.now(UTC) + timedelta(days=400)
    warehouse.merge([fact(ts=newest), fact(ts=newest + timedelta(days=1), activity="self_test_arrived")])
    assert warehouse.count() == before + 2
    assert warehouse.data_as_of() == newest
    assert warehouse.compact() is False


def test_a_second_deployment_does_nothing(house: House) -> None:
    assert house.deployed_again() == []


def test_a_task_takes_each_change_once(house: House) -> None:
    """Its stream gives what is new, what says more, and nothing twice; so rows are numbered, and numbered anew."""
    person = f"numbered {os.getpid()}"
    later = [fact(customer=person, ts=START + timedelta(minutes=minute)) for minute in (10, 20, 30)]
    house.warehouse.merge(later)
    for _ in range(2):  # the second time it sees at most its own writing
        house.run("number_occurrences")
        assert _numbers(house.warehouse, person) == [(1, 10), (2, 10), (3, None)]
    house.warehouse.merge([later[0], fact(customer=person, ts=START)])
    house.run("number_occurrences")
    assert _numbers(house.warehouse, person) == [(1, 10), (2, 10), (3, 10), (4, None)]


def _numbers(warehouse: Warehouse, customer: str) -> list[tuple[int, int | None]]:
    """Of each row its number, and the minutes until it came again."""
    rows = warehouse.query(
        f"SELECT activity_occurrence, ts, activity_repeated_at FROM {STREAM} WHERE customer = '{customer}' ORDER BY ts"
    ).rows
    return [
        (int(number), None if again is None else (again - ts) // timedelta(minutes=1)) for number, ts, again in rows
    ]


def test_a_view_shows_typed_columns_and_no_value_breaks_it(warehouse: Warehouse) -> None:
    """What is no number is NULL, the row stays."""
    person = f"viewed {os.getpid()}"
    features: list[dict[str, Any]] = [
        {"tool_name": "Bash", "latency_ms": 12.5, "success": True, "result_size": 7},
        {"mcp_tool": "look", "latency_ms": "fast", "success": "maybe", "result_size": "much"},
    ]
    warehouse.merge([
        fact(customer=person, ts=START + timedelta(seconds=n), feature_json=said) for n, said in enumerate(features)
    ])  # fmt: skip
    found = warehouse.query(
        "SELECT tool_name_normalized, latency_ms, success, result_size_bytes, performance_tier FROM VW_TOOL_EVENTS"
        f" WHERE customer = '{person}' ORDER BY ts"
    )
    assert found.columns[:2] == ("tool_name_normalized", "latency_ms")
    assert found.rows == [("Bash", 12.5, True, 7, "excellent"), ("look", None, None, None, None)]


def test_what_expired_goes_unless_it_is_pinned_or_held(house: House) -> None:
    """A hold on the thing, or on the person; one that was released holds nothing."""
    mark = f"kept {os.getpid()}"
    now = datetime.now(UTC).replace(tzinfo=None)
    for name, customer, pinned, days in (
        ("plain", "ada", False, -1), ("later", "ada", False, 1), ("pinned", "ada", True, -1),
        ("held", "ada", False, -1), ("released", "ada", False, -1), ("of a held person", "bob", False, -1),
    ):  # fmt: skip
        house.warehouse.query(
            "INSERT INTO ARTIFACTS (artifact_id, created_ts, customer, artifact_type, is_pinned, expires_at, source_query_id)"
            " SELECT ?, CAST(? AS TIMESTAMP), ?, 'table', ?, CAST(? AS TIMESTAMP), ?",
            [f"{mark} {name}", str(now), f"{mark} {customer}", pinned, str(now + timedelta(days=days)), mark],
        )
    holds: list[tuple[str | None, str | None, str | None]] = [
        (None, f"{mark} held", None), (None, f"{mark} released", str(now)), (f"{mark} bob", None, None),
    ]  # fmt: skip
    for hold in holds:
        house.warehouse.query(
            "INSERT INTO LEGAL_HOLD (hold_id, customer, artifact_id, reason, placed_at, released_at)"
            " SELECT ?, ?, ?, 'a case', CAST(? AS TIMESTAMP), CAST(? AS TIMESTAMP)",
            [mark, *hold[:2], str(now), hold[2]],
        )
    house.run("clean_artifacts")
    left = house.warehouse.query("SELECT artifact_id FROM ARTIFACTS WHERE source_query_id = ? ORDER BY 1", [mark]).rows
    assert [name.removeprefix(f"{mark} ") for (name,) in left] == ["held", "later", "of a held person", "pinned"]


def test_the_same_holds_with_connector_5(account: Account) -> None:
    """Its own Python runs this file once more, against the same emulator and what is deployed there."""
    if account.emulator is None or JOINED:
        pytest.skip("this is about the emulator")
    if not PYTHON_5.exists():
        pytest.skip("there is no connector 5.x: `make test`, or set CDESK_CONNECTOR5_PYTHON")
    joined = {
        "port": account.emulator.port,
        "connections": str(account.emulator.connections),
        "database": account.settings.database,
    }
    ran = subprocess.run(
        [PYTHON_5, "-m", "pytest", "-x", "-rs", __file__, "-k", LANE],
        cwd=ROOT,
        env={**os.environ, "CDESK_TEST_EMULATOR": json.dumps(joined), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=LANE_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " skipped" not in ran.stdout, ran.stdout
