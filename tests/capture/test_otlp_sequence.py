"""Lost events are noticed by their numbers; repeats, delays and restarts are not losses."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from cdesk.capture.otlp.sequence import GRACE_S, HOLES_MAX, SESSIONS_MAX, Gap, Sequences

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def at(number: int, minutes: float = 0) -> datetime:
    return START + timedelta(minutes=minutes, milliseconds=number)


def observe(sequences: Sequences, numbers: list[int], session: str = "s", minutes: float = 0, now: float = 0.0) -> None:
    for number in numbers:
        sequences.observe("i", session, number, at(number, minutes), now)


def test_a_hole_is_a_gap_once_nobody_can_fill_it() -> None:
    """Told once, after the time in which it may still come."""
    sequences = Sequences()
    observe(sequences, [0, 1, 2, 5, 6])
    assert sequences.due(GRACE_S - 1) == []
    assert sequences.due(GRACE_S) == [Gap("s", 3, 5, at(5))]
    assert sequences.due(GRACE_S) == [] and sequences.pending() == 0


def test_repeats_and_disorder_are_no_gaps() -> None:
    """Exports told twice and in any order, within the time allowed."""
    numbers = list(range(40)) * 2
    random.Random(1).shuffle(numbers)
    sequences = Sequences()
    observe(sequences, [0, *numbers])
    assert sequences.due(GRACE_S) == []


def test_a_late_record_fills_its_part_of_the_hole() -> None:
    """The rest stays missing."""
    sequences = Sequences()
    observe(sequences, [0, 5, 2])
    assert sequences.due(GRACE_S) == [Gap("s", 1, 2, at(5)), Gap("s", 3, 5, at(5))]


def test_a_resumed_session_counts_from_nothing_again() -> None:
    """Another process, another count."""
    sequences = Sequences()
    observe(sequences, list(range(10)))
    observe(sequences, list(range(5)), minutes=10)
    assert sequences.due(1e9) == []
    observe(sequences, [7], minutes=10)
    assert sequences.due(1e9) == [Gap("s", 5, 7, at(7, 10))]


def test_a_process_goes_on_in_another_session() -> None:
    """`/clear` begins a session and keeps counting; a hole right after it is seen."""
    sequences = Sequences()
    observe(sequences, [0, 1, 2], "a")
    observe(sequences, [3, 4], "b")
    observe(sequences, [7], "b")
    assert sequences.due(1e9) == [Gap("b", 5, 7, at(7))]


def test_what_was_before_the_first_record_is_unknown() -> None:
    """A service that starts in the middle of a session raises no alarm."""
    sequences = Sequences()
    observe(sequences, [500, 501])
    assert sequences.due(1e9) == []


def test_two_sessions_at_once_do_not_mix() -> None:
    """Each process has its own count, even when they take turns."""
    sequences = Sequences()
    for number in range(20):
        observe(sequences, [number], "a")
        observe(sequences, [number], "b")
    assert sequences.due(1e9) == []


def test_memory_is_bounded() -> None:
    """Many sessions and many holes: the oldest are told early or forgotten, never kept for good."""
    sequences = Sequences()
    for session in range(2 * SESSIONS_MAX):
        observe(sequences, [0, 2], str(session))
    assert sequences.pending() == 2 * SESSIONS_MAX
    assert len(sequences.due(0)) == SESSIONS_MAX
    observe(sequences, [4 * number for number in range(3 * HOLES_MAX)], "holes")
    assert len(sequences.due(0)) == 2 * HOLES_MAX  # and that of the session this one pushed out
    sequences.observe("i", "holes", 2**53 - 1, at(10_000), 0)
    assert sequences.due(1e9)[-1].got == 2**53 - 1
