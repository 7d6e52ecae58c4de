"""A process that carries the queue into the warehouse for ever, in small steps, until somebody kills it.

python consumer.py HOME             prints how many lines each step moved
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cdesk.queue import DeadLetters, Reader
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse


def uploader(home: Path) -> Uploader:
    dead = DeadLetters(home / "dead")
    return Uploader(Reader(home / "queue", "warehouse", dead), DuckDBWarehouse(home / "warehouse"), dead)


def main(home: str) -> None:
    carrying = uploader(Path(home))
    while True:
        os.write(1, b"%d\n" % carrying.step(7))


if __name__ == "__main__":
    main(*sys.argv[1:])
