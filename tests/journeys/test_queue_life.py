"""The queue as a person meets it: full, owned by somebody else, left by a killed service, kept for later."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.journeys.cdesk import Cdesk


def fact(n: object, name: str = "deployed", text: str = "x" * 2_000) -> bytes:
    return json.dumps({"activity": name, "ts": "2026-11-23T09:00:00Z", "customer": "ada", "activity_id": f"fact-{n}",
                       "feature_json": {"text": text}}).encode() + b"\n"  # fmt: skip


def small(cdesk: Cdesk, more: str = "") -> None:
    """A budget of 64 KiB."""
    cdesk.home.mkdir(mode=0o700, exist_ok=True)
    (cdesk.home / "config.toml").write_text(f"[queue]\nbytes_max = 65536\n{more}")


def test_a_full_queue_is_told_in_one_line(new_cdesk: Cdesk) -> None:
    """Exit 75, which scripts know as "try again later"; status and doctor say it too; importing makes room again."""
    cdesk = new_cdesk  # without a warehouse yet, asking for the status loads nothing
    small(cdesk)
    acknowledged = 0
    while (done := cdesk.run("emit", stdin=b"".join(fact(f"{acknowledged}-{n}") for n in range(10)))).returncode == 0:
        acknowledged += json.loads(done.stdout)["accepted"]
    assert done.returncode == 75 and done.stdout == b""
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("cdesk emit: the queue is full") and "`cdesk up`" in line
    status = cdesk.json("queue", "status")
    assert status["level"] in ("high", "critical") and status["stored"] <= status["bytes_max"] == 65_536
    assert f"pressure {status['level']}" in cdesk.text("queue", "status")
    history = cdesk.claude_dir / "projects" / "p" / "a.jsonl"
    history.parent.mkdir()
    history.write_text(json.dumps({"type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2026-01-01T10:00:00.000Z",
                                   "message": {"role": "user", "content": "w" * 5_000}}) + "\n")  # fmt: skip
    cdesk.json("import")
    assert cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'deployed'") == [[acknowledged]]
    assert cdesk.json("queue", "status")["level"] == "normal"
    assert cdesk.run("emit", stdin=fact("last")).returncode == 0
    told = cdesk.rows("SELECT message FROM VW_SYSTEM_EVENTS WHERE activity = 'backpressure' ORDER BY ts")
    assert "rose from normal" in told[0][0] and told[-1][0].endswith("to normal")


def test_emit_says_nothing_else_when_it_notices_pressure(cdesk: Cdesk) -> None:
    """Standard output is one JSON document, whatever is going on."""
    small(cdesk)
    for n in range(3):
        done = cdesk.run("emit", stdin=b"".join(fact(f"{n}-{m}", text="x" * 1_000) for m in range(12)))
        assert json.loads(done.stdout) == {"accepted": 12, "rejected": []} and done.stderr == b""


def test_a_second_service_is_told_who_has_the_queue(cdesk: Cdesk) -> None:
    """Even when the first one's record is gone, so that it is not simply found running."""
    pid = cdesk.up()["pid"]
    record = cdesk.home / "service.json"
    kept = record.read_bytes()
    record.unlink()
    done = cdesk.run("up", "--port", "0")
    assert done.returncode == 1
    assert f"process {pid}, since 20" in done.stderr.decode() and b"Traceback" not in done.stderr
    record.write_bytes(kept)


def test_a_killed_service_leaves_nothing_to_mend(cdesk: Cdesk) -> None:
    """The next one starts, loads what was acknowledged, and the doctor says what it found."""
    pid = cdesk.up()["pid"]
    os.kill(pid, signal.SIGKILL)
    assert cdesk.run("emit", stdin=fact(1)).returncode == 0
    with next((cdesk.home / "queue").glob("*.ndjson")).open("ab") as file:
        file.write(fact(2)[:50])
    status = cdesk.up()
    assert status["queue"]["recovery"]["killed_pid"] == pid and status["queue"]["recovery"]["torn"] == 1
    assert cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'deployed'") == [[1]]
    doctor = {
        found["subject"]: found["finding"] for found in json.loads(cdesk.run("doctor", "--json").stdout)["findings"]
    }
    assert f"process {pid} had been killed" in doctor["recovery"] and "1 of them torn" in doctor["recovery"]
    assert '"queue_found"' in (cdesk.home / "service.log").read_text()


def test_letters_are_replayed_and_dropped_while_the_service_runs(cdesk: Cdesk) -> None:
    """Asked over HTTP: only one process may rewrite them."""
    path = cdesk.claude_dir / "projects" / "p" / "a.jsonl"
    path.parent.mkdir()
    path.write_text("{not json\n{nor this\n")
    cdesk.up()
    letters = cdesk.json("queue", "dead", "list")
    assert [letter["count"] for letter in letters] == [1, 1]
    done = cdesk.run("queue", "dead", "replay", letters[0]["id"][:8], "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1 and told["replayed"] == 0 and told["still_dead"][0]["id"] == letters[0]["id"]
    assert cdesk.json("queue", "dead", "drop", letters[0]["id"][:8]) == {"dropped": 1}
    assert [letter["id"] for letter in cdesk.json("queue", "dead", "list")] == [letters[1]["id"]]


def test_loaded_segments_can_be_kept_and_checked(cdesk: Cdesk) -> None:
    """`archive = "keep"`: the segment moved back is read again, and changes nothing."""
    small(cdesk, 'archive = "keep"\n')
    cdesk.run("emit", stdin=fact(1))
    cdesk.json("import")
    [kept] = (cdesk.home / "queue" / "archive").glob("*.ndjson")
    assert cdesk.json("queue", "check")["segments"] == 0
    kept.rename(cdesk.home / "queue" / kept.name)
    found = cdesk.json("queue", "check")
    assert (found["segments"], found["lines"], found["damaged"], found["torn"]) == (1, 1, 0, 0)
    assert cdesk.json("import")["activities"] == 0
    assert cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2") == [[1]]


def test_settings_of_pressure_are_checked(cdesk: Cdesk) -> None:
    """A threshold that falls, an archive that is neither."""
    for wrong in (
        "[queue.pressure]\nevents = [5, 3, 9]\n",
        "[queue.pressure]\nbites = [1, 2, 3]\n",
        '[queue]\narchive = "gzip"\n',
    ):
        cdesk.home.mkdir(exist_ok=True)
        (cdesk.home / "config.toml").write_text(wrong)
        done = cdesk.run("status")
        assert done.returncode == 2 and b"config.toml" in done.stderr and b"Traceback" not in done.stderr
    Path(cdesk.home / "config.toml").unlink()
