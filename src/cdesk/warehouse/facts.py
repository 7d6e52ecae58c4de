"""What a batch says of facts, joined with what a warehouse already has of them, whichever engine that is.

    activities + stored rows ──by name──▶ facts ──fold──▶ rows that say more than is stored

A fact has up to three names (`Columns.names`), and a row of one may turn out to be another's: it is absorbed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from cdesk.activity.merge import fold, join
from cdesk.activity.model import Activity, RawActivity
from cdesk.warehouse.warehouse import Merged

Observations: TypeAlias = dict[str, Activity]
"""What each source said, by source."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it stands, what each source said behind it, and what it keeps when it is written anew.

    row       with the customer it was told with
    shown     the customer it is shown under
    ts        microseconds since 1970
    """

    row: Activity
    shown: str | None
    seen: Observations
    ts: int
    first_seq: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What is to be written of one fact: the row, what each source said behind it, and the row that it replaces."""

    activity: Activity
    seen: Observations
    stored: Stored | None


def joined(told: Iterable[Activity], stored: dict[str, Stored]) -> tuple[list[Changed], list[str], Merged]:
    """Rows to write, ids of stored rows to take out because they are another's, and how it counts.

    stored: every row that has any name of the batch, by its activity_id."""
    facts, absorbed, about = _facts(told, stored)
    changed: list[Changed] = []
    inserted = updated = unchanged = 0
    for activity_id, fact in facts.items():
        row = msgspec.structs.replace(fold(fact.seen.values()), activity_id=activity_id)
        if not fact.seen_before:
            inserted += 1
        elif _same(row, fact):
            unchanged += activity_id in about
            continue
        else:
            updated += 1
        changed.append(Changed(row, fact.seen, fact.stored))
    return changed, absorbed, Merged(inserted, updated, unchanged)


def whole(activity: Activity | RawActivity) -> Activity:
    return activity.whole() if isinstance(activity, RawActivity) else activity


@dataclass(slots=True)
class _Fact:
    """What is known of one fact: its stored row if any, and each source's observation, then and now."""

    name: str
    stored: Stored | None = None
    seen_before: Observations = field(default_factory=dict)
    seen: Observations = field(default_factory=dict)

    def add(self, activity: Activity) -> None:
        seen, known = activity.without_nulls(), self.seen.get(activity.source)
        if known is not None:
            ids = (known.activity_id, seen.activity_id)
            seen = join(known, seen)
            if self.name in ids:  # who knew the fact's first name still does
                seen = msgspec.structs.replace(seen, activity_id=self.name)
        self.seen[activity.source] = seen


def _facts(told_now: Iterable[Activity], stored: dict[str, Stored]) -> tuple[dict[str, _Fact], list[str], set[str]]:
    """The batch grouped by fact, under its first name; stored rows that turn out to be another's second name; and
    the facts that the batch is about.

    An observation goes to whom its name belongs to now: where several facts share a second name, that may be another
    one than when it came.
    """
    activities = list(told_now)
    names = _first_names(activities, stored)
    facts: dict[str, _Fact] = {}
    for activity in activities:
        name = names.get(activity.activity_id, activity.activity_id)
        facts.setdefault(name, _Fact(name)).add(activity)
    told = set(facts)
    absorbed = []
    for row_id, known in stored.items():
        seen = known.seen
        home = names.get(row_id, row_id)
        kept = facts.setdefault(home, _Fact(home))
        if home == row_id:
            kept.stored = known
        else:
            absorbed.append(row_id)
        kept.seen_before |= seen
        for observation in seen.values():
            name = home if len(seen) == 1 else names.get(observation.activity_id, home)
            facts.setdefault(name, _Fact(name)).add(observation)
    return facts, absorbed, told


def _first_names(activities: Iterable[Activity], stored: dict[str, Stored]) -> dict[str, str]:
    """Second name → first name. Where several facts share a second name, the smallest first name has it."""
    names: dict[str, str] = {}
    for activity in (*activities, *(known.row for known in stored.values())):
        for name in activity.names[1:]:
            known = names.get(name)
            names[name] = activity.activity_id if known is None else min(known, activity.activity_id)
    return {name: _end(names, first) for name, first in names.items()}


def _end(names: dict[str, str], name: str) -> str:
    """Follows first names to the last one: a request id may name a message, and the message its response."""
    for _ in range(3):
        name = names.get(name, name)
    return name


def _same(row: Activity, fact: _Fact) -> bool:
    """Whether the stored row says it all already: what is seen, and what each source said behind it."""
    if fact.stored is None or fact.seen != fact.seen_before or _bare(row) != _bare(fact.stored.row):
        return False
    return packed(fact.seen) == packed(fact.seen_before)  # 1, 1.0 and true are equal, and not the same


def _bare(row: Activity) -> Activity:
    return msgspec.structs.replace(row, source="cdesk").without_nulls()


def packed(seen: Observations) -> str:
    return msgspec.json.encode([seen[source] for source in sorted(seen)], order="deterministic").decode()
