"""Several `client.py` at once, and what was acknowledged to them so far."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.chaos.processes import Process, start
from tests.chaos.service import PATIENCE_S, until

CLIENTS = ("activities", "activities", "activities", "hooks")


class Clients:
    """Processes that post, each heard by a thread of its own, until they are told to end."""

    def __init__(self, home: Path) -> None:
        self.told: list[str] = []
        self._processes = [start("client.py", home, f"c{n}", kind) for n, kind in enumerate(CLIENTS)]
        self._threads = [threading.Thread(target=self._listen, args=(process,)) for process in self._processes]
        for thread in self._threads:
            thread.start()

    def hear(self, more: int) -> None:
        """Waits until so many things more are acknowledged."""
        wanted = len(self.told) + more
        until(lambda: len(self.told) >= wanted, f"clients have told {more} things more")

    def end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert [process.wait(PATIENCE_S) for process in self._processes] == [0] * len(self._processes)

    def _listen(self, process: Process) -> None:
        assert process.stdout is not None
        with process.stdout:
            self.told += (line.decode().strip() for line in process.stdout)
