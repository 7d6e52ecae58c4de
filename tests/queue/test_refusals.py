"""What was turned away is counted, by any process, without any room on the disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdesk.capture import hook_command
from cdesk.queue.refusals import Refusals, Refused


def test_counts_add_up_and_outlive_their_process(tmp_path: Path) -> None:
    refusals = Refusals(tmp_path / "refused")
    refusals.count("hook")
    refusals.count("otel", 340)
    refusals.close()
    again = Refusals(tmp_path / "refused")
    again.count("hook")
    assert again.read() == {"hook": Refused(2, 0), "otel": Refused(340, 0)}
    again.close()


def test_what_was_told_is_remembered(tmp_path: Path) -> None:
    """And what came in the meantime is not taken for told."""
    refusals = Refusals(tmp_path / "refused")
    refusals.count("hook", 3)
    seen = refusals.read()
    refusals.count("hook", 2)
    refusals.tell(seen)
    assert refusals.read()["hook"] == Refused(5, 3) and refusals.read()["hook"].untold == 2
    refusals.close()


def test_counting_adds_no_byte(tmp_path: Path) -> None:
    """A full disk has none to give; the file can be read with `cat`."""
    path = tmp_path / "refused"
    refusals = Refusals(path)
    size = path.stat().st_size
    for _ in range(1_000):
        refusals.count("otel", 10**9)
    assert path.stat().st_size == size
    assert path.read_text().splitlines()[1] == f"otel {10**12:020d} {0:020d}"
    refusals.close()


def test_processes_do_not_lose_each_others_counts(tmp_path: Path) -> None:
    """Four at once, 500 each."""
    path = tmp_path / "refused"
    Refusals(path).close()
    program = "import sys\nfrom pathlib import Path\nfrom cdesk.queue.refusals import Refusals\n" \
              "r = Refusals(Path(sys.argv[1]))\nfor _ in range(500): r.count('hook')"  # fmt: skip
    children = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert Refusals(path).read()["hook"].refused == 2_000


@pytest.mark.parametrize("damage", [b"", b"hook", b"x" * 94])
def test_a_damaged_file_is_no_failure(tmp_path: Path, damage: bytes) -> None:
    """Counting a loss must not cause another."""
    path = tmp_path / "refused"
    path.write_bytes(damage)
    refusals = Refusals(path)
    refusals.count("hook")
    refusals.read()
    refusals.close()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KB with a count on it and no byte left."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small disk")
    try:
        Refusals(tmp_path / "refused").close()
        with pytest.raises(OSError, match="No space left"), (tmp_path / "rest").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1_024)
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_full_disk_is_counted_on(full_disk: Path) -> None:
    """By the service, and by the command hook that cannot even keep the bare facts; neither leaves half a file."""
    refusals = Refusals(full_disk / "refused")
    refusals.count("otel", 5)
    hook_command.keep(bytes(full_disk), b'{"hook_event_name":"Stop","session_id":"s"}', 1)
    assert refusals.read() == {"hook": Refused(1, 0), "otel": Refused(5, 0)}
    refusals.close()
    assert list((full_disk / "spool").glob("*")) == []
