"""From history to answers, through the commands a person types."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.journeys.cdesk import Cdesk
from tests.shared_data import shared_data

from cdesk.config import DEFAULT_PORT

COUNTS = "SELECT activity, count(*) FROM CLAUDE_STREAM_V2 GROUP BY 1 ORDER BY 1"


def test_import_reads_history_once_however_often(with_history: Cdesk) -> None:
    """The second import finds everything already there."""
    first = with_history.json("import")
    assert set(first) == {"files", "lines", "activities", "duplicates", "rejected"}
    assert first["files"] == 2 and first["activities"] > 40 and first["rejected"] == 0
    before = with_history.rows(COUNTS)
    second = with_history.json("import")
    assert second["lines"] == first["lines"]
    assert second["activities"] == 0 and second["duplicates"] > 0
    assert with_history.rows(COUNTS) == before
    assert with_history.rows("SELECT count(*) FROM CLAUDE_STREAM_V2") == [[first["activities"]]]


def test_import_of_another_folder(cdesk: Cdesk) -> None:
    """`--claude-dir` names the folder; a wrong one is a usage error in one line."""
    result = cdesk.json("import", "--claude-dir", str(shared_data("recordings/subagents")))
    assert result["activities"] > 0
    wrong = cdesk.run("import", "--claude-dir", "/does/not/exist", "--json")
    assert wrong.returncode == 2
    assert wrong.stderr.decode().count("\n") == 1 and "is not a folder" in wrong.stderr.decode()


def test_no_history_is_said_with_what_to_do(new_cdesk: Cdesk) -> None:
    """An empty machine gets a sentence, not an empty table."""
    assert "No transcripts found" in new_cdesk.text("import")
    assert "cdesk import" in new_cdesk.text("usage", "daily")
    told = new_cdesk.text("up", "--detach", "--port", "0")
    assert "No Claude Code history was found" in told and "cdesk up --sample" in told


def test_service_backfills_follows_and_stops(with_history: Cdesk) -> None:
    """Up reads what is there; lines written later appear by themselves; down leaves nothing behind."""
    told = with_history.text("up", "--detach", "--port", "0")
    assert "Found 2 transcripts" in told
    status = with_history.json("status")
    assert status["running"] is True and status["pid"] > 0 and status["port"] > 0
    assert set(status["queue"]) >= {"events", "bytes", "oldest_age_s"} and status["lag_s"] == 0
    before = status["warehouse"]["activities"]
    assert before > 40
    again = with_history.run("up", "--detach")
    assert again.returncode == 0 and b"Already running" in again.stdout

    shutil.copytree(
        shared_data("recordings/subagents/projects"), with_history.claude_dir / "projects", dirs_exist_ok=True
    )
    expected = before + _alone(with_history, "recordings/subagents")
    _until(lambda: with_history.json("status")["warehouse"]["activities"] == expected)
    assert with_history.json("import")["activities"] == 0

    assert "Stopped" in with_history.text("down")
    assert with_history.json("status")["running"] is False
    assert not (with_history.home / "service.json").exists()
    assert with_history.json("status")["warehouse"]["activities"] == expected


def test_a_half_written_line_waits_for_its_other_half(cdesk: Cdesk) -> None:
    """Following stops at the last whole line and goes on from there."""
    source = next(shared_data("recordings/tools/projects").rglob("6ebb*.jsonl"))
    whole = source.read_bytes()
    target = cdesk.claude_dir / "projects" / "p" / source.name
    target.parent.mkdir()
    middle = len(whole) // 2
    target.write_bytes(whole[:middle])
    cdesk.up()
    with target.open("ab") as file:
        file.write(whole[middle:])
    expected = _alone(cdesk, source)
    _until(lambda: cdesk.json("status")["warehouse"]["activities"] == expected)


def test_emit_is_durable_and_exact(cdesk: Cdesk) -> None:
    """Emitted activities are one row per identity; what is wrong is named by its place."""
    line = {"activity": "deployed", "ts": "2026-11-23T09:00:00Z", "customer": "ada", "feature_json": {"to": "prod"}}
    given = [
        {**line, "activity_id": "release-7", "_session_id": "s1", "revenue_impact": 1.5, "link": "https://x"},
        {**line, "activity_id": "release-7", "_session_id": "s1", "revenue_impact": 1.5, "link": "https://x"},
        {**line, "ts": "yesterday"},
        {**line, "surprise": 1},
        {"activity": "deployed"},
    ]
    stdin = b"\n".join(json.dumps(thing).encode() for thing in given) + b"\nnot json\n"
    done = cdesk.run("emit", stdin=stdin)
    receipt = json.loads(done.stdout)
    assert receipt["accepted"] == 2
    assert [(r["index"], r["reason"].split(" ")[0]) for r in receipt["rejected"]] == [
        (2, "ts"), (3, "unknown"), (4, "ts"), (5, "not"),
    ]  # fmt: skip
    rows = cdesk.rows(
        "SELECT activity, customer, _identity, _session_id, revenue_impact, link, feature_json, ts FROM CLAUDE_STREAM_V2"
    )
    assert rows == [["deployed", "ada", "release-7", "s1", 1.5, "https://x", {"to": "prod"}, "2026-11-23T09:00:00Z"]]


REFUSED = (
    "DELETE FROM CLAUDE_STREAM_V2",
    "SELECT 1; DROP TABLE CLAUDE_STREAM_V2",
    "COPY CLAUDE_STREAM_V2 TO '/tmp/stolen.csv'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "ATTACH '/tmp/x.duckdb'",
    "PRAGMA database_list",
    "SET threads = 1",
    "EXPLAIN ANALYZE DELETE FROM CLAUDE_STREAM_V2",
    "INSTALL httpfs",
    "CREATE TABLE t (a INT)",
    "SELECT getenv('HOME')",
    "CALL pragma_version()",
    "",
    "selec 1",
)


def test_sql_refuses_everything_but_reading(with_history: Cdesk) -> None:
    """Writing, files and settings are refused in one line, with exit code 1 or 2, and change nothing."""
    with_history.json("import")
    for query in REFUSED:
        done = with_history.run("sql", query, "--json")
        assert done.returncode in (1, 2), (query, done.stdout)
        assert done.stdout == b"" and done.stderr.decode().count("\n") == 1, query
    assert with_history.rows("SELECT count(*) > 40 FROM CLAUDE_STREAM_V2") == [[True]]


def test_sql_answers_in_json_and_keeps_a_log(with_history: Cdesk) -> None:
    """Columns, rows and an id under which the query log knows the question."""
    with_history.json("import")
    answer = with_history.json("sql", "SELECT 1 AS one, 'x' AS two, NULL AS three")
    assert answer["columns"] == ["one", "two", "three"] and answer["rows"] == [[1, "x", None]]
    logged = with_history.rows(f"SELECT query_tag FROM QUERY_HISTORY WHERE query_id = '{answer['query_id']}'")
    assert logged == [[f"cdesk:{answer['query_id']}"]]


def test_sql_gives_back_times_with_a_zone(cdesk: Cdesk) -> None:
    """The one type that DuckDB's client needs help with."""
    [[at]] = cdesk.rows("SELECT TIMESTAMPTZ '2026-01-01 12:00:00+00'")
    assert at.startswith("2026-01-01T")


def test_everything_private(with_history: Cdesk) -> None:
    """Nobody else can read what is kept."""
    with_history.up()
    for path in [with_history.home, *with_history.home.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_service_lets_nobody_else_in(with_history: Cdesk) -> None:
    """No token, a wrong token, a foreign Host, a foreign page: refused."""
    port = with_history.up()["port"]
    token = (with_history.home / "token").read_text().strip()

    def status(**headers: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/status", headers=headers)
        try:
            return int(urllib.request.urlopen(request, timeout=5).status)
        except HTTPError as error:
            return error.code

    right = {"Authorization": f"Bearer {token}"}
    assert status(**right) == 200
    assert status() == 401
    assert status(Authorization="Bearer nonsense") == 401
    assert status(**right, Host="evil.example") == 421
    assert status(**right, Origin="http://evil.example") == 403


def test_a_taken_port_is_said_plainly(with_history: Cdesk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = with_history.run("up", "--detach", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert b"cannot be used" in done.stderr and b"Traceback" not in done.stderr


def test_killed_in_the_middle_it_starts_again(with_history: Cdesk) -> None:
    """A service killed -9 leaves a record behind; the next start is not misled, and loses nothing."""
    import os

    status = with_history.up()
    os.kill(status["pid"], signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{status['pid']}").exists() or _is_zombie(status["pid"]))
    again = with_history.up()
    assert again["running"] is True and again["pid"] != status["pid"]
    assert again["warehouse"]["activities"] == status["warehouse"]["activities"]


def test_doctor_finds_and_says_what_to_do(with_history: Cdesk) -> None:
    with_history.json("import")
    with_history.home.chmod(0o755)
    done = with_history.run("doctor", "--json")
    findings = {f["subject"]: f for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1 and findings["home"]["level"] == "problem" and "chmod 700" in findings["home"]["remedy"]
    with_history.home.chmod(0o700)
    assert with_history.run("doctor").returncode == 0


def test_sample_data_has_a_home_of_its_own(new_cdesk: Cdesk) -> None:
    """`up --sample` never touches the real home, and says what it is."""
    cdesk = new_cdesk
    try:
        told = cdesk.text("up", "--sample", "--detach")
        assert f":{DEFAULT_PORT}" not in told
        assert "SAMPLE DATA" in told
        sample = Cdesk(cdesk.home.with_name(cdesk.home.name + "-sample"), cdesk.claude_dir)
        assert sample.json("status")["sample"] is True
        assert sample.json("usage", "daily")["totals"]["totalCost"] > 0
        assert "SAMPLE DATA" in sample.text("usage", "daily")
        assert not cdesk.home.exists() or cdesk.json("status")["warehouse"]["activities"] == 0
    finally:
        cdesk.run("down", "--sample")


@pytest.mark.parametrize("wrong", [["nonsense"], ["usage", "hourly"], ["usage", "daily", "--since", "x"],
                                   ["usage", "--timezone", "Mars/Base"], ["sql"], ["usage", "--prices", "/no/file"]])  # fmt: skip
def test_usage_errors_have_their_exit_code(cdesk: Cdesk, wrong: list[str]) -> None:
    """Exit code 2 and no traceback for a command that was typed wrong."""
    done = cdesk.run(*wrong)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr and done.stderr


def test_help_and_version(cdesk: Cdesk) -> None:
    assert "usage: cdesk COMMAND" in cdesk.text("--help")
    assert cdesk.text("--version").startswith("cdesk ")


def _alone(cdesk: Cdesk, what: str | Path) -> int:
    """How many activities a history gives by itself."""
    beside = Cdesk(cdesk.home.with_name("alone"), cdesk.claude_dir)
    folder = cdesk.home.with_name("alone-claude") / "projects"
    folder.mkdir(parents=True)
    if isinstance(what, Path):
        (folder / "p").mkdir()
        shutil.copy(what, folder / "p")
    else:
        shutil.copytree(shared_data(f"{what}/projects"), folder, dirs_exist_ok=True)
    return int(beside.json("import", "--claude-dir", str(folder.parent))["activities"])


def _until(holds: object, seconds: float = 20.0) -> None:
    import time

    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _is_zombie(pid: int) -> bool:
    return " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_claude_code_used_for_the_first_time_while_we_run(cdesk: Cdesk) -> None:
    """The folder that was not there at the start is found and followed."""
    shutil.rmtree(cdesk.claude_dir)
    assert "No Claude Code history was found" in cdesk.text("up", "--detach", "--port", "0")
    shutil.copytree(shared_data("recordings/tools/projects"), cdesk.claude_dir / "projects")
    _until(lambda: cdesk.json("status")["warehouse"]["activities"] > 40)
