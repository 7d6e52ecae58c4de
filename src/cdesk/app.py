"""Opens the rooms and hands each what it needs. The one file that knows them all."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cdesk import config, observe
from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON, Activity, Person
from cdesk.activity.pricing import PriceBook
from cdesk.capture.backfill import Backfill, Progress
from cdesk.capture.bookmarks import Bookmarks
from cdesk.capture.gate import Gate
from cdesk.capture.incident import Incidents
from cdesk.capture.insight import InsightDesk
from cdesk.capture.intake import Intake
from cdesk.capture.person import person
from cdesk.capture.relief import Relief
from cdesk.capture.replay import Replay
from cdesk.capture.transcript import claude_dirs
from cdesk.capture.watch import Watch, Watched
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.config import Home, Settings, SnowflakeSettings
from cdesk.context.cache import ContextReader
from cdesk.context.model import ContextKey
from cdesk.context.names import Names
from cdesk.cost.book import Book
from cdesk.cost.meter import Meter
from cdesk.errors import CdeskError, ConfigError, QueueError, UsageError, WarehouseBusy, WarehouseError
from cdesk.governance.handshake import Invitation, read_token
from cdesk.governance.key import load_or_make_key
from cdesk.query.completeness import Completeness
from cdesk.query.insights import Insights
from cdesk.query.usage import Usages
from cdesk.queue import DeadLetters, Reader, Writer
from cdesk.queue.archive import Archive
from cdesk.queue.depth import Depth
from cdesk.queue.lock import Owned, Owner, OwnerLock
from cdesk.queue.pressure import Change, Level, Pressure, Thresholds, level_at
from cdesk.queue.recovery import survey
from cdesk.queue.refusals import Refusals
from cdesk.upkeep.identity import IdentityDesk
from cdesk.upload.carried import Carried
from cdesk.upload.drift import Drift
from cdesk.upload.follower import FollowingInspector
from cdesk.upload.inspector import Inspector
from cdesk.upload.uploader import CATCH_UP_LINES_MAX, RETRY_LINES_MIN, Uploader
from cdesk.warehouse.warehouse import Merged

if TYPE_CHECKING:
    from cdesk.artifact.artifacts import Artifacts
    from cdesk.artifact.model import Artifact
    from cdesk.artifact.seal import Seal
    from cdesk.capture.answer import Answers
    from cdesk.capture.collected import Collected
    from cdesk.capture.follow import Follower
    from cdesk.capture.hook import Hooks
    from cdesk.capture.laptops import Laptops
    from cdesk.capture.spool import Spool
    from cdesk.dataset import Datasets
    from cdesk.insight.follow import ContextFollower
    from cdesk.query.adhoc import Adhoc
    from cdesk.query.ask import Answered, Asker, AskRequest, Ran, Sampled
    from cdesk.query.cost import BudgetStanding, Costs, TeamCosts
    from cdesk.query.estimate import Estimate, Estimator
    from cdesk.query.explain import Explanation
    from cdesk.query.questions import Questions
    from cdesk.query.sample import Sampler
    from cdesk.query.team import Team
    from cdesk.query.template import Template
    from cdesk.query.ticket import Kept, Submission, Ticket, Tickets
    from cdesk.refresh.history import Run
    from cdesk.refresh.runner import Incident, Runner
    from cdesk.warehouse.snowflake.store import SnowflakeWarehouse
    from cdesk.warehouse.warehouse import Answer, Execution

CONSUMER = "warehouse"
TEAM = "snowflake"
COLLECTOR = "collector"
BACKLOG_BYTES_MAX = 64 * 1024 * 1024
BULK_BYTES_MIN = 16 * 1024 * 1024
SEGMENT_SHARE, BACKLOG_SHARE, BULK_SHARE = 8, 4, 16
"""A small budget holds at least so many segments, and so many backlogs: what is loaded must make room before it is full."""
AGAIN_SECONDS = 1.0
SETTLE_SECONDS = 900.0
"""How often what was streamed of facts known before is joined with them, which wakes a warehouse."""
COMPACT_AFTER_IDLE_S = 5.0
COMPACT_ROWS_MIN = 100_000
PLACES_MAX = 100


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import did: files and lines read; facts new to the warehouse, facts it already had, lines set aside."""

    files: int
    lines: int
    activities: int
    duplicates: int
    rejected: int


class Replayed(msgspec.Struct, frozen=True):
    """asked: letters given another chance · replayed: durable in the queue now · stays: why each other one is still dead"""

    asked: int
    replayed: int
    stays: dict[str, str]


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
            segment_bytes_max=min(settings.queue.segment_bytes_max, settings.queue.bytes_max // SEGMENT_SHARE),
            segment_seconds_max=settings.queue.segment_seconds_max,
            bytes_max=settings.queue.bytes_max,
        )
        self.dead = DeadLetters(home.dead, redact=lambda line: self.gate.redact(line), clock=clock)
        self.pressure = Pressure(home.queue, self._thresholds(), clock=clock)
        self.relief = Relief(settings.queue.pressure, lambda: self.pressure.level)

    def _thresholds(self) -> Thresholds:
        """Who comes and goes waits for no calm."""
        return replace(Thresholds.of(self.settings.queue.pressure, self.settings.queue.bytes_max), calm_s=0.0)

    @cached_property
    def gate(self) -> Gate:
        """Opened by who captures; who only asks does not wait for the redaction rules."""
        from cdesk.governance.redaction import Redactor

        key = load_or_make_key(self.home.key)
        redactor = Redactor(key)
        return Gate(self.writer, redactor.line, self.settings.consent, key, redactor.suspects, relief=self.relief)

    @cached_property
    def intake(self) -> Intake:
        """Whoever hands in activities looks once how pressed the queue is."""
        self.watch.look()
        return Intake(self.gate)

    @cached_property
    def insight_desk(self) -> InsightDesk:
        return InsightDesk(lambda: self.gate, lambda: person(self.settings.person, self.home.path), self.clock)

    @cached_property
    def replay(self) -> Replay:
        """A letter that somebody gives another chance is not left out, however pressed the queue is."""
        whole = replace(self.gate, relief=None)
        return Replay(person(self.settings.person, self.home.path), PriceBook.bundled(), whole)

    def replay_letters(self, digests: list[str] | None) -> Replayed:
        """Gives dead letters another chance, all of them when none is named; those durable in the queue are dropped."""
        letters = [letter for letter in self.dead if digests is None or letter.digest in digests]
        stays: dict[str, str] = {}
        done = self.replay.run(letters, lambda letter, why: stays.update({letter.digest: why}) if why else None)
        self.dead.drop(set(done))
        self._after_replay()
        return Replayed(len(letters), len(done), stays)

    @cached_property
    def refusals(self) -> Refusals:
        return Refusals(self.home.refused)

    @cached_property
    def watch(self) -> Watch:
        incidents = Incidents(lambda: person(self.settings.person, self.home.path), self.clock)
        watched = Watched(
            self.depth, self.pressure, self.refusals, self.writer.counts, lambda: self.gate, self.relief, incidents
        )
        return Watch(watched, clock=self.clock, on_change=self._after_change, on_room=self._after_room)

    def level(self, depth: Depth) -> Level:
        """How pressed the queue is by what is in it; nobody is there to make it old."""
        return level_at(replace(depth, oldest_age_s=0.0), self._thresholds())

    @cached_property
    def told(self) -> ContextReader:
        """What Claude is told, as it was last made."""
        return ContextReader(self.home.context)

    def depth(self) -> Depth:
        return Reader(self.home.queue, CONSUMER, self.dead).depth(self.clock.now_ns() / 1e9)

    def _after_replay(self) -> None:
        """The next process that opens the warehouse loads them."""

    def _after_change(self, change: Change) -> None:
        """It is recorded; a command that comes and goes keeps no log."""

    def _after_room(self) -> None:
        """Somebody who only hands in activities reads no transcripts."""

    def close(self) -> None:
        self.writer.close()
        with suppress(QueueError):  # only how often letters were seen
            self.dead.close()
        if "refusals" in self.__dict__:
            self.refusals.close()
        if "told" in self.__dict__:
            self.told.close()


class App(Producer):
    """All rooms. Raises WarehouseBusy when another process owns this home's queue and warehouse."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        environment: Mapping[str, str] = os.environ,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        from cdesk.warehouse.duckdb.store import DuckDBWarehouse  # who only hands in activities does not load it

        home.make()
        self._owner = own(home, clock)
        self.book = Book(home.cost, clock=clock)
        self.meter = Meter(self.book)
        try:
            self.warehouse = DuckDBWarehouse(
                home.warehouse, clock=clock, measured=lambda tag: self.meter.work("interactive", tag)
            )
        except BaseException:
            self._owner.close()
            raise
        super().__init__(home, settings, clock=clock)
        self.reader = Reader(home.queue, CONSUMER, self.dead, clock=clock, retire=_retire(home, settings))
        self.recovered = survey(home.queue, self.reader.offsets)
        self.inspector = Inspector(
            self.warehouse.drift, self._tell_drift, settings.drift, lambda: person(settings.person, home.path),
            words_kept=settings.consent.text == "keep", clock=clock,
        )  # fmt: skip
        self.drift = Drift(self.warehouse.drift, self.inspector, self.writer.append, clock)
        self.uploader = Uploader(
            self.reader, self.warehouse, self.dead, self.inspector, measured=lambda: self.meter.work("ingest")
        )
        self.identity = IdentityDesk(self.warehouse.identities, clock=clock, on_settled=self._tell_name)
        self.insights = Insights(self.warehouse, clock=clock)
        self.usages = Usages(self.warehouse, PriceBook.bundled())
        self.bookmarks = Bookmarks(home.bookmarks)
        self.environment = environment
        self.claude_dirs = _dirs(settings, environment)
        self._follower: Follower | None = None
        self._is_closing = threading.Event()
        self._connections: list[Callable[[], None]] = []
        """What closes them, of the queue's other consumers."""
        self.trouble: dict[str, str | None] = {}
        """Why one of the queue's other consumers cannot go on, by its name."""
        self.listens_at: str | None = None
        """Where laptops send to, when this is a collector."""
        self._threads: list[threading.Thread] = []
        self._moved_at = clock.monotonic()
        self._moved_since_compact = 0
        self.carried = Carried(settings.snowflake.path)
        self._settle: Callable[[], int] = lambda: 0
        self.completeness = Completeness(self.warehouse, lambda: self.uploader.merged, clock=clock)

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

        return Spool(self.home.path / "spool", lambda: self.hooks, self.dead, self._heard_of, clock=self.clock)

    @cached_property
    def answers(self) -> Answers:
        """What Claude is told back by its hooks."""
        from cdesk.capture.answer import Answers
        from cdesk.context.plain import PlainFiles
        from cdesk.context.text import rendered
        from cdesk.context.told import ToldSessions

        folder = self.home.context.parent
        return Answers(
            self.settings.context.hook, person(self.settings.person, self.home.path), self.told, rendered,
            ToldSessions(folder / "told"), PlainFiles(folder / "plain"), lambda facts: self.gate.admit(facts),
            clock=self.clock,
        )  # fmt: skip

    def _heard_of(self, payload: bytes, received_ns: int, version: str | None) -> None:
        try:
            self.answers.heard_of(payload, received_ns, version)
        except OSError as error:
            observe.event("warning", "given_context_untold", error=str(error))

    @cached_property
    def tasks(self) -> Runner:
        """Keeps derived tables up to date."""
        from cdesk.refresh.runner import Runner
        from cdesk.refresh.task import load

        return Runner(
            self.warehouse, load(), clock=self.clock, tell=self._tell_incident, on_done=self._after_task,
            measured=lambda name: self.meter.work("tasks", f"task:{name}"),
        )  # fmt: skip

    @cached_property
    def artifacts(self) -> Artifacts:
        """Whole results, kept for who asks again. Raises ConfigError and ArtifactError."""
        from cdesk.artifact.artifacts import Artifacts
        from cdesk.query.cells import cell

        wanted, folder, bucket = self.settings.artifacts, self.home.artifacts, None
        if wanted.url:
            from cdesk.artifact.s3 import S3Store

            bucket = S3Store(wanted, folder / "copies", self.environment)
        return Artifacts(folder, self.warehouse, self.seal, cell, days=wanted.days, remote=bucket, clock=self.clock)

    @cached_property
    def person(self) -> Person:
        """Whose home this is."""
        return person(self.settings.person, self.home.path)

    @cached_property
    def seal(self) -> Seal:
        """What this home's cursors and download links are known by."""
        from cdesk.artifact.seal import Seal

        return Seal(load_or_make_key(self.home.key))

    @cached_property
    def datasets(self) -> Datasets:
        from cdesk.dataset import Datasets

        return Datasets(self.warehouse, self.query_id)

    @cached_property
    def contexts(self) -> ContextFollower:
        """Keeps what Claude is told up to date."""
        from cdesk.context import today
        from cdesk.context.cache import ContextCache
        from cdesk.insight.context import ContextBuilder
        from cdesk.insight.follow import ContextFollower

        builder = ContextBuilder(self.warehouse, self.settings.consent, clock=self.clock)
        who, budget = person(self.settings.person, self.home.path), self.settings.budget.usd_per_day
        names = Names(self.home.context.parent)
        return ContextFollower(
            self.warehouse.changes, builder,
            ContextCache(self.home.context, clock=self.clock, under=self.settings.consent.digest),
            tell=lambda: today.keep(self.home.today, builder.today(names.shown(who.customer)), budget), clock=self.clock,
            measured=lambda: self.meter.work("tasks", "contexts"),
        )  # fmt: skip

    @cached_property
    def estimator(self) -> Estimator:
        """What a statement would read."""
        from cdesk.query.estimate import Estimator

        return Estimator(self.warehouse, clock=self.clock)

    @cached_property
    def sampler(self) -> Sampler:
        """What reads a part instead."""
        from cdesk.query.sample import Sampler

        return Sampler(self.warehouse, clock=self.clock)

    @cached_property
    def adhoc(self) -> Adhoc:
        """SQL from outside."""
        from cdesk.query.adhoc import Adhoc

        return Adhoc(self.warehouse, self.query_id, self.estimator, self.sampler)

    @cached_property
    def questions(self) -> Questions:
        from cdesk.query.questions import Questions

        return Questions(self.warehouse, self.home.templates, clock=self.clock)

    @cached_property
    def asker(self) -> Asker:
        """Answers questions, each once."""
        from cdesk.query.ask import Asker
        from cdesk.query.provenance import DataVersions

        versions = DataVersions(self.warehouse, self.warehouse.changes)
        return Asker(
            self.warehouse, self.questions, versions, lambda: self.person.customer, estimator=self.estimator,
            sampler=self.sampler, keep=self._keep_answer, redact=lambda line: self.gate.redact(line), tell=self._tell_asked, clock=self.clock,
        )  # fmt: skip

    def explain(self, citation: str, row: int | None = None, column: str | None = None) -> Explanation:
        """What stands behind a citation; with a row, also behind that cell. Raises UsageError and QueryRefused."""
        from cdesk.query.behind import behind
        from cdesk.query.explain import explain, with_cell

        found = explain(self.warehouse, citation)
        if row is None:
            return found
        recorded = self.asker.recorded(str(found.said.get("query_id")))
        if recorded is None:
            raise UsageError(f"{citation[:60]} is no answer with cells that is still kept.", "Ask the question again.")
        template = self.questions.template(recorded.question)
        return with_cell(found, behind(self.warehouse, template, recorded, row, column, self.query_id()))

    def keep_answer(self, query_id: str) -> Artifact:
        """A recorded answer as an artifact, the same one whenever it is asked for. Raises UsageError, ArtifactError."""
        from cdesk.query.keep import kept

        recorded = self.asker.recorded(query_id)
        if recorded is None:
            raise UsageError(f"{query_id[:60]!r} is no answer that is still kept.", "Ask the question again.")
        return kept(self.artifacts, recorded, self.questions.template(recorded.question), self.person)

    @cached_property
    def tickets(self) -> Tickets:
        """Long questions, answered one after the other; those that were not done are taken up."""
        from cdesk.query.ticket import Tickets

        def check(asked: Submission) -> Estimate | None:
            return self.adhoc.foreseen(asked.sql, asked.bytes_max, asked.over_cap)

        at_once = max(1, (os.cpu_count() or 1) // 2)
        return Tickets(
            self.home.tickets, self._answer_ticket, self.query_id, at_once=at_once, check=check, clock=self.clock
        )  # fmt: skip

    def _answer_ticket(self, ticket: Ticket, execution: Execution) -> Kept:
        from cdesk.query.make import MakeRequest, make
        from cdesk.query.ticket import SECONDS_MAX, TICKET_HOURS, Kept, Part

        admitted = self.adhoc.admitted(ticket.sql, ticket.bytes_max, ticket.over_cap)
        sample = admitted.sample
        with self.meter.work("batch", ticket.query_id):
            artifact = make(
                self.warehouse, self.artifacts, MakeRequest(ticket.sql, ticket.title), self.person, lambda: ticket.query_id,
                seconds_max=SECONDS_MAX, days=TICKET_HOURS / 24, execution=execution, sample=sample,
            )  # fmt: skip
        part = Part(sample.rate, sample.seed, sample.watermark) if sample else None
        return Kept(artifact, admitted.estimate, part)

    @cached_property
    def team_warehouse(self) -> SnowflakeWarehouse:
        """The team's, in Snowflake."""
        from cdesk.warehouse.snowflake.store import SnowflakeWarehouse

        return SnowflakeWarehouse(self._snowflake(), clock=self.clock)

    @cached_property
    def team(self) -> Uploader:
        """Carries the same lines into the team's warehouse in Snowflake, as a consumer of its own."""
        wanted = self._snowflake()
        if wanted.path == "streaming":
            return self._streamed(wanted)
        return Uploader(
            self._other_reader(TEAM),
            self.team_warehouse,
            self.dead,
            self._following,
            measured=lambda: self.meter.apart("ingest", "snowflake"),
        )

    def _check_team(self) -> None:
        """Raises ConfigError where no account is given."""
        if not self._snowflake().is_given:
            raise ConfigError(
                f"no Snowflake account is given in {self.home.settings}.",
                "Name a connection in its section [snowflake], or set CDESK_SNOWFLAKE_ACCOUNT, _USER and _PRIVATE_KEY_FILE.",
            )

    @property
    def team_answers(self) -> Team:
        """The same questions, asked of the team's warehouse. Raises ConfigError where no account is given."""
        from cdesk.query.team import Team

        self._check_team()
        return Team(self.team_warehouse, self.questions, self.query_id, clock=self.clock)

    def identity_of(self, warehouse: str) -> IdentityDesk:
        """This machine's own, or the team's. Raises UsageError, and ConfigError where no account is given."""
        if warehouse == "duckdb":
            return self.identity
        if warehouse != "snowflake":
            raise UsageError(f"there is no warehouse {warehouse[:40]!r}.", "duckdb or snowflake")
        self._check_team()
        return IdentityDesk(self.team_warehouse.identities, clock=self.clock)

    def ask(self, name: str, asked: AskRequest) -> Answered:
        """A question, answered by the warehouse that it names. Raises what Asker.ask and Team.ask raise."""
        return self.team_answers.ask(name, asked) if asked.on == "snowflake" else self.asker.ask(name, asked)

    @property
    def _following(self) -> FollowingInspector:
        return FollowingInspector(self.inspector, lambda: self.reader.offsets)

    def _streamed(self, wanted: SnowflakeSettings) -> Uploader:
        """By Snowpipe Streaming, in a channel of this home's own."""
        from cdesk.upload.streamed import StreamedReader
        from cdesk.warehouse.snowflake import streaming
        from cdesk.warehouse.snowflake.streaming_store import StreamedWarehouse

        channel = streaming.Channel(wanted, streaming.name(self.person.anonymous_customer_id, self.home.path))
        warehouse = StreamedWarehouse(wanted, channel, clock=self.clock)
        reader = StreamedReader(
            self.home.queue, TEAM, self.dead, warehouse, rows_max=streaming.ROWS_MAX, bytes_max=streaming.BYTES_MAX,
            clock=self.clock,
        )  # fmt: skip
        self._connections.append(warehouse.close)
        self._settle = warehouse.settle
        self.carried.bytes_sent = lambda: warehouse.bytes_sent
        return Uploader(
            reader, warehouse, self.dead, self._following, measured=lambda: self.meter.apart("ingest", "snowflake")
        )

    @cached_property
    def costs(self) -> Costs:
        """What cdesk itself costs."""
        from cdesk.query.cost import Costs

        return Costs(self.book, self.meter, self.team_costs, clock=self.clock)

    @cached_property
    def team_costs(self) -> TeamCosts | None:
        """What the team's warehouse costs; None where no Snowflake is set."""
        if not self._snowflake().is_given:
            return None
        from cdesk.query.cost import TeamCosts

        return TeamCosts(
            lambda: self.team_warehouse, self.book, self._budgeted, clock=self.clock, tell=self._tell_budget
        )

    def _snowflake(self) -> SnowflakeSettings:
        return config.snowflake(self.settings, self.environment)

    def _budgeted(self) -> SnowflakeSettings:
        """As the file says now: somebody may have raised the budget. One that cannot be read changes nothing."""
        try:
            now = config.load(self.home).snowflake if self.home.settings.exists() else self.settings.snowflake
        except CdeskError:
            return self.settings.snowflake
        return now

    @cached_property
    def collector(self) -> Uploader:
        """Carries the same lines to the team's collector. Raises ConfigError."""
        from cdesk.upload.collector import Collector

        wanted = self.settings.collector
        path = Path(wanted.token_file).expanduser() if wanted.token_file else self.home.invitation
        ca_file = Path(wanted.ca_file).expanduser() if wanted.ca_file else None
        collector = Collector(wanted.url or "", invitation(path), ca_file=ca_file, clock=self.clock)
        self._connections.append(collector.close)
        return Uploader(self._collector_reader, collector, self.dead)

    @cached_property
    def laptops(self) -> Laptops:
        """Who may send to this home, if it is a collector's."""
        from cdesk.capture.laptops import Laptops

        return Laptops(self.home.laptops, clock=self.clock)

    @cached_property
    def collected(self) -> Collected:
        """Takes what they send."""
        from cdesk.capture.collected import Collected

        return Collected(lambda: self.gate, self.laptops, clock=self.clock)

    def forward_depth(self) -> Depth | None:
        """What waits for the collector; None for who sends to none."""
        if self.settings.collector.url is None:
            return None
        return self._collector_reader.depth(self.clock.now_ns() / 1e9)

    @cached_property
    def _collector_reader(self) -> Reader:
        return self._other_reader(COLLECTOR)

    def _other_reader(self, consumer: str) -> Reader:
        """Segments are retired by the warehouse's own consumer, who looks at them all the time."""
        return Reader(self.home.queue, consumer, self.dead, clock=self.clock, retire=lambda segment: None)

    def team_depth(self) -> Depth:
        """What waits for the team's warehouse."""
        return self._other_reader(TEAM).depth(self.clock.now_ns() / 1e9)

    # -- work --------------------------------------------------------------------------------------------------

    def import_transcripts(
        self, dirs: list[Path] | None = None, tell: Callable[[Progress], None] = lambda progress: None
    ) -> Imported:
        """Reads every transcript whole, and returns when the warehouse has committed all of it."""
        self.uploader.drain()  # what is left from before may be all there is room for
        before = self.uploader.merged
        with self.meter.work("ingest", "back-fill"):
            progress = self.backfill.run(dirs if dirs is not None else self.claude_dirs, self.bookmarks, tell=tell)
        self.spool.drain()
        self.uploader.drain()
        merged = self.uploader.merged - before
        return Imported(progress.files, progress.lines, merged.inserted, merged.unchanged, progress.rejected)

    def catch_up(self, progress: Progress, tell: Callable[[Progress], None] = lambda progress: None) -> None:
        """Reads what transcripts say that was not read yet, then follows them until `close`."""
        with self._in_bulk():
            self._read_history(progress, tell)
        from cdesk.capture.follow import Follower

        self._follower = Follower(lambda: _dirs(self.settings, self.environment), self.backfill, self.bookmarks)
        self._thread("follow", self._follower.run)

    def _read_history(self, progress: Progress, tell: Callable[[Progress], None]) -> None:
        """A queue without room is waited for: what it did not take is read again from its bookmark."""
        while not self._is_closing.is_set():
            try:
                with self.meter.work("ingest", "back-fill"):
                    self.backfill.run(self.claude_dirs, self.bookmarks, resume=True, progress=progress, tell=tell)
                return
            except QueueError as error:
                observe.event("warning", "backfill_waits", error=str(error))
                self._is_closing.wait(AGAIN_SECONDS)

    def depth(self) -> Depth:
        return self.reader.depth(self.clock.now_ns() / 1e9)

    def query_id(self) -> str:
        """Time-ordered, so that the query log reads in order."""
        return f"q_{self.clock.now_ns() // 1_000_000:x}_{self.clock.name()}"

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Lets the uploader run in the background until `close`."""
        self._tell_recovery()
        self.warehouse.open_for_writing()
        self.watch.look()
        self._thread("watch", self.watch.run)
        wanted = self._announced()
        self._thread("upload", lambda: self.uploader.run(_tell_warehouse_error, self._after_step))
        self._thread("identity", self._settle_identity)
        self._thread("spool", self._follow_spool)
        self._thread("estimator", self.estimator.prepare)
        _ = self.tickets  # before two requests open them at once
        if self.home.artifacts.exists():
            self._thread("artifacts", self.sweep_artifacts)
        for consumer, carry in wanted:
            self._thread(consumer, carry)

    def _announced(self) -> list[tuple[str, Callable[[], None]]]:
        """The queue's other consumers, on record before a segment can go: what they cannot take yet stays for them."""
        wanted: list[tuple[str, Callable[[], None]]] = []
        for consumer, is_wanted, carry in (
            (TEAM, self.settings.snowflake.load, self._carry_to_team),
            (COLLECTOR, self.settings.collector.url is not None, self._carry_to_collector),
        ):
            reader = self._other_reader(consumer)
            if is_wanted:
                reader.announce()
                wanted.append((consumer, carry))
            else:
                reader.withdraw()
        return wanted

    @property
    def killed(self) -> Owner | None:
        """Who carried this queue before, when that process did not end well."""
        return self._owner.died

    def _tell_recovery(self) -> None:
        """What the last process left; a killed one is said to have been."""
        found, died = self.recovered, self.killed
        observe.event(
            "warning" if died or found.torn else "info", "queue_found", segments=found.segments, bytes=found.bytes,
            owned=found.owned, torn=found.torn, unnamed=found.unnamed, seconds=round(found.seconds, 4),
            killed_pid=died.pid if died else None,
        )  # fmt: skip

    def keep_fresh(self) -> None:
        """Lets tasks run in the background until `close`."""
        self.tasks.start()
        self.contexts.start()

    def close(self) -> None:
        self._is_closing.set()
        if "tickets" in self.__dict__:
            self.tickets.close()
        if "contexts" in self.__dict__:
            self.contexts.stop()
        if "tasks" in self.__dict__:
            self.tasks.stop()
        if self._follower is not None:
            self._follower.stop()
        if "watch" in self.__dict__:
            self.watch.stop()
        self.spool.stop()
        self.uploader.stop()
        for thread in self._threads:
            thread.join(timeout=10)
        super().close()
        self.bookmarks.save()
        try:
            self.uploader.drain()
            self.inspector.flush()
        except CdeskError as error:
            observe.event("warning", "drain_failed", error=str(error))
        self.completeness.close()
        if "artifacts" in self.__dict__:
            self.artifacts.close()
        for close in self._connections:
            close()
        if "team_warehouse" in self.__dict__:
            self.team_warehouse.close()
        self.warehouse.close()
        self.meter.settle()
        self.book.save()
        self._owner.close()

    def settle(self) -> None:
        """Drains the queue, brings derived tables up to date and puts small row groups together, before a long silence."""
        self.uploader.drain()
        self.tasks.run_pending()
        if self._moved_since_compact + self.uploader.merged.inserted >= COMPACT_ROWS_MIN:
            with self.meter.work("ingest", "compaction"):
                while self.warehouse.compact():
                    pass

    def sweep_artifacts(self) -> None:
        """Content of artifacts that are gone, and what a crash left, goes too."""
        try:
            deleted = self.artifacts.sweep()
        except (CdeskError, OSError) as error:
            observe.event("warning", "artifacts_not_swept", error=str(error))
            return
        if deleted:
            self._tell_swept(deleted)

    def _tell_swept(self, deleted: int) -> None:
        """As an activity: what is deleted is on record."""
        who, at = self.person, self.clock.now()
        told = Activity(
            activity_id=activity_id("system", "artifacts_cleaned", at.isoformat()), ts=at, activity="artifacts_cleaned",
            customer=who.customer, org_id=who.org_id, anonymous_customer_id=who.anonymous_customer_id, source="cdesk",
            feature_json={
                "event_type": "artifacts_cleaned", "severity": "info", "metrics": {"artifacts": deleted},
                "message": f"{deleted} artifacts past their time were deleted", "action_taken": "their content is gone",
            },
        )  # fmt: skip
        try:
            self.gate.admit([told])
            self.uploader.wake()
        except QueueError as error:
            observe.event("warning", "sweeping_untold", artifacts=deleted, error=str(error))

    def _after_task(self, run: Run) -> None:
        if run.name == "clean_artifacts" and run.error is None:
            self.sweep_artifacts()
        if run.rows and "contexts" in self.__dict__:
            self.contexts.wake()

    def _tell_incident(self, incident: Incident) -> None:
        """As an activity, so that it is seen where all others are."""
        who = person(self.settings.person, self.home.path)
        told = Activity(
            activity_id=activity_id("system", "task_suspended", incident.task, incident.at.isoformat()),
            ts=incident.at, activity="task_suspended", customer=who.customer, org_id=who.org_id,
            anonymous_customer_id=who.anonymous_customer_id, source="cdesk", feature_json={
                "event_type": "task_suspended", "severity": "error", "message": f"{incident.message} {incident.remedy}",
                "metrics": {"failures": incident.failures}, "action_taken": "the task does not run until it is resumed",
                "task": incident.task,
            },
        )  # fmt: skip
        try:
            self.gate.admit([told])
            self.uploader.wake()
        except QueueError as error:
            observe.event("error", "incident_untold", task=incident.task, error=str(error))

    def _tell_drift(self, told: Sequence[Activity]) -> None:
        """At once here; the team hears of it by way of the queue. Raises WarehouseError."""
        self.warehouse.merge(told)
        if not self.settings.snowflake.load:
            return
        try:
            self.gate.admit(told)
        except QueueError as error:
            observe.event("warning", "drift_untold", error=str(error))

    def _tell_asked(self, ran: Ran) -> None:
        """As an activity: so answers that can be traced are counted where all others are."""
        who = self.person
        features: dict[str, JSON] = {
            "query_id": ran.query_id, "sql": ran.sql, "warehouse": "duckdb", "role": ran.role, "rows": ran.rows,
            "bytes_scanned": ran.bytes, "duration_ms": round(ran.duration_ms, 3), "success": ran.error is None,
            "error": ran.error,
        }  # fmt: skip
        told = Activity(
            activity_id=activity_id("statement", ran.query_id, ran.began.isoformat()), ts=ran.began,
            activity="sql_executed", customer=who.customer, org_id=who.org_id,
            anonymous_customer_id=who.anonymous_customer_id, source="cdesk", link=ran.artifact_id,
            feature_json={name: value for name, value in features.items() if value is not None},
        )  # fmt: skip
        try:
            self.gate.admit([told])
            self.uploader.wake()
        except QueueError as error:
            observe.event("warning", "asking_untold", query_id=ran.query_id, error=str(error))

    def _keep_answer(self, template: Template, answer: Answer, sample: Sampled | None) -> str:
        from cdesk.query.keep import whole

        return whole(self.artifacts, template, answer, sample, self.person).artifact_id

    def _carry_on(
        self,
        consumer: str,
        uploader: Callable[[], Uploader],
        seconds: float,
        *,
        holds: Callable[[], bool] = lambda: False,
        settle: Callable[[], None] = lambda: None,
        after: Callable[[Merged, float], None] = lambda moved, begun: None,
    ) -> None:
        """Whatever goes wrong is told, when it is something new, and tried again with the next batch; the queue keeps
        everything meanwhile. holds: nothing may go there now · settle: what is to be done besides, each round
        after: so much went there, since a moment of the monotonic clock"""
        failures = 0
        while not self._is_closing.is_set():
            if holds():
                self._is_closing.wait(seconds)
                continue
            trouble, begun, moved = None, self.clock.monotonic(), Merged()
            try:
                carrier = uploader()
                before = carrier.merged
                try:
                    while not self._is_closing.is_set() and carrier.step(
                        max(CATCH_UP_LINES_MAX >> failures, RETRY_LINES_MIN)
                    ):
                        failures = 0
                    settle()
                finally:
                    moved = carrier.merged - before
            except CdeskError as error:
                trouble, failures = str(error), failures + 1
            if moved.inserted or moved.updated:
                observe.event("info", f"{consumer}_loaded", inserted=moved.inserted, updated=moved.updated)
                after(moved, begun)
            if trouble and trouble != self.trouble.get(consumer):
                observe.event("error", f"{consumer}_waits", error=trouble)
            self.trouble[consumer] = trouble
            self._is_closing.wait(seconds)

    def _carry_to_team(self) -> None:
        """Within the budget of the day. Facts that were known before are joined now and then."""
        settle_at, settled_rows = self.clock.monotonic() + SETTLE_SECONDS, 0

        def settle() -> None:
            nonlocal settle_at, settled_rows
            begun = self.clock.monotonic()
            if self.carried.rows == settled_rows or begun < settle_at:
                return
            settle_at, settled_rows = begun + SETTLE_SECONDS, self.carried.rows
            while not self._is_closing.is_set() and self._settle():
                self.carried.settled(begun, self.clock.monotonic())

        def after(moved: Merged, begun: float) -> None:
            self.carried.moved(moved, begun, self.clock.monotonic())
            if self.team_costs is not None:
                self.team_costs.look()

        self._carry_on(
            TEAM,
            lambda: self.team,
            self.settings.snowflake.batch_seconds,
            holds=self._is_over_budget,
            settle=settle,
            after=after,
        )

    def _carry_to_collector(self) -> None:
        self._carry_on(COLLECTOR, lambda: self.collector, self.settings.collector.batch_seconds)

    def _is_over_budget(self) -> bool:
        """Then nothing is loaded into Snowflake; the queue holds it."""
        return self.team_costs is not None and self.team_costs.holds()

    def _tell_budget(self, standing: BudgetStanding) -> None:
        """In the log, and as an activity, so that it is seen where all others are."""
        is_hard = standing.level == "hard"
        spent = (
            f"Snowflake has cost {standing.usd:,.2f} of {standing.budget_usd:,.2f} US dollars on {standing.day} (UTC)"
        )
        done = "loading pauses until the day is over or [snowflake] budget_usd_per_day is raised; the queue holds everything"
        observe.event("error" if is_hard else "warning", "team_budget", reached=standing.level, usd=round(standing.usd, 2),
                      budget_usd=standing.budget_usd, estimated_usd=round(standing.estimated_usd, 2))  # fmt: skip
        who, at = self.person, self.clock.now()
        told = Activity(
            activity_id=activity_id("system", "budget_reached", standing.day, standing.level), ts=at,
            activity="budget_reached", customer=who.customer, org_id=who.org_id,
            anonymous_customer_id=who.anonymous_customer_id, source="cdesk", feature_json={
                "event_type": "budget_reached", "severity": "error" if is_hard else "warning", "message": spent,
                "metrics": {"usd": round(standing.usd, 2), "budget_usd": standing.budget_usd},
                "action_taken": done if is_hard else "nothing yet: it is told",
            },
        )  # fmt: skip
        try:
            self.gate.admit([told])
            self.uploader.wake()
        except QueueError as error:
            observe.event("warning", "budget_untold", error=str(error))

    def _follow_spool(self) -> None:
        """What was kept to be said under other settings goes, once it is known who was told of it meanwhile."""
        try:
            self.spool.drain()
            self.answers.forget()
        except (QueueError, OSError) as error:
            observe.event("warning", "plain_contexts_stay", error=str(error))
        self.spool.run(_tell_queue_error, self.uploader.wake)

    def _settle_identity(self) -> None:
        """What a process that died left half rewritten."""
        try:
            self.identity.resume()
        except WarehouseError as error:
            _tell_warehouse_error(error)
        self._tell_name()

    def _tell_name(self) -> None:
        """Who this machine's person is shown as now; the contexts they had are wanted under that name."""
        who, names = person(self.settings.person, self.home.path), Names(self.home.context.parent)
        shown = self.warehouse.identities.shown(who) or who.customer
        found = {who.customer: shown} if shown != who.customer else {}
        if found == names.known():
            return
        places = self.told.places(who.customer, PLACES_MAX)
        try:
            names.keep(found)
        except OSError as error:
            observe.event("warning", "name_untold", error=str(error))
        for place in places:
            self.told.want(ContextKey(who.customer, place.project_path))

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"cdesk-{name}", daemon=True)
        thread.start()
        self._threads.append(thread)

    @contextmanager
    def _in_bulk(self) -> Iterator[None]:
        """Large batches, and no search for garbage in what is about to be thrown away anyway."""
        usual = gc.get_threshold()
        gc.set_threshold(100_000, 20, 20)
        self.uploader.backlog_bytes_min = min(BULK_BYTES_MIN, self.settings.queue.bytes_max // BULK_SHARE)
        try:
            yield
        finally:
            self.uploader.backlog_bytes_min = 0
            self.uploader.wake()
            gc.set_threshold(*usual)

    def _pace(self) -> None:
        """A reader of transcripts is faster than any warehouse: it waits while the backlog is long."""
        backlog_max = min(BACKLOG_BYTES_MAX, self.settings.queue.bytes_max // BACKLOG_SHARE)
        if self.uploader.is_running:
            while self.depth().bytes > backlog_max and not self._is_closing.is_set():
                time.sleep(0.01)
        elif self.depth().bytes > backlog_max:
            self.uploader.drain()

    def _thresholds(self) -> Thresholds:
        return Thresholds.of(self.settings.queue.pressure, self.settings.queue.bytes_max)

    def _after_replay(self) -> None:
        self.uploader.wake()

    def _after_change(self, change: Change) -> None:
        depth = change.depth
        observe.event(
            "info" if change.after is Level.NORMAL else "warning", "pressure_changed", before=change.before.word,
            after=change.after.word, bytes=depth.bytes, events=depth.events, oldest_age_s=round(depth.oldest_age_s, 3),
        )  # fmt: skip

    def _after_room(self) -> None:
        """What was refused is told by the transcripts, as far as they know of it."""
        self.uploader.wake()
        if self._follower is not None:
            self._follower.sweep()

    def _after_step(self, moved: int) -> None:
        """Compaction blocks commits for some seconds: step by step, only in quiet moments, and only when it is worth it."""
        now = self.clock.monotonic()
        if moved:
            self._moved_at = now
            self._moved_since_compact += moved
            return
        self.writer.rotate()
        if self._moved_since_compact >= COMPACT_ROWS_MIN and now - self._moved_at > COMPACT_AFTER_IDLE_S:
            has_more = False
            try:
                with self.meter.work("ingest", "compaction"):
                    has_more = self.warehouse.compact()
            except WarehouseError as error:  # nothing is lost; the uploader goes on, and a later quiet moment comes
                observe.event("error", "compaction_failed", error=str(error))
            if not has_more:
                self._moved_since_compact = 0


def open_app(environment: Mapping[str, str] = os.environ) -> App:
    """The rooms of `$CDESK_HOME`. Raises ConfigError and WarehouseError."""
    home = config.home(environment)
    return App(home, config.load(home), environment)


@contextmanager
def opened_app(*, with_tasks: bool = False) -> Iterator[App]:
    """The rooms of `$CDESK_HOME`, with everything that waited in the queue taken in, and closed at the end.
    with_tasks: what rests on it is up to date, too. Raises ConfigError and WarehouseError."""
    app = open_app()
    try:
        app.uploader.drain()
        if with_tasks:
            app.tasks.run_pending()
        yield app
    finally:
        app.close()


def open_producer(environment: Mapping[str, str] = os.environ) -> Producer:
    home = config.home(environment)
    return Producer(home, config.load(home))


def invitation(path: Path) -> Invitation:
    """What a laptop proves itself with. Raises ConfigError."""
    try:
        return read_token(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"cannot read the invitation {path}: {why}.", "`cdesk collector join URL` keeps a new one."
        ) from None


def own(home: Home, clock: Clock = SYSTEM_CLOCK) -> OwnerLock:
    """One process at a time carries a home's queue. Raises WarehouseBusy naming the one that does."""
    home.make()
    try:
        return OwnerLock(home.owner, clock=clock)
    except Owned as held:
        who = f"process {held.owner.pid}, since {held.owner.started_at[:19]}," if held.owner else "another process"
        raise WarehouseBusy(
            f"{who} carries the queue of {home.path} to its warehouse.",
            "If it is the service, ask it (`cdesk status`) or stop it (`cdesk down`); else wait for it to end.",
        ) from None


def _retire(home: Home, settings: Settings) -> Callable[[Path], None] | None:
    """What becomes of segments that are loaded; None deletes them."""
    if settings.queue.archive == "delete":
        return None
    return Archive(home.archive, settings.queue.archive_bytes_max).take


def _dirs(settings: Settings, environment: Mapping[str, str]) -> list[Path]:
    if settings.claude.dirs:
        return [Path(path).expanduser() for path in settings.claude.dirs]
    return claude_dirs(environment, Path(environment.get("HOME") or "~").expanduser())


def _tell_queue_error(error: QueueError) -> None:
    observe.event("error", "spool_waits", error=str(error))


def _tell_warehouse_error(error: WarehouseError) -> None:
    observe.event("error", "merge_failed", error=str(error))
