"""The text of a question, from the .sql file beside it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PLACE = re.compile(r"(?<!:):([a-z][a-z0-9_]*)")


@cache
def text(name: str) -> str:
    lines = Path(__file__).with_name(f"{name}.sql").read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def prepared(name: str, parts: tuple[tuple[str, str], ...] = ()) -> tuple[str, list[str]]:
    """A question's text with `$1`, `$2`, … for its `:names`, and the names in that order."""
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}"

    return _PLACE.sub(numbered, text(name).format(**dict(parts))), names
