"""What Snowpipe Streaming costs this machine: lines a second, CPU for a line, memory; beside what the wire alone would take.

    python benchmarks/snowflake_streaming.py [--lines 100000] [--json]

A process of its own reads a queue and sends it through the official SDK to a TLS endpoint on loopback; another writes the same
rows, serialised once, into a bare TLS socket on loopback: nothing that sends rows as JSON over TLS from Python can be faster by
more than compression wins. It says nothing of the real service: neither of its distance, nor of its pace.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from benchmarks import activities, machine
from tests.snowflake import sender
from tests.snowflake.pipe import Signed, served, signed

from cdesk.activity.codec import decode_raw
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.warehouse.facts import joined, whole
from cdesk.warehouse.snowflake import rows
from cdesk.warehouse.snowflake.streaming import BYTES_MAX, ROWS_MAX

APPEND_LINES = 5_000


@dataclass(frozen=True)
class Sent:
    """lines: of the queue; facts told twice in one batch are one row · bytes: of the rows as JSON · peak_mb: the most memory the
    process had"""

    lines: int
    bytes: int
    seconds: float
    cpu_seconds: float
    peak_mb: int

    @property
    def told(self) -> str:
        return (
            f"{self.lines:>9,} lines  {self.lines / self.seconds:>9,.0f} lines/s  {self.bytes / self.seconds / 1e6:>7.1f} MB/s  "
            f"{self.cpu_seconds / self.lines * 1e6:>7.1f} µs CPU/line  {self.peak_mb:>5} MB"
        )


def written(home: Path, count: int) -> None:
    writer, told = Writer(home / "queue"), activities.Stream("streaming")
    for start in range(0, count, APPEND_LINES):
        writer.append(told.lines(min(APPEND_LINES, count - start)))
    writer.close()


def measured(begun: float, count: int, size: int) -> Sent:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, cpu = time.monotonic() - begun, used.ru_utime + used.ru_stime
    return Sent(count, size, round(seconds, 3), round(cpu, 3), used.ru_maxrss // 1024)


def stream(home: Path, port: int, key: Path) -> Sent:
    begun = time.monotonic()
    carrying = sender.uploader(home, sender.settings(home, port, key), ROWS_MAX)
    count = 0
    while moved := carrying.step():
        count += moved
    return measured(begun, count, carrying._warehouse.bytes_sent)  # type: ignore[attr-defined]


def bare(home: Path, port: int) -> Sent:
    """The same rows, made and serialised the same way, into a TLS socket."""
    begun = time.monotonic()
    reader = Reader(home / "queue", "bare", DeadLetters(home / "dead"), retire=lambda segment: None)
    count = size = 0
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1") as wire,
    ):
        while (delivery := reader.read(BYTES_MAX, ROWS_MAX)).lines:
            changed, _, _ = joined([whole(decode_raw(line)) for line in delivery.lines], {})
            data = b"".join(msgspec.json.encode(rows.row(one)) + b"\n" for one in changed)
            wire.sendall(data)
            reader.commit(delivery)
            count, size = count + len(delivery.lines), size + len(data)
    return measured(begun, count, size)


@contextmanager
def sink(files: Signed) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.certificate_key)
    listening = socket.create_server(("127.0.0.1", 0))

    def swallow() -> None:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True) as wire:
            while wire.recv(1 << 16):
                pass

    threading.Thread(target=swallow, daemon=True).start()
    with listening:
        yield listening.getsockname()[1]


def apart(files: Signed, *arguments: object) -> Sent:
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(
        command, env={**os.environ, "SSL_CERT_FILE": str(files.authority)}, check=True, capture_output=True
    )
    return msgspec.json.decode(done.stdout, type=Sent)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stream", nargs=3, metavar=("HOME", "PORT", "KEY"), help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, metavar=("HOME", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stream or given.bare:
        if given.stream:
            home, port, key = given.stream
            sent = stream(Path(home), int(port), Path(key))
        else:
            sent = bare(Path(given.bare[0]), int(given.bare[1]))
        sys.stdout.buffer.write(msgspec.json.encode(sent))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = signed(folder)
        written(folder / "home", given.lines)
        with served(files) as pipe:
            streamed = apart(files, "--stream", folder / "home", pipe.port, files.user_key)
        with sink(files) as port:
            limit = apart(files, "--bare", folder / "home", port)
    if given.json:
        print(json.dumps({"machine": machine.facts(), "streamed": asdict(streamed), "limit": asdict(limit)}))
        return
    print(f"streamed  {streamed.told}")
    print(f"the wire  {limit.told}")


if __name__ == "__main__":
    main()
