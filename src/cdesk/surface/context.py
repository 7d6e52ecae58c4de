"""What Claude is told of a project, as an answer: one shape for the CLI and HTTP."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cdesk.app import App, Producer
from cdesk.capture.person import person
from cdesk.context.model import KINDS, Context, ContextKey, Kind, Statement
from cdesk.context.text import rendered
from cdesk.errors import UsageError


class ContextHead(msgspec.Struct, frozen=True):
    """project: null for all projects together · built_at, data_as_of: Unix seconds, UTC"""

    customer: str
    project: str | None
    kind: Kind
    version: str
    built_at: float
    data_as_of: float | None
    age_seconds: float
    is_stale: bool


class ContextAnswer(ContextHead, frozen=True):
    """text: as Claude gets it"""

    statements: tuple[Statement, ...]
    text: str


def key(producer: Producer, customer: str | None, project: str | None, kind: str | None) -> ContextKey:
    """Of this machine's person, all projects, the default kind, where nothing else is named. Raises UsageError."""
    who = customer or person(producer.settings.person, producer.home.path).customer
    found = next((each for each in KINDS if each == (kind or KINDS[0])), None)
    if found is None:
        raise UsageError(f"there is no kind {kind!r} of context.", f"Kinds: {', '.join(KINDS)}.")
    return producer.told.named(ContextKey(who, project or None, found))


def of_cache(producer: Producer, wanted: ContextKey) -> ContextAnswer | None:
    """At once, however old; when it is stale, it is asked to be made anew. None when there is none."""
    context = producer.told.read(wanted)
    if context is None:
        return None
    now = producer.clock.now_ns() / 1e9
    if context.is_stale(now):
        producer.told.want(wanted)
    return answer(context, now)


def of_app(app: App, wanted: ContextKey) -> ContextAnswer:
    """From the cache, else built now. Raises WarehouseError."""
    found = of_cache(app, wanted)
    return found if found is not None else answer(app.contexts.now(wanted), app.clock.now_ns() / 1e9)


def answer(context: Context, now: float) -> ContextAnswer:
    return ContextAnswer(
        context.key.customer, context.key.project_path, context.key.kind, context.version, context.built_at,
        context.data_as_of, round(context.age_seconds(now), 3), context.is_stale(now), context.statements,
        rendered(context, now),
    )  # fmt: skip


def project_of(folder: Path) -> str:
    """The folder Claude Code is usually started in: the one that holds the repository, else this one."""
    return str(next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder))
