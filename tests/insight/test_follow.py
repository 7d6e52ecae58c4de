"""Contexts follow what changes: those in use are built anew, once, and no others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import msgspec
import pytest

from cdesk.activity.resolution import Claim
from cdesk.app import App
from cdesk.capture.person import person
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import Home, PersonSettings, Settings
from cdesk.context.cache import ContextCache, ContextReader
from cdesk.context.model import Context, ContextKey
from cdesk.errors import WarehouseError
from cdesk.governance.consent import Consent
from cdesk.insight import follow
from cdesk.insight.context import ContextBuilder
from cdesk.insight.follow import KEYS_AT_ONCE, ContextFollower
from cdesk.insight.text import ask
from cdesk.surface import context as asked
from cdesk.surface.http.answers import Answers
from cdesk.surface.http.mcp import ServiceDesk
from cdesk.surface.http.told import ToldDesk
from cdesk.upkeep.identity import IdentityRequest

ADA, ALL = ContextKey("ada", "/p"), ContextKey("ada")
PATIENCE_S = 30


class Counting(ContextBuilder):
    """Notes what it is asked to build."""

    def build(self, keys: Any) -> list[Context]:
        self.built = [*getattr(self, "built", []), *keys]
        return super().build(keys)


class House:
    """All rooms; tasks and contexts take their turns when told to."""

    def __init__(self, home: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self.app = App(Home(home), Settings(person=PersonSettings(customer="ada")), {"HOME": str(home)}, clock=clock)
        self.path = self.app.home.context
        self.reader = ContextReader(self.path)
        self.builder = Counting(self.app.warehouse, self.app.settings.consent, clock=clock)
        self.cache = ContextCache(self.path, clock=clock)
        self.follower = ContextFollower(self.app.warehouse.changes, self.builder, self.cache, clock=clock)
        self.app.tasks.run_pending()
        self.follower.open()

    def put(self, *errors: str, customer: str = "ada", project: str | None = "/p") -> None:
        receipt = self.app.intake.take([{
            "activity": "tool_called", "ts": datetime.now(UTC).isoformat(), "customer": customer,
            "activity_id": f"{customer} {project} {error}", "_session_id": "s1", "feature_json": {
                "tool_name": "Bash", "tool_use_id": error, "success": False, "error": error, "project_path": project,
            },
        } for error in errors])  # fmt: skip
        assert not receipt.rejected, receipt.rejected
        self.app.uploader.drain()

    def tell(self, name: str, key: str, features: dict[str, Any]) -> None:
        receipt = self.app.intake.take([{
            "activity": name, "ts": datetime.now(UTC).isoformat(), "customer": "ada", "activity_id": key,
            "_session_id": "s1", "feature_json": features,
        }])  # fmt: skip
        assert not receipt.rejected, receipt.rejected
        self.app.uploader.drain()

    def turn(self) -> list[ContextKey]:
        """Tasks run, then contexts; gives what was built."""
        self.app.tasks.run_pending()
        return self.look()

    def look(self) -> list[ContextKey]:
        self.builder.built = []
        while self.follower.look():
            pass
        return sorted(self.builder.built, key=repr)

    def read(self, key: ContextKey = ADA) -> Context:
        found = self.reader.read(key)
        assert found is not None
        return found

    def close(self) -> None:
        self.follower.stop()
        self.app.close()


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    deployed(tmp_path / "home" / "warehouse")
    found = House(tmp_path / "home")
    yield found
    found.close()


def test_the_first_contexts_are_those_of_where_somebody_works(house: House) -> None:
    """Nobody has asked yet, and the first question is answered."""
    assert house.look() == []
    house.put("exit 1")
    assert set(house.turn()) == {ALL, ADA}
    assert "exit 1" in house.read().statements[0].text


def test_what_changed_is_built_again_and_no_other(house: House) -> None:
    """The project's and that of all projects; another customer's stay as they are."""
    house.put("exit 1")
    house.put("other", customer="bob", project="/q")
    house.turn()
    before = {key: house.read(key) for key in (ADA, ALL, ContextKey("bob", "/q"))}
    house.put("exit 2")
    assert set(house.turn()) == {ADA, ALL}
    assert house.read().version != before[ADA].version and "exit 2" in str(house.read().statements)
    assert house.read(ContextKey("bob", "/q")) == before[ContextKey("bob", "/q")]
    assert house.turn() == []


def test_a_project_that_is_new_has_a_context(house: House) -> None:
    """Of a customer in use: the first session there begins with what is known."""
    house.put("exit 1")
    house.turn()
    house.put("exit 2", project="/new")
    assert ContextKey("ada", "/new") in house.turn()


def test_news_is_told_after_what_is_due_was_built(house: House) -> None:
    """Not when somebody only wishes for a context; and one that cannot be told keeps nothing else waiting."""
    told: list[float | None] = []

    def tell() -> None:
        told.append(house.cache.built_at(ADA))
        raise OSError("no space left")

    house.follower = ContextFollower(house.app.warehouse.changes, house.builder, house.cache, tell=tell)
    house.put("exit 1")
    house.app.tasks.run_pending()
    assert house.follower.look() and told == [house.read().built_at]
    house.cache.wishes.ask(ContextKey("eve"))
    assert house.follower.look(False) and len(told) == 1


def test_customers_who_are_not_in_use_cost_nothing(house: House) -> None:
    """Ten thousand rows of others build nothing."""
    house.put("exit 1")
    house.turn()
    house.put("x", customer="eve", project="/e")
    assert house.turn() == []


def test_ten_thousand_customers_in_the_cache_are_not_built_for_one_event(house: House) -> None:
    """Only those of the customer whose event it was."""
    house.put("exit 1")
    house.turn()
    template = house.read()
    house.cache.keep([replace_key(template, ContextKey(f"c{n}", "/p")) for n in range(10_000)])
    house.put("exit 2")
    assert set(house.turn()) == {ADA, ALL}
    house.put("exit 3", customer="c77")
    assert house.turn() == [ContextKey("c77", "/p")]


def replace_key(found: Context, key: ContextKey) -> Context:
    return Context(key, found.statements, found.built_at, found.data_as_of, found.version)


def test_many_changed_at_once_take_several_looks(house: House) -> None:
    """So that nobody waits long for the warehouse."""
    house.put("exit 1")
    house.turn()
    template = house.read()
    many = KEYS_AT_ONCE + 30
    house.cache.keep([replace_key(template, ContextKey(f"c{n}", "/p")) for n in range(many)])
    for number in range(many):
        house.put("x", customer=f"c{number}")
    house.app.tasks.run_pending()
    house.builder.built = []
    assert house.follower.look() and len(house.builder.built) == KEYS_AT_ONCE
    house.look()
    assert house.read(ContextKey(f"c{many - 1}", "/p")).version != template.version


def test_a_wish_is_fulfilled_once(house: House) -> None:
    """A kind that nobody has asked for yet; and a customer of whom nothing is known."""
    house.put("exit 1")
    house.turn()
    engineer, nobody = ContextKey("ada", "/p", "engineer"), ContextKey("nobody", "/p")
    assert [house.reader.want(key) for key in (engineer, engineer, nobody)] == [True, False, True]
    assert set(house.look()) == {engineer, nobody}
    assert house.look() == []
    assert house.read(engineer).statements and not house.read(nobody).statements
    assert house.reader.want(engineer) is True, "it can be wished for again"
    assert house.look() == [], "but a wish that crossed with its fulfilment is fulfilled"


def test_wishes_without_news_are_seen(house: House) -> None:
    """Tables have not changed, and the folder of wishes has."""
    house.put("exit 1")
    house.turn()
    assert house.follower.look(False) is False
    house.reader.want(ContextKey("ada", None, "analyst"))
    assert house.follower.look(False) is True


def test_a_lost_cache_comes_back_from_the_warehouse(house: House) -> None:
    """Damaged or deleted while the service runs: the next look finds out."""
    house.put("exit 1")
    house.turn()
    before = house.read()
    for lose in (house.path.unlink, lambda: house.path.write_bytes(b"junk" * 4096)):
        lose()
        house.cache.close()
        house.turn()
        assert house.read().version == before.version


def test_a_corrected_history_is_told_anew(house: House) -> None:
    """What is given to somebody else is gone from here."""
    house.put("exit 1")
    house.put("exit 2")
    house.turn()
    with house.app.warehouse.commit() as seq:
        connection = house.app.warehouse._connection
        columns = "activity_id, ts, customer, activity, _session_id, _first_seq, _project_path, feature_json"
        connection.execute(
            f"INSERT INTO _STREAM_BEFORE (_replaced_seq, {columns}) SELECT {seq}, {columns} FROM CLAUDE_STREAM_V2"
        )
        connection.execute(f"UPDATE CLAUDE_STREAM_V2 SET customer = 'bob', _seq = {seq}")
    assert set(house.turn()) >= {ADA, ALL}
    assert house.read().statements == () and house.read(ALL).statements == ()


def test_who_is_shown_as_another_is_told_the_others_contexts(house: House) -> None:
    """This machine tells facts under one name and shows them under another: hooks, MCP and the page find what is known."""
    house.put("exit 1")
    house.turn()
    new = "ada@example.org"
    done = house.app.identity.act(IdentityRequest(claim=Claim(kind="alias", subject="ada", customer=new), new=True))
    assert set(house.turn()) >= {ContextKey(new, "/p"), ContextKey(new)}
    assert "exit 1" in str(house.read().statements) and house.read().key.customer == new
    house.put("exit 2")
    house.turn()
    assert "exit 2" in str(ServiceDesk(house.app, Answers(house.app)).context(ADA))
    assert "exit 2" in str(asked.of_app(house.app, asked.key(house.app, None, "/p", None)).statements)
    page = ToldDesk(house.app).read("/p")
    assert "exit 2" in str(page.context.lines) and {place.project_path for place in page.places} == {None, "/p"}
    assert done.operation is not None
    house.app.identity.act(IdentityRequest(undo=done.operation.number))
    house.turn()
    assert house.read().key == ADA and "exit 2" in str(house.read().statements)
    assert house.reader.read(ContextKey(new, "/p")) == Context(ContextKey(new, "/p"), (), ANY, None, ANY)


def test_a_machine_that_is_anothers_and_a_fact_that_was_are_told_there(house: House) -> None:
    """A link and a correction: what was somebody else's is gone from here."""
    house.put("exit 1", "exit 2")
    house.turn()
    [[fact]] = house.app.warehouse.query(
        "SELECT activity_id::VARCHAR FROM CLAUDE_STREAM_V2 WHERE feature_json.error::VARCHAR = 'exit 2'"
    ).rows
    house.app.identity.act(IdentityRequest(claim=Claim(kind="correct", subject=fact, customer="bob"), new=True))
    house.turn()
    assert "exit 1" in str(house.read().statements) and "exit 2" not in str(house.read().statements)
    machine = person(house.app.settings.person, house.app.home.path).anonymous_customer_id
    claim = Claim(kind="link", subject=machine, customer="eve", identified_at=datetime.now(UTC))
    house.app.identity.act(IdentityRequest(claim=claim, new=True))
    house.turn()
    assert house.reader.named(ADA) == ContextKey("eve", "/p")


def test_a_thousand_readers_of_a_stale_context_are_one_refresh(house: House) -> None:
    """However many ask, in whatever threads, while it is made and before: it is made once."""
    house.put("exit 1")
    house.turn()
    stale = replace_key(house.read(), ADA)
    house.cache.keep([msgspec.structs.replace(stale, built_at=stale.built_at - 60)])

    def read(_: int) -> bool:
        found = house.reader.read(ADA)
        assert found is not None and found.is_stale(time.time())
        return house.reader.want(ADA)

    with ThreadPoolExecutor(16) as readers:
        assert sum(readers.map(read, range(1_000))) == 1
    assert house.look() == [ADA] and house.look() == []
    assert not house.read().is_stale(time.time())


def test_what_consent_withholds_now_is_not_told_from_before(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Not even as something stale, between the start of the service and its first look."""
    deployed(tmp_path / "home" / "warehouse")
    house = House(tmp_path / "home")
    house.put("a word")
    house.app.contexts.open()
    house.app.tasks.run_pending()
    house.app.contexts.look()
    assert "a word" in str(house.read())
    house.close()
    settings = Settings(person=PersonSettings(customer="ada"), consent=Consent(text="drop"))
    app = App(Home(tmp_path / "home"), settings, {"HOME": str(tmp_path)})
    app.contexts.open()
    assert house.reader.read(ADA) is None
    app.contexts.look()
    assert "a word" not in str(house.read())
    app.close()


def test_an_atom_is_told_where_it_belongs(house: House) -> None:
    """One that names no project changes all of the customer's contexts; a bare figure only that of all projects."""
    house.put("exit 1")
    house.put("exit 2", project="/q")
    house.turn()
    for id_, derivation, expected in (
        ("a1", '{"statement": "Use uv."}', {ADA, ALL, ContextKey("ada", "/q")}),
        ("a2", '{"statement": "Run make.", "project_path": "/p"}', {ADA, ALL}),
        ("a3", '{"task": "x"}', {ALL}),
    ):
        with house.app.warehouse.changes.consume([], ["INSIGHT_ATOMS"]) as unit:
            unit.execute(
                "INSERT INTO INSIGHT_ATOMS (id, ts, customer, subject, metric, valid_from, derivation, _seq, _first_seq)"
                " VALUES ($id, '2026-01-01', 'ada', 's', 'm', '2026-01-01', CAST($how AS JSON)::VARIANT, $seq, $seq)",
                {"id": id_, "how": derivation, "seq": unit.next_seq("INSIGHT_ATOMS")}, "INSIGHT_ATOMS",
            )  # fmt: skip
        assert set(house.look()) == expected, id_


def test_what_somebody_noted_is_told_until_it_is_silenced(house: House) -> None:
    """Through the queue and the task that makes atoms of it."""
    house.put("exit 1")
    house.turn()
    noted = {
        "subject": "tests",
        "metric": "rule",
        "statement": "Run make first.",
        "author": "claude",
        "project_path": "/p",
    }
    house.tell("insight_recorded", "i1", noted)
    assert ADA in house.turn()
    [told] = [one for one in house.read().statements if one.section == "insight"]
    assert told.text == 'Noted by Claude: "Run make first.".'
    house.tell(
        "insight_corrected",
        "i2",
        {"atom_id": told.sources[0].removeprefix("atom:"), "action": "silence", "author": "person"},
    )
    assert ADA in house.turn()
    assert not [one for one in house.read().statements if one.section == "insight"]


def test_a_change_waits_for_the_task_that_takes_it_in(house: House) -> None:
    """Built before that, a context would not say it; built after each task, it says all."""
    house.put("exit 1")
    house.turn()
    house.put("exit 2")
    assert house.look() == []
    house.app.tasks.run("refresh_context_inputs")
    assert set(house.look()) == {ADA, ALL} and "exit 2" in str(house.read().statements)
    house.app.tasks.run("roll_up_activity")
    assert set(house.look()) == {ADA, ALL} and "of 2 tool calls" in str(house.read().statements)


def test_a_clock_that_jumps_leaves_nothing_fresh_for_ever(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Forward, everything is stale; back, what was built in a future that is none now is, so that its reader wishes for it."""
    deployed(tmp_path / "home" / "warehouse")
    now = [datetime(2027, 1, 1, tzinfo=UTC).timestamp()]
    house = House(tmp_path / "home", replace(SYSTEM_CLOCK, now_ns=lambda: int(now[0] * 1e9)))
    try:
        house.put("exit 1")
        house.turn()
        now[0] += 86_400
        assert house.read().is_stale(now[0]) and house.reader.want(ADA) and house.look() == [ADA]
        now[0] -= 86_400
        house.look()
        assert house.read().is_stale(now[0])
        assert house.reader.want(ADA) and house.look() == [ADA]
        assert not house.read().is_stale(now[0])
    finally:
        house.close()


def test_a_warehouse_in_trouble_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was due stays due, and a wish stays a wish."""
    house.put("exit 1")
    house.turn()
    wanted = ContextKey("ada", "/p", "analyst")
    house.reader.want(wanted)

    def refuse(keys: Any) -> list[Context]:
        raise WarehouseError("no")

    with monkeypatch.context() as patch, pytest.raises(WarehouseError):
        patch.setattr(house.builder, "build", refuse)
        house.follower.look()
    assert house.look() == [wanted]


# -- by itself -----------------------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path, deployed: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    deployed(tmp_path / "home" / "warehouse")
    monkeypatch.setattr(follow, "LOOK_SECONDS", 0.05)
    app = App(Home(tmp_path / "home"), Settings(person=PersonSettings(customer="ada")), {"HOME": str(tmp_path)})
    app.start()
    app.keep_fresh()
    yield app
    app.close()


def _until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


def test_an_event_is_in_the_context_soon(running: App) -> None:
    """Through the queue, the warehouse, its tasks and the cache, without anybody's doing."""
    reader = ContextReader(running.home.context)
    for number in range(3):
        running.intake.take([{
            "activity": "tool_called", "ts": datetime.now(UTC).isoformat(), "customer": "ada", "activity_id": str(number),
            "_session_id": "s1", "feature_json": {"tool_name": "Bash", "tool_use_id": str(number), "success": False,
                                                  "error": f"exit {number}", "project_path": "/p"},
        }])  # fmt: skip
        running.uploader.wake()
        _until(lambda: f'"exit {number}"' in str(found.statements) if (found := reader.read(ADA)) else False)  # noqa: B023
    assert reader.want(ContextKey("ada", "/p", "executive"))
    _until(lambda: reader.read(ContextKey("ada", "/p", "executive")))


def test_nothing_is_built_while_nothing_happens(running: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks go on, and ask nothing of the warehouse."""
    looked: list[bool] = []
    asked: list[str] = []
    was = running.contexts.look

    def noted(warehouse: Any, name: str, values: Any, **parts: str) -> Any:
        asked.append(name)
        return ask(warehouse, name, values, **parts)

    def look(is_news: bool = True) -> bool:
        looked.append(is_news)
        return was(is_news)

    monkeypatch.setattr("cdesk.insight.context.ask", noted)
    monkeypatch.setattr(running.contexts, "look", look)
    _until(lambda: looked[-2:] == [False, False])
    asked.clear()
    looks = len(looked)
    _until(lambda: len(looked) > looks + 5)
    assert not any(looked[looks:]) and not asked
