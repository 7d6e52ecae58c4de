"""Builds contexts: what is known of a customer and project, as statements with their sources, the best first.

    CONTEXT_INPUTS    the latest failures, files, threads, sessions, queries    activity:<id>
    ACTIVITY_ROLLUP   what today and seven days came to                         cdesk:<query_id>, in the query log
    LATENCY_ROLLUP    what was slow                                             cdesk:<query_id>
    INSIGHT_ATOMS     what was found and noted, valid now                       atom:<id>

Many contexts are built in one read of each. What is told depends on the data and the day alone, not on the minute: how
recent something is counts from the newest there is. So building a context again without news gives the same version.

Limits first: SECTION_MAX statements of a section, STATEMENTS_MAX in all; atoms beyond ATOMS_MAX of a customer, the oldest,
are not looked at. What consent withholds now is not told, also where it was kept under an earlier consent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK, Clock
from cdesk.context.model import Context, ContextKey, Kind, Statement
from cdesk.context.today import Today
from cdesk.governance.consent import Consent
from cdesk.insight import statements
from cdesk.insight.statements import Atom, Draft, Input, Named, Used
from cdesk.insight.text import ask, text
from cdesk.warehouse.warehouse import Warehouse

STATEMENTS_MAX = 60
SECTION_MAX = 12
ATOMS_MAX = 200
NOTED_MAX = 10_000
HALF_LIFE = timedelta(hours=48)
RECENCY_MIN = 0.1
"""Something old is still worth a tenth of something new."""
FOLLOWS = 0.92
"""Each further statement of a section is worth so much of the one before it."""

WEIGHTS: dict[Kind, dict[str, float]] = {
    "default": {"failure": 1.0, "insight": 1.0, "thread": 0.9, "file": 0.7, "usage": 0.6, "session": 0.6, "query": 0.5},
    "executive": {
        "usage": 1.0, "insight": 0.8, "session": 0.5, "failure": 0.4, "thread": 0.3, "file": 0.1, "query": 0.1,
    },
    "analyst": {"query": 1.0, "usage": 0.9, "insight": 0.8, "failure": 0.5, "session": 0.5, "thread": 0.3, "file": 0.3},
    "engineer": {
        "failure": 1.0, "thread": 0.95, "file": 0.9, "insight": 0.9, "session": 0.6, "query": 0.5, "usage": 0.3,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Days:
    """today, week: the hours they begin with, UTC · day, since: how they are called"""

    today: datetime
    week: datetime
    day: str
    since: str


@dataclass(slots=True)
class Known:
    """What the warehouse says of some customers, by customer."""

    days: Days
    inputs: dict[str, list[Input]]
    used: dict[tuple[str, str | None, bool], tuple[Used, Used]]
    named: dict[str, list[Named]]
    slow: dict[str, list[tuple[str, int, float]]]
    atoms: dict[str, list[Atom]]


class ContextBuilder:
    """`local` gives a moment the zone in which days begin; the machine's own when it is not given.

    May be asked from several threads at once. Raises WarehouseError."""

    def __init__(
        self,
        warehouse: Warehouse,
        consent: Consent,
        *,
        clock: Clock = SYSTEM_CLOCK,
        local: Callable[[datetime], datetime] = datetime.astimezone,
    ) -> None:
        self._warehouse = warehouse
        self._consent = consent
        self._clock = clock
        self._local = local
        self._noted: set[str] = set()

    def build(self, keys: Sequence[ContextKey]) -> list[Context]:
        """In the order of the keys; what nothing is known of has no statements."""
        if not keys:
            return []
        now = self._clock.now()
        known = self._known(sorted({key.customer for key in keys}), now)
        notes: dict[str, str] = {}
        contexts = [self._context(key, known, now, notes) for key in keys]
        self._note(notes)
        return contexts

    def today(self, customer: str) -> Today:
        """What today has cost this customer in all projects."""
        now = self._clock.now()
        days = self._days(now)
        within, allowed = self._within({"customers": [customer], "week": days.week}, days)
        rows = ask(self._warehouse, "context_usage", within, allowed=allowed)
        found = next((_used(*row[7:11]) for row in rows if row[2]), _used(None, 0, 0, 0))
        return Today(customer, days.day, found.cost_usd, found.unpriced, now.timestamp())

    def newest(self, contexts_max: int) -> list[ContextKey]:
        """Where somebody worked last: what is built when nobody has asked yet."""
        found: dict[ContextKey, None] = {}
        for customer, project, _ in ask(self._warehouse, "context_projects", {}, rows_max=str(contexts_max)):
            found[ContextKey(customer)] = None
            if project is not None:
                found[ContextKey(customer, project)] = None
        return list(found)[:contexts_max]

    # -- what is known ---------------------------------------------------------------------------------------------

    def _known(self, customers: list[str], now: datetime) -> Known:
        days = self._days(now)
        of: dict[str, Any] = {"customers": customers}
        since = {**of, "week": days.week}
        inputs = ask(self._warehouse, "context_inputs", of)
        within, allowed = self._within(since, days)
        used = ask(self._warehouse, "context_usage", within, allowed=allowed)
        named = ask(self._warehouse, "context_named", within, allowed=allowed)
        slow = ask(self._warehouse, "context_slow", since)
        at = {**of, "now": now.replace(tzinfo=None)}
        atoms = ask(self._warehouse, "context_atoms", at, rows_max=str(ATOMS_MAX))
        return Known(
            days,
            _by_customer(customers, ((row[0], _input(row)) for row in inputs if not self._excludes(row[1]))),
            {(row[0], row[1], bool(row[2])): (_used(*row[7:11]), _used(*row[3:7])) for row in used},
            _by_customer(customers, ((row[0], _named(row)) for row in named)),
            _by_customer(customers, ((row[0], (row[1], int(row[2]), float(row[3]))) for row in slow)),
            _by_customer(customers, ((row[2], atom) for row in atoms if self._may_tell(atom := _atom(row)))),
        )  # fmt: skip

    def _within(self, since: dict[str, Any], days: Days) -> tuple[dict[str, Any], str]:
        """Values, and the condition that leaves out what consent withholds."""
        excluded = self._excluded(since)
        allowed = "(project_path IS NULL OR project_path NOT IN (:excluded))" if excluded else "TRUE"
        return {**since, "today": days.today, "excluded": excluded}, allowed

    def _excluded(self, since: dict[str, Any]) -> list[str]:
        """Projects of the week that consent withholds."""
        if not self._consent.exclude_projects:
            return []
        return sorted(row[0] for row in ask(self._warehouse, "context_places", since) if self._excludes(row[0]))

    def _days(self, now: datetime) -> Days:
        midnight = self._local(now).replace(hour=0, minute=0, second=0, microsecond=0)
        week = midnight - timedelta(days=7)
        today_utc, week_utc = (at.astimezone(UTC).replace(tzinfo=None, minute=0) for at in (midnight, week))
        return Days(today_utc, week_utc, f"{midnight:%Y-%m-%d}", f"{week:%Y-%m-%d}")

    def _excludes(self, project: str | None) -> bool:
        return project is not None and self._consent.excludes(project)

    def _may_tell(self, atom: Atom) -> bool:
        is_told = atom.statement is None or self._consent.text == "keep"
        return is_told and not self._excludes(atom.project)

    # -- one context -----------------------------------------------------------------------------------------------

    def _context(self, key: ContextKey, known: Known, now: datetime, notes: dict[str, str]) -> Context:
        rows = [row for row in known.inputs[key.customer] if key.project_path in (None, row.project)]
        data_as_of = max((row.ts for row in rows), default=None)
        drafts = [] if self._excludes(key.project_path) else self._drafts(key, rows, known, notes)
        told = _ranked(drafts, key, data_as_of)
        return Context(
            key, told, now.timestamp(), None if data_as_of is None else data_as_of.replace(tzinfo=UTC).timestamp(),
            _version(told),
        )  # fmt: skip

    def _drafts(self, key: ContextKey, rows: list[Input], known: Known, notes: dict[str, str]) -> list[Draft]:
        with_words = self._consent.text == "keep"
        atoms = [atom for atom in known.atoms[key.customer] if _belongs(atom, key)]
        with_project = key.project_path is None
        fixes = [atom for atom in atoms if atom.statement is not None]
        failures, told = statements.failures(rows if with_words else [], fixes, with_project=with_project)
        return [
            *failures,
            *statements.files(rows, with_project=with_project),
            *statements.sessions(rows, with_words=with_words, with_project=with_project),
            *(statements.queries(rows) if with_words else []),
            *self._figures(key, known, notes),
            *statements.insights((atom for atom in atoms if atom.id not in told), key.project_path),
        ]

    def _figures(self, key: ContextKey, known: Known, notes: dict[str, str]) -> list[Draft]:
        is_all = key.project_path is None
        today, week = known.used.get((key.customer, key.project_path, is_all), (None, None))
        if today is None or week is None:
            return []
        named = [one for one in known.named[key.customer] if is_all or one.project == key.project_path]
        shown = {name: _shown(f"shown_{name}", key, known.days) for name in ("used", "named", "slow")}
        cite = {name: f"cdesk:{_query_id(sql)}" for name, sql in shown.items()}
        found = [
            *statements.used(today, week, known.days.day, known.days.since, cite["used"]),
            *statements.tools(named, cite["named"]),
            *statements.spent(named, cite["named"], by_project=is_all),
            *(statements.slow(known.slow[key.customer], cite["slow"]) if self._may_tell_slow(key) else []),
        ]
        cited = {source for draft in found for source in draft.sources}
        notes.update((_query_id(shown[name]), shown[name]) for name, source in cite.items() if source in cited)
        return found

    def _may_tell_slow(self, key: ContextKey) -> bool:
        """How long tools took is not known by project: it may not be told where some are withheld."""
        return key.project_path is None and not self._consent.exclude_projects

    def _note(self, notes: dict[str, str]) -> None:
        """Every figure's question is in the query log, once."""
        new = {id_: sql for id_, sql in notes.items() if id_ not in self._noted}
        if not new:
            return
        there = {row[0] for row in ask(self._warehouse, "context_noted", {"ids": sorted(new)})}
        now = self._clock.now().replace(tzinfo=None)
        for id_, sql in new.items():
            if id_ not in there:
                ask(self._warehouse, "context_note", {"id": id_, "tag": f"cdesk:{id_}", "text": sql, "now": now})
        self._noted = (self._noted if len(self._noted) < NOTED_MAX else set()) | set(new)


# -- ranking -------------------------------------------------------------------------------------------------------


def _ranked(drafts: Sequence[Draft], key: ContextKey, newest: datetime | None) -> tuple[Statement, ...]:
    """The best first. Within a section each further one counts less, so that no section fills a context alone."""
    weights = WEIGHTS[key.kind]
    worth: dict[str, list[tuple[float, Draft]]] = {}
    for draft in drafts:
        worth.setdefault(draft.section, []).append((_recency(draft.at, newest) * draft.confidence, draft))
    found = []
    for section, each in worth.items():
        each.sort(key=lambda one: (-one[0], one[1].text))
        for place, (value, draft) in enumerate(each[:SECTION_MAX]):
            score = round(weights[section] * value * FOLLOWS**place, 6)
            why = f"{draft.why}; {section} weighs {weights[section]:g} for {key.kind}"
            found.append(Statement(draft.text, section, draft.sources, why, score))
    found.sort(key=lambda one: (-one.score, one.section, one.text))
    return tuple(found[:STATEMENTS_MAX])


def _recency(at: datetime | None, newest: datetime | None) -> float:
    """From 1 for the newest down to RECENCY_MIN; what holds now is new."""
    if at is None or newest is None:
        return 1.0
    return max(RECENCY_MIN, math.exp2(-(max(newest - at, timedelta()) / HALF_LIFE)))


def _belongs(atom: Atom, key: ContextKey) -> bool:
    """What is about all projects together is a figure there; words that name no project hold everywhere."""
    if key.project_path is None:
        return True
    return atom.project == key.project_path or (atom.project is None and atom.statement is not None)


def _version(told: tuple[Statement, ...]) -> str:
    what = [(one.text, one.section, one.sources) for one in told]
    return blake2b(msgspec.msgpack.encode(what), digest_size=8).hexdigest()


# -- rows ----------------------------------------------------------------------------------------------------------


def _by_customer(customers: Sequence[str], pairs: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {customer: [] for customer in customers}
    for customer, value in pairs:
        found[customer].append(value)
    return found


def _input(row: tuple[Any, ...]) -> Input:
    _, project, kind, key, ts, activity_id, session, is_open, detail = row
    return Input(project, kind, key, ts, str(activity_id), session, bool(is_open), json_object(detail))


def _used(cost: Any, tokens: Any, sessions: Any, unpriced: Any) -> Used:
    return Used(None if cost is None else float(cost), int(tokens or 0), int(sessions or 0), int(unpriced or 0))


def _named(row: tuple[Any, ...]) -> Named:
    _, project, kind, name, calls, failed, cost = row
    return Named(project, kind, name, int(calls), int(failed), None if cost is None else float(cost))


def _atom(row: tuple[Any, ...]) -> Atom:
    id_, ts, _, subject, metric, value, unit, grain, confidence, filter_, derivation, method = row
    about, how = json_object(filter_), json_object(derivation)
    evidence = how.get("evidence")
    author = _text(how.get("author")) or next((a for a in ("claude", "person") if a in (method or "")), None)
    return Atom(
        id_, ts, subject, metric, _value(value), unit, grain, 1.0 if confidence is None else float(confidence),
        atom_project(about, how), _text(how.get("statement")), author,
        tuple(each for each in evidence if isinstance(each, str)) if isinstance(evidence, list) else (),
    )  # fmt: skip


def atom_project(about: dict[str, JSON], how: dict[str, JSON]) -> str | None:
    return _text(about.get("project_path")) or _text(how.get("project_path"))


def json_object(given: Any) -> dict[str, JSON]:
    found = _value(given)
    return found if isinstance(found, dict) else {}


def _value(given: Any) -> JSON:
    try:
        return None if given is None else msgspec.json.decode(given)
    except (msgspec.DecodeError, TypeError):
        return None


def _text(value: JSON) -> str | None:
    return None if statements.is_withheld(value) else str(value)


def _shown(name: str, key: ContextKey, days: Days) -> str:
    """What to ask to see a figure again, in the form in which a person can: never executed here."""
    where = f"customer = {_literal(key.customer)} AND hour >= TIMESTAMP '{days.week}'"
    if key.project_path is not None:
        where += f" AND project_path = {_literal(key.project_path)}"
    return text(name).format(where=where, today=f"TIMESTAMP '{days.today}'").strip()


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _query_id(sql: str) -> str:
    return f"c_{blake2b(sql.encode(), digest_size=10).hexdigest()}"
