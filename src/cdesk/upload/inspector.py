"""Looks at what is about to be merged: does it keep the catalog's contract, and if not, may it go in all the same?

    batch ──check──▶ nearly all conform ─────────────────────────────────────▶ merge
               └───▶ drifted ──policy──▶ kept (a new key of an additive family) ▶ merge, and told
                                   └───▶ set aside, with the original bytes     ▶ QUARANTINE, and told

Told means: one incident for each (activity, kind, key), however often it happens, with one `schema_drift_detected` in
the stream when it opens and when its status changes. While nothing drifts, nothing is locked and nothing is written.

Durable before the queue forgets. Rows set aside, new incidents and what the catalog took up are one commit, made before
`inspect` returns; a batch that comes again finds them there, because their ids derive from the line and from what
drifted. A system event goes in first, under an id of its own that a repetition meets again.

Counts are exact but for a kill. They are kept in memory and written at most once a second, with the place in each
segment up to where they count, in the same commit; a line at or before that place is not counted again, whether its
batch failed, was halved, or comes again after a restart. A process that is killed forgets what it counted within the
last FLUSH_SECONDS and the queue had let go; it never counts twice, and loses neither rows nor incidents.

Memory is bounded whatever comes: KEYS_MAX undeclared keys are told apart for each activity and NAMES_MAX names beside
the catalog; what is beyond is one incident, `too_many_keys` or `too_many_activities`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

from cdesk import observe
from cdesk.activity.catalog import CATALOG
from cdesk.activity.contract import (
    EVERY_ONE,
    FAMILY_OF,
    Addition,
    AdditionKind,
    Contract,
    Violation,
    addition_kinds,
    kind_of,
)
from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON, Activity, Features, Person
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import WarehouseError
from cdesk.governance.drift import UNKNOWN, DriftPolicy, IncidentKind, Policy, is_kept, is_news, is_taken_up, severity
from cdesk.queue.reader import Origin
from cdesk.warehouse.drift import DriftChanges, DriftStore, Incident, Quarantined, Status, TakenUp

FLUSH_SECONDS = 1.0
KEYS_MAX = 50
NAMES_MAX = 200
NAME_CHARACTERS_MAX = 200
"""A longer key or name is data, not a name: it is told of as one too many."""
SEGMENTS_MAX = 64
SAMPLE_KEYS_MAX = 20

LET_GO = ""

_Name = tuple[str, IncidentKind, str]
"""What an incident is about: activity, kind, key."""


class Arrival(Protocol):
    """An activity on its way, with the line it came as and where that stood in the queue."""

    @property
    def activity(self) -> Activity: ...
    @property
    def line(self) -> bytes: ...
    @property
    def origin(self) -> Origin: ...


A = TypeVar("A", bound=Arrival)


@dataclass(frozen=True, slots=True)
class Inspection(Generic[A]):
    """merge: what may go into the stream, in order · quarantined: how many are set aside · incidents: opened by it"""

    merge: Sequence[A]
    quarantined: int = 0
    incidents: tuple[Incident, ...] = ()


@dataclass(slots=True)
class _Findings:
    """What one batch adds to what is known; nothing of it holds until it is committed."""

    at: datetime
    incidents: dict[_Name, Incident] = field(default_factory=dict)
    counts: Counter[_Name] = field(default_factory=Counter)
    taken_up: list[TakenUp] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    told: dict[_Name, Incident] = field(default_factory=dict)


class Inspector:
    """One for each warehouse. `tell` puts system events into the stream, at once and once each."""

    def __init__(
        self,
        store: DriftStore,
        tell: Callable[[Sequence[Activity]], object],
        policy: DriftPolicy,
        person: Callable[[], Person],
        *,
        words_kept: bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = store
        self._tell = tell
        self._policy = policy
        self._person = person
        self._words_kept = words_kept
        self._clock = clock
        self._lock = threading.RLock()
        self._incidents: dict[_Name, Incident] = {_name(incident): incident for incident in store.incidents()}
        self._taken_up = store.taken_up()
        self._counted = store.counted()
        self._unwritten: set[_Name] = set()
        self._timer: threading.Timer | None = None
        self.contract = self._compiled()

    def inspect(self, batch: Sequence[A]) -> Inspection[A]:
        """Raises WarehouseError: then nothing is set aside, and the same batch may come again."""
        check = self.contract.check
        if not any(check(item.activity.activity, item.activity.feature_json) for item in batch):
            return Inspection(batch)
        with self._lock:
            return self._sort(batch)

    def passing(self, batch: Sequence[A]) -> list[A]:
        """Those that may go in as things stand; nothing is told, counted or set aside. Raises WarehouseError."""
        with self._lock:
            found = [self.contract.check(item.activity.activity, item.activity.feature_json) for item in batch]
            barred = self._barred(batch, found)
        return [item for item in batch if barred.get(id(item), LET_GO) == LET_GO]

    def flush(self) -> None:
        """Writes the counts that are not written yet. Raises WarehouseError: then they are kept."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._unwritten:
                self._store.keep(
                    DriftChanges([self._incidents[name] for name in self._unwritten], counted=self._counted)
                )
                self._unwritten.clear()

    # -- what a person decides -------------------------------------------------------------------------------------

    def policy_of(self, incident: Incident) -> Policy:
        return self._policy.of(incident.family)

    def accept(self, incident: Incident) -> Incident:
        """The catalog of this home takes it from now on."""
        with self._lock:
            known = self._incidents[_name(incident)]
            if known.status == "accepted":
                return known
            first = self._incidents.get((known.activity, "new_key", known.key))
            if known.kind == "inconsistent_type" and first is not None:
                self.accept(first)
            findings = self._begin()
            self._take_up(known, findings)
            return self._settle(known, "accepted", findings)

    def release(self, incident: Incident) -> Incident:
        """What was set aside may go in, and what rests on it counts again; what comes next is looked at as before."""
        with self._lock:
            known = self._incidents[_name(incident)]
            return known if known.status != "open" else self._settle(known, "released", self._begin())

    def still_bars(self, activity: Activity) -> str | None:
        """The incident that keeps this activity out now; None when it may go in."""
        with self._lock:
            policy = self._policy.of(_family(activity.activity))
            for violation in self.contract.check(activity.activity, activity.feature_json):
                if not is_kept(policy, violation.kind):
                    name = self._known_name(activity.activity, violation)
                    return _drift_id(name)
            return None

    def _settle(self, incident: Incident, status: Status, findings: _Findings) -> Incident:
        version = self._version(incident.activity, findings)
        changed = _turned(incident, status, findings.at, version)
        findings.incidents[_name(incident)] = findings.told[_name(incident)] = changed
        self._commit(findings)
        return changed

    # -- one batch -------------------------------------------------------------------------------------------------

    def _begin(self) -> _Findings:
        return _Findings(self._clock.now(), counted=dict(self._counted))

    def _sort(self, batch: Sequence[A]) -> Inspection[A]:
        found = [self.contract.check(item.activity.activity, item.activity.feature_json) for item in batch]
        barred = self._barred(batch, found)
        crowded = self._crowded(batch, found)
        findings = self._begin()
        merge: list[A] = []
        for item, violations in zip(batch, found, strict=True):
            row_id = barred.get(id(item))
            if row_id == LET_GO or not violations:
                merge.append(item)
                continue
            names = self._note(item, violations, crowded, findings)
            if row_id is None:
                merge.append(item)
            else:
                findings.quarantined.append(self._set_aside(row_id, item, violations, names, findings.at))
        self._commit(findings)
        return Inspection(merge, len(findings.quarantined), tuple(self._incidents[name] for name in findings.told))

    def _barred(self, batch: Sequence[A], found: Sequence[tuple[Violation, ...]]) -> dict[int, str]:
        """Under which id an item is to be set aside; LET_GO when somebody did, and it passes without a word."""
        barred = {
            id(item): _row_id(item.line)
            for item, violations in zip(batch, found, strict=True)
            if violations and not self._are_kept(item.activity.activity, violations)
        }
        released = self._store.released(barred.values())
        return {item: LET_GO if row_id in released else row_id for item, row_id in barred.items()}

    def _are_kept(self, activity: str, violations: Iterable[Violation]) -> bool:
        policy = self._policy.of(_family(activity))
        return all(is_kept(policy, violation.kind) for violation in violations)

    def _crowded(self, batch: Sequence[A], found: Sequence[tuple[Violation, ...]]) -> set[str]:
        """Activities, and "" for their names, of which this batch brings more new ones than are told apart."""
        new: dict[str, set[str]] = {}
        for item, violations in zip(batch, found, strict=True):
            activity = item.activity.activity
            for violation in violations:
                match violation.kind:
                    case "new_key" if (activity, "new_key", violation.key) not in self._incidents:
                        new.setdefault(activity, set()).add(violation.key)
                    case "unknown_activity" if (activity, "unknown_activity", "") not in self._incidents:
                        new.setdefault("", set()).add(activity)
        known = Counter("" if kind == "unknown_activity" else activity for activity, kind, _ in self._incidents
                        if kind in ("new_key", "unknown_activity"))  # fmt: skip
        return {
            activity
            for activity, keys in new.items()
            if known[activity] + len(keys) > (KEYS_MAX if activity else NAMES_MAX)
        }

    def _note(
        self, item: Arrival, violations: Iterable[Violation], crowded: Collection[str], findings: _Findings
    ) -> list[_Name]:
        """The incident of each violation; opened, reopened and counted as it must be."""
        origin = item.origin
        is_news = origin.offset > findings.counted.get(origin.segment, -1)
        names: list[_Name] = []
        for violation in violations:
            name = self._name(item.activity, violation, crowded, findings)
            known = findings.incidents.get(name) or self._incidents.get(name)
            incident = known or self._open(name, violation, item.activity, findings)
            incident = self._reopened(name, incident, _plain(violation.actual), findings)
            if incident is not known:
                findings.incidents[name] = incident
            if is_news and name not in names:
                findings.counts[name] += 1
            names.append(name)
        if is_news:
            findings.counted[origin.segment] = origin.offset
        return names

    def _reopened(self, name: _Name, incident: Incident, actual: str, findings: _Findings) -> Incident:
        """An incident that somebody settled, and that comes again or with a kind of value not seen before, is open."""
        seen = {*filter(None, incident.actual.split(", "))}
        is_wider = bool(actual and name[2]) and actual not in seen
        if is_wider:
            incident = msgspec.structs.replace(incident, actual=", ".join(sorted({*seen, actual})))
        if incident.status == "released" or (is_wider and incident.status == "accepted"):
            incident = findings.told[name] = _turned(incident, "open", findings.at, incident.schema_version)
        return incident

    def _name(self, activity: Activity, violation: Violation, crowded: Collection[str], findings: _Findings) -> _Name:
        """Which incident it belongs to."""
        name, kind, key = activity.activity, violation.kind, violation.key
        if kind == "unknown_activity":
            if (name, kind, "") in self._incidents:
                return name, kind, ""
            return ("", "too_many_activities", "") if "" in crowded or _is_long(name) else (name, kind, "")
        if kind != "new_key":
            return name, kind, key
        known = findings.incidents.get((name, kind, key)) or self._incidents.get((name, kind, key))
        if known is None:
            return (name, "too_many_keys", "") if name in crowded or _is_long(key) else (name, kind, key)
        return name, kind if _plain(violation.actual) == known.actual else "inconsistent_type", key

    def _known_name(self, activity: str, violation: Violation) -> _Name:
        """The incident under which something like it was set aside."""
        name: _Name = (activity, violation.kind, violation.key)
        if name in self._incidents:
            return name
        return (
            ("", "too_many_activities", "") if violation.kind == "unknown_activity" else (activity, "too_many_keys", "")
        )

    def _open(self, name: _Name, violation: Violation, activity: Activity, findings: _Findings) -> Incident:
        subject, kind, key = name
        family = _family(activity.activity)
        policy = self._policy.of(family)
        expected = violation.expected
        if kind == "inconsistent_type" and not expected:
            first = findings.incidents.get((subject, "new_key", key)) or self._incidents[subject, "new_key", key]
            expected = first.actual
        incident = Incident(
            id=_drift_id(name), kind=kind, family=family, activity=subject, key=key, expected=expected,
            actual=_plain(violation.actual) if key else "",
            severity=severity(policy, kind), status="open", first_seen=findings.at, last_seen=findings.at,
            changed_at=findings.at, sample_json=_masked(activity.feature_json, key), schema_version="",
        )  # fmt: skip
        if is_taken_up(policy, kind):
            self._take_up(incident, findings)
            incident = msgspec.structs.replace(incident, status="accepted")
        incident = msgspec.structs.replace(incident, schema_version=self._version(subject, findings))
        if is_news(policy, kind):
            findings.told[name] = incident
        return incident

    def _set_aside(
        self, row_id: str, item: Arrival, violations: Sequence[Violation], names: Sequence[_Name], at: datetime
    ) -> Quarantined:
        activity = item.activity
        policy = self._policy.of(_family(activity.activity))
        cause = next(name for name, v in zip(names, violations, strict=True) if not is_kept(policy, v.kind))
        return Quarantined(
            id=row_id, activity_id=activity.activity_id, ts=activity.ts, activity=activity.activity,
            customer=activity.customer, reason="; ".join(map(_sentence, violations[:SAMPLE_KEYS_MAX])),
            drift_id=_drift_id(cause), line=item.line.decode(), quarantined_at=at,
        )  # fmt: skip

    def _take_up(self, incident: Incident, findings: _Findings) -> None:
        known = {taken.addition for taken in self._taken_up}
        for addition in _additions(incident):
            if addition in known:
                continue
            version = self._version(incident.activity, findings, further=1)
            findings.taken_up.append(
                TakenUp(addition=addition, schema_version=version, since=findings.at, drift_id=incident.id)
            )

    def _version(self, activity: str, findings: _Findings, further: int = 0) -> str:
        """The activity's schema version; every addition is a minor one."""
        declared = CATALOG.get(activity)
        major, _, minor = (declared.schema_version if declared else "0.0").partition(".")
        added = sum(taken.addition.activity == activity for taken in (*self._taken_up, *findings.taken_up))
        return f"{major}.{int(minor or 0) + added + further}"

    # -- memory follows what is committed --------------------------------------------------------------------------

    def _commit(self, findings: _Findings) -> None:
        changed = self._with_counts(findings)
        counted = dict(sorted(findings.counted.items())[-SEGMENTS_MAX:])
        if findings.told:
            self._tell([self._event(changed[name]) for name in findings.told])
        if findings.incidents or findings.taken_up:
            written = {**{name: self._incidents[name] for name in self._unwritten}, **changed}
            self._store.keep(DriftChanges(written.values(), findings.taken_up, findings.quarantined, counted))
            self._unwritten.clear()
        else:
            if findings.quarantined:
                self._store.keep(DriftChanges(quarantined=findings.quarantined))
            self._unwritten |= changed.keys()
        self._incidents.update(changed)
        self._counted = counted
        if findings.taken_up:
            self._taken_up += findings.taken_up
            self.contract = self._compiled()
        if self._unwritten:
            self._flush_later()

    def _with_counts(self, findings: _Findings) -> dict[_Name, Incident]:
        changed = dict(findings.incidents)
        for name, count in findings.counts.items():
            known = changed.get(name) or self._incidents[name]
            changed[name] = msgspec.structs.replace(known, occurrences=known.occurrences + count, last_seen=findings.at)
        return changed

    def _flush_later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(FLUSH_SECONDS, self._flush_quietly)
            self._timer.daemon = True
            self._timer.start()

    def _flush_quietly(self) -> None:
        try:
            self.flush()
        except WarehouseError as error:
            observe.event("warning", "drift_counts_wait", error=str(error))

    def _compiled(self) -> Contract:
        return Contract((taken.addition for taken in self._taken_up), words_kept=self._words_kept)

    def _event(self, incident: Incident) -> Activity:
        metrics: Features = {
            "drift_id": incident.id, "kind": incident.kind, "activity": incident.activity, "key": incident.key,
            "expected": incident.expected, "actual": incident.actual, "status": incident.status,
            "occurrences": incident.occurrences, "schema_version": incident.schema_version,
        }  # fmt: skip
        whose = self._person()
        return Activity(
            activity_id=activity_id("drift", incident.id, str(incident.revision)), ts=incident.changed_at,
            activity="schema_drift_detected", customer=whose.customer,
            anonymous_customer_id=whose.anonymous_customer_id, org_id=whose.org_id, source="cdesk",
            feature_json={
                "event_type": "schema_drift", "severity": incident.severity, "message": sentence(incident),
                "metrics": metrics, "action_taken": _action(incident),
            },
        )  # fmt: skip


def sentence(incident: Incident) -> str:
    """What drifted, for a person."""
    activity, key, actual = incident.activity, incident.key, incident.actual
    match incident.kind:
        case "new_key":
            return f"{activity} came with a key nobody declared, {key} ({actual})"
        case "inconsistent_type":
            return f"{activity}.{key}, which nobody declared, was {incident.expected} and came as {actual}"
        case "wrong_type":
            return f"{activity}.{key} is {incident.expected} and came as {actual}"
        case "missing_key":
            return f"{activity} came without {key}, which it must have"
        case "unknown_activity":
            return f"{activity} is not in the catalog"
        case "too_many_keys":
            return f"{activity} came with more undeclared keys, or longer ones, than are told apart"
        case _:
            return "there are more activities beside the catalog, or longer names, than are told apart"


def _action(incident: Incident) -> str:
    if incident.status == "accepted":
        return "taken up into the catalog of this home"
    if incident.status == "released":
        return "rows set aside were let go"
    return "rows are set aside" if incident.severity == "error" else "rows are kept"


def _sentence(violation: Violation) -> str:
    key = violation.key if not _is_long(violation.key) else f"{violation.key[:NAME_CHARACTERS_MAX]}…"
    match violation.kind:
        case "missing_key":
            return f"{key} is missing"
        case "unknown_activity":
            return "the activity is not in the catalog"
        case "new_key":
            return f"{key} ({violation.actual}) is not declared"
        case _:
            return f"{key} is {violation.actual}, not {violation.expected}"


def _additions(incident: Incident) -> list[Addition]:
    """What accepting the incident adds to the catalog."""
    if incident.kind == "unknown_activity":
        return [Addition(incident.activity, "", "activity")]
    if incident.kind == "missing_key":
        return [Addition(incident.activity, incident.key, "optional")]
    if incident.kind == "too_many_keys":
        return [Addition(incident.activity, EVERY_ONE, "any")]
    if incident.kind == "too_many_activities":
        return [Addition(EVERY_ONE, "", "activity")]
    seen = incident.actual
    if incident.kind == "inconsistent_type":
        seen = f"{incident.expected}, {seen}"
    kinds: tuple[AdditionKind, ...] = addition_kinds(seen)
    return [Addition(incident.activity, incident.key, kind) for kind in kinds]


def _turned(incident: Incident, status: Status, at: datetime, version: str) -> Incident:
    return msgspec.structs.replace(
        incident, status=status, revision=incident.revision + 1, changed_at=at, schema_version=version
    )


def _name(incident: Incident) -> _Name:
    return incident.activity, incident.kind, incident.key


def _drift_id(name: _Name) -> str:
    return activity_id("drift", *name)


def _row_id(line: bytes) -> str:
    return activity_id("quarantine", line.decode())


def _family(activity: str) -> str:
    return FAMILY_OF.get(activity, UNKNOWN)


def _is_long(name: str) -> bool:
    return len(name) > NAME_CHARACTERS_MAX


def _plain(kind: str) -> str:
    """A whole number today may have a fraction tomorrow: an undeclared key is a number or is not."""
    return "number" if kind == "integer" else kind


def _masked(features: Features, key: str) -> Features:
    """The features with every value replaced by its kind and length; what drifted comes first, the others as they fit."""
    names = sorted((name for name in features if not _is_long(name)), key=lambda name: name != key)
    return {name: _mask(features[name]) for name in names[:SAMPLE_KEYS_MAX]}


def _mask(value: JSON) -> str:
    return f"{kind_of(value)} of {len(value):,}" if isinstance(value, str | list | dict) else kind_of(value)
