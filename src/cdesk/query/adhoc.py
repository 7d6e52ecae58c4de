"""SQL from outside: guarded, estimated, then asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from cdesk.errors import OverCap, QueryRefused, WarehouseError
from cdesk.query.cells import answer_json
from cdesk.query.estimate import Estimate, Estimator
from cdesk.query.granted import BYTES_MAX
from cdesk.query.guard import guarded
from cdesk.query.sample import EVER_SECONDS, Sample, Sampler, check_can_sample
from cdesk.warehouse.warehouse import Answer, Warehouse

OverCapDo: TypeAlias = Literal["refuse", "sample"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may run. sql: guarded, or a sample's · estimate: of the whole; None where it cannot be planned, which running
    it tells better · sample: of what part the answer will be"""

    sql: str
    estimate: Estimate | None
    sample: Sample | None = None


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
        over_cap: OverCapDo = "refuse",
    ) -> Told:
        """Raises QueryRefused for what is not one SELECT over what may be read, for what takes longer than `seconds_max`,
        and for what would read more than `bytes_max`: OverCap, or where a sample is wanted, why none can be had."""
        admitted = self.admitted(sql, bytes_max, over_cap)
        answer = self._warehouse.ask(
            admitted.sql, query_id=self._query_id(), rows_max=rows_max, seconds_max=seconds_max
        )
        estimate = admitted.estimate or self._estimator.estimate(admitted.sql)
        return Told(answer, estimate, admitted.sample)

    def admitted(self, sql: str, bytes_max: int, over_cap: OverCapDo) -> Admitted:
        """What of it may run. Raises QueryRefused, OverCap."""
        text = guarded(sql)
        try:
            estimate = self._estimator.estimate(text)
        except WarehouseError:
            return Admitted(text, None)
        if estimate.bytes <= bytes_max:
            return Admitted(text, estimate)
        if over_cap == "refuse":
            raise _over(estimate, bytes_max)
        sample = self._sampler(text, estimate, bytes_max, EVER_SECONDS)
        return Admitted(sample.sql, estimate, sample)

    def foreseen(self, sql: str, bytes_max: int, over_cap: OverCapDo) -> Estimate | None:
        """What can be said of it at once: None where the layout of a large table is not known yet, or it cannot be
        planned. Raises QueryRefused for what may not be asked or could not be sampled, and OverCap."""
        text = guarded(sql)
        try:
            estimate = self._estimator.at_once(text)
        except WarehouseError:
            return None
        if estimate is not None and estimate.bytes > bytes_max:
            if over_cap == "refuse":
                raise _over(estimate, bytes_max)
            check_can_sample(text, estimate, bytes_max)
        return estimate

    def estimate(self, sql: str) -> Estimate:
        """What asking it would read. Raises QueryRefused for what may not be asked, and for what cannot be planned."""
        text = guarded(sql)
        try:
            return self._estimator.estimate(text)
        except WarehouseError as failure:
            if failure.retryable:
                raise
            raise QueryRefused(failure.message, failure.hint) from failure


def _over(estimate: Estimate, bytes_max: int) -> OverCap:
    return OverCap(
        "this", bytes=estimate.bytes, rows=estimate.rows, cap=bytes_max, can_sample=True,
        hint="Ask for less time or fewer columns, for more bytes (--bytes-max)",
    )  # fmt: skip


def told_json(told: Told) -> dict[str, Any]:
    """`{"columns", "rows", "query_id", "estimate": {"bytes", "rows", "tables"}, "sample": {"rate", "seed", "watermark"} or null}`"""
    sample = told.sample and {name: getattr(told.sample, name) for name in ("rate", "seed", "watermark")}
    return {**answer_json(told.answer), "estimate": msgspec.to_builtins(told.estimate), "sample": sample}
