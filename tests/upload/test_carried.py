"""What was carried may have cost: warehouse time, counted once, and bytes."""

from __future__ import annotations

import pytest

from cdesk.upload.carried import SUSPEND_SECONDS, Carried
from cdesk.warehouse.warehouse import Merged

ONE = Merged(inserted=1)


def test_a_warehouse_stays_awake_after_each_batch() -> None:
    """Batches close together share its waking; far apart, each pays for its own."""
    carried = Carried("copy")
    carried.moved(ONE, 0.0, 10.0)
    assert carried.awake_s == 10.0 + SUSPEND_SECONDS
    carried.moved(ONE, 30.0, 40.0)
    assert carried.awake_s == 40.0 + SUSPEND_SECONDS
    carried.moved(ONE, 1_000.0, 1_010.0)
    assert carried.awake_s == 50.0 + 2 * SUSPEND_SECONDS and (carried.rows, carried.batches) == (3, 3)
    assert carried.credits == pytest.approx(carried.awake_s / 3600)


def test_streaming_pays_for_bytes_and_for_settling() -> None:
    carried = Carried("streaming", bytes_sent=lambda: 2 * 10**9)
    carried.moved(ONE, 0.0, 10.0)
    assert carried.awake_s == 0 and carried.credits == pytest.approx(2 * 0.0037)
    carried.settled(0.0, 3540.0)
    assert carried.credits == pytest.approx(1 + 2 * 0.0037)
