"""What a context is: statements of fact, each with its source, for one customer, project and kind of reader."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import msgspec

Kind: TypeAlias = Literal["default", "executive", "analyst", "engineer"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FRESH_SECONDS = 30.0
"""Older than this a context is stale: it is served all the same, and made anew."""


class ContextKey(msgspec.Struct, frozen=True):
    """project_path: None for all projects of the customer together."""

    customer: str
    project_path: str | None = None
    kind: Kind = "default"


class Statement(msgspec.Struct, frozen=True):
    """One plain statement of fact.

    text      one line; what came from outside stands in it as quoted data
    section   failure, file, thread, session, query, usage, insight
    sources   citations: `cdesk:<query_id>`, `activity:<activity_id>` or `atom:<id>`; never empty
    why       why it was chosen, for people
    score     its rank, higher first
    """

    text: str
    section: str
    sources: tuple[str, ...]
    why: str
    score: float


class Context(msgspec.Struct, frozen=True):
    """statements: best first · built_at, data_as_of: Unix seconds, UTC; data_as_of None where there is no data
    version: changes exactly when what is told changes"""

    key: ContextKey
    statements: tuple[Statement, ...]
    built_at: float
    data_as_of: float | None
    version: str

    def age_seconds(self, now: float) -> float:
        """A clock that was set back makes nothing younger than new."""
        return max(0.0, now - self.built_at)

    def is_stale(self, now: float) -> bool:
        return self.age_seconds(now) > FRESH_SECONDS
