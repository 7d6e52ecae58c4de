"""Windows of a link, chains of aliases, who is removed: each rule by an example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from cdesk.activity.model import Activity
from cdesk.activity.resolution import (
    BEGINNING,
    REMOVED,
    Claim,
    IdentityOperation,
    Rules,
    Window,
    check_known,
    said_already,
    timeline,
)
from cdesk.errors import UsageError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_PAST_ELEVEN = NOON - timedelta(minutes=30)
FACT = Activity(
    activity_id="fact", ts=NOON, activity="tool_called", customer="root", feature_json={}, source="hook",
    anonymous_customer_id="host_1",
)  # fmt: skip


def link(customer: str, at: datetime = NOON, subject: str = "host_1") -> Claim:
    return Claim(kind="link", subject=subject, customer=customer, identified_at=at)


def alias(subject: str, customer: str) -> Claim:
    return Claim(kind="alias", subject=subject, customer=customer)


def remove(subject: str) -> Claim:
    return Claim(kind="remove", subject=subject)


def on_record(*claims: Claim) -> list[IdentityOperation]:
    return [
        IdentityOperation(**msgspec.structs.asdict(claim), number=number, said_at=NOON)
        for number, claim in enumerate(claims, 1)
    ]


def test_the_first_customer_reaches_back_to_the_beginning() -> None:
    """Each later one starts half an hour before they were known; repeating one starts nothing."""
    noon, one = link("ada"), link("bob", NOON + timedelta(hours=1))
    expected = (Window(BEGINNING, "ada"), Window(NOON + timedelta(minutes=30), "bob"))
    assert timeline([noon, one], "host_1") == timeline([one, noon, link("ada", NOON)], "host_1") == expected
    assert timeline([noon, one, link("bob", NOON + timedelta(hours=5))], "host_1") == expected
    assert timeline([noon], "host_2") == ()


@pytest.mark.parametrize(("at", "owner"), [(HALF_PAST_ELEVEN - timedelta(microseconds=1), "ada"), (HALF_PAST_ELEVEN, "bob")])  # fmt: skip
def test_a_window_begins_to_the_microsecond(at: datetime, owner: str) -> None:
    rules = Rules([link("ada", NOON - timedelta(days=9)), link("bob", NOON)])
    assert rules.shown(msgspec.structs.replace(FACT, ts=at)) == owner


def test_times_at_the_edge_of_the_calendar_are_times() -> None:
    """Nothing is before the beginning."""
    rules = Rules([link("ada", BEGINNING), link("bob", BEGINNING)])
    assert rules.shown(msgspec.structs.replace(FACT, ts=BEGINNING)) == "bob"


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        ([], "root"),
        ([alias("eve", "bob"), remove("eve"), link("eve", subject="host_2")], "root"),
        ([alias("root", "ada"), alias("ada", "bob")], "bob"),
        ([alias("ada", "bob"), alias("root", "ada")], "bob"),
        ([link("ada"), alias("root", "eve")], "ada"),
        ([link("ada"), alias("ada", "bob")], "bob"),
        ([Claim(kind="correct", subject="fact", customer="eve"), link("ada")], "eve"),
        ([remove("root")], None),
        ([remove("root"), alias("root", "ada")], None),
        ([alias("root", "ada"), remove("ada")], None),
        ([remove("root"), link("ada")], "ada"),
    ],
)
def test_who_is_shown(claims: list[Claim], shown: str | None) -> None:
    """A correction before a link before what was told; then aliases; removed wherever on the way."""
    rules = Rules(claims)
    assert bool(rules) == bool(claims)
    assert rules.shown(FACT) == shown


def test_nobody_without_a_machine_is_a_word() -> None:
    """The spec wants a customer or an anonymous id."""
    assert Rules([remove("root")]).shown(msgspec.structs.replace(FACT, anonymous_customer_id=None)) == REMOVED


def test_what_says_the_same_is_found() -> None:
    """For a link: what would start no other window."""
    standing = on_record(link("ada"), alias("a", "b"), remove("c"))
    assert said_already(link("ada", NOON + timedelta(days=1)), standing) == standing[0]
    assert said_already(alias("a", "b"), standing) == standing[1]
    assert said_already(remove("c"), standing) == standing[2]
    assert said_already(link("bob", NOON + timedelta(days=1)), standing) is None
    assert said_already(remove("b"), standing) is None


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (alias("b", "a"), "circle: b → a → b"),
        (alias("c", "c"), "circle: c → c"),
        (alias("a", "c"), "undo 1"),
        (alias(" ", "a"), "cannot be a name"),
        (alias("x" * 256, "a"), "cannot be a name"),
        (alias("a\n", "a"), "cannot be a name"),
        (Claim(kind="alias", subject="c"), "needs"),
        (Claim(kind="remove", subject="c", customer="d"), "takes no"),
        (Claim(kind="link", subject="c", customer="d"), "a time belongs"),
        (Claim(kind="link", subject="c", customer="d", identified_at=datetime(2026, 1, 1)), "no offset"),
    ],
)
def test_what_cannot_be_is_refused(claim: Claim, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        said_already(claim, on_record(alias("a", "b")))


@pytest.mark.parametrize(("given", "told"), [("adda", "Did you mean 'ada'"), ("zzz", "No customer in the warehouse")])
def test_unknown_names_come_with_the_nearest(given: str, told: str) -> None:
    known: dict[str, Any] = {"known": ["ada", "bob"], "what": "customer"}
    with pytest.raises(UsageError, match=told):
        check_known(given, **known, may_be_new=False)
    check_known(given, **known, may_be_new=True)
    check_known("ada", **known, may_be_new=False)
