"""SQL from outside: guarded, estimated, then asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from cdesk.errors import OverCap, QueryRefused, WarehouseError
from cdesk.query.cells import answer_json
from cdesk.query.estimate import Estimate, Estimator
from cdesk.query.granted import BYTES_MAX
from cdesk.query.guard import guarded
from cdesk.query.sample import EVER_SECONDS, Sample, Sampler
from cdesk.warehouse.warehouse import Answer, Warehouse


@dataclass(frozen=True, slots=True)
class Told:
    """estimate: of the whole · sample: of what part the answer is, where it is not of all"""

    answer: Answer
    estimate: Estimate
    sample: Sample | None = None


class Adhoc:
    """Answers for one warehouse. `query_id` makes ids for the query log. May be asked from several threads at once."""

    def __init__(
        self, warehouse: Warehouse, query_id: Callable[[], str], estimator: Estimator, sampler: Sampler
    ) -> None:
        self._warehouse = warehouse
        self._sampler = sampler
        self._query_id = query_id
        self._estimator = estimator

    def ask(
        self,
        sql: str,
        *,
        rows_max: int,
        seconds_max: float,
        bytes_max: int = BYTES_MAX,
        over_cap: Literal["refuse", "sample"] = "refuse",
    ) -> Told:
        """Raises QueryRefused for what is not one SELECT over what may be read, for what takes longer than `seconds_max`,
        and for what would read more than `bytes_max`: OverCap, or where a sample is wanted, why none can be had."""
        text, query_id = guarded(sql), self._query_id()

        def run(text: str) -> Answer:
            return self._warehouse.ask(text, query_id=query_id, rows_max=rows_max, seconds_max=seconds_max)

        try:
            estimate = self._estimator.estimate(text)
        except WarehouseError:
            run(text)  # what cannot be planned cannot be run; this says why, and logs it
            raise
        if estimate.bytes <= bytes_max:
            return Told(run(text), estimate)
        if over_cap == "refuse":
            raise OverCap(
                "this", bytes=estimate.bytes, rows=estimate.rows, cap=bytes_max, can_sample=True,
                hint="Ask for less time or fewer columns, for more bytes (--bytes-max)",
            )  # fmt: skip
        sample = self._sampler(text, estimate, bytes_max, EVER_SECONDS)
        return Told(run(sample.sql), estimate, sample)

    def estimate(self, sql: str) -> Estimate:
        """What asking it would read. Raises QueryRefused for what may not be asked, and for what cannot be planned."""
        text = guarded(sql)
        try:
            return self._estimator.estimate(text)
        except WarehouseError as failure:
            if failure.retryable:
                raise
            raise QueryRefused(failure.message, failure.hint) from failure


def told_json(told: Told) -> dict[str, Any]:
    """`{"columns", "rows", "query_id", "estimate": {"bytes", "rows", "tables"}, "sample": {"rate", "seed", "watermark"} or null}`"""
    sample = told.sample and {name: getattr(told.sample, name) for name in ("rate", "seed", "watermark")}
    return {**answer_json(told.answer), "estimate": msgspec.to_builtins(told.estimate), "sample": sample}
