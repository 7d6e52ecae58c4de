"""Lines as they come, whatever pieces they come in; a signal ends them at once."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cdesk.surface.mcp.lines import Lines


def _lines(pieces: list[bytes], most: int, *, is_woken: bool = False) -> list[bytes | None]:
    out, into = os.pipe()
    lines = Lines(out, most)
    found: list[bytes | None] = []
    told = iter(lines)
    try:
        if is_woken:
            os.write(lines.wakeup, b"\x02")
        for piece in pieces:
            os.write(into, piece)
        os.close(into)
        found = list(told)
    finally:
        lines.close()
        os.close(out)
    return found


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(4, 60))
def test_lines_are_whole_however_they_come(pieces: list[bytes], most: int) -> None:
    """As `split` tells them; those that are too long are told as such, and the next is whole again."""
    *ended, rest = b"".join(pieces).split(b"\n")
    expected = [line if len(line) <= most else None for line in ended]
    found = _lines(pieces, most)
    assert found[: len(ended)] == expected
    assert found[len(ended) :] == ([rest] if rest and len(rest) <= most else [])


def test_a_signal_ends_them() -> None:
    """Also one that came before anybody waited; what was not read is nobody's."""
    assert _lines([b"a\nb\n"], 10, is_woken=True) == []


def test_files_are_read_like_pipes(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"a\nb")
    handle = os.open(path, os.O_RDONLY)
    lines = Lines(handle, 10)
    assert list(lines) == [b"a", b"b"]
    lines.close()
    os.close(handle)
