"""A disk that is really full: producers are refused in one clear line, and when there is room again everything goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.chaos.ledger import Ledger, drain
from tests.chaos.processes import numbers, start
from tests.chaos.producer import names
from tests.chaos.service import Service, environment, until

ROUNDS = int(os.environ.get("CDESK_FULL_DISKS", "1"))
DISK_BYTES = 48 * 1024 * 1024
ROOM_BYTES = 36 * 1024 * 1024
NO_ROOM = b"no space left. Free some disk space.\n"


class SmallDisk:
    """A tmpfs of its own, and a file on it that takes away what should not be free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, free: int) -> None:
        self.make_room()
        found = os.statvfs(self.folder)
        with self._filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_bsize - free)

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", str(folder)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def cdesk(home: Path, command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cdesk", *command.split()], input=given, capture_output=True, check=False, timeout=60,
        env=environment(home),
    )  # fmt: skip


def activity(name: str) -> bytes:
    text = "x" * 20_000
    return (
        f'{{"activity_id":"{name}","activity":"survived","ts":"2026-03-01T12:00:00Z","customer":"ada",'
        f'"feature_json":{{"text":"{text}"}}}}'
    ).encode()


def test_producers_fill_the_disk(disk: SmallDisk, deployed: Callable[[Path], Path]) -> None:
    """Each is refused at some append, in the middle of a line perhaps; what it was told "ok" for is delivered later."""
    home, ledger = disk.folder / "home", Ledger()
    deployed(home / "warehouse")
    for number in range(ROUNDS):
        disk.leave(DISK_BYTES - ROOM_BYTES)
        who = [f"{number}.{n}" for n in range(3)]
        producers = [start("producer.py", home, name, stderr=subprocess.PIPE) for name in who]
        for name, process in zip(who, producers, strict=True):
            said, told = process.communicate()
            batches = numbers(said)
            assert process.returncode == 1 and told.endswith(NO_ROOM) and told.count(b"\n") == 1, told
            ledger.acknowledged.update(*(names(name, batch) for batch in batches))
            ledger.offered.update(*(names(name, batch) for batch in range(len(batches) + 1)))
        disk.leave(0)
        refused = cdesk(home, "emit", activity("never"))
        assert refused.returncode in (1, 75) and refused.stderr.count(b"\n") == 1 and b"space" in refused.stderr, (
            refused
        )
        refused = cdesk(home, "up --port 0")
        assert refused.returncode in (1, 75) and refused.stderr.count(b"\n") == 1 and b"space" in refused.stderr, (
            refused
        )
        disk.make_room()
        drain(home)
    ledger.balance(home, f"disk filled by producers, {ROUNDS} times")


def test_the_first_start_of_all_finds_a_full_disk(disk: SmallDisk) -> None:
    """Neither key nor warehouse can be made. Nothing half-made stays: with room, both start as if new."""
    home, ledger = disk.folder / "home", Ledger({"first"}, {"first"})
    disk.leave(0)
    for command in ("emit", "up --port 0"):
        refused = cdesk(home, command, activity("first"))
        assert refused.returncode in (1, 75) and refused.stderr.count(b"\n") == 1 and b"space" in refused.stderr, (
            refused
        )
    for free in (8_192, 200_000):  # a little further each time
        disk.leave(free)
        refused = cdesk(home, "up --port 0")
        assert refused.returncode in (1, 75) and refused.stderr.count(b"\n") == 1, refused
    disk.make_room()
    assert cdesk(home, "emit", activity("first")).returncode == 0
    service = Service(home)
    until(service.is_drained, "the queue is empty")
    service.stop()
    ledger.balance(home, "first start on a full disk, then with room")


def test_the_disk_fills_under_the_running_service(disk: SmallDisk, deployed: Callable[[Path], Path]) -> None:
    """First the warehouse finds no room and the queue grows, then the queue finds none and says so (507); with room,
    the same process delivers everything, nobody needs to start it anew."""
    home, ledger = disk.folder / "home", Ledger()
    deployed(home / "warehouse")
    service = Service(home)
    for number in range(ROUNDS):
        disk.leave(400_000)
        posted, refusal = 0, ""
        while not refusal:
            name = f"{number}-{posted}"
            ledger.offered.add(name)
            try:
                service.ask("/v1/activities", activity(name))
                ledger.acknowledged.add(name)
            except HTTPError as error:
                assert error.code == 507
                refusal = error.read().decode()
            posted += 1
        assert "no space left. Free some disk space." in refusal and "\n" not in refusal
        disk.leave(0)
        assert not service.is_drained()
        disk.make_room()
        until(service.is_drained, "the queue is empty")
    service.stop()
    ledger.balance(home, f"disk full under the running service, {ROUNDS} times")
