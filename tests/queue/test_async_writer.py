"""The writer's face for an event loop: the same promises, one sync for everybody who came meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.queue.hostile_disk import Death, Fault, HostileDisk
from tests.queue.lines import Hands, drained, line, segments

from cdesk.errors import QueueError, QueueFull
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.async_writer import SLOW_S, AsyncWriter
from cdesk.queue.disk import Disk
from cdesk.queue.writer import LINE_BYTES_MAX


def everything(folder: Path) -> list[bytes]:
    return [line for path in segments(folder) for line in path.read_bytes().splitlines(keepends=True)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "queue"


class HeldDisk(HostileDisk):
    """Its syncs begin and end when the test says so; the clock says that each took `took` seconds."""

    def __init__(self, hands: Hands, took: float = 0.0) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self._hands = hands
        self._took = took

    def sync(self, handle: int) -> None:
        self.begun.release()
        assert self.may_end.acquire(timeout=20)
        self._hands.pass_(self._took)
        super().sync(handle)


async def begun(disk: HeldDisk) -> None:
    await asyncio.to_thread(disk.begun.acquire)


# -- acknowledged means durable ------------------------------------------------------------------------------------


def test_what_is_awaited_is_on_disk(folder: Path) -> None:
    """Written and synced before anybody is told."""
    disk = HostileDisk()

    async def produce() -> None:
        await AsyncWriter(Writer(folder, disk=disk)).append([line(1), line(2)])
        assert disk.done == ["create", "sync_folder", "append", "sync"]
        assert everything(folder) == [line(1), line(2)]

    asyncio.run(produce())


def test_a_turn_shares_one_sync(folder: Path) -> None:
    """However many appended in it; each call's lines stand together, in the order of the calls."""
    disk = HostileDisk()

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk))
        await asyncio.gather(*(writer.append([line(f"{n}a"), line(f"{n}b")]) for n in range(50)))

    asyncio.run(produce())
    assert disk.done == ["create", "sync_folder", "append", "sync"]
    assert everything(folder) == [line(f"{n}{part}") for n in range(50) for part in "ab"]


def test_whoever_comes_during_a_sync_shares_the_next(folder: Path) -> None:
    """And is not told with the one before."""
    hands = Hands()
    disk = HeldDisk(hands)

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk), clock=hands.clock)
        first = writer.append([line("first")])
        await begun(disk)
        late = [writer.append([line(f"late {n}")]) for n in range(3)]
        disk.may_end.release()
        await first
        assert not any(one.done() for one in late)
        disk.may_end.release()
        await asyncio.gather(*late)

    asyncio.run(produce())
    assert disk.done.count("sync") == 2


def test_on_a_slow_disk_the_next_sync_waits_for_those_just_told(folder: Path) -> None:
    """Who waited and who comes back, one after the other, share one sync."""
    hands = Hands()
    disk = HeldDisk(hands, took=SLOW_S * 10_000)

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk), clock=hands.clock)
        disk.may_end.release()
        await writer.append([line("slow")])
        await begun(disk)
        first = [writer.append([line("a")]), writer.append([line("b")])]
        await begun(disk)
        waits = writer.append([line("c")])
        disk.may_end.release()
        await asyncio.gather(*first)
        back = [writer.append([line("a again")])]
        await asyncio.sleep(0.01)
        back.append(writer.append([line("b again")]))
        disk.may_end.release()
        await asyncio.gather(waits, *back)

    asyncio.run(produce())
    assert disk.done.count("sync") == 3


def test_the_pause_of_a_slow_disk_ends(folder: Path) -> None:
    """When those just told stay away, and at once when they were only one."""
    hands = Hands()
    disk = HeldDisk(hands, took=SLOW_S)

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk), clock=hands.clock)
        for _ in range(5):
            disk.may_end.release()
        await writer.append([line("slow")])
        await asyncio.gather(writer.append([line(1)]), writer.append([line(2)]))
        await writer.append([line("alone")])
        await writer.append([line("alone again")])
        await asyncio.sleep(0.01)
        await writer.append([line("later")])

    asyncio.run(produce())
    assert disk.done.count("sync") == 5


def test_nothing_to_append_touches_nothing(folder: Path) -> None:
    """It is done at once, and makes no segment."""

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder))
        await writer.append([])
        await writer.append([b""])

    asyncio.run(produce())
    assert segments(folder) == []


def test_who_stops_waiting_disturbs_nobody(folder: Path) -> None:
    """The lines are written all the same, and the others of the sync are told."""

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder))
        gone, stays = writer.append([line("gone")]), writer.append([line("stays")])
        gone.cancel()
        await stays

    asyncio.run(produce())
    assert everything(folder) == [line("gone"), line("stays")]


# -- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["create", "append", "sync"])
@pytest.mark.parametrize(("how", "raised"), [("error", QueueError), ("full", QueueFull)])
def test_a_failed_sync_leaves_no_trace_and_all_of_it_are_told(
    folder: Path, operation: str, how: str, raised: type[QueueError]
) -> None:
    """Each of those who shared it; the next one works."""
    disk = HostileDisk()

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk))
        disk.fault = Fault(operation, how, part=0.5)
        told = await asyncio.gather(*(writer.append([line(n, 50)]) for n in range(3)), return_exceptions=True)
        assert [type(one) for one in told] == [raised] * 3
        await writer.append([line("after")])

    asyncio.run(produce())
    assert everything(folder) == [line("after")]


def test_a_line_over_the_limit_is_refused_to_its_caller_only(folder: Path) -> None:
    """Those who share the sync do not suffer."""

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder))
        good = writer.append([line("good")])
        with pytest.raises(QueueError, match="over the limit"):
            writer.append([b"x" * (LINE_BYTES_MAX + 1)])
        await good

    asyncio.run(produce())
    assert everything(folder) == [line("good")]


def test_a_full_queue_refuses(folder: Path) -> None:
    """As it does to threads."""

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, bytes_max=500))
        await writer.append([line(1, 200)])
        with pytest.raises(QueueFull, match="cdesk up"):
            await writer.append([line(2, 400)])

    asyncio.run(produce())
    assert everything(folder) == [line(1, 200)]


def test_a_death_leaves_only_whole_lines(folder: Path) -> None:
    """What was acknowledged before it is there; what was not is gone or whole."""
    disk = HostileDisk()

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=disk))
        await writer.append([line("acknowledged")])
        disk.fault = Fault("append", "death", part=0.7)
        told = await asyncio.gather(*(writer.append([line(n, 90)]) for n in range(3)), return_exceptions=True)
        assert all(isinstance(one, Death) for one in told)

    asyncio.run(produce())
    disk.die(lost=0.3)
    found = drained(Reader(folder, "warehouse", DeadLetters(folder.parent / "dead")))
    assert found[0] == line("acknowledged") and set(found) <= {line("acknowledged"), *(line(n, 90) for n in range(3))}


# -- both faces ----------------------------------------------------------------------------------------------------


def test_threads_and_the_loop_share_a_writer(folder: Path) -> None:
    """Across rotations: all is there once, each producer's lines in order."""
    shared = Writer(folder, segment_bytes_max=2_000)

    def work(name: str) -> None:
        for number in range(20):
            shared.append([line(f"{name}-{number}-a"), line(f"{name}-{number}-b")])

    async def produce(writer: AsyncWriter, name: str) -> None:
        for number in range(20):
            await writer.append([line(f"{name}-{number}-a"), line(f"{name}-{number}-b")])

    async def both() -> None:
        writer = AsyncWriter(shared)
        loops = (produce(writer, f"loop{n}") for n in range(3))
        threads = (asyncio.to_thread(work, f"thread{n}") for n in range(3))
        await asyncio.gather(*loops, *threads)
        writer.close()

    asyncio.run(both())
    shared.close()
    found = drained(Reader(folder, "warehouse", DeadLetters(folder.parent / "dead")))
    assert len(found) == 240
    for name in (f"{kind}{n}" for kind in ("loop", "thread") for n in range(3)):
        own = [one for one in found if b'"name":"%s-' % name.encode() in one]
        assert own == [line(f"{name}-{number}-{part}") for number in range(20) for part in "ab"]


def test_it_can_be_closed_while_a_sync_is_under_way(folder: Path) -> None:
    """It waits for that sync; the disk is left alone afterwards."""

    async def produce() -> None:
        writer = AsyncWriter(Writer(folder, disk=Disk()))
        done = writer.append([line(1)])
        await asyncio.sleep(0)
        writer.close()
        await done

    asyncio.run(produce())
    assert everything(folder) == [line(1)]
