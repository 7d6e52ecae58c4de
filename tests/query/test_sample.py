"""A sample says how much of the data it saw, and its ± holds as often as it says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import duckdb
import pytest

from cdesk.errors import QueryRefused
from cdesk.query.sample import ERROR, ONE_IN_MAX, Sample, one_in, slice_seconds
from cdesk.query.sample import sampled as sampled_within

SEEDS = range(16)
ROWS, SECONDS = 20_000, 14 * 86_400
_ROWS = f"""
CREATE TABLE calls AS
WITH raw AS (SELECT i, i / {ROWS}.0 * {SECONDS} AS s, (hash(i, 7) % 1000)::INTEGER AS luck FROM range({ROWS}) AS t (i))
SELECT
    -- days are busy and nights are not, and each hour is as slow as it is
    TIMESTAMP '2026-11-01' + to_milliseconds(((s + 12000 * sin(s / 13750.99)) * 1000)::BIGINT) AS ts,
    ['Bash', 'Read', 'Edit'][luck % 3 + 1] AS tool,
    CASE WHEN luck % 5 > 0 THEN 50 + luck % 100 + (hash(s // 3600) % 40)::BIGINT END AS ms,
    luck % 7 > 0 AS success
FROM raw
"""


TIMES = (datetime(2026, 11, 1), datetime(2026, 11, 15))


def sampled(sql: str, k: int, *, seconds: int, seed: int = 1) -> Sample:
    return sampled_within(sql, k, TIMES, seconds=seconds, seed=seed)


@pytest.fixture(scope="module")
def calls() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(_ROWS)
        yield connection


def _rows(calls: duckdb.DuckDBPyConnection, sql: str, given: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    cursor = calls.execute(sql, given or {})
    return [dict(zip([each[0] for each in cursor.description or ()], row, strict=True)) for row in cursor.fetchall()]


def test_bars_hold_as_often_as_they_say(calls: duckdb.DuckDBPyConnection) -> None:
    """Over many seeds the truth lies within the ± in about 95 of 100, and figures are right on average."""
    sql = "SELECT tool, COUNT(*) AS n, SUM(ms) AS total, AVG(ms) AS mean, COUNT_IF(success) AS ok FROM calls GROUP BY 1"
    truth = {row["tool"]: row for row in _rows(calls, sql)}
    within: list[bool] = []
    drift: dict[str, list[float]] = {"n": [], "total": [], "mean": [], "ok": []}
    for seed in SEEDS:
        sample = sampled(sql, 8, seconds=1024, seed=seed)
        for row in _rows(calls, sample.sql):
            for name, ratios in drift.items():
                true = float(truth[row["tool"]][name])
                ratios.append(float(row[name]) / true)
                within.append(abs(float(row[name]) - true) <= row[name + ERROR])
    assert 0.92 <= sum(within) / len(within) <= 1
    for name, ratios in drift.items():
        assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.02), name


def test_bars_are_no_wider_than_needed(calls: duckdb.DuckDBPyConnection) -> None:
    """The ± of a total is a few times smaller than the total: it would be no news otherwise."""
    (row,) = _rows(calls, sampled("SELECT COUNT(*) AS n, AVG(ms) AS mean FROM calls", 8, seconds=1024).sql)
    assert row["n" + ERROR] < 0.15 * ROWS
    assert row["mean" + ERROR] < 0.05 * row["mean"]


def test_one_seed_is_one_sample(calls: duckdb.DuckDBPyConnection) -> None:
    """The same seed reads the same rows, another reads others; rows that came later change none before."""
    sql = "SELECT ts FROM calls WHERE ts < TIMESTAMP '2026-11-05' ORDER BY ts"
    first, again, other = (sampled(sql, 20, seconds=256, seed=seed) for seed in (3, 3, 4))
    assert first == again
    rows = _rows(calls, first.sql)
    assert rows and rows != _rows(calls, other.sql)
    longer = _rows(calls, sampled(sql.replace("11-05", "11-09"), 20, seconds=256, seed=3).sql)
    assert longer[: len(rows)] == rows


def test_a_sample_says_so(calls: duckdb.DuckDBPyConnection) -> None:
    """Rate and seed are part of the answer and of the words shown with it."""
    sample = sampled("SELECT SUM(ms) AS total FROM calls", 40, seconds=512, seed=9)
    assert (sample.rate, sample.seed, sample.errors) == (0.025, 9, ("total_error",))
    assert sample.watermark.startswith("SAMPLE: 1 of 40 slices of time was read (2.5 %, seed 9)")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT tool, COUNT(*) AS n FROM calls WHERE ts >= $since GROUP BY tool HAVING n > 5 ORDER BY 2 DESC, tool LIMIT 2",
        "SELECT date_trunc('day', ts) AS day, SUM(ms) AS s FROM calls WHERE ts >= $since GROUP BY day ORDER BY day LIMIT 3",
        "SELECT ROUND(COUNT_IF(NOT c.success) * 100.0 / NULLIF(COUNT(*), 0), 0) AS pct, MIN(ms) AS low "
        "FROM calls AS c WHERE ts >= $since",
        "SELECT COUNT(*) FILTER (WHERE success) AS n, AVG(ms) FILTER (WHERE tool = 'Bash') AS m FROM calls WHERE ts >= $since",
        "SELECT CASE WHEN tool = 'Bash' THEN 'b' ELSE tool END AS t, CASE WHEN COUNT(ms) > 0 THEN SUM(ms) ELSE -1 END AS s, "
        "COALESCE(MIN(tool), '-') AS low FROM calls WHERE ts >= $since GROUP BY 1 ORDER BY 2 * -1, t",
        "SELECT lower(tool) || '!' AS t, COUNT(ms) AS n FROM calls WHERE ts >= $since GROUP BY ALL ORDER BY lower(tool) || '!'",
    ],
)
def test_shapes_of_questions(calls: duckdb.DuckDBPyConnection, sql: str) -> None:
    """The answer has the columns that were asked for, in their order, and figures of their size."""
    given = {"since": "2026-11-03"}
    whole, part = _rows(calls, sql, given), _rows(calls, sampled(sql, 4, seconds=512).sql, given)
    assert [list(row)[: len(whole[0])] for row in part] == [list(row) for row in whole]
    for true, found in zip(whole, part, strict=True):
        for name, value in true.items():
            if isinstance(value, int | float) and name != "low":
                assert found[name] == pytest.approx(value, rel=0.35)


def test_nothing_is_still_a_figure(calls: duckdb.DuckDBPyConnection) -> None:
    """No rows: a count is 0, a sum and a mean are not known, and neither is any ±."""
    sql = "SELECT COUNT(*) AS n, SUM(ms) AS s, AVG(ms) AS m FROM calls WHERE ts < '2001-01-01'"
    assert _rows(calls, sampled(sql, 4, seconds=4096).sql) == [
        {"n": 0, "s": None, "m": None, "n_error": None, "s_error": None, "m_error": None}
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(DISTINCT tool) FROM calls", "SELECT DISTINCT tool FROM calls", "SELECT MEDIAN(ms) FROM calls",
        "SELECT COUNT(*) FROM calls JOIN calls AS b USING (ts)", "SELECT COUNT(*) FROM (SELECT * FROM calls)",
        "SELECT COUNT(*) FROM calls, calls AS b", "WITH c AS (SELECT * FROM calls) SELECT COUNT(*) FROM c",
        "SELECT COUNT(*) FROM calls UNION ALL SELECT 1", "SELECT ROW_NUMBER() OVER () FROM calls", "SELECT 1",
        "SELECT COUNT(*) FROM range(3)", "SELECT tool, COUNT(*) FROM calls GROUP BY ROLLUP (tool)",
        "SELECT COUNT(*) FROM calls WHERE tool IN (SELECT tool FROM calls)", "SELECT COUNT(*) FROM calls WHERE tool = ?",
        "SELECT ms, COUNT(*) FROM calls", "SELECT COUNT(*) FROM calls TABLESAMPLE 5%", "DELETE FROM calls", "SELECT (",
        "SELECT SUM(ms) OVER () FROM calls", "SELECT STRING_AGG(tool, ',') FROM calls",
    ],
)  # fmt: skip
def test_what_has_no_known_error_is_refused(sql: str) -> None:
    """With what can be done instead."""
    with pytest.raises(QueryRefused, match="cannot be sampled") as refused:
        sampled(sql, 10, seconds=64)
    assert refused.value.hint


def test_rate_follows_the_cap() -> None:
    """So much is read as the cap allows, never more than half, and never so little that it says nothing."""
    assert [one_in(bytes_, 1_000) for bytes_ in (1_001, 2_000, 20_001)] == [2, 2, 21]
    with pytest.raises(QueryRefused, match="fewer days"):
        one_in(1_000 * (ONE_IN_MAX + 1), 1_000)


def test_slices_hold_about_as_many_rows_as_are_read_at_once() -> None:
    """Longer where less happens; a power of two, and never too few or too many of them."""
    year = 365 * 86_400.0
    assert [slice_seconds(10, rows, year) for rows in (0, 1_000_000, 5_000_000, 10**12)] == [
        131_072,
        65_536,
        16_384,
        8_192,
    ]
    assert slice_seconds(10, 5, 0.0) == 1
