"""SQL from outside: guarded, estimated, then asked."""

from __future__ import annotations

from collections.abc import Callable

from cdesk.query.guard import guarded
from cdesk.warehouse.warehouse import Answer, Warehouse


class Adhoc:
    """Answers for one warehouse. `query_id` makes ids for the query log. May be asked from several threads at once."""

    def __init__(self, warehouse: Warehouse, query_id: Callable[[], str]) -> None:
        self._warehouse = warehouse
        self._query_id = query_id

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Answer:
        """Raises QueryRefused for what is not one SELECT over what may be read, and for what takes too long."""
        return self._warehouse.ask(guarded(sql), query_id=self._query_id(), rows_max=rows_max, seconds_max=seconds_max)
