"""The short way in and the application answer byte for byte the same, and take the same facts."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests import blank
from tests.capture.hook_recordings import calls
from tests.queue.hostile_disk import Fault, HostileDisk

from cdesk.app import App
from cdesk.capture.backfill import Progress
from cdesk.capture.install import ROUTE as HOOK
from cdesk.capture.install import ingest_token
from cdesk.config import Home, Settings
from cdesk.queue import Writer
from cdesk.surface.http import lane as lanes
from cdesk.surface.http import service
from cdesk.surface.http.lane import BODY_BYTES_MAX, Lane, LaneProtocol

ACTIVITIES = "/v1/activities"
TOKEN = "the token of this test"
SECRET = "ghp_" + "x7Qp2LmZ9vRt4KsW8nYb3HdF6jCa1GeU5oTi"
GOOD: dict[str, Any] = {
    "activity": "door_opened", "ts": "2026-03-01T12:00:00.5Z", "customer": "ada", "activity_id": "door 7",
    "feature_json": {"door": 1},
}  # fmt: skip
STAMP = str(time.time_ns())


class Serving:
    """One home served with the lane open or shut; nothing uploads, so the queue shows what was taken."""

    def __init__(self, folder: Path, *, is_open: bool) -> None:
        folder.mkdir()
        (folder / "key").write_bytes(b"k" * 32)
        blank.put(folder / "warehouse")
        self.app = App(Home(folder), Settings(), {"HOME": str(folder), "CLAUDE_CONFIG_DIR": str(folder)})
        self.disk = HostileDisk()
        self.app.writer = Writer(folder / "queue", disk=self.disk)
        self.guarded = service.create(self.app, TOKEN, 4740, Progress())
        self.lane = Lane(self.app, self.guarded)
        self.took = 0
        if is_open:
            self.lane.open()
        config = uvicorn.Config(
            self.guarded, http=self._counting(), port=0, log_config=None, access_log=False, lifespan="off",
            server_header=False,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port: int = self.server.servers[0].sockets[0].getsockname()[1]
        self.ingest = ingest_token(folder)

    def _counting(self) -> type[LaneProtocol]:
        serving = self

        class Counting(LaneProtocol):
            lane = serving.lane

            def answer(self, answer: bytes) -> None:
                serving.took += 1
                super().answer(answer)

        return Counting

    def lines(self) -> list[bytes]:
        return [
            line for path in sorted((self.app.home.queue).glob("*.ndjson")) for line in path.read_bytes().splitlines()
        ]

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=20)
        self.lane.close()
        self.app.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, *parts: bytes) -> bytes:
        """Sends the parts, each when the one before has had its time, and reads until the answer is whole."""
        with self.connect() as connection:
            for number, part in enumerate(parts):
                if number:
                    time.sleep(0.05)
                connection.sendall(part)
            return answer(connection)


def answer(connection: socket.socket) -> bytes:
    """One answer, without its date."""
    found = b""
    while b"\r\n\r\n" not in found:
        more = connection.recv(65536)
        if not more:
            return found
        found += more
    head, _, body = found.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date: ")]
    size = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < size:
        body += connection.recv(65536)
    return b"\r\n".join([*lines, b"", body])


@dataclass(frozen=True)
class Both:
    short: Serving
    usual: Serving


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("lanes")
    found = Both(Serving(folder / "short", is_open=True), Serving(folder / "usual", is_open=False))
    # one token for both, so that one request can be sent to either
    (folder / "usual" / "ingest-token").write_text(found.short.ingest)
    found.usual.guarded._ingest = found.short.ingest
    yield found
    found.short.close()
    found.usual.close()


def request(body: bytes, path: str = ACTIVITIES, method: str = "POST", **headers: str | None) -> bytes:
    """A header that is None is left out; `_` stands for `-`."""
    wanted: dict[str, str | None] = {
        "Host": "127.0.0.1:4740", "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json",
        "Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()},
    }  # fmt: skip
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items() if value is not None)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def of(**others: Any) -> bytes:
    return json.dumps({**GOOD, **others}).encode()


PAYLOAD = json.dumps({"session_id": "s-1", "cwd": "/p", "hook_event_name": "CwdChanged", "new_cwd": "/q"}).encode()
TAKEN = {
    "one activity": request(of()),
    "with everything": request(of(
        anonymous_customer_id="host_1", revenue_impact=1.5, link="https://x", _org_id="acme", _session_id="s1", _query_tag="q",
    )),
    "an id that is a UUID": request(of(activity_id="00903CAC-6cd7-4e0b-9c05-1336fab23028")),
    "whole dollars": request(of(revenue_impact=3)),
    "a time with an offset": request(of(ts="2026-03-01T14:00:00+02:00")),
    "a time without a zone": request(of(ts="2026-03-01T14:00:00")),
    "nulls": request(of(link=None, revenue_impact=None)),
    "a key twice": request(of()[:-1] + b', "customer": "bob"}'),
    "spaces around": request(b" \r\n " + of() + b"\n"),
    "over lines": request(json.dumps(GOOD, indent=2).encode()),
    "a text that is not ASCII": request(of(customer="ад\U0001f600")),
    "a secret": request(of(feature_json={"text": f"token {SECRET}"})),
    "a secret under its name": request(of(feature_json={"password": "hunter2real"})),
    "localhost": request(of(), Host="localhost:4740"),
    "an origin of our own": request(of(), Origin="http://127.0.0.1:4740"),
    "keep-alive said": request(of(), Connection="keep-alive"),
    "two hosts": request(of(), host="evil.example"),
    "a token without Bearer": request(of(), Authorization=TOKEN),
    "a hook": request(PAYLOAD, HOOK, X_Cdesk_Received_Ns=STAMP),
    "a hook that says nothing new": request(b'{"hook_event_name": "MessageDisplay", "session_id": "s"}', HOOK),
    "a hook not known yet": request(b'{"hook_event_name": "Yawned", "session_id": "s"}', HOOK, X_Cdesk_Received_Ns=STAMP),
    "half a surrogate in a hook": request(
        b'{"hook_event_name": "Notification", "session_id": "s", "message": "\\ud83d"}', HOOK, X_Cdesk_Received_Ns=STAMP),
}  # fmt: skip
HANDED_OVER = {
    "no id": request(of(activity_id=None)),
    "an array": request(b"[" + of() + b"," + of() + b"]"),
    "lines": request(of() + b"\n" + of(activity_id="another")),
    "features as text": request(of(feature_json='{"door": 2}')),
    "nothing": request(b""),
    "no JSON": request(b"nonsense"),
    "no UTF-8": request(b'{"activity": "\xff"}'),
    "nul": request(b"\x00"),
    "not an object": request(b"7"),
    "bottomless": request(b'{"feature_json":' * 3_000 + b"1"),
    "a field missing": request(of(customer=None)),
    "a field unknown": request(of(colour="red")),
    "an empty name": request(of(activity="")),
    "a long name": request(of(activity="x" * 1_001)),
    "a wrong time": request(of(ts="yesterday")),
    "a time that is a number": request(of(ts=7)),
    "no dollars": request(of(revenue_impact="much")),
    "true dollars": request(of(revenue_impact=True)),
    "too many dollars": request(of(revenue_impact=1e16)),
    "wrong features": request(of(feature_json=[])),
    "half a surrogate": request(of()[:-1] + b', "link": "\\ud83d"}'),
    "a large body": request(of(feature_json={"text": "x " * BODY_BYTES_MAX})),
    "a wrong token": request(of(), Authorization="Bearer wrong"),
    "no token": request(of(), Authorization=None),
    "a foreign host": request(of(), Host="evil.example"),
    "no host": request(of(), Host=None),
    "a foreign origin": request(of(), Origin="https://evil.example"),
    "another method": request(of(), method="PUT"),
    "another route": request(of(), "/v1/activities/"),
    "an escaped route": request(of(), "/v1/%61ctivities"),
    "a question behind the route": request(of(), "/v1/activities?a=1"),
    "the whole URL": request(of(), "http://127.0.0.1:4740/v1/activities"),
    "chunks": request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(of()), of()), Content_Length=None, Transfer_Encoding="chunked"),
    "chunks and a length": request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(of()), of()), Transfer_Encoding="chunked"),
    "no length": request(b"", Content_Length=None),
    "a wrong length": request(of(), Content_Length="many"),
    "a length with a sign": request(of(), Content_Length=f"+{len(of())}"),
    "closing": request(of(), Connection="close"),
    "an upgrade": request(of(), Connection="Upgrade", Upgrade="h2c"),
    "HTTP/1.0": request(of()).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "HTTP/3": request(of()).replace(b"HTTP/1.1", b"HTTP/3.0", 1),
    "a broken header": request(of()).replace(b"Host:", b"Ho st:", 1),
    "a folded header": request(of()).replace(b"Host:", b"X: a\r\n b\r\nHost:", 1),
    "two lengths": request(of(), content_length=str(len(of()))),
    "two hosts, the foreign one first": request(of(), Host="evil.example", host="127.0.0.1:4740"),
    "bare newlines": request(of()).replace(b"\r\n", b"\n"),
    "garbage": b"\x16\x03\x01\x00garbage\r\n\r\n",
    "a hook that may be answered": request(
        b'{"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt_id": "p", "prompt": "go"}', HOOK,
        X_Cdesk_Received_Ns=STAMP),
    "no payload": request(b"{}", HOOK),
    "no JSON in a hook": request(b"nonsense", HOOK),
    "an array in a hook": request(b"[]", HOOK),
    "status": request(b"", "/v1/nothing", "GET"),
}  # fmt: skip
CORPUS = {**TAKEN, **HANDED_OVER}


@pytest.mark.parametrize("name", CORPUS)
def test_both_ways_answer_the_same_and_take_the_same(both: Both, name: str) -> None:
    """Status, headers, body; and the same lines in the queue."""
    already = len(both.short.lines()), len(both.usual.lines())
    took = both.short.took
    answers = [serving.ask(CORPUS[name]) for serving in (both.short, both.usual)]
    assert answers[0] == answers[1] and answers[0]
    lines = both.short.lines()[already[0] :], both.usual.lines()[already[1] :]
    assert lines[0] == lines[1]
    assert (both.short.took > took) == (name in TAKEN), "the lane took what it should not, or the other way round"
    assert not [line for line in lines[0] if SECRET.encode() in line]


def test_recorded_hooks_give_the_same_lines(both: Both) -> None:
    """A whole session of Claude Code, told to both."""
    already = len(both.short.lines()), len(both.usual.lines())
    for _, payload in calls("tools"):
        told = request(
            json.dumps(payload).encode(), HOOK, Authorization=f"Bearer {both.short.ingest}", X_Cdesk_Received_Ns=STAMP
        )
        assert both.short.ask(told) == both.usual.ask(told)
    lines = both.short.lines()[already[0] :]
    assert lines and lines == both.usual.lines()[already[1] :]


def test_the_ingest_token_opens_the_hooks_only(both: Both) -> None:
    """In the lane as elsewhere, also where its head is known from the other route."""
    ingest = f"Bearer {both.short.ingest}"
    for _ in range(2):
        assert b" 200 " in both.short.ask(request(PAYLOAD, HOOK, Authorization=ingest))
        assert b" 401 " in both.short.ask(request(of(), Authorization=ingest))


def test_it_does_not_matter_how_bytes_arrive(both: Both) -> None:
    """Head and body apart, the head cut, byte by byte: one answer each."""
    whole = request(of())
    wanted = both.usual.ask(whole)
    end = whole.index(b"\r\n\r\n") + 4
    for cut in (1, 40, end - 2, end, end + 1, len(whole) - 1):
        assert both.short.ask(whole[:cut], whole[cut:]) == wanted
    assert both.short.ask(whole[:end], whole[end : end + 9], whole[end + 9 :]) == wanted


def test_a_connection_is_kept_across_both_ways(both: Both) -> None:
    """Lane, application, lane, refusal, lane; nothing is mixed up."""
    order = ["one activity", "no id", "a hook", "a wrong token", "one activity", "lines", "one activity"]
    for serving in (both.short, both.usual):
        with serving.connect() as connection:
            for name in order:
                connection.sendall(CORPUS[name])
                assert answer(connection) == both.usual.ask(CORPUS[name]), name


def test_pipelined_requests_are_answered_in_order(both: Both) -> None:
    """Several in one piece, and one behind one that is still being answered."""
    names = ["one activity", "a hook", "a field missing", "one activity"]
    wanted = [both.usual.ask(CORPUS[name]) for name in names]
    for pause in (0.0, 0.001):
        with both.short.connect() as connection:
            for name in names:
                connection.sendall(CORPUS[name])
                time.sleep(pause)
            found = _answers(connection, len(names))
        assert found == wanted


def _answers(connection: socket.socket, count: int) -> list[bytes]:
    data = b""
    found: list[bytes] = []
    while len(found) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        size = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
        if not end or len(rest) < size:
            data += connection.recv(65536)
            continue
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"date: ")]
        found.append(b"\r\n".join([*lines, b"", rest[:size]]))
        data = rest[size:]
    return found


@pytest.mark.parametrize("how", ["error", "full"])
def test_a_queue_that_fails_is_told_as_the_application_tells_it(both: Both, how: str) -> None:
    """The lane's own try leaves no trace; the application tries once more and says what happened."""
    already = len(both.short.lines())
    both.short.disk.fault = Fault("sync", how)
    assert b" 200 " in both.short.ask(request(of()))
    assert len(both.short.lines()) == already + 1


def test_many_at_once_are_each_answered(both: Both) -> None:
    """Good and bad in one turn of the loop."""
    names = ["one activity", "a secret", "a field missing", "a hook", "no JSON", "a wrong token"] * 10
    wanted = {name: both.usual.ask(CORPUS[name]) for name in set(names)}

    async def ask(name: str) -> None:
        assert await asyncio.to_thread(both.short.ask, CORPUS[name]) == wanted[name]

    async def all_() -> None:
        await asyncio.gather(*map(ask, names))

    asyncio.run(all_())


def test_more_secrets_than_a_turn_may_look_at_go_to_the_threads(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redacted all the same."""
    monkeypatch.setattr(lanes, "LOOKED_AT_BYTES_MAX", 10)
    already, took = len(both.short.lines()), both.short.took
    assert b" 200 " in both.short.ask(CORPUS["a secret"])
    assert both.short.took == took
    (line,) = both.short.lines()[already:]
    assert SECRET.encode() not in line and b"[redacted:" in line


def test_heads_are_forgotten_before_they_are_too_many(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says something else each time costs no memory."""
    monkeypatch.setattr(lanes, "HEADS_MAX", 3)
    for number in range(8):
        assert b" 200 " in both.short.ask(request(of(), X_Number=str(number)))
    assert len(both.short.lane._heads) <= 3


def test_a_request_under_way_is_answered_before_the_service_ends(tmp_path: Path) -> None:
    """Half a body has come when it is told to stop; the connection ends with the answer."""
    serving = Serving(tmp_path / "home", is_open=True)
    whole = request(of())
    with serving.connect() as connection:
        connection.sendall(whole[:-5])
        time.sleep(0.1)
        serving.server.should_exit = True
        time.sleep(0.3)
        connection.sendall(whole[-5:])
        found = answer(connection)
        assert found.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in found
        assert connection.recv(1) == b""
    assert len(serving.lines()) == 1
    serving.close()


def test_many_large_bodies_take_several_turns(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered; the loop is free in between."""
    monkeypatch.setattr(lanes, "TURN_BYTES_MAX", 1)
    already = len(both.short.lines())
    connections = [both.short.connect() for _ in range(6)]
    for connection in connections:
        connection.sendall(request(of()))
    assert {answer(connection)[:15] for connection in connections} == {b"HTTP/1.1 200 OK"}
    for connection in connections:
        connection.close()
    assert len(both.short.lines()) == already + 6
