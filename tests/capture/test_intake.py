"""Activities from anybody: what is taken is durable, what is not is refused with a reason that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.capture.house import KEY, REDACTOR, House
from tests.generated import json_values
from tests.queue.hostile_disk import Fault, HostileDisk

from cdesk.activity.codec import decode, encode
from cdesk.activity.identity import activity_id
from cdesk.capture.gate import Gate
from cdesk.capture.intake import TEXT_MAX, Intake, Receipt, Unacceptable, activity, plain_activity
from cdesk.errors import QueueError, QueueFull
from cdesk.governance.consent import Consent
from cdesk.queue import Writer
from cdesk.queue.writer import LINE_BYTES_MAX
from cdesk.warehouse.warehouse import STREAM

GOOD = {"activity": "door_opened", "ts": "2026-03-01T12:00:00.5Z", "customer": "ada", "feature_json": {"door": 1}}


@pytest.fixture
def house(tmp_path: Path, deployed: Callable[[Path], Path]) -> Iterator[House]:
    found = House(tmp_path / "home", deployed)
    yield found
    found.close()


def queued(house: House) -> list[bytes]:
    return [
        line for path in sorted((house.home / "queue").glob("*.ndjson")) for line in path.read_bytes().splitlines(True)
    ]


def good(**others: Any) -> dict[str, Any]:
    return {**GOOD, **others}


# -- what is taken -------------------------------------------------------------------------------------------------


def test_what_is_taken_is_durable_and_arrives(house: House) -> None:
    """Every field where it belongs."""
    given_ = good(
        activity_id="door 7", anonymous_customer_id="host_1", revenue_impact=1.5, link="https://x", _org_id="acme",
        _session_id="s1", _query_tag="cdesk:q",
    )  # fmt: skip
    assert house.intake.take([given_]) == Receipt(1, [])
    assert len(queued(house)) == 1
    house.uploader.drain()
    [row] = house.rows()
    assert (row["activity"], row["customer"], row["_source"], row["_identity"]) == (
        "door_opened",
        "ada",
        "api",
        "door 7",
    )
    assert (row["anonymous_customer_id"], row["revenue_impact"], row["link"]) == ("host_1", 1.5, "https://x")
    assert (row["_org_id"], row["_session_id"], row["_query_tag"]) == ("acme", "s1", "cdesk:q")
    assert str(row["ts"]) == "2026-03-01 12:00:00.500000" and msgspec.json.decode(row["feature_json"]) == {"door": 1}


def test_lines_and_objects_give_the_same_answer(house: House) -> None:
    """`cdesk emit` and `POST /v1/activities` are one door."""
    things = [good(), {"activity": "x"}, good(activity_id="a"), 7]
    from_lines = house.intake.take_lines(msgspec.json.encode(thing) for thing in things)
    assert house.intake.take(things) == from_lines
    lines = queued(house)
    assert lines[:2] == lines[2:]


def test_blank_lines_count_for_nothing(house: House) -> None:
    """The index of a rejection is that among the lines that say something."""
    receipt = house.intake.take_lines([b"", b"  \n", msgspec.json.encode(GOOD), b"\n", b"{"])
    assert receipt.accepted == 1 and [rejection.index for rejection in receipt.rejected] == [1]


def test_good_ones_are_taken_beside_bad_ones(house: House) -> None:
    """Each bad one is named by its place."""
    receipt = house.intake.take([good(activity_id=str(n)) if n % 3 else {"n": n} for n in range(10)])
    assert receipt.accepted == 6
    assert [rejection.index for rejection in receipt.rejected] == [0, 3, 6, 9]
    assert len(queued(house)) == 6


def test_features_may_come_as_text(house: House) -> None:
    """The original's column was a string of JSON."""
    assert activity(good(feature_json='{"a": [1]}')).feature_json == {"a": [1]}
    with pytest.raises(Unacceptable, match="feature_json must be a JSON object"):
        activity(good(feature_json="[1]"))


@pytest.mark.parametrize(
    ("ts", "utc"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"), ("2026-03-01T12:00:00", "2026-03-01T12:00:00Z"),
        ("2026-03-01T14:00:00+02:00", "2026-03-01T12:00:00Z"), ("2026-03-01", "2026-03-01T00:00:00Z"),
        ("2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456Z"),
    ],
)  # fmt: skip
def test_times_are_kept_in_utc(ts: str, utc: str) -> None:
    """One without a zone is UTC."""
    assert msgspec.json.decode(msgspec.json.encode(activity(good(ts=ts)).ts)) == utc


# -- identity ------------------------------------------------------------------------------------------------------


def test_the_same_thing_told_again_is_one_row(house: House) -> None:
    """Without an id the content is the identity, however its keys are ordered and its time is written."""
    house.intake.take([good(), dict(reversed(GOOD.items())), good(ts="2026-03-01T13:00:00.500+01:00")])
    house.uploader.drain()
    assert house.warehouse.count() == 1
    house.intake.take([good(feature_json={"door": 2})])
    house.uploader.drain()
    assert house.warehouse.count() == 2


def test_any_text_is_an_id_and_a_uuid_stands_for_itself() -> None:
    """The text is kept as it was given."""
    uuid = "0D5A1B0E-0000-4000-8000-000000000000"
    assert activity(good(activity_id=uuid)).activity_id == uuid.lower()
    assert activity(good(activity_id="é 1")).activity_id == activity_id("given", "é 1")
    assert activity(good(activity_id="x" * 36)).activity_id == activity_id("given", "x" * 36)
    assert activity(good(activity_id=uuid)).identity == uuid


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (None, "JSON object"), (7, "JSON object"), ([GOOD], "JSON object"), ({}, "activity is missing"),
        ({**GOOD, "ts": None}, "ts is missing"), ({**GOOD, "customer": ""}, "customer must be a text"),
        ({**GOOD, "activity": 7}, "activity must be a text"), ({**GOOD, "door": 1}, "unknown field 'door'"),
        ({**GOOD, "_source": "cdesk"}, "unknown field '_source'"), ({**GOOD, "_also_id": "x"}, "unknown field"),
        ({**GOOD, "ts": "now"}, "ISO 8601"), ({**GOOD, "ts": 1_700_000_000}, "ISO 8601"),
        ({**GOOD, "ts": "0001-01-01T00:00:00+14:00"}, "ISO 8601"), ({**GOOD, "feature_json": [1]}, "JSON object"),
        ({**GOOD, "feature_json": "{"}, "JSON object"), ({**GOOD, "revenue_impact": "1"}, "US dollars"),
        ({**GOOD, "revenue_impact": True}, "US dollars"), ({**GOOD, "revenue_impact": float("nan")}, "US dollars"),
        ({**GOOD, "link": "x" * (TEXT_MAX + 1)}, "the limit is 1,000"), ({**GOOD, "_session_id": 5}, "must be a text"),
        ({**GOOD, "activity_id": ""}, "activity_id must be a text"),
    ],
    ids=lambda value: str(value)[-30:],
)  # fmt: skip
def test_what_is_wrong_is_named(house: House, thing: Any, reason: str) -> None:
    """And nothing is written."""
    receipt = house.intake.take([thing])
    assert receipt.accepted == 0 and reason in receipt.rejected[0].reason
    assert queued(house) == []


@pytest.mark.parametrize(
    "line", [b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"a":"\\ud800"}', b"\x00", b"null", b'"x"']
)
def test_what_is_no_json_object_is_refused(house: House, line: bytes) -> None:
    """In one line that a person can read."""
    receipt = house.intake.take_lines([line, msgspec.json.encode(GOOD)])
    [rejection] = receipt.rejected
    assert receipt.accepted == 1 and rejection.reason and "\n" not in rejection.reason


def test_an_activity_over_the_limit_is_refused(house: House) -> None:
    """The queue could not give it back."""
    receipt = house.intake.take([good(feature_json={"x": "y" * LINE_BYTES_MAX}), good()])
    assert receipt.accepted == 1 and "which is the limit" in receipt.rejected[0].reason


values = st.one_of(json_values, st.sampled_from(("x", {}, {"a": 1}, "2026-03-01", 10**400, -0.0, "\ud800"[:0])))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    things=st.lists(
        st.dictionaries(st.sampled_from([*GOOD, "activity_id", "revenue_impact", "link", "zzz"]), values), max_size=4
    )
)
def test_anything_is_answered(house: House, things: list[dict[str, Any]]) -> None:
    """Every thing is either accepted or rejected with its place; what is accepted can be read back."""
    mixed = [{**GOOD, **thing} for thing in things] + list(things)
    before = len(queued(house))
    receipt = house.intake.take(mixed)
    assert receipt.accepted + len(receipt.rejected) == len(mixed)
    lines = queued(house)
    assert len(lines) - before == receipt.accepted
    for line in lines[before:]:
        decode(line)


@settings(max_examples=400)
@given(
    thing=st.dictionaries(
        st.sampled_from([*GOOD, "activity_id", "revenue_impact", "link", "_session_id", "zzz"]),
        values | st.sampled_from((None, 1, 1e15, 10**15 + 1, True, "a", "é" * TEXT_MAX, "x" * (TEXT_MAX + 1))),
        max_size=3,
    ),
    named=st.booleans(),
)
def test_the_short_reading_gives_what_the_long_one_gives(thing: dict[str, Any], named: bool) -> None:
    """Or nothing at all; never something else."""
    body = msgspec.json.encode({**GOOD, **({"activity_id": "door 7"} if named else {}), **thing})
    short = plain_activity(body)
    try:
        long = activity(msgspec.json.decode(body))
    except Unacceptable:
        assert short is None
    else:
        assert short in (None, long) and (short is None or encode(short) == encode(long))


def test_the_short_reading_takes_what_is_usual() -> None:
    """Every field; an id of one's own is asked for, because without it everything together is the id."""
    everything = good(
        activity_id="door 7", anonymous_customer_id="host_1", revenue_impact=1, link="https://x", _org_id="acme",
        _session_id="s1", _query_tag=None,
    )  # fmt: skip
    assert plain_activity(msgspec.json.encode(everything)) == activity(everything)
    assert plain_activity(msgspec.json.encode(GOOD)) is None


# -- refused by the queue, or by the person ------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "error"), [("full", QueueFull), ("error", QueueError)])
def test_a_queue_that_cannot_take_them_takes_none(tmp_path: Path, how: str, error: type[QueueError]) -> None:
    """The caller is told, and may try again with the same ids."""
    disk = HostileDisk()
    intake = Intake(Gate(Writer(tmp_path, disk=disk), REDACTOR.line, Consent(), KEY))
    disk.fault = Fault("append", how, part=0.5)
    with pytest.raises(error):
        intake.take([good(), good(activity_id="2")])
    assert intake.take([good()]).accepted == 1
    assert sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("*.ndjson")) == 1


def test_what_the_person_excluded_is_accepted_and_not_kept(tmp_path: Path) -> None:
    """The sender has done its part; asking again would change nothing."""
    intake = Intake(Gate(Writer(tmp_path), REDACTOR.line, Consent(exclude_projects=("/secret",)), KEY))
    assert intake.take([good(feature_json={"project_path": "/secret/x"})]) == Receipt(1, [])
    assert list(tmp_path.glob("*.ndjson")) == []


def test_secrets_are_redacted_on_this_way_too(house: House) -> None:
    """One gate for every capture."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    house.intake.take([good(feature_json={"note": f"use {secret}", "password": "hunter2hunter2"})])
    [line] = queued(house)
    assert secret.encode() not in line and b"hunter2" not in line and decode(line)


def test_the_stream_is_open(house: House) -> None:
    """Any activity, any features."""
    house.intake.take([good(activity=name, activity_id=name) for name in ("tür_geöffnet", "x", "'; DROP TABLE x; --")])
    house.uploader.drain()
    found = {row["activity"] for row in house.rows(f"SELECT activity FROM {STREAM}")}
    assert found == {"tür_geöffnet", "x", "'; DROP TABLE x; --"}


def test_more_dollars_than_a_float_holds_are_refused(house: House) -> None:
    """One absurd number must not fail the whole request."""
    line = msgspec.json.encode(GOOD)[:-1] + b',"revenue_impact":1' + b"0" * 400 + b"}"
    assert [rejection.index for rejection in house.intake.take_lines([msgspec.json.encode(GOOD), line]).rejected] == [1]
