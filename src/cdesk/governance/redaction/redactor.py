"""The one door to the redaction chain: text, JSON values or raw JSON lines in, the same without secrets out."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from cdesk.governance.redaction.field import flag_name, is_secret_field
from cdesk.governance.redaction.lines import rewritten, unescaped
from cdesk.governance.redaction.mark import Marker
from cdesk.governance.redaction.rule import Rule, load_rules
from cdesk.governance.redaction.scan import Scanner
from cdesk.governance.redaction.shape import is_trivial

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"

FIELD_RULE = "secret-field"
PASSES_MAX = 8
"""A mark can bring a new match to light beside it; more rounds than this were never seen to change anything."""


class Redactor:
    """Replaces secrets with marks `[redacted:<rule>:<8 hex>]`.

    key     secret bytes, at least 16, for the fingerprints in the marks; the same key gives the same marks
    rules   the rules to use; by default those shipped with the package
    counts  how often each rule fired since the start or the last clear(); the caller may read and clear it

    All methods are pure but for `counts`, and running one on its own result changes nothing more.
    """

    def __init__(self, key: bytes, rules: Sequence[Rule] | None = None) -> None:
        rules = load_rules() if rules is None else rules
        self._scanner = Scanner(rules)
        self._marker = Marker(key, {FIELD_RULE, *(rule.name for rule in rules)})
        self.counts: Counter[str] = Counter()

    def text(self, s: str) -> str:
        """The text without its secrets; the same object when there are none."""
        raw = s.encode("utf-8", "surrogatepass")
        clean = self._clean(raw)
        return s if clean is raw else clean.decode("utf-8", "surrogatepass")

    def json(self, value: JsonValue) -> JsonValue:
        """A nested JSON value with the same shape and only strings changed; the input is left alone."""
        return self._value(None, value)

    def line(self, raw: bytes) -> bytes:
        """One JSON line without its secrets, valid JSON if it was; the same object when there are none."""
        if not self._scanner.sees(unescaped(raw)):
            return raw
        clean = rewritten(raw, self._string)
        return raw if clean == raw else clean

    def suspects(self, raws: Sequence[bytes]) -> list[int]:
        """Indexes of the lines that `line` may change; it gives all others back as they are. One pass over all lines
        together clears them all when none holds anything, which is the usual case."""
        texts = [unescaped(raw) for raw in raws]
        if len(texts) > 1 and not self._scanner.sees_in_any(texts):
            return []
        return [index for index, text in enumerate(texts) if self._scanner.sees(text)]

    def _value(self, key: str | None, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return self._string(key, value)
        if isinstance(value, dict):
            return {self._string(None, name): self._value(name, item) for name, item in value.items()}
        if isinstance(value, list):
            return self._list(key, value)
        return value

    def _list(self, key: str | None, items: list[JsonValue]) -> list[JsonValue]:
        result: list[JsonValue] = []
        current = key
        for item in items:
            result.append(self._value(current, item))
            if isinstance(item, str):
                current = flag_name(item) or key
        return result

    def _string(self, key: str | None, s: str) -> str:
        """One string of a JSON value: whole when its key names a secret, else by what it holds and its key says."""
        raw = s.encode("utf-8", "surrogatepass")
        if key is not None and is_secret_field(key) and not is_trivial(raw):
            return s if self._marker.is_mark(raw) else self._whole(raw)
        prefix = b"" if key is None else b'"' + key.encode("utf-8", "surrogatepass") + b'": "'
        clean = self._clean(raw, prefix)
        return s if clean is raw else clean.decode("utf-8", "surrogatepass")

    def _whole(self, raw: bytes) -> str:
        self.counts[FIELD_RULE] += 1
        return self._marker.mark(FIELD_RULE, raw).decode()

    def _clean(self, raw: bytes, prefix: bytes = b"") -> bytes:
        for _ in range(PASSES_MAX):
            clean = self._pass(raw, prefix)
            if clean is raw:
                break
            raw = clean
        return raw

    def _pass(self, raw: bytes, prefix: bytes) -> bytes:
        """One round over the text after `prefix`, which only lends its meaning; `raw` itself when nothing is found."""
        text = prefix + raw + b'"' if prefix else raw
        out: list[bytes] = []
        at = len(prefix)
        marks = self._marker.spans(text)
        for found in self._scanner.findings(text):
            start, end = max(found.start, at), min(found.end, len(prefix) + len(raw))
            if start >= end or _overlaps(marks, start, end):
                continue
            out += (text[at:start], self._marker.mark(found.rule.name, text[start:end]))
            self.counts[found.rule.name] += 1
            at = end
        if not out:
            return raw
        out.append(text[at : len(prefix) + len(raw)])
        return b"".join(out)


def _overlaps(marks: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a mark stands within [start, end); marks are in order and apart, so one look is enough."""
    after = bisect_left(marks, (end, 0))
    return after > 0 and marks[after - 1][1] > start
