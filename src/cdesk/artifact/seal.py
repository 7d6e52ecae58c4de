"""Cursors and download links that only this home can make, and that somebody who changes them makes worthless.

    cursor    base64url(JSON [artifact, offset] · 16 bytes of HMAC-SHA256)
    link      …/content?format=csv&expires=1767225600&signature=<64 hex digits>
              HMAC-SHA256 over the method, the artifact, the format and the second at which it ends

Their keys are made from the home's key, a different one for each use.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from cdesk.errors import UsageError

LINK_SECONDS = 600
CURSOR_CHARACTERS_MAX = 400
_TAG_BYTES = 16


class Seal:
    """`key`: the home's own, 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cursors = hmac.digest(key, b"cdesk artifact cursors 1", "sha256")
        self._links = hmac.digest(key, b"cdesk artifact links 1", "sha256")

    def cursor(self, artifact_id: str, offset: int) -> str:
        said = msgspec.json.encode([artifact_id, offset])
        return urlsafe_b64encode(said + self._tag(said)).decode().rstrip("=")

    def offset(self, artifact_id: str, cursor: str) -> int:
        """Raises UsageError for anything but a cursor of this artifact."""
        try:
            given = (
                urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)) if len(cursor) <= CURSOR_CHARACTERS_MAX else b""
            )
            said, tag = given[:-_TAG_BYTES], given[-_TAG_BYTES:]
            if hmac.compare_digest(tag, self._tag(said)):
                of, offset = msgspec.json.decode(said, type=tuple[str, int])
                if of == artifact_id:
                    return offset
        except ValueError:
            pass
        raise UsageError("this cursor is not one that a page of this artifact gave.", "Leave it out to begin again.")

    def signature(self, method: str, artifact_id: str, form: str, expires: int) -> str:
        """expires: Unix seconds"""
        said = "\n".join((method, artifact_id, form, str(expires)))
        return hmac.digest(self._links, said.encode(), "sha256").hex()

    def is_signed(self, method: str, artifact_id: str, form: str, expires: int, signature: str) -> bool:
        """Takes the same time either way."""
        wanted = self.signature(method, artifact_id, form, expires)
        return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))

    def _tag(self, said: bytes) -> bytes:
        return hmac.digest(self._cursors, said, "sha256")[:_TAG_BYTES]
