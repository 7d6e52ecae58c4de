"""What one producer did since it started: counted where it happens, told by whoever is asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

FILLED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Filled:
    """A segment that was closed because it had no more room."""

    segment: str
    bytes: int


class Counts:
    """acknowledged: lines made durable · rotations: segments closed · filled: those full ones nobody told of yet

    Written under the writer's own lock."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.rotations = 0
        self.filled: deque[Filled] = deque(maxlen=FILLED_MAX)

    def acknowledge(self, lines: int) -> None:
        self.acknowledged += lines

    def rotate(self, filled: Filled | None) -> None:
        self.rotations += 1
        if filled is not None:
            self.filled.append(filled)
