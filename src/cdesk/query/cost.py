"""What cdesk itself costs: the embedded warehouse from its own accounts, the team's in Snowflake from Snowflake's meters.

What Claude costs is `usage`. A look at Snowflake's meters wakes a warehouse there, so it is taken at most every LOOK_SECONDS,
and by the loader right after a batch, when one is awake anyway.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import msgspec

from cdesk import observe
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import SnowflakeSettings
from cdesk.cost.book import DAYS_MAX, TAGS_MAX, Book, Used
from cdesk.cost.budget import Budget, Level, Standing
from cdesk.cost.meter import KNOWS_BYTES, Meter
from cdesk.errors import CdeskError, UsageError
from cdesk.warehouse.warehouse import Warehouse

By: TypeAlias = Literal["workload", "tag"]
BYS: tuple[By, ...] = get_args(By)
DAYS = 7
LOOK_SECONDS = 900.0
ESTIMATE_SECONDS = 3_600.0
AGAIN_SECONDS = 60.0
"""After Snowflake could not be asked; finding that out may take half a minute."""

_HERE = Path(__file__).parent


class CostRow(msgspec.Struct, frozen=True):
    """What one kind of work took of this machine on one day (UTC). tag: which piece of it, where it is told by tag
    bytes_read, bytes_written: from and to the disk; null where the system does not tell"""

    day: str
    workload: str
    tag: str | None
    runs: int
    cpu_s: float
    bytes_read: int | None
    bytes_written: int | None


class CreditRow(msgspec.Struct, frozen=True):
    """What one kind of work cost in Snowflake on one day (UTC). usd: credits at the price of [snowflake] usd_per_credit
    credits_estimated: the part of credits that the meter has not told yet · statements: where it is told by tag"""

    day: str
    workload: str
    tag: str | None
    credits: float
    credits_estimated: float
    usd: float
    statements: int | None


class BudgetStanding(msgspec.Struct, frozen=True):
    """How a day stands to what it may cost. level: ok; soft: told; hard: loading pauses, the queue holds
    budget_usd, soft_usd: null where nothing is set"""

    day: str
    usd: float
    estimated_usd: float
    budget_usd: float | None
    soft_usd: float | None
    level: Level
    as_of: datetime


class TeamCost(msgspec.Struct, frozen=True):
    """as_of: when Snowflake was asked; null when it never answered · trouble: why it cannot be told now"""

    rows: tuple[CreditRow, ...]
    usd_per_credit: float
    budget: BudgetStanding | None
    as_of: datetime | None
    trouble: str | None = None


class CostReport(msgspec.Struct, frozen=True):
    """The last `days` days (UTC), today with them. embedded: this machine's accounts · snowflake: null where none is set"""

    by: By
    since: str
    until: str
    embedded: tuple[CostRow, ...]
    snowflake: TeamCost | None


class TeamCosts:
    """Of the team's warehouse in Snowflake. Settings are asked for anew each time: a budget may be raised while loading
    pauses. tell: called when a day's level rises."""

    def __init__(
        self,
        warehouse: Callable[[], Warehouse],
        book: Book,
        settings: Callable[[], SnowflakeSettings],
        *,
        clock: Clock = SYSTEM_CLOCK,
        tell: Callable[[BudgetStanding], None] = lambda standing: None,
    ) -> None:
        self._warehouse = warehouse
        self._book = book
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._looking = threading.Lock()
        self._looked_at: float | None = None
        self._trouble: str | None = None
        self._not_before = 0.0
        self._kept: dict[tuple[By, int], tuple[float, tuple[CreditRow, ...], datetime]] = {}

    def standing(self) -> BudgetStanding | None:
        """Today's, as it was last read; None when it was not yet."""
        found = self._book.standing
        if found is None or found.day != self._today().isoformat():
            return None
        return _stands(found, self._settings())

    def holds(self) -> bool:
        """Whether loading has to wait: until the day is over, or the budget is raised. Where only an estimate says so, it is
        looked at again now and then: the meter may know better by then."""
        if self._is_hard() and self._rests_on_an_estimate():
            self.look(ESTIMATE_SECONDS)
        return self._is_hard()

    def _is_hard(self) -> bool:
        found = self.standing()
        return found is not None and found.level == "hard"

    def _rests_on_an_estimate(self) -> bool:
        found = self.standing()
        return found is not None and found.usd - found.estimated_usd < (found.budget_usd or 0)

    def look(self, seconds: float = LOOK_SECONDS) -> None:
        """Reads what today costs, unless that was done within so many seconds. Trouble is told once; who loads goes on: the
        monitors in Snowflake hold."""
        with self._looking:
            now = self._clock.monotonic()
            if self._looked_at is not None and now - self._looked_at < seconds:
                return
            self._looked_at = now
            try:
                self._take(self._read("workload", 1))
            except CdeskError as error:
                if self._trouble != str(error):
                    observe.event("warning", "team_cost_unknown", error=str(error))
                self._trouble = str(error)

    def report(self, by: By, days: int) -> TeamCost:
        settings, now = self._settings(), self._clock.monotonic()
        with self._looking:
            known = self._kept.get((by, days))
            if now >= self._not_before and (known is None or now - known[0] >= LOOK_SECONDS):
                try:
                    rows = self._read(by, days)
                    known = self._kept[by, days] = (now, rows, self._clock.now())
                    if by == "workload":
                        self._take(rows)
                except CdeskError as error:
                    self._trouble, self._not_before = str(error), now + AGAIN_SECONDS
            return TeamCost(
                () if known is None else known[1], settings.usd_per_credit, self.standing(),
                None if known is None else known[2], self._trouble,
            )  # fmt: skip

    def _read(self, by: By, days: int) -> tuple[CreditRow, ...]:
        since, price = _since(self._today(), days), self._settings().usd_per_credit
        if by == "tag":
            found = self._warehouse().query(_sql("cost_by_tag"), [since, TAGS_MAX]).rows
            rows = tuple(
                CreditRow(
                    day.isoformat(), workload or "", tag, float(credits or 0), 0.0, float(credits or 0) * price, runs
                )
                for day, workload, tag, runs, credits in found
            )
        else:
            found = self._warehouse().query(_sql("cost_daily"), [since]).rows
            rows = tuple(
                CreditRow(
                    day.isoformat(), workload, None, float(credits), float(estimated), float(credits) * price, None
                )
                for day, workload, credits, estimated in found
            )
        self._trouble = None
        return rows

    def _take(self, rows: tuple[CreditRow, ...]) -> None:
        """Keeps how today stands, and tells when that is worse than what was told."""
        settings, today = self._settings(), self._today().isoformat()
        of_today = [row for row in rows if row.day == today]
        usd = sum(row.usd for row in of_today)
        estimated = sum(row.credits_estimated for row in of_today) * settings.usd_per_credit
        before = self.standing()
        now = Standing(today, usd, estimated, self._clock.now())
        self._book.standing = now
        stands = _stands(now, settings)
        if stands.level != "ok" and (before is None or before.level != stands.level):
            self._tell(stands)

    def _today(self) -> date:
        return self._clock.now().date()


class Costs:
    """team: None where no Snowflake is set"""

    def __init__(self, book: Book, meter: Meter, team: TeamCosts | None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._book = book
        self._meter = meter
        self._team = team
        self._clock = clock

    def report(self, *, days: int = DAYS, by: By = "workload") -> CostReport:
        """Raises UsageError."""
        if not 1 <= days <= DAYS_MAX:
            raise UsageError(f"days must be from 1 to {DAYS_MAX}, not {days}.")
        self._meter.settle()
        today = self._clock.now().date()
        since = _since(today, days)
        rows = tuple(
            _row(day, name, used)
            for day, known in self._book.days(since).items()
            for name, used in (known.workloads if by == "workload" else known.tags).items()
        )
        team = None if self._team is None else self._team.report(by, days)
        return CostReport(by, since.isoformat(), today.isoformat(), rows, team)

    def standing(self) -> BudgetStanding | None:
        return None if self._team is None else self._team.standing()

    def since_start(self) -> dict[str, Used]:
        """By workload, of this process."""
        self._meter.settle()
        return self._book.since_start

    def today(self) -> dict[str, float]:
        """Seconds of processor by workload, of this UTC day."""
        self._meter.settle()
        today = self._clock.now().date()
        return {
            name: round(used.cpu_s, 3)
            for day in self._book.days(today).values()
            for name, used in day.workloads.items()
        }


def _stands(standing: Standing, settings: SnowflakeSettings) -> BudgetStanding:
    usd = settings.budget_usd_per_day or None
    budget = Budget(usd, settings.budget_soft_share)
    soft = None if usd is None else usd * settings.budget_soft_share
    return BudgetStanding(
        standing.day, standing.usd, standing.estimated_usd, usd, soft, budget.level(standing.usd), standing.as_of
    )


def _row(day: str, name: str, used: Used) -> CostRow:
    workload, _, tag = name.partition(" ")
    read, written = (round(used.read), round(used.written)) if KNOWS_BYTES else (None, None)
    return CostRow(day, workload, tag or None, used.runs, round(used.cpu_s, 6), read, written)


def _since(today: date, days: int) -> date:
    return today - timedelta(days=days - 1)


def _sql(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text("utf-8").strip().rstrip(";")
