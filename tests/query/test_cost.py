"""What cdesk costs is told by day; what Snowflake costs is held against a budget."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests import blank

from cdesk.clock import Clock
from cdesk.config import SnowflakeSettings
from cdesk.cost.book import Book, Used
from cdesk.cost.meter import Meter
from cdesk.errors import UsageError
from cdesk.query.cost import LOOK_SECONDS, BudgetStanding, Costs, TeamCosts
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import Warehouse

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)


class Team:
    """A warehouse with cost views as Snowflake's have them, a clock and settings that a test moves."""

    def __init__(self, warehouse: DuckDBWarehouse, folder: Path) -> None:
        self.warehouse, self.at, self.asked = warehouse, NOW, 0
        self.settings = SnowflakeSettings(account="a", user="u")
        self.told: list[BudgetStanding] = []
        clock = Clock(now_ns=lambda: int(self.at.timestamp()) * 10**9, monotonic=lambda: self.at.timestamp())
        self.book = Book(folder / "cost.json", clock=clock)
        self.costs = TeamCosts(self._ask, self.book, lambda: self.settings, clock=clock, tell=self.told.append)
        self.whole = Costs(self.book, Meter(self.book, read=Used), self.costs, clock=clock)
        self.run(
            "CREATE TABLE V_COST_DAILY (day DATE, workload VARCHAR, credits DOUBLE, credits_estimated DOUBLE)",
            "CREATE TABLE V_COST_BY_TAG (day DATE, workload VARCHAR, query_tag VARCHAR, statements BIGINT, credits DOUBLE)",
        )

    def _ask(self) -> Warehouse:
        self.asked += 1
        return self.warehouse

    def run(self, *statements: str) -> None:
        self.warehouse.write([(sql, ()) for sql in statements])

    def spends(self, credits: float, workload: str = "ingest", estimated: float = 0, days_ago: int = 0) -> None:
        day = (self.at - timedelta(days=days_ago)).date()
        self.run(f"INSERT INTO V_COST_DAILY VALUES ('{day}', '{workload}', {credits}, {estimated})")

    def later(self, **more: float) -> None:
        self.at += timedelta(**more)


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    warehouse = DuckDBWarehouse(blank.put(tmp_path / "warehouse"))
    yield Team(warehouse, tmp_path)
    warehouse.close()


def replaced(settings: SnowflakeSettings, **more: Any) -> SnowflakeSettings:
    import msgspec

    return msgspec.structs.replace(settings, **more)


def test_accounts_are_told_by_workload_and_by_tag(team: Team) -> None:
    """Of as many days as are asked for, today with them."""
    team.book.add("ingest", "", Used(3, 1.5, 10, 20))
    team.later(days=1)
    team.book.add("batch", "q_1", Used(1, 4.0))
    told = team.whole.report(days=2)
    assert (told.since, told.until) == ("2026-11-23", "2026-11-24")
    assert [(row.day, row.workload, row.tag, row.runs, row.cpu_s) for row in told.embedded if row.workload != "service"] == [
        ("2026-11-23", "ingest", None, 3, 1.5), ("2026-11-24", "batch", None, 1, 4.0),
    ]  # fmt: skip
    assert [row.day for row in team.whole.report(days=1).embedded if row.runs] == ["2026-11-24"]
    [row] = team.whole.report(days=1, by="tag").embedded
    assert (row.workload, row.tag, row.cpu_s) == ("batch", "q_1", 4.0)


@pytest.mark.parametrize("days", [0, -1, 401])
def test_days_have_bounds(team: Team, days: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 400"):
        team.whole.report(days=days)


def test_credits_are_told_in_dollars(team: Team) -> None:
    """At the price that the settings say."""
    team.settings = replaced(team.settings, usd_per_credit=2.5)
    team.spends(4, "tasks", estimated=1)
    team.spends(2, "ingest", days_ago=1)
    team.spends(9, "ingest", days_ago=40)
    found = team.whole.report(days=7).snowflake
    assert found is not None and found.trouble is None and found.usd_per_credit == 2.5
    assert [(row.day, row.workload, row.credits, row.credits_estimated, row.usd) for row in found.rows] == [
        ("2026-11-22", "ingest", 2, 0, 5.0), ("2026-11-23", "tasks", 4, 1, 10.0),
    ]  # fmt: skip
    assert found.budget is not None and (found.budget.usd, found.budget.estimated_usd) == (10.0, 2.5)


def test_tags_are_told_by_what_they_took(team: Team) -> None:
    team.run(
        "INSERT INTO V_COST_BY_TAG SELECT '2026-11-23', 'interactive', 'cdesk:q_' || i, 1, i FROM range(30) AS r(i)",
        "INSERT INTO V_COST_BY_TAG VALUES ('2026-11-22', 'tasks', 'cdesk:task:count', 50, 0.5)",
    )
    found = team.whole.report(days=7, by="tag").snowflake
    assert found is not None
    assert [(row.day, row.tag, row.statements) for row in found.rows[:3]] == [
        ("2026-11-22", "cdesk:task:count", 50), ("2026-11-23", "cdesk:q_29", 1), ("2026-11-23", "cdesk:q_28", 1),
    ]  # fmt: skip
    assert len(found.rows) == 1 + 20


def test_snowflake_is_asked_seldom(team: Team) -> None:
    """Asking wakes a warehouse there."""
    for _ in range(3):
        team.costs.look()
        team.whole.report()
    assert team.asked == 2
    team.later(seconds=LOOK_SECONDS)
    team.costs.look()
    team.whole.report()
    assert team.asked == 4


def test_the_soft_limit_is_told_and_the_hard_one_holds(team: Team) -> None:
    """Each once a day; loading goes on up to the hard one."""
    levels = []
    for spent in (20, 7, 0.1, 6, 2):  # 60, 81, 81.3, 99.3, 105.3 of 100 US dollars
        team.spends(spent)
        team.later(seconds=LOOK_SECONDS)
        team.costs.look()
        levels.append((team.costs.standing().level, team.costs.holds()))  # type: ignore[union-attr]
    assert levels == [("ok", False), ("soft", False), ("soft", False), ("soft", False), ("hard", True)]
    assert [standing.level for standing in team.told] == ["soft", "hard"]


def test_a_pause_ends_with_the_day_or_a_higher_budget(team: Team, tmp_path: Path) -> None:
    """And not with a restart."""
    team.spends(40)
    team.costs.look()
    again = TeamCosts(lambda: team.warehouse, Book(tmp_path / "cost.json"), lambda: team.settings,
                      clock=Clock(now_ns=lambda: int(team.at.timestamp()) * 10**9))  # fmt: skip
    assert team.costs.holds() and again.holds()
    team.settings = replaced(team.settings, budget_usd_per_day=200)
    assert not team.costs.holds() and not again.holds()
    team.settings = replaced(team.settings, budget_usd_per_day=0)
    assert not team.costs.holds() and team.costs.standing().budget_usd is None  # type: ignore[union-attr]
    team.settings = replaced(team.settings, budget_usd_per_day=100)
    assert team.costs.holds()
    team.later(days=1)
    assert not team.costs.holds() and team.costs.standing() is None


def test_an_estimate_gives_way_to_the_meter(team: Team) -> None:
    """Only it is looked at again while loading pauses; what the meter told stays."""
    team.spends(34, estimated=20)
    team.costs.look()
    assert team.costs.holds() and team.asked == 1
    team.run("UPDATE V_COST_DAILY SET credits = 10, credits_estimated = 0")
    team.later(seconds=LOOK_SECONDS)
    assert team.costs.holds() and team.asked == 1, "a warehouse is not woken every quarter of an hour for it"
    team.later(hours=1)
    assert not team.costs.holds() and team.asked == 2
    team.run("UPDATE V_COST_DAILY SET credits = 34")
    team.costs.look(0)
    team.later(hours=2)
    assert team.costs.holds() and team.asked == 3


def test_who_cannot_see_the_meters_loads_all_the_same(team: Team) -> None:
    """It says why; what was known before stays."""
    team.spends(30)
    assert team.whole.report().snowflake.rows  # type: ignore[union-attr]
    team.run("DROP TABLE V_COST_DAILY")
    team.later(seconds=LOOK_SECONDS)
    team.costs.look()
    found = team.whole.report().snowflake
    assert found is not None and "V_COST_DAILY" in (found.trouble or "") and len(found.rows) == 1
    assert not team.costs.holds() and team.costs.standing().level == "soft"  # type: ignore[union-attr]
    asked = team.asked
    team.whole.report()
    assert team.asked == asked, "what cannot be asked is not asked again and again"
