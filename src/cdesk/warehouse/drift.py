"""What a warehouse keeps of schema drift: incidents, rows set aside, and what the catalog took up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from cdesk.activity.contract import Addition
from cdesk.activity.model import Features
from cdesk.governance.drift import IncidentKind, Severity

Status = Literal["open", "accepted", "released"]

DEPENDED_ON: frozenset[IncidentKind] = frozenset({"wrong_type", "missing_key", "inconsistent_type"})
"""What makes figures that rest on the feature doubtful; nothing rests on a key that is new."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """A row of SCHEMA_DRIFT, see there. quarantined: rows that wait for it now, filled in on reading."""

    id: str
    kind: IncidentKind
    family: str
    activity: str
    key: str
    expected: str
    actual: str
    severity: Severity
    status: Status
    revision: int = 0
    first_seen: datetime
    last_seen: datetime
    changed_at: datetime
    occurrences: int = 0
    sample_json: Features
    schema_version: str
    quarantined: int = 0

    @property
    def feature(self) -> str | None:
        """As derivations of insight atoms name it; None when no figure can rest on it."""
        return f"{self.activity}.{self.key}" if self.kind in DEPENDED_ON else None


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A row of QUARANTINE that waits. line: the original, newline included"""

    id: str
    activity_id: str
    ts: datetime
    activity: str
    customer: str
    reason: str
    drift_id: str
    line: str
    quarantined_at: datetime


class TakenUp(msgspec.Struct, frozen=True, kw_only=True):
    """A row of CATALOG_ADDITION."""

    addition: Addition
    schema_version: str
    since: datetime
    drift_id: str


@dataclass(frozen=True, slots=True)
class DriftChanges:
    """What one commit writes. counted: up to where each segment's lines are counted in the incidents"""

    incidents: Collection[Incident] = ()
    taken_up: Collection[TakenUp] = ()
    quarantined: Collection[Quarantined] = ()
    counted: Mapping[str, int] = field(default_factory=dict)


class DriftStore(Protocol):
    """All raise WarehouseError; then nothing changed."""

    def incidents(self) -> list[Incident]:
        """The latest first."""
        ...

    def taken_up(self) -> list[TakenUp]: ...

    def counted(self) -> dict[str, int]: ...

    def keep(self, changes: DriftChanges) -> None:
        """In one commit. Incidents replace those with their id; rows already set aside are left as they are.

        Insight atoms that rest on a drifted feature are quarantined while its incident is open, and only then."""
        ...

    def released(self, ids: Collection[str]) -> set[str]:
        """Those of the rows set aside that somebody let go."""
        ...

    def waiting(self, drift_id: str, rows_max: int, after: str | None = None) -> list[Quarantined]:
        """Rows that wait for this incident and are not in the queue again, by id, from the one behind `after`."""
        ...

    def release(self, ids: Sequence[str], at: datetime) -> None:
        """They may pass from now on."""
        ...

    def requeued(self, ids: Sequence[str], at: datetime) -> None:
        """They are in the queue again, and need not be kept here."""
        ...

    def wait_for(self, ids: Sequence[str], drift_id: str) -> None:
        """They wait for another incident now."""
        ...
