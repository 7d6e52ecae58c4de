"""The route that hooks call: durable before it answers, silent, and open to its own token only where facts come in."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import blank
from tests.capture.hook_recordings import calls
from tests.journeys.cdesk import Cdesk

ROUTE = "/v1/hooks/claude-code"
PAYLOAD: dict[str, Any] = {"session_id": "s-1", "cwd": "/p", "hook_event_name": "SessionStart", "source": "startup"}
SECRET = "ghp_" + "x7Qp2LmZ9vRt4KsW8nYb3HdF6jCa1GeU5oTi"


class Service:
    def __init__(self, cdesk: Cdesk) -> None:
        self.cdesk = cdesk
        self.port = cdesk.up()["port"]
        self.token = (cdesk.home / "ingest-token").read_text().strip()

    def post(self, body: bytes, path: str = ROUTE, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        others = {name.replace("_", "-"): value for name, value in headers.items()}
        wanted = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **others}
        connection.request("POST", path, body, wanted)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def tell(self, payload: dict[str, Any], **headers: str) -> None:
        assert self.post(json.dumps(payload).encode(), **headers) == (200, b"")

    def rows(self, sql: str, count: int) -> list[list[Any]]:
        """Waits for them: the warehouse is a moment behind the queue."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.cdesk.rows(sql)
            if len(found) >= count:
                return found
            time.sleep(0.05)
        return self.cdesk.rows(sql)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    blank.put(tmp_path / "home" / "warehouse")
    cdesk = Cdesk(tmp_path / "home", tmp_path / "claude")
    yield Service(cdesk)
    cdesk.down()


def test_a_recorded_session_arrives(service: Service) -> None:
    """Every payload answered 200 with nothing to say; each tool call one row; no secret in the home."""
    told = [payload for _, payload in calls("tools")]
    told.append({**told[5], "hook_event_name": "PostToolUse", "tool_use_id": "toolu_secret", "tool_name": "Bash",
                 "tool_input": {"command": f"curl -H 'Authorization: token {SECRET}'"}, "tool_response": {}})  # fmt: skip
    for payload in told:
        service.tell(payload)
    wanted = {call["tool_use_id"] for p in told for call in p.get("tool_calls", [])} | {"toolu_secret"}
    rows = service.rows("SELECT feature_json.tool_use_id::VARCHAR, _source FROM CLAUDE_STREAM_V2 WHERE activity = 'tool_called'", len(wanted))  # fmt: skip
    assert sorted(id for id, _ in rows) == sorted(wanted) and {source for _, source in rows} == {"hook"}
    service.cdesk.down()
    assert [
        path for path in service.cdesk.home.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()
    ] == []


def test_repeats_change_nothing(service: Service) -> None:
    """The same receipt told three times is one fact."""
    payload = {**PAYLOAD, "hook_event_name": "Notification", "message": "hi"}
    stamp = str(time.time_ns())
    for _ in range(3):
        service.tell(payload, **{"X-Cdesk-Received-Ns": stamp})
    service.tell(PAYLOAD)
    rows = service.rows("SELECT activity FROM CLAUDE_STREAM_V2 ORDER BY 1", 2)
    assert rows == [["notification_shown"], ["session_started"]]


@pytest.mark.parametrize("stamp", ["0", "9" * 20, "9" * 30, "nonsense", "-5", ""])
def test_a_wild_stamp_is_not_believed(service: Service, stamp: str) -> None:
    """Our own clock then."""
    before = datetime.now(UTC)
    service.tell(PAYLOAD, **{"X-Cdesk-Received-Ns": stamp})
    (row,) = service.rows("SELECT ts::VARCHAR FROM CLAUDE_STREAM_V2", 1)
    assert before <= datetime.fromisoformat(row[0]).replace(tzinfo=UTC) <= datetime.now(UTC)


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b"\xff"])
def test_what_is_no_payload_is_answered_with_the_reason(service: Service, body: bytes) -> None:
    """400, as JSON."""
    status, answer = service.post(body)
    assert status == 400 and "payload" in json.loads(answer)["error"]


def test_large_payloads_are_taken_and_too_large_ones_refused(service: Service) -> None:
    """Whole files travel in tool results."""
    big = {**PAYLOAD, "hook_event_name": "PostToolUse", "tool_name": "Write", "tool_use_id": "t-1", "tool_input": {},
           "tool_response": {"type": "create", "filePath": "/p/x", "content": "x" * 30_000_000}}  # fmt: skip
    service.tell(big)
    assert service.rows(
        "SELECT feature_json.bytes_after::BIGINT FROM CLAUDE_STREAM_V2 WHERE activity = 'file_created'", 1
    ) == [[30_000_000]]
    assert service.post(b'{"hook_event_name":"Stop","x":"' + b"x" * (64 * 1024 * 1024) + b'"}')[0] == 413


def test_the_ingest_token_opens_no_other_door(service: Service) -> None:
    """It stands in settings files; whoever reads it there can add facts and learn nothing."""
    for path in ("/v1/sql", "/v1/usage", "/v1/import", "/v1/activities", "/v1/status", ROUTE + "/x"):
        assert service.post(b"{}", path)[0] in (401, 404, 405), path
    assert service.post(b'{"sql": "SELECT 1"}', "/v1/sql")[0] == 401
    assert service.post(b"{}", Authorization="Bearer wrong")[0] == 401
    main = (service.cdesk.home / "token").read_text().strip()
    assert service.post(json.dumps(PAYLOAD).encode(), Authorization=f"Bearer {main}")[0] == 200


def test_web_pages_may_not_tell_us_anything(service: Service) -> None:
    """Foreign origin, foreign host name."""
    assert service.post(json.dumps(PAYLOAD).encode(), Origin="https://evil.example")[0] == 403
    assert service.post(json.dumps(PAYLOAD).encode(), Host="evil.example:80")[0] == 421


def test_only_who_shows_its_token_hears_the_context(service: Service) -> None:
    """As the command hook does; what brings facts in hears nothing. Then the session's own HTTP hooks are spoken to."""
    failed = {
        "hook_event_name": "PostToolUseFailure",
        "tool_name": "Bash",
        "tool_use_id": "t",
        "error": "ld: no -lshop",
    }
    service.tell({**PAYLOAD, **failed})
    token = (service.cdesk.home / "answer-token").read_text().strip()
    assert token != service.token and (service.cdesk.home / "answer-token").stat().st_mode & 0o777 == 0o600
    deadline = time.monotonic() + 20
    heard, number = b"", 0
    while b"-lshop" not in heard and time.monotonic() < deadline:  # it comes when wished for, and follows the facts
        number += 1
        begun = json.dumps({**PAYLOAD, "session_id": f"s-{number}"}).encode()
        status, heard = service.post(begun, X_Cdesk_Answer=token)
        assert status == 200
        time.sleep(0.05)
    output = json.loads(heard)["hookSpecificOutput"]
    assert output["hookEventName"] == "SessionStart" and '"ld: no -lshop"' in output["additionalContext"]
    for wrong in ({}, {"X_Cdesk_Answer": service.token}, {"X_Cdesk_Answer": token[:-1]}):
        begun = json.dumps({**PAYLOAD, "session_id": "unproven"}).encode()
        assert service.post(begun, **wrong) == (200, b"")
    told = service.rows(
        f"SELECT feature_json.text::VARCHAR FROM CLAUDE_STREAM_V2 WHERE activity = 'context_hydrated' AND _session_id = 's-{number}'",
        1,
    )
    assert told == [[output["additionalContext"]]]
