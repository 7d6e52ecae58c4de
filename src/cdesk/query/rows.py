"""Where the page's sums come from: rows that say how many activities they stand for.

    ACTIVITY_ROLLUP        whole hours, as of the last run of its task
    changes since then     a row of the stream as it is 1, as it was before -1
    the stream             hours of which only a part is asked for

Together they say what the stream says, at any moment: the rollup, its offset and the stream are read in one statement.
Where the task has not run yet, all of it comes from the stream.

Times and offsets stand in the text, so that zone maps prune by them. They are our own, never the asker's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from cdesk.query.text import text
from cdesk.warehouse.warehouse import Warehouse

HOUR = timedelta(hours=1)

Span: TypeAlias = tuple[datetime, datetime]
"""From, and before."""


class RowSource:
    """Texts of subqueries, for one answer. `page_rows.sql` says what they give."""

    def __init__(self, warehouse: Warehouse) -> None:
        found = warehouse.query(text("page_rows_offset")).rows
        self._offset = int(found[0][0]) if found else -1

    def rows(self, since: datetime, cuts: Sequence[Span] = ()) -> str:
        """What happened from `since` on; of hours within `cuts` (and of the first, if `since` is within it) each
        activity at its own time."""
        if self._offset < 0:
            return text("page_rows").format(since=literal(since), cut="TRUE")
        first = [] if since == hour_of(since) else [(hour_of(since), hour_of(since) + HOUR)]
        cut = when([(start, end) for start, end in merged([*cuts, *first]) if end > since])
        return text("page_rows_rolled").format(since=literal(since), offset=self._offset, cut=cut)


def when(spans: Sequence[Span]) -> str:
    """The condition that `ts` is in one of them."""
    return " OR ".join(f"(ts >= {literal(start)} AND ts < {literal(end)})" for start, end in spans) or "FALSE"


def hours_of(beginnings: Iterable[datetime]) -> list[Span]:
    return merged((hour, hour + HOUR) for hour in beginnings)


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, and those that touch as one."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def literal(at: datetime) -> str:
    return f"CAST('{at}' AS TIMESTAMP)"
