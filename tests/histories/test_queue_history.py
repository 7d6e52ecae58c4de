"""Random histories of a queue on a hostile disk, against the simplest model: what was acknowledged, and who got what.

Two producers and two consumers live, fail, die and come back in any order, on disks that refuse, tear and forget. Producers
append from a thread and from an event loop, to one segment. Always:

* what was acknowledged is on disk until every consumer has committed it
* nothing is delivered that was not offered, and nothing torn
* each consumer gets each producer's lines in the order in which they were acknowledged
* a consumer that neither failed nor died gets nothing twice

and at the end, when the disks behave: every consumer gets every acknowledged line, and the folder is empty.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.queue.hostile_disk import OPERATIONS, Death, Fault, HostileDisk
from tests.queue.lines import Hands, line, segments

from cdesk.errors import QueueError
from cdesk.queue import DeadLetters, Delivery, Reader, Writer
from cdesk.queue.async_writer import AsyncWriter

SEGMENT_BYTES_MAX = 600
SEGMENT_SECONDS_MAX = 60.0
CONSUMERS = ("warehouse", "another")
PRODUCERS = (0, 1)

faults = st.builds(
    Fault,
    st.sampled_from(OPERATIONS),
    st.sampled_from(("full", "error", "death")),
    st.sampled_from((0.0, 0.2, 0.7, 1.0)),
    st.booleans(),
)


@dataclass
class Producer:
    """One process: it dies with its disk's view, and the next one has a name of its own."""

    name: str
    writer: Writer
    disk: HostileDisk
    count: int = 0


@dataclass
class Consumer:
    """`got` is what its warehouse has committed, in order."""

    reader: Reader
    disk: HostileDisk
    got: list[bytes] = field(default_factory=list)
    may_repeat: bool = False


class QueueHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="cdesk-history-"))
        self.folder = self.home / "queue"
        self.hands = Hands()
        self.clock = self.hands.clock
        self.producers: dict[int, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.offered: set[bytes] = set()
        self.acknowledged: dict[str, list[bytes]] = {}
        self.damaged: set[bytes] = set()
        self.generation = 0

    @initialize()
    def open(self) -> None:
        for number in PRODUCERS:
            self.start_producer(number)
        for name in CONSUMERS:
            self.start_consumer(name, [])

    def teardown(self) -> None:
        try:
            if self.consumers:
                self.end_well()
        finally:
            shutil.rmtree(self.home)

    # -- producers -------------------------------------------------------------------------------------------------

    @rule(
        number=st.sampled_from(PRODUCERS),
        sizes=st.lists(st.integers(0, 250), min_size=1, max_size=4),
        fault=st.none() | faults,
        lost=st.sampled_from((0.0, 0.5, 1.0)),
        junk=st.sampled_from((b"", b"\x00\x00\x00", b'{"name":"half')),
    )
    def append(self, number: int, sizes: list[int], fault: Fault | None, lost: float, junk: bytes) -> None:
        producer = self.producers[number]
        lines = [line(f"{producer.name}-{producer.count + n}", size) for n, size in enumerate(sizes)]
        producer.count += len(lines)
        self.offered.update(lines)
        producer.disk.fault = fault
        try:
            assert producer.writer.append(lines) == len(lines)
        except QueueError:
            pass
        except Death:
            producer.disk.die(lost=lost, junk=junk)
            self.start_producer(number)
        else:
            self.acknowledged[producer.name] += lines
        producer.disk.fault = None

    @rule(
        number=st.sampled_from(PRODUCERS),
        turns=st.lists(st.lists(st.integers(0, 250), min_size=1, max_size=4), min_size=1, max_size=3),
        fault=st.none() | faults,
        fails_at=st.integers(0, 2),
        lost=st.sampled_from((0.0, 0.5, 1.0)),
        junk=st.sampled_from((b"", b"\x00\x00\x00", b'{"name":"half')),
    )
    def append_from_a_loop(
        self, number: int, turns: list[list[int]], fault: Fault | None, fails_at: int, lost: float, junk: bytes
    ) -> None:
        """Turns of an event loop, each with several calls at once; the fault strikes in one of them."""
        producer = self.producers[number]
        try:
            asyncio.run(self.loop_turns(producer, turns, fault, fails_at))
        except Death:
            producer.disk.die(lost=lost, junk=junk)
            self.start_producer(number)
        producer.disk.fault = None

    async def loop_turns(self, producer: Producer, turns: list[list[int]], fault: Fault | None, fails_at: int) -> None:
        writer = AsyncWriter(producer.writer)
        for turn, sizes in enumerate(turns):
            calls = [[line(f"{producer.name}-{producer.count + n}-{part}", size) for part in "ab"]
                     for n, size in enumerate(sizes)]  # fmt: skip
            producer.count += len(calls)
            self.offered.update(one for lines in calls for one in lines)
            producer.disk.fault = fault if turn == fails_at else None
            told = await asyncio.gather(*map(writer.append, calls), return_exceptions=True)
            for lines, outcome in zip(calls, told, strict=True):
                if outcome is None:
                    self.acknowledged[producer.name] += lines
                elif not isinstance(outcome, QueueError):
                    raise outcome
        writer.close()

    @rule(number=st.sampled_from(PRODUCERS), cleanly=st.booleans())
    def end_producer(self, number: int, cleanly: bool) -> None:
        producer = self.producers[number]
        if cleanly:
            producer.writer.close()
        else:
            producer.disk.die(lost=1.0)
        self.start_producer(number)

    @rule(number=st.sampled_from(PRODUCERS))
    def rotate(self, number: int) -> None:
        self.producers[number].writer.rotate()

    @rule(seconds=st.sampled_from((1.0, 61.0)))
    def time_passes(self, seconds: float) -> None:
        self.hands.pass_(seconds)

    @rule(seconds=st.integers(1, 100_000))
    def clock_steps_back(self, seconds: int) -> None:
        self.hands.wall_ns -= seconds * 1_000_000_000

    def start_producer(self, number: int) -> None:
        self.generation += 1
        disk = HostileDisk()
        writer = Writer(
            self.folder, disk=disk, clock=self.clock,
            segment_bytes_max=SEGMENT_BYTES_MAX, segment_seconds_max=SEGMENT_SECONDS_MAX,
        )  # fmt: skip
        self.producers[number] = Producer(f"p{self.generation}", writer, disk)
        self.acknowledged[f"p{self.generation}"] = []

    # -- consumers -------------------------------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(CONSUMERS),
        lines_max=st.integers(1, 6),
        bytes_max=st.sampled_from((1, 150, 500, 5_000)),
        fault=st.none() | faults,
    )
    def consume(self, name: str, lines_max: int, bytes_max: int, fault: Fault | None) -> None:
        """Read, make it one's own, commit: any of them may fail."""
        consumer = self.consumers[name]
        consumer.disk.fault = fault
        self.faulty(name, lambda: self.step(consumer, lines_max, bytes_max))
        self.consumers[name].disk.fault = None

    @rule()
    def everybody_catches_up(self) -> None:
        for consumer in self.consumers.values():
            while self.step(consumer, 100, 100_000):
                pass

    @rule(name=st.sampled_from(CONSUMERS), has_merged=st.booleans())
    def consumer_dies_before_its_commit(self, name: str, has_merged: bool) -> None:
        consumer = self.consumers[name]
        delivery = consumer.reader.read(lines_max=3)
        if has_merged:
            self.receive(consumer, delivery)
            consumer.may_repeat = True
        consumer.disk.die()
        self.start_consumer(name, consumer.got, consumer.may_repeat)

    def step(self, consumer: Consumer, lines_max: int, bytes_max: int) -> bool:
        delivery = consumer.reader.read(bytes_max, lines_max)
        self.receive(consumer, delivery)
        repeats, consumer.may_repeat = consumer.may_repeat, True
        consumer.reader.commit(delivery)
        consumer.may_repeat = repeats
        return not delivery.is_empty

    def receive(self, consumer: Consumer, delivery: Delivery) -> None:
        assert set(delivery.lines) <= self.offered, "something was delivered that nobody offered"
        if not consumer.may_repeat:
            assert not set(delivery.lines) & set(consumer.got), "a line was delivered twice"
        consumer.got += delivery.lines

    def faulty(self, name: str, act: Callable[[], object]) -> None:
        consumer = self.consumers[name]
        try:
            act()
        except QueueError:
            pass
        except Death:
            consumer.disk.die()
            self.start_consumer(name, consumer.got, consumer.may_repeat)

    def start_consumer(self, name: str, got: list[bytes], may_repeat: bool = False) -> None:
        disk = HostileDisk()
        reader = Reader(self.folder, name, self.dead, disk=disk)
        reader.read(1, 1)
        self.consumers[name] = Consumer(reader, disk, got, may_repeat)

    @property
    def dead(self) -> DeadLetters:
        return DeadLetters(self.home / "dead")

    # -- the world -------------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def a_byte_rots(self, data: st.DataObject) -> None:
        """The first byte of some line that stands on disk."""
        standing = [
            (path, at, whole)
            for path in segments(self.folder)
            for at, whole in _lines(path)
            if whole in self.offered and whole not in self.damaged
        ]
        if standing:
            path, at, whole = data.draw(st.sampled_from(standing))
            with path.open("r+b") as file:
                file.seek(at)
                file.write(b"#")
            self.damaged.add(whole)

    # -- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def what_was_acknowledged_is_safe(self) -> None:
        standing = {whole for path in segments(self.folder) for _, whole in _lines(path)}
        for lines in self.acknowledged.values():
            for consumer in self.consumers.values():
                missing = set(lines) - standing - self.damaged - set(consumer.got)
                assert not missing, f"acknowledged, neither on disk nor delivered: {missing}"

    @invariant()
    def order_is_kept(self) -> None:
        for consumer in self.consumers.values():
            first = {one: place for place, one in reversed(list(enumerate(consumer.got)))}
            for lines in self.acknowledged.values():
                places = [first[one] for one in lines if one in first]
                assert places == sorted(places), "a producer's lines came out of order"

    def end_well(self) -> None:
        for producer in self.producers.values():
            producer.writer.close()
        self.everybody_catches_up()
        self.everybody_catches_up()
        self.what_was_acknowledged_is_safe()
        self.order_is_kept()
        assert segments(self.folder) == [], "segments that everybody has read are still there"
        letters = {letter.line for letter in self.dead}
        for consumer in self.consumers.values():
            for lines in self.acknowledged.values():
                lost = [one for one in lines if one not in consumer.got and b"#" + one[1:] not in letters]
                assert not lost, f"acknowledged, neither delivered nor among the dead letters: {lost}"


def _lines(path: Path) -> list[tuple[int, bytes]]:
    found, at = [], 0
    for one in path.read_bytes().split(b"\n")[:-1]:
        found.append((at, one + b"\n"))
        at += len(one) + 1
    return found


TestQueueHistory = QueueHistory.TestCase
TestQueueHistory.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
