"""What a person can see of schema drift, and do about it.

    accept     the catalog of this home takes it from now on; rows that waited for it go in
    release    the rows that waited go in as they are; the catalog stays, and what comes next is looked at as before

Going in means back into the queue, byte for byte as the line was: it passed consent and redaction when it first came.
A row is marked released before its line is in the queue, so that it may pass the inspection, and requeued after it;
cut short in between, the next call puts it there, and a line that got there twice is one fact as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cdesk.activity.codec import decode
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import ConfigError, UsageError
from cdesk.upload.inspector import Inspector, sentence
from cdesk.warehouse.drift import DriftStore, Incident, Quarantined

ROWS_AT_ONCE = 1_000
ROWS_SHOWN = 5


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One incident, what it says, the policy of its family, and the first rows that wait for it."""

    incident: Incident
    message: str
    policy: str
    rows: list[Quarantined]


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """requeued: rows that are in the queue again · still_quarantined: rows that something else still keeps out"""

    incident: Incident
    requeued: int
    still_quarantined: int


class Drift:
    """`append` puts lines into the queue and returns when they are durable; `clock` tells when rows were let go."""

    def __init__(
        self,
        store: DriftStore,
        inspector: Inspector,
        append: Callable[[Sequence[bytes]], object],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = store
        self._inspector = inspector
        self._append = append
        self._clock = clock

    def list(self) -> list[Incident]:
        """Those that want a decision first, then the latest."""
        self._inspector.flush()
        return sorted(self._store.incidents(), key=lambda incident: incident.status != "open")

    def unsettled(self) -> tuple[int, int]:
        """Open incidents, and rows that wait for one."""
        incidents = self._store.incidents()
        return sum(one.status == "open" for one in incidents), sum(one.quarantined for one in incidents)

    def show(self, drift_id: str) -> Told:
        incident = self._find(drift_id)
        rows = self._store.waiting(incident.id, ROWS_SHOWN)
        return Told(
            incident=incident, message=sentence(incident), policy=self._inspector.policy_of(incident), rows=rows
        )

    def accept(self, drift_id: str) -> Settled:
        """Raises ConfigError where the family is frozen. Accepting again only finishes what was cut short."""
        incident = self._find(drift_id)
        if self._inspector.policy_of(incident) == "frozen":
            raise ConfigError(
                f"the family {incident.family} is frozen: its catalog takes nothing new.",
                f'Set {incident.family} = "strict" under [drift] in config.toml and restart, or release the rows only.',
            )
        self._inspector.accept(incident)
        return self._settled(incident, [self._requeue(one, self._conforming) for one in self._of(incident)])

    def release(self, drift_id: str) -> Settled:
        """Releasing again changes nothing."""
        incident = self._find(drift_id)
        self._inspector.release(incident)
        return self._settled(incident, [self._requeue(incident, lambda rows: list(rows))])

    def _settled(self, incident: Incident, requeued: Sequence[int]) -> Settled:
        found = self._find(incident.id)
        waiting = sum(one.quarantined for one in self._of(incident))
        return Settled(incident=found, requeued=sum(requeued), still_quarantined=waiting)

    def _of(self, incident: Incident) -> Sequence[Incident]:
        """Its own and the others of its activity for which rows wait: what it kept out may have waited there."""
        return [
            one for one in self._store.incidents()
            if one.id == incident.id or (one.quarantined and one.activity == incident.activity)
        ]  # fmt: skip

    def _requeue(self, incident: Incident, choose: Callable[[Sequence[Quarantined]], Sequence[Quarantined]]) -> int:
        done = 0
        rows: Sequence[Quarantined] = ()
        while rows := self._store.waiting(incident.id, ROWS_AT_ONCE, rows[-1].id if rows else None):
            chosen = choose(rows)
            ids = [row.id for row in chosen]
            if ids:
                self._store.release(ids, self._clock.now())
                self._append([row.line.encode() for row in chosen])
                self._store.requeued(ids, self._clock.now())
            done += len(ids)
        return done

    def _conforming(self, rows: Sequence[Quarantined]) -> Sequence[Quarantined]:
        """Those that nothing keeps out any more; the others wait for what still does."""
        bars = [self._inspector.still_bars(decode(row.line.encode())) for row in rows]
        moved: dict[str, list[str]] = {}
        for row, bar in zip(rows, bars, strict=True):
            if bar is not None and bar != row.drift_id:
                moved.setdefault(bar, []).append(row.id)
        for drift_id, ids in moved.items():
            self._store.wait_for(ids, drift_id)
        return [row for row, bar in zip(rows, bars, strict=True) if bar is None]

    def _find(self, drift_id: str) -> Incident:
        found = [incident for incident in self.list() if incident.id.startswith(drift_id)]
        if len(found) != 1 or not drift_id:
            raise UsageError(f"{drift_id!r} names {len(found)} incidents.", "`cdesk drift list` shows their ids.")
        return found[0]
