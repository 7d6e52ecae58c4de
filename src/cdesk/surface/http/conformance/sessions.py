"""Sessions and streams that go on after a break, which 2025-11-25 allows and cdesk does without: the suite asks about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from cdesk.surface.http.mcp import streamed

HEADER = "Mcp-Session-Id"
RETRY_MS = 100
SENT_S = 5.0


class Sessions:
    """Each is open until its client ends it. cut: answers that come after their stream was, by the id of its event."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._cut: dict[str, asyncio.Task[bytes]] = {}

    def opened(self, response: Response) -> Response:
        """The answer to `initialize`, with a session's name on it."""
        name = uuid4().hex
        self._open.add(name)
        response.headers[HEADER] = name
        return response

    def refusal(self, http: HttpRequest) -> Response | None:
        """None without a session, which nobody needs, or in an open one."""
        name = http.headers.get(HEADER)
        return None if name is None or name in self._open else Response(status_code=404)

    def ended(self, http: HttpRequest) -> Response:
        if refusal := self.refusal(http):
            return refusal
        self._open.discard(http.headers.get(HEADER, ""))
        return Response(status_code=204)

    def cut(self, answer: asyncio.Task[bytes]) -> Response:
        """A stream that ends before its answer, with a name to come back by."""
        name = uuid4().hex
        self._cut[name] = answer

        async def events() -> AsyncIterator[bytes]:
            yield b"id: %b\r\nretry: %d\r\ndata:\r\n\r\n" % (name.encode(), RETRY_MS)

        return streamed(events())

    def resumed(self, http: HttpRequest) -> Response:
        """The rest of a stream that was cut; a stream for its own sake is not offered."""
        answer = self._cut.pop(http.headers.get("Last-Event-ID", ""), None)
        if refusal := self.refusal(http):
            return refusal
        if answer is None:
            return Response(status_code=405)

        async def events() -> AsyncIterator[bytes]:
            said = await asyncio.wait_for(answer, SENT_S)
            yield b"event: message\r\nid: %b\r\ndata: %b\r\n\r\n" % (uuid4().hex.encode(), said)

        return streamed(events())
