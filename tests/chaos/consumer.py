"""A process that carries the queue into the warehouse in small steps, until somebody kills it.

python consumer.py HOME             prints how many lines each step moved, for ever
python consumer.py HOME --once      says "ready", waits for a line on standard input, ends when nothing is left; what
                                    fails is tried again, and its reason told on standard error

Words go by `writev` and `readv`, so that whoever injects faults into `write` and `read` meets only what is for the disk.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from cdesk.errors import QueueError, WarehouseError
from cdesk.queue import DeadLetters, Reader
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

TRIES_MAX = 100


@dataclass(frozen=True)
class Carrier:
    uploader: Uploader
    warehouse: DuckDBWarehouse

    def drain(self) -> None:
        self.uploader.drain()


def uploader(home: Path) -> Carrier:
    dead = DeadLetters(home / "dead")
    warehouse = DuckDBWarehouse(home / "warehouse")
    warehouse.open_for_writing()
    return Carrier(Uploader(Reader(home / "queue", "warehouse", dead), warehouse, dead), warehouse)


def say(text: str, to: int = 1) -> None:
    os.writev(to, [text.encode() + b"\n"])


def once(carrying: Carrier) -> None:
    say("ready")
    os.readv(0, [bytearray(1)])
    for _ in range(TRIES_MAX):
        try:
            while moved := carrying.uploader.step(7):
                say(str(moved))
            return
        except (WarehouseError, QueueError) as error:
            say(str(error), to=2)
    sys.exit(f"still failing after {TRIES_MAX} tries")


def main(home: str, *options: str) -> None:
    carrying = uploader(Path(home))
    if "--once" in options:
        once(carrying)
        return
    while True:
        say(str(carrying.uploader.step(7)))


if __name__ == "__main__":
    main(*sys.argv[1:])
