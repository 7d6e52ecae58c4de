"""What every warehouse does for the rest of the house, whichever engine it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from cdesk.activity.model import Activity, RawActivity

STREAM = "CLAUDE_STREAM_V2"
ATOMS = "INSIGHT_ATOMS"
TRACKED = (STREAM, ATOMS)
"""Tables that change streams can be had of."""

IS_DATA = """activity NOT IN ('self_test_arrived', 'schema_drift_detected')
   AND NOT (activity IN ('sql_executed', 'mcp_called') AND _source IN ('cdesk', 'mcp'))"""
"""Of which activities "data as of" speaks: not the doctor's self-tests, nor that cdesk was asked."""

Mode = Literal["append", "standard"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One consumer's view of a table's changes.

    mode           append: new rows · standard: net changes, with the rows as they stood before
    initial_rows   the first look gives everything that is there; else it begins with what comes then
    """

    name: str
    table: str
    mode: Mode
    initial_rows: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """inserted: new facts · updated: known facts that now say more · unchanged: known facts told again"""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: Merged) -> Merged:
        return Merged(self.inserted + other.inserted, self.updated + other.updated, self.unchanged + other.unchanged)

    def __sub__(self, other: Merged) -> Merged:
        return Merged(self.inserted - other.inserted, self.updated - other.updated, self.unchanged - other.unchanged)


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns by name and type, rows in order, and the id under which the query log knows the question."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    query_id: str


class Execution:
    """One statement under way, as another thread sees it: how far it is, and the word that breaks it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self._percent: Callable[[], float] | None = None
        self.is_interrupted = False

    def interrupt(self) -> None:
        """What has not begun yet will not."""
        with self._lock:
            self.is_interrupted = True
            if self._interrupt is not None:
                self._interrupt()

    def progress(self) -> float | None:
        """From 0 to 1; None where nothing runs, or nobody knows."""
        with self._lock:
            percent = -1.0 if self._percent is None else self._percent()
        return None if percent < 0 else min(percent / 100, 1.0)

    @contextmanager
    def under_way(self, interrupt: Callable[[], object], percent: Callable[[], float]) -> Iterator[None]:
        """Around the statement, by the engine that executes it. percent: below 0 where it does not know"""
        with self._lock:
            self._interrupt, self._percent = interrupt, percent
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = self._percent = None


class Warehouse(Protocol):
    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        """Every fact is there once afterwards, committed. Raises WarehouseError; then nothing changed."""
        ...

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        """Rows of one trusted statement."""
        ...

    def ask(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        query_id: str,
        rows_max: int,
        seconds_max: float,
        execution: Execution | None = None,
    ) -> Answer:
        """Rows of one statement from outside: read-only, no files, no settings; in the query log. Raises QueryRefused,
        also when `execution` is interrupted meanwhile."""
        ...

    def count(self) -> int:
        """Activities in the stream."""
        ...

    def data_as_of(self) -> datetime | None:
        """`ts` of the newest activity, UTC; the doctor's self-tests are nobody's data."""
        ...

    def compact(self) -> bool:
        """Puts some small row groups together, for quiet moments; True while there are more."""
        ...

    def close(self) -> None: ...
