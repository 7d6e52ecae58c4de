"""Takes exports: what they tell is durable when a call returns, and the answer says what was not taken, and why.

Records of other senders are refused, in OTLP's words a partial success. Records of Claude Code's that are not stored
are accepted and counted by name; only those without a time or a name are refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TypeVar

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.gate import Gate
from cdesk.capture.lenient import as_count, as_text
from cdesk.capture.otlp import wire_json
from cdesk.capture.otlp.claude_code import ClaudeCode, Unusable, event_name, event_time, is_claude_code
from cdesk.capture.otlp.record import LogRecord, Point, Span
from cdesk.capture.otlp.sequence import Gap, Sequences
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError

NAMES_MAX = 200
"""Names are the sender's; beyond these all count as `other`."""

Record = TypeVar("Record", LogRecord, Point, Span)


class Outcome(msgspec.Struct, frozen=True):
    """rejected: how many records were not taken · message: why; empty when all were"""

    rejected: int = 0
    message: str = ""


class Seen(msgspec.Struct, frozen=True):
    """Since the service started. stored: activities · records: by name · refused: records not taken · withheld:
    activities of sessions whose project is excluded or unknown · gaps: holes told; gaps_pending: not yet beyond doubt"""

    stored: int
    records: dict[str, int]
    refused: int
    withheld: int
    gaps: int
    gaps_pending: int


@dataclass(slots=True)
class _Counts:
    stored: int = 0
    refused: int = 0
    withheld: int = 0
    gaps: int = 0
    records: Counter[str] = field(default_factory=Counter)


class Receiver:
    """Safe to call from several threads. `project_of` tells a session's project: telemetry itself never does.

    `on_refused` hears how many activities the queue did not take."""

    def __init__(
        self,
        gate: Gate,
        person: Person,
        prices: PriceBook,
        *,
        project_of: Callable[[str], str | None] = lambda session_id: None,
        clock: Clock = SYSTEM_CLOCK,
        on_refused: Callable[[int], None] = lambda activities: None,
    ) -> None:
        self._gate = gate
        self._on_refused = on_refused
        self._person = person
        self._claude_code = ClaudeCode(person, prices)
        self._project_of = project_of
        self._clock = clock
        self._sequences = Sequences()
        self._counts = _Counts()
        self._lock = threading.Lock()

    def logs(self, body: bytes, *, is_json: bool) -> Outcome:
        """Raises Unreadable, QueueFull or QueueError: then nothing was taken."""
        records: list[LogRecord] = wire_json.logs(body) if is_json else _protobuf().logs(body)
        outcome = self._take(records, self._claude_code.event, event_name)
        self._observe(record for record in records if is_claude_code(record.sender))
        return outcome

    def metrics(self, body: bytes, *, is_json: bool) -> Outcome:
        """Raises as `logs` does."""
        points: list[Point] = wire_json.metrics(body) if is_json else _protobuf().metrics(body)
        return self._take(points, self._claude_code.point, lambda point: point.metric)

    def traces(self, body: bytes, *, is_json: bool) -> Outcome:
        """Raises as `logs` does."""
        spans: list[Span] = wire_json.traces(body) if is_json else _protobuf().traces(body)
        return self._take(spans, self._claude_code.span, lambda span: span.name)

    def seen(self) -> Seen:
        with self._lock:
            counts = self._counts
            return Seen(
                counts.stored, dict(counts.records), counts.refused, counts.withheld, counts.gaps,
                self._sequences.pending(),
            )  # fmt: skip

    def _take(
        self, records: list[Record], told: Callable[[Record], list[Activity]], name: Callable[[Record], str]
    ) -> Outcome:
        activities: list[Activity] = []
        names: Counter[str] = Counter()
        strangers: Counter[str] = Counter()
        unusable: Counter[str] = Counter()
        for record in records:
            if not is_claude_code(record.sender):
                strangers[record.sender.service or "unknown_service"] += 1
                continue
            try:
                activities += told(record)
                names[name(record)] += 1
            except Unusable as error:
                unusable[str(error)] += 1
        kept = self._permitted(activities)
        self._admit(kept)
        outcome = _outcome(strangers, unusable)
        with self._lock:
            self._counts.stored += len(kept)
            self._counts.withheld += len(activities) - len(kept)
            self._counts.refused += outcome.rejected
            for known, times in names.items():
                self._counts.records[known if self._has_room(known) else "other"] += times
        return outcome

    def _has_room(self, name: str) -> bool:
        return name in self._counts.records or len(self._counts.records) < NAMES_MAX

    def _permitted(self, activities: list[Activity]) -> list[Activity]:
        """Without those of excluded projects. A session whose project is not known yet may be one of them; the
        transcript tells its facts later, if it may."""
        if not self._gate.consent.exclude_projects:
            return activities
        return [activity for activity in activities if self._is_permitted(activity)]

    def _is_permitted(self, activity: Activity) -> bool:
        project = self._project_of(activity.session_id) if activity.session_id else None
        if project is None:
            return False
        placed = msgspec.structs.replace(activity, feature_json={**activity.feature_json, "project_path": project})
        return self._gate.consent.apply(placed, self._gate.key) is not None

    def _admit(self, activities: list[Activity]) -> None:
        """With the gaps that are due by now; those stay due when the queue takes nothing."""
        with self._lock:
            gaps = self._sequences.due(self._clock.monotonic())
        try:
            self._gate.admit([*activities, *map(self._gap_noticed, gaps)])
        except BaseException as error:
            with self._lock:
                self._sequences.put_back(gaps)
            if isinstance(error, QueueError):
                self._on_refused(len(activities))
            raise
        with self._lock:
            self._counts.gaps += len(gaps)

    def _observe(self, records: Iterable[LogRecord]) -> None:
        """Only after the records are durable: one that was refused may still come again."""
        now = self._clock.monotonic()
        with self._lock:
            for record in records:
                number = as_count(record.attributes.get("event.sequence"))
                session = as_text(record.attributes.get("session.id"))
                if number is None or session is None:
                    continue
                try:
                    at = event_time(record)
                except Unusable:
                    continue
                installation = as_text(record.attributes.get("user.id")) or ""
                self._sequences.observe(installation, session, number, at, now)

    def _gap_noticed(self, gap: Gap) -> Activity:
        missing = gap.got - gap.expected
        key = activity_id("telemetry-gap", gap.session_id, str(gap.expected), str(gap.got), gap.at.isoformat())
        return Activity(
            activity_id=key, ts=gap.at, activity="telemetry_gap_noticed", customer=self._person.customer,
            anonymous_customer_id=self._person.anonymous_customer_id, org_id=self._person.org_id,
            session_id=gap.session_id, source="cdesk", feature_json={
                "event_type": "telemetry_gap", "severity": "warning",
                "message": f"{missing:,} telemetry events of Claude Code never came",
                "metrics": {"expected": gap.expected, "got": gap.got},
                "action_taken": "the transcript fills in what it knows",
            },
        )  # fmt: skip


def _outcome(strangers: Counter[str], unusable: Counter[str]) -> Outcome:
    reasons = [f"{why} ({times:,} of them)" for why, times in unusable.most_common(3)]
    if strangers:
        names = ", ".join(repr(name[:100]) for name, _ in strangers.most_common(3))
        reasons.insert(0, "cdesk takes Claude Code's telemetry only (service.name 'claude-code'); "
                          f"{strangers.total():,} records came from {names}")  # fmt: skip
    return Outcome(strangers.total() + unusable.total(), "; ".join(reasons))


def _protobuf() -> ModuleType:
    """OpenTelemetry's classes take a while to import, and Claude Code may well be told to send JSON."""
    from cdesk.capture.otlp import wire_protobuf

    return wire_protobuf
