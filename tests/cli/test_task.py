"""A person looks after the tasks, with the service running or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.refresh.house import noting, tasks
from tests.surface.page_service import TOKEN, Served, serve

from cdesk import cli
from cdesk.cli.client import Client, ServiceRecord

NAMES = noting("note_names").replace("writes: NOTED", "writes: QUERY_HISTORY").partition("\n\n")[0] + (
    "\n\nINSERT INTO QUERY_HISTORY (query_id, start_time) SELECT activity, :now FROM NOTE_NAMES_CHANGES;\n"
)
BROKEN = noting("broken").replace("writes: NOTED", "writes: NOWHERE").replace("INTO NOTED", "INTO NOWHERE")
FACT = {"activity": "a_fact", "ts": "2026-11-01T10:00:00Z", "customer": "ada", "feature_json": {}}


class Person:
    """Types commands and reads what comes."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def types(self, *words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        out, error = self._captured.readouterr()
        return code, out, error

    def asks(self, *words: str) -> Any:
        code, out, error = self.types(*words, "--json")
        assert code == 0, error
        return json.loads(out)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A home with one task, and its service."""
    _install(tmp_path, monkeypatch, {"note_names": NAMES})
    with serve(tmp_path / "home") as found:
        yield found


@pytest.fixture(params=["service", "files"])
def person(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Person:
    """Somebody at a terminal of that home, while the service runs, and while it does not."""
    if request.param == "service":
        found: Served = request.getfixturevalue("served")
        found.put(FACT)
        port = urlsplit(found.url).port or 0
        monkeypatch.setattr("cdesk.cli.task.connect", lambda home: Client(ServiceRecord(0, port, ""), TOKEN))
    else:
        _install(tmp_path, monkeypatch, {"note_names": NAMES})
        with serve(tmp_path / "home") as found:
            found.put(FACT)
    return Person(capsys)


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    monkeypatch.setenv("CDESK_HOME", str(folder / "home"))
    monkeypatch.setattr("cdesk.refresh.task.load", lambda: tasks(folder / "tasks", files))


def test_a_task_is_looked_at_suspended_resumed_and_run(person: Person) -> None:
    """The same, through the service or without."""
    assert "No task has run yet" in person.types("task", "history")[1]
    [task] = person.asks("task", "list")["tasks"]
    assert (task["name"], task["state"], task["health"], task["has_data"]) == ("note_names", "started", "unknown", True)
    assert "`cdesk import`" in person.types("task", "list")[1]
    assert person.asks("task", "suspend", "note_names")["suspended_by"] == "request"
    assert person.asks("task", "resume", "note_names")["state"] == "started"
    code, out, _ = person.types("task", "run", "note_names")
    assert code == 0 and out.startswith("note_names changed 1 rows in ")
    [run] = person.asks("task", "history", "note_names")["runs"]
    assert (run["state"], run["scheduled_from"], run["rows_changed"]) == ("SUCCEEDED", "EXECUTE TASK", 1)
    assert "succeeded" in person.types("task", "history")[1]
    [task] = person.asks("task", "list", "note_names")["tasks"]
    assert (task["health"], task["has_data"], task["runs_24h"]) == ("healthy", False, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "say which task to run"),
        (("run", "nobody"), "there is no task 'nobody'"),
        (("suspend", "nobody"), "there is no task 'nobody'"),
        (("history", "nobody"), "there is no task 'nobody'"),
        (("list", "nobody"), "there is no task 'nobody'"),
    ],
)
def test_a_wrong_name_is_one_line(person: Person, words: tuple[str, ...], said: str) -> None:
    """With the names there are, and exit code 2."""
    code, _, error = person.types("task", *words)
    assert code == 2 and said in error and error.count("\n") == 1


def test_a_task_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the command fails, too; the list says what to do."""
    _install(tmp_path, monkeypatch, {"broken": BROKEN})
    person = Person(capsys)
    for _ in range(5):
        code, out, _ = person.types("task", "run", "broken")
        assert code == 1 and "NOWHERE" in out
    assert "`cdesk task resume broken`" in person.types("task", "list")[1]
    [incident] = person.asks("sql", "SELECT message, alert_priority, task FROM VW_SYSTEM_EVENTS")["rows"]
    assert "suspended after 5 failures" in incident[0] and incident[1:] == [2, "broken"]


def test_an_import_leaves_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a service, derived tables are fresh when it returns."""
    _install(tmp_path, monkeypatch, {"note_names": NAMES})
    transcript = tmp_path / "claude" / "projects" / "p" / "s.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text(
        '{"type":"user","uuid":"u1","sessionId":"s","timestamp":"2026-01-01T10:00:00.000Z",'
        '"message":{"role":"user","content":"hello"}}\n'
    )
    person = Person(capsys)
    assert person.asks("import", "--claude-dir", str(tmp_path / "claude"))["activities"] == 2
    [run] = person.asks("task", "history")["runs"]
    assert (run["scheduled_from"], run["rows_changed"]) == ("TRIGGER", 2)
    assert person.asks("sql", "SELECT SUM(pending_records) FROM V_STREAM_LAG")["rows"] == [[0]]


def test_no_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Is said."""
    _install(tmp_path, monkeypatch, {})
    assert "No tasks" in Person(capsys).types("task", "list")[1]


@pytest.mark.parametrize("count", ["-1", "many", "9" * 40, "٣"])
def test_a_count_is_a_number(served: Served, count: str) -> None:
    """Else it is the asker's mistake."""
    got = served.client.get("/v1/tasks/history", params={"count": count})
    assert got.status_code == 400 and "count" in got.json()["error"]


def test_answers_of_a_service_with_tasks_are_as_described(served: Served) -> None:
    """Runs and tasks with everything in them."""
    from tests.surface.test_openapi import _validate

    served.put(FACT)
    described = served.client.get("/openapi.json").json()
    ran = served.client.post("/v1/tasks/note_names/run")
    assert ran.status_code == 200, ran.text
    _validate(described, "RunReport", ran.json(), is_closed=True)
    _validate(described, "Runs", served.client.get("/v1/tasks/history").json(), is_closed=True)
    for path in ("suspend", "resume"):
        _validate(described, "Tasks", served.client.post(f"/v1/tasks/note_names/{path}").json(), is_closed=True)
    _validate(described, "Tasks", served.client.get("/v1/tasks").json(), is_closed=True)
