"""Insights are found by what they say and of what, and each can say where it is known from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.refresh.history import History
from tests.refresh.test_record_insights import corrected, recorded, run, uid
from tests.surface.page_service import held

from cdesk.errors import UsageError
from cdesk.query.insights import Insights

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def insights(history: History, at: datetime = NOON + timedelta(hours=1)) -> Insights:
    return Insights(history.warehouse, clock=held(at))


def ids(history: History, text: str = "", **given: Any) -> list[str]:
    return [one.id for one in insights(history).find(text, **given)]


def test_they_are_found_by_words_most_words_first(history: History) -> None:
    """Of statement, subject and metric, whatever the case; the surer one first where they fit alike."""
    run(history, recorded(1, "make ci", statement="The tests take long."),
        recorded(2, "nox", "person", subject="build", statement="The build runs the Tests."),
        recorded(3, 1, subject="deploy", metric="owner", statement="Ann deploys."))  # fmt: skip
    assert ids(history, "BUILD tests") == [uid(2), uid(1)]
    assert ids(history, "owner") == [uid(3)] and ids(history, "nobody") == []
    assert ids(history) == [uid(2), uid(3), uid(1)]
    assert ids(history, count=1) == [uid(2)]


def test_they_are_found_by_what_they_are_of(history: History) -> None:
    """Subject, metric, project, customer and when they changed."""
    run(history, recorded(1), recorded(2, subject="build"), recorded(3, metric="owner"), recorded(4, project_path="/q"),
        recorded(5, customer="bob"))  # fmt: skip
    assert ids(history, subject="Build") == [uid(2)] and ids(history, metric="owner") == [uid(3)]
    assert ids(history, project_path="/q") == [uid(4)] and ids(history, customer="bob") == [uid(5)]
    assert ids(history, since=datetime(2026, 3, 2)) == []
    assert len(ids(history, since=datetime(2026, 2, 1))) == 5


def test_what_is_not_valid_is_found_when_asked_for(history: History) -> None:
    """With the reason why it is not told."""
    run(history, recorded(1), recorded(2), recorded(3, subject="a", valid_until="2026-03-01T12:30:00Z"),
        recorded(4, subject="b"), corrected(5, 4, "silence"), recorded(6, subject="c"))  # fmt: skip
    history.rows(f"UPDATE INSIGHT_ATOMS SET is_quarantined = TRUE WHERE id = '{uid(6)}'")
    assert ids(history) == [uid(2)]
    assert {one.id: one.state for one in insights(history).find(is_all=True)} == {
        uid(1): "superseded", uid(2): "valid", uid(3): "expired", uid(4): "silenced", uid(6): "quarantined"}  # fmt: skip


def test_an_insight_is_explained_with_evidence_and_kin(history: History) -> None:
    """The activities as rows, those that are not there, what it supersedes and what contradicts it, and what was said."""
    run(history, recorded(1), recorded(2, "make ci", evidence=[uid(1), "nonsense", uid(99)]),
        recorded(3, "nox", "person"), corrected(4, 2, "silence", reason="loud"), corrected(5, 2, "restore"))  # fmt: skip
    found = insights(history).explain(uid(2))
    assert [(one.activity, one.says) for one in found.evidence] == [("insight_recorded", "Tests run with make test.")]
    assert found.missing == ["nonsense", uid(99)]
    assert [one.id for one in found.supersedes] == [uid(1)] and found.superseded_by is None
    assert [one.id for one in found.contradicts] == [uid(3)] and found.insight.confidence == 0.35
    assert [(one.action, one.reason) for one in found.said_later] == [("silence", "loud"), ("restore", None)]
    assert found.derivation["task"] == "record_insights"
    first = insights(history).explain(uid(1))
    assert first.superseded_by is not None and first.superseded_by.id == uid(2)


def test_an_atom_nobody_put_into_words_is_put_into_words(history: History) -> None:
    """A figure, with its unit and since when."""
    history.rows("""
INSERT INTO INSIGHT_ATOMS (id, ts, customer, subject, metric, value, unit, grain, confidence, derivation_method, valid_from)
VALUES ('m', '2026-03-01', 'ada', 'usage', 'cost_usd', '2.5'::JSON::VARIANT, 'usd', 'daily', 1, 'aggregate_calculation', '2026-03-01')""")
    assert [one.statement for one in insights(history).find()] == [
        "usage cost_usd is 2.5 usd, daily from 2026-03-01 00:00."
    ]


def test_the_beginning_of_an_id_is_enough_if_it_is_one_alone(history: History) -> None:
    run(history, recorded(1), recorded(2, subject="b"))
    history.rows(f"UPDATE INSIGHT_ATOMS SET id = 'abc' WHERE id = '{uid(1)}'")
    history.rows(f"UPDATE INSIGHT_ATOMS SET id = 'abcd' WHERE id = '{uid(2)}'")
    desk = insights(history)
    assert (desk.whole_id("ABC"), desk.whole_id("abcd")) == ("abc", "abcd")
    for beginning, said in (("ab", "several"), ("x", "no insight"), ("", "no insight"), ("\0", "no insight")):
        with pytest.raises(UsageError, match=said):
            desk.whole_id(beginning)
