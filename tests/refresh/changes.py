"""Runs a task file over what changed since it last ran, in one transaction, on the embedded warehouse."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb

from cdesk import refresh
from cdesk.refresh.task import read
from cdesk.sql.dialect import to_duckdb

TASKS = Path(refresh.__file__).parent / "tasks"
COLUMNS = (
    "activity_id", "ts", "customer", "anonymous_customer_id", "activity", "feature_json", "revenue_impact", "link",
    "_org_id", "_session_id", "_source", "_first_seq", "_project_path", "_model", "_speed", "_is_counted",
    "_prompt_tokens", "_completion_tokens", "_cache_creation_5m_tokens", "_cache_creation_1h_tokens",
    "_cache_read_tokens",
)  # fmt: skip
_READS = re.compile(r"^-- reads: (\w+) on (\w+) \((append|standard), (initial rows|new rows only)\)", re.M)
_SCRATCH = re.compile(r"^-- scratch: (.+)$", re.M)


@cache
def statements(task: str, without: str = "") -> tuple[str, ...]:
    pieces = read(TASKS / f"{task}.sql").pieces
    return tuple(one for piece in pieces if not without or piece.name != without for one in to_duckdb(piece.sql))


def _scratch(task: str) -> list[str]:
    found = _SCRATCH.search((TASKS / f"{task}.sql").read_text("utf-8"))
    return found[1].split(", ") if found else []


def _view(stream: str, mode: str, after: int) -> str:
    columns = ", ".join(COLUMNS)
    new = (
        f'SELECT {columns}, \'INSERT\' AS "METADATA$ACTION", _first_seq <= {after} AS "METADATA$ISUPDATE"'
        f" FROM CLAUDE_STREAM_V2 WHERE _seq > {after}"
    )
    if mode == "append":
        new += f" AND _first_seq > {after}"
    else:
        new += (
            f" UNION ALL SELECT {columns}, 'DELETE', TRUE FROM _STREAM_BEFORE"
            f" WHERE _replaced_seq > {after} AND _first_seq <= {after}"
            " QUALIFY row_number() OVER (PARTITION BY activity_id ORDER BY _replaced_seq) = 1"
        )
    return f"CREATE OR REPLACE TEMP VIEW {stream} AS {new}"


class Tasks:
    """Offsets are kept here: the tests restart nothing."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._offsets: dict[str, int] = {}

    def run(self, task: str, now: datetime | None = None, without: str = "") -> list[int]:
        """Rows each statement changed."""
        last = "SELECT greatest(coalesce((SELECT max(_seq) FROM CLAUDE_STREAM_V2), 0), coalesce((SELECT max(_replaced_seq) FROM _STREAM_BEFORE), 0))"
        self._connection.execute("BEGIN")
        try:
            [(seq,)] = self._connection.execute(last).fetchall()
            for stream, table, mode, _ in _READS.findall((TASKS / f"{task}.sql").read_text("utf-8")):
                assert table == "CLAUDE_STREAM_V2"
                self._connection.execute(_view(stream, mode, self._offsets.get(stream, -1)))
                self._offsets[stream] = seq
            for table in _scratch(task):
                self._connection.execute(f"CREATE TEMP TABLE {table} AS FROM main.{table} LIMIT 0")
            counts = [self._one(statement, now) for statement in statements(task, without)]
            for table in _scratch(task):
                self._connection.execute(f"DROP TABLE temp.{table}")
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        return counts

    def forget(self) -> None:
        """As if no task had ever run."""
        self._offsets.clear()

    def _one(self, statement: str, now: datetime | None) -> int:
        values = {"now": now} if "$now" in statement else None
        done = self._connection.execute(statement, values) if values else self._connection.execute(statement)
        return int(done.fetchall()[0][0])
