"""Tasks are DML in Snowflake's SQL; what they write into a table with change streams bears its commit's number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.refresh.house import activity, tasks

from cdesk.refresh.runner import Runner
from cdesk.refresh.statements import compiled
from cdesk.refresh.task import Task, parse
from cdesk.sql.dialect import UnsupportedSQL
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

HEADER = """-- task: t
-- meaning: atoms of customers
-- reads: T_CHANGES on CLAUDE_STREAM_V2 (append, initial rows)
-- when: changes
-- writes: INSIGHT_ATOMS, QUERY_HISTORY, CLAUDE_STREAM_V2

"""
COLUMNS = "id, ts, customer, subject, metric, value, valid_from"
VALUES = "customer, :now, customer, 'activities', 'count', TO_VARIANT(COUNT(*)), :now"
INSERT = f"INSERT INTO INSIGHT_ATOMS ({COLUMNS}) SELECT {VALUES} FROM T_CHANGES GROUP BY customer"
WITH = f"""INSERT INTO INSIGHT_ATOMS ({COLUMNS})
WITH some AS (SELECT * FROM T_CHANGES) SELECT {VALUES} FROM some GROUP BY customer
UNION ALL SELECT 'x', :now, 'x', 'x', 'x', TO_VARIANT(1), :now FROM some WHERE FALSE ORDER BY 1 LIMIT 5"""
MERGE = f"""MERGE INTO INSIGHT_ATOMS AS t
USING (SELECT customer, COUNT(*) AS n FROM T_CHANGES GROUP BY customer) AS s ON t.id = s.customer
WHEN MATCHED THEN UPDATE SET t.value = TO_VARIANT(t.value::BIGINT + s.n)
WHEN NOT MATCHED THEN INSERT ({COLUMNS})
VALUES (s.customer, :now, s.customer, 'activities', 'count', TO_VARIANT(s.n), :now)"""
UPDATE = "UPDATE INSIGHT_ATOMS SET is_stale = TRUE WHERE id IN (SELECT customer FROM T_CHANGES)"


def task(sql: str) -> Task:
    return parse("t", HEADER + sql + ";\nDELETE FROM QUERY_HISTORY WHERE query_id IN (SELECT customer FROM T_CHANGES)")


@pytest.fixture
def warehouse(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    found = DuckDBWarehouse(deployed(tmp_path / "warehouse"))
    yield found
    found.close()


@pytest.mark.parametrize("insert", [INSERT, WITH, MERGE])
@pytest.mark.parametrize("change", [MERGE, UPDATE])
def test_atoms_bear_their_commits_number(warehouse: DuckDBWarehouse, tmp_path: Path, insert: str, change: str) -> None:
    """However they are written: new ones both numbers, changed ones the one of the change."""
    runner = Runner(warehouse, tasks(tmp_path / "tasks", {"t": HEADER + insert}))
    warehouse.merge([activity("a", "ada"), activity("b", "bob")])
    assert [run.error for run in runner.run_pending()] == [None]
    runner = Runner(warehouse, tasks(tmp_path / "tasks", {"t": HEADER + change}))
    warehouse.merge([activity("aa", "ada")])
    assert [run.error for run in runner.run_pending()] == [None]
    assert warehouse.query("SELECT id, _seq, _first_seq FROM INSIGHT_ATOMS ORDER BY id").rows == [
        ("ada", 2, 1), ("bob", 1, 1),
    ]  # fmt: skip
    assert warehouse.changes.seq("INSIGHT_ATOMS") == 2


def test_a_run_that_changes_no_atom_is_no_news(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Nobody is woken for it."""
    runner = Runner(warehouse, tasks(tmp_path / "tasks", {"t": HEADER + UPDATE}))
    told: list[str] = []
    warehouse.merge([activity("a")])
    warehouse.on_change(lambda table, seq: told.append(table))
    assert [run.rows for run in runner.run_pending()] == [0]
    assert told == [] and warehouse.changes.seq("INSIGHT_ATOMS") == 0


def test_other_dialects_do_not_pass() -> None:
    """As everywhere, see docs/sql.md."""
    with pytest.raises(UnsupportedSQL, match="SYSDATE"):
        compiled(task("DELETE FROM QUERY_HISTORY WHERE start_time < CURRENT_TIMESTAMP()"))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 FROM T_CHANGES", "INSERT, UPDATE, DELETE and MERGE"),
        ("CREATE TABLE x AS SELECT 1", "INSERT, UPDATE, DELETE and MERGE"),
        ("COMMIT", "INSERT, UPDATE, DELETE and MERGE"),
        (
            "INSERT INTO ELSEWHERE (a) SELECT 1 FROM T_CHANGES",
            "writes ELSEWHERE, which neither `writes:` nor `scratch:` names",
        ),
        ("DELETE FROM CLAUDE_STREAM_V2 WHERE customer = 'x'", "only change rows of CLAUDE_STREAM_V2"),
        ("INSERT INTO INSIGHT_ATOMS SELECT * FROM T_CHANGES", "name the columns"),
        ("DELETE FROM QUERY_HISTORY WHERE query_id = :who", "binds :who"),
    ],
)
def test_nothing_else_passes(sql: str, said: str) -> None:
    """And the statement is named."""
    with pytest.raises(UnsupportedSQL) as caught:
        compiled(task(sql))
    assert said in str(caught.value) and str(caught.value).startswith("statement 1: ")


def test_tasks_may_derive_columns_of_the_stream() -> None:
    """By UPDATE, or a MERGE that only updates; without a new number."""
    merge = "MERGE INTO CLAUDE_STREAM_V2 AS t USING T_CHANGES AS s ON t.activity_id = s.activity_id WHEN MATCHED THEN UPDATE SET"
    for sql in ("UPDATE CLAUDE_STREAM_V2 SET activity_occurrence = 1", f"{merge} t.activity_occurrence = 1"):
        statement = compiled(task(sql))[0]
        assert statement.table == "CLAUDE_STREAM_V2" and "_seq" not in statement.sql
