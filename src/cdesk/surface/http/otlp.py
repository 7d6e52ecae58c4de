"""OTLP over HTTP: `/v1/logs`, `/v1/metrics` and `/v1/traces`, as opentelemetry-proto's specification has it.

    request    POST, `application/x-protobuf` or `application/json`, plain, gzip or deflate
    200        an Export…ServiceResponse in the request's encoding, once everything taken is durable; records that were
               not taken are its `partial_success`
    400        the body is not an export, or not what its Content-Encoding says        never send it again
    401        the token is missing or wrong                                            "
    413        over BODY_BYTES_MAX, on the wire or unpacked                             "
    415        another Content-Type or Content-Encoding                                 "
    503        the queue takes nothing now; `Retry-After` says when to try again

Failures carry a google.rpc.Status in the request's encoding, in JSON when that is neither. At most WORKERS exports are
unpacked at a time, which bounds memory whatever is sent.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cached_property, partial

import anyio
import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.activity.pricing import PriceBook
from cdesk.app import App
from cdesk.capture.otlp.project import SessionProjects
from cdesk.capture.otlp.receiver import Outcome, Receiver
from cdesk.capture.otlp.record import Unreadable
from cdesk.capture.person import person
from cdesk.errors import QueueError

BODY_BYTES_MAX = 32 * 1024 * 1024
RETRY_AFTER_S = 5
WORKERS = 2
GZIP_MEMBERS_MAX = 64
"""One is usual; each further one costs a copy of what follows it."""
JSON = "application/json"
PROTOBUF = "application/x-protobuf"

_INVALID_ARGUMENT, _RESOURCE_EXHAUSTED, _UNAVAILABLE = 3, 8, 14
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_REJECTED = {"logs": "rejectedLogRecords", "metrics": "rejectedDataPoints", "traces": "rejectedSpans"}


def routes(app: App) -> list[Route]:
    """The three routes, all of one receiver."""
    otlp = Otlp(app)
    return [
        Route(f"/v1/{signal}", partial(otlp.export, signal), methods=["POST"])
        for signal in ("logs", "metrics", "traces")
    ]


class Refused(Exception):
    """The request is answered with `status`; `code` is google.rpc's word for it."""

    def __init__(self, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


class Otlp:
    def __init__(self, app: App) -> None:
        self._app = app

    @cached_property
    def receiver(self) -> Receiver:
        """Opened with the first export: most homes never get one."""
        app = self._app
        whose = person(app.settings.person, app.home.path)
        projects = SessionProjects(app.claude_dirs)
        return Receiver(
            app.gate, whose, PriceBook.bundled(), project_of=projects, clock=app.clock,
            on_refused=lambda activities: app.refusals.count("otel", activities),
        )  # fmt: skip

    @cached_property
    def _workers(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(WORKERS)

    async def export(self, signal: str, request: Request) -> Response:
        encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if encoding not in (JSON, PROTOBUF):
                raise Refused(415, _INVALID_ARGUMENT, f"Content-Type must be {PROTOBUF} or {JSON}, not {encoding!r}.")
            unpack = _unpacker(request.headers.get("content-encoding", ""))
            body = await _body(request)
            work = partial(self._take, signal, body, unpack, is_json=encoding == JSON)
            outcome = await anyio.to_thread.run_sync(work, limiter=self._workers)
        except Refused as refused:
            return _failure(refused, encoding)
        self._app.uploader.wake()
        return Response(_success(signal, outcome, encoding), media_type=encoding)

    def _take(self, signal: str, body: bytes, unpack: Callable[[bytes], bytes], *, is_json: bool) -> Outcome:
        take: Callable[..., Outcome] = getattr(self.receiver, signal)
        try:
            return take(unpack(body), is_json=is_json)
        except Unreadable as error:
            raise Refused(400, _INVALID_ARGUMENT, f"{error}.") from None
        except QueueError as error:
            raise Refused(503, _UNAVAILABLE, str(error), {"Retry-After": str(RETRY_AFTER_S)}) from None


# -- the request ---------------------------------------------------------------------------------------------------


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _unpacker(coding: str) -> Callable[[bytes], bytes]:
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return lambda body: body
    if coding not in _WINDOW_BITS:
        raise Refused(
            415, _INVALID_ARGUMENT, f"Content-Encoding must be gzip or deflate, not {coding[:40]!r}.",
            {"Accept-Encoding": "gzip, deflate"},
        )  # fmt: skip
    return partial(_unpacked, coding)


def _unpacked(coding: str, body: bytes) -> bytes:
    """Never holds more than one byte over the limit. A gzip body may have several members."""
    parts: list[bytes] = []
    room = BODY_BYTES_MAX + 1
    try:
        while body:
            if len(parts) == GZIP_MEMBERS_MAX:
                raise Refused(400, _INVALID_ARGUMENT, f"the body has over {GZIP_MEMBERS_MAX} {coding} members.")
            unpacker = zlib.decompressobj(_WINDOW_BITS[coding])
            part = unpacker.decompress(body, room)
            room -= len(part)
            if room <= 0:
                raise _too_large()
            if not unpacker.eof:
                raise Refused(400, _INVALID_ARGUMENT, f"the body breaks off inside its {coding} stream.")
            parts.append(part)
            body = unpacker.unused_data
    except zlib.error as error:
        raise Refused(400, _INVALID_ARGUMENT, f"the body is not {coding}: {error}.") from None
    return b"".join(parts)


def _too_large() -> Refused:
    return Refused(
        413, _RESOURCE_EXHAUSTED,
        f"the export is over the limit of {BODY_BYTES_MAX:,} bytes; send fewer records at a time.",
    )  # fmt: skip


# -- the answer ----------------------------------------------------------------------------------------------------


def _success(signal: str, outcome: Outcome, encoding: str) -> bytes:
    """Without `partial_success` when all was taken, as the protocol demands."""
    if not outcome.rejected:
        return b"{}" if encoding == JSON else b""
    if encoding == JSON:
        partial_success = {_REJECTED[signal]: str(outcome.rejected), "errorMessage": outcome.message}
        return msgspec.json.encode({"partialSuccess": partial_success})
    return _text_field(1, _integer_field(1, outcome.rejected) + _text_field(2, outcome.message.encode()))


def _failure(refused: Refused, encoding: str) -> Response:
    if encoding == PROTOBUF:
        body = _integer_field(1, refused.code) + _text_field(2, refused.message.encode("utf-8", "replace"))
    else:
        encoding = JSON
        body = msgspec.json.encode({"code": refused.code, "message": refused.message})
    return Response(body, refused.status, refused.headers, media_type=encoding)


def _integer_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _text_field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
