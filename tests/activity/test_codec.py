"""A line proves itself whole: what was written is read back, and anything else is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generated import START, activities, bare, json_values

from cdesk.activity.codec import BadLine, check, decode, encode, pack, seal
from cdesk.activity.model import Activity

SAMPLE = Activity(
    activity_id="0d5a1b0e-0000-8000-8000-000000000000", ts=START, activity="tool_called", customer="ada é 😀",
    feature_json={"tool_name": "Bash", "parameters": {"command": 'echo "}\\n{"'}, "success": True}, source="transcript",
)  # fmt: skip


@given(activities(values=json_values))
def test_what_is_written_is_read_back(activity: Activity) -> None:
    """Every value and type survives."""
    assert bare(decode(encode(activity))) == bare(activity)


@given(activities(values=json_values))
def test_an_activity_is_one_line(activity: Activity) -> None:
    """`tail -f` and every reader count on it: one newline, at the end."""
    line = encode(activity)
    assert line.count(b"\n") == 1 and line.endswith(b'"}\n')
    assert b'"_crc":"' in line and msgspec.json.decode(line)["activity"] == activity.activity


def test_every_changed_byte_is_caught() -> None:
    """All 255 other values at each position of a line."""
    line = encode(SAMPLE)
    check(line)
    for at in range(len(line)):
        changed = bytearray(line)
        for value in range(256):
            changed[at] = value
            if value != line[at]:
                with pytest.raises(BadLine):
                    check(bytes(changed))


def test_every_torn_line_is_caught() -> None:
    """A line that stops short of its last brace is refused; only the newline may be missing."""
    line = encode(SAMPLE)
    for end in range(len(line) - 1):
        with pytest.raises(BadLine):
            check(line[:end])
    check(line[:-1])


@given(activities(values=json_values), st.data())
def test_a_changed_or_cut_line_is_caught(activity: Activity, data: st.DataObject) -> None:
    """Whatever the activity."""
    line = encode(activity)
    at = data.draw(st.integers(0, len(line) - 2))
    flip = data.draw(st.integers(1, 255))
    with pytest.raises(BadLine):
        check(line[:at] + bytes([line[at] ^ flip]) + line[at + 1 :])
    with pytest.raises(BadLine):
        decode(line[:at])


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_never_raise_anything_else(junk: bytes) -> None:
    """Not even when they look like a trailer."""
    with pytest.raises(BadLine):
        check(junk)
    with pytest.raises(BadLine):
        decode(junk + b',"_crc":"00000000"}\n')


@pytest.mark.parametrize(
    "json_object",
    [
        b'{"a":1}',
        pack(SAMPLE).replace(b"tool_called", b"\xff\xfe"),
        pack(SAMPLE).replace(b'"transcript"', b'"nobody"'),
        pack(SAMPLE).replace(b'"2026-', b'"'),
        pack(SAMPLE).replace(b'T12:00:00Z"', b'T12:00:00"'),
        pack(SAMPLE).replace(b'"Bash"', b"[" * 100_000 + b"]" * 100_000),
        pack(SAMPLE).replace(b'"Bash"', b"1e999"),
    ],
    ids=["no activity", "not UTF-8", "unknown source", "no time", "no time zone", "bottomless", "no such number"],
)
def test_a_whole_line_that_is_no_activity_is_refused_with_a_reason(json_object: bytes) -> None:
    """Its check holds, so it was written like that: BadLine says what is wrong with it, and nothing else is raised."""
    line = seal(json_object)
    check(line)
    with pytest.raises(BadLine, match="not an activity"):
        decode(line)
