"""The bundled sample: a month that shows every part, imports without a stain, and never changes under one's feet."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests import blank

from cdesk import sample
from cdesk.activity.catalog import CATALOG
from cdesk.app import App, Imported
from cdesk.config import Home, Settings

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
FROM_TRANSCRIPTS = {
    "api_request_failed", "claude_responded", "context_compacted", "file_created", "file_edited", "file_read", "file_written",
    "hook_ran", "mcp_called", "message_injected", "session_started", "session_titled", "session_totalled", "subagent_completed",
    "subagent_started", "tool_called", "turn_completed", "user_asked",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claude")
    sample.write(folder, NOW)
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[App]:
    home = tmp_path_factory.mktemp("home")
    blank.put(home / "warehouse")
    app = App(Home(home), Settings(), environment={"CLAUDE_CONFIG_DIR": str(folder), "HOME": str(home)})
    app.start()
    yield app
    app.close()


@pytest.fixture(scope="module")
def imported(app: App, folder: Path) -> Imported:
    return app.import_transcripts([folder])


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_bytes().splitlines()]


def _ask(app: App, sql: str) -> list[tuple[Any, ...]]:
    return app.warehouse.query(sql).rows


def test_the_import_takes_every_line(app: App, imported: Imported) -> None:
    """Nothing is rejected, nothing is unknown."""
    assert imported.rejected == 0
    assert imported.activities > 1_000
    assert _ask(app, "SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'line_kept'") == [(0,)]


def test_every_activity_that_transcripts_tell_is_there(app: App, imported: Imported) -> None:
    """Whoever looks around sees each kind at least once."""
    found = {name for (name,) in _ask(app, "SELECT DISTINCT activity FROM CLAUDE_STREAM_V2")}
    assert found == FROM_TRANSCRIPTS
    assert found <= set(CATALOG)


def test_any_month_shows_everything(tmp_path: Path) -> None:
    """The turns life takes come round within any thirty days."""
    for start in range(0, 60, 7):
        folder = tmp_path / str(start)
        sample.write(folder, NOW + timedelta(days=start))
        lines = _lines(folder)
        marks = {
            line.get("subtype") or line.get("attachment", {}).get("type") or line.get("toolDenialKind") or ""
            for line in lines
        }
        assert {"compact_boundary", "api_error", "turn_duration", "hook_success", "user-rejected"} <= marks
        assert any("requestSessionId" in line for line in lines), "a fork"
        assert any("SessionStart:resume" in str(line.get("attachment")) for line in lines)
        assert any(line.get("isApiErrorMessage") for line in lines)
        assert list(folder.rglob("agent-*.meta.json"))


def test_a_second_import_adds_nothing(app: App, imported: Imported, folder: Path) -> None:
    """Each fact has one identity, however often it is told."""
    again = app.import_transcripts([folder])
    assert (again.activities, again.rejected) == (0, 0)
    assert again.lines == imported.lines


def test_usage_has_a_price_for_everything(app: App, imported: Imported) -> None:
    """Tokens and dollars on thirty days, by several models, none unpriced."""
    report = app.usages.report("daily")
    models = {name for row in report.rows for name in row.models}
    assert len(report.rows) == sample.DAYS
    assert report.totals.total_cost > 1
    assert report.totals.unpriced_responses == 0
    assert {name.split("-")[1] for name in models} == {"opus", "sonnet", "haiku"}
    assert app.usages.report("project").rows[0].tokens.total_tokens > 0
    caches = "sum(cache_creation_5m_tokens), sum(cache_creation_1h_tokens), sum(cache_read_tokens)"
    assert all(tokens > 0 for tokens in _ask(app, f"SELECT {caches} FROM VW_LLM_EVENTS")[0])


def test_claude_codes_own_totals_agree_with_the_price_book(app: App, imported: Imported) -> None:
    """What `cost-state` lines say is what the responses cost."""
    own = _ask(
        app,
        "SELECT sum(CAST(feature_json.total_cost_usd AS DOUBLE)) FROM CLAUDE_STREAM_V2 WHERE activity = 'session_totalled'",
    )
    assert own[0][0] == pytest.approx(app.usages.report("daily").totals.total_cost, rel=1e-6)


def test_tools_fail_and_are_refused_and_work_again(app: App, imported: Imported) -> None:
    """Failures, a denial, a server that did not answer."""
    kinds = dict(_ask(app, "SELECT error_type, count(*) FROM VW_TOOL_EVENTS WHERE NOT success GROUP BY 1"))
    assert kinds["error"] > 5
    assert kinds["user-rejected"] > 1
    tools = {name for (name,) in _ask(app, "SELECT DISTINCT tool_name FROM VW_TOOL_EVENTS")}
    assert {"Bash", "Read", "Edit", "Write", "Grep", "Agent"} < tools
    assert sum(name.startswith("mcp__") for name in tools) == 3


def test_writing_twice_changes_nothing(folder: Path) -> None:
    """Not even a file's time of change."""
    before, times = _bytes(folder), {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    sample.write(folder, NOW.replace(hour=23, minute=59))
    assert _bytes(folder) == before
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_a_later_day_only_extends(folder: Path, tmp_path: Path) -> None:
    """Files that grow, grow at their end."""
    sample.write(tmp_path, NOW)
    sample.write(tmp_path, NOW + timedelta(days=2))
    after = _bytes(tmp_path)
    for name, content in _bytes(folder).items():
        assert after[name].startswith(content)
    assert len(after) > len(_bytes(folder))


def test_history_ends_today_and_is_a_month_long(folder: Path) -> None:
    """No line from the future."""
    days = {datetime.fromisoformat(line["timestamp"]).date() for line in _lines(folder) if "timestamp" in line}
    assert max(days) == NOW.date()
    assert min(days) == date(2026, 10, 25)
    assert len(days) == sample.DAYS


def test_it_is_written_as_claude_code_writes(folder: Path) -> None:
    """Compact JSON, one version, every id used once but for copies and blocks of one response."""
    raw = b"".join(path.read_bytes() for path in folder.rglob("*.jsonl"))
    assert b'"usage":{"input_tokens":' in raw
    assert not re.search(rb'^\{"\w+": ', raw, re.M)
    lines = _lines(folder)
    assert {line["version"] for line in lines if "version" in line} == {"2.1.330"}
    uuids = Counter(line["uuid"] for line in lines if "uuid" in line)
    copied = {line["uuid"] for line in lines if "requestSessionId" in line}
    assert copied
    assert max(uuids.values()) == 2
    assert all((path.stat().st_mode & 0o777) == 0o600 for path in folder.rglob("*.jsonl"))


def test_it_is_plainly_fictional(folder: Path) -> None:
    """No address, no key, no home but Robin's."""
    raw = b"".join(_bytes(folder).values()).decode()
    assert "@" not in raw.replace("@media", "")
    assert set(re.findall(r"/(?:home|Users|root)/(\w+)", raw)) == {"robin"}


def test_there_are_about_forty_sessions_in_three_projects(folder: Path) -> None:
    """Enough to look around in, little enough to read."""
    projects = [path for path in (folder / "projects").iterdir() if path.is_dir()]
    assert len(projects) == 3
    assert 36 <= sum(len(list(path.glob("*.jsonl"))) for path in projects) <= 46


def test_every_view_answers_whole_within_the_memory_of_the_service(tmp_path: Path) -> None:
    """SELECT * of each view, on the memory that the service allows its warehouse."""
    sample.write(tmp_path / "claude", NOW)
    app = App(
        Home(tmp_path / "home"), Settings(), {"CLAUDE_CONFIG_DIR": str(tmp_path / "claude"), "HOME": str(tmp_path)}
    )
    try:
        app.import_transcripts([tmp_path / "claude"])
        views = app.warehouse.query("SELECT view_name FROM duckdb_views() WHERE NOT internal").rows
        assert len(views) >= 15
        for (view,) in views:
            app.warehouse.query(f'SELECT * FROM "{view}"')
    finally:
        app.close()
