"""The few rows of an artifact that its row in the warehouse shows: at most SAMPLE_ROWS_MAX, and never over SAMPLE_BYTES_MAX.

Measured as bytes of JSON, after cutting: first long texts are cut, then rows are left out from the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cdesk.activity.model import JSON

SAMPLE_ROWS_MAX = 10
SAMPLE_BYTES_MAX = 128 * 1024
TEXT_CHARACTERS_MAX = 100
CUT = "…"


def sample(rows: Sequence[Sequence[JSON]]) -> list[list[JSON]]:
    """[] when not even one row fits."""
    shown = [list(row) for row in rows[:SAMPLE_ROWS_MAX]]
    if _size(shown) > SAMPLE_BYTES_MAX:
        shown = [[_cut(value) for value in row] for row in shown]
    while shown and _size(shown) > SAMPLE_BYTES_MAX:
        shown.pop()
    return shown


def _cut(value: JSON) -> JSON:
    """What is nested is shown as its text, so that it can be cut, too."""
    if isinstance(value, list | dict):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS_MAX:
        return value[:TEXT_CHARACTERS_MAX] + CUT
    return value


def _size(rows: list[list[JSON]]) -> int:
    return len(msgspec.json.encode(rows))
