"""Runs datasets: over the warehouse, where each is in the query log, or over a stream in a CSV file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from cdesk.dataset.bounds import Bounds
from cdesk.dataset.compile import Statement, compiled
from cdesk.dataset.definition import Definition
from cdesk.dataset.names import check_names
from cdesk.sql.dialect import to_duckdb
from cdesk.warehouse.warehouse import STREAM, Answer, Warehouse

ROWS_MAX = 10_000
SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, and the portable statement it comes from."""

    answer: Answer
    statement: Statement

    @property
    def written(self) -> Answer:
        """The answer with its times as the case format has them: `YYYY-MM-DD HH:MM:SS[.ffffff]`, in UTC."""
        rows = [tuple(str(cell) if isinstance(cell, datetime) else cell for cell in row) for row in self.answer.rows]
        return replace(self.answer, rows=rows)


class Datasets:
    """Of one warehouse. `query_id` makes ids for the query log."""

    def __init__(self, warehouse: Warehouse, query_id: Callable[[], str]) -> None:
        self._warehouse = warehouse
        self._query_id = query_id

    def ask(
        self, definition: Definition, bounds: Bounds = "default", *,
        rows_max: int = ROWS_MAX, seconds_max: float = SECONDS_MAX,
    ) -> Found:  # fmt: skip
        """Raises UsageError for names the stream does not have, and QueryRefused when it takes too long."""
        check_names(definition, lambda sql, values: self._warehouse.query(sql, values).rows, STREAM, is_ours=True)
        statement = compiled(definition, bounds)
        (sql,) = to_duckdb(statement.sql)
        answer = self._warehouse.ask(
            f"-- {msgspec.json.encode(definition).decode()}\n{sql}", statement.values,
            query_id=self._query_id(), rows_max=rows_max, seconds_max=seconds_max,
        )  # fmt: skip
        return Found(answer, statement)


def over_file(
    definition: Definition, stream: Path, bounds: Bounds = "default", *, rows_max: int | None = None
) -> Found:
    """Over the stream of a CSV file with the columns of ActivitySchema v2.0. Raises UsageError."""
    from cdesk.dataset.stream_file import StreamFile

    statement = compiled(definition, bounds)
    (sql,) = to_duckdb(statement.sql)
    with StreamFile(stream) as file:
        check_names(definition, lambda sql, values: file.query(sql, values).rows, STREAM, is_ours=False)
        return Found(file.query(sql, statement.values, rows_max=rows_max), statement)
