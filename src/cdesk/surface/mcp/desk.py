"""Where the tools' answers come from. Over stdio that is a file, the queue and the running service; in the service, its own rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from cdesk.activity.model import Activity, Person
from cdesk.context.model import Context, ContextKey


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as far as it is known: the Claude Code session, and the folder it works in."""

    session_id: str | None = None
    project_path: str | None = None


class Desk(Protocol):
    """Every method may raise CdeskError."""

    @property
    def caller(self) -> Caller: ...

    def person(self) -> Person: ...

    def timezone(self) -> str:
        """Where the person's days begin."""
        ...

    def is_served(self) -> bool:
        """Whether somebody is there who makes contexts anew."""
        ...

    def context(self, key: ContextKey) -> Context | None: ...

    def want(self, key: ContextKey) -> bool:
        """Asks for the context to be made anew. Whether this call was the first to ask."""
        ...

    def rendered(self, context: Context, now: float, characters_max: int) -> str:
        """The context as people read it."""
        ...

    def admit(self, activities: Sequence[Activity]) -> int:
        """How many are durable when it returns."""
        ...

    def ask(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the service's route answers, as plain JSON."""
        ...
