"""MCP over standard input and output: a message a line. What waits for the disk or the service waits in a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from cdesk.surface.mcp import protocol
from cdesk.surface.mcp.protocol import LISTEN, MESSAGE_BYTES_MAX, Refused, Reply, Request

if TYPE_CHECKING:
    from cdesk.config import Home
    from cdesk.surface.mcp.called import Call
    from cdesk.surface.mcp.desk import Desk
    from cdesk.surface.mcp.local import LocalDesk, Service
    from cdesk.surface.mcp.recorder import Recorder

WORKERS_MAX = 8
UNDER_WAY_MAX = 64
"""Calls that wait for the disk or the service, or for their turn to."""
END_PATIENCE_S = 1.0
"""Answers still on their way when the client has gone are waited for so long."""


class Session:
    """The server of one client, whole: what it asks is answered from this process's own desk, and recorded."""

    def __init__(
        self,
        service: Callable[[Home], Service | None],
        environment: Mapping[str, str] = os.environ,
        *,
        into: int = 1,
    ) -> None:
        self._service, self._environment = service, environment
        self._stdio = Stdio(self._opened, self._tell, self._prepare, into=into)
        self._opening = threading.Lock()
        self._desk: LocalDesk | None = None
        self._recorder: Recorder | None = None

    def run(self, lines: Iterable[bytes | None]) -> None:
        self._stdio.run(lines)

    def close(self) -> None:
        """When it returns, every call that was answered is recorded."""
        if self._recorder is not None:
            self._recorder.close()
        if self._desk is not None:
            self._desk.close()

    def _opened(self) -> LocalDesk:
        from cdesk.surface.mcp.local import LocalDesk

        with self._opening:
            if self._desk is None:
                self._desk = LocalDesk(self._service, self._environment)
            return self._desk

    def _prepare(self) -> None:
        """While the client thinks, what the first call needs is made ready; what is wrong is told to who calls."""
        from cdesk.errors import CdeskError

        with suppress(CdeskError, OSError, ImportError):
            from cdesk.surface.mcp import tools  # noqa: F401

            self._opened().prepare()

    def _tell(self, call: Call) -> None:
        from cdesk.clock import SYSTEM_CLOCK
        from cdesk.surface.mcp.called import activity
        from cdesk.surface.mcp.recorder import Recorder

        desk = self._opened()
        with self._opening:
            if self._recorder is None:
                self._recorder = Recorder(desk.admit)
        self._recorder.tell(lambda: activity(call, desk.caller, desk.person(), SYSTEM_CLOCK))


class Stdio:
    """One client. `desk` is opened when somebody calls a tool; `tell` is given each call after its answer was written;
    `prepare` is run aside, after the first answer."""

    def __init__(
        self, desk: Callable[[], Desk], tell: Callable[[Call], None], prepare: Callable[[], None], *, into: int = 1
    ) -> None:
        self._desk = desk
        self._tell = tell
        self._prepare: Callable[[], None] | None = prepare
        self._into = into
        self._writing = threading.Lock()
        self._under_way: set[str | int] = set()
        self._workers: set[threading.Thread] = set()
        self._listening: dict[str | int, Request] = {}
        self._room = threading.BoundedSemaphore(WORKERS_MAX)

    def run(self, lines: Iterable[bytes | None]) -> None:
        """Until there are no more lines. None: one that was too long."""
        for line in lines:
            if line is None:
                self._say(protocol.refused(_TOO_LONG))
            elif line.strip():
                self._take(line)
        self._end()

    def _take(self, line: bytes) -> None:
        try:
            request = protocol.read(line)
        except Refused as refusal:
            self._say(protocol.refused(refusal))
            return
        if request is None:
            return
        if request.is_notification:
            self._noticed(request)
        elif request.method == LISTEN:
            self._listened(request)
        elif request.tool is not None and _is_slow(request.tool):
            self._begin(request)
        else:
            self._say(protocol.answer(request, self._desk))

    def _noticed(self, request: Request) -> None:
        """Who cancels a request wants no answer to it any more."""
        if request.method == "notifications/cancelled":
            named = request.params.get("requestId")
            if isinstance(named, str | int):
                self._under_way.discard(named)
                self._listening.pop(named, None)

    def _listened(self, request: Request) -> None:
        try:
            protocol.check_version(request)
        except Refused as refusal:
            self._say(protocol.refused(refusal, request.id))
            return
        assert request.id is not None
        self._listening[request.id] = request
        self._say(Reply(protocol.acknowledged(request)))

    def _begin(self, request: Request) -> None:
        assert request.id is not None
        if len(self._workers) >= UNDER_WAY_MAX:
            self._say(protocol.refused(_TOO_MANY, request.id))
            return
        self._under_way.add(request.id)
        worker = threading.Thread(target=self._work, args=(request,), daemon=True)
        self._workers.add(worker)
        worker.start()

    def _work(self, request: Request) -> None:
        try:
            with self._room:
                self._finish(request)
        finally:
            self._workers.discard(threading.current_thread())

    def _finish(self, request: Request) -> None:
        """One call; who cancelled it meanwhile hears nothing, and it is recorded all the same."""
        if request.id not in self._under_way:
            return
        reply = protocol.answer(request, self._desk)
        if request.id in self._under_way:
            self._under_way.discard(request.id)
            self._say(reply)
        elif reply.call is not None:
            self._tell(reply.call)

    def _say(self, reply: Reply) -> None:
        data = reply.body + b"\n"
        with self._writing:
            try:
                while data:
                    data = data[os.write(self._into, data) :]
            except BrokenPipeError:  # the client has gone; what was done is recorded all the same
                pass
        if reply.call is not None:
            self._tell(reply.call)
        if self._prepare is not None:
            prepare, self._prepare = self._prepare, None
            threading.Thread(target=prepare, daemon=True).start()

    def _end(self) -> None:
        until = time.monotonic() + END_PATIENCE_S
        for worker in list(self._workers):
            worker.join(max(0.0, until - time.monotonic()))
        for request in list(self._listening.values()):
            self._say(Reply(protocol.listened(request)))


_TOO_MANY = Refused(protocol.INTERNAL_ERROR, f"{UNDER_WAY_MAX} calls are under way, which is the limit")
_TOO_LONG = Refused(protocol.INVALID_REQUEST, f"a message has at most {MESSAGE_BYTES_MAX:,} bytes")


def _is_slow(tool: str) -> bool:
    from cdesk.surface.mcp.tools import TOOLS

    return tool in TOOLS and TOOLS[tool].waits_for != "nothing"
