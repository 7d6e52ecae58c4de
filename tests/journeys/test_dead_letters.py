"""Lines that could not be loaded are kept, shown, given another chance, or dropped."""

from __future__ import annotations

import json
from pathlib import Path

from tests.journeys.cdesk import Cdesk

GOOD = {"type": "user", "uuid": "u1", "sessionId": "s", "timestamp": "2026-01-01T10:00:00.000Z",
        "message": {"role": "user", "content": "hello"}}  # fmt: skip


def _history(cdesk: Cdesk, *lines: str) -> Path:
    path = cdesk.claude_dir / "projects" / "p" / "a.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_what_cannot_be_read_is_kept_with_its_place(cdesk: Cdesk) -> None:
    """Between good lines, a bad one has a reason, a file and a byte."""
    path = _history(cdesk, json.dumps(GOOD), "{not json", json.dumps({**GOOD, "uuid": "u2"}))
    assert cdesk.json("import") == {"files": 1, "lines": 3, "activities": 3, "duplicates": 0, "rejected": 1}
    [letter] = cdesk.json("queue", "dead", "list")
    assert letter["source"] == str(path) and letter["offset"] == len(json.dumps(GOOD)) + 1
    assert letter["reason"].startswith("not valid JSON")
    assert "{not json" in cdesk.text("queue", "dead", "show", letter["id"][:6])
    assert cdesk.json("import")["rejected"] == 1
    assert len(cdesk.json("queue", "dead", "list")) == 1  # the same line is not kept twice


def test_replay_loads_once_what_can_be_read_now(cdesk: Cdesk) -> None:
    """A letter that is sound by now is loaded and gone; one that is not stays, with its reason."""
    _history(cdesk, "{not json")
    cdesk.json("import")
    letters = cdesk.home / "dead" / "letters.ndjson"
    kept = json.loads(letters.read_text())
    import base64

    sound = json.dumps(GOOD).encode()
    letters.write_text(
        letters.read_text()
        + json.dumps({**kept, "digest": "feed" * 6, "size": len(sound), "line": base64.b64encode(sound).decode()})
        + "\n"
    )
    done = cdesk.run("queue", "dead", "replay", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["replayed"] == 1 and told["still_dead"][0]["reason"].startswith("not valid JSON")
    assert cdesk.rows("SELECT activity FROM CLAUDE_STREAM_V2 ORDER BY 1") == [["session_started"], ["user_asked"]]
    assert [letter["id"] for letter in cdesk.json("queue", "dead", "list")] == [kept["digest"]]
    assert cdesk.json("queue", "dead", "drop", "--all") == {"dropped": 1}
    assert "No dead letters" in cdesk.text("queue", "dead", "list")


def test_a_letter_must_be_named(cdesk: Cdesk) -> None:
    for wrong in (["show"], ["show", "ffff"], ["drop"]):
        done = cdesk.run("queue", "dead", *wrong)
        assert done.returncode == 2 and b"Traceback" not in done.stderr
