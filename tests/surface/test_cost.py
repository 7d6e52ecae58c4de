"""What cdesk itself costs is told by the service: over HTTP, in its status, to Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from tests.surface.page_service import NOW, TOKEN, Served, held, prompt, serve
from tests.surface.team_cost import team

from cdesk import cli
from cdesk.cli.client import Client, ServiceRecord
from cdesk.config import PersonSettings, Settings, SnowflakeSettings
from cdesk.query.cost import CostReport


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(person=PersonSettings(customer="ada@example.org"),
                        snowflake=SnowflakeSettings(account="a", user="u"))  # fmt: skip
    with serve(tmp_path_factory.mktemp("cost"), held(NOW), settings=settings) as found:
        team(found)
        found.put(prompt(NOW, "hello"))
        found.app.tasks.run("roll_up_activity")
        found.client.post("/v1/sql", json={"sql": "SELECT COUNT(*) FROM CLAUDE_STREAM_V2"}).raise_for_status()
        yield found


def report(served: Served, **given: Any) -> CostReport:
    answer = served.client.get("/v1/cost", params=given)
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=CostReport)


def test_what_the_service_did_is_in_its_accounts(served: Served) -> None:
    """A batch, a task and a question, each under its workload, and all else."""
    rows = {row.workload: row for row in report(served).embedded}
    assert set(rows) >= {"ingest", "tasks", "interactive", "service"}
    assert rows["ingest"].runs == 1, "steps that found nothing are no runs"
    assert rows["tasks"].runs == 1 and rows["interactive"].runs >= 1
    assert all(row.cpu_s > 0 and row.day == NOW.date().isoformat() for row in rows.values())
    tags = {row.tag for row in report(served, by="tag").embedded}
    assert "task:roll_up_activity" in tags and any(tag and tag.startswith("q_") for tag in tags)


def test_snowflakes_credits_stand_beside_them(served: Served) -> None:
    """And how today stands to its budget; the page is told the same."""
    found = report(served, days=2).snowflake
    assert found is not None and found.budget is not None
    assert {row.day for row in found.rows} == {"2026-11-22", "2026-11-23"}
    assert (round(found.budget.usd, 2), found.budget.budget_usd, found.budget.level) == (83.7, 100.0, "soft")
    assert served.get("cost", days=2)["snowflake"]["budget"]["level"] == "soft"


@pytest.mark.parametrize("given", [{"days": 0}, {"days": 401}, {"days": "many"}, {"days": "-1"}, {"by": "colour"}])
def test_what_cannot_be_told_is_said(served: Served, given: dict[str, Any]) -> None:
    answer = served.client.get("/v1/cost", params=given)
    assert answer.status_code == 400 and next(iter(given)) in answer.json()["error"]


def test_it_needs_the_token(served: Served) -> None:
    assert served.client.get("/v1/cost", headers={"Authorization": ""}).status_code == 401


def test_prometheus_is_told(served: Served) -> None:
    """Counters since the service began, by workload; the budget as gauges."""
    report(served)
    lines = dict(line.rsplit(" ", 1) for line in served.client.get("/metrics").text.splitlines() if line[0] != "#")
    for workload in ("ingest", "tasks", "interactive", "service"):
        assert float(lines[f'cdesk_cpu_seconds_total{{workload="{workload}"}}']) > 0
        assert float(lines[f'cdesk_disk_written_bytes_total{{workload="{workload}"}}']) >= 0
    assert float(lines["cdesk_snowflake_spent_usd"]) == pytest.approx(83.7)
    assert float(lines["cdesk_snowflake_budget_usd"]) == 100
    assert lines['cdesk_snowflake_budget_level{level="soft"}'] == "1.0"


def test_the_stream_tells_no_news_of_its_own_cost(served: Served) -> None:
    """Else every look would be one."""
    report(served)
    assert served.client.get("/v1/status").json()["cost"]["cpu_s"]["ingest"] > 0
    status = served.get("overview")["flow"]["status"]
    assert status["cost"] is None and status["budget"]["level"] == "soft"


def test_a_person_reads_it_at_the_terminal(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the service when it runs; `cdesk status` has a line of it."""
    client = Client(ServiceRecord(0, urlsplit(served.url).port or 0, ""), TOKEN)
    for room in ("cost", "status"):
        monkeypatch.setattr(f"cdesk.cli.{room}.connect", lambda home: client)
    monkeypatch.setenv("COLUMNS", "140")

    def types(*words: str) -> str:
        assert cli.main(list(words)) == 0
        return capsys.readouterr().out

    told = types("cost")
    assert "This machine" in told and "Snowflake" in told and "ingest" in told
    assert "$83.70 on 2026-11-23 (UTC) of $100.00 a day: most of it is spent" in told
    assert "2.40 credits are estimated" in told
    assert "task:roll_up_activity" in types("cost", "--by", "tag")
    assert msgspec.json.decode(types("cost", "--days", "1", "--json"), type=CostReport).since == "2026-11-23"
    assert "s of processor today: `cdesk cost`" in types("status")
    assert cli.main(["cost", "--days", "0"]) == 2 and "from 1 to 400" in capsys.readouterr().err


def test_a_limit_that_is_reached_is_an_activity(served: Served) -> None:
    """Once a day for each limit, where all that happened to cdesk is."""
    report(served, days=3)
    report(served, days=4)
    served.app.uploader.drain()
    rows = served.app.warehouse.query(
        "SELECT severity, message, action_taken FROM VW_SYSTEM_EVENTS WHERE activity = 'budget_reached'"
    ).rows
    assert rows == [
        ("warning", "Snowflake has cost 83.70 of 100.00 US dollars on 2026-11-23 (UTC)", "nothing yet: it is told")
    ]


def test_without_the_service_the_accounts_are_read_from_the_home(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one says what would fill it."""
    monkeypatch.setenv("CDESK_HOME", str(tmp_path / "home"))
    assert cli.main(["cost", "--by", "tag"]) == 0
    told = capsys.readouterr().out
    assert "`cdesk up`" in told and "config.toml" in told
