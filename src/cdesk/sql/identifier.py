"""The one place where a name becomes part of an SQL text. Values never come here: they are bound."""

from __future__ import annotations

from cdesk.errors import UsageError

NAME_LENGTH_MAX = 255
"""Snowflake's limit, in characters; DuckDB has none."""


def quote(*parts: str) -> str:
    """The name `part.part…` as SQL, every part quoted: `quote("main", 'a"b')` gives `"main"."a""b"`.

    Snowflake keeps the case of quoted names, DuckDB ignores it. Raises UsageError for a part that is empty,
    longer than 255 characters, or holds a NUL, and when there is no part at all.
    """
    if not parts:
        raise UsageError("an SQL name is missing.")
    return ".".join(_quote(part) for part in parts)


def _quote(part: str) -> str:
    if not part or len(part) > NAME_LENGTH_MAX or "\0" in part:
        raise UsageError(f"not an SQL name: {part[:40]!r}.", f"Give 1 to {NAME_LENGTH_MAX} characters, no NUL.")
    return '"' + part.replace('"', '""') + '"'
