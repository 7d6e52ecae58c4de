"""Takes activities from anybody: the same fields and the same answer for `cdesk emit` and `POST /v1/activities`.

activity, ts, customer, feature_json                         required
activity_id                                                  any text, kept as the fact's identity
anonymous_customer_id, revenue_impact, link, _org_id, _session_id, _query_tag     optional
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.capture.gate import Gate
from cdesk.queue.writer import LINE_BYTES_MAX

TEXT_MAX = 1_000
DOLLARS_MAX = 1e15
_REQUIRED = ("activity", "ts", "customer", "feature_json")
_OPTIONAL_TEXTS = ("anonymous_customer_id", "link", "_org_id", "_session_id", "_query_tag")
_KNOWN = frozenset((*_REQUIRED, *_OPTIONAL_TEXTS, "activity_id", "revenue_impact"))


class Rejection(msgspec.Struct, frozen=True):
    """index: position in what was given, from 0 · reason: what is wrong and what would be right"""

    index: int
    reason: str


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """accepted: how many are durable now · sampled: low-value ones left out because the queue is pressed"""

    accepted: int
    rejected: list[Rejection]
    sampled: int = 0


class Unacceptable(ValueError):
    """What was given is not an activity; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Raises QueueFull or QueueError when the queue cannot take them; then none was taken."""

    gate: Gate

    def take_lines(self, lines: Iterable[bytes]) -> Receipt:
        """NDJSON: one object a line; blank lines are passed over and not counted."""
        return self._take(_read(line) for line in lines if line.strip())

    def take(self, given: Iterable[Any]) -> Receipt:
        """Decoded JSON objects."""
        return self._take(given)

    def _take(self, given: Iterable[Any]) -> Receipt:
        accepted: list[bytes] = []
        rejected: list[Rejection] = []
        sampled = 0
        for index, thing in enumerate(given):
            try:
                one = activity(thing)
                if self.gate.leaves_out(one):
                    sampled += 1
                    continue
                lines = self.gate.lines([one])
                if any(len(line) > LINE_BYTES_MAX for line in lines):
                    raise Unacceptable(f"it has over {LINE_BYTES_MAX:,} bytes, which is the limit")
                accepted += lines or [b""]
            except Unacceptable as error:
                rejected.append(Rejection(index, str(error)))
        self.gate.writer.append(accepted)
        return Receipt(len(accepted), rejected, sampled)


def activity(given: Any) -> Activity:
    """Raises Unacceptable naming the first thing wrong."""
    if isinstance(given, Unacceptable):
        raise given
    if not isinstance(given, dict):
        raise Unacceptable("an activity must be a JSON object")
    for name in _REQUIRED:
        if given.get(name) is None:
            raise Unacceptable(f"{name} is missing")
    if unknown := sorted(set(given) - _KNOWN):
        raise Unacceptable(f"unknown field {unknown[0]!r}; features belong inside feature_json")
    features = given["feature_json"]
    if isinstance(features, str):
        features = _read(features.encode("utf-8", "replace"))
    if not isinstance(features, dict):
        raise Unacceptable("feature_json must be a JSON object")
    ts = _time(given["ts"])
    texts = {name: _text(given, name) for name in ("activity", "customer", *_OPTIONAL_TEXTS)}
    identity = _text(given, "activity_id")
    return Activity(
        activity_id=_identified(identity) if identity is not None else _fingerprint(given, ts),
        identity=identity, ts=ts, activity=texts["activity"] or "", customer=texts["customer"] or "",
        feature_json=features, anonymous_customer_id=texts["anonymous_customer_id"],
        revenue_impact=_money(given.get("revenue_impact")), link=texts["link"], org_id=texts["_org_id"],
        session_id=texts["_session_id"], query_tag=texts["_query_tag"], source="api",
    )  # fmt: skip


def plain_activity(body: bytes) -> Activity | None:
    """What `activity` makes of the body, sooner. None where it has to be looked at closely: it may be wrong, hold several
    activities, or have no id of its own."""
    try:
        given: _Plain = _plain.decode(body)
        ts = _time(given.ts)
    except (ValueError, RecursionError):
        return None
    return Activity(
        activity_id=_identified(given.activity_id), identity=given.activity_id, ts=ts, activity=given.activity,
        customer=given.customer, feature_json=given.feature_json, anonymous_customer_id=given.anonymous_customer_id,
        revenue_impact=None if given.revenue_impact is None else float(given.revenue_impact), link=given.link,
        org_id=given.org_id, session_id=given.session_id, query_tag=given.query_tag, source="api",
    )  # fmt: skip


_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_MAX)]
_Dollars = Annotated[float, msgspec.Meta(ge=-DOLLARS_MAX, le=DOLLARS_MAX)]


class _Plain(
    msgspec.Struct, forbid_unknown_fields=True, kw_only=True,
    rename={"org_id": "_org_id", "session_id": "_session_id", "query_tag": "_query_tag"},
):  # fmt: skip
    activity: _Text
    ts: str
    customer: _Text
    feature_json: dict[str, Any]
    activity_id: _Text
    anonymous_customer_id: _Text | None = None
    revenue_impact: _Dollars | None = None
    link: _Text | None = None
    org_id: _Text | None = None
    session_id: _Text | None = None
    query_tag: _Text | None = None


_plain = msgspec.json.Decoder(_Plain)


def _identified(identity: str) -> str:
    """A UUID stands for itself; any other text through its fingerprint."""
    try:
        return str(UUID(identity)) if len(identity) == 36 else activity_id("given", identity)
    except ValueError:
        return activity_id("given", identity)


def _fingerprint(given: dict[str, Any], ts: datetime) -> str:
    return activity_id("content", msgspec.json.encode({**given, "ts": ts}, order="deterministic").decode())


def _read(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        return Unacceptable(f"not valid JSON: {str(error).splitlines()[0]}")


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise Unacceptable(f"{name} must be a text that is not empty")
    if len(value) > TEXT_MAX:
        raise Unacceptable(f"{name} has {len(value):,} characters; the limit is {TEXT_MAX:,}")
    return value


def _time(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Unacceptable("ts must be an ISO 8601 time such as 2026-11-23T09:13:29.517Z")


def _money(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= DOLLARS_MAX:
        return float(value)
    raise Unacceptable("revenue_impact must be a number of US dollars")
