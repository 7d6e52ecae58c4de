"""Writes and recognises the mark left where a secret stood: `[redacted:<rule>:<8 hex>]`.

The hex is the first four bytes of HMAC-SHA256 over the secret under the caller's key. Equal secrets get equal marks,
so they can be counted; without the key a guess cannot be checked, and with 32 bits a secret cannot be recovered.
Only marks that name a known rule are trusted, so text cannot hide a secret by looking like a mark.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

FINGERPRINT_BYTES = 4
KEY_BYTES_MIN = 16


class Marker:
    """Makes marks under one key. Raises ValueError when the key is shorter than KEY_BYTES_MIN."""

    def __init__(self, key: bytes, names: Iterable[str]) -> None:
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"redaction key has {len(key)} bytes, needs at least {KEY_BYTES_MIN}; make a longer one")
        self._key = key
        known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
        self._mark = re.compile(rf"\[redacted:(?:{known}):[0-9a-f]{{{FINGERPRINT_BYTES * 2}}}\]".encode())

    def mark(self, name: str, secret: bytes) -> bytes:
        """The mark for one secret found by the rule `name`."""
        digest = hmac.digest(self._key, secret, "sha256")[:FINGERPRINT_BYTES]
        return f"[redacted:{name}:{digest.hex()}]".encode()

    def is_mark(self, text: bytes) -> bool:
        """Whether the whole text is one mark."""
        return self._mark.fullmatch(text) is not None

    def spans(self, text: bytes) -> list[tuple[int, int]]:
        """Where marks already stand, as (start, end) byte offsets in order."""
        if b"[redacted:" not in text:
            return []
        return [found.span() for found in self._mark.finditer(text)]
