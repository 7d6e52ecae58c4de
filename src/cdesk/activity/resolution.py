"""Whose a fact is: the customer it was told with, seen through the claims that stand.

    told ──correct──▶ or ──link──▶ owner ──alias──▶ … ──alias──▶ shown        remove anywhere on the way: nobody

    correct   one fact, by any of its names, is this customer's
    link      the facts of an anonymous id are, window by window, these customers'. The first customer reaches back to
              the beginning; each later one starts LEAD before the moment that identified it
    alias     a customer is another one, who may be a third
    remove    a customer is to be named no more: NULL, or REMOVED where no anonymous id stands beside it

What was told is never forgotten, so what is shown is a function of the fact and the standing claims alone: in which
order facts and claims came, and what was claimed and undone in between, cannot be seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Literal, TypeAlias

import msgspec

from cdesk.activity.model import Columns
from cdesk.errors import UsageError

Kind: TypeAlias = Literal["link", "alias", "remove", "correct"]

LEAD = timedelta(minutes=30)
REMOVED = "removed"
NAME_CHARACTERS_MAX = 255
BEGINNING = datetime.min.replace(tzinfo=UTC)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody says about who did what.

    subject         link: an anonymous id · alias, remove: a customer · correct: an activity_id
    customer        who that is; None for remove
    identified_at   link: when it was known; None for the others
    """

    kind: Kind
    subject: str
    customer: str | None = None
    identified_at: datetime | None = None


class Count(msgspec.Struct, frozen=True):
    """Rows shown under one customer, before and after an operation; None are the rows of nobody."""

    customer: str | None
    before: int
    after: int


class IdentityOperation(Claim, frozen=True, kw_only=True):
    """A claim on record: who said it, when and why, what it changed, and whether it was taken back."""

    number: int
    said_at: datetime
    said_by: str | None = None
    reason: str | None = None
    rows_changed: int = 0
    counts: tuple[Count, ...] = ()
    undone_at: datetime | None = None
    undone_by: str | None = None
    undone_reason: str | None = None
    rows_restored: int | None = None
    is_settled: bool = True

    @property
    def stands(self) -> bool:
        return self.undone_at is None


class Window(msgspec.Struct, frozen=True):
    """From `starts` on, until the next window does."""

    starts: datetime
    customer: str


class Rules:
    """Claims, ready to be applied to facts. False when there are none: then nobody need ask."""

    __slots__ = ("facts", "names", "timelines")

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        """`claims`: in the order in which they were said."""
        said = list(claims)
        self.facts = {claim.subject: claim.customer or "" for claim in said if claim.kind == "correct"}
        """fact → owner"""
        self.timelines = {subject: timeline(said, subject) for subject in _subjects(said, "link")}
        """anonymous id → windows"""
        self.names = _names(said)
        """owner → customer shown, for those who are not shown as they are; None: removed"""

    def __bool__(self) -> bool:
        return bool(self.facts or self.timelines or self.names)

    def shown(self, activity: Columns) -> str | None:
        """The customer to show for a fact; `activity.customer` is the one it was told with."""
        owner = self._owner(activity)
        if owner not in self.names:
            return owner
        customer = self.names[owner]
        return REMOVED if customer is None and activity.anonymous_customer_id is None else customer

    def _owner(self, activity: Columns) -> str:
        for name in activity.names if self.facts else ():
            if name in self.facts:
                return self.facts[name]
        windows = self.timelines.get(activity.anonymous_customer_id or "")
        if not windows:
            return activity.customer
        return windows[bisect_right(windows, activity.ts, key=lambda window: window.starts) - 1].customer


def timeline(claims: Iterable[Claim], anonymous_id: str) -> tuple[Window, ...]:
    """Whose the anonymous id is over time. Saying of a moment what is so already starts no window."""
    links = [claim for claim in claims if claim.kind == "link" and claim.subject == anonymous_id]
    windows: list[Window] = []
    for link in sorted(links, key=_identified_at):
        if not windows:
            windows.append(Window(BEGINNING, link.customer or ""))
        elif windows[-1].customer != link.customer:
            windows.append(Window(_before(_identified_at(link)), link.customer or ""))
    return tuple(windows)


def said_already(claim: Claim, standing: Sequence[IdentityOperation]) -> IdentityOperation | None:
    """The operation that says the same; None when the claim is new. Raises UsageError when one contradicts it."""
    _check(claim)
    same = [operation for operation in standing if (operation.kind, operation.subject) == (claim.kind, claim.subject)]
    if claim.kind == "link":
        is_new = timeline(same, claim.subject) != timeline([*same, claim], claim.subject)
        return None if is_new else next(known for known in reversed(same) if known.customer == claim.customer)
    for known in same:
        if known.customer == claim.customer:
            return known
        raise UsageError(
            f"{claim.subject} is {known.customer} by operation {known.number}.",
            f"Take that back first: `cdesk identity undo {known.number}`.",
        )
    if claim.kind == "alias":
        _refuse_circle(claim, standing)
    return None


def check_known(name: str, known: Iterable[str], what: str, may_be_new: bool) -> None:
    """Raises UsageError with the nearest name for one that no row has."""
    names = set(known)
    if may_be_new or name in names:
        return
    near = get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"No {what} in the warehouse has a name like it."
    raise UsageError(f"unknown {what} {name!r}.", f"{hint} Say --new when it is right all the same.")


def _check(claim: Claim) -> None:
    for name in (claim.subject, claim.customer):
        if name is not None and (not name.strip() or not name.isprintable() or len(name) > NAME_CHARACTERS_MAX):
            raise UsageError(f"{name[:40]!r} cannot be a name.", f"1 to {NAME_CHARACTERS_MAX} printable characters.")
    if (claim.customer is None) != (claim.kind == "remove"):
        raise UsageError(f"{claim.kind} {'needs' if claim.customer is None else 'takes no'} customer.")
    if (claim.identified_at is None) != (claim.kind != "link"):
        raise UsageError("a time belongs to a link, and to nothing else.")
    if claim.identified_at is not None and claim.identified_at.tzinfo is None:
        raise UsageError("the time names no offset.", "End it with Z for UTC.")


def _refuse_circle(claim: Claim, standing: Sequence[IdentityOperation]) -> None:
    aliases = {known.subject: known.customer or "" for known in standing if known.kind == "alias"}
    way = _way(aliases, claim.customer or "")
    if claim.subject in way:
        circle = " → ".join((claim.subject, *way[: way.index(claim.subject) + 1]))
        raise UsageError(f"that would be a circle: {circle}.", "See `cdesk identity list`.")


def _names(claims: Sequence[Claim]) -> dict[str, str | None]:
    aliases = {claim.subject: claim.customer or "" for claim in claims if claim.kind == "alias"}
    removed = {claim.subject for claim in claims if claim.kind == "remove"}
    ways = {name: _way(aliases, name) for name in {*aliases, *removed}}
    return {name: None if removed.intersection(way) else way[-1] for name, way in ways.items()}


def _way(aliases: dict[str, str], name: str) -> list[str]:
    """The name, who that is, who that is, …"""
    way = [name]
    while way[-1] in aliases:
        way.append(aliases[way[-1]])
    return way


def _subjects(claims: Iterable[Claim], kind: Kind) -> set[str]:
    return {claim.subject for claim in claims if claim.kind == kind}


def _identified_at(link: Claim) -> datetime:
    return link.identified_at or BEGINNING


def _before(at: datetime) -> datetime:
    return at - LEAD if at - BEGINNING > LEAD else BEGINNING
