"""The service on loopback HTTP: status, questions, imports and activities from others.

Everything but `/healthz` and the page's own files needs the local token, or for the page's questions its cookie
(see page.py). A request whose Host is not this machine's loopback name, or that
comes from a web page of another origin, is refused before anything else is looked at (DNS rebinding).
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from cdesk.activity.pricing import PriceBook, PriceBookError
from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.capture.install import INGEST_ROUTES, ingest_token
from cdesk.errors import CdeskError, OverCap, QueueError, QueueFull, UsageError
from cdesk.query.adhoc import told_json
from cdesk.query.cells import answer_json
from cdesk.surface.http import (
    artifacts,
    context,
    cost,
    dead_letters,
    drift,
    hooks,
    identity,
    insights,
    metrics,
    openapi,
    otlp,
    tasks,
    tickets,
)
from cdesk.surface.http import token as tokens
from cdesk.surface.http.answers import Answers
from cdesk.surface.http.asked import EstimateRequest, ImportRequest, SqlRequest, UsageRequest
from cdesk.surface.http.mcp import McpRoute
from cdesk.surface.http.page import PageRoutes
from cdesk.surface.http.questions import routes as question_routes
from cdesk.surface.status import Status, of_app

BODY_BYTES_MAX = 64 * 1024 * 1024
QUERY_SECONDS_MAX = 30.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def create(
    app: App, token: str, port: int, backfill: Progress, is_stopping: Callable[[], bool] = lambda: False,
    mcp: type[McpRoute] = McpRoute,
) -> Guarded:  # fmt: skip
    """The ASGI application. `backfill` is shown in the status while it is under way; streams end when `is_stopping`."""
    routes = Routes(app, port, backfill)
    answers = Answers(app)
    page = PageRoutes(app, token, port, backfill, is_stopping)
    starlette = Starlette(routes=[
        Route("/healthz", _health),
        Route("/v1/status", routes.status),
        Route("/v1/sql", routes.sql, methods=["POST"]),
        Route("/v1/sql/estimate", routes.sql_estimate, methods=["POST"]),
        Route("/v1/usage", routes.usage, methods=["POST"]),
        Route("/v1/import", routes.import_, methods=["POST"]),
        Route("/v1/activities", routes.activities, methods=["POST"]),
        *artifacts.routes(app, port),
        *context.routes(app),
        *cost.routes(app),
        *drift.routes(app),
        *hooks.routes(app),
        *identity.routes(app),
        *insights.routes(app),
        *otlp.routes(app),
        *dead_letters.routes(app),
        *metrics.routes(app, port),
        *tasks.routes(app),
        *tickets.routes(app),
        *answers.routes,
        *mcp(app, answers, is_stopping).routes,
        *question_routes(app),
        *openapi.routes(port),
        *page.routes,
    ], exception_handlers={QueueError: hooks.Refused(app, _failed), CdeskError: _failed, HTTPException: _not_served, Exception: _broken})  # fmt: skip
    link = partial(artifacts.refused_link, app)
    return Guarded(starlette, token, page.is_open, ingest_token(app.home.path), link)


class Guarded:
    """Lets in who is on this machine, knows the token, and is no foreign web page."""

    def __init__(
        self,
        inner: ASGIApp,
        token: str,
        is_open: Callable[[Request], bool] = lambda request: False,
        ingest: str = "",
        refused_link: Callable[[Request], str | None] = lambda request: None,
    ) -> None:
        self._inner = inner
        self._token = token
        self._is_open = is_open
        self._ingest = ingest
        self._refused_link = refused_link

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        refusal = self.refusal(Request(scope))
        await (refusal or self._inner)(scope, receive, send)

    def refusal(self, request: Request) -> Response | None:
        """None for who is let in."""
        host = request.headers.get("host", "")
        if host.rsplit(":", 1)[0] not in LOOPBACK and host not in LOOPBACK:
            return _error(421, f"this service answers on loopback only, not as {host!r}.")
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _error(403, f"pages of {origin} may not call this service.")
        if request.url.path == "/healthz" or self._is_open(request):
            return None
        given = request.headers.get("authorization")
        if self._ingest and request.url.path in INGEST_ROUTES and tokens.matches(given, self._ingest):
            return None
        if not tokens.matches(given, self._token):
            why = self._refused_link(request) if given is None else None
            if why is not None:
                return _error(403, why) if why else None
            return _error(
                401, "the token is missing or wrong. Send `Authorization: Bearer <token of $CDESK_HOME/token>`."
            )
        return None


class Routes:
    def __init__(self, app: App, port: int, backfill: Progress) -> None:
        self._app = app
        self._port = port
        self._backfill = backfill

    async def status(self, request: Request) -> Response:
        def read() -> Status:
            return of_app(self._app, self._port, self._backfill)

        return _json(await run_in_threadpool(read))

    async def sql(self, request: Request) -> Response:
        asked = _read(await _body(request), SqlRequest)
        rows_max = max(1, min(asked.rows_max, sys.maxsize))
        if asked.on == "snowflake":
            answer = await run_in_threadpool(
                self._app.team_answers.sql,
                asked.sql,
                rows_max=rows_max,
                seconds_max=QUERY_SECONDS_MAX,
                over_cap=asked.over_cap,
            )
            return _json(answer_json(answer))
        told = await run_in_threadpool(
            self._app.adhoc.ask, asked.sql, rows_max=rows_max,
            seconds_max=QUERY_SECONDS_MAX, bytes_max=asked.bytes_max, over_cap=asked.over_cap,
        )  # fmt: skip
        return _json(told_json(told))

    async def sql_estimate(self, request: Request) -> Response:
        asked = _read(await _body(request), EstimateRequest)
        return _json(await run_in_threadpool(self._app.adhoc.estimate, asked.sql))

    async def usage(self, request: Request) -> Response:
        asked = _read(await _body(request), UsageRequest)
        prices = await run_in_threadpool(_prices, asked.prices) if asked.prices is not None else None

        def report() -> Any:
            return self._app.usages.report(
                asked.by, since=asked.since, until=asked.until, timezone=asked.timezone, prices=prices
            ).json()

        return _json(await run_in_threadpool(report))

    async def import_(self, request: Request) -> Response:
        """NDJSON: progress as it goes, and the result as the last line."""
        asked = _read(await _body(request) or b"{}", ImportRequest)
        dirs = None if asked.dirs is None else [Path(path) for path in asked.dirs]
        return StreamingResponse(_import(self._app, dirs), media_type="application/x-ndjson")

    async def activities(self, request: Request) -> Response:
        """An object, an array, or NDJSON; the same fields and answer as `cdesk emit`."""
        body = await _body(request)
        receipt = await run_in_threadpool(_take, self._app, body)
        self._app.uploader.wake()
        return _json(receipt, 200 if receipt.accepted or not receipt.rejected else 422)


def _take(app: App, body: bytes) -> Any:
    stripped = body.strip()
    if stripped[:1] == b"[":
        try:
            return app.intake.take(msgspec.json.decode(stripped, type=list[Any]))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UsageError(f"the body is not a JSON array: {error}.") from None
    return app.intake.take_lines(_objects(stripped))


def _objects(body: bytes) -> list[bytes]:
    """One object that may span lines, or NDJSON."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        return [body.replace(b"\n", b" ")]
    except (ValueError, RecursionError):
        return body.split(b"\n")


def _import(app: App, dirs: list[Path] | None) -> Iterator[bytes]:
    told: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            result = app.import_transcripts(dirs, tell=lambda p: told.put(_line({"progress": _progress(p)})))
            told.put(_line({"result": result}))
        except CdeskError as error:
            told.put(_line({"error": str(error)}))
        except (OSError, ValueError) as error:
            told.put(_line({"error": f"a folder cannot be read: {error}."}))
        finally:
            told.put(None)

    threading.Thread(target=work, name="cdesk-import", daemon=True).start()
    return iter(told.get, None)


def _progress(progress: Progress) -> dict[str, int]:
    return {"bytes": progress.bytes, "bytes_total": progress.bytes_total, "files": progress.files}


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _prices(given: dict[str, Any]) -> PriceBook:
    with NamedTemporaryFile(suffix=".json") as file:
        file.write(msgspec.json.encode(given))
        file.flush()
        try:
            return PriceBook.load(Path(file.name))
        except PriceBookError as error:
            raise UsageError(str(error).replace(file.name, "the price file")) from None


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Send it in parts.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Send it in parts.")
        parts.append(part)
    return b"".join(parts)


def _read(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


async def _health(request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, CdeskError)
    status = 400 if error.exit_code == 2 else 503 if error.retryable or isinstance(error, QueueError) else 500
    if isinstance(error, OverCap):
        estimate = {"bytes": error.bytes, "rows": error.rows}
        return _json(
            {"error": str(error), "estimate": estimate, "cap": error.cap, "can_sample": error.can_sample}, status
        )
    return _error(507 if isinstance(error, QueueFull) else status, str(error))


async def _not_served(request: Request, error: Exception) -> Response:
    """What no route takes, such as another method."""
    assert isinstance(error, HTTPException)
    answer = _error(error.status_code, f"{request.method} {request.url.path}: {error.detail}.")
    answer.headers.update(error.headers or {})
    return answer


async def _broken(request: Request, error: Exception) -> Response:
    """The error itself goes on to the log."""
    return _error(500, "cdesk made a mistake here; its log says more.")


def _error(status: int, message: str) -> Response:
    return _json({"error": message}, status)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
