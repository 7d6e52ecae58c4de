"""What a question would read is known before it is asked, and is what is read then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.generated import START

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.errors import QueryRefused
from cdesk.query.adhoc import Adhoc, told_json
from cdesk.query.estimate import BLOCK_BYTES, Estimate, Estimator, in_words
from cdesk.query.sample import Sampler
from cdesk.warehouse.duckdb.store import FILE_NAME, DuckDBWarehouse

ROWS = 125_000
ALL = "SELECT * FROM CLAUDE_STREAM_V2"
FIGURES = "SELECT activity, sum(_prompt_tokens) FROM CLAUDE_STREAM_V2 GROUP BY 1"
LATE = f"{FIGURES.replace(' GROUP', ' WHERE ts >= $1 GROUP')}"
QUESTIONS = (
    "SELECT sum(length(_session_id)) FROM CLAUDE_STREAM_V2", FIGURES, "SELECT max(activity_id), max(customer) FROM CLAUDE_STREAM_V2",
    "SELECT max(latency_ms) FROM VW_TOOL_EVENTS", "WITH a AS (FROM CLAUDE_STREAM_V2) SELECT max(a._session_id), max(a.ts) FROM a",
)  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    """Rows in the order of their times, on disk."""
    opened = DuckDBWarehouse(deployed(tmp_path_factory.mktemp("estimated")))
    opened.merge([_activity("first", 0)])
    opened.query(f"""
        INSERT INTO CLAUDE_STREAM_V2 BY NAME
        SELECT uuid() AS activity_id, ts + INTERVAL 1 SECOND * n AS ts, 'tool_called' AS activity, 'c' || hash(n) % 50 AS customer,
               CASE WHEN n % 20 = 0 THEN feature_json END AS feature_json, md5(n::VARCHAR) AS _session_id, (hash(n) % 100000)::BIGINT AS _prompt_tokens
          FROM (FROM CLAUDE_STREAM_V2 LIMIT 1), range({ROWS}) r(n) ORDER BY n
    """)
    opened.query("CHECKPOINT")
    yield opened
    opened.close()


def _activity(name: str, second: int) -> Activity:
    return Activity(
        activity_id=activity_id("estimated", name), ts=START + timedelta(seconds=second), activity="tool_called", customer="c",
        source="api", feature_json={"tool_name": "Bash", "latency_ms": 7, "project_path": "/p"},
    )  # fmt: skip


def _read_bytes(path: Path, sql: str) -> int:
    """What the process reads for a question, right after opening the file."""
    with duckdb.connect(str(path), config={"memory_limit": "256MB"}) as connection:
        connection.execute(f"EXPLAIN {sql}").fetchall()
        before = _rchar()
        connection.execute(sql).fetchall()
        return _rchar() - before


def _rchar() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the kernel does not count what a process reads")
def test_estimates_are_within_two_of_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, warehouse: DuckDBWarehouse
) -> None:
    estimator, copy = Estimator(warehouse), tmp_path_factory.mktemp("copy") / FILE_NAME
    copy.write_bytes((warehouse._path).read_bytes())
    for sql in QUESTIONS:
        estimated, read = estimator.estimate(sql).bytes, _read_bytes(copy, sql)
        assert read / 2 <= estimated <= 2 * read, sql


def test_bounds_of_time_leave_out_what_lies_outside(warehouse: DuckDBWarehouse) -> None:
    """Bound as parameters, too: fewer row groups, and none beyond the end."""
    estimator = Estimator(warehouse)
    begin = START.replace(tzinfo=None)
    whole, last, none = (
        estimator.estimate(LATE, [begin + timedelta(seconds=second)]) for second in (0, ROWS - 10, ROWS + 10**6)
    )
    assert whole.bytes > last.bytes > none.bytes == 0
    assert whole.rows >= ROWS > last.rows > 0
    assert whole.tables == ["CLAUDE_STREAM_V2"]


def test_fewer_columns_are_fewer_bytes(warehouse: DuckDBWarehouse) -> None:
    estimator = Estimator(warehouse)
    assert estimator.estimate(ALL).bytes > 3 * estimator.estimate(FIGURES).bytes > 0
    assert estimator.estimate("SELECT 1") == Estimate(0, 0, [])


def test_a_layout_is_read_once(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Estimator(warehouse)
    first = estimator.estimate(ALL)
    monkeypatch.setattr(estimator, "_read", lambda table: pytest.fail("read again"))
    assert estimator.estimate(ALL) == first


def test_who_hands_in_a_ticket_waits_for_no_layout(warehouse: DuckDBWarehouse) -> None:
    """Nothing is said of a large table while its layout is not known, or while another thread reads one; then it is."""
    estimator = Estimator(warehouse)
    assert estimator.at_once(ALL) is None
    while estimator._being_read:
        time.sleep(0.001)
    assert estimator.at_once(ALL) == estimator.estimate(ALL)
    held, let = threading.Event(), threading.Event()

    def hold() -> None:
        with estimator._lock:
            held.set()
            assert let.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    assert estimator.at_once(ALL) is None
    let.set()
    holder.join()


def test_who_asks_does_not_wait_for_a_large_layout(warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known answers, while one thread reads it anew."""
    monkeypatch.setattr("cdesk.query.estimate.READ_AT_ONCE_ROWS_MAX", 1_000)
    monkeypatch.setattr("cdesk.query.estimate.SECONDS_KEPT", 0.0)
    estimator = Estimator(warehouse)
    estimator.prepare()
    first, rows = estimator.estimate(ALL), estimator._read("CLAUDE_STREAM_V2")
    asked, go_on = threading.Semaphore(0), threading.Event()

    def read(table: str) -> list[tuple[Any, ...]]:
        asked.release()
        assert go_on.wait(60)
        return rows[:0]

    while estimator._being_read:
        time.sleep(0.01)
    monkeypatch.setattr(estimator, "_read", read)
    assert [estimator.estimate(ALL) for _ in range(3)] == [first] * 3
    assert asked.acquire(timeout=60) and not asked.acquire(blocking=False)
    go_on.set()
    while estimator._being_read:
        time.sleep(0.01)
    monkeypatch.setattr("cdesk.query.estimate.SECONDS_KEPT", 600.0)
    assert estimator.estimate(ALL).bytes == 0


def test_what_has_grown_is_looked_at_again(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """What is not in the file yet counts, too."""
    warehouse = DuckDBWarehouse(deployed(tmp_path))
    estimator = Estimator(warehouse)
    assert estimator.estimate(ALL).rows == 0
    warehouse.merge([_activity(str(n), n) for n in range(50)])
    found = estimator.estimate(ALL)
    assert found.rows == 50 and found.bytes > 0
    warehouse.close()


def test_over_the_cap_is_refused_with_the_estimate(warehouse: DuckDBWarehouse) -> None:
    adhoc = Adhoc(warehouse, lambda: "q_1", Estimator(warehouse), Sampler(warehouse))
    bytes_ = adhoc.estimate(ALL).bytes
    with pytest.raises(QueryRefused, match=rf"about {bytes_:,} bytes, its cap is {bytes_ - 1:,}.*sample"):
        adhoc.ask(ALL, rows_max=1, seconds_max=9.0, bytes_max=bytes_ - 1)
    told = adhoc.ask(ALL, rows_max=1, seconds_max=9.0, bytes_max=bytes_)
    assert len(told.answer.rows) == 1 and told.estimate.bytes == bytes_


def test_over_the_cap_a_sample_answers_where_it_is_wanted(warehouse: DuckDBWarehouse) -> None:
    """With its watermark, and a ± that holds; the same again for the same question."""
    adhoc = Adhoc(warehouse, lambda: "q_1", Estimator(warehouse), Sampler(warehouse))
    sql = "SELECT sum(length(activity_id::VARCHAR)) AS letters, count(*) AS n FROM CLAUDE_STREAM_V2"
    cap = adhoc.estimate(sql).bytes // 3
    told, again = (adhoc.ask(sql, rows_max=9, seconds_max=9.0, bytes_max=cap, over_cap="sample") for _ in range(2))
    assert told.sample is not None and "SAMPLE" in told.sample.watermark and 0 < told.sample.rate < 1
    found = dict(zip(told.answer.columns, told.answer.rows[0], strict=True))
    assert abs(found["n"] - warehouse.count()) <= found["n_error"] and told.answer.rows == again.answer.rows
    shown = told_json(told)["sample"]
    assert shown == {"rate": told.sample.rate, "seed": told.sample.seed, "watermark": told.sample.watermark}
    with pytest.raises(QueryRefused, match="sample"):
        adhoc.ask(f"WITH x AS ({sql}) SELECT * FROM x", rows_max=9, seconds_max=9.0, bytes_max=cap, over_cap="sample")


def test_what_is_refused_is_not_estimated(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(QueryRefused):
        Adhoc(warehouse, lambda: "q_1", Estimator(warehouse), Sampler(warehouse)).estimate("FROM _STREAM_BEFORE")


def test_what_cannot_be_planned_is_the_askers_and_on_record(warehouse: DuckDBWarehouse) -> None:
    adhoc = Adhoc(warehouse, lambda: "q_wrong", Estimator(warehouse), Sampler(warehouse))
    with pytest.raises(QueryRefused, match="nope"):
        adhoc.estimate("SELECT nope FROM V_ERRORS")
    with pytest.raises(QueryRefused, match="nope"):
        adhoc.ask("SELECT nope FROM V_ERRORS", rows_max=1, seconds_max=9.0)
    assert warehouse.query("SELECT execution_status FROM QUERY_HISTORY WHERE query_id = 'q_wrong'").rows == [("FAIL",)]


def test_it_is_said_in_words() -> None:
    assert in_words(Estimate(46 * BLOCK_BYTES, 1_200, ["A", "B"])) == "about 12.1 MB in 1,200 rows of A, B"
    assert in_words(Estimate(0, 0, [])) == "about 0 B in 0 rows"
