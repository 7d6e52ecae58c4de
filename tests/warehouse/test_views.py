"""The schema files, deployed on a real DuckDB in memory and asked about rows written by hand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

import duckdb
import pytest
from sqlfluff.core import Linter
from tests.refresh.changes import Tasks

from cdesk.activity.catalog import CATALOG, FAMILIES, Family, complete
from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK
from cdesk.sql.dialect import UnsupportedSQL
from cdesk.warehouse.deploy import SCHEMA_FOLDER, apply, plan

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
HOUR = NOW.replace(minute=0, second=0) - timedelta(hours=2)
METRICS = (
    "VW_PRODUCT_METRICS", "V_USER_ADOPTION", "V_TOOL_USAGE_ANALYTICS", "V_ERRORS", "V_ERROR_ANALYSIS",
    "V_PROJECT_ACTIVITY", "V_EXECUTIVE_SUMMARY",
)  # fmt: skip
VIEWS = (*(family.view for family in FAMILIES), *METRICS)

RENAMED = {
    "VW_SQL_EVENTS": {"sql": "sql_text", "rows": "rows_returned", "error": "error_message"},
    "VW_LLM_EVENTS": {"latency_ms": "time_to_first_token_ms", "stream": "is_streamed", "error": "error_message"},
    "VW_TOOL_EVENTS": {"error": "error_message", "result_size": "result_size_bytes"},
    "VW_SESSION_EVENTS": {"trigger": "triggered_by"},
    "VW_MCP_EVENTS": {"stale": "is_stale_while_revalidate", "context_size": "context_size_bytes",
                      "error": "error_message"},
}  # fmt: skip
TYPES = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "object": "VARIANT",
         "array": "VARIANT", "any": "VARIANT"}  # fmt: skip


class Warehouse:
    """A deployed warehouse, with verbs a test can read."""

    def __init__(self) -> None:
        self.duckdb = duckdb.connect()
        apply(self.duckdb)
        self._tasks = Tasks(self.duckdb)
        self._seq = 0

    def record(
        self,
        activity: str,
        ts: datetime = HOUR,
        customer: str | None = "ada",
        session: str = "s1",
        cost: float | None = None,
        link: str | None = None,
        also: dict[str, JSON] | None = None,
        **features: JSON,
    ) -> UUID:
        activity_id = uuid4()
        features |= also or {}
        self._seq += 1
        self.duckdb.execute(
            "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, customer, activity, feature_json, revenue_impact, link,"
            " _session_id, _project_path, _seq, _first_seq)"
            " SELECT $1, $2, $3, $4, $5::JSON::VARIANT, $6, $7, $8, $5::JSON ->> 'project_path', $9, $9",
            [
                activity_id,
                ts,
                customer,
                activity,
                json.dumps(complete(activity, features)),
                cost,
                link,
                session,
                self._seq,
            ],
        )
        return activity_id

    def log(self, query_id: str, start_time: datetime | None = HOUR, **columns: object) -> None:
        row = {"query_id": query_id, "start_time": start_time, **columns}
        names, binds = ", ".join(row), ", ".join("?" * len(row))
        self.duckdb.execute(f"INSERT INTO QUERY_HISTORY ({names}) VALUES ({binds})", list(row.values()))

    def rows(self, sql: str) -> list[dict[str, object]]:
        """After the rollups were brought up to date."""
        self._tasks.run("roll_up_activity")
        asked = self.duckdb.execute(sql)
        names = [column[0] for column in asked.description]
        return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]

    def row(self, sql: str) -> dict[str, object]:
        [row] = self.rows(sql)
        return row


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    opened = Warehouse()
    yield opened
    opened.duckdb.close()


@cache
def _linter() -> Linter:
    return Linter(dialect="snowflake")


@pytest.mark.parametrize("path", sorted(SCHEMA_FOLDER.glob("*.sql")), ids=lambda path: path.name)
def test_snowflakes_grammar_takes_every_file(path: Path) -> None:
    """sqlfluff reads the whole file as Snowflake's SQL; the header says what it takes and gives."""
    text = path.read_text()
    parsed = _linter().parse_string(text)
    assert parsed.tree is not None
    assert [violation.desc() for violation in parsed.violations] == []
    assert [part.raw for part in parsed.tree.recursive_crawl("unparsable")] == []
    assert text.startswith("--") and "Takes:" in text and "ives:" in text


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.view)
def test_every_declared_feature_is_a_typed_column(family: Family, warehouse: Warehouse) -> None:
    """The catalog is the contract: a feature added there is missing here until it is a column."""
    columns = {row["column_name"]: row["column_type"] for row in warehouse.rows(f"DESCRIBE {family.view}")}
    renamed = RENAMED.get(family.view, {})
    wanted = {renamed.get(f.name, f.name): TYPES[f.kind] for a in family.activities for f in a.features}
    assert {name: columns.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.view)
def test_every_activity_and_its_old_names_are_in_exactly_its_familys_view(family: Family, warehouse: Warehouse) -> None:
    """An activity, and every name the original system gave it, is found once."""
    names = {name for each in family.activities for name in (each.activity, *each.aliases)}
    for name in names:
        warehouse.record(name)
    found = {
        other.view: {row["activity"] for row in warehouse.rows(f"SELECT activity FROM {other.view}")}
        for other in FAMILIES
    }
    assert found == {other.view: names if other == family else set() for other in FAMILIES}


def test_features_keep_their_values(warehouse: Warehouse) -> None:
    """Decimals, big numbers, truth and objects come back as they went in; an alias's row too."""
    warehouse.record("tool_called", tool_name="Bash", latency_ms=12.75, success=True, result_size=2**40,
                     parameters={"command": "ls", "deep": [1, {"a": None}]})  # fmt: skip
    row = warehouse.row("SELECT * FROM VW_TOOL_EVENTS")
    assert (row["tool_name"], row["latency_ms"], row["success"], row["result_size_bytes"]) == (
        "Bash", 12.75, True, 2**40)  # fmt: skip
    assert row["parameters"] == {"command": "ls", "deep": [1, {"a": None}]}
    assert (row["performance_tier"], row["success_flag"], row["error_message"]) == ("excellent", 1, None)


BAD: tuple[JSON, ...] = (
    "text", "", "NaN", "Infinity", "1e400", -1, 2**63, -(2**63), 1e308, 1.5, True, None, [], [1, "a"], {}, {"a": {"b": [None]}},
    "9223372036854775807", "2026-01-01", "null", "\u0000 \U0001f600", "'; DROP TABLE",
)  # fmt: skip


def test_no_value_breaks_a_view(warehouse: Warehouse) -> None:
    """Whatever type a feature arrives with, every view still answers in full."""
    for name, declaration in CATALOG.items():
        for value in BAD:
            warehouse.record(name, ts=NOW, also={feature.name: value for feature in declaration.features})
    for document in ("5", '"text"', "[1]", "null", None):
        warehouse.duckdb.execute(
            "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, activity, feature_json)"
            " SELECT uuid(), ?, unnest(?), ?::JSON::VARIANT", [NOW, list(CATALOG), document])  # fmt: skip
    for view in VIEWS:
        assert warehouse.rows(f"SELECT * FROM {view}"), view


def test_an_empty_stream_gives_empty_views_and_one_summary(warehouse: Warehouse) -> None:
    """Nothing happened: no rows, and a summary that says so with zeros, not with NULL."""
    for view in VIEWS:
        assert len(warehouse.rows(f"SELECT * FROM {view}")) == (view == "V_EXECUTIVE_SUMMARY"), view
    summary = warehouse.row("SELECT * FROM V_EXECUTIVE_SUMMARY")
    assert (summary["total_activities"], summary["total_cost_usd"], summary["unpriced_responses"]) == (0, 0, 0)
    assert (summary["avg_cost_per_activity"], summary["avg_response_time_ms"]) == (None, None)


def test_a_query_meets_its_run_once(warehouse: Warehouse) -> None:
    """The log is joined by tag without fan-out: of repeated tags the last run speaks; a failed one is there too."""
    warehouse.record("sql_executed", query_id="q1", success=True, sql="SELECT 1", rows=3, credits_used=0.25)
    warehouse.record("sql_executed", query_id="q2", success=False, error="no such table", error_code="42")
    warehouse.record("query_error", query_id="q3")
    warehouse.record("sql_executed", query_id="q4")
    warehouse.log("run1", query_tag="cdesk:q1", query_text="first", start_time=HOUR)
    warehouse.log("run2", query_tag="cdesk:q1", query_text="second", start_time=HOUR + timedelta(minutes=1))
    warehouse.log("run3", query_tag="cdesk:q1", query_text="unknown start", start_time=None)
    warehouse.log("run4", query_tag="cdesk:q4", error_code="7", error_message="late failure")
    warehouse.log("run5", query_tag="other")
    rows = {row["query_id"]: row for row in warehouse.rows("SELECT * FROM VW_SQL_EVENTS")}
    assert {key: row["status"] for key, row in rows.items()} == {
        "q1": "success", "q2": "failed", "q3": "failed", "q4": "failed"}  # fmt: skip
    assert (rows["q1"]["snowflake_query_id"], rows["q1"]["actual_query_text"]) == ("run2", "second")
    assert (rows["q1"]["sql_text"], rows["q1"]["rows_returned"], rows["q1"]["credits_used"]) == ("SELECT 1", 3, 0.25)
    assert (rows["q1"]["is_answer"], rows["q1"]["has_provenance"]) == (True, True)
    assert (rows["q2"]["error_message"], rows["q2"]["is_answer"], rows["q2"]["has_provenance"]) == (
        "no such table", False, False)  # fmt: skip


def test_an_unpriced_answer_is_counted_not_priced(warehouse: Warehouse) -> None:
    """No answer costs $0 because its model is unknown."""
    warehouse.record("claude_responded", model="new", total_tokens=10, is_priced=False, is_counted=True)
    warehouse.record("claude_responded", model="old", total_tokens=0, is_counted=True)
    warehouse.record("claude_responded", model="new", total_tokens=10, is_counted=False)
    row = warehouse.row("SELECT * FROM V_EXECUTIVE_SUMMARY")
    assert (row["unpriced_responses"], row["total_cost_usd"], row["total_tokens_consumed"]) == (1, None, 10)
    warehouse.record(
        "claude_responded", model="old", total_tokens=5, is_counted=True, cost_usd=0.123456789, cost=0.123456789
    )
    row = warehouse.row("SELECT * FROM VW_PRODUCT_METRICS")
    assert (row["unpriced_responses"], row["total_cost_usd"], row["total_tokens"]) == (1, 0.123456789, 15)
    costs = warehouse.rows("SELECT estimated_cost_usd, is_unpriced FROM VW_LLM_EVENTS ORDER BY ALL")
    assert [tuple(row.values()) for row in costs] == [
        (0.123456789, False), (None, False), (None, False), (None, True)]  # fmt: skip


def test_the_health_score_is_the_mean_of_what_is_known(warehouse: Warehouse) -> None:
    """Each component rests on its own calls only, and none gives free points."""
    warehouse.record("user_asked")
    row = warehouse.row("SELECT * FROM VW_PRODUCT_METRICS")
    assert (row["health_score"], row["mcp_latency_slo"]) == (None, None)

    warehouse.record("tool_called", success=True, latency_ms=90_000)
    warehouse.record("tool_called", success=False)
    warehouse.record("tool_called", success=None)
    row = warehouse.row("SELECT * FROM VW_PRODUCT_METRICS")
    assert (row["tool_success_score"], row["health_score"], row["mcp_latency_score"]) == (50.0, 50.0, None)

    warehouse.record("mcp_called", latency_ms=50)
    row = warehouse.row("SELECT * FROM VW_PRODUCT_METRICS")
    assert (row["mcp_latency_slo"], row["mcp_latency_score"], row["health_score"]) == ("missed", 50.0, 50.0)

    warehouse.record("sql_executed", query_id="q1", success=True, link="artifact://1")
    warehouse.record("sql_executed", query_id="q2", success=True)
    warehouse.record("sql_executed", success=True, link="artifact://2")
    warehouse.record("sql_executed", query_id="q3", success=False)
    warehouse.record("sql_executed", query_id="q4", success=True)
    warehouse.log("run4", query_tag="cdesk:q4")
    row = warehouse.row("SELECT * FROM VW_PRODUCT_METRICS")
    assert (row["answers"], row["answers_with_provenance"], row["provenance_score"]) == (4, 2, 50.0)
    assert row["health_score"] == 50.0
    assert row["health_inputs"] == {
        "mcp_calls_timed": 1, "mcp_p95_latency_ms": 50.0, "mcp_slo_ms": 25, "tool_calls_ended": 2,
        "tool_calls_succeeded": 1, "answers": 4, "answers_with_provenance": 2,
    }  # fmt: skip


def test_product_metrics_are_by_hour_and_customer(warehouse: Warehouse) -> None:
    """A row each, the unknown customer too, seven days back."""
    warehouse.record("user_asked", customer="ada")
    warehouse.record("tool_called", customer=None, success=True)
    warehouse.record("tool_called", customer="ada", ts=HOUR + timedelta(hours=1), success=True)
    warehouse.record("tool_called", customer="ada", ts=NOW - timedelta(days=8), success=True)
    rows = warehouse.rows("SELECT hour, customer, total_activities, tool_calls FROM VW_PRODUCT_METRICS ORDER BY ALL")
    assert [tuple(row.values()) for row in rows] == [
        (HOUR, "ada", 1, 0), (HOUR, None, 1, 1), (HOUR + timedelta(hours=1), "ada", 1, 1)]  # fmt: skip


def test_users_are_customers_and_sessions_are_sessions(warehouse: Warehouse) -> None:
    """One person on two sessions is one user; two people in two days make growth."""
    yesterday = HOUR - timedelta(days=1)
    warehouse.record("user_asked", ts=yesterday - timedelta(days=2))
    warehouse.record("user_asked", ts=yesterday, session="s1")
    warehouse.record("tool_called", ts=yesterday, session="s2", tool_name="Bash")
    warehouse.record("user_asked", ts=HOUR, session="s3")
    warehouse.record("user_asked", ts=HOUR, session="s4", customer="bob")
    rows = warehouse.rows("SELECT * FROM V_USER_ADOPTION ORDER BY activity_date")
    assert [(r["daily_active_users"], r["daily_sessions"], r["previous_day_users"], r["daily_growth_percentage"])
            for r in rows] == [(1, 1, 0, None), (1, 2, 0, None), (2, 2, 1, 100.0)]  # fmt: skip
    assert [(r["user_list"], r["unique_tools_used"]) for r in rows] == [("ada", 0), ("ada", 1), ("ada, bob", 0)]
    summary = warehouse.row("SELECT * FROM V_EXECUTIVE_SUMMARY")
    assert (summary["unique_users"], summary["total_sessions"], summary["days_active"]) == (2, 4, 3)


def test_an_answers_price_is_shared_by_the_tools_it_called(warehouse: Warehouse) -> None:
    """Shares add up to the answer's tokens and price, and no more."""
    warehouse.record("claude_responded", message_id="m1", total_tokens=300, is_counted=True, cost=0.3)
    warehouse.record("tool_called", tool_name="Bash", message_id="m1", success=True, latency_ms=10)
    warehouse.record("tool_called", tool_name="Bash", message_id="m1", success=False, latency_ms=30)
    warehouse.record("tool_called", tool_name="Read", message_id="m1", success=None)
    warehouse.record("tool_called", tool_name="Glob", success=True, latency_ms="Infinity")
    rows = {row["tool_name"]: row for row in warehouse.rows("SELECT * FROM V_TOOL_USAGE_ANALYTICS")}
    assert rows["Bash"]["total_tokens"] == pytest.approx(200) and rows["Bash"]["total_cost"] == pytest.approx(0.2)
    assert (rows["Bash"]["success_rate_percentage"], rows["Bash"]["avg_duration_ms"]) == (50.0, 20.0)
    assert (rows["Read"]["success_rate_percentage"], rows["Read"]["usage_count"]) == (None, 1)
    assert (rows["Glob"]["total_cost"], rows["Glob"]["max_duration_ms"]) == (None, None)


def test_each_failure_is_analysed_once(warehouse: Warehouse) -> None:
    """Tools, requests, statements, servers and cdesk itself; an MCP tool's failure is the tool's."""
    warehouse.record("tool_called", tool_name="Bash", success=False, error="boom", error_type="exit")
    warehouse.record("tool_called", tool_name="Read", success=False, error="boom", error_type="exit", session="s2")
    warehouse.record("tool_called", tool_name="mcp__x__y", success=False, error="gone", tool_use_id="t9")
    warehouse.record("mcp_called", method="y", success=False, error="gone", tool_use_id="t9")
    warehouse.record("mcp_called", method="get_context", success=False, error="busy")
    warehouse.record("api_request_failed", status=529, error="overloaded", retry_in_ms=10)
    warehouse.record("sql_executed", query_id="q", success=False, error="no table", error_code="42S02")
    warehouse.record("error_recovered", event_type="error_recovery", severity="error", message="m", action_taken="a")
    warehouse.record("queue_rotated", event_type="queue_rotation", severity="info")
    rows = warehouse.rows("SELECT * FROM V_ERROR_ANALYSIS ORDER BY error_source, error_type")
    assert [(r["error_source"], r["error_type"], r["error_count"], r["errors_with_recovery"]) for r in rows] == [
        ("llm", "529", 1, 1), ("mcp", "mcp_failed", 1, 0), ("sql", "42S02", 1, 0),
        ("system", "error_recovery", 1, 1), ("tool", "exit", 2, 0), ("tool", "tool_failed", 1, 0)]  # fmt: skip
    assert (rows[4]["related_tools"], rows[4]["affected_sessions"]) == ("Bash, Read", 2)
    assert warehouse.row("SELECT errors_encountered FROM V_EXECUTIVE_SUMMARY") == {"errors_encountered": 7}


def test_projects_count_what_was_changed(warehouse: Warehouse) -> None:
    """Lines added and removed, not lines read; a branch of its own row; a rename is no deletion."""
    where: dict[str, JSON] = {"project_path": "/p", "git_branch": "main"}
    warehouse.record("file_edited", operation="edit", file_path="/p/a", lines_added=3, lines_removed=1, success=True,
                     bytes_before=10, bytes_after=4, also=where)  # fmt: skip
    warehouse.record("file_read", operation="read", file_path="/p/a", lines_affected=99, success=True, also=where)
    warehouse.record("file_created", operation="create", file_path="/p/b", lines_affected=7, success=True,
                     bytes_after=70, also=where)  # fmt: skip
    warehouse.record("file_renamed", operation="rename", file_path="/p/c", success=True, project_path="/p")
    warehouse.record("tool_called", tool_name="Edit", cost=0.5, also=where)
    rows = {row["git_branch"]: row for row in warehouse.rows("SELECT * FROM V_PROJECT_ACTIVITY")}
    main = rows["main"]
    assert (main["total_activities"], main["tool_calls"], main["file_operations"], main["files_touched"]) == (
        4,
        1,
        3,
        2,
    )
    assert (main["total_lines_modified"], main["project_cost"], rows[None]["file_operations"]) == (11, 0.5, 1)
    files = warehouse.rows("SELECT operation_category, bytes_changed, file_link FROM VW_FILE_EVENTS ORDER BY ALL")
    assert [tuple(row.values()) for row in files] == [
        ("modify", -6, "file:///p/a"), ("read", None, "file:///p/a"), ("rename", None, "file:///p/c"),
        ("write", 70, "file:///p/b")]  # fmt: skip


def test_statuses_say_nothing_where_nothing_is_known(warehouse: Warehouse) -> None:
    """A call that tells no latency did not breach; no cache is no miss."""
    warehouse.record("mcp_called", method="a")
    warehouse.record("get_context", latency_ms=25, cache_hit=True, cache_age_ms=29_999, stale=True)
    warehouse.record("mcp_called", method="c", latency_ms=25.1, cache_hit=True, cache_age_ms=30_000, stale=True)
    warehouse.record("mcp_called", method="d", cache_hit=False)
    rows = warehouse.rows("SELECT method, latency_slo_status, cache_status FROM VW_MCP_EVENTS ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [
        ("a", None, None), ("c", "slo_breach", "stale_hit"), ("d", None, "miss"),
        ("get_context", "within_slo", "fresh_hit")]  # fmt: skip
    warehouse.record("backpressure", event_type="backpressure", severity="critical")
    warehouse.record("schema_drift_detected", event_type="schema_drift", severity="warning")
    warehouse.record("hook_ran", event_type="hook", outcome="success")
    rows = warehouse.rows("SELECT alert_priority, system_health FROM VW_SYSTEM_EVENTS ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [(1, "unhealthy"), (2, "warning"), (4, "healthy")]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati", "Asia/Kolkata"])
def test_the_sessions_time_zone_changes_no_answer(zone: str, warehouse: Warehouse) -> None:
    """Windows, hours and days are UTC, whatever the session is set to."""
    for hours in range(0, 24 * 8, 3):
        warehouse.record("tool_called", ts=NOW - timedelta(hours=hours, minutes=30), tool_name="Bash", success=True)
    asked = [f"SELECT * FROM {view} ORDER BY ALL" for view in VIEWS if view != "V_EXECUTIVE_SUMMARY"]
    asked.append("SELECT * EXCLUDE (last_updated) FROM V_EXECUTIVE_SUMMARY")
    here = [warehouse.rows(sql) for sql in asked]
    warehouse.duckdb.execute(f"SET TimeZone = '{zone}'")
    assert [warehouse.rows(sql) for sql in asked] == here


def test_deploying_twice_changes_nothing(warehouse: Warehouse) -> None:
    """What is current is left alone, and its rows with it."""
    warehouse.record("user_asked")
    recorded = warehouse.rows("SELECT * FROM ACTIVITY_SCHEMA_VERSION ORDER BY version_id")
    assert [row["migration_name"] for row in recorded] == sorted(p.name for p in SCHEMA_FOLDER.glob("[0-9]*.sql"))
    assert {row["status"] for row in recorded} == {"completed"}
    assert (plan(warehouse.duckdb), apply(warehouse.duckdb)) == ([], [])
    assert warehouse.rows("SELECT * FROM ACTIVITY_SCHEMA_VERSION ORDER BY version_id") == recorded
    assert len(warehouse.rows("SELECT * FROM CLAUDE_STREAM_V2")) == 1


def _folder(path: Path, **files: str) -> Path:
    for name, text in {"01_tables": (SCHEMA_FOLDER / "01_tables.sql").read_text(), **files}.items():
        (path / f"{name}.sql").write_text(text)
    return path


def test_a_changed_file_runs_again_with_those_after_it(tmp_path: Path) -> None:
    """A view remembers the columns of the views below it, so what follows a change runs too."""
    connection = duckdb.connect()
    folder = _folder(tmp_path, **{"02_a": "CREATE OR REPLACE VIEW A AS SELECT 1 AS x",
                                  "03_b": "CREATE OR REPLACE VIEW B AS SELECT * FROM A"})  # fmt: skip
    clock = replace(SYSTEM_CLOCK, now_ns=lambda: 1_767_225_600_000_000_000)
    assert [step.reason for step in apply(connection, folder, clock)] == ["new"] * 3
    first = plan(connection, _folder(folder, **{"02_a": "CREATE OR REPLACE VIEW A AS SELECT 'x' AS x, 2 AS y"}))
    assert [(step.name, step.reason) for step in first] == [("02_a.sql", "changed"), ("03_b.sql", "follows")]
    assert first[0].checksum_before != first[0].checksum_after
    apply(connection, folder, clock)
    assert connection.execute("SELECT * FROM B").fetchall() == [("x", 2)]
    assert connection.execute("SELECT DISTINCT applied_at FROM ACTIVITY_SCHEMA_VERSION").fetchall() == [
        (datetime(2026, 1, 1),)]  # fmt: skip


def test_a_failing_step_leaves_nothing_behind(tmp_path: Path) -> None:
    """The file is there wholly or not at all; mended, the deploy goes on where it stopped."""
    connection = duckdb.connect()
    folder = _folder(tmp_path, **{"02_a": "CREATE VIEW A AS SELECT 1 AS x; CREATE VIEW B AS SELECT * FROM MISSING"})
    with pytest.raises(duckdb.CatalogException):
        apply(connection, folder)
    with pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM A")
    assert [step.name for step in plan(connection, folder)] == ["02_a.sql"]
    with pytest.raises(UnsupportedSQL):
        apply(connection, _folder(folder, **{"02_a": "CREATE STREAM S ON TABLE CLAUDE_STREAM_V2"}))
    assert len(apply(connection, _folder(folder, **{"02_a": "CREATE VIEW A AS SELECT 1 AS x"}))) == 1


def test_a_current_warehouse_does_not_load_the_translator(warehouse: Warehouse, tmp_path: Path) -> None:
    """Starting must be quick: sqlglot is imported only when a step has to run."""
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        apply(connection)
    script = (
        "import sys, duckdb; from cdesk.warehouse.deploy import apply;"
        f"print(apply(duckdb.connect({str(path)!r})), 'sqlglot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]
