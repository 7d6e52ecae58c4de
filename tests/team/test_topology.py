"""Real services: a laptop and its collector, either of them killed in the middle; what was acknowledged arrives once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import blank
from tests.journeys.cdesk import Cdesk
from tests.team.collector import ADA, facts, free_port

ROUNDS, EACH = 3, 400


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Cdesk, Cdesk]]:
    """The laptop, and the collector."""
    made = []
    for name in ("laptop", "collector"):
        blank.put(tmp_path / name / "home" / "warehouse")
        (tmp_path / name / "claude" / "projects").mkdir(parents=True)
        made.append(Cdesk(tmp_path / name / "home", tmp_path / name / "claude"))
    yield made[0], made[1]
    for one in made:
        one.down()


def emit(laptop: Cdesk, first: int) -> None:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in facts(EACH, first=first))
    assert f"{EACH}" in laptop.text("emit", stdin=lines)


def arrived(collector: Cdesk) -> list[int]:
    found = collector.rows(f"SELECT COUNT(*), COUNT(DISTINCT activity_id) FROM CLAUDE_STREAM_V2 WHERE customer = '{ADA}' AND activity = 'note_taken'")  # fmt: skip
    return list(found[0])


def test_a_laptop_and_its_collector_killed_in_turn(homes: tuple[Cdesk, Cdesk]) -> None:
    """invite, join, up; then neither loses anything the other has not got."""
    laptop, collector = homes
    port = free_port()
    door = ("up", "--detach", "--port", "0", "--role", "collector", "--listen", f"127.0.0.1:{port}")
    (laptop.home / "config.toml").write_text(f'[person]\ncustomer = "{ADA}"\n')
    told = collector.text(*door)
    assert f"It collects at http://127.0.0.1:{port}; nobody is invited yet" in told
    token = collector.text("collector", "invite", ADA, "--org", "acme")
    joined = laptop.text("collector", "join", f"http://127.0.0.1:{port}", stdin=token.encode())
    assert "proved to be your collector" in joined
    assert (laptop.home / "collector.token").stat().st_mode & 0o077 == 0
    laptop.up()
    for number in range(ROUNDS):
        emit(laptop, number * EACH)
        victim = (laptop, collector)[number % 2]
        os.kill(victim.json("status")["pid"], signal.SIGKILL)
        emit(laptop, (ROUNDS + number) * EACH)
        victim.text(*(door if victim is collector else ("up", "--detach", "--port", "0")))
    wanted = 2 * ROUNDS * EACH
    deadline = time.monotonic() + 60
    while arrived(collector) != [wanted, wanted] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert arrived(collector) == [wanted, wanted]
    assert laptop.json("status")["forward"]["trouble"] is None
    listed = collector.json("collector", "list")["laptops"]
    assert [(one["name"], one["org_id"], one["accepted"] > 0) for one in listed] == [(ADA, "acme", True)]
    assert "sends to http" in laptop.run("doctor").stdout.decode()
    assert listed[0]["refused"] == 0


def test_mistakes_are_told_in_one_line(homes: tuple[Cdesk, Cdesk]) -> None:
    """And nothing is kept of them."""
    laptop, _ = homes
    for arguments, stdin, why in (
        (("collector", "join", "http://127.0.0.1:1"), b"nonsense\n", "standard input has no invitation's token"),
        (("collector", "join", "http://127.0.0.1:1"), b"ada." + b"A" * 43 + b"\n", "cannot be reached"),
        (("collector", "join"), b"", "say which address to join"),
        (("collector", "leave"), b"", "this laptop sends to no collector"),
        (("collector", "revoke", "bob"), b"", "bob is not invited"),
        (("up", "--listen", "127.0.0.1:1"), b"", "are for --role collector"),
        (("up", "--role", "collector", "--listen", "0.0.0.0:1"), b"", "can be reached by others"),
    ):
        done = laptop.run(*arguments, stdin=stdin)
        said = done.stderr.decode()
        assert done.returncode in (1, 2) and why in said and len(said.splitlines()) == 1, said
    assert not (laptop.home / "collector.token").exists()
    assert "Nobody is invited yet" in laptop.text("collector", "list")
