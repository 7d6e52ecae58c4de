"""Who did what, said to the team's warehouse: the same steps on both engines show the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests import blank
from tests.snowflake.conftest import Account
from tests.snowflake.rows import stream
from tests.snowflake.test_contract import fact

from cdesk.activity.model import Activity
from cdesk.activity.resolution import Claim
from cdesk.app import App
from cdesk.config import Home, Settings
from cdesk.errors import ConfigError, UsageError, WarehouseUnready
from cdesk.upkeep.identity import IdentityDesk, IdentityRequest
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.snowflake.identity import SnowflakeIdentities, operations

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def facts(account: Account) -> list[Activity]:
    """Names of their own for each test: the database is shared."""
    ada, bob, host = (f"{name}-{fact().activity_id[:8]}" for name in ("ada", "bob", "host"))
    return [
        fact(customer=ada, anonymous_customer_id=host, ts=AT - timedelta(days=2)),
        fact(customer=ada, anonymous_customer_id=host, ts=AT + timedelta(days=2)),
        fact(customer=bob, anonymous_customer_id=None, ts=AT), fact(customer=bob, anonymous_customer_id="other", ts=AT),
    ]  # fmt: skip


def test_the_same_is_shown_on_both_engines(tmp_path: Path, account: Account) -> None:
    """Links with a window, an alias, a removal and a correction; rows that come later follow; then all is taken back."""
    blank.put(tmp_path)
    told = facts(account)
    ids = [one.activity_id for one in told]
    ada, bob, host = told[0].customer, told[2].customer, told[0].anonymous_customer_id or ""
    here = DuckDBWarehouse(tmp_path)
    warehouses: list[Any] = [here, account.warehouse]
    desks = [IdentityDesk(here.identities), IdentityDesk(account.warehouse.identities)]
    for warehouse in warehouses:
        warehouse.merge(told)
    before = stream(here, ids)

    def say(**claim: Any) -> None:
        outcomes = [desk.act(IdentityRequest(claim=Claim(**claim), new=True, by="test")) for desk in desks]
        assert outcomes[0].rows == outcomes[1].rows and outcomes[0].counts == outcomes[1].counts
        assert stream(here, ids) == stream(account.warehouse, ids)

    try:
        say(kind="link", subject=host, customer="carl", identified_at=AT - timedelta(days=9))
        say(kind="link", subject=host, customer="dora", identified_at=AT)
        say(kind="alias", subject="dora", customer="dora@new")
        say(kind="remove", subject=bob)
        say(kind="correct", subject=ids[3], customer=ada)
        later = fact(customer=bob, anonymous_customer_id=None, ts=AT)
        again = msgspec.structs.replace(told[1], feature_json={**told[1].feature_json, "more": 1}, source="otel")
        for warehouse in warehouses:
            warehouse.merge([later, again])
        ids.append(later.activity_id)
        shown = {row["activity_id"]: (row["customer"], row["_told_customer"]) for row in stream(account.warehouse, ids)}
        assert stream(here, ids) == stream(account.warehouse, ids)
        assert shown == {
            ids[0]: ("carl", ada), ids[1]: ("dora@new", ada), ids[2]: ("removed", bob), ids[3]: (ada, bob),
            ids[4]: ("removed", bob),
        }  # fmt: skip
        repeated = desks[1].act(IdentityRequest(claim=Claim(kind="remove", subject=bob), new=True))
        assert not repeated.is_new
        with pytest.raises(UsageError, match="Take that back first"):
            desks[1].check(IdentityRequest(claim=Claim(kind="correct", subject=ids[3], customer="eve"), new=True))
    finally:
        for desk in desks:
            for operation in desk.operations:
                desk.act(IdentityRequest(undo=operation.number))
    ids = ids[:1] + ids[2:4]
    assert stream(account.warehouse, ids) == stream(here, ids) == [row for row in before if row["activity_id"] in ids]
    assert [operation.stands for operation in desks[1].operations] == [False] * 5
    here.close()


def test_a_batch_while_somebody_says_something_is_made_anew(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was joined by rules that no longer hold: nothing of it is written, and told again it follows the new ones."""
    one = fact(customer=f"ann-{fact().activity_id[:8]}")
    desk = IdentityDesk(account.warehouse.identities)
    said = iter([True])

    def then_somebody_speaks(session: Any, query_id: str) -> Any:
        found = operations(session, query_id)
        if next(said, False):
            claim = Claim(kind="alias", subject=one.customer, customer=f"{one.customer}@new")
            desk.act(IdentityRequest(claim=claim, new=True))
        return found

    monkeypatch.setattr("cdesk.warehouse.snowflake.merge.operations", then_somebody_speaks)
    try:
        with pytest.raises(WarehouseUnready, match="somebody said who did what meanwhile"):
            account.warehouse.merge([one])
        assert stream(account.warehouse, [one.activity_id]) == []
        account.warehouse.merge([one])
        [row] = stream(account.warehouse, [one.activity_id])
        assert (row["customer"], row["_told_customer"]) == (f"{one.customer}@new", one.customer)
    finally:
        desk.act(IdentityRequest(undo=desk.operations[-1].number))


def test_two_who_say_something_at_the_same_moment(account: Account) -> None:
    """The later one has to say it again; nothing of theirs is on record."""
    desk = IdentityDesk(account.warehouse.identities)
    number = len(desk.operations)

    class Late(SnowflakeIdentities):
        @property
        def operations(self) -> list[Any]:
            return super().operations[:number]

    late = Late(account.sessions.take, lambda: "q_late")
    made = desk.act(IdentityRequest(claim=Claim(kind="alias", subject="x-1", customer="y-1"), new=True))
    try:
        with pytest.raises(WarehouseUnready, match="at the same moment"):
            IdentityDesk(late).act(IdentityRequest(claim=Claim(kind="alias", subject="x-2", customer="y-2"), new=True))
        assert [each.subject for each in desk.operations[number:]] == ["x-1"]
    finally:
        assert made.operation is not None
        desk.act(IdentityRequest(undo=made.operation.number))


def test_what_waits_in_quarantine_waits_for_both(tmp_path: Path, account: Account) -> None:
    """Set aside here, it does not reach the team; released, it reaches both, and the team hears what drifted."""
    from cdesk.activity.codec import encode
    from cdesk.governance.drift import DriftPolicy

    blank.put(tmp_path / "home" / "warehouse")
    loading = msgspec.structs.replace(account.settings, load=True)
    app = App(
        Home(tmp_path / "home"), Settings(snowflake=loading, drift=DriftPolicy(tool="strict")), {"HOME": str(tmp_path)}
    )
    good, bad = (fact(feature_json={"tool_name": "Bash", "tool_use_id": name, "success": True}) for name in "ab")
    bad = msgspec.structs.replace(bad, feature_json={**bad.feature_json, "latency_ms": "not a number"})
    ids = [good.activity_id, bad.activity_id]
    try:
        app.team.step()
        app.writer.append([encode(one) for one in (good, bad)])
        with pytest.raises(WarehouseUnready, match="has not looked at them yet"):
            app.team.step()
        app.uploader.drain()
        app.team.drain()
        assert [row["activity_id"] for row in stream(account.warehouse, ids)] == [good.activity_id]
        assert [row["activity_id"] for row in stream(app.warehouse, ids)] == [good.activity_id]
        [incident] = app.drift.list()
        app.drift.release(incident.id)
        app.uploader.drain()
        app.team.drain()
        assert stream(account.warehouse, ids) == stream(app.warehouse, ids)
        assert len(stream(account.warehouse, ids)) == 2
        told = "SELECT COUNT(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'schema_drift_detected'"
        assert account.warehouse.query(told).rows[0][0] >= 2
    finally:
        app.close()


def test_without_an_account_one_line_says_so(tmp_path: Path) -> None:
    blank.put(tmp_path / "home" / "warehouse")
    app = App(Home(tmp_path / "home"), Settings(), {"HOME": str(tmp_path)})
    try:
        with pytest.raises(ConfigError, match="no Snowflake account is given"):
            app.identity_of("snowflake")
        with pytest.raises(UsageError, match="there is no warehouse"):
            app.identity_of("oracle")
    finally:
        app.close()
