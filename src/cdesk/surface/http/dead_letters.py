"""`/v1/dead-letters`: the lines set aside, for who may not touch their file while the service may put new ones."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.errors import UsageError
from cdesk.queue import Kept

PATH = "/v1/dead-letters"
LETTERS_MAX = 10_000
BODY_BYTES_MAX = 1024 * 1024

_Asked = TypeVar("_Asked")


class Letter(msgspec.Struct, frozen=True):
    """size: bytes of the whole line · at: when it came · count: how often it was seen"""

    id: str
    reason: str
    source: str
    offset: int
    size: int
    at: str
    count: int


class Letters(msgspec.Struct, frozen=True):
    """The oldest first, LETTERS_MAX at most; total: how many there are."""

    total: int
    letters: list[Letter]


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ids: whole ones; null for all"""

    ids: list[str] | None = None


class DropRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ids: whole ones; or all of them"""

    ids: list[str] = []
    all: bool = False


class Dropped(msgspec.Struct, frozen=True):
    dropped: int


def routes(app: App) -> list[Route]:
    async def listed(request: Request) -> Response:
        return _json(await run_in_threadpool(_listed, app))

    async def replay(request: Request) -> Response:
        asked = await _read(request, ReplayRequest)
        return _json(await run_in_threadpool(app.replay_letters, asked.ids))

    async def drop(request: Request) -> Response:
        asked = await _read(request, DropRequest)
        return _json(await run_in_threadpool(_drop, app, asked))

    return [
        Route(PATH, listed),
        Route(f"{PATH}/replay", replay, methods=["POST"]),
        Route(f"{PATH}/drop", drop, methods=["POST"]),
    ]


def letter(kept: Kept) -> Letter:
    return Letter(kept.digest, kept.reason, kept.source, kept.offset, kept.size, kept.at, kept.count)


def _listed(app: App) -> Letters:
    letters = [letter(kept) for kept in app.dead]
    return Letters(len(letters), letters[:LETTERS_MAX])


def _drop(app: App, asked: DropRequest) -> Dropped:
    if asked.all == bool(asked.ids):
        raise UsageError("say which letters to drop.", "Name their ids, or all.")
    return Dropped(app.dead.drop({kept.digest for kept in app.dead} if asked.all else set(asked.ids)))


async def _read(request: Request, kind: type[_Asked]) -> _Asked:
    """The body as a record; nothing stands for an empty object."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(
                f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Name fewer letters at a time."
            )
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


def _json(value: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
