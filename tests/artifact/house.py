"""Artifacts over a real warehouse in a folder, with the time held."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cdesk.artifact.artifacts import Artifacts
from cdesk.artifact.model import Artifact, Column
from cdesk.artifact.seal import Seal
from cdesk.clock import Clock
from cdesk.query.cells import cell
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

NUMBERS = [Column("number", "BIGINT"), Column("words", "VARCHAR")]
KEY = b"k" * 32


class House:
    """One home's artifacts. at: what time it is"""

    def __init__(self, folder: Path, warehouse: DuckDBWarehouse, **more: Any) -> None:
        self.at = datetime.now(UTC)
        self.folder = folder / "artifacts"
        self.warehouse = warehouse
        names = itertools.count(1)
        self.clock = Clock(
            now_ns=lambda: int(self.at.timestamp() * 1e6) * 1000, monotonic=lambda: self.at.timestamp(),
            name=lambda: f"{next(names):08x}",
        )  # fmt: skip
        self.artifacts = Artifacts(self.folder, warehouse, Seal(KEY), cell, clock=self.clock, **more)

    def wait(self, **time: float) -> None:
        self.at += timedelta(**time)

    def keep(
        self, rows: Any = ((1, "one"), (2, "two")), columns: Sequence[Column] = NUMBERS, **more: Any
    ) -> Artifact:  # fmt: skip
        given = {"query_id": "q_1", "title": "Numbers", "customer": "ada", **more}
        return self.artifacts.keep("query_result", columns, rows, **given)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    def rows(self, artifact: Artifact) -> list[list[Any]]:
        return list(self.artifacts.rows(artifact))
