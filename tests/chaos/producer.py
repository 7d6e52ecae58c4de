"""A process that appends for ever and says what was acknowledged, until somebody kills it.

python producer.py HOME NAME        prints the number of each acknowledged batch, one a line, unbuffered
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from cdesk.activity.codec import encode
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity
from cdesk.queue import Writer

BATCH = 3


def lines(name: str, batch: int) -> list[bytes]:
    return [
        encode(Activity(
            activity_id=activity_id("given", f"{name}-{batch}-{n}"), identity=f"{name}-{batch}-{n}",
            ts=datetime.now(UTC), activity="survived", customer="ada", feature_json={"text": "x" * (n * 2_000)},
            source="api",
        ))
        for n in range(BATCH)
    ]  # fmt: skip


def main(home: str, name: str) -> None:
    writer = Writer(Path(home) / "queue", segment_bytes_max=60_000)
    for batch in count():
        writer.append(lines(name, batch))
        os.write(1, b"%d\n" % batch)


if __name__ == "__main__":
    main(*sys.argv[1:])
