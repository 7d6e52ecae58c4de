"""Takes what somebody wants remembered: an insight, or a person's word on one, as an activity through the gate.

The atom that record_insights makes of it bears the activity's id, so whoever records knows it at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Person
from cdesk.capture.gate import Gate
from cdesk.clock import Clock
from cdesk.errors import UsageError

Author: TypeAlias = Literal["claude", "person"]
Action: TypeAlias = Literal["silence", "restore", "correct"]

NAME_CHARACTERS_MAX = 100
STATEMENT_CHARACTERS_MAX = 1_000
EVIDENCE_MAX = 50
VALUE_BYTES_MAX = 10_000


class RecordRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """confidence: 0 to 1 · valid_until: ISO 8601, UTC where it names no offset; null for 90 days
    evidence: ids of activities · project_path: null for all projects · replaces: id of an atom"""

    subject: str
    metric: str
    statement: str
    value: Any = None
    unit: str | None = None
    grain: str | None = None
    confidence: float | None = None
    valid_until: str | None = None
    evidence: list[str] = []
    project_path: str | None = None
    author: Author = "person"
    replaces: str | None = None


class CorrectRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """statement, value: of a correction, what is right; one of them at least"""

    action: Action
    statement: str | None = None
    value: Any = None
    reason: str | None = None


class Remembered(msgspec.Struct, frozen=True):
    """id: of the activity, which is durable now; an insight's and a correction's atom bears it, too"""

    id: str


@dataclass(frozen=True, slots=True)
class InsightDesk:
    """Raises UsageError for what cannot be meant, QueueError where nothing was taken."""

    gate: Callable[[], Gate]
    whose: Callable[[], Person]
    clock: Clock

    def record(self, asked: RecordRequest) -> Remembered:
        _check(asked)
        given: Features = {name: getattr(asked, name) for name in RecordRequest.__struct_fields__}
        more: Features = {"valid_until": _utc(asked.valid_until), "evidence": list(asked.evidence) or None}
        return self._admit("insight_recorded", {**given, **more})

    def correct(self, atom_id: str, asked: CorrectRequest) -> Remembered:
        """atom_id: a whole one."""
        if asked.action == "correct" and asked.statement is None and asked.value is None:
            raise UsageError("a correction says what is right.", "Give a statement or a value.")
        _check_texts(asked, ("statement", "reason"), STATEMENT_CHARACTERS_MAX)
        _check_value(asked.value)
        features = {name: getattr(asked, name) for name in CorrectRequest.__struct_fields__}
        return self._admit("insight_corrected", {"atom_id": atom_id, **features, "author": "person"})

    def _admit(self, name: str, features: Features) -> Remembered:
        whose, at = self.whose(), self.clock.now()
        told = Activity(
            activity_id=activity_id("insight", name, whose.customer, at.isoformat(), self.clock.name()), ts=at,
            activity=name, customer=whose.customer, anonymous_customer_id=whose.anonymous_customer_id,
            org_id=whose.org_id, source="api", feature_json=features,
        )  # fmt: skip
        if not self.gate().admit([told]):
            raise UsageError(
                "your [consent] in config.toml keeps this out.", "Allow the source `api`, or name another project."
            )
        return Remembered(told.activity_id)


def _check(asked: RecordRequest) -> None:
    for name in ("subject", "metric", "statement"):
        if not getattr(asked, name).strip():
            raise UsageError(f"{name} is empty.", "An insight has a subject, a metric and a statement.")
    _check_texts(asked, ("subject", "metric", "unit", "grain", "replaces"), NAME_CHARACTERS_MAX)
    _check_texts(asked, ("statement", "project_path"), STATEMENT_CHARACTERS_MAX)
    if asked.confidence is not None and not 0 <= asked.confidence <= 1:
        raise UsageError(f"confidence is {asked.confidence:g}.", "It goes from 0 to 1.")
    if len(asked.evidence) > EVIDENCE_MAX or any(len(each) > NAME_CHARACTERS_MAX for each in asked.evidence):
        raise UsageError(f"evidence is over the limit of {EVIDENCE_MAX} activity ids.", "Name the clearest ones.")
    _check_value(asked.value)


def _check_texts(asked: msgspec.Struct, names: Sequence[str], characters_max: int) -> None:
    for name in names:
        text = getattr(asked, name)
        if text is not None and len(text) > characters_max:
            raise UsageError(
                f"{name} has {len(text):,} characters; the limit is {characters_max:,}.", "Say it shorter."
            )


def _check_value(value: Any) -> None:
    if len(msgspec.json.encode(value)) > VALUE_BYTES_MAX:
        raise UsageError(f"the value has over {VALUE_BYTES_MAX:,} bytes.", "Keep the figure, and link the rest.")


def _utc(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"valid_until {text!r} is not a time.", "Write 2026-11-23T09:00:00Z.") from None
    return at.replace(tzinfo=None).isoformat() + "Z"
