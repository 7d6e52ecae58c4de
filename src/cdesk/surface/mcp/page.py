"""Answers within a budget of tokens, and a cursor for the rest."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from cdesk.errors import UsageError

TOKENS = 2_000
TOKENS_MIN, TOKENS_MAX = 200, 20_000
CHARACTERS_PER_TOKEN = 3
"""JSON with ids in it takes more tokens than prose, which has about four."""
FRAME_CHARACTERS = 400
"""What stands around the items."""
_Item = TypeVar("_Item")


def fitting(items: Sequence[_Item], tokens_max: int, frame: int = FRAME_CHARACTERS) -> int:
    """How many of the items, from the first on, stay within the budget; one at least, where there is one."""
    room = tokens_max * CHARACTERS_PER_TOKEN - frame
    for number, item in enumerate(items):
        room -= len(msgspec.json.encode(item)) + 1
        if room < 0:
            return max(number, 1)
    return len(items)


def cursor(tool: str, *place: str | int) -> str:
    """A handle for what comes after `place`."""
    return urlsafe_b64encode(msgspec.json.encode([tool, *place])).decode().rstrip("=")


def place(given: str | None, tool: str, *kinds: type) -> list[Any] | None:
    """What a cursor of this tool holds; None without one. Raises UsageError for any other text."""
    if given is None:
        return None
    try:
        found = msgspec.json.decode(urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        if found[0] == tool and [type(part) for part in found[1:]] == list(kinds):
            return list(found[1:])
    except (ValueError, TypeError, KeyError, IndexError):
        pass
    raise UsageError(f"this cursor is not one that {tool} gave.", "Leave it out to begin again.")
