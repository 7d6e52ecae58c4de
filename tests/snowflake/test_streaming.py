"""The official streaming SDK against a local TLS endpoint: killed at random, it goes on at the right token."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.chaos.processes import killed_after, started
from tests.generated import START
from tests.snowflake import sender
from tests.snowflake.pipe import Pipe, Signed, served, signed

from cdesk.activity.codec import encode
from cdesk.activity.model import Activity
from cdesk.app import App
from cdesk.config import Home, Settings, SnowflakeSettings
from cdesk.errors import ConfigError, WarehouseUnready
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.upload.streamed import StreamedReader, offsets, token
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.snowflake.streaming import Channel, name, properties
from cdesk.warehouse.snowflake.streaming_store import StreamedWarehouse

ROWS = int(os.environ.get("CDESK_STREAMED_ROWS", "5000"))
KILLS = int(os.environ.get("CDESK_STREAM_KILLS", "3"))
BATCHES = 25
"""In all; so the larger the queue, the larger they are."""
TRIES_MAX = 30

needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec("snowflake") is None or importlib.util.find_spec("snowflake.ingest") is None,
    reason="Snowflake's streaming SDK is not installed: cdesk[snowflake]",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    return signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def pipe(files: Signed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    with served(files) as pipe:
        yield pipe


def written(home: Path, rows: int, start: int = 0, writer: str = "a") -> None:
    """Lines by a writer that is gone."""
    lines = [
        encode(Activity(
            activity_id=f"{writer}-{n}", ts=START, activity="survived", customer="ada", source="api", feature_json={"n": n}
        ))
        for n in range(start, start + rows)
    ]  # fmt: skip
    with_writer = Writer(home / "queue")
    for at in range(0, rows, 1_000):
        with_writer.append(lines[at : at + 1_000])
    with_writer.close()


def ids(pipe: Pipe, folder: Path) -> list[str]:
    return [row["line"]["activity_id"] for row in pipe.rows(folder)]


@needs_sdk
def test_nothing_is_lost_or_twice_when_the_sender_is_killed(pipe: Pipe, files: Signed, tmp_path: Path) -> None:
    """kill -9 of a real process while it reads, sends and waits; each next one begins where Snowflake's token says."""
    home, chance = tmp_path / "home", random.Random(os.environ.get("CDESK_SEED", "seed"))
    written(home, ROWS)
    sender.settings(home, pipe.port, files.user_key)
    size = max(ROWS // BATCHES, 100)
    command = [sys.executable, sender.__file__, str(home), str(pipe.port), str(files.user_key), str(min(size, 2_000))]
    for _ in range(KILLS):
        killed_after(started(command, env=dict(os.environ)), chance.randint(1, max(2, ROWS // size // KILLS)))
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert ids(pipe, tmp_path) == [f"a-{n}" for n in range(ROWS)]
    assert len(pipe.opens) == KILLS + 1 and pipe.opens[0] is None and any(pipe.opens[1:])
    print(
        f"{ROWS:,} rows, {KILLS} kills, {len(pipe.bodies)} requests, opened at {[told and told[-12:] for told in pipe.opens]}"
    )


@needs_sdk
@pytest.mark.parametrize("trouble", ["the answer is lost", "another opens the channel", "the channel is gone"])
def test_the_channel_is_opened_again(trouble: str, pipe: Pipe, files: Signed, tmp_path: Path) -> None:
    """The step that meets it says so in one line; the next ones go on behind what Snowflake has."""
    home = tmp_path / "home"
    written(home, 300)
    carrying = sender.uploader(home, sender.settings(home, pipe.port, files.user_key), 50)
    assert carrying.step() == 50
    match trouble:
        case "the answer is lost":
            pipe.fail.append("cut")
        case "another opens the channel":
            with pipe.lock:
                pipe.channels[sender.CHANNEL].opened += 1
        case _:
            confirm(carrying)
            pipe.drop()
    for _ in range(TRIES_MAX):
        try:
            if not carrying.step():
                break
        except WarehouseUnready as error:
            assert "\n" not in str(error) and "it is tried again" in str(error)
    assert sorted(ids(pipe, tmp_path)) == sorted(f"a-{n}" for n in range(300))


def confirm(carrying: Uploader) -> None:
    reader = carrying._reader
    assert isinstance(reader, StreamedReader)
    reader._confirm()


@needs_sdk
def test_the_service_streams_when_the_settings_say_so(
    pipe: Pipe, files: Signed, tmp_path: Path, deployed: Callable[[Path], Path]
) -> None:
    """In a channel of its home's own."""
    home = Home(tmp_path / "home")
    deployed(home.warehouse)
    wanted = msgspec.structs.replace(sender.settings(tmp_path / "c", pipe.port, files.user_key), load=True)
    app = App(home, Settings(snowflake=wanted), {"HOME": str(tmp_path)})
    app.team.step()
    written(home.path, 20)
    app.uploader.drain()  # lines that leave the catalog's shape are looked at here first
    assert app.team.step() == 20 and app.team.step() == 0
    assert ids(pipe, tmp_path) == [f"a-{n}" for n in range(20)]
    assert list(pipe.channels) == [name(app.person.anonymous_customer_id, home.path)]
    assert app.team_depth().bytes == 0 and app.carried.credits > 0
    app.close()


@needs_sdk
def test_who_cannot_sign_in_is_told_so_in_one_line(tmp_path: Path) -> None:
    given = SnowflakeSettings(account="local", path="streaming")
    with pytest.raises(ConfigError, match="wants user and private_key_file"):
        Channel(given, "c").open()
    key = tmp_path / "none.p8"
    with pytest.raises(ConfigError, match="cannot read the private key"):
        properties(SnowflakeSettings(account="a_b", user="u", private_key_file=str(key)))
    key.write_text("no key")
    bad = SnowflakeSettings(account="local", user="u", private_key_file=str(key))
    with pytest.raises(WarehouseUnready) as told:
        Channel(bad, "c").open()
    assert "\n" not in str(told.value) and "no key" not in str(told.value)


def test_settings_say_where_and_as_whom(tmp_path: Path) -> None:
    """No secret but the key, which is read from its file; telemetry is off."""
    key = tmp_path / "key.p8"
    key.write_text("a key")
    given = properties(SnowflakeSettings(account="my_org-acc", user="loader", role="R", private_key_file=str(key)))
    assert given["url"] == "https://my-org-acc.snowflakecomputing.com:443"
    assert (given["user"], given["role"], given["private_key"]) == ("loader", "R", "a key")
    assert given["enable_telemetry_reporting"] == "false"


def test_a_token_names_the_place_in_each_segment() -> None:
    at = {"01-a.ndjson": 5, "02-b.ndjson": 7}
    assert offsets(token(at)) == at and offsets(None) == offsets("") == {}
    assert len(offsets(token({f"{n:03}-a.ndjson": n for n in range(500)}))) == 40
    with pytest.raises(WarehouseUnready, match="not cdesk's"):
        offsets("somebody else's")


class Server:
    """What Snowflake keeps of a channel; it commits what was sent when it likes, and its sender may die at any moment."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rows: list[str] = []
        self.token: str | None = None


class Line(Channel):
    """A channel to `Server` that may break whenever something is asked of it."""

    def __init__(self, server: Server) -> None:
        super().__init__(SnowflakeSettings(), "line")
        self._server = server
        self._is_open = False
        self._sent: list[tuple[list[str], str]] = []

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self) -> str | None:
        self._is_open, self._sent = True, []
        return self._server.token

    def send(self, rows: object, token: str) -> None:
        assert isinstance(rows, list)
        self._sent.append(([msgspec.json.decode(row["line"])["activity_id"] for row in rows], token))
        self._maybe_break()

    def confirm(self, token: str) -> int:
        self._maybe_break()
        self._commit(len(self._sent))
        assert self._server.token == token
        return 0

    def _commit(self, batches: int) -> None:
        for rows, end in self._sent[:batches]:
            self._server.rows += rows
            self._server.token = end
        del self._sent[:batches]

    def _maybe_break(self) -> None:
        if self._server.chance.random() < 0.2:
            self._commit(self._server.chance.randint(0, len(self._sent)))
            self._is_open, self._sent = False, []
            raise WarehouseUnready("the line broke.")


@pytest.mark.parametrize("seed", range(12))
def test_random_breaks_lose_nothing_and_repeat_nothing(seed: int, tmp_path: Path) -> None:
    """Writers come and go, the line breaks, the sender dies and forgets all: the server has each line once."""
    chance = random.Random(seed)
    server, wanted = Server(chance), set[str]()
    live = Writer(tmp_path / "queue")
    carrying = _carrying(tmp_path, server)
    for turn in range(40):
        match chance.randrange(4):
            case 0:
                written(tmp_path, 7, writer=f"w{turn}")
                wanted |= {f"w{turn}-{n}" for n in range(7)}
            case 1:
                live.append([encode(Activity(
                    activity_id=f"live-{turn}", ts=START, activity="survived", customer="ada", source="api", feature_json={}
                ))])  # fmt: skip
                wanted.add(f"live-{turn}")
            case 2:
                _step(carrying)
            case _:
                carrying = _carrying(tmp_path, server)
    for _ in range(500):
        if _step(carrying) == 0:
            break
    live.close()
    assert sorted(server.rows) == sorted(wanted)
    assert Reader(tmp_path / "queue", "snowflake", DeadLetters(tmp_path / "dead")).depth(0.0).bytes == 0


def _carrying(home: Path, server: Server) -> Uploader:
    dead = DeadLetters(home / "dead")
    warehouse = StreamedWarehouse(SnowflakeSettings(), Line(server))
    return Uploader(
        StreamedReader(home / "queue", "snowflake", dead, warehouse, rows_max=4, bytes_max=10_000), warehouse, dead
    )


def _step(carrying: Uploader) -> int | None:
    try:
        return carrying.step()
    except WarehouseUnready:
        return None
