"""What the service is asked, as records: the bodies of its JSON routes."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import msgspec

from cdesk.query.granted import BYTES_MAX
from cdesk.query.usage import By

ROWS_MAX = 10_000


class SqlRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """bytes_max: what it may read, as it is estimated · over_cap: what to do when it would read more
    on: which warehouse answers; the team's, snowflake, has no estimates, so its answers are limited by rows and time alone"""

    sql: str
    rows_max: int = ROWS_MAX
    bytes_max: int = BYTES_MAX
    over_cap: Literal["refuse", "sample"] = "refuse"
    on: Literal["duckdb", "snowflake"] = "duckdb"


class EstimateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sql: str


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dirs: list[str] | None = None


class UsageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: By
    since: date | None = None
    until: date | None = None
    timezone: str = "UTC"
    prices: dict[str, Any] | None = None
