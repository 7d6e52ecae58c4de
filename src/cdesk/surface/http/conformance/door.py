"""How the suite is let in: it sends no token, so a key in its address stands for it, and opens `/mcp` and nothing else."""

from __future__ import annotations

import hmac
from hashlib import sha256

from starlette.types import ASGIApp, Receive, Scope, Send

from cdesk.surface.http.mcp import PATH


def path(token: str) -> str:
    """Where the suite asks. Made from the local token: a new token is a new path."""
    return f"{PATH}/{hmac.new(token.encode(), b'mcp conformance', sha256).hexdigest()}"


class Door:
    """In front of the service's own checks, which look at Host, Origin and token as always."""

    def __init__(self, guarded: ASGIApp, token: str) -> None:
        self._guarded = guarded
        self._path = path(token).encode()
        self._token = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and hmac.compare_digest(scope["path"].encode(), self._path):
            scope = {**scope, "path": PATH, "raw_path": PATH.encode(), "headers": [*scope["headers"], self._token]}
        await self._guarded(scope, receive, send)
