"""How many activities a second a collector takes, by itself, beside what writing the same bytes costs.

    python benchmarks/collector.py [--lines 5000] [--batches 10]

One batch after the other as a laptop sends it: proof, unpack, check of each line, stamp, redaction, append, flush; no HTTP and no
warehouse. The limit is one write and fdatasync of the same lines for each batch.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import activities, machine

from cdesk.app import Producer
from cdesk.capture.collected import Collected
from cdesk.capture.laptops import Laptops
from cdesk.config import Home, Settings
from cdesk.governance.handshake import proof


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=5_000)
    parser.add_argument("--batches", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        producer = Producer(home, Settings())
        laptops = Laptops(home.laptops)
        made = laptops.invite("laptop", customer=None, org_id="acme")
        collected = Collected(lambda: producer.gate, laptops)
        stream = activities.Stream("collector")
        batches = [b"".join(stream.lines(given.lines)) for _ in range(given.batches)]
        session = collected.hello("laptop", "n").session
        took, cpu = time.perf_counter(), time.process_time()
        for lines in batches:
            body = gzip.compress(lines, 1)
            collected.take("laptop", session, proof(made.key, "laptop", b"laptop", session.encode(), body), body)
        took, cpu = time.perf_counter() - took, time.process_time() - cpu
        producer.close()
        limit = _written(Path(folder) / "raw", batches)
    count = given.lines * given.batches
    print(machine.facts())
    print(f"limit      {count / limit:10,.0f} lines/s  write + fdatasync of each batch")
    print(
        f"collector  {count / took:10,.0f} lines/s  {cpu / count * 1e6:.1f} µs of CPU a line, {limit / took:.3f} of the limit"
    )


def _written(path: Path, batches: list[bytes]) -> float:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.perf_counter()
    for lines in batches:
        os.write(handle, lines)
        os.fdatasync(handle)
    took = time.perf_counter() - began
    os.close(handle)
    return took


if __name__ == "__main__":
    main()
