"""A process that carries a queue into Snowpipe Streaming, until somebody kills it.

python sender.py HOME PORT KEY ROWS     prints how many lines each batch moved, of ROWS at most; ends when the queue is empty
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cdesk.config import SnowflakeSettings
from cdesk.queue import DeadLetters
from cdesk.upload.streamed import StreamedReader
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.snowflake.streaming import BYTES_MAX, Channel
from cdesk.warehouse.snowflake.streaming_store import StreamedWarehouse

CHANNEL = "host_test.0"


def uploader(home: Path, settings: SnowflakeSettings, rows_max: int) -> Uploader:
    dead = DeadLetters(home / "dead")
    warehouse = StreamedWarehouse(settings, Channel(settings, CHANNEL))
    reader = StreamedReader(home / "queue", "snowflake", dead, warehouse, rows_max=rows_max, bytes_max=BYTES_MAX)
    return Uploader(reader, warehouse, dead)


def settings(home: Path, port: int, key: Path) -> SnowflakeSettings:
    connections = home / "connections.toml"
    if not connections.exists():
        home.mkdir(parents=True, exist_ok=True)
        connections.write_text(
            f'[local]\naccount = "local"\nuser = "loader"\nhost = "127.0.0.1"\nport = {port}\nprivate_key_file = "{key}"\n'
        )
    return SnowflakeSettings(connection="local", connections_file=str(connections), path="streaming")


def main(home: str, port: str, key: str, rows_max: str) -> None:
    carrying = uploader(Path(home), settings(Path(home), int(port), Path(key)), int(rows_max))
    while moved := carrying.step():
        os.write(1, b"%d\n" % moved)


if __name__ == "__main__":
    main(*sys.argv[1:])
