"""`/mcp`: the MCP server over streamable HTTP, without sessions, each answer one JSON object.

    POST a request         200 with its answer; what is wrong with a request of revision 2026-07-28 has 400 or 404, too
    POST a notification    202, and nothing in the body
    POST subscriptions/listen   200 and a stream of events: acknowledged, then quiet, since nothing here changes while we run
    400                    not a message, headers that say other than the body, a revision we do not speak
    405, 406, 413, 415     another method; an Accept without JSON; over 4 MiB; no JSON

Token, Host and Origin are looked at before, as for every route (service.py). What is answered from memory is answered in
the event loop; what waits for the disk or the warehouse, in a thread. Each call is recorded after its answer was sent.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cdesk import observe
from cdesk.activity.model import Activity, Person
from cdesk.app import App
from cdesk.capture.person import person
from cdesk.clock import SYSTEM_CLOCK, local_timezone
from cdesk.context.model import Context, ContextKey
from cdesk.errors import CdeskError
from cdesk.surface.http.answers import Answers
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.called import Call, activity
from cdesk.surface.mcp.desk import Caller
from cdesk.surface.mcp.protocol import LEGACY, LISTEN, MESSAGE_BYTES_MAX, MODERN, Refused, Reply, Request
from cdesk.surface.mcp.tools import TOOLS

PATH = "/mcp"
ASSUMED = "2025-03-26"
"""What a request without a version speaks, by the protocol; it is answered as the oldest that we know."""
LISTENERS_MAX = 32
QUIET_SECONDS = 15.0
LOOK_SECONDS = 1.0
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_STATUS = {protocol.METHOD_NOT_FOUND: 404, protocol.INTERNAL_ERROR: 200}


class ServiceDesk:
    """Answers from the service's own rooms."""

    caller = Caller()
    """HTTP does not say which session asks."""

    def __init__(self, app: App, answers: Answers) -> None:
        self._app = app
        self._answers = answers
        self._person: Person | None = None

    def person(self) -> Person:
        if self._person is None:
            self._person = person(self._app.settings.person, self._app.home.path)
        return self._person

    def timezone(self) -> str:
        return local_timezone()

    def is_served(self) -> bool:
        return True

    def context(self, key: ContextKey) -> Context | None:
        return self._app.told.read(key)

    def want(self, key: ContextKey) -> bool:
        return self._app.told.want(key)

    def rendered(self, context: Context, now: float, characters_max: int) -> str:
        from cdesk.context.text import rendered

        return rendered(context, now, characters_max)

    def admit(self, activities: Sequence[Activity]) -> int:
        kept = self._app.gate.admit(activities)
        self._app.uploader.wake()
        return kept

    def ask(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._answers.answer(path, msgspec.json.encode(asked))
        return dict(msgspec.to_builtins(answer, builtin_types=()))


class McpRoute:
    """The one route. `desk` may be given by who tests it; a server that offers more than ours says so in `hear`, `check`
    and `serve` (conformance)."""

    def __init__(
        self, app: App, answers: Answers, is_stopping: Callable[[], bool] = lambda: False, desk: Any = None
    ) -> None:
        self._desk = desk or ServiceDesk(app, answers)
        self._is_stopping = is_stopping
        self._listeners = 0

    @property
    def routes(self) -> list[Route]:
        return [Route(PATH, self.post, methods=["POST"]), Route(PATH, _not_offered)]

    async def post(self, http: HttpRequest) -> Response:
        if unacceptable := _unacceptable(http):
            return unacceptable
        body = await _body(http)
        if body is None:
            too_long = f"a message has at most {MESSAGE_BYTES_MAX:,} bytes"
            return _json(protocol.refused(Refused(protocol.INVALID_REQUEST, too_long)).body, 413)
        request: Request | None = None
        try:
            request = protocol.read(body)
            if request is None:
                self.hear(body)
                return Response(status_code=202)
            if request.is_notification:
                check_notification(http.headers)
                return Response(status_code=202)
            self.check(request, http.headers)
        except Refused as refusal:
            return _json(protocol.refused(refusal, None if request is None else request.id).body, 400)
        return await self.serve(request)

    def hear(self, body: bytes) -> None:
        """A client's response. Raises Refused, as we ask clients for nothing."""
        raise Refused(protocol.INVALID_REQUEST, "the body is a request or a notification, not a response")

    def check(self, request: Request, headers: Mapping[str, str]) -> None:
        check_headers(request, headers)

    async def serve(self, request: Request) -> Response:
        if request.method == LISTEN and request.version is not None:
            return self._listen(request)
        return self.answered(request, await self.answer(request))

    async def answer(self, request: Request) -> Reply:
        tool = TOOLS.get(request.tool or "")
        if tool is None or tool.waits_for == "nothing":
            return protocol.answer(request, lambda: self._desk)
        return await run_in_threadpool(protocol.answer, request, lambda: self._desk)

    def answered(self, request: Request, reply: Reply) -> Response:
        """One JSON object, with the status that the request's revision wants."""
        status = 200 if reply.code is None or request.version is None else _STATUS.get(reply.code, 400)
        record = None if reply.call is None else BackgroundTask(run_in_threadpool, self._record, reply.call)
        return _json(reply.body, status, record)

    def _record(self, call: Call) -> None:
        try:
            self._desk.admit([activity(call, self._desk.caller, self._desk.person(), SYSTEM_CLOCK)])
        except CdeskError as error:
            observe.event("warning", "mcp_call_unrecorded", error=str(error))

    def _listen(self, request: Request) -> Response:
        try:
            protocol.check_version(request)
        except Refused as refusal:
            return _json(protocol.refused(refusal, request.id).body, 400)
        if self._listeners >= LISTENERS_MAX:
            full = Refused(protocol.INTERNAL_ERROR, f"{LISTENERS_MAX} listen already, which is the limit")
            return _json(protocol.refused(full, request.id).body, 503)
        self._listeners += 1
        return streamed(self._quiet(request))

    async def _quiet(self, request: Request) -> AsyncIterator[bytes]:
        try:
            yield event(protocol.acknowledged(request))
            quiet = 0.0
            while not self._is_stopping():
                await asyncio.sleep(LOOK_SECONDS)
                quiet += LOOK_SECONDS
                if quiet >= QUIET_SECONDS:
                    quiet = 0.0
                    yield b":\r\n\r\n"
            yield event(protocol.listened(request))
        finally:
            self._listeners -= 1


# -- what the headers say ------------------------------------------------------------------------------------------


def check_headers(request: Request, headers: Mapping[str, str]) -> None:
    """Raises Refused unless the headers say what the body says, in a revision that we speak."""
    version = header(headers, "mcp-protocol-version")
    if request.version is None:
        if version in MODERN:
            raise Refused(protocol.INVALID_PARAMS, f"params._meta lacks {protocol.VERSION_KEY}")
        if version is not None and version not in (*LEGACY, ASSUMED):
            raise protocol.unsupported(version)
        return
    if version != request.version:
        raise mismatch("MCP-Protocol-Version", version, request.version)
    method, name = header(headers, "mcp-method"), header(headers, "mcp-name")
    if method != request.method:
        raise mismatch("Mcp-Method", method, request.method)
    named = request.params.get(_NAMED_BY.get(request.method, ""))
    if named is not None and decoded(name) != named:
        raise mismatch("Mcp-Name", name, named)


def check_notification(headers: Mapping[str, str]) -> None:
    """Raises Refused for a revision that we do not speak."""
    version = header(headers, "mcp-protocol-version")
    if version is not None and version not in (*MODERN, *LEGACY, ASSUMED):
        raise protocol.unsupported(version)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Without the white space that HTTP allows around it."""
    value = headers.get(name)
    return None if value is None else value.strip(" \t")


def mismatch(name: str, given: str | None, body: Any) -> Refused:
    told = "is missing" if given is None else f"{given[:100]!r} does not match the body's {str(body)[:100]!r}"
    return Refused(protocol.HEADER_MISMATCH, f"Header mismatch: {name} {told}")


def decoded(value: str | None) -> str | None:
    """`=?base64?…?=` stands for a text that no header can hold."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return b64decode(value[9:-2], validate=True).decode()
    except ValueError:
        return None


def _unacceptable(http: HttpRequest) -> Response | None:
    accept = http.headers.get("accept", "*/*")
    if not any(kind in accept for kind in ("application/json", "application/*", "*/*")):
        return _refusal(406, "Accept must name application/json and text/event-stream")
    if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _refusal(415, "Content-Type must be application/json")
    return None


async def _not_offered(http: HttpRequest) -> Response:
    """What older revisions open a standing stream by; without this route the page's files would answer."""
    refusal = _refusal(405, "only POST is offered here")
    refusal.headers["Allow"] = "POST"
    return refusal


def _refusal(status: int, message: str) -> Response:
    return _json(protocol.refused(Refused(protocol.INVALID_REQUEST, message)).body, status)


async def _body(http: HttpRequest) -> bytes | None:
    """None when there is too much of it."""
    body = bytearray()
    async for part in http.stream():
        body += part
        if len(body) > MESSAGE_BYTES_MAX:
            return None
    return bytes(body)


def event(message: bytes) -> bytes:
    return b"event: message\r\ndata: %b\r\n\r\n" % message


def streamed(events: AsyncIterator[bytes]) -> Response:
    """A stream of events, which nobody between us and the client keeps back."""
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def _json(body: bytes, status: int = 200, background: BackgroundTask | None = None) -> Response:
    return Response(body, status, media_type="application/json", background=background)
