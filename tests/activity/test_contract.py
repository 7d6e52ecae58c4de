"""The catalog as a contract: what real sessions say keeps it, and everything else is told apart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.capture import hook_recordings, test_otlp_facts
from tests.generated import json_values
from tests.shared_data import shared_data

from cdesk.activity.catalog import CATALOG, Declaration
from cdesk.activity.contract import (
    EVERY_ONE,
    FAMILY_OF,
    Addition,
    AdditionKind,
    Contract,
    Violation,
    addition_kinds,
    kind_of,
)
from cdesk.activity.model import JSON, Activity, Features
from cdesk.capture.transcript import TranscriptFile
from cdesk.governance.consent import Consent

CONTRACT = Contract()
CALL: Features = {"tool_use_id": "toolu_1", "tool_name": "Bash", "latency_ms": 12, "success": True, "error": None}
OF_KIND: dict[str, JSON] = {
    "string": "a", "integer": 1, "number": 1.5, "boolean": True, "object": {"a": 1}, "array": [1], "any": "a",
}  # fmt: skip
VALUES = {kind: value for kind, value in OF_KIND.items() if kind != "any"}


def found(activity: str, features: Features, *additions: Addition) -> list[Violation]:
    return list(Contract(additions).check(activity, features))


def whole(declaration: Declaration) -> Features:
    """Every key with a value of its kind."""
    return {feature.name: OF_KIND[feature.kind] for feature in declaration.features}


# -- what real sessions say ----------------------------------------------------------------------------------------


def _drifted(activities: list[Activity], contract: Contract = CONTRACT) -> list[tuple[str, str, Violation]]:
    assert activities
    return [
        (activity.source, activity.activity, violation)
        for activity in activities
        for violation in contract.check(activity.activity, activity.feature_json)
    ]


@pytest.mark.parametrize("scenario", hook_recordings.SCENARIOS)
def test_recorded_hooks_keep_it(scenario: str) -> None:
    """Our own capture says nothing that the catalog does not know."""
    assert _drifted(hook_recordings.hooks(scenario)) == []


@pytest.mark.parametrize("scenario", test_otlp_facts.SCENARIOS)
def test_recorded_telemetry_keeps_it(scenario: str) -> None:
    assert _drifted(test_otlp_facts.telemetry(scenario)) == []


def _transcripts(tree: str) -> list[Activity]:
    paths = [
        path for path in sorted(shared_data(tree).rglob("*.jsonl")) if tree == "transcripts" or "projects" in path.parts
    ]
    files = (TranscriptFile(path, hook_recordings.PERSON, hook_recordings.PRICES) for path in paths)
    return [activity for file in files for chunk in file.read() for activity in chunk.activities]


@pytest.mark.parametrize("tree", ["recordings", "transcripts"])
def test_transcripts_keep_it(tree: str) -> None:
    """Those we recorded and those other people published, of many versions of Claude Code."""
    assert _drifted(_transcripts(tree)) == []


def test_an_event_of_a_newer_claude_code_keeps_it() -> None:
    """It is kept as a line, with what every hook tells."""
    payload = {"hook_event_name": "SomethingNew", "session_id": "s1", "prompt_id": "p1", "cwd": "/p", "agent_id": "a1"}
    assert _drifted(hook_recordings.told(payload)) == []


@pytest.mark.parametrize("text", ["hash", "drop"])
def test_what_consent_takes_out_is_no_drift(text: Any) -> None:
    """Hashed words are texts where an object was; dropped ones may be required."""
    consent = Consent(text=text)
    ran: Features = {"query_id": "q", "sql": "SELECT 1", "success": True}
    activity = hook_recordings.hooks("tools")[0]
    told = [
        *hook_recordings.hooks("tools"), *test_otlp_facts.telemetry("tools"),
        Activity(activity_id="x", ts=activity.ts, activity="sql_executed", customer="a", feature_json=ran, source="mcp"),
    ]  # fmt: skip
    kept = [left for one in told if (left := consent.apply(one, b"k" * 32)) is not None]
    assert _drifted(kept, Contract(words_kept=False)) == []


# -- what is told apart --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declaration", CATALOG.values(), ids=lambda d: d.activity)
def test_every_declared_key_is_held_to_its_kind(declaration: Declaration) -> None:
    """And to nothing more: null fits, integers are numbers, 2.0 is an integer."""
    features = whole(declaration)
    assert found(declaration.activity, features) == []
    for feature in declaration.features:
        for kind, value in VALUES.items():
            fits = feature.kind in (kind, "any") or (kind, feature.kind) == ("integer", "number")
            wrong = [Violation("wrong_type", feature.name, feature.kind, kind)]
            assert found(declaration.activity, {**features, feature.name: value}) == ([] if fits else wrong)
        missing = [Violation("missing_key", feature.name, feature.kind, "missing")] if feature.required else []
        assert found(declaration.activity, {**features, feature.name: None}) == missing
        assert found(declaration.activity, {k: v for k, v in features.items() if k != feature.name}) == missing
        if feature.kind == "integer":
            assert found(declaration.activity, {**features, feature.name: 2.0}) == []


def test_a_key_nobody_declared_is_new() -> None:
    """Each on its own; a null says nothing."""
    assert found("tool_called", {**CALL, "mood": "good", "odds": 0.5, "hint": None}) == [
        Violation("new_key", "mood", "", "string"), Violation("new_key", "odds", "", "number")]  # fmt: skip


def test_everything_wrong_is_told_at_once() -> None:
    assert found("tool_called", {"latency_ms": "fast", "mood": []}) == [
        Violation("missing_key", "tool_use_id", "string", "missing"),
        Violation("wrong_type", "latency_ms", "number", "string"),
        Violation("new_key", "mood", "", "array"),
    ]


def test_names_beside_the_catalog_promise_nothing() -> None:
    """An unknown one is told; the original's names are known, whatever they carry."""
    assert found("door_opened", {"door": 1}) == [Violation("unknown_activity", "", "", "")]
    for declaration in CATALOG.values():
        for alias in declaration.aliases:
            assert found(alias, {"anything": 1}) == [] and FAMILY_OF[alias] == FAMILY_OF[declaration.activity]


# -- what a home took up -------------------------------------------------------------------------------------------


def test_a_key_taken_up_has_its_kind() -> None:
    """Another kind is inconsistent, until that is taken up too."""
    mood = Addition("tool_called", "mood", "number")
    assert found("tool_called", {**CALL, "mood": 1}, mood) == found("tool_called", {**CALL, "mood": 1.5}, mood) == []
    assert found("tool_called", {**CALL, "mood": None}, mood) == []
    assert found("tool_called", {**CALL, "mood": "good"}, mood) == [
        Violation("inconsistent_type", "mood", "number", "string")]  # fmt: skip
    assert found("tool_called", {**CALL, "mood": "good"}, mood, Addition("tool_called", "mood", "string")) == []
    assert found("mcp_called", {"method": "m", "mood": 1}, mood) == [Violation("new_key", "mood", "", "integer")]


def test_a_declared_key_may_take_another_kind_or_be_missing() -> None:
    slow = Addition("tool_called", "latency_ms", "string")
    assert found("tool_called", {**CALL, "latency_ms": "slow"}, slow) == []
    assert found("tool_called", {**CALL, "latency_ms": 1}, slow) == []
    assert found("tool_called", {}, Addition("tool_called", "tool_use_id", "optional")) == []


def test_everything_further_may_be_taken_up() -> None:
    """Every key of one activity, one name, or every name; declared keys keep their kinds."""
    every = Addition("tool_called", EVERY_ONE, "any")
    assert found("tool_called", {**CALL, "a": 1, "b": []}, every) == []
    assert found("tool_called", {**CALL, "success": "yes"}, every) == [
        Violation("wrong_type", "success", "boolean", "string")]  # fmt: skip
    assert found("door_opened", {"a": 1}, Addition("door_opened", "", "activity")) == []
    assert found("door_opened", {"a": 1}, Addition(EVERY_ONE, "", "activity")) == []


@given(st.sampled_from(sorted(CATALOG)), st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_what_is_taken_up_as_it_came_is_no_drift_any_more(activity: str, features: Features) -> None:
    """Whatever is wrong with an activity, accepting it all makes it conform; asking twice answers the same."""
    contract = Contract()
    first = contract.check(activity, features)
    assert contract.check(activity, features) == first
    additions = []
    for violation in first:
        if violation.kind == "missing_key":
            additions.append(Addition(activity, violation.key, "optional"))
        else:
            additions += [Addition(activity, violation.key, kind) for kind in addition_kinds(violation.actual)]
    assert found(activity, features, *additions) == []


@given(json_values)
def test_every_json_value_has_a_kind(value: JSON) -> None:
    assert kind_of(value) in {"null", *OF_KIND}


@given(
    st.sampled_from(sorted(CATALOG)),
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    st.sets(st.integers(0, 60), max_size=4),
    st.lists(st.sampled_from(("any", "optional", "string", "object")), max_size=2),
)
def test_what_surely_keeps_the_contract_keeps_it(
    activity: str, others: Features, changed: set[int], kinds: list[AdditionKind]
) -> None:
    """Read as JSON text: never more is let through than when it is decoded, and what is as declared always is."""
    features = whole(CATALOG[activity])
    names = sorted(features)
    additions = [Addition(activity, names[n % len(names)], kind) for n, kind in zip(changed, kinds, strict=False)]
    contract = Contract(additions)
    assert contract.keeps(activity, msgspec.Raw(msgspec.json.encode(features)))
    for number, value in zip(changed, (None, *others.values(), {}, [], "a", 2.0), strict=False):
        features[names[number % len(names)]] = value
    features |= others
    if contract.keeps(activity, msgspec.Raw(msgspec.json.encode(features))):
        assert contract.check(activity, features) == ()
