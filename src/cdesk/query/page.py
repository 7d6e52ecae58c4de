"""The questions behind the page. Each reads the days it is asked for, not the whole stream, so it stays fast as that grows.

    period 0 ──▶ the days asked for, up to now;  1, 2, … ──▶ as many days before, cut off at the same time of day

A baseline is the mean of the earlier periods that lie wholly within the history. Days and hours are the asker's:
the SQL counts by hour (by quarter of an hour where a zone is off by part of one), and here they are put together.
The SQL is text that both engines take as it is, so nothing is translated while somebody waits.

Sums come from the rollup where it has them, as exact and as fresh as the stream itself: see rows.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import UsageError
from cdesk.query.completeness import Completeness
from cdesk.query.rows import HOUR, RowSource, Span, hour_of, hours_of, literal, when
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Warehouse

Series = Literal["model", "project"]
Grain = Literal["hour", "day"]
Rows: TypeAlias = list[tuple[Any, ...]]

PERIODS_BEFORE = {1: 7, 7: 4, 30: 3, 90: 1}
"""Days one can ask for, and how many earlier periods they are compared with."""
HOURLY_DAYS_MAX = 7
SERIES_MAX = 8
FAILURES_MAX = 8
RECENT_MAX = 8
SESSIONS_MAX = 200
PROJECTS_MAX = 200
ENTRIES_MAX = 2_000
TEXT_MAX = 4_000
WORDS_MAX = 200
LIVE = timedelta(minutes=30)
LOOK_BACK = (timedelta(days=2), timedelta(days=30), timedelta(days=100_000))
"""What is wanted is the latest of something: looked for close by first."""
TELLING = ("user_asked", "session_titled", "turn_completed", "session_ended", "tool_called", "claude_responded")
_BEGINNING = datetime(1970, 1, 1)
_END = datetime.max


class Figure(msgspec.Struct, frozen=True):
    """A tile: now, the mean of the periods before (null without any), and how it went bucket by bucket."""

    value: float | None
    baseline: float | None
    spark: list[float]
    unpriced: int = 0


class Failures(msgspec.Struct, frozen=True):
    failed: int
    calls: int
    rate: float | None
    baseline: float | None
    spark: list[float]


class Period(msgspec.Struct, frozen=True):
    days: int
    start: datetime
    end: datetime
    timezone: str
    compared_with: int
    buckets: list[str]
    grain: Grain


class ChartSeries(msgspec.Struct, frozen=True):
    """name: null for what names no model or project · others: how many series are put together in this one"""

    name: str | None
    cost: list[float]
    tokens: list[int]
    unpriced: int
    others: int = 0


class Failure(msgspec.Struct, frozen=True):
    id: str
    ts: datetime
    session: str | None
    project: str | None
    source: str
    what: str | None
    error_type: str | None
    message: str | None


class Source(msgspec.Struct, frozen=True):
    """activities and newest: in the days asked for · facts it could have seen, saw, and the transcript repaired: ever"""

    source: str
    activities: int
    newest: datetime | None
    facts: int | None = None
    seen: int | None = None
    repaired: int | None = None


class Overview(msgspec.Struct, frozen=True):
    period: Period
    activities: int
    data_as_of: datetime | None
    sources: list[Source]
    spend: Figure
    tokens: Figure
    sessions: Figure
    failures: Failures
    by: Series
    series: list[ChartSeries]
    latest_failures: list[Failure]


State = Literal["working", "waiting", "quiet", "ended"]


class Session(msgspec.Struct, frozen=True):
    """state: what it seems to be doing, from its last activities · doing: the last of them, in words"""

    id: str
    began_at: datetime
    ended_at: datetime
    state: State
    title: str | None
    prompt: str | None
    doing: str | None
    project: str | None
    branch: str | None
    models: list[str]
    activities: int
    prompts: int
    responses: int
    tools: int
    failed: int
    tokens: int
    cost: float | None
    unpriced: int


class Sessions(msgspec.Struct, frozen=True):
    sessions: list[Session]
    next: str | None


class Entry(msgspec.Struct, frozen=True):
    """One activity. features: what is known, long texts cut · cut: names of those"""

    id: str
    ts: datetime
    activity: str
    cost: float | None
    sources: str | None
    features: dict[str, JSON]
    cut: list[str]


class Timeline(msgspec.Struct, frozen=True):
    session: Session
    entries: list[Entry]
    next: int | None


class Project(msgspec.Struct, frozen=True):
    project: str | None
    sessions: int
    people: int
    cost: float | None
    unpriced: int
    tokens: int
    responses: int
    tools: int
    failed: int
    files: int
    added: int
    removed: int
    newest: datetime
    spark: list[float]


class Projects(msgspec.Struct, frozen=True):
    period: Period
    projects: list[Project]
    total: int


class StreamLag(msgspec.Struct, frozen=True):
    """One consumer of a change stream: rows it has not read yet, and how long the oldest of them waits."""

    name: str
    reads: str
    pending: int
    oldest: datetime | None
    lag_s: float


@dataclass(frozen=True, slots=True)
class Suspended:
    """How many tasks do not run, by why."""

    by_failures: int
    by_request: int


class Pages:
    """Answers for one warehouse. May be asked from several threads at once."""

    def __init__(
        self, warehouse: Warehouse, *, clock: Clock = SYSTEM_CLOCK, completeness: Callable[[], Rows] | None = None
    ) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._helpers = ThreadPoolExecutor(4, "cdesk-page")
        self._completeness = completeness or Completeness(warehouse, clock=clock).rows

    def close(self) -> None:
        self._helpers.shutdown(wait=False, cancel_futures=True)

    # -- the first page --------------------------------------------------------------------------------------------

    def overview(self, days: int, by: Series, timezone: str, grain: Grain | None = None) -> Overview:
        """Raises UsageError for days, a grain or a time zone that cannot be had."""
        frame = _Frame(self._clock.now(), days, timezone, grain)
        whole: dict[str, Any] = {"start": frame.start, "slice_minutes": frame.slice_minutes}
        source = RowSource(self._warehouse)
        rows, rows_now = source.rows(frame.since, frame.cuts), source.rows(frame.start, frame.cuts)
        spend, tools, chart, presence, begun, sources, failures = self._together(
            lambda: self._ask("page_spend", whole, rows=rows, period=frame.case),
            lambda: self._ask("page_tools", whole, rows=rows, period=frame.case),
            lambda: self._ask("page_chart", whole, rows=rows_now, series="name" if by == "model" else "project_path"),
            lambda: self._ask("page_presence", whole, rows=rows, period=frame.case),
            lambda: self._ask("page_begun", whole, rows=rows_now),
            lambda: self._sources(frame.start),
            lambda: self._latest_failures(source),
        )
        first, newest, count = self._ask("page_extent", {})[0]
        complete = frame.complete(first)
        return Overview(
            period=frame.period(len(complete)), activities=count, data_as_of=_utc(newest), sources=sources,
            spend=_figure(frame, complete, [(p, h, s, cost) for p, h, s, cost, *_ in spend],
                          unpriced=sum(int(row[6]) for row in spend if row[0] == 0)),
            tokens=_figure(frame, complete, [(p, h, s, tokens) for p, h, s, _, tokens, *_ in spend]),
            sessions=_figure(frame, complete, [(p, None, None, n) for p, n in presence],
                             spark=frame.spread((h, s, n) for h, s, n in begun)),
            failures=_failures(frame, complete, tools),
            by=by, series=_series(frame, chart), latest_failures=failures,
        )  # fmt: skip

    def _sources(self, start: datetime) -> list[Source]:
        found: dict[str, Source] = {}
        for names, count, newest in self._ask("page_sources", {"start": start}):
            for name in (names or "").split(","):
                known = found.get(name, Source(name, 0, None))
                at = _utc(newest)
                found[name] = Source(
                    name, known.activities + count, max(filter(None, (known.newest, at)), default=None)
                )
        for name, _, facts, seen, _, repaired, _ in self._completeness():
            if not seen and name not in found:
                continue
            known = found.get(name, Source(name, 0, None))
            found[name] = msgspec.structs.replace(known, facts=int(facts), seen=int(seen), repaired=int(repaired or 0))
        return sorted(found.values(), key=lambda source: (-source.activities, source.source))

    def _latest_failures(self, source: RowSource) -> list[Failure]:
        since = self._failing_since(source)
        if since is None:
            return []
        rows = self._ask("page_failures", {"since": since}, rows_max=str(FAILURES_MAX))
        known = self._known([row[0] for row in rows], since, max((row[1] for row in rows), default=since))
        return [_failure(row, known.get(row[0], {})) for row in rows]

    def _failing_since(self, source: RowSource) -> datetime | None:
        """Beginning of the hour behind which the latest failures are."""
        hours: Rows = []
        for back in LOOK_BACK:
            rows = source.rows(hour_of(self._before_now(back)))
            hours = self._ask("page_failures_hours", {}, rows=rows, rows_max=str(FAILURES_MAX))
            if sum(failed for _, failed in hours) >= FAILURES_MAX:
                break
        return hours[-1][0] if hours else None

    # -- sessions --------------------------------------------------------------------------------------------------

    def recent(self) -> list[Session]:
        """The sessions that did something last, however long ago."""
        return self._described(self._latest(RECENT_MAX))

    def sessions(self, rows_max: int, *, project: str | None = None, after: str | None = None) -> Sessions:
        """A page of sessions, the latest first; `after` is the `next` of the page before. Raises UsageError."""
        rows_max = max(1, min(rows_max, SESSIONS_MAX))
        rows = self._latest(rows_max + 1, project=project, before=None if after is None else _cursor(after))
        more = rows[rows_max - 1] if len(rows) > rows_max else None
        return Sessions(self._described(rows[:rows_max]), None if more is None else f"{more[2].isoformat()}~{more[0]}")

    def timeline(self, session: str, offset: int = 0) -> Timeline | None:
        """None when nothing is known of the session."""
        rows = self._latest(1, session=session)
        if not rows:
            return None
        extent = {"session": session, "since": rows[0][1], "until": rows[0][2]}
        found = self._ask("page_timeline", extent, rows_max=str(ENTRIES_MAX), offset=str(max(0, int(offset))))
        more = offset + len(found) if offset + len(found) < rows[0][3] else None
        return Timeline(self._described(rows)[0], [_entry(row) for row in found], more)

    def _latest(
        self, rows_max: int, *, project: str | None = None, session: str | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> Rows:  # fmt: skip
        """Sessions by their end, the latest first: id, began_at, ended_at, activities, prompts."""
        values: dict[str, Any] = {"until": _END if before is None else hour_of(before[0])}
        where, wanted = "TRUE", "1"
        if project is not None:
            wanted, values["project"] = "CASE WHEN project_path = :project THEN counted.activities ELSE 0 END", project
        if session is not None:
            where, values["session"] = "session_id = :session", session
        source = RowSource(self._warehouse)
        if project is None and session is None:
            ids = _listed("session", self._latest_ids(source, values["until"], rows_max))
            where, values = f"session_id IN ({', '.join(f':{name}' for name in ids) or 'NULL'})", {**values, **ids}
        found = self._ask(
            "page_sessions", values, rows=source.rows(_BEGINNING), where=where, wanted=wanted, rows_max=str(rows_max)
        )
        told = {id_: (began, ended) for id_, began, ended in self._extents(found)}
        known = [(id_, *told[id_], int(count), int(prompts)) for id_, _, _, count, prompts in found if id_ in told]
        known.sort(key=lambda row: (row[2], row[0]), reverse=True)
        return [row for row in known if before is None or (row[2], row[0]) < before][:rows_max]

    def _latest_ids(self, source: RowSource, until: datetime, rows_max: int) -> list[str]:
        """Sessions that end in the latest hours up to `until`: enough of them to be sure of `rows_max`."""
        found: Rows = []
        for back in LOOK_BACK:
            rows = source.rows(hour_of(min(self._before_now(back), _before(until, back))))
            found = self._ask(
                "page_sessions", {"until": until}, rows=rows, where="TRUE", wanted="1", rows_max=str(rows_max)
            )
            if sum(1 for _, _, ended, *_ in found if ended < until) >= rows_max:
                break
        return [row[0] for row in found]

    def _extents(self, found: Rows) -> Rows:
        """When exactly sessions began and ended, of which the hours are known."""
        if not found:
            return []
        ids = _listed("id", [row[0] for row in found])
        hours = hours_of(hour for _, began, ended, *_ in found for hour in (began, ended))
        values = {**ids, "since": hours[0][0], "until": hours[-1][1]}
        return self._ask("page_sessions_extent", values, ids=", ".join(f":{name}" for name in ids), hours=when(hours))

    def _described(self, rows: Rows) -> list[Session]:
        """Sessions with what they are about and what they used, in the order of `rows`."""
        if not rows:
            return []
        ids = _listed("id", [row[0] for row in rows])
        values = {**ids, "since": min(row[1] for row in rows), "until": max(row[2] for row in rows)}
        names = ", ".join(f":{name}" for name in ids)
        spend, tools, told = self._together(
            lambda: self._ask("page_sessions_spend", values, ids=names),
            lambda: self._ask("page_sessions_tools", values, ids=names),
            lambda: self._told(values, names),
        )
        now = self._clock.now().replace(tzinfo=None)
        return [
            _session(row, [r for r in spend if r[0] == row[0]], [r for r in tools if r[0] == row[0]],
                     told.get(row[0]) or _Told({}, {}), now)
            for row in rows
        ]  # fmt: skip

    def _told(self, values: dict[str, Any], names: str) -> dict[str, _Told]:
        """By session: its first prompt, and the last of each telling activity."""
        activities = ", ".join(f"'{activity}'" for activity in TELLING)
        ends = self._ask("page_sessions_ends", values, ids=names, activities=activities)
        wanted = {last_id for _, _, _, last_id, _ in ends} | {row[2] for row in ends if row[1] == "user_asked"}
        known = self._known(wanted, values["since"], values["until"])
        told: dict[str, _Told] = {}
        for session, activity, first_id, last_id, last_ts in ends:
            of = told.setdefault(session, _Told({}, {}))
            of.last[activity] = (last_ts, known.get(last_id, {}))
            if activity == "user_asked":
                of.asked.update(known.get(first_id, {}))
        return told

    def _known(self, activities: Iterable[Any], since: datetime, until: datetime) -> dict[Any, dict[str, JSON]]:
        """Features of some activities of that time."""
        ids = _listed("activity", activities)
        if not ids:
            return {}
        extent = {"since": since, "until": until}
        found = self._ask("page_features", {**ids, **extent}, ids=", ".join(f":{name}" for name in ids))
        return {activity_id: _features(text) for activity_id, text in found}

    # -- projects --------------------------------------------------------------------------------------------------

    def projects(self, days: int, timezone: str) -> Projects:
        """Raises UsageError."""
        frame = _Frame(self._clock.now(), days, timezone, "day")
        at: dict[str, Any] = {"start": frame.start, "slice_minutes": frame.slice_minutes}
        rows = RowSource(self._warehouse).rows(frame.start, frame.bucket_cuts)
        (spend, newest), tools, files, chart = self._together(
            lambda: self._spent(rows, frame.start),
            lambda: self._ask("page_projects_tools", {}, rows=rows),
            lambda: self._ask("page_projects_files", at),
            lambda: self._ask("page_chart", at, rows=rows, series="project_path"),
        )
        called = {project: (int(calls), int(failed)) for project, calls, failed in tools}
        changed = {project: (int(count), int(more or 0), int(less or 0)) for project, count, more, less in files}
        hours: dict[str | None, list[tuple[Any, Any, Any]]] = {}
        for hour, slice_, project, cost, *_ in chart:
            hours.setdefault(project, []).append((hour, slice_, cost))
        found = []
        for project, sessions, people, cost, tokens, responses, unpriced, hour in spend:
            calls, failed = called.get(project, (0, 0))
            count, added, removed = changed.get(project, (0, 0, 0))
            found.append(Project(
                project=project, sessions=sessions, people=people, cost=cost, unpriced=int(unpriced or 0),
                tokens=int(tokens or 0), responses=int(responses), tools=calls, failed=failed, files=count, added=added,
                removed=removed, newest=_aware(newest.get(project, hour)), spark=frame.spread(hours.get(project, [])),
            ))  # fmt: skip
        found.sort(key=lambda row: (-(row.cost or 0), -row.tokens, row.project or ""))
        return Projects(frame.period(0), found[:PROJECTS_MAX], len(found))

    # -- how it feels ----------------------------------------------------------------------------------------------

    def streams(self) -> list[StreamLag]:
        return [
            StreamLag(name, reads, int(pending), _utc(oldest), float(lag_s))
            for name, reads, pending, oldest, lag_s in self._ask("page_streams", {})
        ]

    def suspended(self) -> Suspended:
        found = {by: int(count) for by, count in self._ask("page_suspended", {})}
        return Suspended(found.get("failures", 0), found.get("request", 0))

    def _spent(self, rows: str, start: datetime) -> tuple[Rows, dict[str | None, datetime]]:
        """What each project used, and when it was answered last."""
        spend = self._ask("page_projects_spend", {}, rows=rows)
        hours = when(hours_of(row[-1] for row in spend))
        newest = self._ask("page_projects_newest", {"start": start}, hours=hours) if spend else []
        return spend, dict(newest)

    # -- asking ----------------------------------------------------------------------------------------------------

    def _ask(self, name: str, values: dict[str, Any], **parts: str) -> Rows:
        text, names = prepared(name, tuple(sorted(parts.items())))
        return self._warehouse.query(text, [values[each] for each in names]).rows

    def _together(self, *questions: Callable[[], Any]) -> list[Any]:
        return [future.result() for future in [self._helpers.submit(question) for question in questions]]

    def _before_now(self, back: timedelta) -> datetime:
        return _before(self._clock.now().replace(tzinfo=None), back)


# -- values --------------------------------------------------------------------------------------------------------


def _before(at: datetime, back: timedelta) -> datetime:
    return at - back if at - _BEGINNING > back else _BEGINNING


def _listed(name: str, values: Iterable[Any]) -> dict[str, Any]:
    """A name for each value of a list: `:id_0, :id_1, …`"""
    return {f"{name}_{position}": value for position, value in enumerate(values)}


# -- periods -------------------------------------------------------------------------------------------------------


class _Frame:
    """The period asked for, those before it, and the buckets it is shown in."""

    def __init__(self, now: datetime, days: int, timezone: str, grain: Grain | None) -> None:
        if days not in PERIODS_BEFORE:
            raise UsageError(f"{days} days cannot be had.", f"Choose from {', '.join(map(str, PERIODS_BEFORE))}.")
        if grain == "hour" and days > HOURLY_DAYS_MAX:
            raise UsageError(f"hours can be had for up to {HOURLY_DAYS_MAX} days.")
        self.days = days
        self.zone = _zone(timezone)
        self.grain: Grain = grain or ("hour" if days == 1 else "day")
        self._now = now
        local = now.astimezone(self.zone)
        self._today = local.date()
        self._bounds = [self._bound(local, back * days) for back in range(PERIODS_BEFORE[days] + 1)]
        self.start = self._bounds[0][0]
        self.since = self._bounds[-1][0]
        self.slice_minutes = 60 if _offset_minutes(local) % 60 == 0 else 15
        self.buckets = self._buckets()
        self.bucket_cuts = self._bucket_cuts()
        self.cuts = [*self.bucket_cuts, *self._period_cuts()]
        self._position = {name: position for position, name in enumerate(self.buckets)}

    def _bound(self, local: datetime, back: int) -> tuple[datetime, datetime]:
        first = self._today - timedelta(days=self.days - 1 + back)
        return self._naive(datetime.combine(first, time(), self.zone)), self._naive(local - timedelta(days=back))

    def _naive(self, at: datetime) -> datetime:
        return at.astimezone(UTC).replace(tzinfo=None)

    def _buckets(self) -> list[str]:
        if self.grain == "day":
            return [(self._today - timedelta(days=back)).isoformat() for back in reversed(range(self.days))]
        at, found = self.start, []
        while at <= self._naive(self._now):
            found.append(self._bucket(at))
            at += timedelta(hours=1)
        return found

    def _period_cuts(self) -> list[Span]:
        """Hours that begin in one period and end in another, or in none."""
        bounds = {
            at for number, (start, end) in enumerate(self._bounds) for at in ((start, end) if number else (start,))
        }
        return [(hour_of(at), hour_of(at) + HOUR) for at in sorted(bounds) if at != hour_of(at)]

    def _bucket_cuts(self) -> list[Span]:
        """Hours that belong to two buckets, where the zone is off by part of an hour."""
        if self.slice_minutes == 60:
            return []
        if self.grain == "hour":
            return [(hour_of(self.start), datetime.max)]
        days = (datetime.combine(date.fromisoformat(name), time(), self.zone) for name in self.buckets)
        return [(hour_of(self._naive(day)), hour_of(self._naive(day)) + HOUR) for day in days]

    def _bucket(self, at: datetime) -> str:
        local = at.replace(tzinfo=UTC).astimezone(self.zone)
        if self.grain == "day":
            return local.date().isoformat()
        return local.replace(minute=0, second=0, microsecond=0).isoformat()

    @property
    def case(self) -> str:
        """SQL for the number of the period an activity belongs to. Times here are our own, never the asker's text."""
        whens = [f"WHEN ts >= {literal(self.start)} THEN 0"]
        whens += [
            f"WHEN ts >= {literal(start)} AND ts < {literal(end)} THEN {number}"
            for number, (start, end) in enumerate(self._bounds)
            if number
        ]
        return f"CASE {' '.join(whens)} END"

    def complete(self, first: datetime | None) -> list[int]:
        """Earlier periods that lie wholly within the history, by their number."""
        if first is None:
            return []
        begun = datetime.combine(first.date(), time())
        return [number for number, (start, _) in enumerate(self._bounds) if number and start >= begun]

    def spread(self, hours: Iterable[tuple[datetime | None, float | None, float | None]]) -> list[float]:
        """Amounts by hour and slice, put into the buckets. What bears a later time than now counts as now."""
        found = [0.0] * len(self.buckets)
        for hour, slice_, amount in hours:
            if hour is not None and amount is not None:
                found[self.position(hour, slice_)] += float(amount)
        return found

    def position(self, hour: datetime, slice_: float | None) -> int:
        at = hour + timedelta(minutes=int(slice_ or 0) * self.slice_minutes)
        return self._position.get(self._bucket(at), len(self.buckets) - 1)

    def period(self, compared_with: int) -> Period:
        start = self.start.replace(tzinfo=UTC)
        return Period(self.days, start, self._now, str(self.zone), compared_with, self.buckets, self.grain)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"unknown time zone {name!r}.", "Use a name such as Europe/Berlin or UTC.") from None


def _offset_minutes(local: datetime) -> int:
    offset = local.utcoffset()
    return 0 if offset is None else round(offset.total_seconds() / 60)


# -- figures -------------------------------------------------------------------------------------------------------


def _figure(
    frame: _Frame, complete: Sequence[int], rows: Sequence[tuple[Any, Any, Any, Any]], *,
    spark: list[float] | None = None, unpriced: int = 0,
) -> Figure:  # fmt: skip
    """Rows are period, hour, slice and amount. Spend is unknown, not 0, when nothing was priced."""
    now = [amount for period, _, _, amount in rows if period == 0 and amount is not None]
    before = sum(float(amount) for period, _, _, amount in rows if period in complete and amount is not None)
    return Figure(
        value=None if not now and unpriced else float(sum(now)),
        baseline=before / len(complete) if complete else None,
        spark=spark or frame.spread((hour, slice_, amount) for period, hour, slice_, amount in rows if period == 0),
        unpriced=unpriced,
    )


def _failures(frame: _Frame, complete: Sequence[int], rows: Rows) -> Failures:
    calls = sum(int(ended) for period, _, _, ended, _ in rows if period == 0)
    failed = sum(int(bad) for period, _, _, _, bad in rows if period == 0)
    calls_before = sum(int(ended) for period, _, _, ended, _ in rows if period in complete)
    failed_before = sum(int(bad) for period, _, _, _, bad in rows if period in complete)
    return Failures(
        failed, calls, failed / calls if calls else None, failed_before / calls_before if calls_before else None,
        frame.spread((hour, slice_, bad) for period, hour, slice_, _, bad in rows if period == 0),
    )  # fmt: skip


def _failure(row: tuple[Any, ...], features: dict[str, JSON]) -> Failure:
    id_, ts, session, activity = row
    is_api = activity == "api_request_failed"
    names = ("model",) if is_api else ("tool_name", "mcp_tool")
    kinds = ("error_type", "status") if is_api else ("error_type",)
    return Failure(
        str(id_), _aware(ts), session, _said(features, "project_path"), "api" if is_api else "tool",
        _said(features, *names), _said(features, *kinds), _cut(_said(features, "error"), WORDS_MAX * 2),
    )  # fmt: skip


def _said(features: dict[str, JSON], *names: str) -> str | None:
    """The first of them that is there, as text."""
    value = next((features[name] for name in names if features.get(name) is not None), None)
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _series(frame: _Frame, rows: Rows) -> list[ChartSeries]:
    """The largest series by cost, then tokens; the others put together at the end."""
    by_name: dict[str | None, Rows] = {}
    for row in rows:
        by_name.setdefault(row[2], []).append(row)
    ranked = sorted(by_name, key=lambda name: (-_total(by_name[name], 3), -_total(by_name[name], 4), name or ""))
    room = SERIES_MAX if len(ranked) <= SERIES_MAX else SERIES_MAX - 1
    found = [_one_series(frame, name, by_name[name]) for name in ranked[:room]]
    rest = [row for name in ranked[room:] for row in by_name[name]]
    return [*found, _one_series(frame, None, rest, len(ranked) - room)] if rest else found


def _one_series(frame: _Frame, name: str | None, rows: Rows, others: int = 0) -> ChartSeries:
    cost = frame.spread((hour, slice_, cost) for hour, slice_, _, cost, _, _ in rows)
    tokens = frame.spread((hour, slice_, tokens) for hour, slice_, _, _, tokens, _ in rows)
    return ChartSeries(name, cost, [int(n) for n in tokens], int(_total(rows, 5)), others)


def _total(rows: Rows, column: int) -> float:
    return sum(float(row[column] or 0) for row in rows)


def _whole(values: Iterable[Any]) -> list[int]:
    return [int(value or 0) for value in values]


# -- sessions ------------------------------------------------------------------------------------------------------

_Last: TypeAlias = dict[str, tuple[datetime, dict[str, JSON]]]


@dataclass(frozen=True, slots=True)
class _Told:
    """last: time and features of the last of each telling activity · asked: features of the first prompt"""

    last: _Last
    asked: dict[str, JSON]


def _session(row: tuple[Any, ...], spend: Rows, tools: Rows, told: _Told, now: datetime) -> Session:
    id_, began_at, ended_at, activities, prompts = row
    costs = [cost for _, _, cost, *_ in spend if cost is not None]
    latest = max(spend, key=lambda r: r[7], default=None)
    last, asked = told.last, told.asked
    calls, failed = _whole(tools[0][1:]) if tools else (0, 0)
    return Session(
        id=id_, began_at=_aware(began_at), ended_at=_aware(ended_at), state=_state(last, ended_at, now),
        title=_cut(last["session_titled"][1].get("title"), WORDS_MAX) if "session_titled" in last else None,
        prompt=_prompt(asked), doing=_doing(last),
        project=latest[6] if latest else _string(asked.get("project_path")),
        branch=_branch(last),
        models=[str(r[1]) for r in sorted(spend, key=lambda r: -(r[2] or 0)) if r[1] and r[1] != "<synthetic>"],
        activities=activities, prompts=int(prompts), responses=sum(r[4] for r in spend), tools=calls, failed=failed,
        tokens=sum(int(r[3] or 0) for r in spend), cost=sum(costs) if costs else None,
        unpriced=sum(int(r[5] or 0) for r in spend),
    )  # fmt: skip


def _branch(last: _Last) -> str | None:
    told = sorted(
        ((ts, _string(features.get("git_branch"))) for ts, features in last.values()), key=lambda each: each[0]
    )
    return next((branch for _, branch in reversed(told) if branch), None)


def _state(last: _Last, ended_at: datetime, now: datetime) -> State:
    """A turn that is over waits for the person; one that goes on works, unless it has been silent for long."""
    times = {activity: ts for activity, (ts, _) in last.items()}
    busy = max((times[a] for a in ("user_asked", "tool_called", "claude_responded") if a in times), default=ended_at)
    if times.get("session_ended", _BEGINNING) >= busy:
        return "ended"
    if now - ended_at > LIVE:
        return "quiet"
    is_over = last.get("claude_responded", (_BEGINNING, {}))[1].get("stop_reason") == "end_turn"
    said_last = times.get("claude_responded", _BEGINNING) >= busy
    return "waiting" if times.get("turn_completed", _BEGINNING) >= busy or (is_over and said_last) else "working"


def _doing(last: _Last) -> str | None:
    """The last telling activity, for a person."""
    told = [(ts, name) for name, (ts, _) in last.items() if name in ("user_asked", "tool_called", "claude_responded")]
    if not told:
        return None
    name = max(told)[1]
    features = last[name][1]
    if name == "tool_called":
        return _cut(f"{features.get('tool_name')} {_aim(features.get('parameters'))}".strip(), WORDS_MAX)
    if name == "user_asked":
        return _prompt(features)
    return _cut(_string(features.get("response_text")) or "responded", WORDS_MAX)


def _aim(parameters: JSON) -> str:
    """What a tool was pointed at: the parameter that says most."""
    if not isinstance(parameters, dict):
        return ""
    for name in ("description", "file_path", "path", "pattern", "command", "query", "url", "prompt", "subject"):
        value = parameters.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


_MARKUP = re.compile(r"</?(?:command-[a-z]+|bash-[a-z]+|local-command-[a-z]+)>")


def _prompt(features: dict[str, JSON]) -> str | None:
    command = features.get("command_name")
    if isinstance(command, str) and command:
        return _cut(f"/{command.removeprefix('/')}", WORDS_MAX)
    text = _string(features.get("prompt_text"))
    return None if text is None else _cut(_MARKUP.sub(" ", text).strip(), WORDS_MAX)


def _entry(row: tuple[Any, ...]) -> Entry:
    id_, ts, activity, features, cost, sources, _ = row
    whole = {name: value for name, value in _features(features).items() if value is not None}
    shown = {name: _shortened(value) for name, value in whole.items()}
    cut = [name for name, value in shown.items() if value != whole[name]]
    return Entry(str(id_), _aware(ts), activity, cost, sources, shown, cut)


def _shortened(value: JSON) -> JSON:
    match value:
        case str():
            return value if len(value) <= TEXT_MAX else value[:TEXT_MAX] + "…"
        case dict():
            return {name: _shortened(inner) for name, inner in value.items()}
        case list():
            return [_shortened(inner) for inner in value]
        case _:
            return value


def _features(text: Any) -> dict[str, JSON]:
    found = msgspec.json.decode(text) if text else {}
    return found if isinstance(found, dict) else {}


def _string(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None


def _cut(value: JSON, length: int) -> str | None:
    text = _string(value)
    return text if text is None or len(text) <= length else text[: length - 1] + "…"


def _cursor(after: str) -> tuple[datetime, str]:
    at, _, last = after.partition("~")
    try:
        return datetime.fromisoformat(at).replace(tzinfo=None), last
    except ValueError:
        raise UsageError(f"{after!r} is not a place in the list.", "Use the `next` of the page before.") from None


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else _aware(at)


DAYS: tuple[int, ...] = tuple(PERIODS_BEFORE)
GRAINS: tuple[Grain, ...] = get_args(Grain)
SERIES: tuple[Series, ...] = get_args(Series)
