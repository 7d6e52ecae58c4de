"""Schema drift in the embedded warehouse: the tables of schema/05_drift_tables.sql, and the atoms that rest on them.

Nobody but the process that owns the file writes here, so that incidents are replaced whole, by id, from memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec

from cdesk.activity.contract import Addition
from cdesk.warehouse.drift import DEPENDED_ON, DriftChanges, Incident, Quarantined, TakenUp
from cdesk.warehouse.duckdb.trouble import Healing, translated

_INCIDENT = (
    "id", "kind", "family", "activity", "key", "expected", "actual", "severity", "status", "revision", "first_seen",
    "last_seen", "changed_at", "occurrences", "sample_json", "schema_version",
)  # fmt: skip
_ROW = (
    "id", "activity_id", "ts", "activity", "customer", "reason", "drift_id", "line", "quarantined_at",
)  # fmt: skip
_WAITING = "requeued_at IS NULL"
_READ_INCIDENTS = f"""
SELECT {", ".join({"id": "id::VARCHAR", "sample_json": "sample_json::JSON::VARCHAR"}.get(n, n) for n in _INCIDENT)},
       (SELECT count(*) FROM QUARANTINE AS q WHERE q.drift_id = d.id AND {_WAITING}) AS quarantined
  FROM SCHEMA_DRIFT AS d ORDER BY last_seen DESC, id"""
_READ_ROWS = f"""
SELECT {", ".join(f"{n}::VARCHAR" if n in ("id", "drift_id") else n for n in _ROW)}
  FROM QUARANTINE WHERE drift_id = ?::UUID AND {_WAITING} AND (? IS NULL OR id > ?::UUID) ORDER BY id LIMIT ?"""
_PUT_INCIDENT = f"""
INSERT INTO SCHEMA_DRIFT ({", ".join(_INCIDENT)})
SELECT {", ".join("?::JSON::VARIANT" if name == "sample_json" else "?" for name in _INCIDENT)}"""
_TYPES = {"id": "UUID", "drift_id": "UUID", "ts": "TIMESTAMP", "quarantined_at": "TIMESTAMP"}
_LISTS = ", ".join(f"unnest(${name}::{_TYPES.get(name, 'VARCHAR')}[]) AS {name}" for name in _ROW)
_PUT_ROWS = f"""
INSERT INTO QUARANTINE ({", ".join(_ROW)})
SELECT DISTINCT ON (id) {", ".join(_ROW)} FROM (SELECT {_LISTS})
 WHERE id NOT IN (SELECT id FROM QUARANTINE WHERE id IN (SELECT unnest($id::UUID[])))"""
_RESTS_ON = "list_contains(json_extract_string(derivation::JSON, '$.features[*]'), ?)"
_NEXT_SEQ = "_seq = (SELECT coalesce(max(_seq), 0) + 1 FROM INSIGHT_ATOMS)"
_QUARANTINE_ATOMS = f"""
UPDATE INSIGHT_ATOMS SET is_quarantined = TRUE, quarantine_reason = ?, {_NEXT_SEQ}
 WHERE NOT coalesce(is_quarantined, FALSE) AND {_RESTS_ON}"""
_FREE_ATOMS = f"""
UPDATE INSIGHT_ATOMS SET is_quarantined = FALSE, quarantine_reason = NULL, {_NEXT_SEQ}
 WHERE is_quarantined AND starts_with(quarantine_reason, ?)"""


class DuckDBDrift:
    """`connected` gives the connection, which may be opened anew; `writing` is held by whoever writes on it."""

    def __init__(
        self,
        connected: Callable[[], duckdb.DuckDBPyConnection],
        writing: threading.Lock,
        healing: Healing = nullcontext,
    ) -> None:
        self._connected = connected
        self._writing = writing
        self._healing = healing

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return self._connected()

    def incidents(self) -> list[Incident]:
        names = (*_INCIDENT, "quarantined")
        return [_incident(dict(zip(names, row, strict=True))) for row in self._read(_READ_INCIDENTS)]

    def taken_up(self) -> list[TakenUp]:
        rows = self._read(
            "SELECT activity, key, kind, schema_version, since, drift_id::VARCHAR FROM CATALOG_ADDITION ORDER BY since, key"
        )
        return [
            TakenUp(addition=Addition(activity, key, kind), schema_version=version, since=_utc(since), drift_id=drift)
            for activity, key, kind, version, since, drift in rows
        ]

    def counted(self) -> dict[str, int]:
        return dict(self._read("SELECT segment, counted_to FROM _DRIFT_COUNTED"))

    def released(self, ids: Collection[str]) -> set[str]:
        sql = "SELECT id::VARCHAR FROM QUARANTINE WHERE released_at IS NOT NULL AND id IN (SELECT unnest(?::UUID[]))"
        return {row[0] for row in self._read(sql, [list(ids)])} if ids else set()

    def waiting(self, drift_id: str, rows_max: int, after: str | None = None) -> list[Quarantined]:
        return [_quarantined(row) for row in self._read(_READ_ROWS, [drift_id, after, after, rows_max])]

    def keep(self, changes: DriftChanges) -> None:
        self._commit(lambda: self._keep(changes))

    def release(self, ids: Sequence[str], at: datetime) -> None:
        self._update("released_at = coalesce(released_at, ?)", _naive(at), ids)

    def requeued(self, ids: Sequence[str], at: datetime) -> None:
        self._update("line = NULL, requeued_at = ?", _naive(at), ids)

    def wait_for(self, ids: Sequence[str], drift_id: str) -> None:
        self._update("drift_id = ?::UUID", drift_id, ids)

    # -- one commit ------------------------------------------------------------------------------------------------

    def _keep(self, changes: DriftChanges) -> None:
        if changes.quarantined:
            columns = zip(*map(_row_values, changes.quarantined), strict=True)
            self._connection.execute(_PUT_ROWS, dict(zip(_ROW, map(list, columns), strict=True)))
        if changes.incidents:
            ids = [incident.id for incident in changes.incidents]
            self._connection.execute("DELETE FROM SCHEMA_DRIFT WHERE id IN (SELECT unnest(?::UUID[]))", [ids])
            self._connection.executemany(_PUT_INCIDENT, [_incident_values(incident) for incident in changes.incidents])
            self._mark_atoms(changes.incidents)
        if changes.taken_up:
            self._connection.executemany(
                "INSERT INTO CATALOG_ADDITION VALUES (?, ?, ?, ?, ?, ?)",
                [_taken_up_values(t) for t in changes.taken_up],
            )
        if changes.counted:
            self._connection.execute("DELETE FROM _DRIFT_COUNTED")
            self._connection.executemany("INSERT INTO _DRIFT_COUNTED VALUES (?, ?)", list(changes.counted.items()))

    def _mark_atoms(self, incidents: Collection[Incident]) -> None:
        """An atom that was freed by one incident may rest on the feature of another that is still open."""
        concerned = [incident for incident in incidents if incident.feature is not None]
        for incident in concerned:
            if incident.status != "open":
                self._connection.execute(_FREE_ATOMS, [_reason(incident.id)])
        if any(incident.status != "open" for incident in concerned):
            kinds = ", ".join(f"'{kind}'" for kind in sorted(DEPENDED_ON))
            still = f"SELECT id::VARCHAR, activity || '.' || key FROM SCHEMA_DRIFT WHERE status = 'open' AND kind IN ({kinds})"
            doubtful = self._connection.execute(still).fetchall()
        else:
            doubtful = [(incident.id, incident.feature) for incident in concerned]
        for drift_id, feature in doubtful:
            self._connection.execute(_QUARANTINE_ATOMS, [f"{_reason(drift_id)} {feature}", feature])

    def _update(self, what: str, value: object, ids: Sequence[str]) -> None:
        sql = f"UPDATE QUARANTINE SET {what} WHERE id IN (SELECT unnest(?::UUID[]))"
        self._commit(lambda: self._connection.execute(sql, [value, list(ids)]))

    def _commit(self, write: Callable[[], object]) -> None:
        with self._healing(), self._writing, translated():
            self._connection.execute("BEGIN")
            try:
                write()
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):  # a commit that failed has ended its transaction itself
                    self._connection.execute("ROLLBACK")
                raise

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._healing(), translated(), self._connection.cursor() as cursor:
            return cursor.execute(sql, list(parameters)).fetchall()


def _reason(drift_id: str) -> str:
    """What `quarantine_reason` begins with."""
    return f"schema_drift:{drift_id}"


def _incident(row: dict[str, Any]) -> Incident:
    row["sample_json"] = msgspec.json.decode(row["sample_json"] or "{}")
    for name in ("first_seen", "last_seen", "changed_at"):
        row[name] = _utc(row[name])
    return Incident(**row)


def _incident_values(incident: Incident) -> tuple[object, ...]:
    values = {name: getattr(incident, name) for name in _INCIDENT}
    values["sample_json"] = msgspec.json.encode(incident.sample_json).decode()
    for name in ("first_seen", "last_seen", "changed_at"):
        values[name] = _naive(values[name])
    return tuple(values.values())


def _quarantined(row: tuple[Any, ...]) -> Quarantined:
    found = dict(zip(_ROW, row, strict=True))
    return Quarantined(**{**found, "ts": _utc(found["ts"]), "quarantined_at": _utc(found["quarantined_at"])})


def _row_values(row: Quarantined) -> tuple[object, ...]:
    return (
        row.id, row.activity_id, _naive(row.ts), row.activity, row.customer, row.reason, row.drift_id, row.line,
        _naive(row.quarantined_at),
    )  # fmt: skip


def _taken_up_values(taken: TakenUp) -> tuple[object, ...]:
    addition = taken.addition
    return (
        addition.activity, addition.key, addition.kind, taken.schema_version, _naive(taken.since), taken.drift_id,
    )  # fmt: skip


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
