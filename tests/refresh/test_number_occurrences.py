"""activity_occurrence and activity_repeated_at, kept by a task, against numbering everything anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.refresh.history import Command, History, commands

from cdesk.activity.model import Activity

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Making a failing history smaller takes minutes; it is printed as it is."""
NUMBERED = """
SELECT activity_id, activity_occurrence, activity_repeated_at FROM CLAUDE_STREAM_V2 ORDER BY activity_id"""
ANEW = """
SELECT activity_id,
       CASE WHEN coalesce(customer, anonymous_customer_id) IS NOT NULL THEN row_number() OVER w END,
       CASE WHEN coalesce(customer, anonymous_customer_id) IS NOT NULL THEN lead(ts) OVER w END
  FROM CLAUDE_STREAM_V2
WINDOW w AS (PARTITION BY coalesce(customer, anonymous_customer_id), activity ORDER BY ts, activity_id)
 ORDER BY activity_id"""
STATE = "SELECT customer, activity, occurrences, last_ts, last_id FROM OCCURRENCE_STATE ORDER BY ALL"
STATE_ANEW = """
SELECT coalesce(customer, anonymous_customer_id) AS who, activity, count(*), max(ts), max_by(activity_id, (ts, activity_id))
  FROM CLAUDE_STREAM_V2 GROUP BY ALL ORDER BY ALL"""


def check(history: History) -> None:
    history.tasks.run("number_occurrences")
    assert history.rows(NUMBERED) == history.rows(ANEW)
    assert history.rows(STATE) == history.rows(STATE_ANEW)


@settings(deadline=None, max_examples=20, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(commands(), max_size=6), max_size=6))
def test_numbers_are_those_of_counting_anew(history: History, runs: list[list[Command]]) -> None:
    """After any history of new, late, tied, corrected, moved and deleted rows, however it is cut into runs."""
    history.forget()
    for run in runs:
        for command in run:
            history.do(command)
        check(history)


def fact(number: int, at: datetime, name: str = "user_asked", customer: str = "ada") -> Activity:
    return Activity(activity_id=str(UUID(int=number)), ts=at, activity=name, customer=customer, source="transcript",
                    feature_json={})  # fmt: skip


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_row_that_comes_last_costs_itself_and_the_row_before(history: History) -> None:
    """However long the history is, and however long ago the row before."""
    history.merge([fact(n, NOON + timedelta(seconds=n)) for n in range(50)])
    check(history)
    for later in (timedelta(seconds=55), timedelta(days=300)):
        history.merge([fact(100 + later.days, NOON + later)])
        counts = history.tasks.run("number_occurrences")
        assert sum(counts[5:7]) == 2
        assert history.rows(NUMBERED) == history.rows(ANEW)


def test_a_fact_told_again_changes_nothing(history: History) -> None:
    """More features of a row at the same time are no change of the numbers: not even its pair is looked at."""
    history.merge([fact(n, NOON + timedelta(seconds=n)) for n in range(3)])
    check(history)
    history.merge([Activity(activity_id=str(UUID(int=1)), ts=NOON + timedelta(seconds=1), activity="user_asked", customer="ada",
                            source="hook", feature_json={"prompt_text": "more"})])  # fmt: skip
    assert sum(history.tasks.run("number_occurrences")[:7]) == 0
    assert history.rows(NUMBERED) == history.rows(ANEW)


def test_numbers_are_no_news(history: History) -> None:
    """Writing them leaves the numbers of commits as they are, so that no stream tells of it."""
    history.merge([fact(1, NOON)])
    before = history.rows("SELECT _seq, _first_seq FROM CLAUDE_STREAM_V2")
    check(history)
    assert history.rows("SELECT _seq, _first_seq FROM CLAUDE_STREAM_V2") == before
    assert history.rows("SELECT count(*) FROM _STREAM_BEFORE") == [(0,)]


def test_without_anybody_there_is_no_number(history: History) -> None:
    """The machine stands for a customer who is not known; a row of nobody keeps NULL."""
    history.merge([fact(n, NOON) for n in (1, 2, 3)])
    history.rows(
        "UPDATE CLAUDE_STREAM_V2 SET customer = NULL WHERE activity_id < uuid '00000000-0000-0000-0000-000000000003'"
    )
    history.rows("UPDATE CLAUDE_STREAM_V2 SET anonymous_customer_id = 'host' WHERE customer IS NULL AND activity_id >"
                 " uuid '00000000-0000-0000-0000-000000000001'")  # fmt: skip
    check(history)
    assert [row[1] for row in history.rows(NUMBERED)] == [None, 1, 1]
