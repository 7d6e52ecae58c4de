r"""An activity as one NDJSON line, readable with `tail -f`, that proves itself whole.

    {"activity_id":"…","ts":"2026-11-23T09:13:29.517Z",…,"feature_json":{…},"_crc":"9f3a1c2b"}\n

`_crc` is always the last key: CRC-32 (zlib's polynomial) of every byte before its comma, eight hex digits.
A line torn by a crash, or overwritten in the middle, fails the check and is kept aside, never loaded.
"""

from __future__ import annotations

from zlib import crc32

import msgspec

from cdesk.activity.model import Activity, RawActivity

_TRAILER = len(b',"_crc":"00000000"}\n')
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Activity)
_raw_decoder = msgspec.json.Decoder(RawActivity)


class BadLine(ValueError):
    """The line is torn, altered, or not an activity; `str()` says which."""


def encode(activity: Activity) -> bytes:
    """One line, newline included."""
    return seal(pack(activity))


def pack(activity: Activity) -> bytes:
    """The activity as a JSON object, not yet a line."""
    return _encoder.encode(activity)


def seal(json_object: bytes) -> bytes:
    """`json_object` (a non-empty JSON object without trailing space) as a line that proves itself whole."""
    body = json_object[:-1]
    return b'%s,"_crc":"%08x"}\n' % (body, crc32(body))


def check(line: bytes) -> None:
    """Raises BadLine unless the line's own check holds. The newline may be missing."""
    if not is_whole(line) and not is_whole(line + b"\n"):
        raise BadLine("the line's checksum does not match: it is torn or was altered")


def is_whole(line: bytes) -> bool:
    """Whether the line, with its newline, proves itself."""
    return line[-_TRAILER:] == b',"_crc":"%08x"}\n' % crc32(line[:-_TRAILER]) and len(line) > _TRAILER


def decode(line: bytes) -> Activity:
    """Raises BadLine when the check fails or the JSON is not an activity."""
    check(line)
    return decode_body(line)


def decode_body(line: bytes) -> Activity:
    """The activity of a line whose check somebody has decided to do without. Raises BadLine."""
    try:
        activity = _decoder.decode(line)
    except (ValueError, RecursionError) as error:  # msgspec's own failures, text that is not UTF-8, bottomless nesting
        raise BadLine(f"not an activity: {error}") from None
    if activity.ts.tzinfo is None:
        raise BadLine("not an activity: ts has no time zone")
    return activity


def decode_raw(line: bytes) -> Activity | RawActivity:
    """As `decode_body`, with the features left as they are where they begin as an object does."""
    try:
        activity = _raw_decoder.decode(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not an activity: {error}") from None
    if activity.ts.tzinfo is None:
        raise BadLine("not an activity: ts has no time zone")
    return activity if bytes(activity.feature_json).startswith(b"{") else decode_body(line)
