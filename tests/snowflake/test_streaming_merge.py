"""What is streamed and merged by Snowflake's own task is the same, row for row, as what comes by the copy path."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.capture.house import Deployed, House
from tests.generated import SOURCES
from tests.snowflake.conftest import Account
from tests.snowflake.rows import stream
from tests.snowflake.test_contract import fact

from cdesk import sample
from cdesk.activity.codec import decode_raw
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.config import SnowflakeSettings
from cdesk.queue import Reader
from cdesk.warehouse.facts import whole
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.streaming import Channel
from cdesk.warehouse.snowflake.streaming_store import StreamedWarehouse
from cdesk.warehouse.warehouse import Warehouse


class Landing(Channel):
    """A channel whose rows are in the landing table at once."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(SnowflakeSettings(), "host_test_0")
        self._sessions = sessions

    def send(self, rows: Sequence[Mapping[str, object]], token: str) -> None:
        with self._sessions.take() as session:
            session.execute(
                "INSERT INTO CLAUDE_STREAMED (id, channel, sent_at, line) "
                "SELECT f.value:id::VARCHAR, f.value:channel::VARCHAR, f.value:sent_at::TIMESTAMP_NTZ, f.value:line "
                "FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS f",
                [msgspec.json.encode(rows).decode()],
                query_id="landing",
            )

    def confirm(self, token: str) -> int:
        return 0


@pytest.fixture
def streamed(account: Account) -> StreamedWarehouse:
    if account.emulator is None:
        pytest.skip("tasks run when a real account's scheduler wants it")
    return StreamedWarehouse(account.settings, Landing(account.sessions), sessions=account.sessions)


def carried(account: Account, streamed: StreamedWarehouse, *batches: list[Activity]) -> int:
    """Streams each batch and lets the task run; how many lines were left to settle."""
    for batch in batches:
        streamed.merge(batch)
        streamed.send("a token")
        streamed.confirm()
        assert run(account)
    left = account.warehouse.query("SELECT COUNT(*) FROM CLAUDE_UNSETTLED").rows[0][0]
    while streamed.settle():
        pass
    return int(left)


def run(account: Account) -> bool:
    """Lets the task run, alone; whether it took what was there."""
    account.warehouse.query("EXECUTE TASK CDESK_STREAMED")
    return not account.warehouse.query("SELECT SYSTEM$STREAM_HAS_DATA('CLAUDE_STREAMED_NEW')").rows[0][0]


def said(warehouse: Warehouse, ids: list[str]) -> list[dict[str, Any]]:
    """The rows but for what refresh tasks write beside them."""
    return [
        {name: value for name, value in row.items() if name not in ("activity_occurrence", "activity_repeated_at")}
        for row in stream(warehouse, ids)
    ]


def test_new_facts_are_merged_by_the_task_alone(account: Account, streamed: StreamedWarehouse) -> None:
    """Told again, in one batch or in the next, they are there once, and nothing is left to settle."""
    facts = [fact(feature_json={"n": n, "text": "é\n\"'"}) for n in range(5)]
    assert carried(account, streamed, [*facts, facts[0]], facts) == 0
    for one in facts:
        [row] = stream(account.warehouse, [one.activity_id])
        assert row["feature_json"] == one.feature_json and row["ts"] == one.ts.replace(tzinfo=None)
    assert account.warehouse.query("SELECT COUNT(*) FROM CLAUDE_ARRIVED").rows == [(0,)]


def test_what_is_cut_short_is_merged_the_next_time(account: Account, streamed: StreamedWarehouse) -> None:
    """The task fails in the middle: nothing is there and nothing is lost; the stream still has the rows."""
    one = fact()
    streamed.merge([one])
    streamed.send("a token")
    account.warehouse.query("ALTER TABLE CLAUDE_UNSETTLED RENAME TO CLAUDE_ELSEWHERE")
    assert not run(account) and stream(account.warehouse, [one.activity_id]) == []
    account.warehouse.query("ALTER TABLE CLAUDE_ELSEWHERE RENAME TO CLAUDE_UNSETTLED")
    assert run(account)
    assert len(stream(account.warehouse, [one.activity_id])) == 1


def test_random_histories_end_as_by_the_copy_path(account: Account, streamed: StreamedWarehouse) -> None:
    """Several sources tell of facts, under first and second names, in any order and batches, some of it twice."""
    chance = random.Random(11)
    told = _history(chance, "a history")
    _in_batches(chance, [_named(one, "copied ") for one in told], account.warehouse.merge)
    _in_batches(chance, [_named(one, "stream ") for one in told], lambda batch: carried(account, streamed, batch))
    names = sorted({name for one in told for name in one.names})
    by_copy = said(account.warehouse, [f"copied {name}" for name in names])
    by_stream = said(account.warehouse, [f"stream {name}" for name in names])
    assert _nameless(by_copy, "copied ") == _nameless(by_stream, "stream ") and len(by_copy) >= 4
    assert account.warehouse.query("SELECT COUNT(*) FROM CLAUDE_UNSETTLED").rows == [(0,)]


def test_a_day_of_transcripts_ends_as_in_the_embedded_warehouse(
    account: Account, streamed: StreamedWarehouse, tmp_path: Path, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which has the same rows as the copy path (`test_differential`). Most facts need no settling."""
    monkeypatch.setattr(sample, "DAYS", 2)
    sample.write(tmp_path / "claude", datetime(2026, 3, 2, 12, tzinfo=UTC))
    house = House(tmp_path / "home", deployed)
    reader = Reader(tmp_path / "home" / "queue", "snowflake", house.dead)
    reader.read(lines_max=0)  # from now on its lines stay until it has them
    house.take(tmp_path / "claude")
    told = [whole(decode_raw(line)) for line in reader.read().lines]
    left = carried(account, streamed, told[:30], told[30:])
    ids = [one.activity_id for one in told]
    assert said(house.warehouse, ids) == said(account.warehouse, ids)
    assert len(told) > 50 and left < len(told) / 2
    house.close()


def _history(chance: random.Random, name: str) -> list[Activity]:
    ids = [activity_id(name, str(n)) for n in range(6)]
    told = [
        fact(
            activity_id=chance.choice(ids[:4]), source=chance.choice(SOURCES), also_id=chance.choice((None, None, ids[4])),
            also_id_2=chance.choice((None, None, None, ids[5])), customer=chance.choice(("ada", "bob")),
            feature_json={"latency_ms": chance.randint(0, 3), "tool_name": chance.choice(("Bash", "Edit"))},
            link=chance.choice((None, "a", "b")), revenue_impact=chance.choice((None, 0.5, 1.5)),
        )
        for _ in range(24)
    ]  # fmt: skip
    told += [fact(activity_id=name, source="otel") for name in ids]
    return told + told[:6]


def _in_batches(chance: random.Random, told: list[Activity], merge: Callable[[list[Activity]], object]) -> None:
    while told:
        size = chance.randint(8, 20)
        merge(told[:size])
        told = told[size:]


def _named(one: Activity, prefix: str) -> Activity:
    """The same history twice in one table: names in the same order, and nobody else's."""
    also, also_2 = (name and prefix + name for name in (one.also_id, one.also_id_2))
    return msgspec.structs.replace(one, activity_id=prefix + one.activity_id, also_id=also, also_id_2=also_2)


def _nameless(rows: list[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    return [
        {column: value.replace(prefix, "") if isinstance(value, str) else value for column, value in row.items()}
        for row in rows
    ]
