"""The short way in for small facts: `POST /v1/activities` and `POST /v1/hooks/claude-code` without ASGI and threads.

    bytes ─▶ is the head known? ─▶ is the body whole? ─▶ all of this turn of the loop together:
             (checked once by Guarded)                   read ─ consent ─ pack ─ redact ─ seal ─▶ one append ─▶ answers

It takes only what is plain: one valid activity or payload in a small body with a Content-Length, let in by the very check
that guards every route. Whatever else comes goes to the application as if the lane were not there: other routes and
methods, a wrong token, chunks, pipelines, large bodies, wrong activities, secrets by the heap, payloads that Claude may
be told something back for, a queue that fails. So the lane has one answer to each route, the good one, and all others are said in one place. Both ways answer byte for byte
the same; tests hold them to it.

A head is looked at once: clients send the same one again and again, and a head equal to one that was let in is let in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import time_ns
from typing import ClassVar, NamedTuple

import httptools
import msgspec
from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from cdesk.activity.codec import seal
from cdesk.activity.model import Activity
from cdesk.app import App
from cdesk.capture.install import ROUTE as HOOK
from cdesk.capture.intake import Receipt, plain_activity
from cdesk.queue.async_writer import AsyncWriter
from cdesk.surface.http.hooks import received_ns
from cdesk.surface.http.service import Guarded

ACTIVITIES = "/v1/activities"
BODY_BYTES_MAX = 64 * 1024
"""A larger body would hold up the loop for milliseconds."""
TURN_BYTES_MAX = 256 * 1024
LOOKED_AT_BYTES_MAX = 16 * 1024
"""How much one turn of the loop may take, and search closely for secrets: some milliseconds. What is to be searched
beyond that goes to the threads."""
HEADS_MAX = 1_024
BACKLOG_BYTES_MAX = 64 * 1024

_STAMP = b"x-cdesk-received-ns"
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})
_ACCEPTED = msgspec.json.encode(Receipt(1, []))

Read = Callable[[bytes, "Head"], Sequence[Activity] | None]
"""The facts a body states; None when it is not plain."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head that was let in: how to read its body of so many bytes, and the good answer without its common headers."""

    size: int
    read: Read
    answer: bytes
    stamp: str | None


class _Asked(NamedTuple):
    """One whole request, and who waits for its answer."""

    connection: LaneProtocol
    head: Head
    raw: bytes
    body: bytes


class Lane:
    """What all connections of the service share. It takes nothing before `open` has returned."""

    def __init__(self, app: App, guard: Guarded) -> None:
        self._app = app
        self._guard = guard
        self._heads: dict[bytes, Head] = {}
        self._asked: list[_Asked] = []
        self._routes: dict[bytes, tuple[Read, bytes]] = {
            ACTIVITIES.encode(): (self._activity, _answer(_ACCEPTED, b"content-type: application/json\r\n")),
            HOOK.encode(): (self._payload, _answer(b"")),
        }
        self.writer = AsyncWriter(app.writer)
        self.is_open = False

    def open(self) -> None:
        """Makes ready what takes its time, so that the loop need not wait for it."""
        self._app.gate.suspects([b"{}", b"{}"])
        _ = self._app.hooks, self._app.answers
        self.is_open = True

    def close(self) -> None:
        self.is_open = False
        self.writer.close()

    def protocol(self) -> type[LaneProtocol]:
        """The protocol of this lane's connections, for `uvicorn.Config(http=...)`."""
        return type("LaneProtocol", (LaneProtocol,), {"lane": self})

    # -- who is let in ---------------------------------------------------------------------------------------------

    def head(self, raw: bytes) -> Head | None:
        """None for every head that is not plain, or not let in."""
        known = self._heads.get(raw)
        if known is None and raw.startswith(b"POST "):
            known = self._looked_at(raw)
            if known is not None and known.stamp is None:
                if len(self._heads) >= HEADS_MAX:
                    self._heads.clear()
                self._heads[raw] = known
        return known

    def _looked_at(self, raw: bytes) -> Head | None:
        parsed = _parsed(raw)
        if parsed is None or parsed.url not in self._routes:
            return None
        sizes = [value for name, value in parsed.headers if name == b"content-length"]
        if len(sizes) != 1 or not sizes[0].isdigit() or not 0 < int(sizes[0]) <= BODY_BYTES_MAX:
            return None
        request = Request(_scope(parsed))
        if self._guard.refusal(request) is not None:
            return None
        return Head(int(sizes[0]), *self._routes[parsed.url], request.headers.get(_STAMP.decode()))

    # -- what is taken ---------------------------------------------------------------------------------------------

    def take(self, asked: _Asked) -> None:
        """Answers with the others of this turn of the loop."""
        self._asked.append(asked)
        if len(self._asked) == 1:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        asked = self._next()
        taken: list[_Asked] = []
        packed: list[list[bytes]] = []
        for one in asked:
            objects = self._packed(one)
            if objects is None:
                one.connection.hand_over(one.raw)
            else:
                taken.append(one)
                packed.append(objects)
        self._append(*self._without_secrets(taken, packed))

    def _next(self) -> list[_Asked]:
        """As many as one turn may take; the others have the next one."""
        size = count = 0
        while count < len(self._asked) and (not count or size + len(self._asked[count].body) <= TURN_BYTES_MAX):
            size += len(self._asked[count].body)
            count += 1
        asked, self._asked = self._asked[:count], self._asked[count:]
        if self._asked:
            asyncio.get_running_loop().call_soon(self._turn)
        return asked

    def _packed(self, asked: _Asked) -> list[bytes] | None:
        try:
            facts = asked.head.read(asked.body, asked.head)
            if facts is None or self._app.gate.is_sampling:
                return None
            return self._app.gate.packed(facts)
        except Exception:  # whatever it is, the application says it, to this one client
            return None

    def _without_secrets(self, asked: list[_Asked], packed: list[list[bytes]]) -> tuple[list[_Asked], list[bytes]]:
        """Who can be answered by this turn, and the lines to append for them."""
        flat = [one for objects in packed for one in objects]
        if not self._app.gate.suspects(flat):
            return asked, [seal(one) for one in flat]
        kept: list[_Asked] = []
        lines: list[bytes] = []
        room = LOOKED_AT_BYTES_MAX
        for one, objects in zip(asked, packed, strict=True):
            suspects = self._app.gate.suspects(objects)
            room -= sum(len(objects[index]) for index in suspects)
            if suspects and room < 0:
                one.connection.hand_over(one.raw)
                continue
            kept.append(one)
            lines += [seal(self._app.gate.redact(thing) if suspects else thing) for thing in objects]
        return kept, lines

    def _append(self, asked: list[_Asked], lines: list[bytes]) -> None:
        if not lines:
            self._answer(asked)
            return
        self.writer.append(lines).add_done_callback(partial(self._appended, asked))

    def _appended(self, asked: list[_Asked], durable: asyncio.Future[None]) -> None:
        if durable.cancelled() or durable.exception() is not None:
            for one in asked:
                one.connection.hand_over(one.raw)
            return
        self._answer(asked)
        self._app.uploader.wake()

    def _answer(self, asked: list[_Asked]) -> None:
        """The head of all answers of a turn is the same."""
        if not asked:
            return
        common = asked[0].connection.server_state.default_headers
        begin = STATUS_LINE[200] + b"".join([b"%b: %b\r\n" % header for header in common])
        for one in asked:
            one.connection.answer(begin + one.head.answer)

    # -- the routes ------------------------------------------------------------------------------------------------

    def _activity(self, body: bytes, head: Head) -> Sequence[Activity] | None:
        found = plain_activity(body)
        return None if found is None else (found,)

    def _payload(self, body: bytes, head: Head) -> Sequence[Activity] | None:
        if self._app.answers.may_answer(body):
            return None
        return self._app.hooks.read(body, received_ns(head.stamp, time_ns()))


class LaneProtocol(HttpToolsProtocol):
    """uvicorn's own, which sees a request only when the lane does not take it."""

    lane: ClassVar[Lane]

    _begun = b""  # a plain head, and as much of its body as has come
    _backlog = b""  # what came while an answer was awaited
    _is_asking = False
    _is_parsing = False  # uvicorn's parser is inside a message
    _is_ending = False
    _answered_at = 0.0

    def data_received(self, data: bytes) -> None:
        if self._is_asking:
            self._keep(data)
            return
        if self._begun:
            data, self._begun = self._begun + data, b""
        elif not self.lane.is_open or self._is_at_work():
            super().data_received(data)
            return
        self._enter(data)

    def _enter(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n") + 4
        head = self.lane.head(data[:end]) if end > 4 else None
        if head is None:
            super().data_received(data)
            return
        missing = end + head.size - len(data)
        if missing > 0:
            self._begun = data
        elif missing < 0:  # a pipeline
            super().data_received(data)
        else:
            self._is_asking = True
            self.lane.take(_Asked(self, head, data, data[end:]))

    def _is_at_work(self) -> bool:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        return self._is_parsing or is_answering or self.flow.write_paused

    def _keep(self, data: bytes) -> None:
        self._backlog += data
        if len(self._backlog) > BACKLOG_BYTES_MAX:
            self.flow.pause_reading()

    def answer(self, answer: bytes) -> None:
        self._is_asking = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._is_ending:
            self.transport.write(answer.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1))
            self.transport.close()
            return
        self.transport.write(answer)
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)
        self._go_on()

    def hand_over(self, raw: bytes) -> None:
        """The application's now, with all that came behind it."""
        self._is_asking = False
        if self.transport.is_closing():
            return
        backlog, self._backlog = self._backlog, b""
        self.flow.resume_reading()
        super().data_received(raw + backlog)
        if self._is_ending:
            super().shutdown()

    def _go_on(self) -> None:
        if self._backlog:
            backlog, self._backlog = self._backlog, b""
            self.flow.resume_reading()
            self.data_received(backlog)

    # -- what uvicorn tells and asks -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_parsing = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._is_parsing = False
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """One timer a connection, which looks when it was last answered, is cheaper than one a request."""
        idle = self.loop.time() - self._answered_at
        if self._is_asking or self._begun:
            self._watch(self.timeout_keep_alive)
        elif idle < self.timeout_keep_alive:
            self._watch(self.timeout_keep_alive - idle)
        else:
            super().timeout_keep_alive_handler()

    def _watch(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def shutdown(self) -> None:
        if self._is_asking:
            self._is_ending = True
            return
        if self._begun:
            begun, self._begun = self._begun, b""
            super().data_received(begun)
        super().shutdown()


# -- heads ---------------------------------------------------------------------------------------------------------


class _Parsed:
    """Collects what the parser finds; the same parser that the server reads with."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False
        self.is_over = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_whole = True

    def on_body(self, body: bytes) -> None:
        self.is_over = True

    def on_message_complete(self) -> None:
        self.is_over = True


def _parsed(raw: bytes) -> _Parsed | None:
    """The head, when these bytes are one and nothing else, and ask for nothing but an answer on a kept connection."""
    found = _Parsed()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    is_plain = found.is_whole and not found.is_over and parser.get_method() == b"POST" and parser.should_keep_alive()
    is_usual = parser.get_http_version() == "1.1" and not any(name in _UNUSUAL for name, _ in found.headers)
    return found if is_plain and is_usual else None


def _scope(parsed: _Parsed) -> dict[str, object]:
    path = parsed.url.decode("ascii")
    return {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "server": None, "root_path": "",
        "path": path, "raw_path": parsed.url, "query_string": b"", "headers": parsed.headers,
    }  # fmt: skip


def _answer(body: bytes, content_type: bytes = b"") -> bytes:
    return b"content-length: %d\r\n%b\r\n%b" % (len(body), content_type, body)
