"""`/v1/queries`: long questions, handed in and looked at later.

POST   /v1/queries                  hands one in: 202, and the ticket; 429 while the role has as many as it may
GET    /v1/queries                  every ticket, the latest first
GET    /v1/queries/{ticket}         as it stands, and how far it is
DELETE /v1/queries/{ticket}         cancels it: what runs is broken off
GET    /v1/queries/{ticket}/rows    cursor, limit: a page of its answer; 409 while there is none

The page finds all but handing in under /v1/page/queries: no SQL comes from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.artifact.artifacts import PAGE_ROWS
from cdesk.artifact.model import Page
from cdesk.errors import ContentMissing, TooManyTickets, UnknownArtifact, UnknownTicket, UsageError
from cdesk.query.ticket import WAITING, Submission, Ticket

PATH = "/v1/queries"
BODY_BYTES_MAX = 512 * 1024
BUSY_SECONDS = 5
"""When it is worth to try again."""


class Queries(msgspec.Struct, frozen=True):
    queries: list[Ticket]


class NoRows(Exception):
    """The question has not been answered, or will not be."""


def routes(app: App) -> list[Route]:
    desk = TicketRoutes(app)
    one = f"{PATH}/{{ticket}}"
    return [
        Route(PATH, desk.submit, methods=["POST"]),
        *(Route(at(PATH), _answering(desk.list)) for at in (str, at_page)),
        *(Route(at(one), _answering(desk.show)) for at in (str, at_page)),
        *(Route(at(one), _answering(desk.cancel), methods=["DELETE"]) for at in (str, at_page)),
        *(Route(at(f"{one}/rows"), _answering(desk.rows)) for at in (str, at_page)),
    ]


def at_page(path: str) -> str:
    """Where the page finds a ticket."""
    return path.replace("/v1/", "/v1/page/", 1)


class TicketRoutes:
    def __init__(self, app: App) -> None:
        self._app = app

    async def submit(self, request: Request) -> Response:
        asked = _submission(await _body(request))
        try:
            ticket = await run_in_threadpool(self._app.tickets.submit, asked)
        except TooManyTickets as error:
            return _json({"error": str(error)}, 429, {"Retry-After": str(BUSY_SECONDS)})
        return _json(ticket, 202, {"Location": f"{PATH}/{ticket.ticket}"})

    def list(self, request: Request) -> Queries:
        return Queries(self._app.tickets.all())

    def show(self, request: Request) -> Ticket:
        return self._app.tickets.get(_id(request))

    def cancel(self, request: Request) -> Ticket:
        return self._app.tickets.cancel(_id(request))

    def rows(self, request: Request) -> Page:
        ticket = self._app.tickets.get(_id(request))
        asked = request.query_params
        limit = _number("limit", asked.get("limit", str(PAGE_ROWS)))
        return self._app.artifacts.page(_answered(ticket), asked.get("cursor"), limit)


def of_ticket(app: App, path: str) -> Ticket:
    """What `GET` of one ticket answers; for who asks within the service."""
    return app.tickets.get(unquote(path.removeprefix(f"{PATH}/")))


def _answered(ticket: Ticket) -> str:
    """The artifact that holds its answer. Raises NoRows."""
    if ticket.artifact_id is not None:
        return ticket.artifact_id
    if ticket.state in WAITING:
        raise NoRows(f"{ticket.ticket} is {ticket.state}. Ask again when it is done.")
    raise NoRows(f"{ticket.ticket} is {ticket.state} and has no rows.{f' {ticket.error}' if ticket.error else ''}")


# -- requests and answers ------------------------------------------------------------------------------------------


def _answering(ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        try:
            return _json(await run_in_threadpool(ask, request))
        except (UnknownTicket, UnknownArtifact) as error:
            return _json({"error": str(error)}, 404)
        except NoRows as error:
            return _json({"error": str(error)}, 409)
        except ContentMissing as error:
            return _json({"error": str(error)}, 410)

    return answer


def _id(request: Request) -> str:
    return str(request.path_params["ticket"])


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"{name} is a whole number, not {text[:40]!r}.")
    return int(text)


def _submission(body: bytes) -> Submission:
    try:
        return msgspec.json.decode(body, type=Submission)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Say it shorter.")
    return body


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
