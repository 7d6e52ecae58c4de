"""Long texts are cut before they are stored: an activity is a fact, not a copy of a file."""

from __future__ import annotations

import re
from typing import Any

from cdesk.activity.model import JSON

TEXT_CHARACTERS_MAX = 32_768
PARAMETER_CHARACTERS_MAX = 2_000
DEPTH_MAX = 20
ITEMS_MAX = 200
_MARK = re.compile(r"… \[([\d,]{1,20}) more characters\]\Z")


def shorten(text: str, limit: int = TEXT_CHARACTERS_MAX) -> str:
    """The text, or its beginning and how much is left out."""
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit:,} more characters]"


def shorten_further(text: str, limit: int) -> str:
    """As `shorten`, of a text that may have been cut before: the mark counts what is missing of the first one."""
    if len(text) <= limit:
        return text
    mark = _MARK.search(text)
    body, missing = (text[: mark.start()], int(mark[1].replace(",", ""))) if mark else (text, 0)
    return text if len(body) <= limit else f"{body[:limit]}… [{len(body) - limit + missing:,} more characters]"


def shorten_all(value: Any, depth: int = DEPTH_MAX) -> JSON:
    """A JSON value whose texts, lists and nesting stay within bounds."""
    if isinstance(value, str):
        return shorten(value, PARAMETER_CHARACTERS_MAX)
    if isinstance(value, dict):
        if depth == 0:
            return f"… [{len(value):,} keys]"
        return {shorten(str(k), 200): shorten_all(v, depth - 1) for k, v in list(value.items())[:ITEMS_MAX]}
    if isinstance(value, list):
        if depth == 0:
            return f"… [{len(value):,} items]"
        return [shorten_all(item, depth - 1) for item in value[:ITEMS_MAX]]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
