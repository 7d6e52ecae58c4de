"""`/v1/identity`: who did what, as operations on record.

GET  /v1/identity         all of them
GET  /v1/identity/{n}     one
POST /v1/identity         one more, or the undoing of one: NDJSON, progress as it goes, then result or error

`?on=snowflake`, and `on` in the body: those of the team's warehouse.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import CdeskError, UsageError
from cdesk.upkeep.identity import IdentityDesk, IdentityRequest

PATH = "/v1/identity"
BODY_BYTES_MAX = 64 * 1024


def routes(app: App) -> list[Route]:
    found = IdentityRoutes(app)
    return [
        Route(PATH, found.operations, methods=["GET"]),
        Route(PATH, found.act, methods=["POST"]),
        Route(PATH + "/{number:path}", found.operation),
    ]


class IdentityRoutes:
    def __init__(self, app: App) -> None:
        self._app = app

    async def operations(self, request: Request) -> Response:
        desk = self._desk(request)
        return _json(await run_in_threadpool(lambda: desk.operations))

    async def operation(self, request: Request) -> Response:
        number = request.path_params["number"]
        is_number = number.isascii() and number.isdigit() and len(number) < 10
        return _json(await run_in_threadpool(self._desk(request).operation, int(number) if is_number else 0))

    async def act(self, request: Request) -> Response:
        """A request that is refused is answered 400; what goes wrong later is the last line."""
        asked = await _asked(request)
        await run_in_threadpool(self._app.identity_of(asked.on).check, asked)
        return StreamingResponse(_lines(self._app, asked), media_type="application/x-ndjson")

    def _desk(self, request: Request) -> IdentityDesk:
        return self._app.identity_of(request.query_params.get("on", "duckdb"))


def _lines(app: App, asked: IdentityRequest) -> Iterator[bytes]:
    told: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome = app.identity_of(asked.on).act(
                asked, lambda done, total: told.put(_line({"progress": {"rows": done, "rows_total": total}}))
            )
            told.put(_line({"result": outcome}))
        except CdeskError as error:
            told.put(_line({"error": str(error)}))
        finally:
            told.put(None)

    threading.Thread(target=work, name="cdesk-identity", daemon=True).start()
    return iter(told.get, None)


async def _asked(request: Request) -> IdentityRequest:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.")
    try:
        return msgspec.json.decode(bytes(body), type=IdentityRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
