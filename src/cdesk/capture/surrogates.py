r"""JavaScript cuts texts at UTF-16 units and may write half an emoji as a lone \ud8xx, which is no Unicode text.

Everything else about such JSON is sound, so the half character becomes U+FFFD and the rest is kept.
"""

from __future__ import annotations

import re

_LONE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPES = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.S
)


def has_surrogates(raw: bytes) -> bool:
    """Whether mending could change anything; pairs count as well."""
    return _LONE.search(raw) is not None


def mend_surrogates(raw: bytes) -> bytes:
    """JSON text whose lone surrogate escapes are U+FFFD; pairs and all other escapes stay as they are."""

    def mended(found: re.Match[bytes]) -> bytes:
        is_lone = found[1] is None and found[0][1:3] in (b"ud", b"uD")
        return rb"\ufffd" if is_lone else found[0]

    return _ESCAPES.sub(mended, raw)
