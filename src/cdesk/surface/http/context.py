"""`GET /v1/context`: what Claude is told, at once, however old; what there is none of is built."""

from __future__ import annotations

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.surface import context
from cdesk.surface.context import ContextAnswer

PATH = "/v1/context"


def routes(app: App) -> list[Route]:
    def told(request: Request) -> ContextAnswer:
        asked = request.query_params.get
        return context.of_app(app, context.key(app, asked("customer"), asked("project"), asked("kind")))

    async def answered(request: Request) -> Response:
        found = await run_in_threadpool(told, request)
        headers = {"ETag": f'W/"{found.version}"', "Cache-Control": "no-cache"}
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(msgspec.json.encode(found), headers=headers, media_type="application/json")

    return [Route(PATH, answered)]
