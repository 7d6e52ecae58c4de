"""What is left out under pressure: words first, then facts of low value, and nothing else, whoever tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdesk.activity.catalog import CATALOG
from cdesk.activity.identity import activity_id
from cdesk.activity.merge import join
from cdesk.activity.model import Activity, Source
from cdesk.capture.relief import ITEMS_MAX, LOW_VALUE, Relief, is_kept, shrink
from cdesk.capture.shorten import shorten, shorten_further
from cdesk.config import PressureSettings
from cdesk.queue.pressure import Level

SETTINGS = PressureSettings(text_characters_max=100, keep_one_in=(10, 100))


def fact(name: str, n: int = 0, source: Source = "hook", **features: Any) -> Activity:
    return Activity(
        activity_id=activity_id("given", str(n)), ts=datetime(2026, 1, 1, tzinfo=UTC), activity=name, customer="ada",
        feature_json=features, source=source,
    )  # fmt: skip


def relief(level: Level) -> Relief:
    return Relief(SETTINGS, lambda: level)


@pytest.mark.parametrize("level", Level)
def test_what_matters_is_never_left_out(level: Level) -> None:
    """Whatever the catalog knows and is not named low-value, and whatever it does not know."""
    names = [*(CATALOG.keys() - LOW_VALUE), "deployed"]
    told = [fact(name, n) for name in names for n in range(20)]
    assert list(relief(level).apply(told)) == told


def test_low_value_names_are_real() -> None:
    """A typing mistake here would be without effect."""
    assert CATALOG.keys() >= LOW_VALUE


@pytest.mark.parametrize(
    ("level", "one_in"), [(Level.NORMAL, 1), (Level.ELEVATED, 1), (Level.HIGH, 10), (Level.CRITICAL, 100)]
)
def test_low_value_facts_are_sampled_by_their_id(level: Level, one_in: int) -> None:
    """All sources keep the same ones, and a lower level keeps those of a higher one too."""
    told = [fact("hook_ran", n) for n in range(5_000)]
    gate = relief(level)
    kept = list(gate.apply(told))
    assert len(kept) == pytest.approx(5_000 / one_in, rel=0.3)
    assert gate.sampled == 5_000 - len(kept)
    others = relief(level).apply(fact("hook_ran", n, source="otel") for n in range(5_000))
    assert [seen.activity_id for seen in others] == [seen.activity_id for seen in kept]
    assert {seen.activity_id for seen in relief(Level.CRITICAL).apply(told)} <= {seen.activity_id for seen in kept}
    assert all(gate.leaves_out(seen) != is_kept(seen, one_in) for seen in told[:50])


@pytest.mark.parametrize("level", Level)
def test_transcripts_and_our_own_words_are_whole(level: Level) -> None:
    """The one can wait, the other says what is left out."""
    told = [
        fact("line_kept", n, source=source, line="x" * 500) for n in range(50) for source in ("transcript", "cdesk")
    ]
    assert list(relief(level).apply(told)) == told


def test_words_are_cut_and_say_by_how_much() -> None:
    """Ids, names, paths and figures stay; nothing cut is the same object."""
    gate = relief(Level.ELEVATED)
    told = fact("tool_called", tool_name="x" * 200, tool_use_id="y" * 200, result_size=5, project_path="/p" * 300,
                parameters={"command": "c" * 150, "nested": [{"deep": "d" * 101}], "n": 1})  # fmt: skip
    [cut] = gate.apply([told])
    expected: dict[str, Any] = {
        **told.feature_json,
        "parameters": {"command": "c" * 100 + "… [50 more characters]",
                       "nested": [{"deep": "d" * 100 + "… [1 more characters]"}], "n": 1},
    }  # fmt: skip
    assert cut.feature_json == expected
    assert gate.shrunk == 1
    small = fact("tool_called", tool_name="Bash", parameters={"command": "ls"})
    assert shrink(small, 100) is small


def test_long_lists_of_activities_handed_in_are_cut() -> None:
    """The catalog knows none of their features."""
    cut = shrink(fact("deployed", hosts=list(range(1_000)), note="n" * 101), 100)
    assert cut.feature_json == {
        "hosts": [*range(ITEMS_MAX), "… [950 more items]"], "note": "n" * 100 + "… [1 more characters]",
    }  # fmt: skip


@given(st.integers(0, 5_000), st.integers(0, 3_000), st.integers(0, 3_000))
def test_a_text_cut_twice_counts_from_the_first(length: int, first: int, second: int) -> None:
    """As if it had been cut once."""
    text = "x" * length
    assert shorten_further(shorten(text, first), second) == shorten(text, min(first, second)) or (
        len(shorten(text, first)) <= second or first <= second
    )


def test_the_whole_text_wins_when_it_comes_later() -> None:
    """What was cut under pressure is mended by who tells it whole."""
    whole = fact("user_asked", prompt_text="w" * 5_000, prompt_kind="human")
    cut = shrink(whole, 100)
    assert join(whole, cut).feature_json == join(cut, whole).feature_json == whole.feature_json
