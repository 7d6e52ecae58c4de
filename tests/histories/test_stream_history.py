"""Random histories of a warehouse and the consumers of its change streams, against the simplest model: what stood in
the table when a consumer last looked, and what stands there now.

Facts arrive, arrive late, are told again by other sources, turn out to be one fact; atoms are written and changed.
Consumers with offsets of their own look at any time, fail in the middle, and begin anew after a restart. Always:

* a standard stream gives just the rows that differ from the last look, as they are and as they were
* an append stream gives just the rows that were not there at the last look
* what a consumer wrote and how far it came stand or fall together
* old images are kept only for who still needs them
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.generated import START

from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Source
from cdesk.warehouse.duckdb.store import FILE_NAME, DuckDBWarehouse
from cdesk.warehouse.warehouse import ATOMS, STREAM, Stream

KEYS = [activity_id("given", str(number)) for number in range(6)]
SOURCES: tuple[Source, ...] = ("hook", "transcript", "otel")
STREAMS = (
    Stream("ALL_NET", STREAM, "standard", True),
    Stream("NEW_NET", STREAM, "standard", False),
    Stream("ALL_NEW", STREAM, "append", True),
    Stream("NEW_NEW", STREAM, "append", False),
    Stream("ATOMS_NET", ATOMS, "standard", True),
    Stream("ATOMS_NEW", ATOMS, "append", False),
)
KEY = {STREAM: "activity_id::VARCHAR", ATOMS: "id"}
CONTENT = {
    STREAM: """ts, customer, activity, json_merge_patch('{}', feature_json::JSON)::VARCHAR, link, _source, _session_id,
               revenue_impact""",  # a key without a value and no key are the same
    ATOMS: "ts, value::JSON::VARCHAR, unit",
}
HIDDEN = {STREAM: "_observations", ATOMS: "NULL"}
"""Also makes a row another one, though streams do not show it."""

Row = tuple[Any, ...]
Rows = dict[str, tuple[Row, int, int]]
"""By key: what is shown of the row, the step that wrote it last, and the one since which it is there."""
Told = set[tuple[str, bool, str, Row]]
"""METADATA$ACTION, METADATA$ISUPDATE, key, what is shown"""

facts = st.builds(
    lambda key, also, source, late, customer, features, name: Activity(
        activity_id=key, also_id=also, ts=START - timedelta(days=late), activity=name, customer=customer,
        feature_json=features, source=source,
    ),
    st.sampled_from(KEYS), st.none() | st.sampled_from(KEYS), st.sampled_from(SOURCES), st.sampled_from((0, 0, 0, 40)),
    st.sampled_from(("ada", "bob")), st.dictionaries(st.sampled_from(("model", "x")), st.sampled_from((1, "a")), max_size=2),
    st.sampled_from(("claude_responded", "claude_responded", "tool_called")),
)  # fmt: skip


@cache
def blank() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="cdesk-blank-"))
    DuckDBWarehouse(folder).close()
    return folder / FILE_NAME


@dataclass
class Consumer:
    """last: what stood there at the last look"""

    stream: Stream
    last: Rows = field(default_factory=dict)
    looks: int = 0

    def wants(self, now: Rows) -> Told:
        if self.stream.mode == "append":
            return {
                ("INSERT", False, key, row)
                for key, (row, _, born) in now.items()
                if self.last.get(key, (0, 0, 0))[2] != born
            }
        told: Told = set()
        for key in now.keys() | self.last.keys():
            if now.get(key) == self.last.get(key):
                continue
            is_update = key in now and key in self.last
            if key in now:
                told.add(("INSERT", is_update, key, now[key][0]))
            if key in self.last and self.stream.table == STREAM:
                told.add(("DELETE", is_update, key, self.last[key][0]))
        return told


class StreamHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="cdesk-history-"))
        shutil.copyfile(blank(), self.home / FILE_NAME)
        self.warehouse = DuckDBWarehouse(self.home)
        self.warehouse.query("CREATE TABLE LOOKS (stream VARCHAR, number BIGINT)")
        self.rows: dict[str, Rows] = {STREAM: {}, ATOMS: {}}
        self.hidden: dict[str, dict[str, Any]] = {STREAM: {}, ATOMS: {}}
        self.consumers: dict[str, Consumer] = {}
        self.step = 0

    @initialize(before=st.lists(facts, max_size=3))
    def begin(self, before: list[Activity]) -> None:
        """Some facts are there before anybody consumes."""
        self.facts_arrive(before)
        self.warehouse.changes.open(STREAMS)
        for stream in STREAMS:
            known = {} if stream.initial_rows else dict(self.rows[stream.table])
            self.consumers[stream.name] = Consumer(stream, known)

    def teardown(self) -> None:
        self.warehouse.close()
        shutil.rmtree(self.home)

    # -- what happens ----------------------------------------------------------------------------------------------

    @rule(batch=st.lists(facts, max_size=4))
    def facts_arrive(self, batch: list[Activity]) -> None:
        self.warehouse.merge(batch)
        self.observe(STREAM)

    @rule(key=st.sampled_from("abc"), value=st.integers(0, 2))
    def an_atom_is_told(self, key: str, value: int) -> None:
        """New, or with another value, or again."""
        with self.warehouse.changes.consume((), {ATOMS}) as unit:
            given = {"id": key, "value": value, "at": START.replace(tzinfo=None), "seq": unit.next_seq(ATOMS)}
            unit.execute(
                f"""MERGE INTO {ATOMS} AS t USING (SELECT $id AS id, $value AS value) AS s ON t.id = s.id
                    WHEN MATCHED AND t.value::BIGINT <> s.value THEN UPDATE SET value = s.value::VARIANT, _seq = $seq
                    WHEN NOT MATCHED THEN INSERT (id, ts, customer, subject, metric, value, valid_from, _seq, _first_seq)
                    VALUES (s.id, $at, 'ada', 'a', 'm', s.value::VARIANT, $at, $seq, $seq)""", given, ATOMS,
            )  # fmt: skip
        self.observe(ATOMS)

    def observe(self, table: str) -> None:
        """The model takes note of what stands in the table: it knows nothing of numbers and streams."""
        found = self.warehouse.query(f"SELECT {KEY[table]}, {HIDDEN[table]}, {CONTENT[table]} FROM {table}").rows
        rows, hidden = {row[0]: row[2:] for row in found}, {row[0]: row[1] for row in found}
        was, was_hidden = self.rows[table], self.hidden[table]
        self.step += 1
        self.rows[table] = {
            key: was[key] if key in was and was[key][0] == row and was_hidden[key] == hidden[key]
            else (row, self.step, was[key][2] if key in was else self.step)
            for key, row in rows.items()
        }  # fmt: skip
        self.hidden[table] = hidden

    # -- who looks -------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from([stream.name for stream in STREAMS]), dies=st.booleans())
    def consumer_looks(self, name: str, dies: bool) -> None:
        consumer = self.consumers[name]
        try:
            with self.warehouse.changes.consume([consumer.stream]) as unit:
                told = self.told(unit.cursor, consumer.stream)
                unit.execute("INSERT INTO LOOKS VALUES ($name, $number)", {"name": name, "number": consumer.looks + 1})
                if dies:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        else:
            consumer.looks += 1
        now = self.rows[consumer.stream.table]
        assert told == consumer.wants(now)
        if not dies:
            consumer.last = dict(now)

    @rule(names=st.sets(st.sampled_from([s.name for s in STREAMS]), min_size=2, max_size=3))
    def several_look_together(self, names: set[str]) -> None:
        """One task that reads several streams."""
        consumers = [self.consumers[name] for name in sorted(names)]
        with self.warehouse.changes.consume([consumer.stream for consumer in consumers]) as unit:
            for consumer in consumers:
                now = self.rows[consumer.stream.table]
                assert self.told(unit.cursor, consumer.stream) == consumer.wants(now)
                consumer.last = dict(now)

    def told(self, cursor: Any, stream: Stream) -> Told:
        rows = cursor.execute(
            f'SELECT "METADATA$ACTION", "METADATA$ISUPDATE", {KEY[stream.table]}, {CONTENT[stream.table]} FROM {stream.name}'
        ).fetchall()
        told = {(row[0], row[1], row[2], row[3:]) for row in rows}
        assert len(told) == len(rows), "a change was told twice"
        return told

    @rule()
    def the_process_restarts(self) -> None:
        self.warehouse.close()
        self.warehouse = DuckDBWarehouse(self.home)
        self.warehouse.changes.open(STREAMS)

    @rule()
    def the_warehouse_is_compacted(self) -> None:
        self.warehouse.compact()

    # -- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def nobody_is_told_that_nothing_happened(self) -> None:
        """has_data may be wrong only in saying yes."""
        for name, consumer in self.consumers.items():
            if consumer.wants(self.rows[consumer.stream.table]):
                assert self.warehouse.changes.has_data(name)

    @invariant()
    def looks_are_counted_once(self) -> None:
        counted = dict(self.warehouse.query("SELECT stream, max(number) FROM LOOKS GROUP BY 1").rows)
        assert counted == {name: consumer.looks for name, consumer in self.consumers.items() if consumer.looks}

    @invariant()
    def images_are_kept_only_for_who_needs_them(self) -> None:
        if self.consumers and not any(
            self.warehouse.changes.has_data(stream.name) for stream in STREAMS if stream.table == STREAM
        ):
            with self.warehouse.changes.consume(()):
                pass
            assert self.warehouse.query("SELECT count(*) FROM _STREAM_BEFORE").rows == [(0,)]


TestStreamHistory = StreamHistory.TestCase
TestStreamHistory.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
