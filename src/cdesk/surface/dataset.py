"""What a dataset is asked for and answered with, wherever: the command, the service and the MCP server."""

from __future__ import annotations

from typing import Any

import msgspec

from cdesk.dataset import Bounds, Datasets, Found, read
from cdesk.dataset.definition import Definition, converted
from cdesk.dataset.run import ROWS_MAX
from cdesk.query.cells import answer_json, cell

ROWS_LIMIT = 1_000_000


class DatasetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """definition: in words, or an object of the format activityschema-case/1"""

    definition: str | dict[str, Any]
    bounds: Bounds = "default"
    rows_max: int = ROWS_MAX


class DatasetAnswer(msgspec.Struct, frozen=True):
    """rows: by column, in the order of time · is_cut: there are more · query_id: of the query log
    sql: as Snowflake takes it, with values for :1, :2, …"""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool
    query_id: str
    sql: str
    values: list[Any]


def answered(datasets: Datasets, asked: DatasetRequest) -> DatasetAnswer:
    """Raises UsageError and QueryRefused."""
    rows_max = max(1, min(asked.rows_max, ROWS_LIMIT))
    return answer(datasets.ask(definition(asked.definition), asked.bounds, rows_max=rows_max + 1), rows_max)


def answer(found: Found, rows_max: int) -> DatasetAnswer:
    """At most so many rows, as plain JSON."""
    given, is_cut = answer_json(found.written), len(found.answer.rows) > rows_max
    values = [cell(value) for value in found.statement.values]
    return DatasetAnswer(
        given["columns"], given["rows"][:rows_max], is_cut, found.answer.query_id, found.statement.sql, values
    )


def definition(given: str | dict[str, Any]) -> Definition:
    return read(given) if isinstance(given, str) else converted(given)
