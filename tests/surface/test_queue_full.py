"""A small home runs full: producers are told, nothing of Claude Code fails, and afterwards it is whole again."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.surface.page_service import NOW, Served, row, serve

from cdesk.capture import follow, install, watch
from cdesk.capture.backfill import Progress
from cdesk.config import PersonSettings, PressureSettings, QueueSettings, Settings

BUDGET = 256 * 1024
SETTINGS = Settings(
    person=PersonSettings(customer="ada@example.org"),
    queue=QueueSettings(bytes_max=BUDGET, pressure=PressureSettings(calm_s=0.1)),
)
HOOK = "/v1/hooks/claude-code"
CALL = {"session_id": "s-1", "cwd": "/p", "hook_event_name": "PostToolUse", "tool_name": "Bash",
        "tool_use_id": "toolu_1", "tool_input": {"command": "x" * 1_900}, "tool_response": {"stdout": "ok"}}  # fmt: skip
STAMPS = {"sessionId": "s-1", "cwd": "/p", "version": "2.1.330"}
TRANSCRIPT: list[dict[str, Any]] = [
    {"type": "assistant", "uuid": "a1", "timestamp": "2026-11-23T09:00:01.000Z", "requestId": "req_1", "message": {
        "id": "msg_1", "role": "assistant", "model": "claude-opus-5-5", "usage": {"input_tokens": 1, "output_tokens": 1},
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "x" * 1_900}}]}},
    {"type": "user", "uuid": "u2", "timestamp": "2026-11-23T09:00:02.000Z", "toolUseResult": {"stdout": "ok"}, "message": {
        "role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}},
]  # fmt: skip


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Nothing carries the queue away yet."""
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(follow, "SWEEP_SECONDS", 600.0)
    (tmp_path / "claude" / "projects" / "p").mkdir(parents=True)
    with serve(tmp_path, settings=SETTINGS) as found:
        yield found


def fill(served: Served) -> tuple[int, Any]:
    """Large ones until there is no room, then small ones: how many were accepted, and the last answer."""
    accepted = 0
    for size in (8_000, 1):
        while True:
            fact = row("deployed", NOW, n=accepted, text="x" * size)
            answer = served.client.post("/v1/activities", json=fact)
            if answer.status_code != 200:
                break
            accepted += answer.json()["accepted"]
    return accepted, answer


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def rows(served: Served, sql: str) -> list[tuple[Any, ...]]:
    return served.app.warehouse.query(sql).rows


def queue(served: Served) -> dict[str, Any]:
    return dict(served.client.get("/v1/status").json()["queue"])


def test_a_full_queue_is_told_counted_and_mended(served: Served) -> None:
    """Full: 507 with what to do, hooks and telemetry counted, no bookmark moved. Drained: all acknowledged is there, the
    refused call came from its transcript and counts as repaired, levels rose and fell, and the loss is on record."""
    assert (
        served.client.post(HOOK, json={**CALL, "hook_event_name": "SessionStart", "source": "startup"}).status_code
        == 200
    )
    accepted, answer = fill(served)
    assert answer.status_code == 507
    assert "the queue is full" in answer.json()["error"] and "cdesk up" in answer.json()["error"]
    assert served.client.post(HOOK, json=CALL).status_code == 507
    assert (
        served.client.post(HOOK, json=CALL, headers={"X-Cdesk-Received-Ns": "1"}).status_code == 507
    )  # keeps it itself
    export = {"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]},
              "scopeLogs": [{"logRecords": [{"timeUnixNano": "1795425225502000000", "attributes": [
                  {"key": "event.name", "value": {"stringValue": "user_prompt"}},
                  {"key": "session.id", "value": {"stringValue": "s-1"}},
                  {"key": "prompt.id", "value": {"stringValue": "p-1"}}]}]}]}]}  # fmt: skip
    assert served.client.post("/v1/logs", json=export).status_code == 503
    refused = queue(served)["refused"]
    assert refused == {"hook": 1, "otel": 1}

    path = served.app.claude_dirs[0] / "projects" / "p" / "s-1.jsonl"
    path.write_text("".join(json.dumps({**line, **STAMPS}) + "\n" for line in TRANSCRIPT))
    progress = Progress()
    reading = threading.Thread(target=served.app.catch_up, args=(progress,))
    reading.start()
    wait_for(lambda: progress.lines > 0)
    assert served.app.bookmarks.get(str(path)) is None and reading.is_alive()

    served.app.start()
    reading.join(30)
    assert progress.is_done
    wait_for(lambda: len(rows(served, "SELECT 1 FROM VW_SYSTEM_EVENTS WHERE event_type = 'queue_full'")) == 1)
    wait_for(lambda: queue(served)["level"] == "normal" and queue(served)["bytes"] == 0)
    assert rows(served, "SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'deployed'") == [(accepted,)]
    assert rows(served, "SELECT _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'") == [("transcript",)]
    [(repaired,)] = rows(served, "SELECT repaired FROM V_COMPLETENESS WHERE source = 'hook' AND session_id = 's-1'")
    assert repaired == 1
    [(metrics, action)] = rows(
        served, "SELECT metrics::JSON::VARCHAR, action_taken FROM VW_SYSTEM_EVENTS WHERE event_type = 'queue_full'"
    )
    assert json.loads(metrics) == {"refused_hook": 1, "refused_otel": 1} and "transcripts" in action
    told = rows(served, "SELECT severity, message FROM VW_SYSTEM_EVENTS WHERE activity = 'backpressure' ORDER BY ts")
    assert told[0][0] == "critical" and "rose from normal to critical" in told[0][1]
    assert told[-1][0] == "info" and told[-1][1].endswith("to normal")
    status = queue(served)
    assert status["counted"]["acknowledged"] == status["counted"]["delivered"] and status["refused"] == refused


def test_words_are_cut_while_it_is_pressed_and_mended_later(served: Served) -> None:
    """What a hook told then says how much is missing; the transcript brings the whole."""
    fill(served)
    served.app.watch.look()
    served.app.uploader.drain()
    assert served.app.pressure.level.word == "critical"  # until somebody looks again
    assert served.client.post(HOOK, json=CALL).status_code == 200
    served.app.uploader.drain()
    sql = "SELECT feature_json.parameters.command::VARCHAR FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'"
    assert rows(served, sql) == [("x" * 1_000 + "… [900 more characters]",)]
    path = served.app.claude_dirs[0] / "projects" / "p" / "s-1.jsonl"
    path.write_text("".join(json.dumps({**line, **STAMPS}) + "\n" for line in TRANSCRIPT))
    served.app.import_transcripts()
    assert rows(served, sql) == [("x" * 1_900,)]


def test_low_value_activities_left_out_are_said_to_be(served: Served) -> None:
    """Accepted means durable, also now."""
    fill(served)
    served.app.watch.look()
    served.app.uploader.drain()
    answer = served.client.post("/v1/activities", json=[row("hook_ran", NOW, n=n) for n in range(500)]).json()
    assert answer["accepted"] + answer["sampled"] == 500 and 0 < answer["sampled"] < 500
    served.app.uploader.drain()
    [(there,)] = rows(served, "SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'hook_ran'")
    assert there == answer["accepted"] and queue(served)["counted"]["sampled"] == answer["sampled"]


def test_a_command_hook_goes_on_and_keeps_what_was_refused(served: Served) -> None:
    """Exit 0 and silence for Claude Code; nothing counts as lost, and the bare facts come in when there is room."""
    home = served.app.home.path
    install.install_command(home)
    record = {"pid": os.getpid(), "port": int(served.url.rpartition(":")[2]), "started_at": "now"}
    (home / "service.json").write_text(json.dumps(record, separators=(",", ":")))
    fill(served)
    command = ["sh", "-c", install.command_line(home)]
    done = subprocess.run(command, input=json.dumps(CALL).encode(), capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert queue(served)["refused"] == {"hook": 0, "otel": 0} and len(list((home / "spool").glob("*.hook"))) == 1
    served.app.start()
    wait_for(lambda: rows(served, "SELECT _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'") == [("hook",)])
