"""Lines leave the queue when the warehouse has them, and for no other reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec
import pytest
from tests.generated import START
from tests.queue.hostile_disk import Death, Fault, HostileDisk
from tests.queue.lines import segments

from cdesk.activity.codec import encode, seal
from cdesk.activity.identity import activity_id
from cdesk.activity.model import Activity, RawActivity
from cdesk.errors import WarehouseBusy, WarehouseError
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.upload import uploader as uploading
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
from cdesk.warehouse.warehouse import STREAM, Merged

Deployed = Callable[[Path], Path]


class Unsteady(DuckDBWarehouse):
    """A real warehouse that fails when told to."""

    troubles: list[BaseException]
    batches: list[int]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.troubles, self.batches = [], []

    def merge(self, activities: Sequence[Activity | RawActivity]) -> Merged:
        self.batches.append(len(activities))
        if self.troubles:
            raise self.troubles.pop(0)
        return super().merge(activities)


class Rooms:
    """A queue, a warehouse and what carries lines between them."""

    def __init__(self, home: Path, deployed: Deployed) -> None:
        self.home = home
        self.queue = home / "queue"
        self.writer = Writer(self.queue)
        self.dead = DeadLetters(home / "dead")
        self.warehouse = Unsteady(deployed(home / "warehouse"))
        self.disk = HostileDisk()
        self.uploader = self.another("warehouse", self.warehouse, self.disk)

    def another(self, consumer: str, warehouse: DuckDBWarehouse, disk: HostileDisk | None = None) -> Uploader:
        return Uploader(Reader(self.queue, consumer, self.dead, disk=disk), warehouse, self.dead)

    def stored(self) -> list[str]:
        rows = self.warehouse.query(f"SELECT feature_json.n::VARCHAR FROM {STREAM} ORDER BY 1").rows
        return [row[0] for row in rows]


@pytest.fixture
def rooms(tmp_path: Path, deployed: Deployed) -> Iterator[Rooms]:
    found = Rooms(tmp_path, deployed)
    yield found
    found.writer.close()
    found.warehouse.close()


def activity(n: object) -> Activity:
    return Activity(
        activity_id=activity_id("given", str(n)), ts=START, activity="thing_happened", customer="ada",
        feature_json={"n": str(n)}, source="api",
    )  # fmt: skip


def lines(*numbers: object) -> list[bytes]:
    return [encode(activity(n)) for n in numbers]


def poison(n: object) -> bytes:
    """A whole line, and an activity, that no warehouse can take: its id is none."""
    return encode(msgspec.structs.replace(activity(n), activity_id=f"not an id {n}"))


# -- what goes in --------------------------------------------------------------------------------------------------


def test_lines_move_once_and_leave_the_queue(rooms: Rooms) -> None:
    """Told twice is stored once; afterwards nothing waits."""
    rooms.writer.append(lines(1, 2, 2))
    rooms.writer.append(lines(1))
    rooms.writer.close()
    rooms.uploader.drain()
    assert rooms.stored() == ["1", "2"]
    assert rooms.uploader.merged == Merged(inserted=2)
    assert segments(rooms.queue) == [] and rooms.dead.count() == 0


def test_a_step_says_how_many_it_moved(rooms: Rooms) -> None:
    """0 when there is nothing to do."""
    assert rooms.uploader.step() == 0
    rooms.writer.append(lines(1, 2, 3))
    assert rooms.uploader.step(2) == 2
    assert rooms.uploader.step(2) == 1
    assert rooms.uploader.step(2) == 0


def test_drain_goes_on_past_a_batch_of_bad_lines(rooms: Rooms) -> None:
    """A segment of nothing but damage is progress too."""
    rooms.queue.mkdir(exist_ok=True)
    (rooms.queue / "00000000000000000001-00000000.ndjson").write_bytes(b"junk\n" * 10)
    rooms.writer.append(lines("after"))
    rooms.uploader.drain()
    assert rooms.stored() == ["after"] and rooms.dead.count() == 10


# -- lines that can never go in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [[0], [7], [3, 4], [0, 7], range(8)], ids=str)
def test_poison_is_isolated_and_the_others_go_in(rooms: Rooms, places: Sequence[int]) -> None:
    """Found by halving; kept with its place and the warehouse's own reason."""
    rooms.writer.append([poison(n) if n in places else lines(n)[0] for n in range(8)])
    rooms.writer.close()
    rooms.uploader.drain()
    assert rooms.stored() == [str(n) for n in range(8) if n not in places]
    assert sorted(letter.line for letter in rooms.dead) == sorted(poison(n) for n in places)
    assert all("not an id" in letter.reason and letter.source.startswith("queue/") for letter in rooms.dead)
    assert segments(rooms.queue) == []


def test_one_poison_line_costs_few_tries(rooms: Rooms) -> None:
    """Halving, not one by one."""
    rooms.writer.append([poison("x"), *lines(*range(255))])
    rooms.uploader.drain()
    assert len(rooms.stored()) == 255
    assert sum(1 for size in rooms.warehouse.batches if size) <= 2 * 8 + 1


@pytest.mark.parametrize(
    "bad",
    [
        seal(b'{"hello":"world"}'),
        lines(1)[0].replace(b"thing", b"think"),
        b"\n",
        b"\xff\xfe\n",
        seal(
            b'{"activity_id":"x","ts":"2026-03-01T12:00:00","activity":"a","customer":"b","feature_json":{},"_source":"api"}'
        ),
        seal(lines(1)[0][:20] + b'"' + b"[" * 5_000 + b'"}'),
    ],
    ids=["no activity", "altered", "empty", "binary", "no time zone", "odd"],
)
def test_what_is_no_activity_is_set_aside(rooms: Rooms, bad: bytes) -> None:
    """Good lines around it go in."""
    rooms.writer.append([*lines("before"), bad, *lines("after")])
    rooms.uploader.drain()
    assert rooms.stored() == ["after", "before"]
    assert [letter.line for letter in rooms.dead] == [bad]


@pytest.mark.parametrize(
    "trouble", [ValueError("odd value"), TypeError("odd type"), RecursionError("deep"), OverflowError()]
)
def test_a_line_that_breaks_the_merge_itself_does_not_stop_the_queue(rooms: Rooms, trouble: Exception) -> None:
    """Errors nobody foresaw are the line's, too; without a message their kind is the reason."""

    def breaks(activities: Sequence[Activity | RawActivity]) -> Merged:
        if any(isinstance(one, RawActivity) and one.whole().feature_json["n"] == "odd" for one in activities):
            raise trouble
        return DuckDBWarehouse.merge(rooms.warehouse, activities)

    rooms.warehouse.merge = breaks  # type: ignore[method-assign]
    rooms.writer.append(lines("before", "odd", "after"))
    rooms.uploader.drain()
    assert rooms.stored() == ["after", "before"]
    assert [letter.reason for letter in rooms.dead] == [str(trouble) or "OverflowError"]


@pytest.mark.parametrize("n", ["many", [1], {"a": 1}, True])
def test_wrong_types_in_known_features_reach_the_warehouse(rooms: Rooms, n: object) -> None:
    """A response told twice, once with a word for its tokens: both are compared, none is refused."""
    both = [
        msgspec.structs.replace(activity(1), activity="claude_responded", feature_json={"total_tokens": tokens})
        for tokens in (5, n)
    ]
    rooms.writer.append([encode(one) for one in both])
    rooms.uploader.drain()
    assert rooms.warehouse.count() == 1 and rooms.dead.count() == 0


# -- a warehouse that cannot now -----------------------------------------------------------------------------------


def test_a_busy_warehouse_loses_nothing(rooms: Rooms) -> None:
    """The error rises, no line is buried, no offset moves, and the next try takes all."""
    rooms.writer.append(lines(1, 2))
    rooms.warehouse.troubles = [WarehouseBusy("busy")] * 3
    for _ in range(3):
        with pytest.raises(WarehouseBusy):
            rooms.uploader.step()
    assert rooms.uploader.step() == 2
    assert rooms.stored() == ["1", "2"] and rooms.dead.count() == 0


@pytest.mark.parametrize(
    "trouble",
    [
        duckdb.IOException("could not write: No space left on device"),
        duckdb.TransactionException("Failed to commit"),
        duckdb.ConnectionException("closed"),
        duckdb.FatalException("database has been invalidated"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_engine_in_trouble_buries_nothing(rooms: Rooms, trouble: duckdb.Error) -> None:
    """A full disk is no line's fault: the lines wait, whole batches of them."""

    class Troubled:
        def __init__(self, real: duckdb.DuckDBPyConnection) -> None:
            self.real = real
            self.is_troubled = True

        def execute(self, sql: str, *parameters: object) -> object:
            if self.is_troubled and sql.startswith(("INSERT", "MERGE", "\nMERGE")):
                raise trouble
            return self.real.execute(sql, *parameters)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    merger = rooms.warehouse._merger
    merger._connection = troubled = Troubled(merger._connection)  # type: ignore[assignment]
    rooms.writer.append(lines(1, 2, 3))
    with pytest.raises(WarehouseError) as raised:
        rooms.uploader.step()
    assert raised.value.retryable and rooms.dead.count() == 0
    troubled.is_troubled = False
    rooms.uploader.drain()
    assert rooms.stored() == ["1", "2", "3"]


@pytest.mark.parametrize("trouble", [OSError("Input/output error"), ImportError("no numpy"), MemoryError()], ids=repr)
def test_a_machine_in_trouble_buries_nothing(rooms: Rooms, trouble: Exception) -> None:
    """A library that cannot be read, or memory that is not there, is no line's fault either."""
    rooms.writer.append(lines(1, 2, 3))
    rooms.warehouse.troubles = [trouble]
    with pytest.raises(WarehouseError) as raised:
        rooms.uploader.step()
    assert raised.value.retryable and rooms.dead.count() == 0
    rooms.uploader.drain()
    assert rooms.stored() == ["1", "2", "3"]


def test_an_engine_in_trouble_at_the_first_batch_buries_nothing(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """What writing needs is opened with the first batch after a start: that may fail as well."""
    real = rooms.warehouse._connection

    class FailsOnce:
        is_troubled = True

        def execute(self, sql: str, *parameters: object) -> object:
            if self.is_troubled:
                self.is_troubled = False
                raise duckdb.IOException("could not read: Input/output error")
            return real.execute(sql, *parameters)

        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

    monkeypatch.setattr(rooms.warehouse, "_connection", FailsOnce())
    rooms.writer.append(lines(1))
    with pytest.raises(WarehouseError) as raised:
        rooms.uploader.step()
    assert raised.value.retryable and rooms.dead.count() == 0
    rooms.uploader.drain()
    assert rooms.stored() == ["1"]


def test_a_failure_after_half_a_batch_repeats_harmlessly(rooms: Rooms) -> None:
    """Halves that went in go in again: identity makes one of it."""
    rooms.writer.append([*lines(1, 2), poison("x"), *lines(3)])
    real = rooms.warehouse.merge
    tries = iter([None, None, None, WarehouseBusy("now busy")])

    def merge(activities: Sequence[Activity | RawActivity]) -> Merged:
        if trouble := next(tries, None):
            raise trouble
        return real(activities)

    rooms.warehouse.merge = merge  # type: ignore[method-assign]
    with pytest.raises(WarehouseBusy):
        rooms.uploader.step()
    rooms.uploader.drain()
    assert rooms.stored() == ["1", "2", "3"] and rooms.dead.count() == 1


@pytest.mark.parametrize("how", ["error", "full", "death"])
@pytest.mark.parametrize("operation", ["replace", "sync_folder", "remove"])
def test_offsets_that_could_not_be_saved_cost_a_repetition_only(rooms: Rooms, operation: str, how: str) -> None:
    """The warehouse has committed; the queue tells it again; nothing is there twice, nothing is missing."""
    rooms.writer.append(lines(1, 2))
    rooms.writer.close()
    rooms.uploader.step(1)
    rooms.disk.fault = Fault(operation, how)
    with pytest.raises((Exception, Death)):
        rooms.uploader.step()
    reopened = rooms.another("warehouse", rooms.warehouse)
    rooms.writer.append(lines(3))
    reopened.drain()
    assert rooms.stored() == ["1", "2", "3"]


# -- running by itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["warehouse", "queue"])
def test_it_runs_on_after_trouble(rooms: Rooms, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A busy warehouse or a full disk is told, and the next round goes on; the thread must not die of it."""
    monkeypatch.setattr(uploading, "RETRY_SECONDS", 0.0)
    told: list[str] = []
    if where == "warehouse":
        rooms.warehouse.troubles = [WarehouseBusy("busy")]
    else:
        rooms.disk.fault = Fault("replace", "full")
    rooms.writer.append(lines(1, 2))

    def after(moved: int) -> None:
        if moved:
            rooms.uploader.stop()

    rooms.uploader.run(lambda error: told.append(str(error)), after)
    assert len(told) == 1 and rooms.stored() == ["1", "2"]


def test_behind_a_backlog_batches_grow_and_stay_large(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are read while the one before is merged."""
    monkeypatch.setattr(uploading, "BATCH_LINES_MAX", 3)
    monkeypatch.setattr(uploading, "CATCH_UP_LINES_MAX", 7)
    rooms.writer.append(lines(*range(36)))

    def after(moved: int) -> None:
        if not moved:
            rooms.uploader.stop()

    rooms.uploader.run(lambda error: None, after)
    assert rooms.warehouse.batches == [3, 3, 7, 7, 7, 7, 2] and len(rooms.stored()) == 36


def test_two_consumers_each_get_everything(rooms: Rooms, deployed: Deployed) -> None:
    """With offsets of their own; the one that is behind keeps the segments."""
    second = Unsteady(deployed(rooms.home / "second"))
    behind = rooms.another("second", second)
    behind.step()
    rooms.writer.append(lines(1, 2))
    rooms.uploader.drain()
    rooms.writer.append(lines(3))
    rooms.writer.close()
    rooms.uploader.drain()
    assert rooms.stored() == ["1", "2", "3"] and second.count() == 0
    behind.drain()
    assert second.count() == 3
    assert segments(rooms.queue) == []
    second.close()


def test_a_warehouse_has_one_uploader_at_a_time(rooms: Rooms) -> None:
    """A second process on the same home is refused, and told what to do."""
    program = f"""
from pathlib import Path
from cdesk.errors import WarehouseBusy
from cdesk.warehouse.duckdb.store import DuckDBWarehouse
try:
    DuckDBWarehouse(Path({str(rooms.home / "warehouse")!r}))
except WarehouseBusy as error:
    print("refused:", error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.startswith("refused: another process is using") and "cdesk status" in told
