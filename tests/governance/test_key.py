"""A home has one key, whole, whoever makes it and however that went."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cdesk.errors import CdeskError
from cdesk.governance.key import KEY_BYTES, load_or_make_key

AT_ONCE = """
import sys
from pathlib import Path
from cdesk.governance.key import load_or_make_key
sys.stdin.readline()
print(load_or_make_key(Path(sys.argv[1])).hex())
"""


def test_it_is_made_once(tmp_path: Path) -> None:
    """Readable by its owner only; nothing else is left in the folder."""
    made = load_or_make_key(tmp_path / "key")
    assert len(made) == KEY_BYTES and made != bytes(KEY_BYTES)
    assert load_or_make_key(tmp_path / "key") == made
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_processes_starting_at_once_agree(tmp_path: Path) -> None:
    """None of them reads what another has only begun to write."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(tmp_path / "key")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    said = {process.communicate()[0].strip() for process in processes}
    assert said == {load_or_make_key(tmp_path / "key").hex().encode()}


@pytest.mark.parametrize("begun", [b"", b"half"])
def test_one_that_was_never_finished_is_made_anew(tmp_path: Path, begun: bytes) -> None:
    """A full disk or a kill left it short; a key of zeros would be everybody's."""
    (tmp_path / "key").write_bytes(begun)
    made = load_or_make_key(tmp_path / "key")
    assert len(made) == KEY_BYTES and made.strip(b"\0") and load_or_make_key(tmp_path / "key") == made


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CdeskError, match=r"cannot make .*key"):
        load_or_make_key(tmp_path / "key")


def test_no_folder_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CdeskError, match=r"cannot make .*key"):
        load_or_make_key(tmp_path / "missing" / "key")
