"""SQL from outside: guarded, estimated, then asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cdesk.errors import QueryRefused, WarehouseError
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
        text, query_id = guarded(sql), self._query_id()

        def run() -> Answer:
            return self._warehouse.ask(text, query_id=query_id, rows_max=rows_max, seconds_max=seconds_max)

        try:
            estimate = self._estimator.estimate(text)
        except WarehouseError:
            run()  # what cannot be planned cannot be run; this says why, and logs it
            raise
        if estimate.bytes > bytes_max:
            raise QueryRefused(
                f"this would read {in_words(estimate)}; {bytes_max:,} bytes are allowed.",
                "Narrow it down by time, name fewer columns, or allow more: --bytes-max.",
            )
        return Told(run(), estimate)

    def estimate(self, sql: str) -> Estimate:
        """What asking it would read. Raises QueryRefused for what may not be asked, and for what cannot be planned."""
        text = guarded(sql)
        try:
            return self._estimator.estimate(text)
        except WarehouseError as failure:
            if failure.retryable:
                raise
            raise QueryRefused(failure.message, failure.hint) from failure
