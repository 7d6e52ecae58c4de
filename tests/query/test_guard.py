"""Nothing that comes in as SQL does more than read what is granted; what reads only that is answered as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generated import START
from tests.shared_data import shared_data

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.errors import QueryRefused, WarehouseError
from cdesk.query.granted import FUNCTIONS, GRANTED, TABLE_FUNCTIONS
from cdesk.query.guard import PAD_MAX, SQL_CHARACTERS_MAX, guarded
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

OWN_WORKINGS = {
    "OCCURRENCE_STATE", "OCCURRENCE_TOUCHED", "ROLLUP_CHANGED", "METRICS_DUE", "LEGAL_HOLD", "ARTIFACT_CONTENT_DUE",
    "ARTIFACT_CLEANUPS", "QUARANTINE", "CONTEXT_INPUTS", "INSIGHT_TOUCHED", "RECORDED_ATOM", "SIGNAL", "SIGNAL_DUE",
    "SIGNAL_NOW", "DETECTED_ATOM", "DETECTOR", "QUESTION_ANSWERS", "QUESTION_DECISIONS",
}  # fmt: skip
"""Tables that are nobody's to read but cdesk's, besides those that begin with `_`."""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    opened = DuckDBWarehouse(deployed(tmp_path_factory.mktemp("guarded")))
    opened.merge([
        Activity(
            activity_id=activity_id("guarded", str(n)), ts=START, activity="tool_called", customer=f"c{n % 3}", source="api",
            session_id=f"s{n % 2}", feature_json={"tool_name": "Bash", "latency_ms": n, "project_path": "/p"},
        )
        for n in range(20)
    ])  # fmt: skip
    yield opened
    opened.close()


def ask(warehouse: DuckDBWarehouse, sql: str) -> list[tuple[Any, ...]]:
    return warehouse.ask(guarded(sql), query_id="q", rows_max=10_000, seconds_max=20.0).rows


# ---- what is let through -----------------------------------------------------------------------------------------

ALLOWED = (
    "SELECT 1",
    "SELECT 1;",
    "VALUES (1), (2)",
    "FROM V_ERRORS",
    "TABLE V_ERRORS",
    "SELECT /* DROP TABLE x; */ 1 -- ; DELETE",
    "SELECT 'it''s; DROP TABLE CLAUDE_STREAM_V2', $$COPY x TO 'y'$$",
    'SELECT count(*) FROM "claude_stream_v2"',
    "SELECT count(*) FROM warehouse.main.CLAUDE_STREAM_V2",
    "SELECT table_name FROM information_schema.tables ORDER BY 1",
    "SELECT customer, count(*) FILTER (WHERE _session_id = 's1') FROM main.CLAUDE_STREAM_V2 GROUP BY ALL ORDER BY 1",
    "SELECT feature_json['tool_name']::VARCHAR, feature_json.latency_ms FROM CLAUDE_STREAM_V2 ORDER BY activity_id LIMIT 3",
    "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t WHERE x < 5) SELECT sum(x) FROM t",
    "WITH a AS (SELECT customer FROM CLAUDE_STREAM_V2), b AS (FROM a) SELECT count(DISTINCT customer) FROM b",
    "WITH _stream_before AS (SELECT 1 AS x) SELECT x FROM _stream_before",
    "SELECT customer, row_number() OVER w FROM CLAUDE_STREAM_V2 WINDOW w AS (ORDER BY activity_id) QUALIFY row_number() OVER w <= 2 ORDER BY 2",
    "SELECT d::DATE, n FROM range(3) r(n), (SELECT DATE '2026-01-01' + INTERVAL 1 DAY AS d) ORDER BY n",
    "SELECT unnest([x FOR x IN [1, 2, 3] IF x > 1]), list_transform([1], lambda x: x + 1), {'a': 1}, MAP {'a': 1}",
    "SELECT (SELECT max(ts) FROM CLAUDE_STREAM_V2), EXISTS (FROM V_ERRORS), 1 IN (SELECT 1), 1 = ANY (SELECT 1)",
    "SELECT * FROM (SELECT 1 AS x UNION SELECT 2 INTERSECT SELECT 2 EXCEPT SELECT 3) ORDER BY x NULLS LAST",
    "SELECT a.customer FROM CLAUDE_STREAM_V2 a ASOF JOIN CLAUDE_STREAM_V2 b ON a.customer = b.customer AND a.ts >= b.ts ORDER BY 1",
    "SELECT x, t.y FROM (SELECT 1 AS x), LATERAL (SELECT x + 1 AS y) t",
    "SELECT * EXCLUDE (feature_json) REPLACE (upper(customer) AS customer) FROM CLAUDE_STREAM_V2 ORDER BY activity_id",
    "SELECT grouping(customer), sum(1) FROM CLAUDE_STREAM_V2 GROUP BY ROLLUP (customer) ORDER BY ALL",
    "SELECT lpad('7', 3, '0'), printf('%.2f', 1.5), format('{:,}', 1000), trim(BOTH 'x' FROM 'xax'), 'a' SIMILAR TO 'a.*'",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), list_aggregate([1, 2], 'sum') FROM range(3) r(n)",
    "SELECT extract(year FROM ts), ts AT TIME ZONE 'UTC', ts::DATE, date_trunc('day', ts) FROM CLAUDE_STREAM_V2 LIMIT 1",
    "SELECT key, value FROM json_each('{\"a\": 1}')",
)  # fmt: skip


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_select_over_what_is_granted_is_answered(warehouse: DuckDBWarehouse, sql: str) -> None:
    """The same rows as without the guard."""
    assert ask(warehouse, sql) == warehouse.query(sql).rows


@pytest.mark.parametrize("name", sorted(GRANTED))
def test_every_granted_name_can_be_read(warehouse: DuckDBWarehouse, name: str) -> None:
    ask(warehouse, f"SELECT * FROM {name} LIMIT 1")


def test_every_table_is_granted_or_known_not_to_be(warehouse: DuckDBWarehouse) -> None:
    """Whoever adds a table decides."""
    rows = warehouse.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'").rows
    there = {name for (name,) in rows if not name.startswith("_")}
    assert there == {name.upper() for name in GRANTED} | OWN_WORKINGS
    assert not GRANTED & {name.lower() for name in OWN_WORKINGS}


def test_every_listed_function_is_there(warehouse: DuckDBWarehouse) -> None:
    """Syntax of its own, besides."""
    there = {name.lower() for (name,) in warehouse.query("SELECT DISTINCT function_name FROM duckdb_functions()").rows}
    assert FUNCTIONS - there == {"current_time", "current_timestamp", "try"} - there
    assert there >= TABLE_FUNCTIONS


# ---- what is not -------------------------------------------------------------------------------------------------

STATEMENTS = (
    "INSERT INTO INSIGHT_ATOMS SELECT * FROM INSIGHT_ATOMS", "UPDATE INSIGHT_ATOMS SET value = NULL", "DELETE FROM V_ERRORS",
    "CREATE TABLE x AS SELECT 1", "CREATE MACRO f() AS 1", "CREATE TEMP VIEW v AS SELECT 1", "DROP VIEW V_ERRORS",
    "ALTER TABLE INSIGHT_ATOMS ADD COLUMN x INT", "TRUNCATE INSIGHT_ATOMS", "MERGE INTO INSIGHT_ATOMS USING V_ERRORS ON true WHEN MATCHED THEN DELETE",
    "COPY V_ERRORS TO '/tmp/x'", "COPY (SELECT 1) TO '/tmp/x'", "EXPORT DATABASE '/tmp/x'", "IMPORT DATABASE '/tmp/x'",
    "ATTACH '/tmp/x' AS y", "DETACH warehouse", "USE memory", "INSTALL httpfs", "LOAD httpfs", "CHECKPOINT", "VACUUM",
    "PRAGMA database_list", "PRAGMA enable_profiling", "SET memory_limit = '1TB'", "SET VARIABLE x = 1", "RESET memory_limit",
    "BEGIN", "COMMIT", "ROLLBACK", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "CALL pragma_version()",
    "EXPLAIN SELECT 1", "EXPLAIN ANALYZE DELETE FROM INSIGHT_ATOMS", "EXPLAIN ANALYZE SELECT 1", "DESCRIBE V_ERRORS", "SHOW TABLES",
    "SUMMARIZE V_ERRORS", "PIVOT V_ERRORS ON customer", "UNPIVOT V_ERRORS ON customer", "FROM (DESCRIBE V_ERRORS)", "FROM (SUMMARIZE _STREAM_BEFORE)",
    "FROM (SHOW TABLES)", "FROM (PIVOT _STREAM_BEFORE ON customer IN ('a') USING count(*))", "SELECT 1; SELECT 2", "SELECT 1; DELETE FROM INSIGHT_ATOMS",
    "SELECT 1;; DROP VIEW V_ERRORS", "SELECT 1 /* ; */ ; /**/ DELETE FROM V_ERRORS", "SELECT 1 --\n; DROP VIEW V_ERRORS",
    "WITH x AS (DELETE FROM INSIGHT_ATOMS RETURNING *) SELECT * FROM x", "WITH x AS (INSERT INTO INSIGHT_ATOMS SELECT * FROM INSIGHT_ATOMS RETURNING 1) FROM x",
    "WITH x AS (UPDATE INSIGHT_ATOMS SET value = NULL RETURNING 1) FROM x", "WITH x AS (SELECT 1) DELETE FROM INSIGHT_ATOMS",
    "SELECT 1 INTO x", "", ";", "--", "nonsense", "SELECT", "SELECT '", "SELECT 1 \x00; DROP VIEW V_ERRORS", "\ufeffDROP VIEW V_ERRORS",
    "SELECT\u00a01;\u2003DROP VIEW V_ERRORS", "ＤＲＯＰ VIEW V_ERRORS", "SELECT '\ud800'",
)  # fmt: skip
"""Each as a whole."""

SOURCES = (
    "_STREAM_BEFORE", "main._STREAM_BEFORE", '"_stream_before"', '"main"."_STREAM_BEFORE"', "warehouse.main._STREAM_BEFORE", "QUARANTINE",
    "nowhere", "'/etc/passwd'", "'file.csv'", '"file.parquet"', "'https://example.com/x.json'", "'*.csv'", "read_csv('/etc/passwd')",
    "read_text('/etc/passwd')", "read_blob('/etc/passwd')", "read_json('/x')", "read_parquet('/x')", "parquet_metadata('/x')", "sniff_csv('/x')",
    "glob('/*')", "query('SELECT 1')", "query_table('_STREAM_BEFORE')", "query_table(['V_ERRORS', '_STREAM_BEFORE'])", "main.query('FROM _STREAM_BEFORE')",
    "duckdb_settings()", "duckdb_secrets()", "duckdb_tables()", "duckdb_tables", "sqlite_master", "pg_catalog.pg_tables", "system.main.duckdb_views",
    "information_schema.schemata", "pragma_storage_info('_STREAM_BEFORE')", "pragma_table_info('V_ERRORS')", "pragma_version()", "pragma_database_size()",
    "repeat('x', 9)", "summary(TABLE V_ERRORS)", "seq_scan('V_ERRORS')", "json_execute_serialized_sql('{}')", "checkpoint()", "force_checkpoint()",
    "enable_logging()", "which_secret('x', 'y')", "duckdb_logs()", "histogram('_STREAM_BEFORE', 'ts')", "histogram_values('_STREAM_BEFORE', 'ts')",
    "test_all_types()", "arrow_scan(1, 2, 3)", "pandas_scan(1)", "read_duckdb('/x')", "icu_calendar_names()", "range((SELECT count(*) FROM _STREAM_BEFORE))",
    "unnest((SELECT list(ts) FROM _STREAM_BEFORE))", "V_ERRORS AT (VERSION => 1)", "memory.main.V_ERRORS", "temp.V_ERRORS", "recurring.V_ERRORS",
    "(WITH _x AS (SELECT 1) FROM _x), _x", "(WITH V_ERRORS AS (FROM _STREAM_BEFORE) FROM V_ERRORS)", "(WITH _x AS (FROM _x) FROM _x)",
    "(WITH a AS (FROM b), b AS (SELECT 1) FROM a)", '(WITH "tas\u212a_state" AS (SELECT 1) FROM SIGNAL_NOW)', "(FROM _STREAM_BEFORE)",
    "(VALUES ((SELECT count(*) FROM _STREAM_BEFORE)))", "V_ERRORS JOIN _STREAM_BEFORE USING (activity_id)", "V_ERRORS, LATERAL (FROM _STREAM_BEFORE)",
    "V_ERRORS SEMI JOIN _STREAM_BEFORE USING (activity_id)", "(TABLE _STREAM_BEFORE)", "(SELECT 1 UNION ALL SELECT 2 FROM _STREAM_BEFORE)",
)  # fmt: skip
"""Each after FROM."""

VALUES = (
    "(SELECT count(*) FROM _STREAM_BEFORE)", "EXISTS (FROM _STREAM_BEFORE)", "1 IN (SELECT 1 FROM _STREAM_BEFORE)", "ARRAY(SELECT 1 FROM _STREAM_BEFORE)",
    "1 = ALL (SELECT 1 FROM _STREAM_BEFORE)", "CASE WHEN true THEN (SELECT 1 FROM _STREAM_BEFORE) END", "[x FOR x IN (SELECT list(1) FROM _STREAM_BEFORE)]",
    "list_transform([1], lambda x: (SELECT count(*) FROM _STREAM_BEFORE))", "{'a': (SELECT 1 FROM _STREAM_BEFORE)}", "(WITH x AS (FROM QUARANTINE) SELECT 1 FROM x)",
    "read_text('/etc/passwd')", "'/etc/passwd'.read_text()", "getenv('HOME')", "current_setting('memory_limit')", "getvariable('x')", "query('SELECT 1')",
    "current_query()", "txid_current()", "nextval('x')", "setseed(0.5)", "sleep_ms(60000)", "pg_sleep(60)", "write_log('x')", "json_serialize_sql('SELECT 1')",
    "json_serialize_plan('FROM _STREAM_BEFORE')", "json_deserialize_sql('{}')", "repeat('x', 999999999)", "lpad('x', 999999999, 'y')",
    "lpad('x', length('y'), 'y')", "rpad('x', 99999, 'y')", "printf('%999999d', 1)", "printf('%*d', 999999, 1)", "format('{:>999999}', 1)", "format(customer, 1)",
    "len(range(999999999))", "generate_series(1, 999999999)", "list_aggregate([1], 'current_setting')", "list_aggregate([1], concat('s', 'um'))",
    "main.current_setting('x')", "system.main.getvariable('x')", "has_table_privilege('x', 'y')", "pg_get_viewdef(1)", "stats(1)", "vector_type(1)",
    "SUM(1) FILTER (WHERE (SELECT true FROM _STREAM_BEFORE))", "sum(1) OVER (ORDER BY (SELECT 1 FROM _STREAM_BEFORE))", "array_resize([1], 999999999)",
)  # fmt: skip
"""Each where a value stands."""

AROUND = (
    "SELECT {}", "SELECT 1 WHERE {} IS NULL", "SELECT count(*) FROM V_ERRORS GROUP BY customer HAVING count({}) > 0", "SELECT 1 ORDER BY {}",
    "SELECT 1 FROM V_ERRORS a JOIN V_ERRORS b ON {} IS NULL", "SELECT (((SELECT max({}))))", "WITH x AS (SELECT {} AS y) FROM x", "VALUES ({})",
    "SELECT 1 UNION ALL SELECT {}", "SELECT 1 LIMIT {}", "SELECT 1 OFFSET {}", "SELECT DISTINCT ON ({}) 1", "SELECT CAST({} AS VARCHAR)", "SELECT [{}][1]",
    "SELECT row_number() OVER (PARTITION BY {})", "SELECT sum(1) OVER (ROWS BETWEEN {} PRECEDING AND CURRENT ROW)", "SELECT 1 FROM V_ERRORS QUALIFY {} IS NULL",
    "SELECT * REPLACE ({} AS customer) FROM V_ERRORS", "SELECT COLUMNS(lambda c: {} IS NULL) FROM V_ERRORS", "SELECT 1 FROM range({})", "SELECT try({})",
    "SELECT string_agg('a', ',' ORDER BY {})", "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT 2 FROM t WHERE {} IS NULL) FROM t", "SELECT {} COLLATE nocase",
    "SELECT rank() OVER w FROM V_ERRORS WINDOW w AS (ORDER BY {})", "SELECT 1 BETWEEN {} AND 2", "SELECT NOT ({} IS NULL)", "SELECT ({}).upper()", "SELECT (1, {})",
    "SELECT sum(1) FILTER (WHERE {} IS NULL)", "SELECT 1 GROUP BY GROUPING SETS (({}))", "SELECT unnest([{}])", "SELECT 1 FROM (SELECT 1), LATERAL (SELECT {})",
)  # fmt: skip
"""Places for a value."""


@pytest.mark.parametrize("sql", STATEMENTS)
def test_only_one_select_is_let_through(sql: str) -> None:
    with pytest.raises(QueryRefused):
        guarded(sql)


@pytest.mark.parametrize("source", SOURCES)
def test_only_what_is_granted_is_read(source: str) -> None:
    for sql in (f"SELECT * FROM {source}", f"FROM {source}", f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {source})"):
        with pytest.raises(QueryRefused):
            guarded(sql)


@pytest.mark.parametrize("value", VALUES)
def test_only_what_is_listed_is_called(value: str) -> None:
    with pytest.raises(QueryRefused):
        guarded(f"SELECT {value}")


@pytest.mark.parametrize("around", AROUND)
def test_there_is_no_place_to_hide(warehouse: DuckDBWarehouse, around: str) -> None:
    """DuckDB takes the place for a value; the guard refuses it there for what it is, and for nothing else."""
    assert warehouse.query("SELECT json_serialize_sql(?)", [around.format(1)]).rows[0][0].startswith('{"error":false')
    for value, why in (
        ("(SELECT count(*) FROM _STREAM_BEFORE)", "_STREAM_BEFORE may not be read"),
        ("getenv('HOME')", "getenv"),
    ):
        with pytest.raises(QueryRefused, match=why):
            guarded(around.format(value))


@pytest.mark.parametrize("sql", [
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000, "SELECT " + "1 + " * 900 + "1", "SELECT " * 300 + "1", "SELECT " + "[" * 400 + "]" * 400,
    "SELECT " + "(SELECT " * 200 + "1" + ")" * 200, "SELECT '" + "x" * SQL_CHARACTERS_MAX + "'",
], ids=lambda sql: sql[:24])  # fmt: skip
def test_depth_and_length_are_refused_or_answered(warehouse: DuckDBWarehouse, sql: str) -> None:
    """Never a traceback."""
    try:
        ask(warehouse, sql)
    except WarehouseError:
        pass


def test_what_is_refused_is_told_with_a_way_out() -> None:
    with pytest.raises(QueryRefused, match="Did you mean V_TOOL_USAGE_ANALYTICS"):
        guarded("SELECT * FROM V_TOOL_USAGE_ANALYTIC")
    with pytest.raises(QueryRefused, match=r"information_schema\.tables"):
        guarded("SELECT * FROM xyzzy")
    with pytest.raises(QueryRefused, match=f"{PAD_MAX:,}"):
        guarded("SELECT lpad('x', 10001)")


def test_grants_can_be_narrower(warehouse: DuckDBWarehouse) -> None:
    assert guarded("FROM V_ERRORS", {"V_ERRORS"}) == "FROM V_ERRORS"
    with pytest.raises(QueryRefused):
        guarded("FROM CLAUDE_STREAM_V2", {"V_ERRORS"})


# ---- generated ---------------------------------------------------------------------------------------------------

LEAVES = st.sampled_from(("'x;--'", "7", "NULL", "customer", "_session_id", "activity", "'DROP TABLE'", "1.5::VARCHAR"))


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("upper({}::VARCHAR)".format, inner),
        st.builds("coalesce({}::VARCHAR, {}::VARCHAR)".format, inner, inner),
        st.builds("CASE WHEN {} IS NULL THEN {}::VARCHAR ELSE 'e' END".format, inner, inner),
        st.builds("[{}::VARCHAR][1]".format, inner),
        st.builds("(SELECT {}::VARCHAR FROM range(2) r(i) LIMIT 1)".format, inner),
        st.builds("({}::VARCHAR || '-')".format, inner),
    )


EXPRESSIONS = st.recursive(LEAVES, _grown, max_leaves=6)
SOURCES_GRANTED = st.recursive(
    st.sampled_from(("CLAUDE_STREAM_V2", "main.claude_stream_v2", '"CLAUDE_STREAM_V2"')),
    lambda inner: st.one_of(
        st.builds("(SELECT * FROM {})".format, inner),
        st.builds("(WITH c AS (SELECT * FROM {}) SELECT * FROM c)".format, inner),
        st.builds("(SELECT a.* FROM {} a SEMI JOIN {} b USING (activity_id))".format, inner, inner),
        st.builds("(SELECT * FROM {} UNION SELECT * FROM {})".format, inner, inner),
    ),
    max_leaves=3,
)


@settings(max_examples=40)
@given(
    value=EXPRESSIONS,
    condition=EXPRESSIONS,
    source=SOURCES_GRANTED,
    bad=st.sampled_from(VALUES),
    bad_source=st.sampled_from(SOURCES),
    data=st.data(),
)
def test_whatever_is_written(
    warehouse: DuckDBWarehouse, value: str, condition: str, source: str, bad: str, bad_source: str, data: st.DataObject
) -> None:  # fmt: skip
    """It has the answer that it has without the guard; with anything forbidden put in anywhere, it is refused."""
    sql = f"SELECT {value} AS a, count(*) FROM {source} s WHERE {condition} IS NOT NULL GROUP BY ALL ORDER BY ALL"
    assert ask(warehouse, sql) == warehouse.query(sql).rows
    places = [at for leaf in ("customer", "_session_id", "'x;--'") for at in _found(sql, leaf)]
    if places:
        start, end = data.draw(st.sampled_from(places))
        with pytest.raises(QueryRefused):
            guarded(f"{sql[:start]}{bad}{sql[end:]}")
    start, end = data.draw(st.sampled_from(_found(sql.lower(), "claude_stream_v2")))
    name = sql[start:end]
    worse = (
        sql.replace(f'"{name}"', name).replace(f"main.{name}", name).replace(name, f"(SELECT * FROM {bad_source})", 1)
    )
    with pytest.raises(QueryRefused):
        guarded(worse)


def _found(text: str, part: str) -> list[tuple[int, int]]:
    places, at = [], text.find(part)
    while at >= 0:
        places.append((at, at + len(part)))
        at = text.find(part, at + 1)
    return places


# ---- the corpus --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def payloads() -> list[str]:
    found: dict[str, None] = {}
    for path in sorted(shared_data("sqli").rglob("Intruder/*")):
        for line in path.read_text("utf-8", "replace").splitlines():
            found.setdefault(line)
    found.pop("", None)
    assert len(found) > 1_000
    return list(found)


def _all_rows(warehouse: DuckDBWarehouse) -> list[Any]:
    """A digest of every table but the query log."""
    names = warehouse.query(
        "SELECT table_name FROM duckdb_tables() WHERE table_name <> 'QUERY_HISTORY' ORDER BY 1"
    ).rows
    return [(name, warehouse.query(f'SELECT count(*), bit_xor(hash(t)) FROM "{name}" t').rows) for (name,) in names]


BEFORE_PAYLOAD = (
    ("", 1),
    ("SELECT ", 7),
    ("SELECT * FROM CLAUDE_STREAM_V2 WHERE activity = '", 1),
    ("SELECT * FROM CLAUDE_STREAM_V2 WHERE 1 = ", 3),
)
"""With every how-manieth payload."""


def test_no_payload_does_anything_as_sql(warehouse: DuckDBWarehouse, payloads: list[str]) -> None:
    """As it is, and after what a careless program would put before it: refused, or a SELECT that changes nothing."""
    before, refused, answered = _all_rows(warehouse), 0, 0
    for start, some in BEFORE_PAYLOAD:
        for payload in payloads[::some]:
            try:
                ask(warehouse, start + payload)
                answered += 1
            except QueryRefused:
                refused += 1
    assert _all_rows(warehouse) == before
    assert refused > 2 * len(payloads) and answered > 0


def test_every_payload_is_a_value_as_a_literal(warehouse: DuckDBWarehouse, payloads: list[str]) -> None:
    """Read back letter by letter."""
    for start in range(0, len(payloads), 200):
        some = [payload.replace("\x00", "") for payload in payloads[start : start + 200]]
        quoted = ", ".join("('" + payload.replace("'", "''") + "')" for payload in some)
        assert [value for (value,) in ask(warehouse, f"SELECT x FROM (VALUES {quoted}) t(x)")] == some


def test_the_corpus_would_do_something_without_the_guard(warehouse: DuckDBWarehouse) -> None:
    """So that the tests above can fail: the engine itself would run what the guard refuses."""
    assert warehouse.query("SELECT count(*) FROM _STREAM_BEFORE").rows and warehouse.query(
        "SELECT 1; SELECT 2"
    ).rows == [(2,)]
