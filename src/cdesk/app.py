"""Opens the rooms and hands each what it needs. The one file that knows them all."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdesk import config, observe
from cdesk.activity.pricing import PriceBook
from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.intake import Intake
from cdesk.capture.person import person
from cdesk.capture.replay import Replay
from cdesk.capture.transcript import claude_dirs
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import Home, Settings
from cdesk.errors import CdeskError, QueueError, WarehouseError
from cdesk.governance.key import load_or_make_key
from cdesk.query.usage import Usages
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.reader import Depth
from cdesk.upload.uploader import Uploader
from cdesk.warehouse.duckdb.store import DuckDBWarehouse

if TYPE_CHECKING:
    from cdesk.capture.follow import Follower
    from cdesk.capture.hook import Hooks
    from cdesk.capture.spool import Spool

CONSUMER = "warehouse"
BACKLOG_BYTES_MAX = 64 * 1024 * 1024
BULK_BYTES_MIN = 16 * 1024 * 1024
COMPACT_AFTER_IDLE_S = 5.0
COMPLETENESS_SECONDS = 30.0
COMPACT_ROWS_MIN = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import did: files and lines read; facts new to the warehouse, facts it already had, lines set aside."""

    files: int
    lines: int
    activities: int
    duplicates: int
    rejected: int


class Producer:
    """The rooms that a producer needs: enough to take activities, without opening the warehouse."""

    def __init__(self, home: Home, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        home.make()
        self.home = home
        self.settings = settings
        self.clock = clock
        self.writer = Writer(
            home.queue,
            clock=clock,
            segment_bytes_max=settings.queue.segment_bytes_max,
            segment_seconds_max=settings.queue.segment_seconds_max,
            bytes_max=settings.queue.bytes_max,
        )
        self.dead = DeadLetters(home.dead, redact=lambda line: self.gate.redact(line), clock=clock)

    @cached_property
    def gate(self) -> Gate:
        """Opened by who captures; who only asks does not wait for the redaction rules."""
        from cdesk.governance.redaction import Redactor

        key = load_or_make_key(self.home.key)
        redactor = Redactor(key)
        return Gate(self.writer, redactor.line, self.settings.consent, key, redactor.suspects)

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.gate)

    @cached_property
    def replay(self) -> Replay:
        return Replay(person(self.settings.person, self.home.path), PriceBook.bundled(), self.gate)

    def close(self) -> None:
        self.writer.close()


class App(Producer):
    """All rooms. Raises WarehouseBusy when another process owns this home's warehouse."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        environment: Mapping[str, str] = os.environ,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        home.make()
        self.warehouse = DuckDBWarehouse(home.warehouse, clock=clock)
        super().__init__(home, settings, clock=clock)
        self.reader = Reader(home.queue, CONSUMER, self.dead)
        self.uploader = Uploader(self.reader, self.warehouse, self.dead)
        self.usages = Usages(self.warehouse, PriceBook.bundled())
        self.bookmarks = Bookmarks(home.bookmarks)
        self.environment = environment
        self.claude_dirs = _dirs(settings, environment)
        self._follower: Follower | None = None
        self._threads: list[threading.Thread] = []
        self._moved_at = clock.monotonic()
        self._moved_since_compact = 0
        self._completeness: tuple[float, list[tuple[Any, ...]]] | None = None

    @cached_property
    def backfill(self) -> Backfill:
        who = person(self.settings.person, self.home.path)
        return Backfill(who, PriceBook.bundled(), self.gate, self.dead, self._pace)

    @cached_property
    def hooks(self) -> Hooks:
        from cdesk.capture.hook import Hooks

        return Hooks(person(self.settings.person, self.home.path), self.gate)

    @cached_property
    def spool(self) -> Spool:
        """What command hooks kept while nobody answered."""
        from cdesk.capture.spool import Spool

        return Spool(self.home.path / "spool", lambda: self.hooks, self.dead, clock=self.clock)

    # -- work --------------------------------------------------------------------------------------------------

    def import_transcripts(
        self, dirs: list[Path] | None = None, tell: Callable[[Progress], None] = lambda progress: None
    ) -> Imported:
        """Reads every transcript whole, and returns when the warehouse has committed all of it."""
        before = self.uploader.merged
        progress = self.backfill.run(dirs if dirs is not None else self.claude_dirs, self.bookmarks, tell=tell)
        self.spool.drain()
        self.uploader.drain()
        merged = self.uploader.merged - before
        return Imported(progress.files, progress.lines, merged.inserted, merged.unchanged, progress.rejected)

    def catch_up(self, progress: Progress, tell: Callable[[Progress], None] = lambda progress: None) -> None:
        """Reads what transcripts say that was not read yet, then follows them until `close`."""
        with self._in_bulk():
            self.backfill.run(self.claude_dirs, self.bookmarks, resume=True, progress=progress, tell=tell)
        from cdesk.capture.follow import Follower

        self._follower = Follower(lambda: _dirs(self.settings, self.environment), self.backfill, self.bookmarks)
        self._thread("follow", self._follower.run)

    def depth(self) -> Depth:
        return self.reader.depth(self.clock.now_ns() / 1e9)

    def completeness(self) -> list[tuple[Any, ...]]:
        """Rows of V_COMPLETENESS_OVERALL, at most COMPLETENESS_SECONDS old: the view reads the whole stream."""
        now = self.clock.monotonic()
        if self._completeness is None or now - self._completeness[0] > COMPLETENESS_SECONDS:
            columns = "source, sessions, facts, seen, missed, repaired, completeness_pct"
            found = self.warehouse.query(f"SELECT {columns} FROM V_COMPLETENESS_OVERALL ORDER BY source").rows
            self._completeness = (now, found)
        return self._completeness[1]

    def query_id(self) -> str:
        """Time-ordered, so that the query log reads in order."""
        return f"q_{self.clock.now_ns() // 1_000_000:x}_{self.clock.name()}"

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Lets the uploader run in the background until `close`."""
        self._thread("upload", lambda: self.uploader.run(_tell_warehouse_error, self._after_step))
        self._thread("spool", lambda: self.spool.run(_tell_queue_error, self.uploader.wake))

    def close(self) -> None:
        if self._follower is not None:
            self._follower.stop()
        self.spool.stop()
        self.uploader.stop()
        for thread in self._threads:
            thread.join(timeout=10)
        super().close()
        self.bookmarks.save()
        try:
            self.uploader.drain()
        except CdeskError as error:
            observe.event("warning", "drain_failed", error=str(error))
        self.warehouse.close()

    def settle(self) -> None:
        """Drains the queue and puts small row groups together, before a long silence."""
        self.uploader.drain()
        if self._moved_since_compact + self.uploader.merged.inserted >= COMPACT_ROWS_MIN:
            self.warehouse.compact()

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"cdesk-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    @contextmanager
    def _in_bulk(self) -> Iterator[None]:
        """Large batches, and no search for garbage in what is about to be thrown away anyway."""
        usual = gc.get_threshold()
        gc.set_threshold(100_000, 20, 20)
        self.uploader.backlog_bytes_min = BULK_BYTES_MIN
        try:
            yield
        finally:
            self.uploader.backlog_bytes_min = 0
            self.uploader.wake()
            gc.set_threshold(*usual)

    def _pace(self) -> None:
        """A reader of transcripts is faster than any warehouse: it waits while the backlog is long."""
        if self.uploader.is_running:
            while self.depth().bytes > BACKLOG_BYTES_MAX:
                time.sleep(0.01)
        elif self.depth().bytes > BACKLOG_BYTES_MAX:
            self.uploader.drain()

    def _after_step(self, moved: int) -> None:
        """Compaction blocks commits for a second or so: only in quiet moments, and only when it is worth it."""
        now = self.clock.monotonic()
        if moved:
            self._moved_at = now
            self._moved_since_compact += moved
            return
        self.writer.rotate()
        if self._moved_since_compact >= COMPACT_ROWS_MIN and now - self._moved_at > COMPACT_AFTER_IDLE_S:
            self._moved_since_compact = 0
            self.warehouse.compact()


def open_app(environment: Mapping[str, str] = os.environ) -> App:
    """The rooms of `$CDESK_HOME`. Raises ConfigError and WarehouseError."""
    home = config.home(environment)
    return App(home, config.load(home), environment)


def open_producer(environment: Mapping[str, str] = os.environ) -> Producer:
    home = config.home(environment)
    return Producer(home, config.load(home))


def _dirs(settings: Settings, environment: Mapping[str, str]) -> list[Path]:
    if settings.claude.dirs:
        return [Path(path).expanduser() for path in settings.claude.dirs]
    return claude_dirs(environment, Path(environment.get("HOME") or "~").expanduser())


def _tell_queue_error(error: QueueError) -> None:
    observe.event("error", "spool_waits", error=str(error))


def _tell_warehouse_error(error: WarehouseError) -> None:
    observe.event("error", "merge_failed", error=str(error))
