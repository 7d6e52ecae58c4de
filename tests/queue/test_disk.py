"""The few things done to a disk: whole, locked and durable."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.queue.hostile_disk import Fault, HostileDisk

from cdesk.errors import QueueError
from cdesk.queue.disk import Disk


def test_a_new_file_is_owned_until_it_is_closed(tmp_path: Path) -> None:
    """By a living process; a lock dies with its holder."""
    disk = Disk()
    handle = disk.create(tmp_path / "a")
    assert disk.is_owned(tmp_path / "a")
    disk.close(handle)
    assert not disk.is_owned(tmp_path / "a")
    assert not disk.is_owned(tmp_path / "missing")


def test_a_file_has_its_name_only_once_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that found it unowned would take its writer for dead."""
    seen: list[list[str]] = []
    real = __import__("fcntl").flock

    def watched(handle: int, how: int) -> None:
        seen.append([path.name for path in tmp_path.glob("*.ndjson")])
        real(handle, how)

    monkeypatch.setattr("cdesk.queue.disk.fcntl.flock", watched)
    Disk().create(tmp_path / "a.ndjson")
    assert seen == [[]]
    assert (tmp_path / "a.ndjson").exists()


def test_an_existing_file_is_never_taken_over(tmp_path: Path) -> None:
    """Not even an empty one."""
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(QueueError):
        Disk().create(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_could_not_be_made_durable_leaves_nothing_behind(tmp_path: Path) -> None:
    """No name, and no descriptor that holds a lock for ever."""
    disk = HostileDisk()
    open_before = _open_files()
    disk.fault = Fault("sync_folder", "error")
    with pytest.raises(QueueError):
        disk.create(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    assert _open_files() == open_before


def _open_files() -> int:
    known = Path("/proc/self/fd")
    return len(list(known.iterdir())) if known.exists() else 0


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The old content or the new, nothing between."""
    disk = HostileDisk()
    disk.replace(tmp_path / "a", b"old")
    disk.fault = Fault("append", "full", part=0.5)
    with pytest.raises(QueueError):
        disk.replace(tmp_path / "a", b"new and longer")
    assert (tmp_path / "a").read_bytes() == b"old"
    disk.replace(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize(
    "act",
    [
        lambda disk, path: disk.folder(path),
        lambda disk, path: disk.create(path / "a"),
        lambda disk, path: disk.replace(path / "a", b""),
        lambda disk, path: disk.sync_folder(path),
        lambda disk, path: disk.remove(path / "a"),
        lambda disk, path: disk.is_owned(path / "a"),
    ],
    ids=["folder", "create", "replace", "sync_folder", "remove", "is_owned"],
)
def test_every_failure_is_the_queues_own(tmp_path: Path, act: object) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(QueueError, match="could not"):
        act(Disk(), tmp_path / "file")  # type: ignore[operator]
