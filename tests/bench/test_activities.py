"""What benchmarks feed cdesk with is what it takes from real life, and can be told apart row by row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks import activities

from cdesk.activity.catalog import CATALOG
from cdesk.activity.codec import decode
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

BASE = 6_000


def test_lines_are_whole_activities_of_many_kinds() -> None:
    """Every line proves itself, most kinds of the catalog's session life are there, and a line has about 1 KB."""
    lines = activities.Stream("t").lines(4_000)
    found = Counter(decode(line).activity for line in lines)
    assert len(found) > 12
    assert set(found) <= set(CATALOG)
    assert 900 < sum(map(len, lines)) / len(lines) < 1_200


def test_new_facts_have_ids_of_their_own_and_some_are_told_again() -> None:
    stream = activities.Stream("t")
    told = [decode(line) for line in stream.lines(4_000)]
    assert stream.facts + stream.told_again == len(told)
    assert len({(a.activity_id, a.source) for a in told}) < len(told), "some word for word"
    assert len({a.source for a in told}) > 1, "some by another source"
    assert len({a.session_id for a in told}) > 10
    assert len({a.customer for a in told}) > 4


def test_sql_finds_what_is_missing_and_what_is_there_twice(tmp_path: Path) -> None:
    """Facts told again, in the stream and of the base, by another source and by another name, add no row."""
    folder = activities.warehouse_with(BASE, tmp_path)
    warehouse = DuckDBWarehouse(folder)
    try:
        stream = activities.Stream("t", late=0.05, base_rows=BASE)
        for _ in range(3):
            warehouse.merge([decode(line) for line in stream.lines(1_000)])
        assert stream.told_late > 50
        assert activities.counts(warehouse) == (BASE + stream.facts, 0)
        assert activities.missing(warehouse, "t", stream.facts) == 0
        assert activities.missing(warehouse, "base", BASE) == 0
        assert activities.missing(warehouse, "t", stream.facts + 7) == 7
    finally:
        warehouse.close()


def test_a_base_is_made_once(tmp_path: Path) -> None:
    first = activities.warehouse_with(10, tmp_path)
    made_at = (first / "warehouse.duckdb").stat().st_mtime_ns
    assert activities.warehouse_with(10, tmp_path) == first
    assert (first / "warehouse.duckdb").stat().st_mtime_ns == made_at
