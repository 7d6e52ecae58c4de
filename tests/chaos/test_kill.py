"""Real processes, killed with SIGKILL in the middle of their work, again and again: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.chaos.ledger import Ledger
from tests.chaos.processes import killed_after, start
from tests.chaos.producer import names

KILLS = int(os.environ.get("CDESK_KILLS", "24"))
PRODUCERS_AT_ONCE = 3


def one_round(home: Path, number: int, chance: random.Random, ledger: Ledger) -> None:
    """Producers at once, and sometimes a consumer beside them; all are killed."""
    who = [f"{number}.{n}" for n in range(PRODUCERS_AT_ONCE)]
    producers = [start("producer.py", home, name) for name in who]
    consumer = start("consumer.py", home) if number % 2 else None
    for name, process in zip(who, producers, strict=True):
        batches = killed_after(process, chance.randint(1, 25))
        assert batches == list(range(len(batches)))
        ledger.acknowledged.update(*(names(name, batch) for batch in batches))
        ledger.offered.update(*(names(name, batch) for batch in range(len(batches) + 1)))
        ledger.faults["producer"] += 1
    if consumer is not None:
        killed_after(consumer, chance.randint(1, 12))
        ledger.faults["consumer"] += 1


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Producers die while they write, sync and rotate, the uploader while it reads, merges and marks; afterwards each
    acknowledged line is in the warehouse, once, and nothing is there that nobody offered."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    deployed(tmp_path / "warehouse")
    number = 0
    while sum(ledger.faults.values()) < KILLS:
        one_round(tmp_path, number, chance, ledger)
        number += 1
    ledger.balance(tmp_path, f"kill -9 of {dict(ledger.faults)}")
    assert ledger.faults["producer"] >= KILLS / 2 and ledger.faults["consumer"] >= 3
