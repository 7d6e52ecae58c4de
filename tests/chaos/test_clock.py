"""The wall clock steps by hours, back and forward, between appends and during them: order stays, nothing is lost."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.chaos.ledger import Ledger
from tests.chaos.processes import killed_after, start
from tests.chaos.producer import lines, names, wrong_clock

from cdesk.activity.codec import decode
from cdesk.clock import Clock
from cdesk.queue import DeadLetters, Reader, Writer

STEPS = int(os.environ.get("CDESK_CLOCK_STEPS", "40"))
HOUR_S = 3_600


def step(file: Path, chance: random.Random) -> None:
    """The clock is wrong by up to two days from here on, all at once for whoever reads it."""
    beside = file.with_suffix(".new")
    beside.write_text(str(chance.randint(-48 * HOUR_S, 48 * HOUR_S)))
    beside.replace(file)


def test_the_clock_steps_while_processes_append(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Producers of their own process, whose clock is set again and again while they write and rotate; then they are killed.
    Each one's lines are delivered in the order in which they were acknowledged."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    deployed(tmp_path / "warehouse")
    clock = tmp_path / "clock"
    step(clock, chance)
    who = [f"c{n}" for n in range(3)]
    producers = [start("producer.py", tmp_path, name, "--clock", clock, "--segment", 15_000) for name in who]
    said: dict[str, list[int]] = {name: [] for name in who}
    for _ in range(STEPS):
        for name, process in zip(who, producers, strict=True):
            assert process.stdout is not None
            said[name].append(int(process.stdout.readline()))
        step(clock, chance)
    for name, process in zip(who, producers, strict=True):
        said[name] += killed_after(process, 0)
        assert said[name] == list(range(len(said[name])))
        ledger.acknowledged.update(*(names(name, batch) for batch in said[name]))
        ledger.offered.update(*(names(name, batch) for batch in range(len(said[name]) + 1)))
    told = read(tmp_path)
    for name in who:
        own = [identity for identity in told if identity.startswith(f"{name}-")]
        batches = len(said[name]) + 1  # the last one was under way: any part of it may be there
        assert own == [identity for batch in range(batches) for identity in names(name, batch)][: len(own)]
    ledger.balance(tmp_path, f"clock stepped by hours {STEPS} times under {len(who)} producers")


def read(home: Path) -> list[str]:
    """Everything in the queue, as a consumer of its own would get it."""
    reader = Reader(home / "queue", "order", DeadLetters(home / "dead"))
    found = reader.read(bytes_max=1 << 30, lines_max=1_000_000).lines
    (home / "queue" / "offsets" / "order.json").unlink()
    return [decode(line).identity or "" for line in found]


def test_the_clock_steps_during_an_append(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Each look at the clock gives another time; depth and age stay sensible for whoever asks, at any hour."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    deployed(tmp_path / "warehouse")
    file = tmp_path / "clock"
    step(file, chance)

    def now_ns() -> int:
        step(file, chance)
        return wrong_clock(file).now_ns()

    writer = Writer(tmp_path / "queue", segment_bytes_max=15_000, clock=Clock(now_ns=now_ns))
    reader = Reader(tmp_path / "queue", "warehouse", DeadLetters(tmp_path / "dead"))
    for batch in range(STEPS):
        writer.append(lines("d", batch))
        ledger.acknowledged.update(names("d", batch))
        depth = reader.depth(now_ns() / 1e9)
        assert depth.bytes > 0 and depth.events > 0 and depth.oldest_age_s >= 0
    assert len(list((tmp_path / "queue").glob("*.ndjson"))) >= STEPS // 3
    writer.close()
    ledger.offered |= ledger.acknowledged
    assert read(tmp_path) == [identity for batch in range(STEPS) for identity in names("d", batch)]
    ledger.balance(tmp_path, f"clock stepped by hours during {STEPS} appends")
