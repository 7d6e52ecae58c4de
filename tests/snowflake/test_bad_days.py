"""Snowflake in trouble: one clear line each, nothing lost, and no good line set aside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from tests.snowflake.conftest import Account, Emulator
from tests.snowflake.network import Network, Place
from tests.snowflake.rows import stream
from tests.snowflake.test_contract import fact

from cdesk.activity.codec import encode
from cdesk.activity.model import Activity
from cdesk.errors import ConfigError, QueryRefused, WarehouseError, WarehouseUnready
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.snowflake.sessions import Sessions
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse

_number = count()


class Rooms:
    """A queue, and what carries its lines into the account."""

    def __init__(self, home: Path, warehouse: SnowflakeWarehouse) -> None:
        self.writer = Writer(home / "queue")
        self.dead = DeadLetters(home / "dead", redact=lambda line: line)
        self.warehouse = warehouse
        self.reader = Reader(home / "queue", "snowflake", self.dead)
        self.uploader = Uploader(self.reader, self.warehouse, self.dead)

    def take(self, *facts: Activity) -> list[str]:
        self.writer.append([encode(one) for one in facts])
        return [one.activity_id for one in facts]


@pytest.fixture
def rooms(tmp_path: Path, account: Account) -> Iterator[Rooms]:
    if account.emulator is None:
        pytest.skip("a real account cannot be told to fail")
    opened = Rooms(tmp_path, account.warehouse)
    yield opened
    opened.writer.close()


TROUBLE = {
    "a warehouse that its monitor suspended": (r"^\s*merge", 90_073, "Warehouse 'CDESK_INGEST' cannot be resumed because resource monitor 'X' has exceeded its quota."),
    "no warehouse": (r"^\s*copy", 606, "No active warehouse selected in the current session."),
    "a missing grant": (r"^\s*merge", 3001, "Insufficient privileges to operate on table 'CLAUDE_STREAM_V2'"),
    "a table dropped under us": (r"^\s*copy", 2003, "Table 'CLAUDE_LANDING' does not exist or not authorized."),
    "a session that ended while it merged": (r"^\s*merge", 390_111, "Session no longer exists. New login required to access the service."),
    "a commit that nobody answered": (r"^\s*commit", 250_003, "Failed to get the response."),
    "out of time": (r"^\s*merge", 630, "Statement reached its statement or warehouse timeout of 600 second(s) and was canceled."),
    "an upload that failed": (r"^\s*put", 253_003, "File transfer failed."),
    "numbers that ran out": (r"commit_number", 2003, "Sequence 'COMMIT_NUMBER' does not exist or not authorized."),
}  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLE)
def test_the_queue_holds_what_snowflake_does_not_take(rooms: Rooms, account: Account, trouble: str) -> None:
    """The line that says so tells what to do; the next try brings everything, once."""
    pattern, number, message = TROUBLE[trouble]
    assert account.emulator is not None
    ids = rooms.take(fact(), fact(), fact())
    account.emulator.fail(pattern, number, message)
    with pytest.raises(WarehouseUnready) as failed:
        rooms.uploader.step()
    assert failed.value.retryable and message.split(".")[0] in str(failed.value) and "\n" not in str(failed.value)
    assert failed.value.hint and not list(rooms.dead)
    assert stream(rooms.warehouse, ids) == []
    rooms.uploader.drain()
    assert len(stream(rooms.warehouse, ids)) == 3 and not list(rooms.dead)
    assert rooms.warehouse.query("SELECT COUNT(*) FROM CLAUDE_LANDING").rows == [(0,)]


@dataclass(frozen=True)
class Wire:
    """Rooms whose way to the account can be cut, and the account by a way that cannot."""

    network: Network
    rooms: Rooms
    account: Account


@pytest.fixture(scope="session")
def network(account: Account) -> Iterator[Network]:
    if account.emulator is None:
        pytest.skip("a real account's network is not ours to cut")
    opened = Network(account.emulator.port)
    yield opened
    opened.close()


@pytest.fixture
def wire(tmp_path: Path, account: Account, network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """It waits a second for an answer, not minutes; and uploads are tried again at once."""
    monkeypatch.setattr(
        "cdesk.warehouse.snowflake.sessions.NETWORK_SECONDS", 1 - account.settings.statement_seconds_max
    )
    monkeypatch.setattr("snowflake.connector.storage_client.SnowflakeStorageClient.SLEEP_UNIT", 0.01)
    assert account.emulator is not None
    connections = tmp_path / "connections.toml"
    connections.write_text(
        account.emulator.connections.read_text().replace(str(account.emulator.port), str(network.port))
    )
    connections.chmod(0o600)
    settings = msgspec.structs.replace(account.settings, connections_file=str(connections))
    warehouse = SnowflakeWarehouse(settings)
    rooms = Rooms(tmp_path, warehouse)
    yield Wire(network, rooms, account)
    network.mend()
    rooms.writer.close()
    warehouse.close()


STEPS = {
    "which rows there are": r"wanted AS", "a number": r"COMMIT_NUMBER", "where to": r"PUT file", "the upload": r"^PUT /",
    "BEGIN": r'"BEGIN"', "COPY": r"COPY INTO", "MERGE": r"MERGE INTO", "COMMIT": r'"COMMIT"', "REMOVE": r"REMOVE @",
}  # fmt: skip
CUTS: list[tuple[str, Place]] = [
    ("the upload", "within"), ("COPY", "after"), ("MERGE", "within"), ("COMMIT", "after"),
]  # fmt: skip
"""The tightest; CDESK_CUTS=all cuts every step at every place (`make chaos`)."""
if os.environ.get("CDESK_CUTS") == "all":
    CUTS = [(step, place) for step in STEPS for place in get_args(Place)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the connector's own timer
@pytest.mark.parametrize(("step", "place"), CUTS)
def test_a_network_that_goes_away_loses_and_doubles_nothing(wire: Wire, step: str, place: Place) -> None:
    """Whatever was under way, and even where only the answer was lost: one line, and each fact once in the end."""
    ids = wire.rooms.take(fact(), fact(), fact())
    wire.network.cut(STEPS[step], place, stays=True)
    if step == "REMOVE":  # all is there already
        wire.rooms.uploader.step()
    else:
        with pytest.raises(WarehouseUnready) as failed:
            wire.rooms.uploader.step()
        assert failed.value.retryable and "\n" not in str(failed.value) and "tried again" in failed.value.hint
    assert wire.network.hits == 1
    is_committed = step == "REMOVE" or (step, place) == ("COMMIT", "after")
    assert len(stream(wire.account.warehouse, ids)) == (3 if is_committed else 0)
    _is_there_once(wire, ids, mend=True)


def test_an_answer_that_got_lost_is_asked_for_again(wire: Wire) -> None:
    """By the connector, as the same request: nobody notices."""
    ids = wire.rooms.take(fact(), fact(), fact())
    wire.network.cut(STEPS["COMMIT"], "after", stays=False)
    wire.rooms.uploader.step()
    assert wire.network.hits == 1 and wire.rooms.uploader.merged.inserted == 3
    _is_there_once(wire, ids)


def _is_there_once(wire: Wire, ids: list[str], mend: bool = False) -> None:
    if mend:
        wire.network.mend()
    wire.rooms.uploader.drain()
    assert len(stream(wire.account.warehouse, ids)) == len(ids) and not list(wire.rooms.dead)
    assert wire.account.warehouse.query("SELECT COUNT(*) FROM CLAUDE_LANDING").rows == [(0,)]


@pytest.mark.parametrize(
    ("step", "number", "message"),
    [("merge", 100_078, "String is too long and would be truncated"), ("copy", 100_069, "Error parsing JSON: document is too long")],
)  # fmt: skip
def test_a_line_that_snowflake_cannot_take_is_set_aside_alone(
    rooms: Rooms, account: Account, step: str, number: int, message: str
) -> None:
    """The others go in."""
    assert account.emulator is not None
    ids = rooms.take(fact(), fact(), fact())
    for _ in range(2):  # of all three, then of the first
        account.emulator.fail(rf"^\s*{step}", number, message)
    rooms.uploader.drain()
    assert len(stream(rooms.warehouse, ids)) == 2
    assert ["too long" in letter.reason for letter in rooms.dead] == [True]


def test_another_writer_of_the_same_row_is_not_overwritten(rooms: Rooms) -> None:
    """Who comes second finds that the row has moved on, and joins what both said."""
    one = fact(feature_json={"tool_name": "Bash"})
    other = msgspec.structs.replace(one, source="transcript", feature_json={"result_size": 7})
    third = msgspec.structs.replace(one, source="otel", feature_json={"success": True})
    rooms.warehouse.merge([one])
    merger = rooms.warehouse._merger
    find = merger._stored

    def find_and_be_overtaken(*given: object) -> object:
        found = find(*given)  # type: ignore[arg-type]
        merger._stored = find  # type: ignore[method-assign]
        with rooms.warehouse._sessions.take() as session:
            merger.merge(session, [third])
        return found

    merger._stored = find_and_be_overtaken  # type: ignore[method-assign, assignment]
    with pytest.raises(WarehouseUnready, match="another writer"):
        rooms.warehouse.merge([other])
    rooms.warehouse.merge([other])
    [row] = stream(rooms.warehouse, [one.activity_id])
    assert row["_source"] == "hook,otel,transcript"
    assert row["feature_json"] == {"tool_name": "Bash", "result_size": 7, "success": True}


def test_sessions_that_ended_are_opened_anew(rooms: Rooms, account: Account) -> None:
    """A question notices nothing; a merge is tried again by the uploader."""
    assert account.emulator is not None
    rooms.warehouse.count()
    account.emulator.post("/_emu/forget")
    assert rooms.warehouse.count() >= 0
    ids = rooms.take(fact())
    account.emulator.post("/_emu/forget")
    with pytest.raises(WarehouseUnready):
        rooms.uploader.step()
    rooms.uploader.drain()
    assert len(stream(rooms.warehouse, ids)) == 1
    account.warehouse.count()  # its sessions are forgotten, too: the next test finds new ones


def test_every_statement_bears_its_tag_and_its_time_limit(account: Account) -> None:
    """The tag is the query's own id; nothing stays behind for the next one."""
    if account.emulator is None:
        pytest.skip("the log of a real account comes later")
    name = f"q_tag_{next(_number)}"
    account.warehouse.ask("SELECT 4711 AS tagged", query_id=name, rows_max=1, seconds_max=7)
    account.warehouse.query("SELECT 4712 AS untagged")
    log = "SELECT query_tag, timeout_seconds FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY()) WHERE query_text LIKE '%{} AS%'"
    assert account.warehouse.query(log.format("4711")).rows[0] == (f"cdesk:{name}", "7")
    [(tag, limit)] = account.warehouse.query(log.format("4712")).rows[:1]
    assert tag.startswith("cdesk:q_") and tag != f"cdesk:{name}" and limit == "600"


def test_every_statement_of_a_batch_bears_the_tag_of_the_batch(account: Account) -> None:
    """So that the query log says what one batch cost."""
    if account.emulator is None:
        pytest.skip("the log of a real account comes later")
    account.warehouse.merge([fact()])
    log = "SELECT query_text, query_tag FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY()) WHERE query_tag LIKE 'cdesk:q_%' ORDER BY start_time"
    told = account.warehouse.query(log).rows
    tag = [said for text, said in told if "MERGE INTO" in text][-1]
    words = [
        "wanted AS",
        "COMMIT_NUMBER",
        "PUT file",
        "BEGIN",
        "COPY INTO",
        "MERGE INTO",
        "DELETE FROM",
        "COMMIT",
        "REMOVE",
    ]
    batch = [text for text, said in told if said == tag]
    assert len(batch) >= len(words) and [word for word in words if not any(word in text for text in batch)] == []


ENDLESS = "SELECT COUNT(*) FROM CLAUDE_STREAM_V2 AS a, TABLE(GENERATOR(ROWCOUNT => 100000000000)) AS g WHERE MD5(a.activity_id) <> ''"


def test_a_statement_that_runs_too_long_is_stopped(account: Account) -> None:
    """By Snowflake, which is told how long it may; one line says so."""
    account.warehouse.merge([fact()])
    with pytest.raises(QueryRefused, match="ran longer than 1 s and was stopped") as failed:
        account.warehouse.ask(ENDLESS, query_id="q_endless", rows_max=1, seconds_max=1)
    assert "\n" not in str(failed.value)


def test_wrong_credentials_are_said_in_one_line(emulator: Emulator, tmp_path: Path) -> None:
    connections = tmp_path / "connections.toml"
    connections.write_text(emulator.connections.read_text().replace('"snow"', '"wrong"'))
    connections.chmod(0o600)
    settings = msgspec.structs.replace(emulator.settings(), connections_file=str(connections))
    with pytest.raises(WarehouseUnready) as failed:
        SnowflakeWarehouse(settings).count()
    assert "Incorrect username or password" in str(failed.value) and "wrong" not in str(failed.value)
    assert "\n" not in str(failed.value) and "connections.toml" in str(failed.value)


def test_a_token_that_expired_is_read_anew(account: Account, tmp_path: Path) -> None:
    """The line says where to write the new one; the queue waits for it."""
    if account.emulator is None:
        pytest.skip("needs a user with an OAuth token")
    token = tmp_path / "token"
    settings = msgspec.structs.replace(account.settings, token_file=str(token))
    rooms = Rooms(tmp_path, SnowflakeWarehouse(settings))
    ids = rooms.take(fact(), fact())
    for said, message in (("expired 1", "OAuth access token expired"), ("else", "Invalid OAuth access token")):
        token.write_text(said)
        with pytest.raises(WarehouseUnready, match=message) as failed:
            rooms.uploader.step()
        assert "write a new one into the token file" in failed.value.hint and "\n" not in str(failed.value)
    token.write_text("fresh 1\n")
    rooms.uploader.drain()
    assert len(stream(rooms.warehouse, ids)) == 2 and not list(rooms.dead)
    account.emulator.post("/_emu/forget")
    token.write_text("fresh 2\n")
    assert rooms.warehouse.count() >= 2
    account.warehouse.count()  # its sessions are forgotten, too
    rooms.writer.close()
    rooms.warehouse.close()


DAY_SECONDS = 86_400


@pytest.mark.parametrize("ahead_seconds", [-DAY_SECONDS, 0, DAY_SECONDS])
def test_a_key_pair_wants_a_clock_that_is_right(
    emulator: Emulator, tmp_path: Path, ahead_seconds: int, keys: tuple[str, str]
) -> None:
    """Snowflake refuses what was signed yesterday, or tomorrow."""
    private, public = keys
    (tmp_path / "key.p8").write_text(private)
    emulator.post("/_emu/user", {"public_key": public, "ahead_seconds": ahead_seconds})
    warehouse = SnowflakeWarehouse(emulator.settings(user="fake", private_key_file=str(tmp_path / "key.p8")))
    if not ahead_seconds:
        assert warehouse.query("SELECT 1").rows == [(1,)]
        warehouse.close()
        return
    with pytest.raises(WarehouseUnready, match="JWT token is invalid") as failed:
        warehouse.query("SELECT 1")
    assert "clock is wrong" in failed.value.hint and "\n" not in str(failed.value)


@pytest.fixture(scope="session")
def keys() -> tuple[str, str]:
    """Private and public, PEM."""
    rsa = import_module("cryptography.hazmat.primitives.asymmetric.rsa")
    serial = import_module("cryptography.hazmat.primitives.serialization")
    key = rsa.generate_private_key(65_537, 2_048)
    private = key.private_bytes(serial.Encoding.PEM, serial.PrivateFormat.PKCS8, serial.NoEncryption())
    public = key.public_key().public_bytes(serial.Encoding.PEM, serial.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("table", ["CLAUDE_LANDING", "CLAUDE_STREAM_V2"])
def test_a_table_that_went_under_us_is_named(rooms: Rooms, table: str) -> None:
    """And once it is there again, everything goes in."""
    ids = rooms.take(fact(), fact())
    rooms.warehouse.query(f"ALTER TABLE {table} RENAME TO {table}_ASIDE")
    try:
        with pytest.raises(WarehouseUnready, match=table) as failed:
            rooms.uploader.step()
    finally:
        rooms.warehouse.query(f"ALTER TABLE {table}_ASIDE RENAME TO {table}")
    assert "cdesk deploy apply" in failed.value.hint and "\n" not in str(failed.value)
    rooms.uploader.drain()
    assert len(stream(rooms.warehouse, ids)) == 2 and not list(rooms.dead)


def test_settings_that_cannot_be_used_are_said_so(emulator: Emulator, tmp_path: Path) -> None:
    """A connection that no file has; a token that is not there."""
    for more in ({"connection": "nobody"}, {"token_file": str(tmp_path / "none")}):
        with pytest.raises((ConfigError, WarehouseError)) as failed:
            SnowflakeWarehouse(emulator.settings(**more)).count()
        assert "\n" not in str(failed.value)


def test_no_more_sessions_are_kept_than_asked_for_at_once(account: Account) -> None:
    """One that is given back is given again."""
    sessions = Sessions(account.settings)
    with sessions.take() as one, sessions.take() as other:
        assert one is not other
    with sessions.take() as again:
        assert again in (one, other)
    sessions.close()
