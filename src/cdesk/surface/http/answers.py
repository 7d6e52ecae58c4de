"""Questions that programs ask about what was done: search, ready-made questions, and where a citation comes from.

POST /v1/search       activities, the newest first
POST /v1/explain      what stands behind a citation
GET  /v1/questions    the ready-made questions
POST /v1/ask          the answer to one of them
POST /v1/datasets     an activity's rows, with what happened ever, before, after or in between
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
from cdesk.errors import UsageError
from cdesk.query.cells import answer_json
from cdesk.query.explain import Explanation, explain
from cdesk.query.questions import QUESTIONS, Asked, Question, Questions
from cdesk.query.search import Hits, Search, Searches
from cdesk.surface.dataset import DatasetAnswer, DatasetRequest, answered
from cdesk.surface.http.asked import UsageRequest

BODY_BYTES_MAX = 64 * 1024


class ExplainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    citation: str


class QuestionList(msgspec.Struct, frozen=True):
    questions: tuple[Question, ...]


class Answers:
    """One answer for each route, as a record or plain JSON; also what the MCP server answers from."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._searches = Searches(app.warehouse, app.query_id, clock=app.clock)
        self._questions = Questions(app.warehouse, app.query_id, clock=app.clock)
        self._by_path: dict[str, tuple[type[Any], Callable[[Any], Any]]] = {
            "/v1/search": (Search, self.search),
            "/v1/explain": (ExplainRequest, self.explain),
            "/v1/ask": (Asked, self.ask),
            "/v1/datasets": (DatasetRequest, self.dataset),
            "/v1/usage": (UsageRequest, self._usage),
        }

    def search(self, wanted: Search) -> Hits:
        return self._searches.find(wanted)

    def explain(self, asked: ExplainRequest) -> Explanation:
        return explain(self._app.warehouse, asked.citation)

    def ask(self, asked: Asked) -> dict[str, Any]:
        return answer_json(self._questions.ask(asked))

    def dataset(self, asked: DatasetRequest) -> DatasetAnswer:
        return answered(self._app.datasets, asked)

    def listed(self) -> QuestionList:
        return QuestionList(QUESTIONS)

    def answer(self, path: str, body: bytes) -> Any:
        """What the route answers to this body. Raises CdeskError."""
        if path == "/v1/questions":
            return self.listed()
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
        return [
            Route("/v1/questions", self._answered),
            *(Route(path, self._answered, methods=["POST"]) for path in ("/v1/search", "/v1/explain", "/v1/ask")),
            Route("/v1/datasets", self._answered, methods=["POST"]),
        ]

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
