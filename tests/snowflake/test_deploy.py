"""Deploying into Snowflake: once, again, after a failure, and back."""

from __future__ import annotations

import msgspec
import pytest
from tests.snowflake.conftest import Account, Emulator

from cdesk.errors import WarehouseError
from cdesk.refresh.task import load
from cdesk.warehouse.snowflake import task
from cdesk.warehouse.snowflake.deploy import DeployFailed, Deployment, Extra
from cdesk.warehouse.snowflake.store import SnowflakeWarehouse


def test_what_is_deployed_is_there_and_a_second_time_does_nothing(account: Account) -> None:
    with account.deployment() as deployment:
        assert deployment.plan() == [] and deployment.apply() == [] and deployment.verify() == []
    rows = account.warehouse.query(
        "SELECT migration_name, git_sha, status, checksum_after FROM ACTIVITY_SCHEMA_VERSION"
    ).rows
    assert {name.partition("/")[0] for name, *_ in rows} > {"account", "platform", "tasks", "01_tables.sql"}
    assert {(sha, status, len(checksum)) for _, sha, status, checksum in rows} == {("a revision", "completed", 64)}


def test_what_was_dropped_under_us_is_found(account: Account) -> None:
    """And is there again once its step has run again."""
    account.warehouse.query("DROP VIEW V_TASK_MONITORING")
    with account.deployment() as deployment:
        [finding] = deployment.verify()
        assert finding.name == "V_TASK_MONITORING"
        account.warehouse.query("DELETE FROM ACTIVITY_SCHEMA_VERSION WHERE migration_name = '50_monitoring_views.sql'")
        assert deployment.apply()[0].name == "50_monitoring_views.sql"
        assert deployment.verify() == []


@pytest.mark.parametrize(
    "failing", [r"create\s+stage", r"alter\s+row\s+access\s+policy", r"insert\s+into\s+activity_schema"]
)
def test_a_deployment_that_failed_goes_on(account: Account, failing: str) -> None:
    """Wherever it failed: what was done before is not done again, and in the end everything is there."""
    if account.emulator is None:
        pytest.skip("a real account cannot be told to fail")
    account.warehouse.query("DELETE FROM ACTIVITY_SCHEMA_VERSION WHERE migration_name LIKE 'platform/%'")
    account.emulator.fail(failing, 3001, "Insufficient privileges")
    with account.deployment() as deployment:
        with pytest.raises((DeployFailed, Exception)) as failed:
            deployment.apply()
        assert "Insufficient privileges" in str(failed.value)
    with account.deployment() as deployment:
        assert deployment.apply() and deployment.plan() == [] and deployment.verify() == []


def test_a_deployment_can_be_undone(account: Account) -> None:
    """What it made is dropped unless it holds rows; what it changed is as it was."""
    first = Extra(
        "extra/one", "CREATE TABLE IF NOT EXISTS KEPT (a INTEGER);\nCREATE OR REPLACE VIEW SEEN AS SELECT 1 AS one;"
    )
    with account.sessions.take() as session:
        Deployment(session, account.settings, [*task.steps(load()), first]).apply()
        account.warehouse.query("INSERT INTO KEPT (a) VALUES (1)")
        second = Extra(
            "extra/one",
            first.sql.replace("1 AS one", "2 AS two") + "\nCREATE TABLE IF NOT EXISTS EMPTY_ONE (a INTEGER);",
        )
        changed = Deployment(session, account.settings, [*task.steps(load()), second])
        assert [step.reason for step in changed.apply()] == ["changed"]
        assert account.warehouse.query("SELECT two FROM SEEN").rows == [(2,)]
        assert [one.name for one in changed.rollback()] == ["extra/one"]
        assert account.warehouse.query("SELECT one FROM SEEN").rows == [(1,)]
        with pytest.raises(WarehouseError):
            account.warehouse.query("SELECT * FROM EMPTY_ONE")
        [undone] = Deployment(session, account.settings, task.steps(load())).rollback()
    assert undone.kept == ("KEPT",)
    assert account.warehouse.query("SELECT a FROM KEPT").rows == [(1,)]


def test_who_may_see_what(account: Account) -> None:
    """Rows by organisation, people's names masked; a role that stands for nobody sees nothing."""
    if account.emulator is None:
        pytest.skip("needs users in these roles")
    account.warehouse.query(
        "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, activity, customer, _org_id, _seq, _first_seq)"
        " SELECT column1, SYSDATE(), 'seen_by_role', column2, column3, 1, 1"
        " FROM VALUES ('11111111-1111-1111-1111-111111111111', 'ada', 'one'), ('22222222-2222-2222-2222-222222222222', 'bob', 'two')"
    )
    account.warehouse.query("INSERT INTO ORG_ROLE (role_name, org_id) SELECT 'READER_OF_ONE', 'one'")
    seen = "SELECT customer, _org_id FROM CLAUDE_STREAM_V2 WHERE activity = 'seen_by_role' ORDER BY 2"

    def by(role: str) -> list[tuple[object, ...]]:
        return SnowflakeWarehouse(msgspec.structs.replace(account.settings, role=role)).query(seen).rows

    assert by("CDESK_ANALYST") == [("ada", "one"), ("bob", "two")]
    assert by("READER_OF_ONE") == [("***", "one")]
    assert by("SOMEBODY_ELSE") == []
    account.warehouse.query("DELETE FROM CLAUDE_STREAM_V2 WHERE activity = 'seen_by_role'")


def test_what_is_old_goes_unless_a_hold_is_on_it(account: Account) -> None:
    """By a task of ours, or by Snowflake's lifecycle policies: the settings choose, and what they do not choose is undone."""
    if account.emulator is None:
        pytest.skip("a lifecycle policy runs when Snowflake likes")
    account.warehouse.query(
        "INSERT INTO LEGAL_HOLD (hold_id, customer, reason, placed_at) SELECT 'h', 'held by law', 'a case', SYSDATE()"
    )

    def left_of_old_ones() -> list[str]:
        account.warehouse.query(
            "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, activity, customer, _told_customer, _seq, _first_seq)"
            " SELECT UUID_STRING(), DATEADD(DAY, column1, SYSDATE()), 'aged', column2, column3, 1, 1 FROM VALUES"
            " (-181, 'ada', NULL), (-181, 'held by law', NULL), (-181, 'bob', 'held by law'), (-179, 'eve', NULL)"
        )
        account.warehouse.query("EXECUTE TASK CDESK_RETENTION") if settings.retention == "task" else None
        account.emulator.expire(settings) if account.emulator else None
        left = account.warehouse.query("SELECT customer FROM CLAUDE_STREAM_V2 WHERE activity = 'aged' ORDER BY 1").rows
        account.warehouse.query("DELETE FROM CLAUDE_STREAM_V2 WHERE activity = 'aged'")
        return [row[0] for row in left]

    settings = account.settings
    assert left_of_old_ones() == ["bob", "eve", "held by law"]
    with account.sessions.take() as session:
        for retention, reasons in (
            ("policy", {"platform/40_retention.sql": "replaced", "platform/45_lifecycle.sql": "new"}),
            ("task", {"platform/45_lifecycle.sql": "replaced", "platform/40_retention.sql": "new"}),
        ):
            settings = msgspec.structs.replace(settings, retention=retention)
            chosen = Deployment(session, settings, task.steps(load()))
            assert {step.name: step.reason for step in chosen.apply()} == reasons
            assert chosen.plan() == [] and left_of_old_ones() == ["bob", "eve", "held by law"]
    account.warehouse.query("DELETE FROM LEGAL_HOLD WHERE hold_id = 'h'")


def test_tasks_that_fall_behind_are_said_once_an_hour(account: Account) -> None:
    if account.emulator is None:
        pytest.skip("waits for ten minutes")
    account.warehouse.query("EXECUTE TASK CDESK_NUMBER_OCCURRENCES")
    raised = "SELECT COUNT(*) FROM ALERT_RAISED WHERE alert = 'CDESK_LAG'"
    account.warehouse.query("EXECUTE ALERT CDESK_LAG")
    assert account.warehouse.query(raised).rows == [(0,)]
    account.warehouse.query(
        "INSERT INTO CLAUDE_STREAM_V2 (activity_id, ts, activity, customer, _ingested_at, _seq, _first_seq)"
        " SELECT UUID_STRING(), SYSDATE(), 'waits', 'ada', DATEADD(MINUTE, -11, SYSDATE()), 1, 1"
    )
    for _ in range(2):
        account.warehouse.query("EXECUTE ALERT CDESK_LAG")
        assert account.warehouse.query(raised).rows == [(1,)]
    account.warehouse.query("EXECUTE TASK CDESK_NUMBER_OCCURRENCES")
    account.warehouse.query("DELETE FROM ALERT_RAISED")
    account.warehouse.query("EXECUTE ALERT CDESK_LAG")
    assert account.warehouse.query(raised).rows == [(0,)]


def test_nothing_is_granted_to_everybody(emulator: Emulator, account: Account) -> None:
    """And what cannot run here was at least read: it is on the emulator's record."""
    recorded = [" ".join(statement.upper().split()) for statement in emulator.recorded()]
    grants = [statement for statement in recorded if statement.startswith("GRANT")]
    assert len(grants) > 20 and not [grant for grant in grants if "PUBLIC" in grant]
    for kind in ("CREATE WAREHOUSE", "CREATE RESOURCE MONITOR", "CREATE ROLE"):
        assert [statement for statement in recorded if statement.startswith(kind)], kind


@pytest.mark.parametrize(
    "sql",
    ["CREATE DATABASE x CLONE y", "CREATE DYNAMIC TABLE d TARGET_LAG = '1 minute' WAREHOUSE = w AS SELECT 1",
     "INSERT INTO ORG_ROLE VALUES (1, 2) ON CONFLICT DO NOTHING", "SELECT COUNT(*) FILTER (WHERE TRUE)",
     "CREATE WAREHOUSE w WAREHOUSE_SIZ 'XSMALL' NONSENSE", "CREATE PIPE p AS COPY INTO t FROM @s"],
)  # fmt: skip
def test_the_emulator_refuses_what_it_would_only_pretend(account: Account, sql: str) -> None:
    if account.emulator is None:
        pytest.skip("this is about the emulator")
    with pytest.raises(WarehouseError):
        account.warehouse.query(sql)
