"""SQL from outside: guarded, estimated, then asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cdesk.errors import QueryRefused
from cdesk.query.estimate import Estimate, Estimator, in_words
from cdesk.query.granted import BYTES_MAX
from cdesk.query.guard import guarded
from cdesk.warehouse.warehouse import Answer, Warehouse


@dataclass(frozen=True, slots=True)
class Told:
    answer: Answer
    estimate: Estimate


class Adhoc:
    """Answers for one warehouse. `query_id` makes ids for the query log. May be asked from several threads at once."""

    def __init__(self, warehouse: Warehouse, query_id: Callable[[], str], estimator: Estimator) -> None:
        self._warehouse = warehouse
        self._query_id = query_id
        self._estimator = estimator

    def ask(self, sql: str, *, rows_max: int, seconds_max: float, bytes_max: int = BYTES_MAX) -> Told:
        """Raises QueryRefused for what is not one SELECT over what may be read, for what would read more than
        `bytes_max`, and for what takes longer than `seconds_max`."""
        text = guarded(sql)
        estimate = self._estimator.estimate(text)
        if estimate.bytes > bytes_max:
            raise QueryRefused(
                f"this would read {in_words(estimate)}; {bytes_max:,} bytes are allowed.",
                "Narrow it down by time, name fewer columns, or allow more: --bytes-max.",
            )
        query_id = self._query_id()
        return Told(self._warehouse.ask(text, query_id=query_id, rows_max=rows_max, seconds_max=seconds_max), estimate)

    def estimate(self, sql: str) -> Estimate:
        """What asking it would read. Raises QueryRefused."""
        return self._estimator.estimate(guarded(sql))
