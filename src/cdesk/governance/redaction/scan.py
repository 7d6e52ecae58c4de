"""Finds where the secrets stand in one text: one linear pass picks the rules, and only those look closely."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cdesk.governance.redaction.block import FINDERS
from cdesk.governance.redaction.engine import Match, PatternSet, any_word, compiled, compiled_set, line_wise
from cdesk.governance.redaction.rule import Rule
from cdesk.governance.redaction.shape import CHECKS, entropy_bits


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret at text[start:end] (byte offsets), found by `rule`."""

    start: int
    end: int
    rule: Rule


class Scanner:
    """The compiled rules. Building one costs about a tenth of a second; keep it, and share it between threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = sorted(rules, key=lambda rule: rule.gated)
        self._patterns = [compiled(rule.pattern) for rule in self._rules]
        self._set = compiled_set([rule.pattern for rule in self._rules if not rule.gated])
        self._lines_set: PatternSet | None = None
        self._gated = [index for index, rule in enumerate(self._rules) if rule.gated]
        self._gate = any_word([word.decode() for index in self._gated for word in self._rules[index].keywords])

    def sees(self, text: bytes) -> bool:
        """Whether any rule can match in the text; False means there is nothing to redact."""
        return bool(self._seen(text))

    def sees_in_any(self, texts: Sequence[bytes]) -> bool:
        """Whether `sees` may hold for one of the texts, found in one pass over all: False is certain, True is not.

        Joined by a newline, each text has at its edges what a text alone has there, once the patterns' own words for
        the edges (`^`, `$`, `\\z`) mean those of a line: no word character, and a place where they match. So whatever
        matches in one text matches in all of them together; what only the joint makes is looked at again by `sees`."""
        if self._lines_set is None:
            self._lines_set = compiled_set([line_wise(rule.pattern) for rule in self._rules if not rule.gated])
        together = b"\n".join(texts)
        return bool(self._lines_set.Match(together)) or self._gate.search(together) is not None

    def _seen(self, text: bytes) -> list[int]:
        """Indexes of the rules that match somewhere."""
        seen = list(self._set.Match(text) or ())
        if self._gate.search(text):
            seen += [index for index in self._gated if self._patterns[index].search(text)]
        return seen

    def findings(self, text: bytes) -> list[Finding]:
        """The secrets in the text in order, without overlaps."""
        seen = self._seen(text)
        if not seen:
            return []
        lowered = text.lower()
        found = [finding for index in seen for finding in self._look(index, text, lowered)]
        return _merged(found)

    def _look(self, index: int, text: bytes, lowered: bytes) -> Iterator[Finding]:
        rule = self._rules[index]
        if rule.keywords and not any(word in lowered for word in rule.keywords):
            return
        if rule.name in FINDERS:
            yield from (Finding(start, end, rule) for start, end in FINDERS[rule.name](text))
            return
        check = CHECKS[rule.check]
        for match in self._patterns[index].finditer(text):
            start, end = _secret_span(match, rule.group)
            secret = text[start:end]
            if entropy_bits(secret) > rule.entropy and check(_named(text, match), secret):
                yield Finding(start, end, rule)


def _secret_span(match: Match, group: int) -> tuple[int, int]:
    """The asked group; for -1 the first group that took part, or the whole match."""
    if group >= 0:
        return match.span(group)
    taken = (match.span(number) for number in range(1, match.re.groups + 1))
    return next((span for span in taken if span[0] >= 0), match.span())


NAME_BYTES_MAX = 50
"""How far left of a match its identifier may begin, as upstream has it."""

_NAME_END = re.compile(rb"[\w.-]*\Z")


def _named(text: bytes, match: Match) -> bytes:
    """The match, begun where the identifier it starts in begins: `publicToken = ...` for a match of `Token = ...`."""
    start = match.span()[0]
    before = _NAME_END.search(text, max(0, start - NAME_BYTES_MAX), start)
    return (before[0] if before else b"") + text[start : match.span()[1]]


def _merged(found: list[Finding]) -> list[Finding]:
    """Joins findings that overlap; the lowest rank gives the name."""
    found.sort(key=lambda finding: (finding.start, -finding.end))
    merged: list[Finding] = []
    for finding in found:
        last = merged[-1] if merged else None
        if last and finding.start < last.end:
            rule = min(last.rule, finding.rule, key=lambda rule: rule.rank)
            merged[-1] = Finding(last.start, max(last.end, finding.end), rule)
        else:
            merged.append(finding)
    return merged
