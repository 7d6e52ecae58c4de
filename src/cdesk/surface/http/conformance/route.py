"""cdesk's own `/mcp` with what the conformance suite asks for beside our tools: fixtures (`cdesk up --conformance-fixtures`).

Everything about a message that is not a fixture's content is the product's code: reading, revisions, headers, statuses,
envelopes, errors, Host and Origin. What cdesk itself does not offer is here: resources, prompts, completion, progress, logs,
questions to the client, tasks, headers for arguments, news of changed lists, sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from cdesk.app import App
from cdesk.surface.http.answers import Answers
from cdesk.surface.http.conformance import contents, questions
from cdesk.surface.http.conformance.asked import Asked, Result, Tool
from cdesk.surface.http.conformance.jobs import EXTENSION, Jobs
from cdesk.surface.http.conformance.sessions import Sessions
from cdesk.surface.http.mcp import PATH, McpRoute, decoded, event, header, mismatch, streamed
from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import LISTEN, SUBSCRIPTION_KEY, Refused, Request

CACHED: Result = {"ttlMs": 60_000, "cacheScope": "public"}
LEGACY_CAPABILITIES: Result = {
    "completions": {}, "logging": {}, "prompts": {}, "resources": {"subscribe": True}, "tools": {},
}  # fmt: skip
MODERN_CAPABILITIES: Result = {
    "completions": {}, "extensions": {EXTENSION: {}}, "logging": {}, "prompts": {"listChanged": True}, "resources": {},
    "tools": {"listChanged": True},
}  # fmt: skip
NEWS = {
    "test_trigger_tool_change": ("toolsListChanged", "notifications/tools/list_changed"),
    "test_trigger_prompt_change": ("promptsListChanged", "notifications/prompts/list_changed"),
}
"""By the tool that makes it: what a listener asks for, and is told."""
Method = Callable[[Asked], Awaitable[Result]]


class ConformanceRoute(McpRoute):
    def __init__(self, app: App, answers: Answers, is_stopping: Callable[[], bool] = lambda: False) -> None:
        super().__init__(app, answers, is_stopping)
        jobs = Jobs()
        changing = (Tool(name, "Makes news.", self._changed) for name in NEWS)
        self._tools = {tool.name: tool for tool in (*contents.TOOLS, *questions.TOOLS, *jobs.tools, *changing)}
        self._sessions = Sessions()
        self._awaited: dict[str, asyncio.Future[Result]] = {}
        self._hearing: dict[asyncio.Queue[bytes], Request] = {}
        both: dict[str, Method] = {
            "completion/complete": _completed, "prompts/list": _prompts, "prompts/get": _prompt,
            "resources/list": _resources, "resources/read": _resource, "resources/templates/list": _templates,
        }  # fmt: skip
        self._legacy = {
            **both, "logging/setLevel": _nothing, "resources/subscribe": _nothing, "resources/unsubscribe": _nothing,
        }  # fmt: skip
        self._modern = {**both, "tasks/get": jobs.get, "tasks/update": jobs.update, "tasks/cancel": jobs.cancel}

    @property
    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._in_session, methods=["POST"]),
            Route(PATH, self._resumed, methods=["GET"]),
            Route(PATH, self._ended, methods=["DELETE"]),
        ]

    async def _in_session(self, http: HttpRequest) -> Response:
        """An answer is a stream for whom names streams first."""
        answer = self._sessions.refusal(http) or await self.post(http)
        if answer.status_code == 200 and answer.media_type == "application/json" and _likes_streams(http):
            return streamed(_events(bytes(answer.body)))
        return answer

    async def _resumed(self, http: HttpRequest) -> Response:
        return self._sessions.resumed(http)

    async def _ended(self, http: HttpRequest) -> Response:
        return self._sessions.ended(http)

    # -- what the product's route asks ---------------------------------------------------------------------------

    def hear(self, body: bytes) -> None:
        """The client's answer to what we asked it."""
        given = msgspec.json.decode(body)
        awaited = self._awaited.pop(str(given["id"]), None)
        if awaited is None:
            raise Refused(protocol.INVALID_REQUEST, "nobody asked for this")
        awaited.set_result(given.get("result", {}))

    def check(self, request: Request, headers: Mapping[str, str]) -> None:
        """Also the headers for tasks, and for arguments that a header repeats."""
        super().check(request, headers)
        if request.version is None:
            return
        if request.method in ("tasks/get", "tasks/update", "tasks/cancel"):
            _check_named("Mcp-Name", headers, request.params.get("taskId"))
        tool = self._tools.get(request.tool or "")
        for name, described in (tool.takes if tool else {}).items():
            if repeated := described.get("x-mcp-header"):
                _check_named(f"Mcp-Param-{repeated}", headers, request.params.get("arguments", {}).get(name))

    async def serve(self, request: Request) -> Response:
        tool = self._tools.get(request.tool or "")
        methods = self._legacy if request.version is None else self._modern
        method = tool.run if tool else methods.get(request.method)
        if request.method in ("initialize", "server/discover", "tools/list"):
            more = self._more(request)
            return self._sessions.opened(more) if request.method == "initialize" and request.version is None else more
        if method is None and request.method != LISTEN:
            return await super().serve(request)
        try:
            protocol.check_version(request)
        except Refused as refusal:
            return self.answered(request, protocol.refused(refusal, request.id))
        if method is None:
            return streamed(self._news(request))
        if request.tool == "test_reconnection":
            return self._sessions.cut(asyncio.create_task(self._later(request, method)))
        if tool is not None and tool.is_streamed:
            return streamed(self._streamed(request, method))
        return self.answered(request, await self._reply(Asked(request, _silent, _silent), method))

    # -- answers -------------------------------------------------------------------------------------------------

    def _more(self, request: Request) -> Response:
        """The product's answer, with the fixtures in it."""
        reply = protocol.answer(request, lambda: self._desk)
        if reply.code is None:
            result = msgspec.json.decode(reply.body)["result"]
            if request.method == "tools/list":
                result["tools"] += [tool.listed() for tool in self._tools.values()]
            else:
                result["capabilities"] = LEGACY_CAPABILITIES if request.version is None else MODERN_CAPABILITIES
            reply = protocol.said(request, result)
        return self.answered(request, reply)

    async def _reply(self, asked: Asked, method: Method) -> protocol.Reply:
        try:
            return protocol.said(asked.request, await method(asked))
        except Refused as refusal:
            return protocol.refused(refusal, asked.request.id)

    async def _later(self, request: Request, method: Method) -> bytes:
        await asyncio.sleep(contents.WAIT_S)
        return (await self._reply(Asked(request, _silent, _silent), method)).body

    async def _streamed(self, request: Request, method: Method) -> AsyncIterator[bytes]:
        """What is said under way, then the answer."""
        said: asyncio.Queue[bytes] = asyncio.Queue()

        async def notify(name: str, params: Result) -> None:
            said.put_nowait(_message(method=name, params=params))

        async def ask(name: str, params: Result) -> Result:
            id_ = f"{request.id}-{len(self._awaited)}"
            self._awaited[id_] = asyncio.get_running_loop().create_future()
            said.put_nowait(_message(id=id_, method=name, params=params))
            return await self._awaited[id_]

        async def run() -> None:
            said.put_nowait((await self._reply(Asked(request, notify, ask), method)).body)
            said.put_nowait(b"")

        work = asyncio.create_task(run())
        try:
            while message := await said.get():
                yield event(message)
        finally:
            work.cancel()

    async def _news(self, request: Request) -> AsyncIterator[bytes]:
        """Only of what was asked for."""
        said: asyncio.Queue[bytes] = asyncio.Queue()
        wanted = request.params.get("notifications", {})
        agreed = {kind: True for kind, _ in NEWS.values() if wanted.get(kind) is True}
        meta = {SUBSCRIPTION_KEY: request.id}
        self._hearing[said] = request
        try:
            yield event(_message(method="notifications/subscriptions/acknowledged",
                                 params={"_meta": meta, "notifications": agreed}))  # fmt: skip
            while True:
                yield event(await said.get())
        finally:
            del self._hearing[said]

    async def _changed(self, asked: Asked) -> Result:
        kind, told = NEWS[str(asked.request.tool)]
        for said, request in self._hearing.items():
            if request.params.get("notifications", {}).get(kind) is True:
                said.put_nowait(_message(method=told, params={"_meta": {SUBSCRIPTION_KEY: request.id}}))
        return {"content": []}


# -- methods -------------------------------------------------------------------------------------------------------


async def _completed(asked: Asked) -> Result:
    values = [one for one in ("test", "testing", "party") if one.startswith(asked.request.params["argument"]["value"])]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


async def _prompts(asked: Asked) -> Result:
    return {"prompts": contents.PROMPTS, **_cached(asked)}


async def _prompt(asked: Asked) -> Result:
    name = asked.request.params.get("name")
    return (
        questions.prompted(asked)
        if name == "test_input_required_result_prompt"
        else contents.prompt(name, asked.arguments)
    )


async def _resources(asked: Asked) -> Result:
    return {"resources": contents.RESOURCES, **_cached(asked)}


async def _templates(asked: Asked) -> Result:
    return {"resourceTemplates": contents.TEMPLATES, **_cached(asked)}


async def _resource(asked: Asked) -> Result:
    return {"contents": [contents.resource(asked.request.params.get("uri"))], **_cached(asked)}


async def _nothing(asked: Asked) -> Result:
    return {}


def _cached(asked: Asked) -> Result:
    return CACHED if asked.is_modern else {}


# -- pieces --------------------------------------------------------------------------------------------------------


def _likes_streams(http: HttpRequest) -> bool:
    return http.headers.get("accept", "").startswith("text/event-stream")


async def _events(message: bytes) -> AsyncIterator[bytes]:
    yield event(message)


async def _silent(name: str, params: Result) -> Any:
    raise Refused(protocol.INTERNAL_ERROR, "nothing can be said before this answer")


def _check_named(name: str, headers: Mapping[str, str], value: Any) -> None:
    given = header(headers, name.lower())
    if decoded(given) != value:
        raise mismatch(name, given, value)


def _message(**parts: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", **parts})
