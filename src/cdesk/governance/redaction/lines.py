"""Reads one raw JSON line without building it: unescapes it for scanning, and rewrites single strings in place.

Working on the bytes keeps everything that is not a secret exactly as it was: key order, duplicate keys, number
formatting, spacing. A line that is not valid JSON (cut off, say) is still rewritten string by string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from cdesk.governance.redaction.field import flag_name

_ESCAPES = (
    (rb"\n", b"\n"),
    (rb"\t", b"\t"),
    (rb"\r", b"\r"),
    (rb"\"", b'"'),
    (rb"\/", b"/"),
)
_UNICODE_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")


def unescaped(raw: bytes) -> bytes:
    """The line with its string escapes resolved, quotes and all; for scanning only, it is no longer JSON."""
    if b"\\" not in raw:
        return raw
    body = raw.replace(rb"\\", rb"\u005c").replace(rb"\"", b'"').replace(b'"', rb"\"")
    try:
        return _string_decoder.decode(b'"' + body + b'"').encode()
    except (msgspec.DecodeError, UnicodeError):  # an escape JSON does not have, or half a surrogate pair
        return b"\\".join(map(_resolved, raw.split(rb"\\")))


_string_decoder = msgspec.json.Decoder(str)


def _resolved(part: bytes) -> bytes:
    if b"\\" not in part:
        return part
    for escape, char in _ESCAPES:
        part = part.replace(escape, char)
    if rb"\u" in part:
        part = _UNICODE_ESCAPE.sub(_char, part)
    return part


def _char(escape: re.Match[bytes]) -> bytes:
    return chr(int(escape[1], 16)).encode("utf-8", "surrogatepass")


_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)(\s*+:)?|[{}\[\]]', re.DOTALL)


def rewritten(raw: bytes, redact: Callable[[str | None, str], str]) -> bytes:
    """The line with each string put through redact(key, string); keys are put through with key None.

    A list's strings have the list's key, or the flag before them: in ["--token", "abc"], "abc" has the key "token".
    """
    out: list[bytes] = []
    at = 0
    levels: list[_Level] = [_Level(None, in_list=False)]
    for token in _TOKEN.finditer(raw):
        string = token[1]
        if string is None:
            _step(levels, token[0])
            continue
        changed = _string(string, token[2] is not None, levels[-1], redact)
        if changed is not None:
            out += (raw[at : token.start(1)], changed)
            at = token.end(1)
    out.append(raw[at:])
    return b"".join(out)


class _Level:
    """One open object or list: the key its next string has, and the key a list was given."""

    __slots__ = ("given", "in_list", "key")

    def __init__(self, key: str | None, in_list: bool) -> None:
        self.key, self.given, self.in_list = key, key, in_list


def _step(levels: list[_Level], bracket: bytes) -> None:
    if bracket == b"{":
        levels.append(_Level(None, in_list=False))
    elif bracket == b"[":
        levels.append(_Level(levels[-1].key, in_list=True))
    elif len(levels) > 1:
        levels.pop()


def _string(string: bytes, is_key: bool, level: _Level, redact: Callable[[str | None, str], str]) -> bytes | None:
    text = _loaded(string)
    redacted = redact(None if is_key else level.key, text)
    if is_key:
        level.key = text
    elif level.in_list:
        level.key = flag_name(text) or level.given
    return None if redacted == text else _dumped(redacted)


def _loaded(string: bytes) -> str:
    text = string.decode("utf-8", "replace")
    if "\\" not in text:
        return text.strip('"')
    try:
        return str(_lenient.decode(text))
    except json.JSONDecodeError:  # cut off, or an escape JSON does not have
        return unescaped(string.strip(b'"')).decode("utf-8", "replace")


_lenient = json.JSONDecoder(strict=False)


def _dumped(text: str) -> bytes:
    try:
        return json.dumps(text, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # lone surrogates can only be written escaped
        return json.dumps(text).encode()
