"""Whatever is merged, said and undone, in whatever order: the table is as if it had been said before, or never."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generated import START, activities, without_nulls

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Source
from cdesk.activity.resolution import REMOVED, Claim, IdentityOperation, Rules, said_already
from cdesk.clock import Clock
from cdesk.errors import UsageError
from cdesk.sql.dialect import to_duckdb
from cdesk.upkeep.identity import IdentityDesk, IdentityRequest
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb import identity
from cdesk.warehouse.duckdb.identity import Identities
from cdesk.warehouse.duckdb.merge import Merger
from cdesk.warehouse.warehouse import STREAM

TABLES = [
    statement
    for name in ("01_tables.sql", "02_changes.sql", "06_identity_tables.sql")
    for statement in to_duckdb((deploy.SCHEMA_FOLDER / name).read_text())
]
ROWS = f"""SELECT * EXCLUDE (_ingested_at, _seq, _first_seq) REPLACE (feature_json::JSON::VARCHAR AS feature_json)
             FROM {STREAM} ORDER BY activity_id"""
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CLOCK = Clock(now_ns=lambda: 1_700_000_000_000_000_000)

Step: TypeAlias = list[Activity] | Claim | int
"""A batch that comes, a claim, or the undoing of an operation by its number."""


class Table:
    """The stream in memory, the merger over it, and who operates on it."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in TABLES:
            self.connection.execute(statement)
        self.empty()

    def empty(self) -> None:
        for name in (STREAM, "_STREAM_BEFORE", "_STREAM_OFFSETS", "IDENTITY_OPERATION"):
            self.connection.execute(f"DELETE FROM {name}")
        self.connection.execute(
            "INSERT INTO _STREAM_OFFSETS VALUES ('follows', 'CLAUDE_STREAM_V2', 0, TIMESTAMP '2026-01-01')"
        )
        self.restart()

    def restart(self) -> None:
        """As after a restart of the process: what is not in the file is gone."""
        self.identities = Identities(lambda: self.connection, self._commit, CLOCK)
        self.merger = Merger(self.connection, CLOCK, lambda: True, lambda: self.identities.rules)
        self.desk = IdentityDesk(self.identities, clock=CLOCK)

    @contextmanager
    def _commit(self) -> Iterator[int]:
        self.connection.execute("BEGIN")
        yield self.merger.seq + 1
        self.connection.execute("COMMIT")
        self.merger.seq += 1
        self.merger.forget()

    def after(self, steps: Sequence[Step], restarts: bool = False) -> list[dict[str, Any]]:
        """What stands in an empty table after these. What is refused is left out."""
        self.empty()
        for step in steps:
            if restarts:
                self.restart()
            self.take(step)
        return self.rows()

    def take(self, step: Step) -> None:
        if isinstance(step, list):
            self.merger.merge(step)
            return
        try:
            self.desk.act(
                IdentityRequest(undo=step) if isinstance(step, int) else IdentityRequest(claim=step, new=True)
            )
        except UsageError:
            return

    def say(self, claim: Claim) -> int:
        return self.desk.act(IdentityRequest(claim=claim, new=True)).rows

    def rows(self) -> list[dict[str, Any]]:
        found = self.connection.execute(ROWS)
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return [{**row, "feature_json": without_nulls(row["feature_json"])} for row in rows]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    found.connection.close()


@pytest.fixture
def empty(table: Table) -> Table:
    table.empty()
    return table


# -- histories -----------------------------------------------------------------------------------------------------

customers = st.sampled_from(("ada", "bob", "eve"))
moments = st.integers(-1, 4).map(lambda n: START + timedelta(minutes=30, microseconds=n))
facts = st.integers(0, 3).map(lambda n: activity_id("given", str(n)))
claims = st.one_of(
    st.builds(lambda s, c, at: Claim(kind="link", subject=s, customer=c, identified_at=at),
              st.sampled_from(("a", "b")), customers, moments),
    st.builds(lambda s, c: Claim(kind="alias", subject=s, customer=c), customers, customers),
    st.builds(lambda s: Claim(kind="remove", subject=s), customers),
    st.builds(lambda s, c: Claim(kind="correct", subject=s, customer=c), facts, customers),
)  # fmt: skip
sources: st.SearchStrategy[Source] = st.sampled_from(("transcript", "otel", "hook"))
batches = st.lists(
    st.tuples(st.integers(0, 3), sources).flatmap(lambda told: activities("tool_called", str(told[0]), told[1])),
    min_size=1, max_size=4,
)  # fmt: skip
histories = st.lists(st.one_of(batches, claims, st.integers(1, 4)), max_size=7)


def _batches(steps: Sequence[Step]) -> list[Step]:
    return [step for step in steps if isinstance(step, list)]


def _claim(operation: IdentityOperation) -> Claim:
    return Claim(**{name: getattr(operation, name) for name in Claim.__struct_fields__})


@FEW
@given(histories, st.booleans())
def test_order_cannot_be_seen(table: Table, steps: list[Step], restarts: bool) -> None:
    """Facts before operations, after them or in between: what stands at the end decides alone, as the rules say."""
    found = table.after(steps, restarts)
    standing = [_claim(operation) for operation in table.desk.operations if operation.stands]
    assert table.after([*standing, *_batches(steps)]) == found
    assert table.after([*_batches(steps), *standing]) == found
    told = table.after(_batches(steps))
    assert found == [_shown(row, Rules(standing)) for row in told]


def _shown(row: dict[str, Any], rules: Rules) -> dict[str, Any]:
    at = row["ts"].replace(tzinfo=START.tzinfo)
    fact = Activity(
        activity_id=str(row["activity_id"]), ts=at, activity=row["activity"], customer=row["customer"],
        feature_json={}, source="cdesk", anonymous_customer_id=row["anonymous_customer_id"],
    )  # fmt: skip
    shown = rules.shown(fact)
    return {**row, "customer": shown, "_told_customer": None if shown == row["customer"] else row["customer"]}


@FEW
@given(histories)
def test_what_is_undone_was_never_said(table: Table, steps: list[Step]) -> None:
    """Whatever came in between, the last undo leaves what was told."""
    never = table.after(_batches(steps))
    table.after(steps)
    for operation in table.desk.operations:
        table.take(operation.number)
    assert table.rows() == never


@FEW
@given(histories, claims)
def test_saying_it_twice_changes_nothing(table: Table, steps: list[Step], claim: Claim) -> None:
    """And it is not put on record again."""
    table.after([*steps, claim])
    rows, on_record = table.rows(), len(table.desk.operations)
    standing = [operation for operation in table.desk.operations if operation.stands]
    try:
        known = said_already(claim, standing)
    except UsageError:
        return
    assert known is not None, "else it was refused"
    outcome = table.desk.act(IdentityRequest(claim=claim, new=True))
    assert (outcome.is_new, outcome.rows, outcome.operation) == (False, 0, known)
    assert (table.rows(), len(table.desk.operations)) == (rows, on_record)


@FEW
@given(histories, claims)
def test_dry_runs_count_what_will_happen(table: Table, steps: list[Step], claim: Claim) -> None:
    """Rows, and what each customer had and has; nothing is written before."""
    table.after(steps)
    rows = table.rows()
    try:
        foretold = table.desk.act(IdentityRequest(claim=claim, new=True, dry_run=True))
    except UsageError:
        return
    assert table.rows() == rows
    outcome = table.desk.act(IdentityRequest(claim=claim, new=True))
    assert (outcome.rows, outcome.counts, outcome.is_new) == (foretold.rows, foretold.counts, foretold.is_new)
    after = table.rows()
    assert outcome.rows == sum(old["customer"] != new["customer"] for old, new in zip(rows, after, strict=True))
    for count in outcome.counts:
        assert count.before == sum(row["customer"] == count.customer for row in rows)
        assert count.after == sum(row["customer"] == count.customer for row in after)


@FEW
@given(histories)
def test_change_streams_can_follow(table: Table, steps: list[Step]) -> None:
    """Each row as it stood before each commit is kept under that commit's number, so that sums can be corrected."""
    table.empty()
    rows_of: dict[str | None, int] = {}
    for step in steps:
        seq = table.merger.seq
        table.take(step)
        for customer, change in table.ask(f"""
            SELECT customer, sum(n) FROM (
                SELECT customer, 1 AS n FROM {STREAM} WHERE _seq > {seq} UNION ALL
                SELECT arg_min(customer, _replaced_seq), -1 FROM (
                    SELECT activity_id, _replaced_seq, coalesce(customer, '') AS customer FROM _STREAM_BEFORE
                     WHERE _replaced_seq > {seq} AND _first_seq <= {seq}) GROUP BY activity_id
            ) GROUP BY ALL"""):
            rows_of[customer or ""] = rows_of.get(customer or "", 0) + change
    stand = table.ask(f"SELECT coalesce(customer, ''), count(*) FROM {STREAM} GROUP BY ALL")
    assert {name: count for name, count in rows_of.items() if count} == dict(stand)


# -- single things -------------------------------------------------------------------------------------------------


def fact(key: str, customer: str = "ada", anonymous_id: str | None = "host_1", at: datetime = START) -> Activity:
    return Activity(
        activity_id=activity_id("given", key), ts=at, activity="tool_called", customer=customer,
        feature_json={}, source="transcript", anonymous_customer_id=anonymous_id,
    )  # fmt: skip


def _customers(table: Table) -> list[str | None]:
    return [customer for (customer,) in table.ask(f"SELECT customer FROM {STREAM} ORDER BY ts")]


def test_a_later_link_starts_half_an_hour_before_it_was_known(empty: Table) -> None:
    """The first customer has all that was before."""
    minutes = (-500, 0, 29, 30, 60, 500)
    empty.take([fact(str(m), "root", at=START + timedelta(minutes=m)) for m in minutes])
    for customer, minute in (("ada", 0), ("bob", 60)):
        at = START + timedelta(minutes=minute)
        empty.say(Claim(kind="link", subject="host_1", customer=customer, identified_at=at))
    assert _customers(empty) == ["ada", "ada", "ada", "bob", "bob", "bob"]
    empty.take(1)
    assert _customers(empty) == ["bob"] * 6
    empty.take(2)
    assert _customers(empty) == ["root"] * 6


def test_removed_customers_are_nobody(empty: Table) -> None:
    """The machine stands in for them; where none is known, a word does, since one of the two must be there."""
    empty.take([fact("1"), fact("2", anonymous_id=None, at=START + timedelta(seconds=1)), fact("3", "bob", at=START + timedelta(seconds=2))])  # fmt: skip
    empty.say(Claim(kind="remove", subject="ada"))
    assert _customers(empty) == [None, REMOVED, "bob"]
    empty.take([fact("4", at=START + timedelta(seconds=3))])
    assert _customers(empty) == [None, REMOVED, "bob", None]
    empty.take(1)
    assert _customers(empty) == ["ada", "ada", "bob", "ada"]


def test_a_fact_known_by_another_name_stays_corrected(empty: Table) -> None:
    """A hook's word was corrected; then the transcript tells the same fact by its first name."""
    hook, line = activity_id("given", "prompt"), activity_id("given", "line")
    told = msgspec.structs.replace(fact("prompt"), activity="user_asked", source="hook")
    empty.take([told])
    empty.say(Claim(kind="correct", subject=hook, customer="bob"))
    empty.take([msgspec.structs.replace(told, activity_id=line, also_id=hook, source="transcript")])
    assert [str(row["activity_id"]) for row in empty.rows()] == [line]
    assert _customers(empty) == ["bob"]


def test_large_rewritings_go_chunk_by_chunk(empty: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each a commit of its own, told as it goes; rows of one moment stay together."""
    monkeypatch.setattr(identity, "CHUNK_ROWS", 10)
    empty.take([fact(str(n), at=START + timedelta(seconds=n // 3)) for n in range(95)])
    told: list[tuple[int, int]] = []
    claim = Claim(kind="alias", subject="ada", customer="bob")
    empty.desk.act(IdentityRequest(claim=claim, new=True), lambda done, total: told.append((done, total)))
    assert told[-1] == (95, 95) and len(told) == 10
    assert len(empty.ask(f"SELECT DISTINCT _seq FROM {STREAM}")) == 10
    assert set(_customers(empty)) == {"bob"}


def test_a_rewriting_cut_short_goes_on(empty: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart the operation is known to be unsettled; settling it does the rest, and no row twice."""
    monkeypatch.setattr(identity, "CHUNK_ROWS", 10)
    empty.take([fact(str(n), at=START + timedelta(seconds=n)) for n in range(40)])

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        empty.desk.act(IdentityRequest(claim=Claim(kind="alias", subject="ada", customer="bob"), new=True), die)
    empty.restart()
    assert set(_customers(empty)) == {"ada", "bob"}
    assert not empty.desk.operation(1).is_settled
    empty.take([fact("late", at=START + timedelta(days=1))])
    empty.desk.resume()
    assert empty.desk.operation(1).is_settled and empty.desk.operation(1).rows_changed == 40
    assert set(_customers(empty)) == {"bob"}
    assert empty.ask("SELECT count(*) FROM _STREAM_BEFORE") == [(40,)]


def test_what_is_on_record_is_read_back(empty: Table) -> None:
    """Who, when, why, the counts: all of it, also for SQL."""
    empty.take([fact("1"), fact("2", "bob")])
    empty.desk.act(
        IdentityRequest(claim=Claim(kind="alias", subject="ada", customer="bob"), by="root", reason="renamed")
    )
    empty.desk.act(IdentityRequest(undo=1, by="eve", reason="was wrong"))
    before = empty.desk.operations
    empty.restart()
    assert empty.desk.operations == before
    assert empty.ask("""SELECT said_by, reason, undone_by, undone_reason, rows_changed, rows_restored,
                               counts::JSON::VARCHAR FROM IDENTITY_OPERATION""") == [
        ("root", "renamed", "eve", "was wrong", 1, 1,
         '[{"after":0,"before":1,"customer":"ada"},{"after":2,"before":1,"customer":"bob"}]'),
    ]  # fmt: skip
