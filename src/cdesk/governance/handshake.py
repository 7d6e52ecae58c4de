"""How a laptop and its collector prove to each other that they hold one key, which is never sent.

    laptop                                              collector
    name, its nonce                          ──▶
                                             ◀──        session, proof(collector, name, nonce, session)
    lines, proof(laptop, name, session, lines)  ──▶
                                             ◀──        receipt, proof(receipt, session, lines, receipt)

A proof is HMAC-SHA-256 over the parts, each behind its length. A laptop sends nothing before the collector has proved
itself, and forgets no line before a receipt has. Who listens in between learns no key and can change nothing; that they
cannot read the lines is TLS's part.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Literal

KEY_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9@._+-]{1,100}")

Who = Literal["collector", "laptop", "receipt"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who is invited, and the key that only they and the collector know. `str()` never shows it."""

    name: str
    key: bytes

    def __repr__(self) -> str:
        return f"Invitation({self.name!r})"

    @property
    def token(self) -> str:
        """As it is handed over: shown once."""
        return f"{self.name}.{base64.urlsafe_b64encode(self.key).rstrip(b'=').decode()}"


def invite(name: str) -> Invitation:
    return Invitation(name, secrets.token_bytes(KEY_BYTES))


def read_token(token: str) -> Invitation:
    """Raises ValueError for what is no token."""
    name, _, text = token.strip().rpartition(".")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not NAME.fullmatch(name) or len(key) != KEY_BYTES:
        raise ValueError("this is no invitation's token")
    return Invitation(name, key)


def proof(key: bytes, who: Who, *parts: bytes) -> str:
    told = hmac.new(key, who.encode(), "sha256")
    for part in parts:
        told.update(len(part).to_bytes(8, "big"))
        told.update(part)
    return told.hexdigest()


def proves(given: str, key: bytes, who: Who, *parts: bytes) -> bool:
    """Takes the same time either way."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), proof(key, who, *parts).encode())
