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
    """rows: by column · query_id: of the query log · sql: as Snowflake takes it, with values for :1, :2, …"""

    columns: list[str]
    rows: list[list[Any]]
    query_id: str
    sql: str
    values: list[Any]


def answered(datasets: Datasets, asked: DatasetRequest) -> dict[str, Any]:
    """Raises UsageError and QueryRefused."""
    rows_max = max(1, min(asked.rows_max, ROWS_LIMIT))
    return dataset_json(datasets.ask(_definition(asked), asked.bounds, rows_max=rows_max))


def dataset_json(found: Found) -> dict[str, Any]:
    """A DatasetAnswer as plain JSON."""
    values = [cell(value) for value in found.statement.values]
    return {**answer_json(found.written), "sql": found.statement.sql, "values": values}


def _definition(asked: DatasetRequest) -> Definition:
    return read(asked.definition) if isinstance(asked.definition, str) else converted(asked.definition)
