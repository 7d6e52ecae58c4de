"""Finds insight atoms, and explains one: what it says, where it knows that from, and what was said about it since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import msgspec

from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import UsageError
from cdesk.query.cells import cell, is_uuid
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

State: TypeAlias = Literal["valid", "silenced", "quarantined", "superseded", "stale", "expired"]

FOUND = 50
FOUND_MAX = 1_000
KIN_MAX = 20
WORDS_MAX = 20
SHOWN_CHARACTERS_MAX = 200
_SAYS = ("statement", "prompt_text", "file_path", "sql", "error", "title", "tool_name", "model", "message")


class Insight(msgspec.Struct, frozen=True):
    """One atom.

    method        recorded, detected or aggregate_calculation
    author        of what was recorded: claude, person or unknown
    confidence    0 to 1
    valid_from, valid_until, updated_at     ISO 8601, UTC
    state         valid, or why it is not told
    contradicts   ids of atoms that say something else of the same thing
    """

    id: str
    customer: str
    subject: str
    metric: str
    statement: str
    value: Any
    unit: str | None
    grain: str | None
    confidence: float | None
    method: str
    author: str | None
    project_path: str | None
    valid_from: str
    valid_until: str | None
    updated_at: str
    state: State
    superseded_by: str | None
    contradicts: list[str]


class Evidence(msgspec.Struct, frozen=True):
    """An activity that an insight rests on. says: what it was about, cut at SHOWN_CHARACTERS_MAX"""

    activity_id: str
    ts: str
    customer: str | None
    activity: str
    session_id: str | None
    link: str | None
    says: str


class SaidLater(msgspec.Struct, frozen=True):
    """What a person said about an insight. customer: who · action: silence, restore or correct"""

    activity_id: str
    ts: str
    customer: str
    action: str
    statement: str | None
    reason: str | None


class Explained(msgspec.Struct, frozen=True):
    """derivation: how it came about, as recorded · missing: ids it names that are not in the stream (any more)
    superseded_by, supersedes, contradicts: the atoms themselves"""

    insight: Insight
    derivation: dict[str, Any]
    quarantine_reason: str | None
    evidence: list[Evidence]
    missing: list[str]
    superseded_by: Insight | None
    supersedes: list[Insight]
    contradicts: list[Insight]
    said_later: list[SaidLater]


class Found(msgspec.Struct, frozen=True):
    """What fits best first."""

    insights: list[Insight]


class Insights:
    """Raises WarehouseError."""

    def __init__(self, warehouse: Warehouse, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._clock = clock

    def find(
        self,
        text: str = "",
        *,
        subject: str | None = None,
        metric: str | None = None,
        project_path: str | None = None,
        customer: str | None = None,
        since: datetime | None = None,
        state: State = "valid",
        is_all: bool = False,
        count: int = FOUND,
    ) -> list[Insight]:
        """Those with any of the words in statement, subject or metric (case does not matter), most words first.

        since: changed since then, UTC · is_all: whatever their state
        """
        words = list(dict.fromkeys(text.lower().split()))[:WORDS_MAX]
        return [atom for atom, _, _ in self._atoms(
            words=words, subject=subject, metric=metric, project=project_path, customer=customer, since=since,
            state=state, is_all=is_all, rows_max=max(1, min(count, FOUND_MAX)),
        )]  # fmt: skip

    def explain(self, atom_id: str) -> Explained:
        """By the beginning of its id, if that is one atom's alone. Raises UsageError."""
        [(insight, derivation, quarantine_reason)] = self._atoms(ids=[self.whole_id(atom_id)])
        named = [each for each in derivation.get("evidence") or [] if isinstance(each, str)]
        evidence = self._evidence(named)
        known = {each.activity_id for each in evidence}
        return Explained(
            insight=insight, derivation=derivation, quarantine_reason=quarantine_reason, evidence=evidence,
            missing=[each for each in named if each.lower() not in known],
            superseded_by=next(iter(self._by_id([insight.superseded_by] if insight.superseded_by else [])), None),
            supersedes=self._by_id([row[0] for row in self._ask("insights_kin", id=insight.id, rows_max=KIN_MAX)]),
            contradicts=self._by_id(insight.contradicts),
            said_later=[
                SaidLater(id_, str(cell(ts)), customer, action, statement, reason)
                for id_, ts, customer, action, statement, reason in self._ask("insights_corrections", id=insight.id)
            ],
        )  # fmt: skip

    def whole_id(self, beginning: str) -> str:
        """Raises UsageError where no atom's id begins so, or several do."""
        found = [row[0] for row in self._ask("insights_ids", beginning=beginning.lower())] if beginning else []
        if len(found) == 1 or beginning.lower() in found:
            return str(found[0])
        if found:
            raise UsageError(f"several insights begin with {beginning!r}.", "Give more of the id.")
        raise UsageError(f"there is no insight {beginning!r}.", "`cdesk insight list --all` shows the ids.")

    def _by_id(self, ids: Sequence[str]) -> list[Insight]:
        return [atom for atom, _, _ in self._atoms(ids=list(ids))] if ids else []

    def _atoms(self, **given: Any) -> list[tuple[Insight, dict[str, Any], str | None]]:
        asked = {
            "words": [], "subject": None, "metric": None, "project": None, "customer": None, "since": None, "ids": None,
            "state": None, "is_all": True, "rows_max": FOUND_MAX, "now": self._clock.now().replace(tzinfo=None), **given,
        }  # fmt: skip
        return [_atom(row) for row in self._ask("insights_find", **asked)]

    def _evidence(self, named: Sequence[str]) -> list[Evidence]:
        ids = [each for each in named if is_uuid(each)]
        return [_evidence(row) for row in self._ask("insights_evidence", ids=ids)] if ids else []

    def _ask(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        sql, names = prepared(name)
        return self._warehouse.query(sql, [values[each] for each in names]).rows


def moment(text: str | None) -> datetime | None:
    """A time as somebody writes it, as the warehouse keeps it. Raises UsageError."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is None else at.astimezone(UTC)).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is not a time.", "Write 2026-11-23T09:00:00Z.") from None


def _atom(row: tuple[Any, ...]) -> tuple[Insight, dict[str, Any], str | None]:
    (id_, ts, customer, subject, metric, value, unit, grain, confidence, method, derivation, valid_from, valid_until,
     superseded_by, quarantine_reason, state) = row  # fmt: skip
    how: dict[str, Any] = msgspec.json.decode(derivation or "{}")
    told = None if value is None else msgspec.json.decode(value)
    insight = Insight(
        id=id_, customer=customer, subject=subject, metric=metric, value=told, unit=unit, grain=grain,
        statement=how.get("statement") or _sentence(subject, metric, told, unit, grain, valid_from),
        confidence=confidence, method=method or "", author=how.get("author"), project_path=how.get("project_path"),
        valid_from=str(cell(valid_from)), valid_until=valid_until and str(cell(valid_until)), updated_at=str(cell(ts)),
        state=state, superseded_by=superseded_by, contradicts=how.get("contradicts") or [],
    )  # fmt: skip
    return insight, how, quarantine_reason


def _sentence(subject: str, metric: str, value: JSON, unit: str | None, grain: str | None, since: datetime) -> str:
    """Of a figure, whose task says none."""
    figure = round(value, 4) if isinstance(value, float) else value
    when = f", {grain} from {since:%Y-%m-%d %H:%M}" if grain else ""
    return f"{subject} {metric} is {figure}{f' {unit}' if unit else ''}{when}."


def _evidence(row: tuple[Any, ...]) -> Evidence:
    activity_id, ts, customer, activity, session_id, link, features = row
    says = _said(msgspec.json.decode(features or "{}"))
    return Evidence(activity_id, str(cell(ts)), customer, activity, session_id, link, says[:SHOWN_CHARACTERS_MAX])


def _said(features: Any) -> str:
    if not isinstance(features, dict):
        return ""
    parameters = features.get("parameters")
    if isinstance(parameters, dict) and isinstance(parameters.get("command"), str):
        outcome = features.get("success")
        word = "worked: " if outcome is True else "failed: " if outcome is False else ""
        return f"{word}{parameters['command']}"
    return next((str(features[name]) for name in _SAYS if features.get(name)), "")
