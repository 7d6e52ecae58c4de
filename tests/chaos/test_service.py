"""The whole service is killed under load, and started twice at once: nothing acknowledged is lost, and it comes back."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.chaos.clients import CLIENTS, Clients
from tests.chaos.ledger import Ledger
from tests.chaos.processes import started
from tests.chaos.service import PATIENCE_S, Service, environment, until, up

KILLS = int(os.environ.get("CDESK_SERVICE_KILLS", "3"))
STARTS = int(os.environ.get("CDESK_STARTS_AT_ONCE", "1"))


@pytest.fixture
def home(tmp_path: Path, deployed: Callable[[Path], Path]) -> Path:
    deployed(tmp_path / "home" / "warehouse")
    return tmp_path / "home"


def test_the_service_is_killed_under_load(home: Path) -> None:
    """Clients post activities and hooks all the while, and tell again what was not answered; each restart heals by itself."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    ready_s, delivered_s = [], []
    service = Service(home)
    clients = Clients(home)
    for _ in range(KILLS):
        clients.hear(chance.randint(40, 400))
        service.kill()
        killed = time.monotonic()
        service = Service(home)
        ready_s.append(time.monotonic() - killed)
    clients.hear(100)
    clients.end()
    service.kill()
    killed = time.monotonic()
    service = Service(home)
    until(service.is_drained, "the queue is empty")
    delivered_s.append(time.monotonic() - killed)
    service.stop()
    ledger.offered |= (told := set(clients.told))
    ledger.acknowledged |= told
    ledger.balance(home, f"kill -9 of the service, {KILLS + 1} times, under {len(CLIENTS)} clients")
    print(f"from kill to answering: {_seconds(ready_s)}; from kill to everything delivered: {_seconds(delivered_s)}")
    assert not (home / "service.json").exists()


def _seconds(times: list[float]) -> str:
    times = sorted(times)
    return f"median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s"


def test_of_services_started_at_once_one_runs(home: Path) -> None:
    """The others say so in one line and end; when the winner is killed, the next one starts over what it left behind."""
    ledger = Ledger()
    for number in range(STARTS):
        processes = [up(home) for _ in range(3)]
        until(lambda: sum(one.poll() is None for one in processes) == 1, "all but one have ended")  # noqa: B023
        [winner] = [one for one in processes if one.poll() is None]
        losers = [one for one in processes if one is not winner]
        for loser in losers:
            said = b"".join(loser.communicate())
            assert said.count(b"\n") == 1, said
            if loser.returncode == 0:
                assert said.startswith(b"Already running (pid %d, " % winner.pid)
            else:
                assert loser.returncode == 1 and b"carries the queue of" in said, said
        service = Service(home, winner)
        body = b'{"activity_id":"s%d","activity":"survived","ts":"2026-03-01T12:00:00Z","customer":"ada","feature_json":{}}'
        assert b'"accepted":1' in service.ask("/v1/activities", body % number)
        ledger.offered.add(f"s{number}")
        ledger.acknowledged.add(f"s{number}")
        service.kill()
        assert service.record()["pid"] == winner.pid  # left behind, and of no weight
    service = Service(home)
    until(service.is_drained, "the queue is empty")
    service.stop()
    ledger.balance(home, f"3 services started at once, {STARTS} times, the winner killed")


AS_BEFORE = """
import os, sys
os.makedirs(os.environ["CDESK_HOME"], exist_ok=True)
with open(os.environ["CDESK_HOME"] + "/service.json", "w") as file:
    file.write('{"pid":%d,"port":1,"started_at":"2026-03-01T12:00:00"}' % os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "cdesk", "up", "--port", "0"])
"""


def test_a_service_does_not_take_itself_for_its_killed_predecessor(home: Path) -> None:
    """In a container each start has the same pid, and the last one's `service.json` names it."""
    process = started([sys.executable, "-c", AS_BEFORE], stderr=subprocess.PIPE, env=environment(home))
    assert process.stdout is not None
    first = process.stdout.readline().decode()
    assert first.startswith("cdesk is running on"), first
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
