"""Whole results are kept and given back, whatever is in them and whatever happens meanwhile."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import nanoarrow as na  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.artifact.house import NUMBERS, House

from cdesk.artifact.artifacts import KEEPING_SECONDS_MAX
from cdesk.artifact.model import Chart, Column
from cdesk.artifact.parquet import ROW_GROUP_ROWS
from cdesk.errors import ArtifactError, ContentMissing, UnknownArtifact, UsageError, WarehouseError

AT = datetime(2026, 3, 1, 10, 30, 15, 123456)
EVERY_TYPE: list[tuple[str, Any, Any]] = [
    ("BOOLEAN", True, True), ("TINYINT", -5, -5), ("UBIGINT", 2**64 - 1, str(2**64 - 1)), ("INTEGER", 7, 7),
    ("HUGEINT", 10**30, str(10**30)), ("DOUBLE", 0.1, 0.1), ("DOUBLE", float("nan"), "nan"), ("FLOAT", 0.5, 0.5),
    ("DECIMAL(18,3)", Decimal("1.250"), 1.25), ("VARCHAR", "ä\0\n“”", "ä\0\n“”"), ("BLOB", b"\0\xff", "00ff"),
    ("DATE", date(2026, 3, 1), "2026-03-01"), ("TIME", time(1, 2, 3), "01:02:03"),
    ("TIMESTAMP", AT, "2026-03-01T10:30:15.123456Z"),
    ("TIMESTAMP WITH TIME ZONE", AT.replace(tzinfo=UTC), "2026-03-01T10:30:15.123456+00:00"),
    ("UUID", UUID(int=7), str(UUID(int=7))), ("INTERVAL", timedelta(minutes=1, microseconds=5), 60.000005),
    ("INTEGER[]", [1, None], "[1,null]"), ("STRUCT(a INTEGER)", {"a": 1}, '{"a":1}'), ("VARIANT", {"a": [1]}, '{"a":[1]}'),
    ("VARIANT", "words", "words"), ("ENUM('x', 'y')", "x", "x"), ('"NULL"', None, None), ("GEOMETRY", "POINT (1 2)", "POINT (1 2)"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "shown"), EVERY_TYPE, ids=lambda v: str(v)[:20])
def test_every_type_comes_back(house: House, type_: str, value: Any, shown: Any) -> None:
    """And so does nothing at all, beside it."""
    kept = house.keep([(value,), (None,)], [Column("it", type_)])
    assert house.rows(kept) == kept.sample == [[shown], [None]]
    assert (kept.columns[0].type, kept.columns[0].nullable) == (type_, True)


@given(
    rows=st.lists(
        st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.text(max_size=50)), max_size=30
    )
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_come_back_in_order(house: House, rows: list[tuple[int | None, str | None]]) -> None:
    kept = house.keep(rows)
    pages: list[list[Any]] = []
    cursor: str | None = None
    while True:
        page = house.artifacts.page(kept.artifact_id, cursor, 7)
        assert page.offset == len(pages)
        pages += page.rows
        cursor = page.cursor
        if cursor is None:
            break
    assert pages == [
        [number if number is None or abs(number) <= 2**53 else str(number), words] for number, words in rows
    ]


def test_many_rows_are_kept_in_groups(house: House) -> None:
    """Each can be read by itself; a page deep inside begins where it should."""
    kept = house.keep((n, f"row {n}") for n in range(2 * ROW_GROUP_ROWS + 5))
    assert kept.row_count == 2 * ROW_GROUP_ROWS + 5 and len(kept.row_group_bytes) == 3
    assert house.artifacts.get(kept.artifact_id) == kept
    cursor = house.artifacts.seal.cursor(kept.artifact_id, 2 * ROW_GROUP_ROWS - 1)
    page = house.artifacts.page(kept.artifact_id, cursor, 3)
    assert [row[0] for row in page.rows] == [2 * ROW_GROUP_ROWS + n for n in (-1, 0, 1)]


def test_a_page_ends_before_it_is_too_large(house: House) -> None:
    """One row is given whatever its size."""
    kept = house.keep([(n, "x" * 3_000_000) for n in range(3)])
    sizes = []
    page = house.artifacts.page(kept.artifact_id)
    sizes.append(len(page.rows))
    while page.cursor:
        page = house.artifacts.page(kept.artifact_id, page.cursor)
        sizes.append(len(page.rows))
    assert sizes == [1, 1, 1]


def test_arrow_data_is_kept(house: House) -> None:
    source = duckdb.sql(
        "SELECT range::BIGINT AS number, sum(range) OVER () AS total, [range] AS list, to_seconds(range) AS time FROM range(5)"
    )
    columns = [
        Column("number", "BIGINT"),
        Column("total", "HUGEINT"),
        Column("list", "BIGINT[]"),
        Column("time", "INTERVAL"),
    ]
    kept = house.keep(na.c_array_stream(source), columns)
    assert house.rows(kept)[4] == [4, 10, "[4]", 4.0]
    with pytest.raises(UsageError):
        house.keep(na.c_array_stream(duckdb.sql("SELECT 1")), columns)


def test_columns_of_one_name_are_told_apart(house: House) -> None:
    kept = house.keep([(1, 2, 3, 4)], [Column(name, "BIGINT") for name in ("a", "A", 'a"; DROP', "")])
    assert [column.name for column in kept.columns] == ["a", "A_2", 'a"; DROP', "column"]
    assert house.rows(kept) == [[1, 2, 3, 4]]


def test_nothing_is_a_result_too(house: House) -> None:
    kept = house.keep([])
    assert (kept.row_count, kept.sample, house.rows(kept)) == (0, [], [])
    assert house.artifacts.page(kept.artifact_id).rows == []


@pytest.mark.parametrize(
    ("columns", "rows", "more"),
    [
        ([], [()], {}), ([Column("a", "BIGINT")], [("no number",)], {}), (NUMBERS, [(1, "x")], {"parent": "art_nobody"}),
        (NUMBERS, [(1, "x")], {"chart": Chart("bar", "number", "price")}),
        ([Column("a", "HUGEINT")], [(10**38,)], {}),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_leaves_nothing(house: House, columns: Sequence[Column], rows: Any, more: Any) -> None:
    with pytest.raises((UsageError, ArtifactError)):
        house.keep(rows, columns, **more)
    assert house.artifacts.latest() == [] and house.files() == []


def test_only_its_owner_reads_it(house: House) -> None:
    house.keep()
    assert stat.S_IMODE(house.folder.stat().st_mode) == 0o700
    [file] = house.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_anybody_with_duckdb_can_read_the_file(house: House) -> None:
    kept = house.keep()
    path = str(house.artifacts.file(kept))
    assert duckdb.read_parquet(path).fetchall() == [(1, "one"), (2, "two")]


def test_reading_is_counted_and_not_lost_at_the_end(house: House) -> None:
    kept = house.keep()
    house.artifacts.page(kept.artifact_id)
    house.artifacts.page(kept.artifact_id)
    house.artifacts.close()
    [(count, at)] = house.warehouse.query("SELECT access_count, last_accessed_at FROM ARTIFACTS").rows
    assert count == 2 and at == house.at.replace(tzinfo=None)


def test_many_keep_and_read_at_once(house: House) -> None:
    """Each gets its own."""

    def work(number: int) -> bool:
        kept = house.keep([(number, f"of {number}")] * 50)
        house.artifacts.pin(kept.artifact_id)
        page = house.artifacts.page(kept.artifact_id, limit=60)
        return page.rows == [[number, f"of {number}"]] * 50 and house.artifacts.get(kept.artifact_id).is_pinned

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(work, range(18)))
    assert len(house.artifacts.latest()) == 18


# -- lineage, pin, hold --------------------------------------------------------------------------------------------


def test_versions_know_each_other(house: House) -> None:
    first = house.keep()
    house.wait(seconds=1)
    second = house.keep(parent=first.artifact_id)
    house.wait(seconds=1)
    third = house.keep(parent=f"artifact:{second.artifact_id}")
    assert [one.version for one in (first, second, third)] == [1, 2, 3]
    assert house.artifacts.get(second.artifact_id).children == (third.artifact_id,)
    assert [one.artifact_id for one in house.artifacts.latest()] == [one.artifact_id for one in (third, second, first)]


def test_expired_content_goes_and_what_is_held_or_pinned_stays(house: House) -> None:
    """The nightly task decides; the sweep deletes what it made due."""
    old, pinned, held = (house.keep() for _ in range(3))
    house.artifacts.pin(pinned.artifact_id)
    house.artifacts.hold(held.artifact_id, "matter 7", "ada")
    house.wait(days=89)
    new = house.keep()
    assert new.expires_at == house.at + timedelta(days=90)
    house.wait(days=2)
    clean(house)
    assert house.artifacts.sweep() == 1
    assert house.files() == sorted(f"{one.artifact_id}.parquet" for one in (pinned, held, new))
    house.artifacts.release(held.artifact_id)
    house.artifacts.pin(pinned.artifact_id, False)
    clean(house)
    assert house.artifacts.sweep() == 2 and house.files() == [f"{new.artifact_id}.parquet"]
    with pytest.raises(UnknownArtifact):
        house.artifacts.get(old.artifact_id)


def clean(house: House) -> None:
    from cdesk.refresh.runner import Runner
    from cdesk.refresh.task import load

    tasks = [task for task in load() if task.name == "clean_artifacts"]
    run = Runner(house.warehouse, tasks, clock=house.clock).run("clean_artifacts")
    assert run.error is None, run.error


def test_a_hold_of_a_customer_holds_all_of_theirs(house: House) -> None:
    kept = house.keep()
    house.warehouse.write([(
        "INSERT INTO LEGAL_HOLD (hold_id, customer, reason, placed_at) VALUES ('h', 'ada', 'matter 8', now()::TIMESTAMP)", []
    )])  # fmt: skip
    assert house.artifacts.get(kept.artifact_id).is_held
    for act in (house.artifacts.delete, house.artifacts.release):
        with pytest.raises(UsageError, match="hold"):
            act(kept.artifact_id)
    house.keep(customer="bob")
    assert [one.is_held for one in house.artifacts.latest()] == [False, True]


# -- crashes -------------------------------------------------------------------------------------------------------


def test_a_file_whose_row_never_came_goes(house: House) -> None:
    """A crash after the file and before the row; not while somebody may still be writing the row."""

    good = house.keep()
    write = house.warehouse.write

    def fails(statements: Any) -> list[int]:
        if "INTO ARTIFACTS" in statements[0][0]:
            raise WarehouseError("the disk is gone")
        return write(statements)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(WarehouseError):
        patch.setattr(house.warehouse, "write", fails)
        house.keep()
    [lost] = set(house.files()) - {f"{good.artifact_id}.parquet"}
    (house.folder / f"{lost}.new").write_bytes(b"half")
    assert house.artifacts.sweep() == 0
    house.wait(seconds=KEEPING_SECONDS_MAX)
    assert house.artifacts.sweep() == 1 and house.files() == [f"{good.artifact_id}.parquet"]
    assert house.rows(good) == [[1, "one"], [2, "two"]]


def test_files_of_a_warehouse_that_was_lost_are_left_alone(house: House) -> None:
    """Nobody knows what they are: somebody may have held them."""
    kept = house.keep()
    house.warehouse.write([("DELETE FROM ARTIFACTS", [])])
    house.wait(days=365)
    assert house.artifacts.sweep() == 0 and house.files() == [kept.place.key]


def test_content_that_is_due_goes_after_a_crash(house: House) -> None:
    """A crash after the row was deleted and before the file was."""
    kept = house.keep()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.artifacts, "sweep", lambda: 0)
        house.artifacts.delete(kept.artifact_id)
    assert house.files() and house.artifacts.sweep() == 1
    assert house.files() == [] and house.artifacts.sweep() == 0


def test_a_row_whose_file_is_lost_or_changed_says_so(house: House) -> None:
    kept = house.keep()
    path = house.artifacts.file(kept)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="cannot be written or read"):
        house.rows(kept)
    path.unlink()
    assert not house.artifacts.is_here(house.artifacts.get(kept.artifact_id))
    with pytest.raises(ContentMissing, match="not in this home"):
        house.artifacts.page(kept.artifact_id)


def test_a_folder_nobody_can_write_is_said(house: House, tmp_path: Path) -> None:
    house.folder.rmdir()
    (tmp_path / "artifacts").write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot keep"):
        house.keep()


def test_its_small_database_reads_nothing_else(house: House, tmp_path: Path) -> None:
    """Whatever becomes of a name or a type on its way into SQL."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    connection = house.artifacts._parquet._connection
    with pytest.raises(duckdb.Error):
        connection.execute(f"SELECT * FROM read_csv('{secret}')").fetchall()
    with pytest.raises(duckdb.Error):
        connection.execute("SET enable_external_access = true").fetchall()


def test_the_sample_in_the_warehouse_is_small(house: House) -> None:
    """Measured where it is kept, in bytes."""
    kept = house.keep([(n, "ä" * 500_000) for n in range(20)])
    [(size,)] = house.warehouse.query("SELECT strlen(sample_rows::JSON::VARCHAR) FROM ARTIFACTS").rows
    assert size <= 131_072 and len(kept.sample) == 10
    assert json.dumps(kept.sample)
