"""Finds secrets that spread over many lines: PEM and PGP private keys, whole or cut off, and Kubernetes secrets.

Each finder takes the text as bytes and gives (start, end) byte offsets of secrets. One pass each, no backtracking:
a hostile text of a million BEGIN lines costs no more per byte than a kind one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from cdesk.governance.redaction.shape import is_placeholder

Span = tuple[int, int]

KEY_BODY_CHARS_MIN = 24
"""A block with less key text than this is a documentation stub ("anything", "...")."""

DATA_CHARS_MIN = 10
"""Shorter base64 under `data:` decodes to at most 6 bytes and is taken for a sample."""

_FENCE = re.compile(rb"(?i)-----(BEGIN|END)[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")
_GAP = rb"(?:\\+[nrt\"']|[\s\"'+,>|#*\\])*+"
_HEADER_LINE = rb"(?:Proc-Type|DEK-Info|Version|Comment):[^\r\n\\]*+"
_REST = re.compile(
    rb"(?:" + _GAP + rb"(?:[A-Za-z0-9+/]{16,}+={0,2}|" + _HEADER_LINE + rb"))*+"
    rb"(?:" + _GAP + rb"[A-Za-z0-9+/]{1,15}={0,2}(?![A-Za-z0-9+/ ]))?"
)
_RUN = re.compile(
    rb"(?:[A-Za-z0-9+/]{16,}+={0,2}" + _GAP + rb"(?:[A-Za-z0-9+/]{1,15}={0,2}" + _GAP + rb"(?=-----END))?)++"
)


def private_key_spans(text: bytes) -> Iterator[Span]:
    """Whole blocks, blocks whose end is missing, and key text whose beginning is missing."""
    opened: int | None = None
    body = 0
    for fence in _FENCE.finditer(text):
        if fence[1].upper() == b"BEGIN":
            if opened is not None:
                yield from _cut_off(text, opened, body, fence.start())
            opened, body = fence.span()
        elif opened is None:
            yield from _headless(text, fence.start())
        else:
            if _key_chars(text[body : fence.start()]) >= KEY_BODY_CHARS_MIN:
                yield opened, fence.end()
            opened = None
    if opened is not None:
        yield from _cut_off(text, opened, body, len(text))


def _key_chars(body: bytes) -> int:
    return len(body.translate(None, b" \t\r\n\\\"'+,"))


def _cut_off(text: bytes, opened: int, body: int, limit: int) -> Iterator[Span]:
    rest = _REST.match(text, body, limit)
    if rest and _key_chars(rest[0]) >= KEY_BODY_CHARS_MIN:
        yield opened, rest.end()


HEADLESS_CHARS_MAX = 16_384
"""How far back from a lonely END line key text is looked for; an RSA-8192 key in PEM has about 6,400 characters."""


def _headless(text: bytes, end: int) -> Iterator[Span]:
    start = max(text.rfind(b"-----", 0, end), end - HEADLESS_CHARS_MAX, 0)
    for run in _RUN.finditer(text, start, end):
        if run.end() == end:
            yield run.span()


_DOCUMENT_END = re.compile(rb"(?m)^---[ \t]*$")
_KIND = re.compile(rb"(?i)\bkind\\*[\"']?:[ \t]*\\*[\"']?secret\b")
_DATA = re.compile(rb"[\"']?(data|stringData)[\"']?:[ \t]*\{?[ \t]*\r?", re.IGNORECASE)
_ENTRY = re.compile(rb"[\"']?[\w.-]+[\"']?:(?:[ \t]+|$)")
_BLOCK_SCALAR = re.compile(rb"[|>][-+]?\d?")


def kubernetes_spans(text: bytes) -> Iterator[Span]:
    """Values under `data:` and `stringData:` of each document whose kind is Secret, in YAML or indented JSON."""
    start = 0
    for end in [*(found.start() for found in _DOCUMENT_END.finditer(text)), len(text)]:
        if _KIND.search(text, start, end):
            yield from _data_values(text, start, end)
        start = end


def _data_values(text: bytes, start: int, end: int) -> Iterator[Span]:
    depth, shortest, at = -1, 0, start
    for line in text[start:end].splitlines(keepends=True):
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if content and (depth < 0 or indent <= depth):
            header = _DATA.fullmatch(content)
            depth = indent if header else -1
            shortest = 4 if header and header[1].lower() == b"stringdata" else DATA_CHARS_MIN
        elif content:
            yield from _value(content, at + indent, shortest)
        at += len(line)


def _value(content: bytes, at: int, shortest: int) -> Iterator[Span]:
    entry = _ENTRY.match(content)
    if entry:
        at, content = at + entry.end(), content[entry.end() :]
    value = content.rstrip(b",").strip(b"\"'")
    if len(value) >= shortest and not _BLOCK_SCALAR.fullmatch(value) and not is_placeholder(value):
        start = at + content.find(value)
        yield start, start + len(value)


FINDERS: Mapping[str, Callable[[bytes], Iterator[Span]]] = {
    "private-key": private_key_spans,
    "kubernetes-secret-yaml": kubernetes_spans,
}
"""Rules whose pattern only says "look here"; the finder says where the secrets are."""
