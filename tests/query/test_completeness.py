"""How completeness is counted behind the scenes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

from cdesk.clock import Clock
from cdesk.query.completeness import SECONDS_MIN, Completeness
from cdesk.warehouse.warehouse import Answer, Warehouse


class Slow:
    """Answers how often it was asked, when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = threading.Event()

    def query(self, sql: str, parameters: Sequence[Any] = (), *, rows_max: int | None = None) -> Answer:
        self.asked += 1
        self.may.wait(10)
        return Answer(("n",), ("INTEGER",), [(self.asked,)], "")


def test_nobody_waits_for_the_count() -> None:
    """The first asker a little, then the last answer is served until there is a newer one."""
    slow, now, version = Slow(), [0.0], [0]
    known = Completeness(cast(Warehouse, slow), lambda: version[0], clock=Clock(monotonic=lambda: now[0]))
    try:
        assert known.rows(0) == []
        slow.may.set()
        assert known.rows(None) == [(1,)]
        slow.may.clear()
        now[0] += SECONDS_MIN
        assert known.rows() == [(1,)], "nothing has changed"
        version[0] += 1
        assert known.rows() == [(1,)], "the next one is being counted"
        slow.may.set()
        asked = known._asked
        assert asked is not None
        asked.result(10)
        assert known.rows() == [(2,)]
        assert slow.asked == 2
    finally:
        known.close()
