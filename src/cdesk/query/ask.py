"""Asks a question and gives its answer, once: the same question of the same data has one run, one answer and one link.

    values ──template──▶ bound ──▶ query_id ──recorded?──▶ the recorded answer
                                       └──── no ──▶ estimate ──under the cap?──▶ run, tagged ──▶ recorded ──▶ answer

Recorded answers, limits first. An answer is given again for RECORDED_HOURS at most:

    same query_id             always: the data has brought no news, so nothing could differ
    same question, other data for the template's `cache` time, and never when `fresh` is asked for

Who asks while the same question is being answered waits for that answer. Answers are kept KEPT_DAYS for who asks what
stands behind a link. What is bound never becomes part of a text: see template.py.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.errors import CdeskError, OverCap
from cdesk.query.cells import cell, rows_json
from cdesk.query.provenance import TAG, DataVersion, DataVersions, query_id, question_key
from cdesk.query.questions import Questions
from cdesk.query.sample import EVER_SECONDS
from cdesk.query.template import Role, Template, compiled, hours
from cdesk.query.text import prepared
from cdesk.warehouse.warehouse import Answer, Warehouse

RECORDED_HOURS = 24
KEPT_DAYS = 30
ROWS_MAX = 100_000
"""Of an answer; no template of ours comes near."""
ROWS_INLINE_MAX = 1_000
"""More go into an artifact, where there is a place for them; these many come with the answer."""
SECONDS_MAX = 30.0
IN_MEMORY_MAX = 64


class AskRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """fresh: as the data is now · over_cap: what to do when it would read more than the question's cap
    role: who is asked for; whoever holds the token may ask as anybody
    on: which warehouse answers; snowflake is the team's, whose answers are not recorded here"""

    parameters: dict[str, Any] = {}
    fresh: bool = False
    over_cap: Literal["refuse", "sample"] = "refuse"
    role: Role = "owner"
    on: Literal["duckdb", "snowflake"] = "duckdb"


_PLAINLY = AskRequest()


class AnswerColumn(msgspec.Struct, frozen=True):
    name: str
    type: str
    unit: str | None


class Estimated(msgspec.Struct, frozen=True):
    """What running it was expected to read."""

    bytes: int
    rows: int


class Sampled(msgspec.Struct, frozen=True):
    """rate: part of the rows that was read · watermark: to be shown with every figure"""

    rate: float
    seed: int
    watermark: str


class Answered(msgspec.Struct, frozen=True):
    """An answer and where it comes from.

    link          cites it, and explain takes it
    parameters    all of them, defaults too
    rows          the first ROWS_INLINE_MAX of row_count; all of them are in the artifact, where there is one
    data_as_of    the newest activity when it was run, asked_at: when that was; UTC
    is_recorded   it was run before · is_current: the data has brought no news since
    data_version  what of the data it rests on
    estimate      null where nobody estimates
    """

    query_id: str
    link: str
    question: str
    version: int
    parameters: dict[str, Any]
    columns: list[AnswerColumn]
    rows: list[list[Any]]
    row_count: int
    data_as_of: str | None
    asked_at: str
    is_recorded: bool
    is_current: bool
    data_version: str
    estimate: Estimated | None
    sample: Sampled | None
    sql: str
    artifact_id: str | None


class Recorded(msgspec.Struct, frozen=True):
    """A row of QUESTION_ANSWERS. bound: the values of the statement's names; times are UTC"""

    query_id: str
    question_key: str
    question: str
    question_version: int
    checksum: str
    parameters: dict[str, Any]
    bound: list[Any]
    role: Role
    asked_by: str | None
    asked_at: datetime
    data_version: str
    data_as_of: datetime | None
    sql_text: str
    answer_columns: list[AnswerColumn]
    answer_rows: list[list[Any]]
    row_count: int
    estimate: Estimated | None
    sample: Sampled | None
    artifact_id: str | None


class Ran(msgspec.Struct, frozen=True):
    """One run, for who records that it happened. began: UTC"""

    query_id: str
    sql: str
    role: Role
    began: datetime
    duration_ms: float
    rows: int
    bytes: int | None
    artifact_id: str | None
    error: str | None


class Estimator(Protocol):
    def estimate(self, sql: str, parameters: Sequence[Any]) -> Any:
        """What running it would read: `.bytes` and `.rows`."""
        ...


Sampler = Callable[[str, Estimated, int, float], Any]
"""A statement with its estimate, a cap in bytes and the seconds it looks back over: the statement that stays under the cap
by reading a part, as `.sql`, `.rate`, `.seed` and `.watermark`. Its parameters are the same. Raises QueryRefused."""
Keep = Callable[[Template, Answer, "Sampled | None"], str]
"""Keeps a long answer whole, under its query's id, and gives the artifact's."""


class Asker:
    """Answers for one warehouse.

    who: whose name the log bears · tell: called after every run, answered or not · keep: where long answers go
    redact: one line of JSON without its secrets; what was asked is bound as it is, and recorded without them
    """

    def __init__(
        self,
        warehouse: Warehouse,
        questions: Questions,
        versions: DataVersions,
        who: Callable[[], str],
        *,
        estimator: Estimator | None = None,
        sampler: Sampler | None = None,
        keep: Keep | None = None,
        redact: Callable[[bytes], bytes] = lambda line: line,
        tell: Callable[[Ran], None] = lambda ran: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._redact = redact
        self._warehouse = warehouse
        self._questions = questions
        self._versions = versions
        self._who = who
        self._estimator = estimator
        self._sampler = sampler
        self._keep = keep
        self._tell = tell
        self._clock = clock
        self._flights = Flights()
        self._records = Records(warehouse, clock)

    def ask(self, name: str, asked: AskRequest = _PLAINLY) -> Answered:
        """Raises UsageError for what is not known or out of bounds, QueryRefused for who may not ask, for what would
        read too much and for what takes too long."""
        wanted = self._wanted(self._questions.allowed(name, asked.role), asked)
        if asked.fresh:
            return self._flights.once(wanted.id, lambda: self._same(wanted) or self._run(wanted))
        return self._flights.once(
            f"{wanted.key} {asked.over_cap}", lambda: self._recorded(wanted) or self._fresh(wanted)
        )

    def recorded(self, id_: str) -> Recorded | None:
        """What was answered under an id, if it is still kept."""
        return self._records.by_id(id_, timedelta(days=KEPT_DAYS))

    def _wanted(self, template: Template, asked: AskRequest) -> _Wanted:
        values = template.values(asked.parameters)
        key = question_key(template, values, asked.role)
        version = self._versions.of(template.reads)
        given = bound(template, values, self._clock.now())
        parts = [given[each] for each in template.ask.names]
        id_ = query_id(key, parts if asked.over_cap == "refuse" else [*parts, "sample"], version.text)
        return _Wanted(template, asked, values, given, key, id_, version)

    def _same(self, wanted: _Wanted) -> Answered | None:
        """Recorded under the very id: nothing could differ."""
        found = self._records.by_id(wanted.id, timedelta(hours=RECORDED_HOURS))
        return None if found is None else answered(found, is_recorded=True, is_current=True)

    def _recorded(self, wanted: _Wanted) -> Answered | None:
        if same := self._same(wanted):
            return same
        within = timedelta(seconds=min(wanted.template.cache_seconds, RECORDED_HOURS * 3600))
        found = self._records.by_key(wanted.key, within)
        if found is None or (found.sample is not None and wanted.asked.over_cap == "refuse"):
            return None
        return answered(found, is_recorded=True, is_current=found.data_version == wanted.version.text)

    def _fresh(self, wanted: _Wanted) -> Answered:
        """Together with who asks for fresh data just now."""
        return self._flights.once(wanted.id, lambda: self._same(wanted) or self._run(wanted))

    def _run(self, wanted: _Wanted) -> Answered:
        template, bound, asked = wanted.template, wanted.bound, wanted.asked
        sql, given = compiled(template.ask), [engine(name, bound[name]) for name in template.ask.names]
        estimate = self._estimate(sql, given)
        sql, sample = self._within_cap(wanted, sql, estimate)
        values, held = self._without_secrets(wanted.values), self._without_secrets(list(bound.items()))
        began, text = self._clock.now(), _told(wanted, values)
        try:
            answer = self._warehouse.ask(sql, given, query_id=wanted.id, rows_max=ROWS_MAX, seconds_max=SECONDS_MAX)
            is_long = len(answer.rows) > ROWS_INLINE_MAX
            artifact = self._keep(template, answer, sample) if self._keep and is_long else None
        except CdeskError as error:
            self._note(wanted, text, estimate)
            self._tell(self._ran(wanted, text, began, 0, estimate, None, str(error)))
            raise
        self._note(wanted, text, estimate)
        recorded = Recorded(
            query_id=wanted.id, question_key=wanted.key, question=template.name, question_version=template.version,
            checksum=template.checksum, parameters=values, bound=held, role=asked.role,
            asked_by=self._who(), asked_at=began.replace(tzinfo=None), data_version=wanted.version.text,
            data_as_of=wanted.version.as_of, sql_text=template.ask.text, answer_columns=_columns(template, answer),
            answer_rows=rows_json(answer.rows[:ROWS_INLINE_MAX]), row_count=len(answer.rows), estimate=estimate,
            sample=sample, artifact_id=artifact,
        )  # fmt: skip
        self._records.keep(recorded)
        self._tell(self._ran(wanted, text, began, len(answer.rows), estimate, artifact, None))
        return answered(recorded, is_recorded=False, is_current=True)

    def _without_secrets(self, value: Any) -> Any:
        return msgspec.json.decode(self._redact(msgspec.json.encode(value)))

    def _estimate(self, sql: str, given: Sequence[Any]) -> Estimated | None:
        if self._estimator is None:
            return None
        found = self._estimator.estimate(sql, given)
        return Estimated(int(found.bytes), int(found.rows))

    def _within_cap(self, wanted: _Wanted, sql: str, estimate: Estimated | None) -> tuple[str, Sampled | None]:
        """What may run: the whole, or a part where that is wanted. Raises OverCap, QueryRefused."""
        template = wanted.template
        if estimate is None or estimate.bytes <= template.byte_cap:
            return sql, None
        if wanted.asked.over_cap == "refuse" or self._sampler is None:
            raise OverCap(
                template.name, bytes=estimate.bytes, rows=estimate.rows, cap=template.byte_cap,
                can_sample=self._sampler is not None,
            )  # fmt: skip
        back = template.hours_back
        seconds = 3600.0 * hours(back, wanted.values[back]) if back else EVER_SECONDS
        found = self._sampler(sql, estimate, template.byte_cap, seconds)
        return str(found.sql), Sampled(float(found.rate), int(found.seed), str(found.watermark))

    def _note(self, wanted: _Wanted, text: str, estimate: Estimated | None) -> None:
        sql, names = prepared("question_logged")
        values = {
            "id": wanted.id, "text": text, "role": wanted.asked.role, "user": self._who(),
            "bytes": estimate.bytes if estimate else None,
        }  # fmt: skip
        self._warehouse.query(sql, [values[each] for each in names])

    def _ran(
        self, wanted: _Wanted, text: str, began: datetime, rows: int, estimate: Estimated | None, artifact: str | None,
        error: str | None,
    ) -> Ran:  # fmt: skip
        took = (self._clock.now() - began).total_seconds() * 1000
        read = estimate.bytes if estimate else None
        return Ran(wanted.id, text, wanted.asked.role, began, took, rows, read, artifact, error)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked, with everything that its answer rests on. bound: by name, also what the asker does not say"""

    template: Template
    asked: AskRequest
    values: dict[str, JSON]
    bound: dict[str, JSON]
    key: str
    id: str
    version: DataVersion


def answered(recorded: Recorded, *, is_recorded: bool, is_current: bool) -> Answered:
    return Answered(
        query_id=recorded.query_id, link=TAG + recorded.query_id, question=recorded.question,
        version=recorded.question_version, parameters=recorded.parameters, columns=recorded.answer_columns,
        rows=recorded.answer_rows, row_count=recorded.row_count,
        data_as_of=None if recorded.data_as_of is None else str(cell(recorded.data_as_of)),
        asked_at=str(cell(recorded.asked_at)), is_recorded=is_recorded, is_current=is_current,
        data_version=recorded.data_version, estimate=recorded.estimate, sample=recorded.sample, sql=recorded.sql_text,
        artifact_id=recorded.artifact_id,
    )  # fmt: skip


def bound(template: Template, values: Mapping[str, JSON], at: datetime) -> dict[str, JSON]:
    """Everything that a statement of the template can name, times as ISO text. at: when it is asked, UTC"""
    now = at.replace(minute=0, second=0, microsecond=0, tzinfo=None)
    back = template.hours_back
    return {
        **{name: msgspec.json.encode(value).decode() if isinstance(value, list) else value
           for name, value in values.items()},
        "now": now.isoformat(),
        **({"since": (now - timedelta(hours=hours(back, values[back]))).isoformat()} if back else {}),
    }  # fmt: skip


def unrecorded(
    template: Template, values: dict[str, JSON], answer: Answer, began: datetime, version: DataVersion
) -> Answered:
    """An answer that nobody keeps: it has the first ROWS_INLINE_MAX rows alone."""
    return Answered(
        query_id=answer.query_id, link=TAG + answer.query_id, question=template.name, version=template.version,
        parameters=values, columns=_columns(template, answer), rows=rows_json(answer.rows[:ROWS_INLINE_MAX]),
        row_count=len(answer.rows), data_as_of=None if version.as_of is None else str(cell(version.as_of)),
        asked_at=str(cell(began.replace(tzinfo=None))), is_recorded=False, is_current=True, data_version=version.text,
        estimate=None, sample=None, sql=template.ask.text, artifact_id=None,
    )  # fmt: skip


def engine(name: str, value: JSON) -> Any:
    """As the engine takes it."""
    return datetime.fromisoformat(str(value)) if name in ("since", "now") else value


def _columns(template: Template, answer: Answer) -> list[AnswerColumn]:
    declared = {each.name: each for each in template.columns}
    return [
        AnswerColumn(name, declared[name].type if name in declared else "any", declared[name].unit if name in declared else None)
        for name in answer.columns
    ]  # fmt: skip


def _told(wanted: _Wanted, values: Any) -> str:
    """The query log's text: what was asked with which values, then the SQL as it was written."""
    template = wanted.template
    asked = {
        "question": template.name, "version": template.version, "parameters": values, "role": wanted.asked.role,
    }  # fmt: skip
    return f"-- {msgspec.json.encode(asked).decode()}\n{template.ask.text}"


class Flights:
    """What is under way, by name: who wants the same meanwhile gets the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Answered]] = {}

    def once(self, name: str, run: Callable[[], Answered]) -> Answered:
        """Raises what the one run raises."""
        with self._lock:
            flight = self._under_way.get(name)
            is_mine = flight is None
            if flight is None:
                flight = self._under_way[name] = Future()
        if not is_mine:
            return flight.result()
        try:
            flight.set_result(run())
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._under_way[name]
        return flight.result()


class Records:
    """Recorded answers, the latest in memory, too."""

    def __init__(self, warehouse: Warehouse, clock: Clock) -> None:
        self._warehouse = warehouse
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, Recorded] = OrderedDict()
        self._forgot_at: datetime | None = None

    def by_id(self, id_: str, within: timedelta) -> Recorded | None:
        return self._find(id_, None, self._now() - within)

    def by_key(self, key: str, within: timedelta) -> Recorded | None:
        return self._find(None, key, self._now() - within)

    def keep(self, recorded: Recorded) -> None:
        sql, names = prepared("question_answered")
        values = {
            name: msgspec.json.encode(value).decode() if name in _AS_JSON and value is not None else value
            for name, value in ((name, getattr(recorded, name)) for name in names)
        }
        self._warehouse.query(sql, [values[name] for name in names])
        self._remember(recorded, recorded.query_id, recorded.question_key)
        self._forget()

    def _find(self, id_: str | None, key: str | None, since: datetime) -> Recorded | None:
        with self._lock:
            found = self._recent.get(id_ or key or "")
        if found is not None and found.asked_at >= since:
            return found
        sql, names = prepared("question_answers")
        values = {"id": id_, "key": key, "since": since}
        rows = self._warehouse.query(sql, [values[each] for each in names]).rows
        if not rows:
            return None
        recorded = _read(rows[0])
        self._remember(recorded, id_ or key or "")
        return recorded

    def _remember(self, recorded: Recorded, *names: str) -> None:
        """Under the names it is the latest of: who looks up an old id has not found the latest answer to its question."""
        with self._lock:
            for name in names:
                self._recent[name] = recorded
                self._recent.move_to_end(name)
            while len(self._recent) > 2 * IN_MEMORY_MAX:
                self._recent.popitem(last=False)

    def _forget(self) -> None:
        """Once an hour."""
        now = self._now()
        if self._forgot_at is not None and now - self._forgot_at < timedelta(hours=1):
            return
        self._forgot_at = now
        sql, _ = prepared("question_forgotten")
        self._warehouse.query(sql, [now - timedelta(days=KEPT_DAYS)])

    def _now(self) -> datetime:
        return self._clock.now().replace(tzinfo=None)


_AS_JSON: dict[str, Any] = {
    "parameters": dict[str, Any], "bound": list[Any], "answer_columns": list[AnswerColumn],
    "answer_rows": list[list[Any]], "estimate": Estimated, "sample": Sampled,
}  # fmt: skip


def _read(row: Sequence[Any]) -> Recorded:
    found = dict(zip(Recorded.__struct_fields__, row, strict=True))
    for name, kind in _AS_JSON.items():
        if found[name] is not None:
            found[name] = msgspec.json.decode(found[name], type=kind)
    return Recorded(**found)
