"""The local token: made at first start, readable by its owner only."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path


def load_or_make(path: Path) -> str:
    try:
        known = path.read_text("ascii").strip()
        if known:
            return known
    except FileNotFoundError:
        pass
    made = secrets.token_urlsafe(32)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(made + "\n")
    return made


def matches(header: str | None, token: str) -> bool:
    """Whether an Authorization header carries the token; takes the same time either way."""
    given = (header or "").removeprefix("Bearer ").encode("utf-8", "replace")
    return hmac.compare_digest(given, token.encode())
