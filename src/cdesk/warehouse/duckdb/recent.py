"""Rows written lately, as they stand, by every name of theirs.

The same fact comes again within seconds from another source, and so finds its row here instead of in the table. What is
here is what is there: one writer writes both, and whoever else changes rows makes this forget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TypeAlias

from cdesk.activity.model import RawActivity
from cdesk.warehouse.facts import Stored

BYTES_MAX = 24 * 1024 * 1024
"""Of features, in each of two generations."""

_Fresh: TypeAlias = tuple[RawActivity, int, str | None, int]
"""A row of one observation, its time, the customer it is shown under, and the number of its commit."""


class Recent:
    """Two generations: when the younger one is full, the older one is forgotten."""

    def __init__(self) -> None:
        self._young: dict[str, Stored | _Fresh | None] = {}
        self._old: dict[str, Stored | _Fresh | None] = {}
        self._bytes = 0

    def knows(self, name: str) -> bool:
        return name in self._young or name in self._old

    def get(self, name: str) -> Stored | None:
        """The row that holds the name; None when there are several, or none was written lately."""
        found = self._young[name] if name in self._young else self._old.get(name)
        return _opened(found) if isinstance(found, tuple) else found

    def put_fresh(
        self, rows: Sequence[RawActivity], names: Sequence[tuple[str, ...]], times: Sequence[int],
        shown: Sequence[str | None], seq: int,
    ) -> None:  # fmt: skip
        """Rows whose names no other row has, their names, times and shown customers, and the number of their commit."""
        kept = zip(rows, times, shown, repeat(seq, len(rows)), strict=True)
        self._young.update((name, row) for row, those in zip(kept, names, strict=True) for name in those)
        self._count(sum(len(bytes(row.feature_json)) for row in rows))

    def put(self, rows: Iterable[Stored]) -> None:
        for stored in rows:
            for name in stored.row.names:
                self._young[name] = stored if self._is_only(name, stored) else None
            self._count(1_000 * len(stored.seen))

    def drop(self, rows: Iterable[Stored]) -> None:
        """These rows are no more."""
        for stored in rows:
            for name in stored.row.names:
                self._young.pop(name, None)
                self._old.pop(name, None)

    def forget(self) -> None:
        self._young, self._old, self._bytes = {}, {}, 0

    def _is_only(self, name: str, stored: Stored) -> bool:
        if not self.knows(name):
            return True
        known = self.get(name)
        return known is not None and known.row.activity_id == stored.row.activity_id

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > BYTES_MAX:
            self._young, self._old, self._bytes = {}, self._young, 0


def _opened(fresh: _Fresh) -> Stored:
    row, ts, shown, seq = fresh
    activity = row.whole().without_nulls()
    return Stored(activity, shown, {activity.source: activity}, ts, seq)
