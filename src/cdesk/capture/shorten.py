"""Long texts are cut before they are stored: an activity is a fact, not a copy of a file."""

from __future__ import annotations

from typing import Any

from cdesk.activity.model import JSON

TEXT_CHARACTERS_MAX = 32_768
PARAMETER_CHARACTERS_MAX = 2_000
DEPTH_MAX = 20
ITEMS_MAX = 200


def shorten(text: str, limit: int = TEXT_CHARACTERS_MAX) -> str:
    """The text, or its beginning and how much is left out."""
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit:,} more characters]"


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
