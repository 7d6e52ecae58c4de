"""`cdesk deploy` against the embedded warehouse; Snowflake's part is in tests/snowflake."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from cdesk.cli import main
from cdesk.warehouse.duckdb.store import FILE_NAME


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CDESK_HOME", str(tmp_path / "home"))
    for name in ("CONNECTION", "ACCOUNT", "USER"):
        monkeypatch.delenv(f"CDESK_SNOWFLAKE_{name}", raising=False)
    return tmp_path / "home"


def told(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> dict[str, list[dict[str, object]]]:
    main(["deploy", *arguments, "--json"])
    return dict(json.loads(capsysbinary.readouterr().out))


def test_a_deployment_is_planned_made_verified_and_undone(
    home: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A plan changes nothing; a second deployment does nothing; rolled back, tables with rows stay."""
    planned = told(capsysbinary, "plan")["steps"]
    assert planned and planned == told(capsysbinary, "plan")["steps"]
    assert told(capsysbinary, "verify")["findings"]
    assert told(capsysbinary, "apply")["steps"] == planned
    assert told(capsysbinary, "apply") == {"steps": []}
    assert told(capsysbinary, "verify") == {"findings": []}
    with duckdb.connect(str(home / "warehouse" / FILE_NAME)) as connection:
        connection.execute("INSERT INTO SIGNAL_DUE VALUES ('ada')")
    undone = told(capsysbinary, "rollback")["steps"]
    assert [step["name"] for step in undone] == [step["name"] for step in reversed(planned)]
    assert [step["kept"] for step in undone if step["kept"]] == [["SIGNAL_DUE"]]
    assert told(capsysbinary, "plan")["steps"] == planned
    assert told(capsysbinary, "rollback") == {"steps": []}


def test_who_deployed_what_and_when_is_on_record(home: Path) -> None:
    """Each step with its text, its checksums and the way back."""
    assert main(["deploy", "apply"]) == 0
    with duckdb.connect(str(home / "warehouse" / FILE_NAME)) as connection:
        rows = connection.execute(
            "SELECT status, length(checksum_after), applied_sql, rollback_sql, applied_at FROM ACTIVITY_SCHEMA_VERSION"
        ).fetchall()
    assert {(status, length) for status, length, *_ in rows} == {("completed", 64)}
    assert all("CREATE" in text or "ALTER" in text for _, _, text, *_ in rows)
    assert len({applied_at for *_, applied_at in rows}) == 1


def test_an_account_that_nobody_named_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "plan", "--target", "snowflake"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "CDESK_SNOWFLAKE_ACCOUNT" in said


def test_a_key_that_is_not_there_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("snowflake.connector", reason="Snowflake's connector is not installed: cdesk[snowflake]")
    for name, value in {"ACCOUNT": "a", "USER": "u", "PRIVATE_KEY_FILE": "/no/such/key.p8"}.items():
        monkeypatch.setenv(f"CDESK_SNOWFLAKE_{name}", value)
    assert main(["deploy", "plan", "--target", "snowflake"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "/no/such/key.p8" in said


def test_files_are_written_for_other_tools(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order in which they run; and what the embedded warehouse has no need of is refused."""
    assert main(["deploy", "plan", "--files", str(tmp_path / "steps")]) == 0
    names = sorted(path.name for path in (tmp_path / "steps").iterdir())
    assert names[0] == "R__001_01_tables.sql" and f"{len(names)} files" in capsys.readouterr().out
    assert main(["deploy", "apply", "--blue-green"]) == 2
    assert "needs none" in capsys.readouterr().err
    assert main(["deploy", "drop"]) == 0
    assert main(["deploy", "plan", "--files", "/proc/nowhere"]) == 2
