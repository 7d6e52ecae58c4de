"""`POST /v1/hooks/claude-code`: where Claude Code's HTTP hooks and our command hook tell what happens.

    request    the hook's payload as JSON; `X-Cdesk-Received-Ns` when somebody stamped the receipt before us
    200        the facts are durable. Mostly nothing in the body, so nothing is said to Claude; else the JSON that gives it
               its context (`capture/answer.py`). `X-Cdesk-Answer` shows that the beginning of a session may be answered
    400, 413   not a payload, or over BODY_BYTES_MAX
    503, 507   the queue takes nothing now; Claude Code goes on, and the transcript tells it later

Small payloads come in by the lane (`lane.py`), which answers only what goes well; all others arrive here. None waits for
a question that anybody asks: the WORKERS threads are for payloads alone.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk import observe
from cdesk.app import App
from cdesk.capture.hook import BadPayload
from cdesk.capture.install import ROUTE, answer_token

BODY_BYTES_MAX = 64 * 1024 * 1024
WORKERS = 8
STAMP_AGE_NS_MAX = 3_600 * 1_000_000_000
"""A stamp further from our own clock is not believed."""


def routes(app: App) -> list[Route]:
    return [Route(ROUTE, HookRoute(app).take, methods=["POST"])]


class HookRoute:
    def __init__(self, app: App) -> None:
        self._app = app
        self._answer_token = answer_token(app.home.path).encode()
        self._limiter: anyio.CapacityLimiter | None = None

    async def take(self, request: Request) -> Response:
        received = received_ns(request.headers.get("x-cdesk-received-ns"), time.time_ns())
        body = await _body(request)
        if body is None:
            return _refused(413, f"the payload is over the limit of {BODY_BYTES_MAX:,} bytes.")
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(WORKERS)
        try:
            taken, is_awaited = await anyio.to_thread.run_sync(self._take, body, received, limiter=self._limiter)
        except BadPayload as error:
            return _refused(400, f"not a hook payload: {error}.")
        if taken:
            self._app.uploader.wake()
        if not is_awaited or await request.is_disconnected():
            return Response(status_code=200)
        given = request.headers.get("x-cdesk-answer", "").encode()
        is_proven = hmac.compare_digest(given, self._answer_token)
        answer = await anyio.to_thread.run_sync(self._answer, body, received, is_proven, limiter=self._limiter)
        return Response(answer, 200, media_type="application/json") if answer else Response(status_code=200)

    def _take(self, body: bytes, received: int) -> tuple[int, bool]:
        """How many facts are durable, and whether there may be something to say."""
        return self._app.hooks.take(body, received), self._app.answers.may_answer(body)

    def _answer(self, body: bytes, received: int, is_proven: bool) -> bytes:
        """What is said back. Whatever hinders it, the facts are taken, and Claude Code goes on."""
        try:
            return self._app.answers.answer(body, received, is_proven=is_proven)
        except Exception as error:
            observe.event("warning", "context_not_given", error=f"{type(error).__name__}: {error}")
            return b""


class Refused:
    """Answers a failure of the queue as `answer` does, and counts what Claude Code's own HTTP hooks told then: nobody
    keeps that. Our command hook stamps what it sends, keeps what was refused, and counts what it could not keep."""

    def __init__(self, app: App, answer: Callable[[Request, Exception], Awaitable[Response]]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, request: Request, error: Exception) -> Response:
        if request.url.path == ROUTE and "x-cdesk-received-ns" not in request.headers:
            self._app.refusals.count("hook")
        return await self._answer(request, error)


def received_ns(header: str | None, now_ns: int) -> int:
    """The stamp of who took the payload before us, or now."""
    if header is None or not header.isascii() or not header.isdigit() or len(header) > 20:
        return now_ns
    given = int(header)
    return given if abs(now_ns - given) <= STAMP_AGE_NS_MAX else now_ns


async def _body(request: Request) -> bytes | None:
    """None when there is too much of it."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(status: int, message: str) -> Response:
    return Response(msgspec.json.encode({"error": message}), status, media_type="application/json")
