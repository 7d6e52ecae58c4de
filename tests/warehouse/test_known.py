"""The filter of known ids never forgets one, and seldom claims a stranger."""

from __future__ import annotations

from uuid import UUID, uuid4

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdesk.errors import WarehouseError
from cdesk.warehouse.duckdb import known
from cdesk.warehouse.duckdb.known import Known


def _table(ids: list[str], others: list[str | None] | None = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (id UUID, other UUID)")
    rows = list(zip(ids, others or [None] * len(ids), strict=True))
    if rows:
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return connection


@given(st.lists(st.uuids(version=None).map(str), max_size=200, unique=True))
def test_built_and_added_names_are_all_known(ids: list[str]) -> None:
    """Built in SQL or added in Python, random or not: no name is ever forgotten."""
    half = len(ids) // 2
    names = Known(_table(ids[:half]), "t", ("id", "other"))
    names.add(ids[half:])
    assert names.maybe(ids) == set(ids)


def test_second_names_are_known_too() -> None:
    ids, others = [str(uuid4()) for _ in range(3)], [str(uuid4()), None, None]
    names = Known(_table(ids, others), "t", ("id", "other"))
    assert others[0] is not None and names.maybe([others[0]]) == {others[0]}


@pytest.mark.parametrize("kind", ["random", "in sequence"])
def test_strangers_are_seldom_claimed(kind: str) -> None:
    """At most one in a thousand, also for ids that differ in few bits."""
    ids = [str(uuid4()) if kind == "random" else str(UUID(int=i)) for i in range(20_000)]
    strangers = [str(uuid4()) if kind == "random" else str(UUID(int=10**9 + i)) for i in range(20_000)]
    names = Known(_table([]), "t", ("id", "other"))
    names.add(ids)
    assert len(names.maybe(strangers)) < 20


def test_it_grows_without_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is full it is built anew from the table, which holds what was added."""
    monkeypatch.setattr(known, "BLOCKS_MIN", 1)
    connection = _table([])
    names = Known(connection, "t", ("id", "other"))
    ids = [str(uuid4()) for _ in range(300)]
    for name in ids:
        connection.execute("INSERT INTO t VALUES (?, NULL)", [name])
        names.add([name])
    assert names.maybe(ids) == set(ids)


def test_a_large_filter_is_built_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it stands every name may be known; what comes meanwhile is in it too."""
    monkeypatch.setattr(known, "BUILT_AT_ONCE_MAX", 10)
    monkeypatch.setattr(known, "SLICE_ROWS", 7)
    ids = [str(uuid4()) for _ in range(100)]
    later, strangers = [str(uuid4()) for _ in range(50)], [str(uuid4()) for _ in range(50)]
    names = Known(_table(ids), "t", ("id", "other"))
    names.add(later)
    names.settle()
    assert names.maybe([*ids, *later]) == {*ids, *later}
    assert len(names.maybe(strangers)) < 3


def test_names_that_are_no_uuids_are_named() -> None:
    """A wrong id is told, whichever of many it is."""
    names = Known(_table([]), "t", ("id", "other"))
    with pytest.raises(WarehouseError, match="'nonsense' is not a UUID"):
        names.maybe([str(uuid4()), "nonsense", str(uuid4())])
