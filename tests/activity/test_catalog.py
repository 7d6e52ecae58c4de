"""The catalog promises shapes; here it is held to being complete and free of contradictions."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest

from cdesk.activity.catalog import CATALOG, COMMON, FAMILIES, Declaration, complete
from cdesk.activity.catalog.shape import Kind, Privacy, Rule
from cdesk.activity.model import Features, Source

ACTIVITIES = [pytest.param(d, id=d.activity) for d in CATALOG.values()]
NAMES = {"sql", "llm", "tool", "file", "session", "mcp", "insight", "system"}


def test_each_family_has_its_view() -> None:
    """And each activity belongs to one."""
    assert {family.name for family in FAMILIES} == NAMES
    assert {family.view for family in FAMILIES} == {f"VW_{name.upper()}_EVENTS" for name in NAMES}
    declared = [d.activity for family in FAMILIES for d in family.activities]
    assert Counter(declared).most_common(1)[0][1] == 1 and set(declared) == set(CATALOG)


def test_no_old_name_means_two_things() -> None:
    """Migration maps aliases to activities, so an alias has one meaning and hides no activity."""
    aliases = Counter(alias for d in CATALOG.values() for alias in d.aliases)
    assert [alias for alias, times in aliases.items() if times > 1 or alias in CATALOG] == []


@pytest.mark.parametrize("declaration", ACTIVITIES)
def test_names_are_words_in_the_past_tense(declaration: Declaration) -> None:
    """subject_verb in snake case; feature names as well, once each, with a meaning a person can read."""
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", declaration.activity) and declaration.meaning
    names = [feature.name for feature in declaration.features]
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []
    assert len(names) == len(set(names))
    assert all(feature.meaning for feature in declaration.features)


@pytest.mark.parametrize("declaration", ACTIVITIES)
def test_every_feature_is_declared_in_known_terms(declaration: Declaration) -> None:
    """Types, privacy classes, merge rules and sources come from closed lists."""
    for feature in declaration.features:
        assert (
            feature.kind in get_args(Kind) and feature.privacy in get_args(Privacy) and feature.rule in get_args(Rule)
        )
        assert set(feature.prefer) <= set(get_args(Source)) and len(set(feature.prefer)) == len(feature.prefer)


@pytest.mark.parametrize("declaration", ACTIVITIES)
def test_units_stand_last_in_names(declaration: Declaration) -> None:
    """`latency_ms`, not `ms_latency` or `latency`: a duration says its unit in its name."""
    times = [feature for feature in declaration.features if feature.unit == "ms"]
    assert [feature.name for feature in times if not feature.name.endswith("_ms")] == []


@pytest.mark.parametrize("declaration", ACTIVITIES)
def test_every_row_of_an_activity_has_the_same_keys(declaration: Declaration) -> None:
    """Unknown ones are null, known ones stay, and what the catalog does not know is kept."""
    names = {feature.name for feature in declaration.features}
    assert complete(declaration.activity, {}) == dict.fromkeys(names)
    assert {common.name for common in COMMON} <= names
    some = declaration.features[0].name
    assert complete(declaration.activity, {some: 1, "own": 2}) == {**dict.fromkeys(names), some: 1, "own": 2}


def test_completing_leaves_what_it_was_given_alone() -> None:
    """Two rows must not share the dictionary of empty features."""
    given: Features = {"tool_name": "Bash"}
    complete("tool_called", given)["tool_name"] = "changed"
    complete("tool_called", {})["tool_name"] = "changed"
    assert given == {"tool_name": "Bash"} and complete("tool_called", {})["tool_name"] is None


def test_an_activity_nobody_declared_keeps_its_own_shape() -> None:
    """The stream is open."""
    assert complete("door_opened", {"door": 1}) == {"door": 1}


def test_words_are_marked_as_content() -> None:
    """Consent drops or hashes what is marked; a text that is not would slip through."""
    texts = ("prompt_text", "response_text", "text", "parameters", "error", "sql", "line", "title", "description")
    kept = [
        (d.activity, f.name) for d in CATALOG.values() for f in d.features if f.name in texts and f.privacy != "content"
    ]
    assert kept == []
