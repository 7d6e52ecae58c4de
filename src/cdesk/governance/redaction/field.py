"""Knows which JSON keys and command-line flags name a secret, so that the value beside them goes whole."""

from __future__ import annotations

import re
from functools import lru_cache

_SECRET_NAME = re.compile(
    r"(?i).*(?:password|passwd|passphrase|passcode|secret|token|credential|api[-_. ]?key|private[-_. ]?key|"
    r"secret[-_. ]?key|access[-_. ]?key|account[-_. ]?key|signing[-_. ]?key|encryption[-_. ]?key|authorization|"
    r"connection[-_. ]?string|cookie)s?|(?i:pwd|pass|auth|jwt|bearer|pem|x[-_]auth)"
)
_PLAIN_NAME = re.compile(
    r"(?i).*(?:public|csrf|xsrf|page|next|continuation|eos|bos|pad|unk|mask|stop|sort|num|max|min|count|is|has|use)"
    r"[-_. ]?(?:token|secret|key|password|credential|cookie)s?"
)
_FLAG = re.compile(r"--?[A-Za-z][\w-]*")

NAME_CHARS_MAX = 120
"""A longer key is data, not a name."""


@lru_cache(maxsize=4096)
def is_secret_field(name: str) -> bool:
    """Whether a JSON key such as `password`, `dbPassword`, `X-Api-Key` or `authorization` names a secret."""
    if len(name) > NAME_CHARS_MAX or not _SECRET_NAME.fullmatch(name):
        return False
    return not _PLAIN_NAME.fullmatch(name)


def flag_name(value: str) -> str | None:
    """The name in a flag standing alone in a list, `--api-key` -> `api-key`; it names the element after it."""
    return value.lstrip("-") if _FLAG.fullmatch(value) else None
