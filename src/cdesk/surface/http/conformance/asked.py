"""One request under way, as a fixture sees it: what it takes, and the way to say something before its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import CAPABILITIES_KEY, Refused, Request

MISSING_CAPABILITY = -32021
Result = dict[str, Any]


class Asked:
    """notify: sends a notification ahead of the answer · ask: sends a request to the client, and waits for its result
    (until 2025-11-25)"""

    def __init__(
        self,
        request: Request,
        notify: Callable[[str, Result], Awaitable[None]],
        ask: Callable[[str, Result], Awaitable[Result]],
    ) -> None:
        self.request = request
        self.notify = notify
        self.ask = ask

    @property
    def arguments(self) -> Mapping[str, Any]:
        given = self.request.params.get("arguments", {})
        if not isinstance(given, dict):
            raise Refused(protocol.INVALID_PARAMS, "arguments must be an object")
        return given

    @property
    def is_modern(self) -> bool:
        return self.request.version is not None

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What the client says it can do; nothing before 2026-07-28, which said so only in its handshake."""
        return dict(self.request.meta.get(CAPABILITIES_KEY, {}))

    def require(self, needed: Result) -> None:
        """Raises Refused unless the client can do it."""
        if not _has(self.capabilities, needed):
            raise Refused(MISSING_CAPABILITY, "Missing required client capability", {"requiredCapabilities": needed})


class Tool(msgspec.Struct, frozen=True):
    """is_streamed: it says something before its answer, so it is answered by a stream"""

    name: str
    description: str
    run: Callable[[Asked], Awaitable[Result]]
    takes: Result = {}
    needs: tuple[str, ...] = ()
    is_streamed: bool = False
    schema: Result | None = None

    def listed(self) -> Result:
        plain = {"type": "object", "properties": self.takes, "required": list(self.needs)}
        return {"name": self.name, "description": self.description, "inputSchema": self.schema or plain}


def text(said: str) -> Result:
    """A tool's result that is one text."""
    return {"content": [{"type": "text", "text": said}]}


def _has(given: Mapping[str, Any], needed: Mapping[str, Any]) -> bool:
    return all(isinstance(given.get(name), dict) and _has(given[name], part) for name, part in needed.items())
