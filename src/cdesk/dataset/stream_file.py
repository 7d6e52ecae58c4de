"""A stream in a CSV file, as a table in memory: the columns of ActivitySchema v2.0, times in UTC, nothing for null."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from cdesk.errors import QueryRefused, UsageError
from cdesk.warehouse.warehouse import STREAM, Answer

REQUIRED = ("activity_id", "ts", "activity")
_SHAPE = """
CREATE TABLE {stream} AS
SELECT activity_id, CAST(ts AS TIMESTAMP) AS ts, customer, anonymous_customer_id, activity,
       CAST(CAST(feature_json AS JSON) AS VARIANT) AS feature_json, CAST(revenue_impact AS DOUBLE) AS revenue_impact,
       link
  FROM given
"""
_OPTIONAL = ("customer", "anonymous_customer_id", "feature_json", "revenue_impact", "link")
_WRONG = """
SELECT activity_id, CASE WHEN activity_id IS NULL THEN 'activity_id is missing' WHEN activity IS NULL THEN 'activity is missing'
       WHEN TRY_CAST(ts AS TIMESTAMP) IS NULL THEN 'ts is no time: ' || COALESCE(ts, 'nothing')
       WHEN NOT json_valid(feature_json) THEN 'feature_json is no JSON'
       WHEN TRY_CAST(revenue_impact AS DOUBLE) IS NULL AND revenue_impact IS NOT NULL THEN 'revenue_impact is no number'
       END AS wrong
  FROM given WHERE wrong IS NOT NULL LIMIT 1
"""


class StreamFile:
    """Raises UsageError for what is no such file."""

    def __init__(self, path: Path) -> None:
        self._connection = duckdb.connect()
        try:
            self._load(path)
        except duckdb.Error as error:
            raise UsageError(f"cannot read {path}: {_line(error)}", "A CSV with a line of column names.") from None

    def _load(self, path: Path) -> None:
        if not path.is_file():
            raise UsageError(f"there is no file {path}.")
        given = self._connection.from_csv_auto(
            str(path), header=True, delimiter=",", quotechar='"', escapechar='"', all_varchar=True, parallel=False
        )
        if missing := [name for name in REQUIRED if name not in given.columns]:
            raise UsageError(f"{path} has no column {missing[0]}.", f"It needs {', '.join(REQUIRED)}.")
        if not {"customer", "anonymous_customer_id"} & set(given.columns):
            raise UsageError(f"{path} says nothing of customers.", "It needs customer or anonymous_customer_id.")
        columns = ["*", *(f"CAST(NULL AS VARCHAR) AS {name}" for name in _OPTIONAL if name not in given.columns)]
        given.create("read")
        self._connection.execute(f"CREATE VIEW given AS SELECT {', '.join(columns)} FROM read")
        for activity_id, wrong in self._connection.execute(_WRONG).fetchall():
            raise UsageError(f"{path}: {wrong} (activity_id {activity_id}).", "Times are YYYY-MM-DD HH:MM:SS, in UTC.")
        self._connection.execute(_SHAPE.format(stream=STREAM))
        self._connection.execute("DROP VIEW given; DROP TABLE read; SET enable_external_access = false")

    def query(self, sql: str, values: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        """Rows of one trusted statement. Raises QueryRefused."""
        try:
            found = self._connection.execute(sql, list(values))
            rows = found.fetchall() if rows_max is None else found.fetchmany(rows_max)
        except duckdb.Error as error:
            raise QueryRefused(_line(error)) from None
        columns = found.description or []
        return Answer(tuple(c[0] for c in columns), tuple(str(c[1]) for c in columns), rows, "")

    def __enter__(self) -> StreamFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def _line(error: duckdb.Error) -> str:
    return str(error).partition("\n")[0]
