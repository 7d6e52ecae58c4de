"""What a power cut leaves of a segment: a tail cut short, written over, or a page of zeros; and bytes that rot in the middle."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.chaos.ledger import Ledger
from tests.chaos.processes import killed_after, start
from tests.chaos.producer import names

from cdesk.activity.codec import BadLine, decode
from cdesk.queue import DeadLetters

TEARS = int(os.environ.get("CDESK_TEARS", "12"))
PAGE = 4_096


def whole_lines(path: Path) -> list[tuple[int, bytes]]:
    """Each line and where it starts."""
    found, at = [], 0
    for line in path.read_bytes().split(b"\n")[:-1]:
        found.append((at, line + b"\n"))
        at += len(line) + 1
    return found


def tear(path: Path, synced: int, chance: random.Random) -> str:
    """Does to the bytes after the synced ones what a disk may do, and says what."""
    size = path.stat().st_size
    kept = chance.randint(synced, size)
    kind = chance.choice(("cut short", "zeros", "a page of zeros more", "junk", "junk and newlines"))
    with path.open("r+b") as file:
        file.truncate(kept)
        file.seek(kept)
        file.write({
            "cut short": b"",
            "zeros": bytes(size - kept),
            "a page of zeros more": bytes(size - kept + PAGE),
            "junk": chance.randbytes(size - kept).replace(b"\n", b" "),
            "junk and newlines": b"\n" * (size > kept) + chance.randbytes(size - kept),
        }[kind])  # fmt: skip
    return kind


def unacknowledged(home: Path, ledger: Ledger) -> tuple[Path, int]:
    """The newest segment, and where in it the last acknowledged line ends."""
    path = max((home / "queue").glob("*.ndjson"))
    end = 0
    for at, line in whole_lines(path):
        if decode(line).identity in ledger.acknowledged:
            end = at + len(line)
    return path, end


def append_and_die(home: Path, name: str, batches: int, ledger: Ledger) -> None:
    process = start("producer.py", home, name)
    said = killed_after(process, batches)
    ledger.acknowledged.update(*(names(name, batch) for batch in said))
    ledger.offered.update(*(names(name, batch) for batch in range(len(said) + 1)))


def test_the_tail_that_was_not_synced_is_torn(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """Half a line more is appended by a producer that dies there; whatever the disk makes of it, what was acknowledged is
    delivered. Noise with newlines in it goes to the dead letters, a tail without one is passed over."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    deployed(tmp_path / "warehouse")
    kinds = []
    for number in range(TEARS):
        append_and_die(tmp_path, f"t{number}", chance.randint(1, 8), ledger)
        path, synced = unacknowledged(tmp_path, ledger)
        with path.open("ab") as file:  # what its next append had got to
            file.write(b'{"activity_id":"' + b"x" * chance.randint(1, 2 * PAGE))
        kinds.append(tear(path, synced, chance))
    ledger.balance(tmp_path, f"tails torn {TEARS} times", dead=expected_letters(tmp_path))
    assert len(set(kinds)) >= 4


def expected_letters(home: Path) -> int:
    """How many whole lines in the queue do not prove themselves."""
    return sum(not _is_good(line) for path in (home / "queue").glob("*.ndjson") for _, line in whole_lines(path))


def _is_good(line: bytes) -> bool:
    try:
        decode(line)
    except BadLine:
        return False
    return True


def test_a_line_in_the_middle_rots(tmp_path: Path, deployed: Callable[[Path], Path]) -> None:
    """It becomes a dead letter that says where it stood; its neighbours are delivered."""
    chance, ledger = random.Random(os.environ.get("CDESK_SEED", "seed")), Ledger()
    deployed(tmp_path / "warehouse")
    rotten = set()
    for number in range(TEARS):
        append_and_die(tmp_path, f"r{number}", 4, ledger)
        path, _ = unacknowledged(tmp_path, ledger)
        at, line = chance.choice(whole_lines(path)[1:-1])
        rotten.add((f"queue/{path.name}", at))
        ledger.acknowledged.discard(decode(line).identity or "")
        with path.open("r+b") as file:
            file.seek(at + chance.randrange(len(line) - 1))
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0x40]) if byte[0] ^ 0x40 != 10 else b"#")
    ledger.balance(tmp_path, f"lines damaged in the middle {TEARS} times", dead=TEARS)
    assert {(letter.source, letter.offset) for letter in DeadLetters(tmp_path / "dead")} == rotten
