"""A desk whose every answer a test holds, and messages as clients write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cdesk.activity.model import Activity, Person
from cdesk.clock import SYSTEM_CLOCK
from cdesk.context.model import Context, ContextKey, Statement
from cdesk.errors import ServiceError
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.desk import Caller
from cdesk.surface.mcp.protocol import CAPABILITIES_KEY, VERSION_KEY, Reply

MODERN_META = {VERSION_KEY: protocol.MODERN[0], CAPABILITIES_KEY: {}}


class HeldDesk:
    """contexts: what the cache holds · answers: what the service answers, by path; without one it is not running"""

    def __init__(self, contexts: Sequence[Context] = (), answers: Mapping[str, Any] | None = None) -> None:
        self.caller = Caller("s1", "/work/app")
        self.contexts = {context.key: context for context in contexts}
        self.answers = answers
        self.wanted: list[ContextKey] = []
        self.asked: list[tuple[str, Any]] = []
        self.admitted: list[Activity] = []

    def person(self) -> Person:
        return Person("ada", "host_1", "acme")

    def timezone(self) -> str:
        return "Europe/Berlin"

    def is_served(self) -> bool:
        return self.answers is not None

    def context(self, key: ContextKey) -> Context | None:
        return self.contexts.get(key)

    def want(self, key: ContextKey) -> bool:
        self.wanted.append(key)
        return self.wanted.count(key) == 1

    def rendered(self, context: Context, now: float, characters_max: int) -> str:
        return "\n".join(one.text for one in context.statements)

    def admit(self, activities: Sequence[Activity]) -> int:
        self.admitted += activities
        return len(activities)

    def ask(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((path, dict(asked)))
        if self.answers is None:
            raise ServiceError("cdesk's service is not running, and this needs it.", "Start it with `cdesk up`.")
        return dict(self.answers[path])


def context(
    *texts: str, project: str | None = "/work/app", age_seconds: float = 1.0, section: str = "failure"
) -> Context:
    now = SYSTEM_CLOCK.now_ns() / 1e9
    statements = tuple(
        Statement(text, section, (f"activity:{number}",), "why", 1.0) for number, text in enumerate(texts)
    )
    return Context(ContextKey("ada", project), statements, now - age_seconds, now - age_seconds, "v1")


def message(method: str, params: dict[str, Any] | None = None, *, id: Any = 1, **more: Any) -> bytes:
    given = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}, **more}
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode()


def modern(method: str, params: dict[str, Any] | None = None, **more: Any) -> bytes:
    meta = {**MODERN_META, **(params or {}).get("_meta", {})}
    return message(method, {**(params or {}), "_meta": meta}, **more)


def reply(given: bytes, desk: HeldDesk | None = None) -> Reply:
    """What is said to one message."""
    try:
        request = protocol.read(given)
    except protocol.Refused as refusal:
        return protocol.refused(refusal)
    assert request is not None and not request.is_notification
    return protocol.answer(request, lambda: desk or HeldDesk())


def said(given: bytes, desk: HeldDesk | None = None) -> dict[str, Any]:
    return dict(json.loads(reply(given, desk).body))


def called(desk: HeldDesk, name: str, meta: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    """The result of one tool call."""
    params = {"name": name, "arguments": arguments, "_meta": meta or {}}
    return dict(said(message("tools/call", params), desk)["result"])


Ask = Callable[..., dict[str, Any]]
