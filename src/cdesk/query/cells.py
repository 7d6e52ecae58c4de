"""Answers as JSON: every value a warehouse can give back, in one plain form."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from cdesk.activity.model import JSON
from cdesk.warehouse.warehouse import Answer

SAFE_INTEGER_MAX = 2**53


def answer_json(answer: Answer) -> dict[str, Any]:
    """`{"columns": […], "rows": [[…]], "query_id"}`"""
    return {"columns": list(answer.columns), "rows": rows_json(answer.rows), "query_id": answer.query_id}


def rows_json(rows: Iterable[tuple[Any, ...]]) -> list[list[JSON]]:
    return [[cell(value) for value in row] for row in rows]


def cell(value: Any) -> JSON:
    """Times as ISO 8601 in UTC, decimals as numbers, bytes as hex, what is not finite as text."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= SAFE_INTEGER_MAX else str(value)
        case float():
            return value if value == value and abs(value) != float("inf") else str(value)
        case Decimal():
            return cell(int(value)) if value == value.to_integral_value() else cell(float(value))
        case datetime():
            return value.isoformat() if value.tzinfo else f"{value.isoformat()}Z"
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case dict():
            return {str(key): cell(inner) for key, inner in value.items()}
        case list() | tuple() | set():
            return [cell(inner) for inner in value]
        case _:
            return str(value)


def text(value: JSON) -> str:
    """A cell as people read it; nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def is_uuid(text: str) -> bool:
    """Whether an activity can have this id; the warehouse refuses to compare others with it."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
