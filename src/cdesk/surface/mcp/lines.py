"""Lines of standard input, until it ends or a signal comes.

A signal that comes just before a read begins does not interrupt it, and Python runs its handlers only between two steps of
its own: who sits in `readline` may never hear of it. So here the read is waited for together with a pipe, into which the
interpreter's own C handler writes (`signal.set_wakeup_fd`).
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

READ_BYTES = 64 * 1024


class Lines:
    """wakeup: where a signal is to write · line_bytes_max: of a longer line None is given, and none of it is kept"""

    def __init__(self, handle: int, line_bytes_max: int) -> None:
        self._handle = handle
        self._line_bytes_max = line_bytes_max
        self._woken, self.wakeup = os.pipe()
        os.set_blocking(self.wakeup, False)

    def __iter__(self) -> Iterator[bytes | None]:
        kept = bytearray()
        is_too_long = False
        while part := self._read():
            *ended, rest = part.split(b"\n")
            for piece in ended:
                is_too_long = is_too_long or len(kept) + len(piece) > self._line_bytes_max
                yield None if is_too_long else bytes(kept + piece)
                kept.clear()
                is_too_long = False
            kept += rest
            if len(kept) > self._line_bytes_max:
                is_too_long = True
                kept.clear()
        if kept:
            yield bytes(kept)

    def _read(self) -> bytes:
        """Nothing, at the end or after a signal."""
        ready, _, _ = select.select([self._handle, self._woken], [], [])
        return b"" if self._woken in ready else os.read(self._handle, READ_BYTES)

    def close(self) -> None:
        os.close(self._woken)
        os.close(self.wakeup)
