"""Gives dead letters another chance, after what was wrong with them was mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from cdesk.activity.codec import BadLine, decode_body
from cdesk.activity.model import Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.gate import Gate
from cdesk.capture.transcript.interpret import Interpreter, Thread
from cdesk.queue.dead_letter import Kept

QUEUE = "queue/"


class Replay:
    """Lines of the queue are offered again as they are; transcript lines are interpreted again."""

    def __init__(self, person: Person, prices: PriceBook, gate: Gate) -> None:
        self._person = person
        self._prices = prices
        self._gate = gate

    def run(self, letters: Iterable[Kept], tell: Callable[[Kept, str | None], None]) -> list[str]:
        """The digests of those that are durable in the queue now. `tell` hears why another is still dead."""
        done: list[str] = []
        for letter in letters:
            try:
                self._gate.admit(self._activities(letter))
            except BadLine as error:
                tell(letter, str(error))
            else:
                tell(letter, None)
                done.append(letter.digest)
        return done

    def _activities(self, letter: Kept) -> list[Activity]:
        if len(letter.line) < letter.size:
            raise BadLine(f"only the first {len(letter.line):,} of {letter.size:,} bytes were kept")
        if letter.source.startswith(QUEUE):
            return [decode_body(letter.line)]
        interpreter = Interpreter(Path(letter.source), self._person, self._prices, Thread())
        reason = interpreter.feed(letter.line)
        if reason is not None:
            raise BadLine(reason)
        return interpreter.flush()
