"""When Claude was told what is known here, in which session, and what exactly.

A hook's telling is on record to the letter. Of a call of `get_context` it is known when it was answered, how long the
answer was and how old what it gave; its text is in the session, as that of any tool.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

By: TypeAlias = Literal["SessionStart", "UserPromptSubmit", "get_context"]

TOLD = 20
TOLD_MAX = 200
LOOK_BACK = (timedelta(days=2), timedelta(days=30))
"""The latest are wanted: looked for close by first, then anywhere."""
_BEGINNING = datetime(1970, 1, 1)


class Line(msgspec.Struct, frozen=True):
    """A statement as it was told, with why it was chosen."""

    text: str
    section: str
    sources: list[str]
    why: str


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """One time Claude was told.

    by          the event of the hook, or the tool Claude called
    is_whole    all that had room, not only what was new
    channel     service, or file when no service answered
    age_ms      how long ago it had been put together
    bytes       size of the text, or of the tool's whole answer
    text        to the letter; null where consent did not keep it, and for a tool's answer
    """

    id: str
    ts: datetime
    session: str | None
    project: str | None
    by: str
    is_whole: bool
    channel: str | None
    version: str | None
    age_ms: float | None
    is_stale: bool
    bytes: int | None
    text: str | None
    lines: list[Line]


class Tellings:
    """Raises WarehouseError."""

    def __init__(self, warehouse: Warehouse, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._warehouse = warehouse
        self._clock = clock

    def latest(self, customer: str, project: str | None = None, count: int = TOLD) -> list[Telling]:
        """The latest first. project: null for those of any"""
        count = max(1, min(count, TOLD_MAX))
        now = self._clock.now().replace(tzinfo=None)
        rows: list[tuple[Any, ...]] = []
        for since in (*(now - back for back in LOOK_BACK), _BEGINNING):
            rows = self._ask(count, customer=customer, project=project, since=since)
            if len(rows) == count:
                break
        return [_telling(row) for row in rows]

    def _ask(self, rows_max: int, **values: Any) -> list[tuple[Any, ...]]:
        sql, names = prepared("told", (("rows_max", str(rows_max)),))
        return self._warehouse.query(sql, [values[each] for each in names]).rows


def _telling(row: tuple[Any, ...]) -> Telling:
    id_, ts, activity, session, project, text = row
    said: dict[str, Any] = msgspec.json.decode(text or "{}")
    is_hook = activity == "context_hydrated"
    return Telling(
        id=str(id_), ts=ts.replace(tzinfo=UTC), session=session, project=project,
        by=_string(said.get("hook_event")) or "SessionStart" if is_hook else "get_context",
        is_whole=said.get("is_whole") is not False, channel=_string(said.get("channel")),
        version=_string(said.get("context_version")),
        age_ms=_number(said.get("context_age_ms" if is_hook else "cache_age_ms")), is_stale=said.get("stale") is True,
        bytes=None if (size := _number(said.get("context_size"))) is None else int(size),
        text=_string(said.get("text")) if is_hook else None, lines=_lines(said.get("statements")) if is_hook else [],
    )  # fmt: skip


def _lines(told: Any) -> list[Line]:
    """None where consent kept only a mark of them."""
    try:
        return msgspec.convert(told, list[Line])
    except msgspec.ValidationError:
        return []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
