"""System calls of real processes fail, or are the last thing the process does: nothing acknowledged is lost.

PRODUCER and UPLOADER name the calls in the path append → rotate → deliver → mark, and for each which ones to hit, counted
from the first batch on, so that every one of PRODUCER_PLACES and UPLOADER_PLACES is hit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from tests.chaos.clients import Clients
from tests.chaos.injection import Fault, Injection, command, obstacle
from tests.chaos.ledger import Ledger
from tests.chaos.processes import Process, go, hear, numbers, start
from tests.chaos.producer import lines, names
from tests.chaos.service import Service, until

from cdesk.queue import Writer

REACH = int(os.environ.get("CDESK_INJECTION_REACH", "0"))
"""How many more calls of each kind are hit, one by one."""

AGAIN = 17
"""An error comes back after so many calls: more than one whole step of an uploader makes, so that trying again helps."""

Calls = Mapping[str, tuple[int, ...]]

PRODUCER: Calls = {
    "write": (1, 2), "fdatasync": (1, 2), "fsync": (1,), "openat": (1, 2, 3), "link": (1,), "unlink": (1,), "flock": (1,),
}  # fmt: skip
PRODUCER_PLACES = {
    "write segment", "fdatasync segment", "openat new segment", "flock new segment", "link new segment",
    "unlink new segment", "openat queue folder", "fsync queue folder",
}  # fmt: skip
UPLOADER: Calls = {
    "write": (1, 2, 3, 4), "fdatasync": (1, 2), "fsync": (1,), "openat": (1, 2, 3, 4, 5, 6, 7, 8, 9), "rename": (1,), "unlink": (1,),
    "read": (1, 2), "pwrite64": (1,),
}  # fmt: skip
UPLOADER_PLACES = {
    "openat segment", "read segment", "write warehouse log", "fdatasync warehouse log", "openat offset", "write offset",
    "fdatasync offset", "rename offset", "openat offsets folder", "fsync offsets folder", "unlink segment",
}  # fmt: skip
BATCHES = 8

needs_strace = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))


def faults(calls: Calls) -> Iterator[Fault]:
    """Each call at each place fails (with EIO and ENOSPC in turn), and is the last one of a process that is killed."""
    for call, places in calls.items():
        for number, place in enumerate((*places, *range(places[-1] + 1, places[-1] + 1 + REACH))):
            yield Fault(("EIO", "ENOSPC")[number % 2], call, f"{place}+{AGAIN}")
            yield Fault("SIGKILL", call, str(place))


class Run:
    """One home; each fault meets a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = Ledger()
        self.hits: Counter[str] = Counter()
        self._numbers = count()

    def producer(self, fault: Fault) -> None:
        name = f"p{next(self._numbers)}"
        process = start(
            "producer.py", self.home, name, "--gate", "--segment", 15_000, "--batches", BATCHES, "--retries", 5,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        said = self._through(process, fault)
        assert said == list(range(len(said)))
        self.ledger.offered.update(*(names(name, batch) for batch in range(BATCHES)))
        self.ledger.acknowledged.update(*(names(name, batch) for batch in said))

    def uploader(self, fault: Fault) -> None:
        self.fill()
        self._through(start("consumer.py", self.home, "--once", stderr=subprocess.DEVNULL), fault)

    def fill(self) -> None:
        """Two segments more."""
        name = f"f{next(self._numbers)}"
        writer = Writer(self.home / "queue", segment_bytes_max=15_000)
        for batch in range(4):
            writer.append(lines(name, batch))
            self.ledger.offered.update(names(name, batch))
            self.ledger.acknowledged.update(names(name, batch))
        writer.close()

    def _through(self, process: Process, fault: Fault) -> list[int]:
        """Lets the process do its work with the fault in it; gives back what it said."""
        hear(process, "ready")
        injection = Injection(process.pid, fault, self.home / "strace")
        go(process)
        said = process.communicate()[0]
        self.hits.update(injection.end())
        is_killed = fault.what == "SIGKILL" and process.returncode == -signal.SIGKILL
        assert is_killed or process.returncode == 0, f"{fault}: the process ended with {process.returncode}"
        return numbers(said)

    def balance(self, what: str, places: set[str]) -> None:
        hits = ", ".join(f"{place} {times}" for place, times in sorted(self.hits.items()))
        self.ledger.balance(self.home, f"{what} ({hits})")
        assert places <= self.hits.keys(), f"never hit: {sorted(places - self.hits.keys())}"


@pytest.fixture
def run(tmp_path: Path, deployed: Callable[[Path], Path]) -> Run:
    deployed(tmp_path / "warehouse")
    return Run(tmp_path)


@needs_strace
def test_a_producer_whose_disk_fails_acknowledges_only_what_is_safe(run: Run) -> None:
    """What is refused can be appended again, by the same process, at once."""
    for fault in faults(PRODUCER):
        run.producer(fault)
    run.balance("EIO, ENOSPC and SIGKILL in producers", PRODUCER_PLACES)


@needs_strace
def test_an_uploader_whose_disk_fails_goes_on_by_itself(run: Run) -> None:
    """Reading, merging and marking are tried again and come right, in the same process, also when DuckDB has given up."""
    for fault in faults(UPLOADER):
        run.uploader(fault)
    run.balance("EIO, ENOSPC and SIGKILL in uploaders", UPLOADER_PLACES)


EMITTED = (
    ("fsync", "1"),
    ("link", "1"),
    ("flock", "1"),
    ("link", "2"),
    ("fsync", "2"),
    ("fdatasync", "1"),
    ("unlink", "1"),
)
"""The first link and fsync make the home's key, the second ones the segment."""


@needs_strace
def test_emit_says_ok_only_when_it_is_safe(run: Run) -> None:
    """The command itself, as at its first start, when the home's key is made. It ends with one line or is killed, and
    can be called again."""
    cases = [Fault(what, call, when) for what in ("EIO", "ENOSPC", "SIGKILL") for call, when in EMITTED]
    for number, fault in enumerate(cases if REACH else cases[::4]):
        (run.home / "key").unlink(missing_ok=True)
        run.ledger.offered.add(f"e{number}")
        done = emit(run.home, f"e{number}", *command(fault, run.home / "strace"))
        assert (done.returncode, done.stderr.count(b"\n")) in ((1, 1), (75, 1), (-signal.SIGKILL, 0)), done
        assert done.stdout == b""
        assert emit(run.home, f"e{number}").stdout == b'{"accepted":1,"rejected":[]}\n'
        run.ledger.acknowledged.add(f"e{number}")
        assert len((run.home / "key").read_bytes()) == 32
        run.ledger.faults["emit"] += 1
    run.ledger.balance(run.home, f"EIO, ENOSPC and SIGKILL in {run.ledger.faults['emit']} × cdesk emit")


def emit(home: Path, name: str, *tracer: str) -> subprocess.CompletedProcess[bytes]:
    given = f'{{"activity":"survived","activity_id":"{name}","ts":"2026-03-01T12:00:00Z","customer":"ada","feature_json":{{}}}}'
    return subprocess.run(
        [*tracer, sys.executable, "-m", "cdesk", "emit"], input=given.encode(), capture_output=True, check=False,
        env={**os.environ, "CDESK_HOME": str(home)},
    )  # fmt: skip


@needs_strace
def test_a_running_service_whose_disk_fails_goes_on_by_itself(run: Run) -> None:
    """In all its threads at once, under clients that tell again what was not acknowledged; never started anew. (`write`
    fails for the warehouse's log only: it is also what wakes a thread, and no disk does that.)"""
    log = run.home / "warehouse" / "warehouse.duckdb.wal"
    service = Service(run.home)
    clients = Clients(run.home)
    for fault in (
        Fault("EIO", "fdatasync", "2+5"), Fault("ENOSPC", "fdatasync", "3+5"), Fault("EIO", "openat", "3+5"),
        Fault("ENOSPC", "write", "2+7", log), Fault("EIO", "fdatasync", "2+7", log),
    ):  # fmt: skip
        injection = Injection(service.process.pid, fault, run.home / "strace")
        injection.strike(2 + REACH)
        run.hits.update(injection.detach())
    clients.hear(10)
    clients.end()
    until(service.is_drained, "the queue is empty")
    service.stop()
    run.ledger.offered |= (told := set(clients.told))
    run.ledger.acknowledged |= told
    run.balance(
        "EIO and ENOSPC in the running service", {"fdatasync segment", "write warehouse log", "fdatasync warehouse log"}
    )
