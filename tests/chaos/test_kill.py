"""Real processes, killed with SIGKILL in the middle of their work, again and again: nothing acknowledged is lost.

`CDESK_KILLS=200 pytest tests/chaos -s` (`make chaos`) kills more often and prints what happened.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.producer import BATCH

from cdesk.queue import DeadLetters, Reader
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM

KILLS = int(os.environ.get("CDESK_KILLS", "24"))
PRODUCERS_AT_ONCE = 3
HERE = Path(__file__).parent


@dataclass
class Tally:
    acknowledged: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)
    kills: Counter[str] = field(default_factory=Counter)


def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / program), *arguments], stdout=subprocess.PIPE)


def killed_after(process: subprocess.Popen[bytes], told: int) -> list[int]:
    """All that the process said before it was killed, some moment after it had said `told` things."""
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(told)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split(b"\n")
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    return said + [int(line) for line in rest[:-1]]


def one_round(home: Path, number: int, chance: random.Random, tally: Tally) -> None:
    """Producers at once, and sometimes a consumer beside them; all are killed."""
    names = [f"{number}.{n}" for n in range(PRODUCERS_AT_ONCE)]
    producers = [start("producer.py", str(home), name) for name in names]
    consumer = start("consumer.py", str(home)) if number % 2 else None
    for name, process in zip(names, producers, strict=True):
        batches = killed_after(process, chance.randint(1, 25))
        assert batches == list(range(len(batches)))
        tally.acknowledged |= _ids(name, len(batches))
        tally.offered |= _ids(name, len(batches) + 1)
        tally.kills["producer"] += 1
    if consumer is not None:
        killed_after(consumer, chance.randint(1, 12))
        tally.kills["consumer"] += 1


def _ids(name: str, batches: int) -> set[str]:
    return {f"{name}-{batch}-{n}" for batch in range(batches) for n in range(BATCH)}


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Producers die while they write, sync and rotate, the uploader while it reads, merges and marks; afterwards each
    acknowledged line is in the warehouse, once, and nothing is there that nobody offered."""
    chance, tally = random.Random(os.environ.get("CDESK_SEED", "seed")), Tally()
    deployed(tmp_path / "warehouse")
    number = 0
    while sum(tally.kills.values()) < KILLS:
        one_round(tmp_path, number, chance, tally)
        number += 1
    dead = DeadLetters(tmp_path / "dead")
    warehouse = DuckDBWarehouse(tmp_path / "warehouse")
    Uploader(Reader(tmp_path / "queue", "warehouse", dead), warehouse, dead).drain()
    stored = Counter(row[0] for row in warehouse.query(f"SELECT _identity FROM {STREAM}").rows)
    warehouse.close()
    lost = tally.acknowledged - stored.keys()
    doubled = [name for name, times in stored.items() if times > 1]
    print(
        f"\nkilled {dict(tally.kills)}: acknowledged {len(tally.acknowledged):,}, delivered {len(stored):,}, "
        f"lost {len(lost)}, duplicated {len(doubled)}"
    )
    assert not lost and not doubled
    assert stored.keys() <= tally.offered
    assert dead.count() == 0
    assert list((tmp_path / "queue").glob("*.ndjson")) == []
    assert tally.kills["producer"] >= KILLS / 2 and tally.kills["consumer"] >= 3
