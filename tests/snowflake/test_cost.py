"""Credits by day, workload and tag, and the log of runs, from what Snowflake's meters tell in the emulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.snowflake.conftest import Account
from tests.snowflake.test_contract import fact

from cdesk.activity.codec import encode
from cdesk.app import App
from cdesk.clock import Clock
from cdesk.config import Home, Settings, SnowflakeSettings
from cdesk.cost.book import Book
from cdesk.cost.budget import Standing
from cdesk.query.cost import TeamCosts
from cdesk.refresh.task import load
from cdesk.warehouse import snowflake as room
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
from cdesk.warehouse.warehouse import Warehouse

PLATFORM = Path(room.__path__[0]) / "platform"


@pytest.fixture
def emulated(account: Account) -> Account:
    """Its meters tell what a test says; a real account's do not."""
    if account.emulator is None:
        pytest.skip("a real account has meters of its own")
    return account


@pytest.fixture(params=["duckdb", "snowflake"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[Warehouse]:
    if request.param == "snowflake":
        yield request.getfixturevalue("account").warehouse
        return
    opened = DuckDBWarehouse(deployed(tmp_path))
    yield opened
    opened.close()


def put(warehouse: Warehouse, table: str, rows: Iterable[str]) -> None:
    """In either engine. table: with its columns · rows: each as SQL"""
    sql = f"INSERT INTO {table} VALUES {', '.join(rows)}"
    if isinstance(warehouse, DuckDBWarehouse):
        warehouse.write([(sql, ())])
    else:
        warehouse.query(sql)


def test_a_tag_that_many_runs_bear_gives_one_row(warehouse: Warehouse) -> None:
    """The last to start speaks; of those that began together the same one in either engine, and runs that are told twice or
    bear somebody else's tag change nothing."""
    query = f"q_fan_{type(warehouse).__name__.lower()}"
    asked = fact(
        activity="sql_executed", feature_json={"query_id": query, "sql": "SELECT 1", "success": True}, source="cdesk"
    )
    warehouse.merge([asked])
    runs = [
        ("a", f"cdesk:{query}", "10:00:00", 1), ("b", f"cdesk:{query}", "10:00:02", 2), ("c", f"cdesk:{query}", "10:00:02", 3),
        ("c", f"cdesk:{query}", "10:00:02", 3), ("d", f"other:{query}", "11:00:00", 4), ("e", f"cdesk:{query}x", "11:00:00", 5),
    ]  # fmt: skip
    put(warehouse, "QUERY_HISTORY (query_id, query_tag, start_time, end_time, execution_status, rows_produced)", (
        f"('{name}-{query}', '{tag}', '2026-11-20 {at}', '2026-11-20 {at}', 'SUCCESS', {rows})" for name, tag, at, rows in runs
    ))  # fmt: skip
    found = warehouse.query(
        f"SELECT snowflake_query_id, qh_rows_produced FROM VW_SQL_EVENTS WHERE query_id = '{query}'"
    ).rows
    assert [(name, int(rows)) for name, rows in found] == [(f"c-{query}", 3)]


def test_a_run_is_logged_once_whichever_view_tells_of_it(emulated: Account) -> None:
    """First what is recent, then what is late; each again, too. What still runs waits until it has ended."""
    query = "q_logged_once"
    with emulated.sessions.take() as session:
        for _ in range(3):
            session.execute("SELECT 41 + 1", query_id=query)
        recent, late = _bodies()
        for body in (recent, late, recent):
            session.execute(body, query_id="late")
        sql = "SELECT COUNT(*), COUNT(DISTINCT query_id) FROM QUERY_HISTORY WHERE query_tag = ?"
        [(runs, ids)] = session.execute(sql, (f"cdesk:{query}",), query_id="look").rows
    assert (int(runs), int(ids)) == (3, 3)


def _bodies() -> list[str]:
    """What the two tasks do: INFORMATION_SCHEMA's, then ACCOUNT_USAGE's."""
    text = (PLATFORM / "50_query_history.sql").read_text("utf-8")
    return [part[part.index("MERGE") :] for part in text.split(";") if "MERGE" in part]


def test_tasks_bear_a_tag_of_their_own() -> None:
    """So their credits are found."""
    for one, step in zip(load(), task.steps(load()), strict=True):
        assert f"QUERY_TAG = 'cdesk:task:{one.name}'" in step.sql.partition("$$")[0]


def test_the_monitors_stop_no_later_than_the_budget() -> None:
    """One for each warehouse, together a day's dollars at most: told, suspended, then stopped."""
    text = (PLATFORM.parent / "account" / "03_monitors.sql").read_text("utf-8")
    quotas = [int(quota) for quota in re.findall(r"CREDIT_QUOTA = (\d+) FREQUENCY = DAILY", text)]
    settings = SnowflakeSettings()
    assert len(quotas) == len(re.findall(r"SET RESOURCE_MONITOR", text)) == 4
    assert sum(quotas) * settings.usd_per_credit <= settings.budget_usd_per_day == 100
    assert (
        len(re.findall(r"ON 80 PERCENT DO NOTIFY ON 95 PERCENT DO SUSPEND ON 100 PERCENT DO SUSPEND_IMMEDIATE", text))
        == 4
    )


def test_days_are_told_from_the_meters_and_what_they_do_not_tell_yet(emulated: Account) -> None:
    """Hours that the meter knows are the meter's; newer ones are estimated, an hour at most; what the meter says to be more
    is more. Days are UTC, warehouses of others are left out."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    told, newer = now - timedelta(hours=5), now - timedelta(hours=2)
    meter = [
        (told - timedelta(days=3), "CDESK_INGEST", 1.5), (told - timedelta(days=3), "CDESK_TASKS", 0.5),
        (told, "CDESK_INGEST", 0.25), (told, "SOMEBODY_ELSES", 70.0),
    ]  # fmt: skip
    ran = [
        (told - timedelta(hours=1), "CDESK_INGEST", 9e9), (told, "CDESK_INGEST", 1_000),
        *((newer + timedelta(seconds=place), "CDESK_INGEST", 60_000) for place in range(5)),
        (newer, "CDESK_BATCH", 9e9), (newer, "SOMEBODY_ELSES", 9e9),
    ]  # fmt: skip
    warehouse = emulated.warehouse
    put(warehouse, "_ACCOUNT_USAGE.WAREHOUSE_METERING_HISTORY (start_time, warehouse_name, credits_used)", (
        f"('{at:%Y-%m-%d %H:%M:%S}+00:00', '{name}', {credits})" for at, name, credits in meter
    ))  # fmt: skip
    put(warehouse, "QUERY_HISTORY (query_id, query_tag, warehouse_name, start_time, end_time, total_elapsed_time)", (
        f"('metered-{place}', 'cdesk:metered', '{name}', '{at:%Y-%m-%d %H:%M:%S}', '{at:%Y-%m-%d %H:%M:%S}', {ms})"
        for place, (at, name, ms) in enumerate(ran)
    ))  # fmt: skip
    rows = warehouse.query(
        "SELECT day, workload, credits, credits_metered, credits_estimated FROM V_COST_DAILY ORDER BY day, workload"
    ).rows
    expected: dict[tuple[date, str], list[float]] = {}
    for at, name, metered, estimated in (
        (told - timedelta(days=3), "ingest", 1.5, 0.0), (told - timedelta(days=3), "tasks", 0.5, 0.0),
        (told, "ingest", 0.25, 0.0), (newer, "ingest", 0.0, 5 * 120 / 3600), (newer, "batch", 0.0, 1.0),
    ):  # fmt: skip
        figures = expected.setdefault((at.date(), name), [0.0, 0.0, 0.0])
        for place, value in enumerate((metered + estimated, metered, estimated)):
            figures[place] += value
    found = {(day, workload): [float(value) for value in figures] for day, workload, *figures in rows}
    assert found == {key: pytest.approx(value) for key, value in expected.items()}

    costs = TeamCosts(lambda: warehouse, Book(Path("/nowhere")), lambda: emulated.settings)
    assert sum(row.credits for row in costs.report("workload", 7).rows) == pytest.approx(3.4167, abs=1e-3)


def test_tags_are_told_from_the_attribution(emulated: Account) -> None:
    """All runs of a day under one tag are one row; other people's tags are none."""
    warehouse = emulated.warehouse
    put(warehouse, "_ACCOUNT_USAGE.QUERY_ATTRIBUTION_HISTORY", (
        f"('{place}', '2026-11-19 {hour}:00:00+00:00', '{name}', '{tag}', {credits}, {more})"
        for place, (hour, name, tag, credits, more) in enumerate([
            ("09", "CDESK_TASKS", "cdesk:task:count", 0.5, "NULL"), ("23", "CDESK_TASKS", "cdesk:task:count", 0.25, "0.125"),
            ("10", "CDESK_INTERACTIVE", "cdesk:q_1", 0.1, "NULL"), ("10", "CDESK_INTERACTIVE", "dbt", 5, "NULL"),
        ])
    ))  # fmt: skip
    rows = warehouse.query(
        "SELECT day, workload, query_tag, statements, credits FROM V_COST_BY_TAG ORDER BY credits DESC"
    ).rows
    assert [(day, workload, tag, int(statements), round(credits, 6)) for day, workload, tag, statements, credits in rows] == [
        (date(2026, 11, 19), "tasks", "cdesk:task:count", 2, 0.875), (date(2026, 11, 19), "interactive", "cdesk:q_1", 1, 0.1),
    ]  # fmt: skip


def test_loading_pauses_when_the_day_is_spent_and_goes_on_afterwards(tmp_path: Path, account: Account) -> None:
    """The queue holds everything meanwhile, and this machine's own warehouse has it at once."""
    settings = Settings(snowflake=msgspec.structs.replace(account.settings, load=True, batch_seconds=0.05))
    home, one = Home(tmp_path / "home"), fact(activity="thing_happened")
    now = [datetime(2026, 11, 20, 23, 59, tzinfo=UTC)]
    clock = Clock(now_ns=lambda: int(now[0].timestamp()) * 10**9)
    home.make()
    Book(home.cost, clock=clock).standing = Standing("2026-11-20", 100.0, 0.0, now[0])
    app = App(home, settings, {"HOME": str(tmp_path)}, clock=clock)
    assert app._is_over_budget()
    app.writer.append([encode(one)])
    app.start()
    try:
        _wait(lambda: app.warehouse.count() == 1)
        assert not _has(account.warehouse, one.activity_id)
        now[0] += timedelta(minutes=2)
        _wait(lambda: _has(account.warehouse, one.activity_id))
        assert not app._is_over_budget()
    finally:
        app.close()


def _has(warehouse: SnowflakeWarehouse, activity_id: str) -> bool:
    sql = "SELECT COUNT(*) FROM CLAUDE_STREAM_V2 WHERE activity_id = ?"
    return bool(warehouse.query(sql, [activity_id]).rows[0][0])


def _wait(is_so: Callable[[], bool]) -> None:
    """For as long as a slow machine may need."""
    import threading

    pause = threading.Event()
    for _ in range(1_200):
        if is_so():
            return
        pause.wait(0.05)
    raise AssertionError("it never came")
