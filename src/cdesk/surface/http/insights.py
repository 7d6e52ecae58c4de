"""`/v1/insights`: what is remembered, where it is known from, and what people say about it.

GET  /v1/insights                       text, subject, metric, project_path, customer, since, all, count
GET  /v1/insights/{id}                  one of them with its evidence; the beginning of an id is enough
POST /v1/insights                       records one; durable when it answers
POST /v1/insights/{id}/corrections      silences, restores or corrects it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.capture.insight import CorrectRequest, RecordRequest, Remembered
from cdesk.errors import UsageError
from cdesk.query.insights import FOUND, Explained, Found, moment

PATH = "/v1/insights"
BODY_BYTES_MAX = 64 * 1024


def routes(app: App) -> list[Route]:
    def found(request: Request) -> Found:
        asked = request.query_params
        return Found(app.insights.find(
            asked.get("text", ""), subject=asked.get("subject"), metric=asked.get("metric"),
            project_path=asked.get("project_path"), customer=asked.get("customer"), since=moment(asked.get("since")),
            is_all=_flag(asked.get("all", "false")), count=_count(asked.get("count", str(FOUND))),
        ))  # fmt: skip

    def explained(request: Request) -> Explained:
        return app.insights.explain(request.path_params["id"])

    async def record(request: Request) -> Response:
        return await _remember(app, app.insight_desk.record, await _read(request, RecordRequest))

    async def correct(request: Request) -> Response:
        asked = await _read(request, CorrectRequest)

        def corrected(asked: CorrectRequest) -> Remembered:
            return app.insight_desk.correct(app.insights.whole_id(request.path_params["id"]), asked)

        return await _remember(app, corrected, asked)

    return [
        Route(PATH, _answering(found)),
        Route(PATH, record, methods=["POST"]),
        Route(f"{PATH}/{{id}}", _answering(explained)),
        Route(f"{PATH}/{{id}}/corrections", correct, methods=["POST"]),
    ]


async def _remember(app: App, remember: Callable[[Any], Remembered], asked: Any) -> Response:
    remembered = await run_in_threadpool(remember, asked)
    app.uploader.wake()
    return _json(remembered)


def _answering(ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return _json(await run_in_threadpool(ask, request))

    return answer


async def _read(request: Request, kind: type[Any]) -> Any:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Say it shorter.")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise UsageError(f"all is true or false, not {text!r}.")
    return text == "true"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"count is a number of insights, not {text!r}.")
    return int(text)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
