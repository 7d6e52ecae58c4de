"""Atoms of what Claude and people recorded: superseded, contradicted, expired, silenced and corrected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.refresh.history import TIMES, History

from cdesk.activity.model import Activity

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)
ATOM = """
SELECT value::JSON::VARCHAR, confidence, superseded_by, coalesce(is_silenced, FALSE), derivation::JSON::VARCHAR, valid_until
  FROM INSIGHT_ATOMS WHERE id = '{}'"""
ALL = "SELECT * REPLACE (derivation::JSON::VARCHAR AS derivation, value::JSON::VARCHAR AS value) FROM INSIGHT_ATOMS ORDER BY id"


def uid(number: int) -> str:
    return str(UUID(int=number))


def said(number: int, activity: str, minutes: float, customer: str = "ada", **features: Any) -> Activity:
    return Activity(
        activity_id=uid(number), ts=NOON + timedelta(minutes=minutes), activity=activity, customer=customer,
        source="api", feature_json={"project_path": "/p", **features},
    )  # fmt: skip


def recorded(number: int, value: Any = "make test", author: str | None = "claude", minutes: float | None = None,
             **features: Any) -> Activity:  # fmt: skip
    told = {"subject": "tests", "metric": "command", "statement": f"Tests run with {value}.", "value": value}
    return said(
        number, "insight_recorded", number if minutes is None else minutes, **{**told, "author": author, **features}
    )


def corrected(
    number: int, atom: int | str, action: str, author: str = "person", customer: str = "ada", **features: Any
) -> Activity:
    atom_id = uid(atom) if isinstance(atom, int) else atom
    return said(
        number, "insight_corrected", number, customer, atom_id=atom_id, action=action, author=author, **features
    )


def run(history: History, *activities: Activity) -> list[int]:
    history.merge(activities)
    return history.tasks.run("record_insights", NAIVE)


@dataclass
class Atom:
    value: Any
    confidence: float
    superseded_by: str | None
    is_silenced: bool
    derivation: dict[str, Any]
    valid_until: datetime


def atom(history: History, number: int) -> Atom:
    [row] = history.rows(ATOM.format(uid(number)))
    return Atom(row[0] and msgspec.json.decode(row[0]), row[1], row[2], row[3], msgspec.json.decode(row[4]), row[5])


def test_a_recording_is_an_atom_that_says_where_it_comes_from(history: History) -> None:
    """Its id is the activity's; a person is believed more than Claude; without a time it holds for 90 days."""
    run(history, recorded(1, evidence=[uid(7), uid(8)]), recorded(2, 12.5, "person", subject="build", unit="s"))
    one, two = atom(history, 1), atom(history, 2)
    assert (one.value, one.confidence, one.superseded_by, one.is_silenced) == ("make test", 0.7, None, False)
    assert one.derivation == {
        "task": "record_insights", "method": "recorded", "activity": uid(1), "author": "claude", "project_path": "/p",
        "statement": "Tests run with make test.", "evidence": [uid(7), uid(8)],
    }  # fmt: skip
    assert (two.value, two.confidence) == (12.5, 0.95)
    assert one.valid_until == NAIVE + timedelta(days=90, minutes=1)
    assert history.rows("SELECT DISTINCT derivation_method, valid_from::DATE::VARCHAR FROM INSIGHT_ATOMS") == [
        ("recorded", "2026-03-01")
    ]


def test_a_newer_one_of_the_same_thing_supersedes(history: History) -> None:
    """Also when the earlier one comes late; another project, grain or customer is another thing."""
    run(history, recorded(3, "make ci"))
    run(history, recorded(1), recorded(4, "nox", project_path="/q"), recorded(5, "nox", grain="daily"),
        recorded(6, "nox", customer="bob"))  # fmt: skip
    assert [atom(history, n).superseded_by for n in (1, 3, 4, 5, 6)] == [uid(3), None, None, None, None]


def test_another_author_contradicts_while_the_first_is_valid(history: History) -> None:
    """Both stay and name each other, with half of their confidence; who says the same agrees, and supersedes."""
    run(history, recorded(1), recorded(2, "make ci", "person"))
    one, two = atom(history, 1), atom(history, 2)
    assert (one.superseded_by, two.superseded_by) == (None, None)
    assert (one.derivation["contradicts"], two.derivation["contradicts"]) == ([uid(2)], [uid(1)])
    assert (one.confidence, two.confidence) == (0.35, 0.475)
    run(history, recorded(3, "make ci"))
    assert [atom(history, n).superseded_by for n in (1, 2, 3)] == [uid(3), uid(3), None]
    assert atom(history, 3).confidence == 0.7 and "contradicts" not in atom(history, 3).derivation


def test_what_has_expired_is_not_contradicted(history: History) -> None:
    """It is superseded."""
    run(history, recorded(1, valid_until="2026-03-01T12:30:00Z"), recorded(2, "make ci", "person", minutes=30))
    assert (atom(history, 1).superseded_by, atom(history, 2).confidence) == (uid(2), 0.95)


def test_one_may_replace_another_by_name(history: History) -> None:
    """Whatever that was about."""
    run(history, recorded(1), recorded(2, "green", subject="colour", replaces=uid(1)))
    assert atom(history, 1).superseded_by == uid(2)


def test_people_silence_restore_and_correct(history: History) -> None:
    """Of silence and restore the latest stands; a correction is an atom of its own; Claude may do none of it."""
    run(history, recorded(1), corrected(2, 1, "silence"), corrected(3, 1, "correct", "claude", statement="No."))
    assert atom(history, 1).is_silenced and atom(history, 1).superseded_by is None
    run(history, corrected(5, 1, "restore"), corrected(4, 1, "silence", reason="wrong"))
    assert not atom(history, 1).is_silenced
    run(history, corrected(7, 6, "correct", statement="Tests run with nox."))
    assert history.rows("SELECT count(*) FROM INSIGHT_ATOMS") == [(1,)]
    run(history, corrected(6, 1, "correct", value="tox", reason="moved"))
    six, seven = atom(history, 6), atom(history, 7)
    assert (atom(history, 1).superseded_by, six.superseded_by, seven.superseded_by) == (uid(6), uid(7), None)
    assert (six.value, six.derivation["statement"], six.derivation["reason"]) == (
        "tox", "Tests run with make test.", "moved")  # fmt: skip
    assert (seven.value, seven.derivation["statement"], seven.derivation["author"], seven.confidence) == (
        "tox", "Tests run with nox.", "person", 0.95)  # fmt: skip


def test_of_other_atoms_all_can_be_silenced_and_detected_ones_corrected(history: History) -> None:
    """And when that is taken back, they are as they were."""
    for id_, method in (("d1", "detected"), ("m1", "aggregate_calculation")):
        history.rows(f"""
INSERT INTO INSIGHT_ATOMS (id, ts, customer, subject, metric, derivation_method, derivation, valid_from)
VALUES ('{id_}', '2026-03-01', 'ada', 'commands', 'flaky', '{method}', '{{"project_path": "/p"}}'::JSON::VARIANT, '2026-03-01')""")
    state = (
        "SELECT id, coalesce(is_silenced, FALSE), superseded_by FROM INSIGHT_ATOMS WHERE id IN ('d1', 'm1') ORDER BY id"
    )
    run(history, corrected(1, "d1", "silence"), corrected(2, "m1", "silence"), corrected(3, "d1", "correct", statement="No."),
        corrected(4, "m1", "correct", statement="No."))  # fmt: skip
    assert history.rows(state) == [("d1", True, uid(3)), ("m1", True, None)]
    assert history.rows("SELECT subject, metric FROM INSIGHT_ATOMS WHERE derivation_method = 'recorded'") == [
        ("commands", "flaky")
    ]
    for number in (1, 2, 3, 4):
        history.do(("delete", number))
    history.tasks.run("record_insights", NAIVE)
    assert history.rows(state) == [("d1", False, None), ("m1", False, None)]
    assert history.rows("SELECT count(*) FROM INSIGHT_ATOMS") == [(2,)]


@pytest.mark.parametrize("said_badly", [
    {"subject": " "}, {"metric": ""}, {"subject": None}], ids=lambda bad: next(iter(bad)))  # fmt: skip
def test_what_is_about_nothing_makes_no_atom(history: History, said_badly: dict[str, Any]) -> None:
    run(history, recorded(1, **said_badly))
    assert history.rows(ALL) == []


def test_hostile_values_are_atoms_like_others(history: History) -> None:
    """Whatever was said is kept as data."""
    odd = ['it\'s "quoted"\n', {"a": [1, None]}, [], "", 2**60, True, "'); DROP TABLE INSIGHT_ATOMS; --"]
    run(history, *(recorded(n, value, subject=f"s{n}") for n, value in enumerate(odd, 1)),
        recorded(20, 1, subject="c", confidence=7, valid_until="soon", evidence="none"))  # fmt: skip
    assert [atom(history, n).value for n in range(1, 8)] == odd
    assert (atom(history, 20).confidence, atom(history, 20).valid_until) == (
        1.0, NAIVE + timedelta(days=90, minutes=20))  # fmt: skip


def test_quarantine_outlives_a_change(history: History) -> None:
    """An atom that rests on a drifted feature stays aside when somebody corrects it meanwhile."""
    run(history, recorded(1))
    history.rows("UPDATE INSIGHT_ATOMS SET is_quarantined = TRUE, quarantine_reason = 'schema_drift:1'")
    run(history, recorded(2, "make ci"))
    assert history.rows("SELECT is_quarantined FROM INSIGHT_ATOMS ORDER BY id") == [(True,), (False,)]


def test_an_atom_follows_its_activity_to_another_customer(history: History) -> None:
    """There it is of one thing with what is known there."""
    run(history, recorded(1), recorded(2, "make ci", customer="bob"))
    assert atom(history, 1).superseded_by is None
    history.do(("give", (1, "bob")))
    history.tasks.run("record_insights", NAIVE)
    assert history.rows("SELECT id, customer, superseded_by FROM INSIGHT_ATOMS ORDER BY id") == [
        (uid(1), "bob", uid(2)), (uid(2), "bob", None)]  # fmt: skip


# -- random histories against a model ------------------------------------------------------------------------------

Said: TypeAlias = dict[int, Activity]


def _activities() -> st.SearchStrategy[Activity]:
    number = st.integers(1, 8)
    minutes = st.sampled_from((0, 1, 2, 3, 200_000))
    return st.one_of(
        st.builds(
            lambda n, v, a, m, p, r, u: recorded(n, v, a, m, subject=p, replaces=r and uid(r), valid_until=u),
            number, st.sampled_from(("x", "y", 1)), st.sampled_from(("claude", "person", None)), minutes,
            st.sampled_from(("s", "t")), st.none() | number,
            st.sampled_from((None, "2026-03-01T12:02:00Z", "2027-01-01")),
        ),
        st.builds(
            lambda n, atom, action, who, whose, v: corrected(n, atom, action, who, whose, value=v),
            st.integers(9, 14), st.integers(1, 14), st.sampled_from(("silence", "restore", "correct")),
            st.sampled_from(("person", "person", "claude")), st.sampled_from(("ada", "bob")), st.sampled_from((None, "x", "z")),
        ),
    )  # fmt: skip


def expected(said: Iterable[Activity]) -> dict[str, tuple[Any, ...]]:
    """id → value, superseded_by, is_silenced, contradicts"""
    everything = sorted(said, key=lambda one: (one.ts, one.activity_id))
    atoms: dict[str, dict[str, Any]] = {}
    for one in everything:
        if one.activity == "insight_recorded":
            atoms[one.activity_id] = {**one.feature_json, "at": one.ts}
    corrections = [one for one in everything if one.feature_json.get("action") == "correct" and _is_person(one)]
    for _ in corrections:
        for one in corrections:
            was = atoms.get(str(one.feature_json["atom_id"]))
            if was is not None and one.activity_id not in atoms:
                value = one.feature_json.get("value")
                atoms[one.activity_id] = {
                    **was, "at": one.ts, "author": "person", "replaces": one.feature_json["atom_id"], "valid_until": None,
                    "value": was["value"] if value is None else value,
                }  # fmt: skip
    order = sorted(atoms, key=lambda key: (atoms[key]["at"], key))
    superseded = {
        key: next((other for other in order if other != key and _supersedes(other, key, atoms)), None) for key in order
    }
    silent = {
        str(one.feature_json["atom_id"]): one.feature_json["action"] == "silence" for one in everything
        if one.feature_json.get("action") in ("silence", "restore") and _is_person(one)
    }  # fmt: skip
    live = [key for key in order if superseded[key] is None]
    return {
        key: (
            atoms[key]["value"], superseded[key], silent.get(key, False),
            sorted(other for other in live if key in live and _differ(atoms[key], atoms[other])),
        ) for key in order
    }  # fmt: skip


def _is_person(one: Activity) -> bool:
    return one.feature_json["author"] == "person"


def _supersedes(next_: str, was: str, atoms: dict[str, dict[str, Any]]) -> bool:
    later, earlier = atoms[next_], atoms[was]
    if later.get("replaces") == was and later["at"] >= earlier["at"]:
        return True
    if later["subject"] != earlier["subject"] or (later["at"], next_) <= (earlier["at"], was):
        return False
    return bool(
        later["author"] == earlier["author"] or later["value"] == earlier["value"] or later["at"] >= _until(earlier)
    )


def _until(atom: dict[str, Any]) -> datetime:
    at: datetime = atom["at"] + timedelta(days=90)
    if atom["valid_until"] is not None:
        at = datetime.fromisoformat(atom["valid_until"])
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _differ(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(
        one["subject"] == other["subject"] and one["author"] != other["author"] and one["value"] != other["value"]
    )


@given(st.lists(st.one_of(_activities(), st.integers(1, 14)), min_size=1, max_size=14), st.integers(0, 3))
@settings(max_examples=15 * TIMES, deadline=None, suppress_health_check=list(HealthCheck),
          phases=(Phase.explicit, Phase.reuse, Phase.generate))  # fmt: skip
def test_any_history_is_what_the_model_says(opened_history: History, steps: list[Activity | int], every: int) -> None:
    """Recordings, corrections and deletions in any order, taken in at any moments; looking again changes nothing."""
    opened_history.forget()
    said: Said = {}
    for number, step in enumerate(steps):
        if isinstance(step, int):
            opened_history.do(("delete", step))
            said.pop(step, None)
        elif UUID(step.activity_id).int not in said:
            opened_history.merge([step])
            said[UUID(step.activity_id).int] = step
        if every and number % every == 0:
            opened_history.tasks.run("record_insights", NAIVE)
    opened_history.tasks.run("record_insights", NAIVE)
    rows = opened_history.rows(
        "SELECT id, value::JSON::VARCHAR, superseded_by, is_silenced, derivation.contradicts::JSON::VARCHAR FROM INSIGHT_ATOMS"
    )
    found = {
        id_: (msgspec.json.decode(value), by, silent, sorted(msgspec.json.decode(others) or []) if others else [])
        for id_, value, by, silent, others in rows
    }
    assert found == expected(said.values())
    before = opened_history.rows(ALL)
    opened_history.tasks.forget()
    opened_history.tasks.run("record_insights", NAIVE + timedelta(days=1))
    assert opened_history.rows(ALL) == before
