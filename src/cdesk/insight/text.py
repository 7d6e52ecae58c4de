"""The text of a question, from the .sql file beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cdesk.warehouse.warehouse import Warehouse

_PLACE = re.compile(r"(?<!:):([a-z][a-z0-9_]*)")


@cache
def text(name: str) -> str:
    lines = Path(__file__).with_name(f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def ask(warehouse: Warehouse, name: str, values: Mapping[str, Any], **parts: str) -> list[tuple[Any, ...]]:
    """Rows of the question; a value that is a list stands for as many of them, `IN (:names)`."""
    bound: list[Any] = []

    def place(found: re.Match[str]) -> str:
        given = values[found[1]]
        each = given if isinstance(given, list) else [given]
        bound.extend(each)
        return ", ".join("?" * len(each))

    sql = _PLACE.sub(place, text(name).format(**parts))
    return warehouse.query(sql, bound).rows
