"""What cdesk itself costs, for who has the token and for the page.

GET  /v1/cost         by workload or by tag, for some days
GET  /v1/page/cost    the same
"""

from __future__ import annotations

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import UsageError
from cdesk.query.cost import BYS, DAYS, By, CostReport

PATH = "/v1/cost"
AT_PAGE = "/v1/page/cost"


def routes(app: App) -> list[Route]:
    async def told(request: Request) -> Response:
        days, by = _days(request), _by(request)

        def report() -> CostReport:
            return app.costs.report(days=days, by=by)

        return Response(msgspec.json.encode(await run_in_threadpool(report)), headers={
            "Content-Type": "application/json", "Cache-Control": "no-store", "Vary": "Cookie, Authorization",
        })  # fmt: skip

    return [Route(PATH, told), Route(AT_PAGE, told)]


def _days(request: Request) -> int:
    given = request.query_params.get("days", str(DAYS))
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise UsageError(f"days is a number of days, not {given[:60]!r}.")
    return int(given)


def _by(request: Request) -> By:
    given = request.query_params.get("by", BYS[0])
    for by in BYS:
        if by == given:
            return by
    raise UsageError(f"by is one of {', '.join(BYS)}, not {given[:60]!r}.")
