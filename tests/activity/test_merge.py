"""Observations meet in one row, and neither their order nor their number can be seen in it."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.generated import NAMES, SOURCES, START, activities, bare, joined, json_values

from cdesk.activity.merge import PRECEDENCE, fold, join
from cdesk.activity.model import Activity, Features, Source

any_values = st.one_of(st.just(None), json_values)


def seen(name: str, source: Source = "transcript", seconds: float = 0.0, **features: Any) -> Activity:
    return Activity(
        activity_id="0d5a1b0e-0000-8000-8000-000000000000", ts=START + timedelta(seconds=seconds), activity=name,
        customer="ada", feature_json=features, source=source,
    )  # fmt: skip


def meet(*observations: Activity) -> Features:
    """The features of their join, the same in every order."""
    results = {bare(joined(order)) for order in permutations(observations)}
    assert len(results) == 1
    return joined(observations).feature_json


@st.composite
def three_of_one_fact(draw: st.DrawFn) -> tuple[Activity, Activity, Activity]:
    name = draw(st.sampled_from(NAMES))
    one = activities(name, values=draw(st.sampled_from((any_values, st.sampled_from((None, 0, 1, True, 1.0, "a"))))))
    return draw(one), draw(one), draw(one)


# The three laws


@settings(max_examples=300)
@given(three_of_one_fact())
@example((seen("x", x=1), seen("x", x=True), seen("x", x=1.0)))
def test_the_order_of_two_does_not_matter(three: tuple[Activity, Activity, Activity]) -> None:
    """join(a, b) = join(b, a), to the last type and byte."""
    a, b, _ = three
    assert bare(join(a, b)) == bare(join(b, a))


@settings(max_examples=300)
@given(three_of_one_fact())
def test_the_grouping_does_not_matter(three: tuple[Activity, Activity, Activity]) -> None:
    """join(join(a, b), c) = join(a, join(b, c))."""
    a, b, c = three
    assert bare(join(join(a, b), c)) == bare(join(a, join(b, c)))


@given(three_of_one_fact())
def test_repetition_does_not_matter(three: tuple[Activity, Activity, Activity]) -> None:
    """join(a, a) = a, and meeting one again changes nothing."""
    a, b, _ = three
    assert bare(join(a, a)) == bare(a)
    assert bare(join(join(a, b), b)) == bare(join(a, b)) == bare(join(a, join(a, b)))


@given(st.lists(st.sampled_from(NAMES).flatmap(activities), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_one_id_used_for_different_activities_still_gives_one_answer(observations: list[Activity], random: Any) -> None:
    """Callers of `emit` choose their own ids and may choose the same twice."""
    shuffled = random.sample(observations, len(observations))
    assert bare(joined(observations)) == bare(joined(shuffled))


@given(st.data())
def test_the_order_of_sources_does_not_matter(data: st.DataObject) -> None:
    """fold gives the same row whichever source came last."""
    name = data.draw(st.sampled_from(NAMES))
    sources = data.draw(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=4, unique=True))
    observations = [data.draw(activities(name, source=source)) for source in sources]
    shuffled = data.draw(st.permutations(observations))
    assert bare(fold(shuffled)) == bare(fold(observations))


# What wins


def test_the_earliest_time_and_the_larger_values_win() -> None:
    """More is known later: a longer text, a count that went up, an end where there was none."""
    start = seen("tool_called", seconds=1, tool_name="Bash", latency_ms=None)
    end = seen("tool_called", seconds=3, latency_ms=20.0, success=True, error="no")
    longer = seen("tool_called", seconds=2, error="not found")
    expected = {"tool_name": "Bash", "latency_ms": 20.0, "success": True, "error": "not found"}
    assert meet(start, end, longer) == expected
    assert joined((end, longer, start)).ts == start.ts


def test_usage_comes_whole_from_one_line() -> None:
    """Streaming repeats a response with growing counts; a column-wise maximum would mix lines that never were."""
    early = seen("claude_responded", "transcript", 0, total_tokens=10, prompt_tokens=9, completion_tokens=1, model="m")
    final = seen("claude_responded", "transcript", 1, total_tokens=12, prompt_tokens=4, completion_tokens=8, model="m")
    found = meet(early, final)
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (4, 8, 12)
    assert joined((early, final)).ts == final.ts


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        ({"total_tokens": 1, "is_counted": True}, {"total_tokens": 9, "is_counted": False}),
        ({"total_tokens": 1, "is_sidechain": False}, {"total_tokens": 9, "is_sidechain": True}),
        ({"total_tokens": 2}, {"total_tokens": 1}),
        ({"total_tokens": 0}, {"model": "a model without tokens"}),
        ({"total_tokens": 1, "speed": "fast"}, {"total_tokens": 1, "model": "zzz"}),
    ],
    ids=["counted first", "main thread first", "more tokens", "tokens at all", "a known speed"],
)
def test_the_line_that_ccusage_would_count_wins(winner: dict[str, Any], loser: dict[str, Any]) -> None:
    """One rule after the other, in ccusage's order."""
    features = meet(seen("claude_responded", **winner), seen("claude_responded", **loser))
    assert {name: features.get(name) for name in winner} == winner
    assert "model" not in features


def test_what_is_not_usage_is_kept_from_the_losing_line_too() -> None:
    """The side chain's copy may be the only one that has the text."""
    main = seen("claude_responded", total_tokens=5, is_sidechain=False)
    side = seen("claude_responded", total_tokens=9, is_sidechain=True, response_text="hello")
    assert meet(main, side) == {"total_tokens": 5, "is_sidechain": False, "response_text": "hello"}


def test_totals_come_whole_from_the_longest_running_snapshot() -> None:
    """A session's cost state is written again and again; the last stand is the one that counts."""
    early = seen("session_totalled", seconds=1, session_duration_ms=1000, total_cost_usd=9.0, lines_added=3)
    late = seen("session_totalled", seconds=9, session_duration_ms=2000, total_cost_usd=2.0)
    assert meet(early, late) == {"session_duration_ms": 2000, "total_cost_usd": 2.0}


@pytest.mark.parametrize("name", ["claude_responded", "session_totalled"])
@pytest.mark.parametrize("wrong", ["many", [1], {"a": 1}, True, -0.0])
def test_features_of_the_wrong_type_meet_as_well(name: str, wrong: Any) -> None:
    """Anybody may emit anything; comparing a word with a number must not stop the uploader."""
    right = seen(name, total_tokens=5, session_duration_ms=5)
    assert meet(right, seen(name, total_tokens=wrong, session_duration_ms=wrong))


def test_the_best_source_is_seen_and_the_others_fill_its_gaps() -> None:
    """Transcript before telemetry before hook; latency is telemetry's own."""
    transcript = seen("tool_called", "transcript", tool_name="Bash", latency_ms=30.0)
    otel = seen("tool_called", "otel", tool_name="Bash?", latency_ms=20.0, permission_source="config")
    hook = seen("tool_called", "hook", permission_source="hook", permission_mode="plan")
    assert fold([hook, otel, transcript]).feature_json == {
        "tool_name": "Bash", "latency_ms": 20.0, "permission_source": "config", "permission_mode": "plan",
    }  # fmt: skip


def test_every_source_has_its_place() -> None:
    """A source without precedence would depend on the order of arrival."""
    assert set(PRECEDENCE) == set(SOURCES)
