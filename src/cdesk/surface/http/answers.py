"""Questions that programs ask about what was done: search, ready-made questions, and where a citation comes from.

POST /v1/search       activities, the newest first
POST /v1/explain      what stands behind a citation, or behind a cell of an answer
GET  /v1/questions    the ready-made questions; more about them in questions.py
POST /v1/ask          the answer to one of them, as the data is now
POST /v1/datasets     an activity's rows, with what happened ever, before, after or in between
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import UsageError
from cdesk.query.ask import AskRequest
from cdesk.query.explain import Explanation
from cdesk.query.search import Hits, Search, Searches
from cdesk.query.template import Role
from cdesk.query.ticket import Submission
from cdesk.surface.dataset import DatasetAnswer, DatasetRequest, answered
from cdesk.surface.http.artifacts import PATH as ARTIFACTS
from cdesk.surface.http.artifacts import of_artifact
from cdesk.surface.http.asked import UsageRequest
from cdesk.surface.http.questions import PATH, QuestionList, listed
from cdesk.surface.http.tickets import PATH as QUERIES
from cdesk.surface.http.tickets import of_ticket

BODY_BYTES_MAX = 64 * 1024


class ExplainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """row: of the answer that is cited, from 1 · column: by name; the first that counts, where none is named"""

    citation: str
    row: int | None = None
    column: str | None = None


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """days: where the question takes them · project: a folder, where the question takes one; null: all
    parameters: the others, by name"""

    question: str
    days: int | None = None
    project: str | None = None
    parameters: dict[str, Any] = {}
    fresh: bool = True
    role: Role = "owner"


class AskAnswer(msgspec.Struct, frozen=True):
    """columns: by name · is_recorded: it was run before · is_current: the data has brought no news since"""

    columns: list[str]
    rows: list[list[Any]]
    query_id: str
    row_count: int
    parameters: dict[str, Any]
    data_as_of: str | None
    asked_at: str
    is_recorded: bool
    is_current: bool
    watermark: str | None
    artifact_id: str | None


class Answers:
    """One answer for each route, as a record or plain JSON; also what the MCP server answers from."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._searches = Searches(app.warehouse, app.query_id, clock=app.clock)
        self._by_path: dict[str, tuple[type[Any], Callable[[Any], Any]]] = {
            "/v1/search": (Search, self.search),
            "/v1/explain": (ExplainRequest, self.explain),
            "/v1/ask": (Asked, self.ask),
            "/v1/datasets": (DatasetRequest, self.dataset),
            QUERIES: (Submission, lambda asked: app.tickets.submit(asked)),
            "/v1/usage": (UsageRequest, self._usage),
        }

    def search(self, wanted: Search) -> Hits:
        return self._searches.find(wanted)

    def explain(self, asked: ExplainRequest) -> Explanation:
        return self._app.explain(asked.citation, asked.row, asked.column)

    def ask(self, asked: Asked) -> AskAnswer:
        takes = {each.name for each in self._app.questions.template(asked.question).parameters}
        given = dict(asked.parameters)
        if asked.days is not None:
            given.setdefault("days", asked.days)
        if asked.project is not None and "project" in takes:
            given.setdefault("project", asked.project)
        found = self._app.asker.ask(asked.question, AskRequest(parameters=given, fresh=asked.fresh, role=asked.role))
        return AskAnswer(
            columns=[each.name for each in found.columns], rows=found.rows, query_id=found.query_id,
            row_count=found.row_count, parameters=found.parameters, data_as_of=found.data_as_of, asked_at=found.asked_at,
            is_recorded=found.is_recorded, is_current=found.is_current,
            watermark=found.sample.watermark if found.sample else None, artifact_id=found.artifact_id,
        )  # fmt: skip

    def listed(self, role: str | None) -> QuestionList:
        return listed(self._app.questions, role)

    def dataset(self, asked: DatasetRequest) -> DatasetAnswer:
        return answered(self._app.datasets, asked)

    def answer(self, path: str, body: bytes) -> Any:
        """What the route answers to this body. Raises CdeskError."""
        if path.startswith(f"{ARTIFACTS}/"):
            return of_artifact(self._app, path)
        if path.startswith(f"{QUERIES}/"):
            return of_ticket(self._app, path)
        path, _, query = path.partition("?")
        if path == PATH:
            return self.listed(next(iter(parse_qs(query).get("role", [])), None))
        kind, answered = self._by_path[path]
        try:
            asked = msgspec.json.decode(body, type=kind)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the request body is wrong: {error}.") from None
        return answered(asked)

    def _usage(self, asked: UsageRequest) -> Any:
        return self._app.usages.report(asked.by, since=asked.since, until=asked.until, timezone=asked.timezone).json()

    @property
    def routes(self) -> list[Route]:
        paths = ("/v1/search", "/v1/explain", "/v1/ask", "/v1/datasets")
        return [Route(path, self._answered, methods=["POST"]) for path in paths]

    async def _answered(self, request: Request) -> Response:
        body = await _body(request)
        answer = await run_in_threadpool(self.answer, request.url.path, body)
        return Response(msgspec.json.encode(answer), media_type="application/json")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Ask for less at a time.")
    return bytes(body)
