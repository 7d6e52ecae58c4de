"""Who did what is said, counted, followed by what comes later, and taken back, with the service and without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from tests.journeys.cdesk import Cdesk


def _tell(cdesk: Cdesk, *told: tuple[str, str, str | None]) -> None:
    """Activities by id, customer and anonymous id."""
    lines = [
        json.dumps({"activity_id": key, "activity": "tested", "ts": f"2026-03-01T{12 + n:02}:00:00Z", "customer": customer,
                    "feature_json": {}, **({"anonymous_customer_id": machine} if machine else {})})
        for n, (key, customer, machine) in enumerate(told)
    ]  # fmt: skip
    assert json.loads(cdesk.text("emit", stdin="\n".join(lines).encode()))["rejected"] == []


def _customers(cdesk: Cdesk) -> dict[str, str | None]:
    return dict(cdesk.rows("SELECT _identity, customer FROM CLAUDE_STREAM_V2 ORDER BY 1"))


@pytest.mark.parametrize("is_up", [False, True], ids=["alone", "service"])
def test_a_renamed_person_is_one_person(cdesk: Cdesk, is_up: bool) -> None:
    """An alias: counted first, said, said again, followed by what comes later, undone, undone again."""
    if is_up:
        cdesk.up()
    _tell(cdesk, ("1", "ada@old.example", "host_1"), ("2", "ada@example.org", "host_1"), ("3", "bob", None))
    _settle(cdesk, 3)
    said = ("identity", "alias", "ada@old.example", "ada@example.org")
    counts = [{"customer": "ada@example.org", "before": 1, "after": 2}, {"customer": "ada@old.example", "before": 1, "after": 0}]  # fmt: skip
    foretold = cdesk.json(*said, "--dry-run")
    assert (foretold["rows"], foretold["counts"], foretold["operation"]) == (1, counts, None)
    assert cdesk.json("identity", "list") == []

    done = cdesk.json(*said, "--reason", "married")
    assert (done["rows"], done["counts"], done["is_new"]) == (1, counts, True)
    assert "operation 1 says so already" in cdesk.text(*said)
    _tell(cdesk, ("1", "ada@old.example", "host_1"), ("4", "ada@old.example", "host_1"))
    _settle(cdesk, 4)
    assert _customers(cdesk) == {"1": "ada@example.org", "2": "ada@example.org", "3": "bob", "4": "ada@example.org"}

    shown = cdesk.json("identity", "show", "1")
    assert (shown["reason"], shown["is_settled"], bool(shown["said_by"])) == ("married", True, True)
    assert "married" in cdesk.text("identity", "show", "1") and "ada@old.example is" in cdesk.text("identity", "list")
    assert cdesk.json("identity", "undo", "1")["rows"] == 2
    assert _customers(cdesk) == {"1": "ada@old.example", "2": "ada@example.org", "3": "bob", "4": "ada@old.example"}
    assert "was undone before" in cdesk.text("identity", "undo", "1")


def _settle(cdesk: Cdesk, rows: int) -> None:
    """Until the uploader has carried everything over."""
    for _ in range(200):
        if cdesk.rows("SELECT count(*) FROM CLAUDE_STREAM_V2 WHERE activity = 'tested'") == [[rows]]:
            return
    raise AssertionError("the rows never came")


def test_links_removals_and_corrections(cdesk: Cdesk) -> None:
    """A machine changes hands, a robot is removed, one fact was somebody else's."""
    _tell(cdesk, ("1", "root", "host_1"), ("2", "root", "host_1"), ("3", "root", "host_1"), ("4", "robot", "host_2"))
    cdesk.text("identity", "link", "host_1", "ada", "--new", "--at", "2026-03-01T12:00:00Z")
    cdesk.text("identity", "link", "host_1", "bob", "--new", "--at", "2026-03-01T15:29:59+01:00")
    cdesk.text("identity", "remove", "robot")
    [[fact]] = cdesk.rows("SELECT activity_id FROM CLAUDE_STREAM_V2 WHERE _identity = '1'")
    cdesk.text("identity", "correct", fact, "bob")
    assert _customers(cdesk) == {"1": "bob", "2": "ada", "3": "bob", "4": None}
    assert cdesk.rows("SELECT _told_customer FROM CLAUDE_STREAM_V2 WHERE _identity = '4'") == [["robot"]]
    for number in ("2", "4", "1", "3"):
        cdesk.text("identity", "undo", number)
    assert _customers(cdesk) == {"1": "root", "2": "root", "3": "root", "4": "robot"}


@pytest.mark.parametrize("is_up", [False, True], ids=["alone", "service"])
def test_mistakes_are_refused_with_a_remedy(cdesk: Cdesk, is_up: bool) -> None:
    """One line each; nothing is put on record."""
    _tell(cdesk, ("1", "ada@example.org", "host_1"), ("2", "bob", "host_1"))
    if is_up:
        cdesk.up()
        _settle(cdesk, 2)
    cdesk.text("identity", "alias", "ada@example.org", "bob")
    for arguments, remedy in (
        (["alias", "ada@exmaple.org", "bob"], "Did you mean 'ada@example.org'?"),
        (["link", "host_2", "bob"], "Did you mean 'host_1'?"),
        (["remove", "zzzzzz"], "Say --new"),
        (["alias", "bob", "ada@example.org"], "circle: bob → ada@example.org → bob"),
        (["alias", "bob", "bob"], "circle: bob → bob"),
        (["alias", "ada@example.org", "eve", "--new"], "cdesk identity undo 1"),
        (["correct", "nothing", "bob"], "there is no activity 'nothing'"),
        (["link", "host_1", "bob", "--at", "noon"], "is not a time"),
        (["undo", "7"], "there is no operation 7"),
        (["show", "7"], "there is no operation 7"),
        ([], "required"),
    ):
        done = cdesk.run("identity", *arguments)
        assert done.returncode == 2 and remedy in done.stderr.decode(), (arguments, done.stderr.decode())
        assert b"Traceback" not in done.stderr
    assert len(cdesk.json("identity", "list")) == 1


PROGRAM = """
import os, sys
from pathlib import Path
from cdesk import config
from cdesk.activity.resolution import Claim
from cdesk.app import open_app
from cdesk.upkeep.identity import IdentityRequest
from cdesk.warehouse.duckdb import identity
identity.CHUNK_ROWS = 100
app = open_app()
app.uploader.drain()
claim = Claim(kind="alias", subject="ada", customer="bob")
app.identity.act(IdentityRequest(claim=claim, new=True), lambda done, total: print(done, flush=True))
"""


def test_a_rewriting_survives_kill_9(cdesk: Cdesk) -> None:
    """Killed in the middle, some rows are shown the old way; the next command finishes it."""
    lines = [
        {"activity_id": str(n), "activity": "tested", "ts": f"2026-03-01T12:{n // 60 % 60:02}:{n % 60:02}.{n:06}Z",
         "customer": "ada", "feature_json": {}} for n in range(3_000)
    ]  # fmt: skip
    cdesk.text("emit", stdin="\n".join(map(json.dumps, lines)).encode())
    environment = {"PATH": os.environ["PATH"], "HOME": str(cdesk.home.parent), "CDESK_HOME": str(cdesk.home),
                   "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # fmt: skip
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    told = process.stdout.read().splitlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL and len(told) < 27, "it was killed in the middle"
    names = "SELECT customer, count(*) FROM CLAUDE_STREAM_V2 GROUP BY 1 ORDER BY 1"
    [operation] = _operations(cdesk)
    assert operation["is_settled"] and operation["rows_changed"] == 3_000
    assert cdesk.rows(names) == [["bob", 3_000]]


def _operations(cdesk: Cdesk) -> list[dict[str, Any]]:
    return list(cdesk.json("identity", "list"))
