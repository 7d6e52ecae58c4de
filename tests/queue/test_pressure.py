"""The level follows the depth, up at once and down with patience, and outlives its process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.queue.lines import Hands

from cdesk.config import PressureSettings
from cdesk.queue.depth import Depth
from cdesk.queue.pressure import Change, Level, Pressure, Thresholds, level_at

LIMITS = Thresholds(bytes=(100, 200, 400), events=(10, 20, 40), age_s=(60, 120, 240), falls_at=0.5, calm_s=10)
EMPTY = Depth(0, 0, 0.0)


def bytes_(count: int) -> Depth:
    return Depth(count, 0, 0.0)


@pytest.mark.parametrize(
    ("depth", "level"),
    [
        (EMPTY, Level.NORMAL),
        (Depth(99, 9, 59.9), Level.NORMAL),
        (Depth(100, 0, 0.0), Level.ELEVATED),
        (Depth(0, 20, 0.0), Level.HIGH),
        (Depth(0, 0, 240.0), Level.CRITICAL),
        (Depth(100, 20, 240.0), Level.CRITICAL),
    ],
)
def test_any_measure_is_enough(depth: Depth, level: Level) -> None:
    """The highest that any of bytes, events and age reaches."""
    assert level_at(depth, LIMITS) is level


def test_it_rises_at_once_and_over_several_levels(tmp_path: Path) -> None:
    pressure = Pressure(tmp_path, LIMITS, clock=Hands().clock)
    change = pressure.observe(bytes_(400))
    assert change is not None and (change.before, change.after) == (Level.NORMAL, Level.CRITICAL)
    assert pressure.level is Level.CRITICAL
    assert pressure.observe(bytes_(500)) is None


def test_it_falls_only_well_below_and_after_calm(tmp_path: Path) -> None:
    """Below the threshold is not enough, nor is a moment; a rise in between begins the calm anew."""
    hands = Hands()
    pressure = Pressure(tmp_path, LIMITS, clock=hands.clock)
    pressure.observe(bytes_(100))
    hands.pass_(60)
    assert pressure.observe(bytes_(60)) is None and pressure.level is Level.ELEVATED
    assert pressure.observe(bytes_(10)) is None
    hands.pass_(9)
    assert pressure.observe(bytes_(10)) is None
    assert pressure.observe(bytes_(60)) is None
    hands.pass_(5)
    assert pressure.observe(bytes_(10)) is None
    hands.pass_(10)
    change = pressure.observe(bytes_(10))
    assert change is not None and (change.before, change.after) == (Level.ELEVATED, Level.NORMAL)


@given(st.lists(st.integers(51, 149), min_size=1, max_size=50))
def test_swinging_around_a_threshold_changes_nothing(swings: list[int]) -> None:
    """Hysteresis: once up, a depth between half the threshold and it keeps the level, however long."""
    import tempfile

    hands = Hands()
    with tempfile.TemporaryDirectory() as folder:
        pressure = Pressure(Path(folder), LIMITS, clock=hands.clock)
        changes: list[Change] = []
        for swing in swings:
            hands.pass_(11)
            if (change := pressure.observe(bytes_(swing))) is not None:
                changes.append(change)
    assert len(changes) <= 1


def test_a_level_outlives_its_process_once_it_was_told(tmp_path: Path) -> None:
    """Not remembered: the next process finds the change again, and tells it. Remembered: it goes on from there."""
    hands = Hands()
    Pressure(tmp_path, LIMITS, clock=hands.clock).observe(bytes_(400))
    pressure = Pressure(tmp_path, LIMITS, clock=hands.clock)
    assert pressure.level is Level.NORMAL
    pressure.observe(bytes_(400))
    pressure.remember()
    again = Pressure(tmp_path, LIMITS, clock=hands.clock)
    assert again.level is Level.CRITICAL and again.observe(bytes_(400)) is None


@pytest.mark.parametrize("damage", [b"", b"{", b'{"level":"mad","since_ns":1}', b"\xff\xfe"])
def test_a_damaged_memory_is_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "pressure.json").write_bytes(damage)
    assert Pressure(tmp_path, LIMITS).level is Level.NORMAL


def test_bytes_are_in_proportion_to_the_budget_unless_given() -> None:
    """A small budget is pressed sooner."""
    assert Thresholds.of(PressureSettings(), 1_000).bytes == (250.0, 500.0, 800.0)
    assert Thresholds.of(PressureSettings(bytes=(1, 2, 3)), 1_000).bytes == (1, 2, 3)
