"""A network between the connector and the emulator that can be cut, at any request and at either end of it.

Every connection goes through a real socket of this process. Requests are read whole, so that it can be said which
statement the cut is to hit; the connector packs them.
"""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Literal

Place = Literal["before", "within", "after"]
"""before: nothing of the request arrives · within: half of it · after: all of it, and its answer is lost"""
_RESET = struct.pack("ii", 1, 0)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Cut:
    pattern: re.Pattern[str]
    place: Place
    stays: bool


class Network:
    """From a port of its own to the server's."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._cut: Cut | None = None
        self.is_away = False
        self.hits = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, pattern: str, place: Place, *, stays: bool) -> None:
        """At the next request whose line and body look like this. stays: nothing gets through until `mend`."""
        self.hits = 0
        self._cut = Cut(re.compile(pattern, re.IGNORECASE | re.DOTALL), place, stays)

    def mend(self) -> None:
        self._cut, self.is_away = None, False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(IDLE_SECONDS)
        with closing(client), suppress(OSError):
            for request in _messages(client):
                if self.is_away or self._is_lost(request):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                client.sendall(self._asked(request))

    def _is_lost(self, request: bytes) -> bool:
        cut = self._cut
        if cut is None or not cut.pattern.search(_text(request)):
            return False
        self._cut, self.is_away = None, cut.stays
        self.hits += 1
        if cut.place == "within":
            self._asked(request[: len(request) // 2], answer=False)
        elif cut.place == "after":
            self._asked(request)
        return True

    def _asked(self, request: bytes, answer: bool = True) -> bytes:
        with socket.create_connection(("127.0.0.1", self._server_port), timeout=IDLE_SECONDS) as server:
            server.sendall(request)
            return next(_messages(server), b"") if answer else b""


def _messages(connection: socket.socket) -> Iterator[bytes]:
    """Requests, or answers, one after the other: head and as much body as it says."""
    held = b""
    while True:
        while b"\r\n\r\n" not in held:
            piece = connection.recv(65_536)
            if not piece:
                return
            held += piece
        head = held.index(b"\r\n\r\n") + 4
        found = _LENGTH.search(held[:head])
        end = head + (int(found[1]) if found else 0)
        while len(held) < end:
            piece = connection.recv(65_536)
            if not piece:
                return
            held += piece
        yield held[:end]
        held = held[end:]


def _text(request: bytes) -> str:
    head, _, body = request.partition(b"\r\n\r\n")
    with suppress(OSError, EOFError):
        body = gzip.decompress(body)
    return (head.partition(b"\r\n")[0] + b"\n" + body).decode("utf-8", "replace")
