"""One activity: a fact about what somebody did with Claude Code, in ActivitySchema v2.0's own columns.

The column names are those of the table `CLAUDE_STREAM_V2`; columns with a leading underscore are ours (the
spec ignores them). See https://github.com/ActivitySchema/ActivitySchema/blob/main/2.0.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
else:
    JSON = Any  # msgspec reads annotations as the program runs, and takes no type that contains itself
Features: TypeAlias = dict[str, JSON]
Source: TypeAlias = Literal["transcript", "otel", "hook", "mcp", "api", "cdesk"]

SCHEMA_VERSION = 2


class Columns(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={
        "also_id": "_also_id",
        "also_id_2": "_also_id_2",
        "identity": "_identity",
        "org_id": "_org_id",
        "session_id": "_session_id",
        "source": "_source",
        "query_tag": "_query_tag",
    },
):
    """What one source observed of one fact, without its features.

    activity_id            UUID text, derived from what the fact is (`identity.py`), never from who told us
    also_id, also_id_2     other names of the same fact, which another source may know it by
    identity               the caller's own id, kept as given, for facts handed in through `emit`
    ts                     UTC, microseconds, from the source
    customer               the person: configured identity, else git e-mail, else OS user
    anonymous_customer_id  `host_<machine>`
    activity               name, subject_verb, past tense (`catalog`)
    revenue_impact         cost in US dollars, never negative; null when unpriced or free of cost
    link                   artifact or source of record
    session_id             the Claude Code session, not the customer
    source                 which capture saw it
    """

    activity_id: str
    ts: datetime
    activity: str
    customer: str
    source: Source
    also_id: str | None = None
    also_id_2: str | None = None
    identity: str | None = None
    anonymous_customer_id: str | None = None
    revenue_impact: float | None = None
    link: str | None = None
    org_id: str | None = None
    session_id: str | None = None
    query_tag: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The ids under which this fact is known, the first one first, each once."""
        if self.also_id is None and self.also_id_2 is None:
            return (self.activity_id,)
        others = (self.also_id, self.also_id_2)
        return (self.activity_id, *(name for name in others if name is not None and name != self.activity_id))


class Activity(Columns, frozen=True, kw_only=True, omit_defaults=True):
    """One observation. feature_json: the activity's features; keys left out are null."""

    feature_json: Features

    def without_nulls(self) -> Activity:
        """The same with no key that says nothing."""
        if None not in self.feature_json.values():
            return self
        known = {name: value for name, value in self.feature_json.items() if value is not None}
        return msgspec.structs.replace(self, feature_json=known)


class RawActivity(Columns, frozen=True, kw_only=True, omit_defaults=True):
    """One observation whose features are still the JSON text they came as: most only pass through."""

    feature_json: msgspec.Raw

    def whole(self) -> Activity:
        """With its features decoded. Raises msgspec.DecodeError when they are no JSON object."""
        values = {name: getattr(self, name) for name in Columns.__struct_fields__}
        return Activity(feature_json=_features.decode(self.feature_json), **values)


_features = msgspec.json.Decoder(dict[str, JSON])


class Person(msgspec.Struct, frozen=True):
    """Who the activities of this machine belong to."""

    customer: str
    anonymous_customer_id: str
    org_id: str | None = None
