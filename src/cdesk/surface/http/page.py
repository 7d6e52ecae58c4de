"""The page in the browser: its files, the way in, the questions behind it, and the stream of what happens now.

    cdesk up / cdesk open ──▶ /login?key=…  once, within ten minutes ──▶ cookie ──▶ GET /v1/page/…

The files of the page hold no data and need no token. Data is given to who sends the local token, or the cookie that a
login link sets. The cookie opens what lies under /v1/page: these reading routes, questions, artifacts (questions.py,
artifacts.py), and the acts of the health page (health.py) and of the context page (told.py); nothing else. It is kept
from scripts (HttpOnly) and from requests that other pages start (SameSite=Strict, and Sec-Fetch-Site is looked at,
because another port of this machine is the same site); an act needs this page's Origin and a JSON body besides, which a
browser lets no other page send without asking first, and nobody answers that. It is made from the token: a new token
ends every visit. The answers leave the machine nowhere: the content security policy allows this origin only, no script
but the page's own files, and no text to become HTML (trusted types).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import mimetypes
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.errors import CdeskError, UsageError
from cdesk.query.page import DAYS, GRAINS, SERIES, Overview, Pages, Session
from cdesk.surface.http import artifacts, health, questions, tickets, told
from cdesk.surface.http.health import HealthDesk, Need
from cdesk.surface.http.told import ToldDesk
from cdesk.surface.status import Status, of_app
from cdesk.surface.web import DIST

KEY_SECONDS_MAX = 600
KEYS_MAX = 16
VISIT_SECONDS_MAX = 30 * 86_400
LOOK_SECONDS = 1.0
"""How often the stream looks whether the warehouse took something; one comparison of two numbers."""
STATUS_SECONDS = 5.0
QUIET_SECONDS_MAX = 15.0
LISTENERS_MAX = 32
REMEMBERED_MAX = 64
REMEMBERED_SECONDS_MAX = 30.0
BUSY_SECONDS = 2.0

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types default"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_DATA = {**HEADERS, "Cache-Control": "no-store", "Vary": "Cookie, Authorization"}
_SHELL = (
    "/", "/sessions", "/sessions/{id:path}", "/projects", "/questions", "/questions/{name:path}", "/artifacts",
    "/artifacts/{id:path}", "/tickets", "/tickets/{id:path}", "/explain", "/context", "/cost", "/health",
)  # fmt: skip
_WITH_MORE = ("/sessions/", "/questions/", "/artifacts/", "/tickets/")
_ACTING = (
    f"{health.PATH}/", f"{told.PATH}/", f"{questions.AT_PAGE}/", f"{artifacts.at_page(artifacts.PATH)}/",
    f"{tickets.at_page(tickets.PATH)}/",
)  # fmt: skip

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cdesk</title>
<h1>The page is not built</h1>
<p>This is a source checkout without the built page. With Node 20 or later on the machine, run</p>
<pre>make web</pre>
<p>and start the service again. Everything else works without it: <code>cdesk usage daily</code>, <code>cdesk status</code>.</p>
</html>
"""


class Flow(msgspec.Struct, frozen=True):
    """What the stream tells: is it flowing, who did something last, and what needs a person."""

    status: Status
    sessions: list[Session]
    needs: list[Need]


class Whole(msgspec.Struct, frozen=True):
    """The first page in one answer."""

    overview: Overview
    flow: Flow


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    type: str
    tag: str
    is_hashed: bool


class PageRoutes:
    """Everything under `/` and `/v1/page`."""

    def __init__(
        self, app: App, token: str, port: int, backfill: Progress, is_stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._app = app
        self._port = port
        self._backfill = backfill
        self._is_stopping = is_stopping
        self._visits = Visits(token, port)
        self._pages = Pages(app.warehouse, clock=app.clock, completeness=app.completeness.rows)
        self._memory = Memory(lambda: (app.uploader.merged, backfill.is_done))
        self._health = HealthDesk(app, self._pages, self._status)
        self._told_desk = ToldDesk(app)
        self._files = _files(DIST)
        self._listeners = 0

    @property
    def routes(self) -> list[Route]:
        return [
            *(Route(path, self._shell) for path in _SHELL),
            Route("/login", self._login),
            Route("/v1/page/key", self._key, methods=["POST"]),
            Route("/v1/page/overview", self._overview),
            Route("/v1/page/sessions", self._sessions),
            Route("/v1/page/sessions/{id:path}", self._session),
            Route("/v1/page/projects", self._projects),
            Route("/v1/page/events", self._events),
            Route(health.PATH, self._feels),
            *self._health.acts,
            Route(told.PATH, self._what_is_told),
            Route(f"{told.PATH}/source", self._source),
            *self._told_desk.acts,
            Route("/{name:path}", self._file),
        ]

    def is_open(self, request: Request) -> bool:
        """Whether a request needs no token: the page's own files, the way in, and who came in by it."""
        path = request.url.path
        if path.startswith("/v1/page/"):
            if request.method in ("POST", "DELETE"):
                return path.startswith(_ACTING) and self._visits.may_act(request)
            return request.method == "GET" and self._visits.is_known(request)
        if request.method not in ("GET", "HEAD"):
            return False
        return path == "/login" or path.lstrip("/") in self._files or _is_shell(path)

    # -- the way in ------------------------------------------------------------------------------------------------

    async def _key(self, request: Request) -> Response:
        """Somebody is about to look: the files of the warehouse are read into memory meanwhile."""
        answer = _json({"path": f"/login?key={self._visits.new_key()}", "seconds": KEY_SECONDS_MAX})
        answer.background = BackgroundTask(self._warm)
        return answer

    def _warm(self) -> None:
        self._memory.recall(
            ("overview", DAYS[1], SERIES[0], "UTC", None), lambda: self._pages.overview(DAYS[1], SERIES[0], "UTC")
        )

    async def _login(self, request: Request) -> Response:
        answer = RedirectResponse("/", 303, {**HEADERS, "Cache-Control": "no-store"})
        if self._visits.is_known(request):
            return answer
        if not self._visits.take_key(request.query_params.get("key", "")):
            return RedirectResponse("/?login=failed", 303, {**HEADERS, "Cache-Control": "no-store"})
        self._visits.welcome(answer)
        return answer

    # -- the page's files ------------------------------------------------------------------------------------------

    async def _shell(self, request: Request) -> Response:
        page = self._files.get("index.html")
        if page is None:
            return Response(_NOT_BUILT, 503, {**HEADERS, "Cache-Control": "no-store"}, "text/html; charset=utf-8")
        return _sent(request, page)

    async def _file(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        return _json({"error": "there is nothing here."}, 404) if file is None else _sent(request, file)

    # -- the questions ---------------------------------------------------------------------------------------------

    async def _overview(self, request: Request) -> Response:
        days, timezone = _days(request), _timezone(request)
        by = _one_of(request, "by", SERIES) or SERIES[0]
        grain = _one_of(request, "grain", GRAINS)

        def read() -> Whole:
            ask = lambda: self._pages.overview(days, by, timezone, grain)  # noqa: E731
            return Whole(self._memory.recall(("overview", days, by, timezone, grain), ask), self._flow())

        return _json(await run_in_threadpool(read))

    async def _sessions(self, request: Request) -> Response:
        rows = _number(request, "limit", 50)
        project, after = request.query_params.get("project"), request.query_params.get("after")
        return _json(await run_in_threadpool(
            self._memory.recall, ("sessions", rows, project, after),
            lambda: self._pages.sessions(rows, project=project, after=after),
        ))  # fmt: skip

    async def _session(self, request: Request) -> Response:
        session, offset = request.path_params["id"], _number(request, "offset", 0)
        found = await run_in_threadpool(self._pages.timeline, session, offset)
        return _json({"error": "no session has this id."}, 404) if found is None else _json(found)

    async def _projects(self, request: Request) -> Response:
        days, timezone = _days(request), _timezone(request)
        return _json(await run_in_threadpool(
            self._memory.recall, ("projects", days, timezone), lambda: self._pages.projects(days, timezone)
        ))  # fmt: skip

    async def _feels(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._health.read))

    async def _what_is_told(self, request: Request) -> Response:
        asked = request.query_params.get
        return _json(await run_in_threadpool(self._told_desk.read, asked("project"), asked("kind")))

    async def _source(self, request: Request) -> Response:
        asked = request.query_params
        row = _number(request, "row", 1) if "row" in asked else None
        return _json(await run_in_threadpool(
            self._told_desk.source, asked.get("citation", ""), row, asked.get("column")
        ))  # fmt: skip

    def _flow(self) -> Flow:
        status = self._status()
        recent = self._memory.recall(("recent",), self._pages.recent, busy_seconds=0)
        return Flow(status, recent, self._health.needs(status))

    def _status(self) -> Status:
        """Without what looking itself moves: the stream tells news."""
        return msgspec.structs.replace(of_app(self._app, self._port, self._backfill), cost=None)

    # -- what happens now ------------------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        if self._listeners >= LISTENERS_MAX:
            return _json({"error": f"{LISTENERS_MAX} pages are listening already."}, 503)
        return StreamingResponse(self._told(), 200, _DATA, "text/event-stream")

    async def _told(self) -> AsyncIterator[bytes]:
        """`flow` whenever the warehouse took something, or the queue moved; a comment when nothing did, so that a dead line is noticed."""
        self._listeners += 1
        try:
            yield b"retry: 2000\n\n"
            seen: object = None
            told, told_at, looked_at = b"", 0.0, 0.0
            while not self._is_stopping():
                now, version = time.monotonic(), self._app.uploader.merged
                if version != seen or now - looked_at > STATUS_SECONDS:
                    seen, looked_at = version, now
                    news = msgspec.json.encode(await run_in_threadpool(self._flow))
                    if news != told:
                        told, told_at = news, now
                        yield b"event: flow\ndata: " + news + b"\n\n"
                if now - told_at > QUIET_SECONDS_MAX:
                    told_at = now
                    yield b": still here\n\n"
                await asyncio.sleep(LOOK_SECONDS)
        except CdeskError as error:
            yield b"event: failed\ndata: " + msgspec.json.encode(str(error)) + b"\n\n"
        finally:
            self._listeners -= 1


class Visits:
    """Login keys, good once and for ten minutes; and the cookie they are changed for."""

    def __init__(self, token: str, port: int, now: Callable[[], float] = time.time) -> None:
        self._token = token
        self._port = port
        self._now = now
        self._keys: dict[str, float] = {}

    @property
    def cookie(self) -> str:
        """Named by the port: cookies do not know ports, and two services may run on one machine."""
        return f"cdesk_{self._port}"

    def new_key(self) -> str:
        self._keys = {key: until for key, until in self._keys.items() if until > self._now()}
        while len(self._keys) >= KEYS_MAX:
            del self._keys[next(iter(self._keys))]
        key = secrets.token_urlsafe(24)
        self._keys[key] = self._now() + KEY_SECONDS_MAX
        return key

    def take_key(self, given: str) -> bool:
        found = next((key for key in self._keys if hmac.compare_digest(key.encode(), given.encode())), None)
        return found is not None and self._keys.pop(found) > self._now()

    def welcome(self, answer: Response) -> None:
        until = int(self._now()) + VISIT_SECONDS_MAX
        answer.set_cookie(
            self.cookie,
            f"{until}.{self._sign(until)}",
            max_age=VISIT_SECONDS_MAX,
            path="/",
            httponly=True,
            samesite="strict",
        )

    def is_known(self, request: Request) -> bool:
        """Whether the request carries a cookie of ours and was started by our own page or by the person."""
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return False
        until, _, signature = request.cookies.get(self.cookie, "").partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return False
        return hmac.compare_digest(signature.encode(), self._sign(int(until)).encode()) and int(until) > self._now()

    def may_act(self, request: Request) -> bool:
        """Whether a request that changes something comes from our own page: it says so, and no form can send it."""
        is_ours = request.headers.get("origin") == f"http://{request.headers.get('host')}"
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        return is_ours and kind == "application/json" and self.is_known(request)

    def _sign(self, until: int) -> str:
        return hmac.new(self._token.encode(), f"page {self._port} {until}".encode(), hashlib.sha256).hexdigest()


_T = TypeVar("_T")


class Memory:
    """The last answers. One is good while the warehouse took nothing since, or is very young; each is asked for once."""

    def __init__(self, version: Callable[[], object], now: Callable[[], float] = time.monotonic) -> None:
        self._version = version
        self._now = now
        self._known: dict[tuple[Any, ...], tuple[object, float, Any]] = {}
        self._asking: dict[tuple[Any, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def recall(self, key: tuple[Any, ...], ask: Callable[[], _T], *, busy_seconds: float = BUSY_SECONDS) -> _T:
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            version, now = self._version(), self._now()
            known = self._known.get(key)
            if known is not None and now - known[1] < (REMEMBERED_SECONDS_MAX if known[0] == version else busy_seconds):
                answer: _T = known[2]
                return answer
            answer = ask()
            self._keep(key, (version, self._now(), answer))
        return answer

    def _keep(self, key: tuple[Any, ...], known: tuple[object, float, Any]) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = known
            while len(self._known) > REMEMBERED_MAX:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._asking.pop(oldest, None)


# -- files ---------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> dict[str, _File]:
    """The built page, read once: it is small, and nothing outside the folder can be asked for."""
    if not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            content = path.read_bytes()
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            charset = "; charset=utf-8" if kind.startswith("text/") else ""
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[name] = _File(content, kind + charset, tag, name.startswith("assets/"))
    return found


def _sent(request: Request, file: _File) -> Response:
    keep = "public, max-age=31536000, immutable" if file.is_hashed else "no-cache"
    headers = {**HEADERS, "Cache-Control": keep, "ETag": file.tag, "Content-Type": file.type}
    if request.headers.get("if-none-match") == file.tag:
        return Response(None, 304, headers)
    return Response(file.content, 200, headers)


def _is_shell(path: str) -> bool:
    return path in _SHELL or path.startswith(_WITH_MORE)


# -- what was asked ------------------------------------------------------------------------------------------------


def _days(request: Request) -> int:
    return _number(request, "days", DAYS[1])


def _timezone(request: Request) -> str:
    return request.query_params.get("tz", "UTC")


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise UsageError(f"{name} is a number, not {given!r}.")
    return int(given)


def _one_of(request: Request, name: str, choices: tuple[_T, ...]) -> _T | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if given not in choices:
        raise UsageError(f"{name} is one of {', '.join(map(str, choices))}, not {given!r}.")
    return choices[choices.index(given)]


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, _DATA, "application/json")
