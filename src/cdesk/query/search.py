"""What was done, found by words, kind, project, session and time; the newest first.

Looked for close by first: who searches wants what was lately, and a search of everything reads every text there is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import UsageError
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

ROWS_MAX = 1_000
WORDS_MAX = 8
SECONDS_MAX = 10.0
LOOK_BACK = (timedelta(days=2), timedelta(days=30), timedelta(days=100_000))
_BEGINNING = datetime(1970, 1, 1)


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """text: words that all occur · project: a folder, with those within · until: exclusive
    after: ts and id of the last one that is known already"""

    text: str | None = None
    activity: str | None = None
    project: str | None = None
    session: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, str] | None = None
    rows_max: int = 100


class Hit(msgspec.Struct, frozen=True):
    """features: what is known"""

    id: str
    ts: datetime
    activity: str
    session: str | None
    project: str | None
    cost_usd: float | None
    features: dict[str, JSON]


class Hits(msgspec.Struct, frozen=True):
    activities: list[Hit]
    has_more: bool


class Searches:
    """Answers for one warehouse. `query_id` makes ids for the query log."""

    def __init__(self, warehouse: Warehouse, query_id: Callable[[], str], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._query_id = query_id
        self._clock = clock

    def find(self, wanted: Search) -> Hits:
        """Raises UsageError, and QueryRefused when it takes longer than SECONDS_MAX."""
        try:
            return self._find(wanted)
        except OverflowError:
            raise UsageError("one of the times is too far away.", "Years are from 1 to 9999, in UTC.") from None

    def _find(self, wanted: Search) -> Hits:
        rows_max = max(1, min(wanted.rows_max, ROWS_MAX))
        conditions, values = _conditions(wanted)
        until = _plain(wanted.until) or self._clock.now().replace(tzinfo=None) + timedelta(days=1)
        if wanted.after is not None:
            until = min(until, (_plain(wanted.after[0]) or until) + timedelta(microseconds=1))
        since = _plain(wanted.since) or _BEGINNING
        hits: list[Hit] = []
        for begin in _begins(since, until):
            hits += self._span(conditions, {**values, "since": begin, "until": until}, rows_max + 1 - len(hits))
            until = begin
            if len(hits) > rows_max:
                break
        return Hits(hits[:rows_max], len(hits) > rows_max)

    def _span(self, conditions: str, values: dict[str, Any], rows_max: int) -> list[Hit]:
        sql, names = prepared("search", (("where", conditions), ("rows_max", str(rows_max))))
        answer = self._warehouse.ask(
            sql, [values[name] for name in names], query_id=self._query_id(), rows_max=rows_max, seconds_max=SECONDS_MAX
        )
        return [_hit(row) for row in answer.rows]


def _begins(since: datetime, until: datetime) -> list[datetime]:
    """Where the spans to look through begin, the nearest first."""
    begins: list[datetime] = []
    for back in LOOK_BACK:
        begin = max(since, until - back) if back < until - _BEGINNING else since
        if begin < until and (not begins or begin < begins[-1]):
            begins.append(begin)
    return begins


def _conditions(wanted: Search) -> tuple[str, dict[str, Any]]:
    """Of the stream's rows, with the values they name."""
    conditions, values = ["TRUE"], dict[str, Any]()
    for column, value in (("activity", wanted.activity), ("_session_id", wanted.session)):
        if value is not None:
            conditions.append(f"{column} = :{column.strip('_')}")
            values[column.strip("_")] = value
    if wanted.project is not None:
        folder = wanted.project.rstrip("/") or "/"
        conditions.append("(_project_path = :project OR LEFT(_project_path, LENGTH(:folder)) = :folder)")
        values |= {"project": folder, "folder": f"{folder.rstrip('/')}/"}
    if wanted.after is not None:
        conditions.append("(ts < :after_ts OR (ts = :after_ts AND activity_id < :after_id))")
        values |= {"after_ts": _plain(wanted.after[0]), "after_id": wanted.after[1]}
    words = (wanted.text or "").split()
    if len(words) > WORDS_MAX:
        raise UsageError(f"a search takes {WORDS_MAX} words, not {len(words)}.", "Keep those that are rare.")
    for number, word in enumerate(words):
        conditions.append(f"TO_JSON(feature_json) ILIKE :word{number} ESCAPE '^'")
        values[f"word{number}"] = f"%{_like(word)}%"
    return " AND ".join(conditions), values


def _like(word: str) -> str:
    """The word as it stands within JSON text, and nothing in it a wildcard."""
    written = msgspec.json.encode(word).decode()[1:-1]
    return written.replace("^", "^^").replace("%", "^%").replace("_", "^_")


def _plain(at: datetime | None) -> datetime | None:
    """As the warehouse has it: UTC, without saying so."""
    return at if at is None or at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def _hit(row: tuple[Any, ...]) -> Hit:
    id_, ts, activity, session, project, cost, text = row
    features = msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    known = {name: value for name, value in features.items() if value is not None}
    return Hit(str(id_), ts.replace(tzinfo=UTC), activity, session, project, cost, known)
