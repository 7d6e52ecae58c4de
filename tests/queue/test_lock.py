"""One owner at a time; a second one learns its name, and a killed one leaves a trace but no lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cdesk.queue.lock import Owned, OwnerLock

HOLDER = """
import sys, time
from pathlib import Path
from cdesk.queue.lock import OwnerLock
lock = OwnerLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
lock.close()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stdout.readline() == "held\n"
    return child


def test_a_second_owner_learns_the_first_ones_name(tmp_path: Path) -> None:
    """Its process id and since when; once it ends, the lock is free and nobody is said to have died."""
    path = tmp_path / "owner.lock"
    with holder(path) as child:
        with pytest.raises(Owned) as refused:
            OwnerLock(path)
        assert refused.value.owner is not None and refused.value.owner.pid == child.pid
        assert refused.value.owner.started_at.startswith("20")
        child.communicate("")
    lock = OwnerLock(path)
    assert lock.died is None
    lock.close()


def test_a_killed_owner_leaves_no_lock_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "owner.lock"
    with holder(path) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        lock = OwnerLock(path)
    assert lock.died is not None and lock.died.pid == child.pid
    lock.close()
    again = OwnerLock(path)
    assert again.died is None
    again.close()


def test_what_somebody_wrote_into_the_file_locks_nobody_out(tmp_path: Path) -> None:
    """The lock is the system's, not the text."""
    path = tmp_path / "owner.lock"
    path.write_bytes(b'{"pid": 1, "nonsense')
    lock = OwnerLock(path)
    assert lock.died is None
    lock.close()
    assert path.stat().st_mode & 0o077 == 0 or path.read_bytes() == b""
