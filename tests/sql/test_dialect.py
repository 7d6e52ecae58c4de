"""Each rule with a Snowflake statement and the rows Snowflake documents for it, run on DuckDB."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import duckdb
import pytest

from cdesk.errors import WarehouseError
from cdesk.sql.dialect import UnsupportedSQL, to_duckdb

ROWS = """
CREATE TABLE T (k INTEGER, f VARIANT);
INSERT INTO T SELECT 1, PARSE_JSON('{"a": "x", "B": {"c": [1, 2.5, null]}, "n": 1.25, "i": 7, "t": true, "z": null,
    "tags": ["p", "q"], "a b": 9}');
INSERT INTO T SELECT 2, PARSE_JSON('{"a": {"q": 1}, "tags": []}');
INSERT INTO T SELECT 3, NULL
"""


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for statement in to_duckdb(ROWS):
            connection.execute(statement)
        yield connection


def ask(warehouse: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[tuple[object, ...]]:
    [statement] = to_duckdb(sql)
    return warehouse.execute(statement, list(values)).fetchall()


SAME = {
    "text of a key comes without quotes": ("SELECT f:a::VARCHAR FROM T WHERE k = 1", [("x",)]),
    "steps go deep and count from 0": ("SELECT f:B.c[1]::DOUBLE FROM T WHERE k = 1", [(2.5,)]),
    "keys keep their case": ("SELECT f:b::VARCHAR FROM T WHERE k = 1", [(None,)]),
    "a missing key is NULL": ("SELECT f:none.deeper[3]::VARCHAR FROM T WHERE k = 1", [(None,)]),
    "JSON null as text is NULL": ("SELECT f:z::VARCHAR FROM T WHERE k = 1", [(None,)]),
    "a key may have a space": ("SELECT f:\"a b\"::INTEGER FROM T WHERE k = 1", [(9,)]),
    "brackets read keys": ("SELECT f['tags'][1]::VARCHAR FROM T WHERE k = 1", [("q",)]),
    "GET reads a key": ("SELECT GET(f, 'i')::INTEGER FROM T WHERE k = 1", [(7,)]),
    "GET without WHERE": ("SELECT GET(f, 'i')::INTEGER FROM T ORDER BY k", [(7,), (None,), (None,)]),
    "GET of GET": ("SELECT GET(GET(f, 'tags'), 0)::VARCHAR FROM T WHERE k = 1", [("p",)]),
    "GET in WHERE": ("SELECT k FROM T WHERE GET(f, 'i')::INTEGER = 7", [(1,)]),
    "GET_PATH is a path": ("SELECT GET_PATH(f, 'B.c[0]')::INTEGER FROM T WHERE k = 1", [(1,)]),
    "a path of parsed JSON": ("""SELECT PARSE_JSON('{"a":[5]}'):a[0]::INTEGER""", [(5,)]),
    "bad JSON is NULL when tried": ("SELECT TRY_PARSE_JSON('{')", [(None,)]),
    "TO_VARIANT": ("SELECT TO_VARIANT(5)::INTEGER", [(5,)]),
    "STRIP_NULL_VALUE": ("SELECT STRIP_NULL_VALUE(f:z) IS NULL FROM T WHERE k = 1", [(True,)]),
    "TO_JSON is compact text": ("SELECT TO_JSON(f:B) FROM T WHERE k = 1", [('{"c":[1,2.5,null]}',)]),
    "an object read as it is": ("SELECT f:a FROM T WHERE k = 2", [({"q": 1},)]),
    "OBJECT and ARRAY are VARIANT": ("SELECT f:tags::ARRAY, f:B::OBJECT FROM T WHERE k = 1",
                                     [(["p", "q"], {"c": [1, 2.5, None]})]),
    "decimals are kept": ("SELECT TRY_TO_DECIMAL(f:n::VARCHAR, 38, 12)::DOUBLE FROM T WHERE k = 1", [(1.25,)]),
    "wrong types are NULL": ("SELECT TRY_TO_DOUBLE(f:a::VARCHAR), TRY_CAST(f:a::VARCHAR AS BIGINT) FROM T WHERE k < 3",
                             [(None, None), (None, None)]),
    "truth": ("SELECT TRY_TO_BOOLEAN(f:t::VARCHAR), TRY_TO_BOOLEAN('on'), TRY_TO_BOOLEAN('maybe') FROM T WHERE k = 1",
              [(True, True, None)]),
    "OBJECT_CONSTRUCT drops NULLs": ("SELECT OBJECT_CONSTRUCT('a', 1, 'b', NULL), OBJECT_CONSTRUCT()", [({"a": 1}, {})]),
    "OBJECT_CONSTRUCT_KEEP_NULL": ("SELECT OBJECT_CONSTRUCT_KEEP_NULL('a', 1, 'b', NULL)", [({"a": 1, "b": None},)]),
    "OBJECT_AGG drops NULLs": ("SELECT OBJECT_AGG(k::VARCHAR, f:i) FROM T", [({"1": 7},)]),
    "OBJECT_KEYS": ("SELECT OBJECT_KEYS(f) FROM T WHERE k = 2", [(["a", "tags"],)]),
    "ARRAY_SIZE": ("SELECT ARRAY_SIZE(f:tags), ARRAY_SIZE(f:a) FROM T WHERE k < 3 ORDER BY k", [(2, None), (0, None)]),
    "TYPEOF": ("SELECT TYPEOF(f:a), TYPEOF(f:B), TYPEOF(f:tags), TYPEOF(f:n), TYPEOF(f:i), TYPEOF(f:t), TYPEOF(f:z)"
               " FROM T WHERE k = 1",
               [("VARCHAR", "OBJECT", "ARRAY", "DECIMAL", "INTEGER", "BOOLEAN", "NULL_VALUE")]),
    "shapes": ("SELECT IS_OBJECT(f:B), IS_ARRAY(f:tags), IS_OBJECT(f:a), IS_NULL_VALUE(f:z) FROM T WHERE k = 1",
               [(True, True, False, True)]),
    "bad times are NULL when tried": ("SELECT TRY_TO_TIMESTAMP_NTZ('no'), TRY_TO_TIMESTAMP('no')", [(None, None)]),
    "an offset is dropped by NTZ": ("SELECT TO_TIMESTAMP_NTZ('2026-01-02T03:04:05+02:00')",
                                    [(datetime(2026, 1, 2, 3, 4, 5),)]),
    "FLATTEN a list": ("SELECT k, x.index, x.value::VARCHAR, x.key, x.path FROM T, LATERAL FLATTEN(INPUT => f:tags) x"
                       " ORDER BY 1, 2", [(1, 0, "p", None, "[0]"), (1, 1, "q", None, "[1]")]),
    "FLATTEN an object": ("SELECT x.key, x.index, x.value::INTEGER FROM T, LATERAL FLATTEN(INPUT => f:a) x",
                          [("q", None, 1)]),
    "FLATTEN OUTER keeps the empty": ("SELECT k, x.value::VARCHAR FROM T,"
                                      " LATERAL FLATTEN(INPUT => f:tags, OUTER => TRUE) x ORDER BY 1, 2",
                                      [(1, "p"), (1, "q"), (2, None), (3, None)]),
    "FLATTEN LEFT JOIN": ("SELECT k, COUNT(x.index) FROM T LEFT JOIN LATERAL FLATTEN(INPUT => f:tags) x GROUP BY k"
                          " ORDER BY k", [(1, 2), (2, 0), (3, 0)]),
    "FLATTEN in FROM": ("SELECT value:u::INTEGER FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[{\"u\": 3}]'))) x", [(3,)]),
    "columns of VALUES": ("SELECT column2, column1 FROM VALUES (1, 2)", [(2, 1)]),
    "columns of named VALUES": ("SELECT v.column1 FROM (VALUES (1), (2)) v ORDER BY 1", [(1,), (2,)]),
    "NULL sorts high": ("SELECT column1 FROM VALUES (1), (NULL), (2) ORDER BY column1 DESC", [(None,), (2,), (1,)]),
    "guarded division": ("SELECT 1 / NULLIF(0, 0), 3 / 2, DIV0(1, 0), IFF(TRUE, 0, 1 / 0)", [(None, 1.5, 0, 0)]),
    "a name DuckDB keeps for itself": ("SELECT user FROM (SELECT 'me' AS user)", [("me",)]),
    "COUNT_IF": ("SELECT COUNT_IF(k > 1), COUNT_IF(k IS NULL) FROM T WHERE k < 3", [(1, 0)]),
    "COUNT_IF of nothing": ("SELECT COUNT_IF(k > 1) FROM T WHERE k > 3", [(0,)]),
    "QUALIFY": ("SELECT k FROM T QUALIFY ROW_NUMBER() OVER (ORDER BY k DESC) = 1", [(3,)]),
    "percentiles": ("SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY column1) FROM VALUES (1), (2), (NULL)", [(1.5,)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_answer_is_snowflakes(name: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    """The statement gives on DuckDB what it is documented to give on Snowflake."""
    sql, rows = SAME[name]
    assert ask(warehouse, sql) == rows


REFUSED = {
    "SELECT CURRENT_TIMESTAMP()": "SYSDATE",
    "SELECT GETDATE()": "SYSDATE",
    "SELECT CURRENT_DATE": "SYSDATE",
    "SELECT LOCALTIMESTAMP": "SYSDATE",
    "SELECT '2026-01-01'::TIMESTAMP_LTZ": "TIMESTAMP_NTZ",
    "SELECT CONVERT_TIMEZONE('UTC', ts) FROM t": "both zones",
    "SELECT a / b FROM t": "NULLIF",
    "SELECT a::VARCHAR(3) FROM t": "LEFT",
    "SELECT mystery(a) FROM t": "No rule",
    "SELECT * FROM t AT (OFFSET => -60)": "Time travel",
    "SELECT $x": "Bind",
    "SELECT f[k] FROM t": "literal",
    "SELECT f:a[-1] FROM t": "",
    "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a >= u.a)": "MATCH_CONDITION (a.x >= b.x) and ON a.y = b.y",
    "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a = u.a) ON t.k = u.k": "",
    "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a >= u.a) ON t.k > u.k": "MATCH_CONDITION",
    "SELECT * FROM t ASOF JOIN u ON t.k = u.k AND t.a >= u.a": "MATCH_CONDITION",
    "SELECT * FROM t, LATERAL FLATTEN(INPUT => f, RECURSIVE => TRUE) x": "FLATTEN",
    "SELECT * FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[]'), OUTER => TRUE)) x": "join",
    "INSERT OVERWRITE INTO t SELECT 1": "DELETE",
    "ALTER TABLE t SWAP WITH u": "rename",
    "ALTER TABLE t CLUSTER BY (a)": "",
    "CREATE SECURE VIEW v AS SELECT 1": "",
    "CREATE SEQUENCE s": "tables",
    "CREATE STREAM s ON TABLE t": "Statements",
    "CREATE PROCEDURE p() RETURNS INT LANGUAGE SQL AS 'SELECT 1'": "tables",
    "CREATE TABLE t (a INT AUTOINCREMENT)": "",
    "GRANT SELECT ON TABLE t TO ROLE r": "Statements",
    "USE ROLE r": "Statements",
    "CALL p()": "Statements",
    "SHOW TABLES": "Statements",
    "SELECT (((": "",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_has_no_rule_is_refused_with_a_remedy(sql: str) -> None:
    """Better no answer than another engine's answer."""
    with pytest.raises(UnsupportedSQL) as refusal:
        to_duckdb(sql)
    assert REFUSED[sql] in str(refusal.value)
    assert isinstance(refusal.value, WarehouseError)


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"])
def test_sysdate_is_utc_whatever_the_session_says(zone: str, warehouse: duckdb.DuckDBPyConnection) -> None:
    """The session's time zone has no say."""
    warehouse.execute(f"SET TimeZone = '{zone}'")
    [(now, day)] = ask(warehouse, "SELECT SYSDATE(), DATEADD(DAY, -1, SYSDATE())")
    assert isinstance(now, datetime) and isinstance(day, datetime)
    assert abs(now - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert now - day == timedelta(days=1)


def test_binds_are_numbered_so_that_a_rule_may_use_one_twice(warehouse: duckdb.DuckDBPyConnection) -> None:
    """TRY_TO_BOOLEAN needs its operand three times; the caller still binds two values."""
    assert to_duckdb("SELECT ?; SELECT '?', ?, :name -- ?") == ["SELECT $1", "SELECT '?', $1, $name"]
    assert ask(warehouse, "SELECT TRY_TO_BOOLEAN(?), ARRAY_SIZE(PARSE_JSON(?))", "ON", "[1, 2]") == [(True, 2)]


def test_a_flattened_bind_feeds_a_batch(warehouse: duckdb.DuckDBPyConnection) -> None:
    """One JSON text carries many rows."""
    sql = "INSERT INTO T SELECT f.value:k::INTEGER, f.value FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) f"
    assert ask(warehouse, sql, '[{"k": 8}, {"k": 9}]') == [(2,)]
    assert ask(warehouse, "SELECT k FROM T WHERE k > 7 ORDER BY k") == [(8,), (9,)]


def test_merge_sets_columns_of_the_target(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Snowflake lets the target's name stand before its columns."""
    ask(
        warehouse,
        """
        MERGE INTO T AS t USING (SELECT column1 AS k FROM VALUES (1), (9)) AS s ON t.k = s.k
        WHEN MATCHED THEN UPDATE SET t.f = PARSE_JSON('5')
        WHEN NOT MATCHED THEN INSERT (k, f) VALUES (s.k, PARSE_JSON('6'))
    """,
    )
    assert ask(warehouse, "SELECT k, f::INTEGER FROM T WHERE k IN (1, 9) ORDER BY k") == [(1, 5), (9, 6)]


def test_a_table_is_declared_once(warehouse: duckdb.DuckDBPyConnection) -> None:
    """UUID text becomes UUID; clustering and comments mean nothing on DuckDB; CLONE copies."""
    for statement in to_duckdb("""
        CREATE TRANSIENT TABLE IF NOT EXISTS U (
            id VARCHAR(36) NOT NULL, name VARCHAR(20), o OBJECT, n NUMBER(38, 0), at TIMESTAMP_NTZ DEFAULT SYSDATE()
        ) CLUSTER BY (id) COMMENT = 'x';
        INSERT INTO U (id) SELECT '00000000-0000-8000-8000-000000000001';
        ALTER TABLE U ADD COLUMN IF NOT EXISTS also VARCHAR(36);
        CREATE OR REPLACE TABLE W CLONE U;
        CREATE OR REPLACE VIEW V COPY GRANTS AS SELECT id FROM W;
    """):
        warehouse.execute(statement)
    types = dict(row[:2] for row in warehouse.execute("DESCRIBE W").fetchall())
    assert types == {"id": "UUID", "name": "VARCHAR", "o": "VARIANT", "n": "DECIMAL(38,0)", "at": "TIMESTAMP",
                     "also": "UUID"}  # fmt: skip
    assert ask(warehouse, "SELECT id FROM V") == [(UUID("00000000-0000-8000-8000-000000000001"),)]


def test_get_reads_the_documents_of_the_chosen_rows_only() -> None:
    """The key is taken from a CASE over the query's own WHERE, in DuckDB's words."""
    [sql] = to_duckdb("SELECT GET(f, 'k') FROM t WHERE f:a::VARCHAR = 'x'")
    chosen = """CAST(VARIANT_EXTRACT("f", 'a') AS TEXT) = 'x'"""
    assert sql == f"""SELECT VARIANT_EXTRACT(CASE WHEN {chosen} THEN "f" END, 'k') FROM "t" WHERE {chosen}"""


def test_many_keys_are_read_from_rows_put_aside_first() -> None:
    """One copy of each document, not one for every key."""
    keys = ", ".join(f"GET(f, '{key}')" for key in "abcd")
    [sql] = to_duckdb(f"SELECT {keys} FROM t WHERE x = 1")
    assert sql.startswith('WITH "own_rows" AS MATERIALIZED (SELECT * FROM "t" WHERE "x" = 1) SELECT ')
    assert sql.endswith(' FROM "own_rows"') and "CASE" not in sql


def test_asof_keeps_every_row_of_the_left(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Snowflake pads a row without a match with nulls; plain ASOF JOIN of DuckDB would drop it."""
    sql = """
        SELECT a.column2, b.column2 FROM (SELECT * FROM VALUES ('x', 1), ('x', 3), ('y', 9), (NULL, 5)) AS a
        ASOF JOIN (SELECT * FROM VALUES ('x', 1), ('x', 2), (NULL, 1)) AS b
        MATCH_CONDITION (a.column2 {compared} b.column2) ON a.column1 = b.column1 ORDER BY 1
    """
    assert ask(warehouse, sql.format(compared=">")) == [(1, None), (3, 2), (5, None), (9, None)]
    assert ask(warehouse, sql.format(compared=">=")) == [(1, 1), (3, 2), (5, None), (9, None)]
    assert ask(warehouse, sql.format(compared="<")) == [(1, 2), (3, None), (5, None), (9, None)]


def test_an_empty_text_has_no_statements() -> None:
    """Comments and semicolons alone are nothing to run."""
    assert to_duckdb("-- nothing\n;;") == []
