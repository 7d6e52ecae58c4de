"""What leaves the catalog's shape is told once, set aside by policy, and comes back byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.generated import START

from cdesk.activity.codec import encode
from cdesk.activity.contract import Contract
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, Features, Person
from cdesk.errors import ConfigError, UsageError, WarehouseBusy, WarehouseError
from cdesk.governance.drift import DriftPolicy, Policy
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.reader import Origin
from cdesk.upload import inspector as inspecting
from cdesk.upload.drift import Drift
from cdesk.upload.inspector import Inspector
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.drift import DriftChanges, Incident
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

Deployed = Callable[[Path], Path]
CALL: Features = {"tool_use_id": "toolu_1", "tool_name": "Bash", "latency_ms": 12}
ROWS = "SELECT activity, feature_json::JSON::VARCHAR FROM CLAUDE_STREAM_V2 WHERE activity <> 'schema_drift_detected' ORDER BY ALL"


@dataclass(frozen=True)
class Item:
    activity: Activity
    line: bytes
    origin: Origin


class House:
    """A queue, a warehouse and an uploader that inspects; closed and opened again at will."""

    def __init__(self, home: Path, deployed: Deployed, policy: DriftPolicy) -> None:
        self.home, self.policy = home, policy
        deployed(home / "warehouse")
        self.places: dict[str, int] = {}
        self.open()

    def open(self) -> None:
        self.warehouse = DuckDBWarehouse(self.home / "warehouse")
        self.writer = Writer(self.home / "queue")
        self.store = self.warehouse.drift
        self.inspector = Inspector(self.store, self.warehouse.merge, self.policy, lambda: Person("ada", "host_test"))
        self.drift = Drift(self.store, self.inspector, self.writer.append)
        dead = DeadLetters(self.home / "dead")
        self.dead = dead
        self.uploader = Uploader(Reader(self.home / "queue", "warehouse", dead), self.warehouse, dead, self.inspector)

    def close(self, *, killed: bool = False) -> None:
        if not killed:
            self.inspector.flush()
        elif self.inspector._timer is not None:
            self.inspector._timer.cancel()
        self.writer.close()
        self.warehouse.close()

    def again(self, policy: DriftPolicy | None = None, *, killed: bool = False) -> None:
        self.close(killed=killed)
        self.policy = policy or self.policy
        self.open()

    def put(self, *activities: Activity) -> list[bytes]:
        """Through the queue; gives back the lines."""
        lines = [encode(activity) for activity in activities]
        self.writer.append(lines)
        self.uploader.drain()
        return lines

    def items(self, *activities: Activity) -> list[Item]:
        """As the uploader hands them over, one line behind the other."""
        found = []
        for activity in activities:
            self.places["s"] = self.places.get("s", -1) + 1
            found.append(Item(activity, encode(activity), Origin("s", self.places["s"])))
        return found

    def stored(self) -> list[tuple[str, Any]]:
        return [(activity, msgspec.json.decode(features)) for activity, features in self.warehouse.query(ROWS).rows]

    def incidents(self) -> list[Incident]:
        return self.drift.list()

    def incident(self) -> Incident:
        [found] = self.incidents()
        return found

    def events(self) -> list[tuple[str, str]]:
        """Severity and status of every system event, in order."""
        sql = """SELECT severity, metrics.status::VARCHAR FROM VW_SYSTEM_EVENTS WHERE event_type = 'schema_drift'
                  ORDER BY ts, activity_id"""
        return [(row[0], row[1]) for row in self.warehouse.query(sql).rows]

    def lines_kept(self) -> list[bytes]:
        rows = self.warehouse.query("SELECT line FROM QUARANTINE WHERE line IS NOT NULL ORDER BY ts, line").rows
        return [row[0].encode() for row in rows]

    def atoms(self) -> dict[str, tuple[bool, str | None]]:
        rows = self.warehouse.query("SELECT id, is_quarantined, quarantine_reason FROM INSIGHT_ATOMS").rows
        return {name: (bool(is_quarantined), reason) for name, is_quarantined, reason in rows}

    def atom(self, name: str, derivation: Any) -> None:
        self.warehouse._connection.execute(
            "INSERT INTO INSIGHT_ATOMS (id, ts, customer, subject, metric, valid_from, derivation)"
            " VALUES (?, now(), 'ada', 's', 'm', now(), ?::JSON::VARIANT)",
            [name, msgspec.json.encode(derivation).decode()],
        )


Open = Callable[..., House]


@pytest.fixture
def opened(tmp_path: Path, deployed: Deployed) -> Iterator[Open]:
    """Opens a house under a policy; it is closed afterwards."""
    houses: list[House] = []

    def opening(policy: Policy = "additive", **families: Policy) -> House:
        house = House(tmp_path / str(len(houses)), deployed, DriftPolicy(policy, **families))
        houses.append(house)
        return house

    yield opening
    for house in houses:
        house.close(killed=True)


def told(n: object, activity: str = "tool_called", /, **features: Any) -> Activity:
    return Activity(
        activity_id=activity_id("given", str(n)), ts=START, activity=activity, customer="ada",
        feature_json={**(CALL if activity == "tool_called" else {}), **features}, source="api",
    )  # fmt: skip


def without(name: str) -> Activity:
    whole = told(1)
    return msgspec.structs.replace(whole, feature_json={k: v for k, v in whole.feature_json.items() if k != name})


# -- nothing drifts ------------------------------------------------------------------------------------------------


def test_nothing_is_written_while_nothing_drifts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch goes on as it came, the very same list."""
    house = opened("strict")
    monkeypatch.setattr(house.store, "keep", None)
    batch = house.items(told(1), told(2))
    assert house.inspector.inspect(batch).merge is batch


# -- every kind, under every policy --------------------------------------------------------------------------------

KINDS: dict[str, list[Activity]] = {
    "new_key": [told(1, mood="good")],
    "wrong_type": [told(1, latency_ms="slow")],
    "missing_key": [without("tool_use_id")],
    "unknown_activity": [told(1, "door_opened", door=1)],
    "inconsistent_type": [told(1, mood="good"), told(2, mood=5)],
    "too_many_keys": [told(1, **{f"key_{n}": n for n in range(inspecting.KEYS_MAX + 1)})],
    "too_many_activities": [told(n, f"door_{n}_opened") for n in range(inspecting.NAMES_MAX + 1)],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["additive", "strict", "frozen"])
def test_policy_decides(opened: Open, policy: Policy, kind: str) -> None:
    """Kept and taken up, or set aside with its bytes; told either way, once."""
    house = opened(policy, unknown=policy)
    lines = house.put(*KINDS[kind])
    incident = next(one for one in house.incidents() if one.kind == kind)
    is_kept = policy == "additive" and kind not in ("wrong_type", "missing_key")
    is_taken_up = is_kept and kind in ("new_key", "unknown_activity")
    assert incident.status == ("accepted" if is_taken_up else "open")
    assert incident.severity == ("error" if not is_kept else "info" if is_taken_up else "warning")
    assert incident.occurrences == (len(lines) if kind == "too_many_activities" else 1)
    assert len(house.stored()) == (len(lines) if is_kept else 0)
    assert sorted(house.lines_kept()) == ([] if is_kept else sorted(lines))
    news = [one for one in house.incidents() if policy != "additive" or one.kind != "unknown_activity"]
    assert len(house.events()) == len(news) and house.dead.count() == 0
    house.put(*KINDS[kind])
    assert len(house.lines_kept()) == (0 if is_kept else len(lines))
    if policy == "frozen":
        with pytest.raises(ConfigError, match="is frozen"):
            house.drift.accept(incident.id)
    elif not is_taken_up:
        for one in house.incidents():
            house.drift.accept(one.id)
        house.uploader.drain()
        assert len(house.stored()) == len(lines) and house.lines_kept() == []
        assert {one.status for one in house.incidents()} == {"accepted"}
        house.put(*KINDS[kind])
        assert {one.status for one in house.incidents()} == {"accepted"} and house.lines_kept() == []


def test_families_have_policies_of_their_own(opened: Open) -> None:
    """What is not named follows the default; names beside the catalog are welcome unless told otherwise."""
    house = opened("strict", tool="additive")
    house.put(told(1, mood="good"), told(2, "mcp_called", method="m", mood="good"), told(3, "door_opened"))
    assert [activity for activity, _ in house.stored()] == ["door_opened", "tool_called"]
    assert {one.activity: (one.family, one.status) for one in house.incidents()} == {
        "tool_called": ("tool", "accepted"), "mcp_called": ("mcp", "open"), "door_opened": ("unknown", "accepted"),
    }  # fmt: skip


def test_a_key_taken_up_stays_queryable_and_is_a_minor_version(opened: Open) -> None:
    """It is no drift any more, after a restart neither."""
    house = opened()
    house.put(told(1, mood=1), told(2, mood=2.5))
    house.again()
    house.put(told(3, mood=3), told(4, "tool_called", odds=[1]))
    moods = house.warehouse.query("SELECT feature_json:mood::DOUBLE FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'"
                                  .replace(":mood::", ".mood::") + " ORDER BY 1").rows  # fmt: skip
    assert [row[0] for row in moods] == [1, 2.5, 3, None]
    added = house.warehouse.query("SELECT activity, key, kind, schema_version FROM CATALOG_ADDITION ORDER BY 4").rows
    assert added == [("tool_called", "mood", "number", "2.1"), ("tool_called", "odds", "array", "2.2")]
    assert {one.key: (one.occurrences, one.schema_version) for one in house.incidents()} == {
        "mood": (2, "2.1"), "odds": (1, "2.2")}  # fmt: skip


def test_an_undeclared_key_that_changes_its_kind_is_inconsistent(opened: Open) -> None:
    """Over time and within a batch; a third kind opens it again after it was accepted."""
    house = opened()
    house.put(told(1, mood=1), told(2, mood="good"))
    house.put(told(3, mood="bad"))
    one = next(one for one in house.incidents() if one.kind == "inconsistent_type")
    assert (one.expected, one.actual, one.occurrences, one.status) == ("number", "string", 2, "open")
    house.drift.accept(one.id)
    house.put(told(4, mood="fair"), told(5, mood=[]))
    one = next(one for one in house.incidents() if one.kind == "inconsistent_type")
    assert (one.actual, one.occurrences, one.status, one.revision) == ("array, string", 3, "open", 2)
    assert len(house.stored()) == 5


# -- told once, counted once ---------------------------------------------------------------------------------------


def test_an_incident_says_what_a_person_needs_and_no_value(opened: Open) -> None:
    house = opened("strict")
    house.put(told(1, latency_ms="a secret", mood={"b": "another"}))
    wrong = next(one for one in house.incidents() if one.kind == "wrong_type")
    assert (wrong.activity, wrong.key, wrong.expected, wrong.actual) == (
        "tool_called",
        "latency_ms",
        "number",
        "string",
    )
    assert wrong.sample_json == {
        "latency_ms": "string of 8", "mood": "object of 1", "tool_name": "string of 4", "tool_use_id": "string of 7",
    }  # fmt: skip
    shown = house.drift.show(wrong.id[:8])
    assert shown.message == "tool_called.latency_ms is number and came as string" and shown.policy == "strict"
    assert [row.reason for row in shown.rows] == ["latency_ms is string, not number; mood (object) is not declared"]
    told_of = house.warehouse.query("SELECT feature_json::JSON::VARCHAR FROM CLAUDE_STREAM_V2").rows
    assert len(told_of) == 2 and "secret" not in str(told_of) and "another" not in str(told_of)


def test_telling_of_drift_is_no_drift(opened: Open) -> None:
    """The system event has the catalog's own shape, and derives its id from what drifted."""
    house = opened("strict")
    house.put(told(1, mood="good"))
    sql = "SELECT activity, feature_json::JSON::VARCHAR FROM CLAUDE_STREAM_V2"
    [(activity, features)] = house.warehouse.query(sql).rows
    assert activity == "schema_drift_detected"
    assert Contract().check(activity, msgspec.json.decode(features)) == ()
    assert house.warehouse.data_as_of() is None


def test_repetition_counts_once(opened: Open) -> None:
    """A batch that fails and comes again, whole or in halves, is the same activities; other lines are others."""
    house = opened()
    house.inspector.inspect(house.items(told(1, latency_ms="a"), told(2, latency_ms="b")))
    batch = house.items(told(3, latency_ms="c"), told(4), told(5, latency_ms="d"))
    for part in (batch, batch, batch[:1], batch[1:]):
        house.inspector.inspect(part)
    assert (house.incident().occurrences, house.incident().quarantined) == (4, 4)
    house.again()
    house.inspector.inspect(batch)
    assert (house.incident().occurrences, house.incident().quarantined) == (4, 4)


def test_counts_are_written_later_and_lost_only_by_a_kill(opened: Open) -> None:
    """What opens an incident is written at once; what only counts waits, and rows set aside never do."""
    house = opened()
    first, second = house.items(told(1, latency_ms="a")), house.items(told(2, latency_ms="b"), told(3, latency_ms="c"))
    house.inspector.inspect(first)
    house.inspector.inspect(second)
    assert [one.occurrences for one in house.store.incidents()] == [1]
    house.again(killed=True)
    house.inspector.inspect(second)
    house.inspector.flush()
    assert [(one.occurrences, one.quarantined) for one in house.store.incidents()] == [(3, 3)]
    house.again(killed=True)
    house.inspector.inspect(second)
    assert (house.incident().occurrences, house.incident().quarantined) == (3, 3)


def test_counts_are_written_by_themselves(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nothing more comes."""
    monkeypatch.setattr(inspecting, "FLUSH_SECONDS", 0.01)
    house = opened()
    house.inspector.inspect(house.items(told(1, latency_ms="a")))
    house.inspector.inspect(house.items(told(2, latency_ms="b")))
    timer = house.inspector._timer
    assert timer is not None
    timer.join()
    assert [one.occurrences for one in house.store.incidents()] == [2]


@pytest.mark.parametrize("where", ["keep", "tell"])
def test_a_warehouse_that_cannot_now_changes_nothing(opened: Open, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Nothing is set aside, nothing counted, nothing told twice when it can again."""
    house = opened("strict")
    batch = house.items(told(1, mood="good"), told(2))

    def busy(what: object) -> None:
        raise WarehouseBusy("busy")

    with monkeypatch.context() as patch:
        patch.setattr(house.store if where == "keep" else house.inspector, "keep" if where == "keep" else "_tell", busy)
        for _ in range(2):
            with pytest.raises(WarehouseError):
                house.inspector.inspect(batch)
    assert house.incidents() == [] and house.lines_kept() == []
    inspection = house.inspector.inspect(batch)
    assert (list(inspection.merge), inspection.quarantined) == ([batch[1]], 1)
    assert (house.incident().occurrences, house.events()) == (1, [("error", "open")])


@pytest.mark.parametrize("policy", ["additive", "strict"])
def test_a_flood_of_keys_is_one_incident(opened: Open, policy: Policy) -> None:
    """A hundred thousand distinct keys: one thing is remembered of them, and every activity counted."""
    house = opened(policy)
    for start in range(0, 10_000, 2_000):
        batch = [told(n, **{f"key_{n}_{i}": i for i in range(10)}) for n in range(start, start + 2_000)]
        house.inspector.inspect(house.items(*batch))
    assert [(one.kind, one.occurrences) for one in house.incidents()] == [("too_many_keys", 10_000)]
    assert len(house.inspector._incidents) == len(house.events()) == 1
    assert house.incident().quarantined == (0 if policy == "additive" else 10_000)


def test_a_flood_that_comes_drop_by_drop_is_bounded_too(opened: Open) -> None:
    """The first ones are told apart, since nobody can know what comes; the rest is one incident."""
    house = opened()
    for n in range(inspecting.KEYS_MAX + 20):
        house.inspector.inspect(house.items(told(n, **{f"key_{n}": n})))
    found = house.incidents()
    assert len(found) == len(house.inspector._incidents) == len(house.events()) == inspecting.KEYS_MAX + 1
    assert [one.occurrences for one in found if one.kind == "too_many_keys"] == [20]


def test_a_flood_of_names_is_one_incident(opened: Open) -> None:
    house = opened()
    house.put(*(told(n, f"door_{n}_opened") for n in range(5_000)), told("long", "x" * 5_000))
    assert [(one.kind, one.occurrences) for one in house.incidents()] == [("too_many_activities", 5_001)]
    assert len(house.stored()) == 5_001


# -- in and out of quarantine --------------------------------------------------------------------------------------


def test_rows_come_back_byte_for_byte_and_once(opened: Open) -> None:
    """Released again, or after a restart, they are what they were; new ones are set aside as before."""
    house = opened("strict")
    lines = house.put(told(1, mood="gut \u00e9 \U0001f600"), told(2, mood=""), told(3))
    assert house.lines_kept() == sorted(lines[:2])
    house.again()
    assert house.drift.release(house.incident().id).requeued == 2
    newest = max((house.home / "queue").glob("*.ndjson"))
    assert sorted(newest.read_bytes().splitlines(keepends=True)) == sorted(lines[:2])
    house.uploader.drain()
    assert len(house.stored()) == 3 and house.lines_kept() == []
    assert house.drift.release(house.incident().id).requeued == 0
    house.again()
    house.put(told(1, mood="gut \u00e9 \U0001f600"))
    assert (house.incident().status, house.incident().occurrences, len(house.stored())) == ("released", 2, 3)
    house.put(told(4, mood="new"))
    assert (house.incident().status, house.incident().quarantined, len(house.stored())) == ("open", 1, 3)
    assert house.events() == [("error", "open"), ("error", "released"), ("error", "open")]


@pytest.mark.parametrize("cut", ["append", "requeued"])
def test_a_release_that_was_cut_short_is_finished_by_the_next(
    opened: Open, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Before the lines are in the queue or after: each fact is there once in the end."""
    house = opened("strict")
    house.put(told(1, mood="good"), told(2, mood="bad"))

    def dies(*what: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(house.drift if cut == "append" else house.store, "_append" if cut == "append" else cut, dies)
        house.drift.release(house.incident().id)
    house.again(killed=True)
    house.uploader.drain()
    assert house.drift.release(house.incident().id).requeued == 2
    house.uploader.drain()
    assert len(house.stored()) == 2 and house.lines_kept() == []


def test_accepting_lets_in_only_what_nothing_else_keeps_out(opened: Open) -> None:
    """A row with two things wrong waits for the other one then."""
    house = opened("strict")
    house.put(told(1, mood="good"), told(2, mood="good", latency_ms="slow"), told(3, mood=7))
    by_kind = {one.kind: one for one in house.incidents()}
    assert house.drift.accept(by_kind["new_key"].id).requeued == 1
    house.uploader.drain()
    waits = {one.kind: one.quarantined for one in house.incidents()}
    assert waits == {"new_key": 0, "wrong_type": 1, "inconsistent_type": 1} and len(house.stored()) == 1
    house.drift.accept(by_kind["wrong_type"].id)
    house.drift.accept(by_kind["inconsistent_type"].id)
    house.uploader.drain()
    assert len(house.stored()) == 3 and house.lines_kept() == []


def test_more_rows_than_one_reading_takes(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when some of them stay."""
    monkeypatch.setattr("cdesk.upload.drift.ROWS_AT_ONCE", 3)
    house = opened("strict")
    house.put(*(told(n, mood="good", **({"latency_ms": "slow"} if n % 2 else {})) for n in range(20)))
    new = next(one for one in house.incidents() if one.kind == "new_key")
    settled = house.drift.accept(new.id)
    assert (settled.requeued, settled.still_quarantined) == (10, 10)
    house.uploader.drain()
    assert len(house.stored()) == 10


def test_poison_among_drift_is_a_dead_letter(opened: Open) -> None:
    """What no warehouse can take does not keep the others from being set aside or merged."""
    house = opened("strict")
    bad = msgspec.structs.replace(told(1, mood="good"), activity_id="no id")
    worse = msgspec.structs.replace(told(2), activity_id="no id either")
    house.put(told(3, mood="good"), bad, worse, told(4))
    assert len(house.stored()) == 1 and house.dead.count() == 1
    assert (house.incident().occurrences, house.incident().quarantined) == (2, 2)


@pytest.mark.parametrize("wanted", ["", "zz", "0"])
def test_a_name_that_names_nothing_is_refused(opened: Open, wanted: str) -> None:
    with pytest.raises(UsageError, match="names 0 incidents"):
        opened().drift.show(wanted)


# -- insight that rests on it --------------------------------------------------------------------------------------


def test_atoms_that_rest_on_the_feature_wait_and_come_back(opened: Open) -> None:
    """Those and no others; one that rests on two drifted features waits for both."""
    house = opened()
    house.atom("mean", {"task": "t", "features": ["tool_called.latency_ms", "tool_called.tool_name"]})
    house.atom("rate", {"task": "t", "features": ["tool_called.success"]})
    house.atom("both", {"task": "t", "features": ["tool_called.success", "tool_called.latency_ms"]})
    house.atom("other", {"task": "t", "features": ["mcp_called.latency_ms"]})
    house.atom("odd", {"features": 5})
    house.atom("none", None)
    house.put(told(1, latency_ms="slow"))
    first = house.incident()
    doubtful = {name for name, (is_quarantined, _) in house.atoms().items() if is_quarantined}
    assert doubtful == {"mean", "both"}
    assert house.atoms()["mean"][1] == f"schema_drift:{first.id} tool_called.latency_ms"
    house.put(told(2, success="yes"))
    house.again()
    house.drift.accept(first.id)
    doubtful = {name for name, (is_quarantined, _) in house.atoms().items() if is_quarantined}
    assert doubtful == {"rate", "both"}
    house.drift.release(next(one for one in house.incidents() if one.key == "success").id)
    assert not any(is_quarantined for is_quarantined, _ in house.atoms().values())
    assert {reason for _, reason in house.atoms().values()} == {None}


def test_changed_atoms_have_a_new_number(opened: Open) -> None:
    """Change streams see that an atom was quarantined, and that it came back; the others stay as they are."""
    house = opened()
    house.atom("mean", {"features": ["tool_called.latency_ms"]})
    house.atom("other", {"features": []})

    def numbers() -> dict[str, int]:
        return dict(house.warehouse.query("SELECT id, _seq FROM INSIGHT_ATOMS").rows)

    house.put(told(1, latency_ms="slow"))
    assert numbers() == {"mean": 1, "other": 0}
    house.drift.accept(house.incident().id)
    assert numbers() == {"mean": 2, "other": 0}


def test_an_atom_made_while_it_drifts_waits_too(opened: Open) -> None:
    """With the next activity that drifts so."""
    house = opened()
    house.put(told(1, latency_ms="slow"))
    house.atom("mean", {"features": ["tool_called.latency_ms"]})
    house.put(told(2, latency_ms="slow"))
    house.inspector.flush()
    assert house.atoms()["mean"][0]


def test_changes_are_written_as_one(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that fails at its end leaves no row, no incident and no doubtful atom behind."""
    house = opened("strict")
    house.atom("mean", {"features": ["tool_called.latency_ms"]})
    kept: list[DriftChanges] = []
    monkeypatch.setattr(house.inspector, "_store", _Recorder(house, kept))
    house.inspector.inspect(house.items(told(1, latency_ms="slow")))
    [changes] = kept
    broken = DriftChanges(changes.incidents, changes.taken_up, changes.quarantined, {"s": "no number"})  # type: ignore[dict-item]
    with pytest.raises(WarehouseError):
        house.store.keep(broken)
    assert house.store.incidents() == [] and house.lines_kept() == [] and not house.atoms()["mean"][0]
    house.store.keep(changes)
    assert len(house.store.incidents()) == 1 and len(house.lines_kept()) == 1 and house.atoms()["mean"][0]


class _Recorder:
    def __init__(self, house: House, kept: list[DriftChanges]) -> None:
        self._house, self._kept = house, kept

    def keep(self, changes: DriftChanges) -> None:
        self._kept.append(changes)

    def released(self, ids: Sequence[str]) -> set[str]:
        return set()
