"""Whatever the order, the batches and the repetitions in which observations arrive: the same rows stand in the table."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generated import NAMES, SOURCES, START, activities, bare, joined, json_values, without_nulls

from cdesk.activity.catalog import CATALOG
from cdesk.activity.codec import decode, encode
from cdesk.activity.identity import activity_id
from cdesk.activity.merge import fold
from cdesk.activity.model import Activity, Source
from cdesk.clock import Clock
from cdesk.errors import WarehouseError
from cdesk.sql.dialect import to_duckdb
from cdesk.warehouse import deploy
from cdesk.warehouse.duckdb import known, recent
from cdesk.warehouse.duckdb.merge import Merger
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM, Merged

TABLES = [
    statement
    for name in ("01_tables.sql", "02_changes.sql", "06_identity_tables.sql")
    for statement in to_duckdb((deploy.SCHEMA_FOLDER / name).read_text())
]
ROWS = f"""SELECT * EXCLUDE (_ingested_at, _seq, _first_seq) REPLACE (feature_json::JSON::VARCHAR AS feature_json)
             FROM {STREAM} ORDER BY activity_id"""
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Rows = list[dict[str, Any]]


class Table:
    """The stream in memory, and the merger over it."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        for statement in TABLES:
            self.connection.execute(statement)
        self.restart()

    def after(self, *batches: Sequence[Activity], restarts: bool = False) -> Rows:
        """What stands in the table when these were merged into an empty one, by one merger or a new one each time."""
        self.connection.execute(f"DELETE FROM {STREAM}")
        self.restart()
        for batch in batches:
            if restarts:
                self.restart()
            self.merge(batch)
        return self.rows()

    def merge(self, batch: Sequence[Activity]) -> Merged:
        return self.merger.merge(batch)

    def restart(self) -> None:
        """As after a restart of the process: what the merger remembered is gone."""
        self.merger = Merger(self.connection, Clock(now_ns=lambda: 0))

    def rows(self) -> Rows:
        found = self.connection.execute(ROWS)
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return [{**row, "feature_json": without_nulls(row["feature_json"])} for row in rows]


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    found = Table()
    yield found
    found.connection.close()


def seen(
    name: str, key: str, source: Source = "transcript", seconds: float = 0.0, *, also: str | None = None,
    also_2: str | None = None, **features: Any,
) -> Activity:  # fmt: skip
    return Activity(
        activity_id=_id(key), also_id=_id(also), also_id_2=_id(also_2), ts=START + timedelta(seconds=seconds),
        activity=name, customer="ada", feature_json=features, source=source,
    )  # fmt: skip


def _id(key: str | None) -> Any:
    return None if key is None else activity_id("given", key)


# -- order, batches, repetitions -----------------------------------------------------------------------------------


@st.composite
def told(draw: st.DrawFn) -> list[list[Activity]]:
    """Facts, each as its observations; several sources, and names that only some of them know."""
    return [draw(observations_of(f"{number}")) for number in range(draw(st.integers(1, 3)))]


@st.composite
def observations_of(draw: st.DrawFn, key: str) -> list[Activity]:
    name = draw(st.sampled_from(NAMES))
    return [draw(observation(name, key)) for _ in range(draw(st.integers(1, 4)))]


@st.composite
def observation(draw: st.DrawFn, name: str, key: str) -> Activity:
    source = draw(st.sampled_from(SOURCES))
    activity = draw(activities(name, key, source))
    names: tuple[str, str | None, str | None]
    match name, source:
        case "claude_responded", "transcript" if draw(st.booleans()):
            names = (f"{key} message", None, f"{key} replayed request")  # a side chain
        case "claude_responded", "transcript":
            names = (f"{key} response", f"{key} message", f"{key} request")
        case "claude_responded", _:
            names = (f"{key} request", None, None)
        case "user_asked", "transcript":
            names = (f"{key} line", f"{key} prompt", None)
        case "user_asked", _:
            names = (f"{key} prompt", None, None)
        case _:
            names = (key, None, None)
    first, also, also_2 = map(_id, names)
    return msgspec.structs.replace(activity, activity_id=first, also_id=also, also_id_2=also_2)


@st.composite
def batched(draw: st.DrawFn, activities: list[Activity]) -> list[list[Activity]]:
    """In any order, each at least once, in batches of any size."""
    again = draw(st.lists(st.sampled_from(activities), max_size=3))
    order = draw(st.permutations(activities + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)))
    return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True) if start < end]


@FEW
@given(st.data())
def test_order_batches_and_repetitions_cannot_be_seen(table: Table, data: st.DataObject) -> None:
    """All columns but the time of ingestion, the observations kept behind the row among them."""
    activities = [activity for fact in data.draw(told()) for activity in fact]
    at_once = table.after(activities)
    assert table.after(*data.draw(batched(activities)), restarts=data.draw(st.booleans())) == at_once


@FEW
@given(st.data())
def test_rows_are_what_join_and_fold_say(table: Table, data: st.DataObject) -> None:
    """One row for each fact: what each source said joined, and the sources folded."""
    facts = data.draw(told())
    found = table.after(*data.draw(batched([activity for fact in facts for activity in fact])))
    expected = [_folded(fact) for fact in facts if _is_connected(fact)]
    by_time = {(row["ts"], row["activity"], row["_source"]) for row in found}
    for row, sources in expected:
        assert (row.ts.replace(tzinfo=None), row.activity, sources) in by_time
    if all(map(_is_connected, facts)):
        assert len(found) == len(facts)


def _folded(fact: list[Activity]) -> tuple[Activity, str]:
    sources = sorted({activity.source for activity in fact})
    return fold(joined(a for a in fact if a.source == source) for source in sources), ",".join(sources)


def _is_connected(fact: list[Activity]) -> bool:
    """Whether the observations name each other: a request's and a side chain's may not, without the response."""
    names = {activity.activity_id for activity in fact}
    return len(names) == 1 or any({a.activity_id, a.also_id, a.also_id_2} >= names for a in fact)


@FEW
@given(
    st.lists(st.integers(0, 3).flatmap(lambda n: activities(key=str(n), values=json_values)), min_size=1, max_size=5)
)
def test_telling_it_again_changes_nothing(table: Table, activities: list[Activity]) -> None:
    """A second import of the same lines writes no row, whatever their features hold."""
    first = table.after(activities)
    merged = table.merge([decode(encode(activity)) for activity in activities])
    assert (merged.inserted, merged.updated) == (0, 0)
    assert table.rows() == first


@FEW
@given(activities("never_heard_of", values=json_values))
def test_what_is_stored_is_what_was_told(table: Table, activity: Activity) -> None:
    """Any JSON value in any feature, byte for byte after the way through VARIANT."""
    [row] = table.after([activity])
    stored = {name: value for name, value in msgspec.json.decode(row["feature_json"]).items() if value is not None}
    assert bare(msgspec.structs.replace(activity, feature_json=stored)) == bare(activity)


# -- several sources -----------------------------------------------------------------------------------------------


def test_each_source_of_a_fact_is_on_record(table: Table) -> None:
    """Completeness is a number: a source that saw nothing new has still seen it."""
    call = [seen("tool_called", "call", source, tool_name="Bash") for source in ("transcript", "otel", "hook")]
    for batches in ([call], [[one] for one in call], [[one] for one in reversed(call)]):
        [row] = table.after(*batches)
        assert row["_source"] == "hook,otel,transcript"
        assert len(msgspec.json.decode(row["_observations"])) == 3


def test_what_a_hidden_source_said_is_kept(table: Table) -> None:
    """A hook's second, fuller word is not visible beside the transcript's, and must not be forgotten for that."""
    transcript = seen("tool_called", "call", error="full text")
    hook, fuller = (seen("tool_called", "call", "hook", error=text) for text in ("a", "ab"))
    assert table.after([transcript], [hook], [fuller]) == table.after([transcript, hook, fuller])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_hook_and_a_transcript_meet_through_the_prompt_id(table: Table, order: tuple[int, int]) -> None:
    """The hook knows no line uuid; the row has the transcript's id whichever came first."""
    both = (
        seen("user_asked", "line", also="prompt", prompt_text="hello"),
        seen("user_asked", "prompt", "hook", prompt_text="hello", permission_mode="plan"),
    )
    [row] = table.after(*([both[i]] for i in order))
    assert str(row["activity_id"]) == _id("line")
    assert msgspec.json.decode(row["feature_json"])["permission_mode"] == "plan"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_a_side_chain_and_telemetry_meet_the_response(table: Table, order: tuple[int, int, int]) -> None:
    """The side chain knows the message, telemetry the request, only the main thread both; its usage counts."""
    three = (
        seen("claude_responded", "r", also="m", also_2="q", total_tokens=5, is_sidechain=False),
        seen("claude_responded", "m", also_2="another", total_tokens=9, is_sidechain=True),
        seen("claude_responded", "q", "otel", latency_ms=7.0),
    )
    [row] = table.after(*([three[i]] for i in order))
    features = msgspec.json.decode(row["feature_json"])
    assert (str(row["activity_id"]), features["total_tokens"], features["latency_ms"]) == (_id("r"), 5, 7.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_two_prompts_under_one_prompt_id_stay_two(table: Table, order: tuple[int, int, int]) -> None:
    """A prompt queued while Claude works shares the prompt id; the hook's word goes to one of them, always the same."""
    three = (
        seen("user_asked", "one", also="p", prompt_text="first"),
        seen("user_asked", "two", also="p", prompt_text="second"),
        seen("user_asked", "p", "hook", permission_mode="plan"),
    )
    assert table.after(*([three[i]] for i in order)) == table.after(three)
    assert len(table.rows()) == 2


# -- the seams of a batch ------------------------------------------------------------------------------------------


def test_a_fact_is_found_however_far_its_times_lie_apart(table: Table) -> None:
    """A clock that was wrong by years still told the same fact."""
    years = [seen("tool_called", "call", seconds=days * 86_400, tool_name="Bash") for days in (0, 4_000, -4_000)]
    [row] = table.after(*([one] for one in years))
    assert row["ts"] == years[2].ts.replace(tzinfo=None)


def test_what_was_merged_is_counted(table: Table) -> None:
    """inserted: new facts · updated: known ones that say more · unchanged: known ones told again."""
    table.after()
    start, end = seen("tool_called", "call", tool_name="Bash"), seen("tool_called", "call", success=True)
    assert table.merge([start, start, seen("tool_called", "other")]) == Merged(inserted=2)
    assert table.merge([end]) == Merged(updated=1)
    assert table.merge([start, end]) == Merged(unchanged=1)
    assert table.merge([]) == Merged()


def test_keys_without_a_value_are_left_out_but_once_a_batch(table: Table) -> None:
    """An absent key reads as null does; one row of each activity has them all, so that no key is slow to read."""
    table.after([seen("tool_called", f"call {n}", success=True, tool_name=None) for n in range(3)])
    found = table.connection.execute(f"SELECT feature_json::JSON::VARCHAR FROM {STREAM}").fetchall()
    shapes = sorted((set(msgspec.json.decode(text)) for (text,) in found), key=len)
    assert shapes[:2] == [{"success"}, {"success"}]
    assert shapes[2] == {feature.name for feature in CATALOG["tool_called"].features}
    absent = f"SELECT count(*) FROM {STREAM} WHERE variant_extract(feature_json, 'tool_name')::VARCHAR IS NULL"
    assert table.connection.execute(absent).fetchall() == [(3,)]


@pytest.mark.parametrize("built_at_once_max", [0, 10_000])
def test_a_filter_that_grows_forgets_nothing(
    table: Table, monkeypatch: pytest.MonkeyPatch, built_at_once_max: int
) -> None:
    """Facts that come with and without known ones, while the filter fills and is built anew, at once or meanwhile."""
    monkeypatch.setattr(known, "BLOCKS_MIN", 1)
    monkeypatch.setattr(known, "BUILT_AT_ONCE_MAX", built_at_once_max)
    monkeypatch.setattr(recent, "BYTES_MAX", 2_000)
    table.after()
    told: list[Activity] = []
    chance = random.Random(3)
    for batch in range(60):
        new = [seen("tool_called", f"{batch}.{n}", tool_name="Bash") for n in range(7)]
        again = chance.sample(told, min(len(told), 3))
        more = [msgspec.structs.replace(one, source="hook") for one in chance.sample(told, min(len(told), 2))]
        table.merge([*new, *again, *new[:1], *more])
        told += new
    assert len(table.rows()) == len(told) == len({row["activity_id"] for row in table.rows()})


def test_a_batch_goes_in_as_a_whole_or_not_at_all(table: Table) -> None:
    """One impossible id: nothing of the batch is there, and the next one goes in."""
    table.after()
    good, bad = seen("tool_called", "good"), msgspec.structs.replace(seen("tool_called", "x"), activity_id="not a UUID")
    with pytest.raises((duckdb.Error, WarehouseError)):
        table.merge([good, bad])
    assert table.rows() == []
    assert table.merge([good]) == Merged(inserted=1)


@pytest.mark.parametrize(
    "features",
    [
        {"a": 1, "A": 2}, {"": 1}, {"a.b": {"c": None}, "a": {"b": 0}}, {"\x00": "\x00"}, {'"': "'", "$x": ";--"},
        {"é😀": "\u2028"}, {"n": 2**64 - 1}, {"n": -(2**63)}, {"n": 0.1 + 0.2}, {"n": 5e-324}, {"n": 1.7976931348623157e308},
        {"l": [None, [], {}, [[None]]]}, {"deep": [[[[[[[[[[{}]]]]]]]]]]}, {"t": "x" * 1_000_000},
    ],
    ids=lambda features: repr(features)[:30],
)  # fmt: skip
def test_odd_features_survive(table: Table, features: dict[str, Any]) -> None:
    """Keys and values that a column store might trip over."""
    activity = decode(encode(seen("never_heard_of", "odd").__class__(
        activity_id=_id("odd"), ts=START, activity="never_heard_of", customer="ada", feature_json=features, source="api",
    )))  # fmt: skip
    [row] = table.after([activity])
    assert msgspec.json.decode(row["feature_json"]) == activity.feature_json
    assert table.merge([activity]) == Merged(unchanged=1)


@pytest.mark.parametrize(
    "at",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC), datetime.max.replace(tzinfo=UTC)],
)
def test_times_keep_their_microseconds(table: Table, at: datetime) -> None:
    """From the first day of the calendar to the last."""
    activity = msgspec.structs.replace(seen("tool_called", "call"), ts=at)
    [row] = table.after([activity])
    assert row["ts"] == at.replace(tzinfo=None)
    assert table.merge([activity]) == Merged(unchanged=1)


def test_a_warehouse_opened_again_knows_its_facts(tmp_path: Path) -> None:
    """What was committed before a restart is not told twice after it."""
    activity = seen("tool_called", "call", tool_name="Bash")
    for expected in (Merged(inserted=1), Merged(unchanged=1)):
        warehouse = DuckDBWarehouse(tmp_path)
        assert warehouse.merge([activity]) == expected
        assert warehouse.count() == 1
        warehouse.close()
