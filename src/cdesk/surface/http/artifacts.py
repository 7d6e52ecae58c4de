"""`/v1/artifacts`: whole results, kept: what they hold, page by page, as a file, by a link that ends.

GET    /v1/artifacts                    count, query_id: the latest first
POST   /v1/artifacts                    keeps the answer to a SELECT
GET    /v1/artifacts/{id}               what it holds, with a sample
DELETE /v1/artifacts/{id}               unless it is pinned or held
GET    /v1/artifacts/{id}/rows          cursor, limit: a page of it
GET    /v1/artifacts/{id}/content       format: all of it; ETag, Range; the token, or a link's signature
POST   /v1/artifacts/{id}/link          a link to its content, good for ten minutes, without the token
POST   /v1/artifacts/{id}/pin           DELETE: unpins it
POST   /v1/artifacts/{id}/hold          legal hold; DELETE: releases it
POST   /v1/artifacts/of/{query_id}      keeps the recorded answer to a question

The page finds what AT_PAGE names under /v1/page/artifacts: reading, links, pins and keeping answers; no SQL, no deleting.

A link is good for GET of one artifact in one format until it ends. Content in a bucket, as Parquet, is linked to where
it is, by S3's own signature; anything else to this service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from cdesk.app import App
from cdesk.artifact.artifacts import LISTED, PAGE_ROWS
from cdesk.artifact.model import Artifact, Form, Listed, Page
from cdesk.artifact.seal import LINK_SECONDS
from cdesk.errors import ContentMissing, UnknownArtifact, UsageError
from cdesk.query import render
from cdesk.query.make import MakeRequest, make
from cdesk.query.render import Rendering

PATH = "/v1/artifacts"
AT_PAGE = (
    ("GET", PATH), ("GET", f"{PATH}/{{id}}"), ("GET", f"{PATH}/{{id}}/rows"), ("GET", f"{PATH}/{{id}}/content"),
    ("POST", f"{PATH}/{{id}}/link"), ("POST", f"{PATH}/{{id}}/pin"), ("DELETE", f"{PATH}/{{id}}/pin"),
    ("POST", f"{PATH}/of/{{query_id}}"),
)  # fmt: skip
BODY_BYTES_MAX = 256 * 1024
CHUNK_BYTES = 256 * 1024
_CONTENT = re.compile(r"/v1/artifacts/([^/]+)/content$")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$", re.ASCII)
_FOREVER_HERE = {
    "Cache-Control": f"private, max-age={LINK_SECONDS}", "Vary": "Authorization, Cookie", "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip
"""Content never changes; deleted artifacts leave caches soon."""


class Artifacts(msgspec.Struct, frozen=True):
    artifacts: list[Listed]


class Shown(Artifact, frozen=True, kw_only=True):
    """has_content: its file is where its row says"""

    has_content: bool


class LinkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Form = "parquet"


class Link(msgspec.Struct, frozen=True):
    """url: opens without the token until expires_at, by this method only"""

    url: str
    method: str
    format: Form
    expires_at: datetime


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """reason: the matter it is for"""

    reason: str


def routes(app: App, port: int) -> list[Route]:
    desk = ArtifactRoutes(app, port)
    one = f"{PATH}/{{id}}"
    found = [
        Route(PATH, _answering(desk.list)),
        Route(PATH, desk.make, methods=["POST"]),
        Route(one, _answering(desk.show)),
        Route(one, _answering(desk.delete), methods=["DELETE"]),
        Route(f"{one}/rows", _answering(desk.rows)),
        Route(f"{one}/content", desk.content),
        Route(f"{one}/link", desk.link, methods=["POST"]),
        Route(f"{one}/pin", _answering(desk.pin), methods=["POST"]),
        Route(f"{one}/pin", _answering(desk.unpin), methods=["DELETE"]),
        Route(f"{one}/hold", desk.hold, methods=["POST"]),
        Route(f"{one}/hold", _answering(desk.release), methods=["DELETE"]),
        Route(f"{PATH}/of/{{query_id}}", _answering(desk.keep), methods=["POST"]),
    ]
    return [
        *found,
        *(_at_page(route) for route in found if any((each, route.path) in AT_PAGE for each in route.methods or ())),
    ]


def at_page(path: str) -> str:
    """Where the page finds an artifact."""
    return path.replace("/v1/", "/v1/page/", 1)


def _at_page(route: Route) -> Route:
    methods = sorted(each for each in route.methods or () if (each, route.path) in AT_PAGE)
    return Route(at_page(route.path), route.endpoint, methods=methods)


class ArtifactRoutes:
    def __init__(self, app: App, port: int) -> None:
        self._app = app
        self._port = port

    def list(self, request: Request) -> Artifacts:
        asked = request.query_params
        count = _number("count", asked.get("count", str(LISTED)))
        return Artifacts(self._app.artifacts.latest(count, asked.get("query_id")))

    def show(self, request: Request) -> Shown:
        return shown(self._app, self._app.artifacts.get(_id(request)))

    def rows(self, request: Request) -> Page:
        asked = request.query_params
        limit = _number("limit", asked.get("limit", str(PAGE_ROWS)))
        return self._app.artifacts.page(_id(request), asked.get("cursor"), limit)

    def delete(self, request: Request) -> Listed:
        return self._app.artifacts.delete(_id(request))

    def pin(self, request: Request) -> Listed:
        return self._app.artifacts.pin(_id(request))

    def unpin(self, request: Request) -> Listed:
        return self._app.artifacts.pin(_id(request), False)

    def keep(self, request: Request) -> Listed:
        return self._app.keep_answer(str(request.path_params["query_id"]))

    def release(self, request: Request) -> Listed:
        return self._app.artifacts.release(_id(request))

    async def make(self, request: Request) -> Response:
        asked = await _read(request, MakeRequest)
        return _json(await run_in_threadpool(made, self._app, asked))

    async def hold(self, request: Request) -> Response:
        asked = await _read(request, HoldRequest)
        who = self._app.person.customer
        return await _or_missing(self._app.artifacts.hold, _id(request), asked.reason, who)

    async def link(self, request: Request) -> Response:
        asked = await _read(request, LinkRequest, LinkRequest())
        return await _or_missing(self._link, _id(request), asked.format)

    def _link(self, artifact_id: str, form: Form) -> Link:
        artifacts = self._app.artifacts
        artifact = artifacts.get(artifact_id)
        expires = self._app.clock.now_ns() // 1_000_000_000 + LINK_SECONDS
        url = artifacts.signed_by_store(artifact, LINK_SECONDS) if form == "parquet" else None
        if url is None:
            signature = self._app.seal.signature("GET", artifact.artifact_id, form, expires)
            at = f"http://127.0.0.1:{self._port}{PATH}/{artifact.artifact_id}/content"
            url = f"{at}?format={form}&expires={expires}&signature={signature}"
        return Link(url, "GET", form, datetime.fromtimestamp(expires, UTC))

    async def content(self, request: Request) -> Response:
        """Whole or a part; 304 for who has it, 416 for a part it does not have."""
        return await _or_missing(self._content, request)

    def _content(self, request: Request) -> Response:
        artifacts = self._app.artifacts
        form = render.form(request.query_params.get("format", "json"))
        artifact = artifacts.get(_id(request))
        tag = render.tag(artifact, form)
        if _names(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers={**_FOREVER_HERE, "ETag": tag})
        found = render.rendered(artifacts, artifact, form)
        if request.method == "GET":
            artifacts.count_access(artifact.artifact_id)
        return _sent(found, _part(request, tag, found.size), request.method)


def shown(app: App, artifact: Artifact) -> Shown:
    """The artifact, and whether its content is there."""
    fields = {name: getattr(artifact, name) for name in Artifact.__struct_fields__}
    return Shown(**fields, has_content=app.artifacts.is_here(artifact))


def of_artifact(app: App, path: str) -> Shown | Page:
    """What `GET` of one artifact, or of its rows, answers; for who asks within the service."""
    at = urlsplit(path)
    artifact_id, _, what = unquote(at.path.removeprefix(f"{PATH}/")).partition("/")
    asked = dict(parse_qsl(at.query))
    if what == "rows":
        return app.artifacts.page(
            artifact_id, asked.get("cursor"), _number("limit", asked.get("limit", str(PAGE_ROWS)))
        )
    return shown(app, app.artifacts.get(artifact_id))


def made(app: App, asked: MakeRequest) -> Artifact:
    return make(app.warehouse, app.artifacts, asked, app.person, app.query_id)


# -- links ---------------------------------------------------------------------------------------------------------


def refused_link(app: App, request: Request) -> str | None:
    """Why a request that shows a signature is not let in; "" when it is, None when it shows none."""
    found = _CONTENT.match(request.url.path)
    given = request.query_params
    if found is None or "signature" not in given:
        return None
    if sorted(name for name, _ in given.multi_items()) != ["expires", "format", "signature"]:
        return "the link was changed. Ask for a new one."
    expires = given["expires"]
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        return "the link was changed. Ask for a new one."
    if not app.seal.is_signed(request.method, found[1], given["format"], int(expires), given["signature"]):
        return "the link is not for this, or was changed. Ask for a new one."
    if int(expires) <= app.clock.now_ns() // 1_000_000_000:
        return "the link has expired. Ask for a new one."
    return ""


# -- parts of content ----------------------------------------------------------------------------------------------


def _part(request: Request, tag: str, size: int) -> tuple[int, int] | None:
    """First and behind the last byte; None: all of it. Raises IndexError for a part that is not there."""
    asked = _RANGE.match(request.headers.get("range", "").replace(" ", ""))
    unless = request.headers.get("if-range")
    if request.method != "GET" or asked is None or asked[1] == asked[2] == "" or unless not in (None, tag):
        return None
    if asked[1] == "":
        start, end = max(0, size - int(asked[2])), size
    else:
        start, end = int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size
        if asked[2] and int(asked[2]) < start:
            return None
    return (start, end) if start < end else (size, size)


def _sent(found: Rendering, part: tuple[int, int] | None, method: str) -> Response:
    start, end = part or (0, found.size)
    headers = {
        **_FOREVER_HERE, "ETag": found.tag, "Content-Type": found.media_type, "Content-Length": str(end - start),
        "Content-Disposition": f'attachment; filename="{found.file_name}"',
    }  # fmt: skip
    if part == (found.size, found.size):
        found.content.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size}"})
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    if method == "HEAD":
        found.content.close()
        return Response(headers=headers)
    return StreamingResponse(_chunks(found.content, start, end), 200 if part is None else 206, headers)


def _chunks(content: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    with content:
        content.seek(start)
        while start < end and (chunk := content.read(min(CHUNK_BYTES, end - start))):
            start += len(chunk)
            yield chunk


def _names(header: str | None, tag: str) -> bool:
    return header is not None and (
        header.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in header.split(",")]
    )


# -- requests and answers ------------------------------------------------------------------------------------------


def _answering(ask: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _or_missing(ask, request)

    return answer


async def _or_missing(ask: Callable[..., Any], *given: Any) -> Response:
    """404 for what there is not, 410 for what is not there any more."""
    try:
        found = await run_in_threadpool(ask, *given)
    except UnknownArtifact as error:
        return _json({"error": str(error)}, 404)
    except ContentMissing as error:
        return _json({"error": str(error)}, 410)
    return found if isinstance(found, Response) else _json(found)


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"{name} is a whole number, not {text[:40]!r}.")
    return int(text)


async def _read(request: Request, kind: type[Any], otherwise: Any = None) -> Any:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise UsageError(f"the body is over the limit of {BODY_BYTES_MAX:,} bytes.", "Say it shorter.")
    if not body and otherwise is not None:
        return otherwise
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the request body is wrong: {error}.") from None


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
