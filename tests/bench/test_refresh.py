"""When an event counts as taken in by every task."""

from __future__ import annotations

import pytest
from benchmarks.refresh import _done, _waits
from benchmarks.upload import Ack, percentile


def test_an_event_is_done_when_the_last_task_has_seen_it() -> None:
    """Figures count from a run that began after the rollups it reads were committed."""
    commits = [[1.0, 100, 1], [2.0, 200, 2]]
    turns = [
        ["number_occurrences", 1.1, 1.2, 1, True],
        ["refresh_context_inputs", 1.1, 1.3, 1, True],
        ["record_insights", 1.1, 1.2, 1, True],
        ["note_signals", 1.1, 1.4, 1, True],
        ["roll_up_activity", 1.2, 1.5, 1, True],
        ["calculate_metrics", 1.4, 1.6, 1, True],  # it began before the rollups were there
        ["calculate_metrics", 1.6, 1.7, 1, True],
        ["clean_artifacts", 1.6, 1.7, 9, True],
    ]
    done = _done(commits, turns)
    assert max(done["everything"]) == (1.7, 100)
    [(waited, events)] = _waits([Ack(0.9, 90, 10)], done["everything"], 0)
    assert waited == pytest.approx(0.8) and events == 10
    assert percentile(_waits([Ack(0.9, 90, 10)], done["roll_up_activity"], 0), 0.95) == pytest.approx(0.6)
