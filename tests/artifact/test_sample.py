"""The sample of an artifact is at most ten rows and 128 KiB, measured in bytes after cutting."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdesk.artifact.sample import CUT, SAMPLE_BYTES_MAX, SAMPLE_ROWS_MAX, sample

CELLS: st.SearchStrategy[Any] = st.none() | st.integers() | st.text() | st.integers(1, 60_000).map("€".__mul__)


def size(rows: Any) -> int:
    return len(msgspec.json.encode(rows))


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=15))
@settings(max_examples=40, deadline=None)
def test_it_is_small_whatever_the_rows(rows: list[list[Any]]) -> None:
    found = sample(rows)
    assert size(found) <= SAMPLE_BYTES_MAX and len(found) <= SAMPLE_ROWS_MAX
    if size(rows[:SAMPLE_ROWS_MAX]) <= SAMPLE_BYTES_MAX:
        assert found == rows[:SAMPLE_ROWS_MAX]


def test_texts_are_cut_before_rows_are_left_out() -> None:
    found = sample([["x" * 50_000, 1]] * 12)
    assert found == [["x" * 100 + CUT, 1]] * 10


@pytest.mark.parametrize(("columns", "rows"), [(200, 10), (600, 6), (5_000, 0)])
def test_rows_are_left_out_when_cutting_is_not_enough(columns: int, rows: int) -> None:
    """A row of 5,000 texts is over the limit by itself."""
    found = sample([["ä" * 101] * columns] * 10)
    assert len(found) <= rows and size(found) <= SAMPLE_BYTES_MAX
    assert (len(found) == 0) == (rows == 0)


def test_what_is_nested_is_cut_as_its_text() -> None:
    [[found]] = sample([[["long" * 50_000]]])
    assert isinstance(found, str) and found.startswith('["long') and len(found) == 101
