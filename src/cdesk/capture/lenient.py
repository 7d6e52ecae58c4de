"""Readings of values nobody has checked: the right kind of thing, or None."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

COUNT_MAX = 2**53
"""Larger whole numbers do not survive JSON readers that use doubles."""


def as_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def as_count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < COUNT_MAX
    return value if is_count else None


def as_number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < COUNT_MAX
    return value if is_number else None


def as_time(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) < 19:
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text_hash(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
