"""The ready-made questions over HTTP, for programs with the token and for the page.

GET  /v1/questions                    those a role may ask: ?role=, the owner's where none is named
GET  /v1/questions/{name}             one, with its SQL and what was decided about it
POST /v1/questions/{name}             its answer, recorded or run
POST /v1/questions/{name}/{decision}  review, activate or block it; not from the page
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import UsageError
from cdesk.query.ask import AskRequest
from cdesk.query.questions import DECIDERS, Question, Questions, State, Unreadable
from cdesk.query.template import ROLES, Role

PATH = "/v1/questions"
AT_PAGE = "/v1/page/questions"
BODY_BYTES_MAX = 64 * 1024
DECISIONS: dict[str, State] = {"review": "reviewed", "activate": "active", "block": "blocked"}


class QuestionList(msgspec.Struct, frozen=True):
    """unreadable: files of the home that are no questions"""

    questions: list[Question]
    unreadable: list[Unreadable]


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """role: in which it is decided"""

    reason: str | None = None
    role: Role = "owner"


def listed(questions: Questions, role: str | None) -> QuestionList:
    chosen = next((each for each in ROLES if each == (role or "owner")), None)
    if chosen is None:
        raise UsageError(f"there is no role {role!r:.40}.", f"There are: {', '.join(ROLES)}.")
    return QuestionList(questions.all(chosen), questions.unreadable if chosen in DECIDERS else [])


def routes(app: App) -> list[Route]:
    def of_role(request: Request, body: bytes) -> Any:
        return listed(app.questions, request.query_params.get("role"))

    def shown(request: Request, body: bytes) -> Any:
        return app.questions.show(request.path_params["name"])

    def asked(request: Request, body: bytes) -> Any:
        return app.ask(request.path_params["name"], _read(body, AskRequest))

    def decided(state: State, request: Request, body: bytes) -> Any:
        given = _read(body, DecisionRequest)
        return app.questions.decide(
            request.path_params["name"], state, by=app.person.customer, role=given.role, reason=given.reason
        )

    return [
        *(Route(path, _answering(of_role)) for path in (PATH, AT_PAGE)),
        *(Route(f"{path}/{{name}}", _answering(shown)) for path in (PATH, AT_PAGE)),
        *(Route(f"{path}/{{name}}", _answering(asked), methods=["POST"]) for path in (PATH, AT_PAGE)),
        *(Route(f"{PATH}/{{name}}/{word}", _answering(partial(decided, state)), methods=["POST"])
          for word, state in DECISIONS.items()),
    ]  # fmt: skip


def at_page(path: str) -> str:
    """Where the page finds a question."""
    return AT_PAGE + path.removeprefix(PATH)


def _answering(ask: Callable[[Request, bytes], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        body = await _body(request)
        found = await run_in_threadpool(ask, request, body)
        return Response(
            msgspec.json.encode(found), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    return answer


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Ask for less at a time.")
    return bytes(body)


def _read(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None
