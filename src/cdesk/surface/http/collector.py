"""What a collector answers to laptops, on an address of its own: these two routes and nothing else of the service."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk import observe
from cdesk.app import App
from cdesk.capture.collected import BODY_BYTES_MAX, BadBatch, NotInvited, SessionOver, TooLarge
from cdesk.errors import CdeskError, QueueError, QueueFull, UsageError

HELLO_BYTES_MAX = 4_096


class _Greeting(msgspec.Struct, frozen=True):
    name: str
    nonce: str


def create(app: App) -> Starlette:
    """The ASGI application."""
    routes = Routes(app)
    return Starlette(
        routes=[
            Route("/healthz", _health),
            Route("/v1/collector/hello", routes.hello, methods=["POST"]),
            Route("/v1/collector/activities", routes.activities, methods=["POST"]),
        ],
        exception_handlers={CdeskError: _failed, Exception: _broken},
    )


class Routes:
    def __init__(self, app: App) -> None:
        self._app = app

    async def hello(self, request: Request) -> Response:
        body = await _body(request, HELLO_BYTES_MAX)
        try:
            given = msgspec.json.decode(body, type=_Greeting)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"the request body is wrong: {error}.") from None
        said = await run_in_threadpool(self._app.collected.hello, given.name, given.nonce)
        return Response(msgspec.json.encode(said), media_type="application/json")

    async def activities(self, request: Request) -> Response:
        """gzip of NDJSON lines as the queue has them."""
        name, session, given = (request.headers.get(f"cdesk-{part}", "") for part in ("laptop", "session", "proof"))
        body = await _body(request, BODY_BYTES_MAX)
        taken = await run_in_threadpool(self._app.collected.take, name, session, given, body)
        self._app.uploader.wake()
        return Response(taken.receipt, media_type="application/json", headers={"Cdesk-Proof": taken.proof})


async def _body(request: Request, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > bytes_max:
            raise TooLarge(f"the body is over the limit of {bytes_max:,} bytes.", "Send it in parts.")
        parts.append(part)
    return b"".join(parts)


async def _failed(request: Request, error: Exception) -> Response:
    said: dict[str, Any] = {"error": str(error)}
    match error:
        case SessionOver():
            status = 401
        case NotInvited():
            status = 401
            observe.event(
                "warning", "laptop_refused", laptop=request.headers.get("cdesk-laptop", "")[:100], error=str(error)
            )
        case TooLarge():
            status = 413
        case BadBatch():
            status, said["index"] = 422, error.index
        case UsageError():
            status = 400
        case QueueFull():
            status = 507
        case _:
            status = 503 if isinstance(error, QueueError) else 500
    return Response(msgspec.json.encode(said), status, media_type="application/json")


async def _broken(request: Request, error: Exception) -> Response:
    """The error itself goes on to the log."""
    return Response(b'{"error":"cdesk made a mistake here; its log says more."}', 500, media_type="application/json")


async def _health(request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")
