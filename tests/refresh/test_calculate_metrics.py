"""Atoms calculated from the rollups of the customers that changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.refresh.history import History

from cdesk.activity.model import Activity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ATOMS = """
SELECT subject || '/' || metric, grain, value::DOUBLE, unit FROM INSIGHT_ATOMS
 WHERE customer = 'ada' AND superseded_by IS NULL AND NOT is_stale ORDER BY ALL"""


def call(number: int, minutes: int = 0, customer: str = "ada", **features: Any) -> Activity:
    return Activity(
        activity_id=str(UUID(int=number)), ts=NOON + timedelta(minutes=minutes), activity="tool_called", customer=customer,
        session_id="s1", source="transcript", feature_json={"tool_name": "Bash", **features},
    )  # fmt: skip


def run(history: History) -> list[int]:
    history.tasks.run("roll_up_activity")
    return history.tasks.run("calculate_metrics", NOON.replace(tzinfo=None))


def test_atoms_say_what_was_used_and_how_well_it_went(history: History) -> None:
    """By the hour and by the day, each with its unit; what has no figure has no atom."""
    history.merge([call(1, success=True, latency_ms=10), call(2, success=False, latency_ms=30)])
    run(history)
    hourly = [
        ("tools/failures", 1, "failures"), ("tools/latency_p95", 30, "ms"), ("tools/success_rate", 50, "percent"),
        ("usage/sessions", 1, "sessions"),
    ]  # fmt: skip
    assert history.rows(ATOMS) == [
        (name, grain, value, unit) for name, value, unit in hourly for grain in ("daily", "hourly")
    ]
    [(derivation,)] = history.rows(
        "SELECT DISTINCT derivation::JSON::VARCHAR FROM INSIGHT_ATOMS WHERE metric = 'latency_p95'"
    )
    assert "tool_called.latency_ms" in derivation and "calculate_metrics" in derivation


def test_calculating_again_changes_nothing(history: History) -> None:
    """The same figure is the same atom: neither a row nor a number more."""
    history.merge([call(1, success=True, latency_ms=10)])
    run(history)
    before = history.rows("SELECT * EXCLUDE (derivation) FROM INSIGHT_ATOMS ORDER BY id")
    history.rows(
        "INSERT INTO METRICS_DUE SELECT DISTINCT valid_from, customer FROM INSIGHT_ATOMS WHERE grain = 'hourly'"
    )
    assert history.tasks.run("calculate_metrics", NOON.replace(tzinfo=None))[:3] == [0, 0, 0]
    assert history.rows("SELECT * EXCLUDE (derivation) FROM INSIGHT_ATOMS ORDER BY id") == before


def test_the_next_hour_supersedes_this_one(history: History) -> None:
    """The earlier atom stays and names the later one, also when it comes late; the day's atom just grows."""
    history.merge([call(1, success=True)])
    run(history)
    history.merge([call(2, minutes=120, success=True)])
    run(history)
    history.merge([call(3, minutes=60, success=False)])
    run(history)
    chain = history.rows("""
        SELECT a.valid_from, b.valid_from FROM INSIGHT_ATOMS AS a JOIN INSIGHT_ATOMS AS b ON a.superseded_by = b.id
         WHERE a.metric = 'failures' AND a.grain = 'hourly' ORDER BY 1""")
    hours = [(NOON + timedelta(hours=n)).replace(tzinfo=None) for n in range(3)]
    assert chain == [(hours[0], hours[1]), (hours[1], hours[2])]
    assert history.rows("SELECT value::DOUBLE FROM INSIGHT_ATOMS WHERE metric = 'failures' AND grain = 'daily'") == [
        (1.0,)
    ]


def test_only_customers_that_changed_are_calculated(history: History) -> None:
    """Another customer's atoms are not written again."""
    history.merge([call(1, success=True), call(2, customer="bob", success=True)])
    run(history)
    before = history.rows("SELECT id, ts, value::DOUBLE FROM INSIGHT_ATOMS WHERE customer = 'bob' ORDER BY id")
    history.merge([call(3, minutes=1, success=False)])
    run(history)
    assert history.rows("SELECT id, ts, value::DOUBLE FROM INSIGHT_ATOMS WHERE customer = 'bob' ORDER BY id") == before


def test_a_figure_that_went_is_stale(history: History) -> None:
    """The last timed call is gone: nobody is told its latency any longer."""
    history.merge([call(1, success=True, latency_ms=10)])
    run(history)
    history.do(("delete", 1))
    run(history)
    assert history.rows("SELECT DISTINCT is_stale FROM INSIGHT_ATOMS WHERE metric = 'latency_p95'") == [(True,)]
