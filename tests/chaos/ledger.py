"""What was promised and what came of it: one line for every run, and the same two demands on each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.consumer import uploader

from cdesk.queue import DeadLetters
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

IDENTITIES = f"SELECT coalesce(_identity, feature_json.tool_use_id::VARCHAR) FROM {STREAM}"
"""A hook's fact is named after its tool call."""


@dataclass
class Ledger:
    """Identities of activities. offered: all that anybody tried to tell; acknowledged: those that were answered "ok"."""

    offered: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)

    def balance(self, home: Path, what: str, *, dead: int = 0) -> Counter[str]:
        """Everything that waits is delivered; prints the line; what was acknowledged is there, once, and nothing else."""
        drain(home)
        stored = identities(home)
        lost = self.acknowledged - stored.keys()
        doubled = [name for name, times in stored.items() if times > 1]
        print(
            f"\n{what}: acknowledged {len(self.acknowledged):,}, delivered {len(stored):,}, "
            f"lost {len(lost)}, duplicated {len(doubled)}"
        )
        assert not lost and not doubled
        assert stored.keys() <= self.offered
        assert DeadLetters(home / "dead").count() == dead
        assert list((home / "queue").glob("*.ndjson")) == []
        return stored


def drain(home: Path) -> None:
    carrying = uploader(home)
    carrying.drain()
    carrying.warehouse.close()


def identities(home: Path) -> Counter[str]:
    warehouse = DuckDBWarehouse(home / "warehouse")
    try:
        return Counter(row[0] for row in warehouse.query(IDENTITIES).rows)
    finally:
        warehouse.close()
