"""What a killed process left is found by looking at one byte a segment, and every byte can be proven."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.queue.lines import Hands, line, torn

from cdesk.queue import Writer
from cdesk.queue.recovery import survey, verify


def _queue(folder: Path) -> list[Path]:
    """Three closed segments: whole, damaged in the middle, torn at the end."""
    hands = Hands()
    for content in ([line("a")], [line("b"), line("c"), line("d")], [line("e")]):
        hands.pass_(1)
        writer = Writer(folder, clock=hands.clock)
        writer.append(content)
        writer.close()
    paths = sorted(folder.glob("*.ndjson"))
    damaged = bytearray(paths[1].read_bytes())
    damaged[len(line("b")) + 5] ^= 1
    paths[1].write_bytes(damaged)
    with paths[2].open("ab") as file:
        file.write(torn(line("f")))
    return paths


def test_a_start_finds_what_waits_and_what_is_torn(tmp_path: Path) -> None:
    paths = _queue(tmp_path)
    found = survey(tmp_path, {})
    assert (found.segments, found.torn, found.owned) == (3, 1, 0)
    assert found.bytes == sum(path.stat().st_size for path in paths)
    read = {path.name: path.stat().st_size for path in paths}
    assert survey(tmp_path, read).bytes == 0 and survey(tmp_path, read).torn == 0


def test_a_living_writer_is_not_torn(tmp_path: Path) -> None:
    """It may be in the middle of a line."""
    writer = Writer(tmp_path)
    writer.append([line("a")])
    with next(tmp_path.glob("*.ndjson")).open("ab") as file:
        file.write(b"half")
    found = survey(tmp_path, {})
    assert (found.owned, found.torn) == (1, 0)
    writer.close()


def test_what_never_got_its_name_is_cleared_away(tmp_path: Path) -> None:
    """But not the one that somebody is making just now."""
    old, young = (tmp_path / f"{'0' * 19}{n}-00000000.ndjson.new" for n in (1, 2))
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - 3_600,) * 2)
    assert survey(tmp_path, {}).unnamed == 1
    assert not old.exists() and young.exists()


def test_every_line_can_be_proven(tmp_path: Path) -> None:
    """Nothing is changed by looking."""
    paths = _queue(tmp_path)
    before = [path.read_bytes() for path in paths]
    found = verify(tmp_path)
    assert (found.segments, found.lines, found.damaged, found.torn) == (3, 4, 1, 1)
    assert found.bytes == sum(map(len, before)) and [path.read_bytes() for path in paths] == before
