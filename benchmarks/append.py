"""How many lines a second become durable in one process, beside `write` + `fdatasync` for each line in the same round.

    python benchmarks/append.py                 a table, and results/append.json
    python benchmarks/append.py --rounds 9      more rounds

Each producer waits for its line of 600 bytes to be acknowledged before it sends the next. `loop` is the face for an event
loop, `threads` the one for threads. `raw` is one producer without us; `limit` is raw with as many lines in one write as
there are producers, the most any group commit could reach without costing anything itself. With `+5 ms` every flush takes
5 ms longer, as on a disk that keeps its word; there the ideal is one batch of everybody per flush.

Figures are medians over the rounds, ratios are taken within a round. Goals: loop at 64 ≥ 20 × raw, at 512 ≥ 60 × raw,
acknowledgement P99 at 64 ≤ 8 × the raw flush; with +5 ms at 64 ≥ 0.85 of the ideal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import machine

from cdesk.queue import Writer
from cdesk.queue.async_writer import AsyncWriter
from cdesk.queue.disk import Disk

LINE = b"x" * 599 + b"\n"
PRODUCERS = (1, 8, 64, 512)
SLOWER_S = 0.005
QUEUE_BYTES_MAX = 1 << 40


@dataclass(frozen=True)
class Figure:
    """lines a second; how long each acknowledgement took, in ms"""

    rate: float
    p50: float
    p99: float


class SlowDisk(Disk):
    def sync(self, handle: int) -> None:
        super().sync(handle)
        time.sleep(SLOWER_S)


def figure(took: list[float], seconds: float, lines_each: int = 1) -> Figure:
    ordered = sorted(took)
    p50, p99 = (ordered[min(int(len(ordered) * q), len(ordered) - 1)] * 1000 for q in (0.5, 0.99))
    return Figure(len(ordered) * lines_each / seconds, p50, p99)


def raw(disk: Disk, lines: int, seconds: float) -> Figure:
    """One producer, its lines in one write, one flush for each write."""
    took: list[float] = []
    data = LINE * lines
    with tempfile.TemporaryDirectory() as folder:
        handle = disk.create(Path(folder) / "raw")
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            disk.append(handle, data)
            disk.sync(handle)
            took.append(time.perf_counter() - began)
        disk.close(handle)
    return figure(took, seconds, lines)


def loop(disk: Disk, producers: int, seconds: float) -> Figure:
    took: list[float] = []

    async def produce(writer: AsyncWriter, end: float) -> None:
        while (began := time.perf_counter()) < end:
            await writer.append((LINE,))
            took.append(time.perf_counter() - began)

    async def all_of_them(shared: Writer) -> None:
        writer = AsyncWriter(shared)
        end = time.perf_counter() + seconds
        await asyncio.gather(*(produce(writer, end) for _ in range(producers)))
        writer.close()

    with tempfile.TemporaryDirectory() as folder:
        shared = Writer(Path(folder), disk=disk, bytes_max=QUEUE_BYTES_MAX)
        uvloop.run(all_of_them(shared))
        shared.close()
    return figure(took, seconds)


def threads(disk: Disk, producers: int, seconds: float) -> Figure:
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder), disk=disk, bytes_max=QUEUE_BYTES_MAX)
        end = time.perf_counter() + seconds

        def produce() -> None:
            while (began := time.perf_counter()) < end:
                writer.append((LINE,))
                took.append(time.perf_counter() - began)

        started = [threading.Thread(target=produce) for _ in range(producers)]
        for one in started:
            one.start()
        for one in started:
            one.join()
        writer.close()
    return figure(took, seconds)


def round_(seconds: float) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    faces: dict[str, Callable[[Disk, int, float], Figure]] = {"limit": raw, "loop": loop, "threads": threads}
    before = raw(Disk(), 1, seconds)
    for producers in PRODUCERS:
        for name, face in faces.items():
            found[f"{name} {producers}"] = face(Disk(), producers, seconds)
    after = raw(Disk(), 1, seconds)
    found["raw"] = Figure(
        *(statistics.mean(pair) for pair in zip(asdict(before).values(), asdict(after).values(), strict=True))
    )
    found["ideal +5 ms 64"] = raw(SlowDisk(), 64, seconds)
    found["loop +5 ms 64"] = loop(SlowDisk(), 64, seconds)
    found["threads +5 ms 64"] = threads(SlowDisk(), 64, seconds)
    return found


def ratios(found: dict[str, Figure]) -> dict[str, float]:
    """Of one round."""
    raw_ = found["raw"]
    return {
        **{f"loop {n} / raw": found[f"loop {n}"].rate / raw_.rate for n in PRODUCERS},
        **{f"loop {n} / threads": found[f"loop {n}"].rate / found[f"threads {n}"].rate for n in PRODUCERS},
        **{f"loop {n} / limit": found[f"loop {n}"].rate / found[f"limit {n}"].rate for n in PRODUCERS},
        "P99 of loop 64 / raw P50": found["loop 64"].p99 / raw_.p50,
        "loop +5 ms 64 / ideal": found["loop +5 ms 64"].rate / found["ideal +5 ms 64"].rate,
    }


GOALS = {"loop 64 / raw": 20.0, "loop 512 / raw": 60.0, "P99 of loop 64 / raw P50": 8.0, "loop +5 ms 64 / ideal": 0.85}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each figure in a round (default 1)")
    given = parser.parse_args()
    facts = machine.facts()
    print(json.dumps(facts))
    rounds = [round_(given.seconds) for _ in range(given.rounds)]
    middle = {
        name: Figure(*(round(statistics.median(getattr(found[name], part) for found in rounds), 3) for part in ("rate", "p50", "p99")))
        for name in rounds[0]
    }  # fmt: skip
    print(f"\n{'producers':<18} {'lines/s':>10} {'P50 ms':>9} {'P99 ms':>9}")
    for name, value in middle.items():
        print(f"{name:<18} {value.rate:10,.0f} {value.p50:9.3f} {value.p99:9.3f}")
    each = [ratios(found) for found in rounds]
    print(f"\n{'ratio':<26} {'median':>8} {'least':>8} {'most':>8}   goal")
    told = {name: sorted(found[name] for found in each) for name in each[0]}
    for name, values in told.items():
        goal = f"   {GOALS[name]:g}" if name in GOALS else ""
        print(f"{name:<26} {statistics.median(values):8.2f} {values[0]:8.2f} {values[-1]:8.2f}{goal}")
    machine.RESULTS.mkdir(exist_ok=True)
    (machine.RESULTS / "append.json").write_text(json.dumps({
        "machine": {**facts, "load_1m_after": round(os.getloadavg()[0], 2)}, "rounds": given.rounds, "seconds": given.seconds,
        "figures": {name: asdict(value) for name, value in middle.items()},
        "ratios": {name: {"median": round(statistics.median(v), 3), "least": round(v[0], 3), "most": round(v[-1], 3)}
                   for name, v in told.items()},
        "goals": GOALS,
    }, indent=1) + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
