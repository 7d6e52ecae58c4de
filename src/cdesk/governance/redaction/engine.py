"""The only place that knows RE2: its two tools, typed, with one memory limit and no silent log lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import re2  # type: ignore[import-untyped]

AUTOMATON_BYTES_MAX = 64 << 20
"""Memory RE2 may use for an automaton's states; filled as texts need it, and emptied when full (slower, still right)."""


class Match(Protocol):
    """A match in bytes; offsets are byte offsets."""

    @property
    def re(self) -> Pattern: ...
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Pattern(Protocol):
    """One compiled pattern."""

    @property
    def groups(self) -> int: ...
    def search(self, text: bytes) -> Match | None: ...
    def finditer(self, text: bytes) -> Iterator[Match]: ...


class PatternSet(Protocol):
    """Many patterns searched for at once, in one pass."""

    def Match(self, text: bytes) -> list[int] | None:
        """Indexes of the patterns that match somewhere; None or empty when none does."""


def compiled(pattern: str) -> Pattern:
    """The pattern ready to search; raises re2.error when it is not RE2 syntax."""
    result: Pattern = re2.compile(pattern, _options())
    return result


def compiled_set(patterns: Sequence[str]) -> PatternSet:
    """All patterns as one automaton, indexed in the order given."""
    result = re2.Set.SearchSet(_options())
    for pattern in patterns:
        result.Add(pattern.encode())
    result.Compile()
    found: PatternSet = result
    return found


def line_wise(pattern: str) -> str:
    """The pattern with the edges of lines where it has the edges of the text. It must not switch `m` off itself."""
    return "(?m)" + _ESCAPED.sub(lambda escape: _EDGES.get(escape[0], escape[0]), pattern)


_ESCAPED = re.compile(r"\\.", re.DOTALL)
_EDGES = {r"\A": "(?m:^)", r"\z": "(?m:$)"}


def any_word(words: Sequence[str]) -> Pattern:
    """A pattern that finds any of the words, case ignored; it finds nothing when there are no words."""
    return compiled("(?i)" + "|".join(map(re2.escape, words)) if words else r"[^\s\S]")


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = AUTOMATON_BYTES_MAX
    options.log_errors = False
    return options
