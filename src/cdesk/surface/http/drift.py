"""`/v1/drift`: what left the catalog's shape, and the decisions about it.

GET  /v1/drift                  every incident, those that want a decision first
GET  /v1/drift/{id}             one of them, with the first rows that wait; the beginning of an id is enough
POST /v1/drift/{id}/accept      the catalog of this home takes it from now on; rows that waited go in
POST /v1/drift/{id}/release     the rows that waited go in as they are; the catalog stays
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.upload.drift import Settled
from cdesk.warehouse.drift import Incident


class Incidents(msgspec.Struct, frozen=True):
    incidents: list[Incident]


def routes(app: App) -> list[Route]:
    drift = DriftRoutes(app)
    return [
        Route("/v1/drift", drift.list),
        Route("/v1/drift/{id}", drift.show),
        Route("/v1/drift/{id}/accept", drift.accept, methods=["POST"]),
        Route("/v1/drift/{id}/release", drift.release, methods=["POST"]),
    ]


class DriftRoutes:
    def __init__(self, app: App) -> None:
        self._app = app

    async def list(self, request: Request) -> Response:
        return _json(Incidents(await run_in_threadpool(self._app.drift.list)))

    async def show(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._app.drift.show, request.path_params["id"]))

    async def accept(self, request: Request) -> Response:
        return await self._settle(self._app.drift.accept, request)

    async def release(self, request: Request) -> Response:
        return await self._settle(self._app.drift.release, request)

    async def _settle(self, settle: Callable[[str], Settled], request: Request) -> Response:
        settled = await run_in_threadpool(settle, request.path_params["id"])
        self._app.uploader.wake()
        return _json(settled)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
