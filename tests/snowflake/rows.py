"""Rows of any warehouse in one form, so that they can be held beside each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM, Warehouse

OWN = ("_seq", "_first_seq", "_ingested_at")
"""Columns that say when and by which commit a row was written."""
DIGITS = 9
"""Sums of the same numbers in another order differ in the last digits."""


def stream(warehouse: Warehouse, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with these ids, by id."""
    names = ", ".join(f"'{name}'" for name in ids)
    return table(warehouse, STREAM, where=f"activity_id IN ({names})")


def table(warehouse: Warehouse, name: str, where: str = "TRUE") -> list[dict[str, Any]]:
    """Everything in a table or view, in one order whichever engine has it."""
    types = _types(warehouse, name)
    columns = [column for column in types if column not in OWN]
    chosen = ", ".join(
        f'"{column}"::JSON::VARCHAR' if types[column] == "VARIANT" and isinstance(warehouse, DuckDBWarehouse)
        else f'"{_spelled(warehouse, column)}"' for column in columns
    )  # fmt: skip
    found = warehouse.query(f"SELECT {chosen} FROM {name} WHERE {where}").rows
    rows = [
        {column: _plain(value, types[column] == "VARIANT") for column, value in zip(columns, row, strict=True)}
        for row in found
    ]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _types(warehouse: Warehouse, name: str) -> dict[str, str]:
    answer = warehouse.query(f"SELECT * FROM {name} LIMIT 0")
    return {column.lower(): kind for column, kind in zip(answer.columns, answer.types, strict=True)}


def _spelled(warehouse: Warehouse, column: str) -> str:
    return column if isinstance(warehouse, DuckDBWarehouse) else column.upper()


def _plain(value: Any, is_json: bool) -> Any:
    if is_json and isinstance(value, str):
        value = json.loads(value)
    match value:
        case dict():
            return {key: _plain(one, False) for key, one in sorted(value.items()) if one is not None}
        case list():
            return [_plain(one, False) for one in value]
        case UUID():
            return str(value)
        case Decimal():
            return _plain(float(value), False)
        case float():
            return float(f"{value:.{DIGITS}g}")
        case _:
            return value
