"""The arithmetic behind the figures: lag, percentiles and stalls from what was acknowledged and committed when."""

from __future__ import annotations

import pytest
from benchmarks.upload import Ack, groups_scanned, lags, percentile, stall

ACKS = [Ack(1.0, 100, 10), Ack(2.0, 200, 20), Ack(3.0, 300, 110)]


def test_lag_ends_with_the_commit_that_covers_the_last_byte() -> None:
    """The first commit covers half of the second append: its events wait for the next one."""
    assert lags(ACKS, [(1.5, 150), (4.0, 300)], 0) == [(0.5, 10), (1.0, 90), (2.0, 10)]


@pytest.mark.parametrize(("share", "lag"), [(0.5, 1.0), (0.95, 2.0), (1.0, 2.0), (0.05, 0.5)])
def test_percentiles_count_events_not_appends(share: float, lag: float) -> None:
    assert percentile([(0.5, 10), (1.0, 90), (2.0, 10)], share) == lag


def test_a_stall_begins_when_something_waits() -> None:
    """Silence before the first append is no stall; the time from the commit at 1.5 to that at 4.0 counts from 2.0."""
    assert stall(ACKS, [(1.5, 100), (4.0, 300)]) == 2.0


def test_row_groups_are_those_of_the_stream() -> None:
    stream = {"extra_info": {"Table": "warehouse.main.CLAUDE_STREAM_V2", "Row Groups Scanned": "2 / 82"}}
    other = {"extra_info": {"Table": "warehouse.main.other", "Row Groups Scanned": "5 / 5"}}
    assert groups_scanned([{"extra_info": {}, "children": [stream, other, stream]}]) == 4
