"""The tasks that keep derived tables up to date: how they are, and what a person may tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import UsageError
from cdesk.refresh import report
from cdesk.refresh.report import RunReport, TaskReport

COUNT = 50


class Tasks(msgspec.Struct, frozen=True):
    tasks: list[TaskReport]


class Runs(msgspec.Struct, frozen=True):
    runs: list[RunReport]


def routes(app: App) -> list[Route]:
    def listed(request: Request) -> Tasks:
        return Tasks(report.tasks(app.warehouse, app.tasks))

    def history(request: Request) -> Runs:
        return Runs(report.runs(app.warehouse, app.tasks, request.query_params.get("task"), _count(request)))

    def run(request: Request) -> RunReport:
        return report.of_run(app.tasks.run(request.path_params["name"]))

    def suspend(request: Request) -> Tasks:
        app.tasks.suspend(request.path_params["name"])
        return listed(request)

    def resume(request: Request) -> Tasks:
        app.tasks.resume(request.path_params["name"])
        return listed(request)

    return [
        Route("/v1/tasks", _answering(listed)),
        Route("/v1/tasks/history", _answering(history)),
        Route("/v1/tasks/{name}/run", _answering(run), methods=["POST"]),
        Route("/v1/tasks/{name}/suspend", _answering(suspend), methods=["POST"]),
        Route("/v1/tasks/{name}/resume", _answering(resume), methods=["POST"]),
    ]


def _answering(ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return Response(msgspec.json.encode(await run_in_threadpool(ask, request)), media_type="application/json")

    return answer


def _count(request: Request) -> int:
    given = request.query_params.get("count", str(COUNT))
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise UsageError(f"count is a number of runs, not {given!r}.")
    return int(given)
