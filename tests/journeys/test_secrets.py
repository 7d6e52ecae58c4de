"""A secret in the history is found by `scan`, and stands nowhere in what cdesk keeps."""

from __future__ import annotations

import json
import os
import signal

from tests.journeys.cdesk import Cdesk

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"[:36]
OTHER = "AKIA" + "QYLPMN5HFIQR7XYA"


def _line(uuid: str, text: str) -> str:
    message = {"role": "user", "content": text}
    return json.dumps({"type": "user", "uuid": uuid, "sessionId": "s", "timestamp": "2026-01-01T10:00:00.000Z",
                       "message": message}, separators=(",", ":"))  # fmt: skip


def _history(cdesk: Cdesk) -> None:
    folder = cdesk.claude_dir / "projects" / "p"
    folder.mkdir(exist_ok=True)
    lines = [_line("a", f"my token is {SECRET}"), _line("b", "hello"), _line("c", f"again {SECRET} and {OTHER}")]
    (folder / "a.jsonl").write_text("\n".join(lines) + f"\n{{broken {SECRET}\n")


def test_scan_says_where_and_never_what(cdesk: Cdesk) -> None:
    _history(cdesk)
    told = cdesk.json("scan")
    assert told["files"] == 1
    lines = {(found["line"], found["rule"]) for found in told["sightings"]}
    assert {line for line, _ in lines} >= {1, 3}
    tokens = {found["fingerprint"] for found in told["sightings"] if "github" in found["rule"]}
    assert len(tokens) == 1, "equal secrets have equal fingerprints"
    shown = cdesk.text("scan")
    assert SECRET not in shown + json.dumps(told) and OTHER not in shown + json.dumps(told)


def test_no_secret_lands_anywhere(cdesk: Cdesk) -> None:
    """Queue, warehouse, dead letters, bookmarks, logs: searched byte for byte, also when killed in the middle."""
    _history(cdesk)
    status = cdesk.up()
    emitted = {
        "activity": "noted",
        "ts": "2026-01-01T10:00:00Z",
        "customer": "ada",
        "feature_json": {"password": SECRET},
    }
    cdesk.text("emit", stdin=json.dumps(emitted).encode())
    os.kill(status["pid"], signal.SIGKILL)
    cdesk.text("emit", stdin=json.dumps({**emitted, "link": f"https://ada:{OTHER}@example.org/"}).encode())
    for path in cdesk.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content and OTHER.encode() not in content, path
    cdesk.json("import")
    assert cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity IN ('user_asked', 'noted')") == [[5]]
    for path in cdesk.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_clean_history_is_said_to_be_clean(cdesk: Cdesk) -> None:
    assert "No secrets seen" in cdesk.text("scan")
    assert cdesk.run("scan", "--claude-dir", "/does/not/exist").returncode == 2
