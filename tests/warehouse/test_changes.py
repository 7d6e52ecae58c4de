"""Change streams as Snowflake's are: consumers with offsets of their own, modes, and a cost that follows the change.

Their truth over random histories: tests/histories/test_stream_history.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.refresh.house import Consumer, activity

from cdesk.errors import WarehouseError, WarehouseUnready
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM, Stream

NET = Stream("NET", STREAM, "standard", True)
LATER = Stream("LATER", STREAM, "standard", False)
NEW = Stream("NEW", STREAM, "append", True)
ROW_GROUP = 122_880


@pytest.fixture
def warehouse(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[DuckDBWarehouse]:
    found = DuckDBWarehouse(deployed(tmp_path))
    yield found
    found.close()


def consumer(warehouse: DuckDBWarehouse, stream: Stream) -> Consumer:
    warehouse.changes.open([stream])
    return Consumer(warehouse, stream)


def test_consumers_do_not_see_each_other(warehouse: DuckDBWarehouse) -> None:
    """Each gets everything, in its own time."""
    first, second = consumer(warehouse, NET), consumer(warehouse, NEW)
    warehouse.merge([activity("a")])
    assert first.look() == [("INSERT", False, "ada")]
    warehouse.merge([activity("b", "bob")])
    assert first.look() == [("INSERT", False, "bob")]
    assert second.look() == [("INSERT", False, "ada"), ("INSERT", False, "bob")]
    assert first.look() == second.look() == []


def test_a_changed_row_is_told_in_two_halves(warehouse: DuckDBWarehouse) -> None:
    """As it is and as it was; however often it changed in between."""
    net, new = consumer(warehouse, NET), consumer(warehouse, NEW)
    warehouse.merge([activity("a", tool_name="Read")])
    net.look(), new.look()
    warehouse.merge([activity("a", source="transcript", tool_name="Read", success=True)])
    warehouse.merge([activity("a", source="otel", tool_name="Read", success=True)])
    assert net.look("_source, feature_json.success::VARCHAR") == [
        ("DELETE", True, "hook", None), ("INSERT", True, "hook,otel,transcript", "true"),
    ]  # fmt: skip
    assert new.look() == []


def test_initial_rows_or_only_new_ones(warehouse: DuckDBWarehouse) -> None:
    """What was there before the consumer is told to who asks for it."""
    warehouse.merge([activity("a")])
    net, later = consumer(warehouse, NET), consumer(warehouse, LATER)
    assert later.look() == [] and net.look() == [("INSERT", False, "ada")]


def test_a_stream_is_consumed_only_by_a_commit(warehouse: DuckDBWarehouse) -> None:
    """What failed has not happened."""
    net = consumer(warehouse, NET)
    warehouse.merge([activity("a")])
    with pytest.raises(WarehouseError, match="nowhere"), warehouse.changes.consume([NET]) as unit:
        unit.execute("INSERT INTO QUERY_HISTORY (query_id) SELECT customer FROM NET")
        unit.execute("INSERT INTO nowhere SELECT 1")
    assert warehouse.query("SELECT * FROM QUERY_HISTORY").rows == []
    assert warehouse.changes.has_data("NET") and net.look() == [("INSERT", False, "ada")]
    assert not warehouse.changes.has_data("NET")


def test_statements_see_one_moment(warehouse: DuckDBWarehouse) -> None:
    """A merge in between is in the next look, whole."""
    net = consumer(warehouse, NET)
    warehouse.merge([activity("a")])
    with warehouse.changes.consume([NET]) as unit:
        warehouse.merge([activity("b", "bob")])
        warehouse.merge([activity("a", source="otel")])
        assert unit.cursor.execute("SELECT customer, _source FROM NET").fetchall() == [("ada", "hook")]
        assert unit.cursor.execute("SELECT count(*) FROM CLAUDE_STREAM_V2").fetchall() == [(1,)]
    assert [row[:3] for row in net.look()] == [
        ("DELETE", True, "ada"),
        ("INSERT", False, "bob"),
        ("INSERT", True, "ada"),
    ]


def test_a_commit_that_is_not_counted_yet_is_seen(warehouse: DuckDBWarehouse) -> None:
    """A merge may have committed and not yet said so: its rows are told once all the same."""
    net = consumer(warehouse, NET)
    warehouse.merge([activity("a")])
    warehouse._merger.seq -= 1
    assert net.look() == [("INSERT", False, "ada")]
    warehouse._merger.seq += 1
    assert net.look() == []


def test_how_much_waits_is_counted(warehouse: DuckDBWarehouse) -> None:
    """About, and for each consumer; nothing where there was no commit."""
    net, new = consumer(warehouse, NET), consumer(warehouse, NEW)
    net.look(), new.look()
    assert warehouse.changes.behind("NET") == 0
    warehouse.merge([activity(f"k{number}") for number in range(7)])
    assert (warehouse.changes.behind("NET"), warehouse.changes.behind("NEW")) == (7, 7)
    net.look()
    warehouse.merge([activity("z")])
    assert (warehouse.changes.behind("NET"), warehouse.changes.behind("NEW")) == (1, 8)


def test_scratch_is_the_transactions_own(warehouse: DuckDBWarehouse) -> None:
    """Empty when it is laid out, gone afterwards, and not what the table of that name holds."""
    warehouse.query("CREATE TABLE WORK AS SELECT 1 AS n")
    for _ in range(2):
        with warehouse.changes.consume([]) as unit:
            unit.lay_out(["WORK"])
            assert unit.execute("INSERT INTO WORK VALUES (2), (3)") == 2
            assert unit.cursor.execute("SELECT sum(n) FROM WORK").fetchall() == [(5,)]
    assert warehouse.query("SELECT n FROM WORK").rows == [(1,)]


def test_two_that_write_the_same_row_conflict(warehouse: DuckDBWarehouse) -> None:
    """The second is told that trying again may help."""
    consumer(warehouse, NET)
    warehouse.query("CREATE TABLE T AS SELECT 1 AS n")
    with warehouse.changes.consume([]) as first:
        first.execute("UPDATE T SET n = 2")
        with pytest.raises(WarehouseUnready), warehouse.changes.consume([NET]) as second:
            second.execute("UPDATE T SET n = 3")


def test_old_images_go_when_everybody_has_passed_them(warehouse: DuckDBWarehouse) -> None:
    """Not before."""
    net, new = consumer(warehouse, NET), consumer(warehouse, NEW)
    warehouse.merge([activity("a")])
    net.look(), new.look()
    warehouse.merge([activity("a", source="otel")])
    net.look()
    assert warehouse.query("SELECT count(*) FROM _STREAM_BEFORE").rows == [(1,)]
    new.look()
    assert warehouse.query("SELECT count(*) FROM _STREAM_BEFORE").rows == [(0,)]


def test_old_images_matter_once_somebody_has_looked(warehouse: DuckDBWarehouse) -> None:
    """Who has not looked yet wants rows as they are; a merger may ask."""
    assert not warehouse.changes.is_followed
    net = consumer(warehouse, NET)
    assert not warehouse.changes.is_followed
    net.look()
    assert warehouse.changes.is_followed


def test_new_rows_only_need_old_images_from_the_beginning(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """And so it is after a restart."""
    consumer(warehouse, LATER)
    assert warehouse.changes.is_followed
    warehouse.close()
    again = DuckDBWarehouse(tmp_path)
    assert again.changes.is_followed
    again.close()


def test_offsets_survive_the_rows_they_were_counted_by(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    """Numbers go on where they were, though the newest rows are gone."""
    net = consumer(warehouse, NET)
    warehouse.merge([activity("a")])
    warehouse.merge([activity("b", "bob")])
    net.look()
    warehouse.query("DELETE FROM CLAUDE_STREAM_V2 WHERE customer = 'bob'")
    warehouse.close()
    again = DuckDBWarehouse(tmp_path)
    again.merge([activity("c", "cleo")])
    assert Consumer(again, NET).look() == [("INSERT", False, "cleo")]
    again.close()


@pytest.mark.parametrize("stream", [NET, NEW])
def test_a_look_reads_what_changed(warehouse: DuckDBWarehouse, stream: Stream) -> None:
    """Of a table of many row groups, just those that hold the change: zone maps prune by `_seq`."""
    warehouse.query(f"""
INSERT INTO {STREAM} (activity_id, ts, activity, customer, _seq, _first_seq)
SELECT uuid(), TIMESTAMP '2026-01-01', 'x', 'ada', 1 + range // 1000, 1 + range // 1000 FROM range({4 * ROW_GROUP})""")
    warehouse._merger.seq = 1 + 4 * ROW_GROUP // 1000
    found = consumer(warehouse, stream)
    found.look()
    warehouse.merge([activity("a", "bob")])
    with warehouse.changes.consume([stream]) as unit:
        asked = f"EXPLAIN (ANALYZE, FORMAT json) SELECT customer FROM {stream.name}"
        plan = unit.cursor.execute(asked).fetchall()[0][1]
    figures = {name: int(value) for name, value in re.findall(r'"(total_\w+)": *"?(\d+)', plan)}
    assert figures["total_rows_scanned"] <= 2
    assert figures["total_row_groups_scanned"] <= 2 < figures["total_row_groups_to_scan"]
