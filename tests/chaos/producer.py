"""A process that appends and says what was acknowledged, until somebody kills it.

python producer.py HOME NAME [options]    prints the number of each acknowledged batch, one a line, unbuffered

--batches N        ends after so many
--gate             says "ready" and waits for a line on standard input before the first
--clock FILE       the wall clock is wrong by as many seconds as stand in the file
--segment BYTES    size of a segment
--retries N        what is refused is tried again so often, its reason told on standard error

Words go by `writev` and `readv`, so that whoever injects faults into `write` and `read` meets only what is for the disk.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from cdesk.activity.codec import encode
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import QueueError
from cdesk.queue import Writer

BATCH = 3


def names(name: str, batch: int) -> list[str]:
    return [f"{name}-{batch}-{n}" for n in range(BATCH)]


def lines(name: str, batch: int) -> list[bytes]:
    return [
        encode(Activity(
            activity_id=activity_id("given", identity), identity=identity,
            ts=datetime.now(UTC), activity="survived", customer="ada", feature_json={"text": "x" * (n * 2_000)},
            source="api",
        ))
        for n, identity in enumerate(names(name, batch))
    ]  # fmt: skip


def wrong_clock(file: Path) -> Clock:
    return Clock(now_ns=lambda: time.time_ns() + int(file.read_text()) * 1_000_000_000)


def say(text: str, to: int = 1) -> None:
    os.writev(to, [text.encode() + b"\n"])


def append(writer: Writer, batch: list[bytes], retries: int) -> None:
    for left in reversed(range(retries + 1)):
        try:
            writer.append(batch)
            return
        except QueueError as error:
            say(str(error), to=2)
            if not left:
                raise SystemExit(1) from None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("name")
    parser.add_argument("--batches", type=int)
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--segment", type=int, default=60_000)
    parser.add_argument("--retries", type=int, default=0)
    given = parser.parse_args()
    clock = wrong_clock(given.clock) if given.clock else SYSTEM_CLOCK
    writer = Writer(given.home / "queue", segment_bytes_max=given.segment, clock=clock)
    if given.gate:
        say("ready")
        os.readv(0, [bytearray(1)])
    for batch in count() if given.batches is None else range(given.batches):
        append(writer, lines(given.name, batch), given.retries)
        say(str(batch))
    writer.close()


if __name__ == "__main__":
    main()
