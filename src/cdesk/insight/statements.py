"""How rows become plain statements. Pure: what came from outside is quoted here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cdesk.activity.model import JSON
from cdesk.context.quote import plain, quoted

ERROR_CHARACTERS_MAX = 240
STATEMENT_CHARACTERS_MAX = 300
SOURCES_MAX = 5
NAMES_TOLD = 3
CALLS_MIN = 5
"""Fewer calls say nothing about how slow a tool is."""
OPEN_FOR = timedelta(days=7)
"""Few sessions say that they end: one that was silent for so long is no open thread."""
EVERYWHERE = 0.7
"""What an insight that names no project counts in a project's context, and one that names a project among all of them."""
FIGURE_CONFIDENCE = 0.5
"""A bare figure says less than words; those that matter are told as usage in words already."""
HASHED = "[hashed:"

_DONE = {
    "read": "read", "create": "created", "write": "written", "edit": "edited", "delete": "deleted", "rename": "renamed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Input:
    """A row of CONTEXT_INPUTS. ts: UTC"""

    project: str | None
    kind: str
    key: str
    ts: datetime
    activity_id: str
    session: str | None
    is_open: bool
    detail: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class Atom:
    """An insight that is valid now. project: None when it is about no project in particular
    statement: its words, where a person, Claude or a detector gave it some · evidence: activity ids it rests on"""

    id: str
    ts: datetime
    subject: str
    metric: str
    value: JSON
    unit: str | None
    grain: str | None
    confidence: float
    project: str | None
    statement: str | None
    author: str | None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """Dollars (None: nothing was priced), tokens, sessions, and responses whose price nobody knows."""

    cost_usd: float | None
    tokens: int
    sessions: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Named:
    """What was used under one name this week, in one project."""

    project: str | None
    kind: str
    name: str
    calls: int
    failed: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement before it is ranked. at: when what it says happened; None for what holds now"""

    text: str
    section: str
    sources: tuple[str, ...]
    why: str
    at: datetime | None = None
    confidence: float = 1.0


def is_withheld(text: JSON) -> bool:
    """Words that were not kept, or only as a mark of them."""
    return not isinstance(text, str) or not text.strip() or text.startswith(HASHED)


def _place(project: str | None, with_project: bool) -> str:
    return f" in {quoted(project)}" if with_project and project else ""


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


# -- what happened -------------------------------------------------------------------------------------------------


def failures(rows: Iterable[Input], fixes: Sequence[Atom], *, with_project: bool) -> tuple[list[Draft], set[str]]:
    """Equal ones once, with what fixed them; and the atoms that were told with them."""
    alike: dict[tuple[JSON, str, str | None], list[Input]] = {}
    for row in rows:
        if row.kind == "failure" and not is_withheld(row.detail.get("error")):
            what = row.detail.get("tool"), plain(str(row.detail["error"])), row.project
            alike.setdefault(what, []).append(row)
    drafts, told = [], set()
    for same in alike.values():
        fix = next((atom for atom in fixes if not {row.activity_id for row in same}.isdisjoint(atom.evidence)), None)
        if fix is not None:
            told.add(fix.id)
        drafts.append(_failure(same, fix, _place(same[0].project, with_project)))
    return drafts, told


def _failure(same: Sequence[Input], fix: Atom | None, place: str) -> Draft:
    last = same[0]
    tool, error = last.detail.get("tool"), quoted(last.detail["error"], ERROR_CHARACTERS_MAX)
    what = "An API request" if is_withheld(tool) else f"The tool {quoted(tool, 80)}"
    often = f"{len(same)} times, last on" if len(same) > 1 else "on"
    known = f" Known about it: {quoted(fix.statement, STATEMENT_CHARACTERS_MAX)}." if fix is not None else ""
    sources = [f"activity:{row.activity_id}" for row in same[: SOURCES_MAX - 1]]
    return Draft(
        f"{what} failed{place} {often} {moment(last.ts)}: {error}.{known}", "failure",
        tuple(sources + ([f"atom:{fix.id}"] if fix is not None else [])),
        ("failed lately" if len(same) == 1 else f"failed {len(same)} times lately") + (", and a fix is known" if fix is not None else ""), last.ts,
    )  # fmt: skip


def files(rows: Iterable[Input], *, with_project: bool) -> list[Draft]:
    return [
        Draft(
            f"The file {quoted(row.key if with_project else _within(row.project, row.key))} was {_operation(row.detail.get('operation'))}, "
            f"last on {moment(row.ts)}.",
            "file", (f"activity:{row.activity_id}",), "one of the files worked with last", row.ts,
        )
        for row in rows if row.kind == "file"
    ]  # fmt: skip


def _operation(given: JSON) -> str:
    return "used" if is_withheld(given) else _DONE.get(str(given)) or f"worked on ({quoted(given, 40)})"


def _within(project: str | None, path: str) -> str:
    return path.removeprefix(f"{project.rstrip('/')}/") if project else path


def sessions(rows: Sequence[Input], *, with_words: bool, with_project: bool) -> list[Draft]:
    """Threads that are open, and what other sessions were about; a session once."""
    since = max(row.ts for row in rows) - OPEN_FOR if rows else datetime.max
    prompts = {row.session: row for row in rows if row.kind == "thread" and with_words and not _is_mute(row)}
    threads = [row for row in prompts.values() if row.is_open and row.ts >= since]
    told = {row.session for row in threads}
    others = [row for row in rows if row.kind == "session" and row.session not in told]
    return [
        *(_thread(row, _place(row.project, with_project)) for row in threads),
        *(_session(row, prompts.get(row.session), _place(row.project, with_project)) for row in others),
    ]


def _is_mute(row: Input) -> bool:
    return is_withheld(row.detail.get("prompt"))


def _thread(row: Input, place: str) -> Draft:
    return Draft(
        f"The session {quoted((row.session or '')[:8], 8)}{place} has not ended; its last prompt, on {moment(row.ts)}, was "
        f"{quoted(row.detail['prompt'])}.",
        "thread", (f"activity:{row.activity_id}",), "work that was begun and not ended", row.ts,
    )  # fmt: skip


def _session(row: Input, prompt: Input | None, place: str) -> Draft:
    about, sources = "", [f"activity:{row.activity_id}"]
    if prompt is not None:
        about = f"; its last prompt was {quoted(prompt.detail['prompt'])}"
        sources.append(f"activity:{prompt.activity_id}")
    return Draft(
        f"The session {quoted((row.session or '')[:8], 8)}{place} last did something on {moment(row.ts)}{about}.",
        "session", tuple(dict.fromkeys(sources)), "one of the latest sessions", row.ts,
    )  # fmt: skip


def queries(rows: Iterable[Input]) -> list[Draft]:
    drafts = []
    for row in rows:
        if row.kind == "query" and not is_withheld(sql := row.detail.get("sql")):
            count, where = row.detail.get("rows"), row.detail.get("warehouse")
            gave = f" gave {_many(count, 'row')}" if isinstance(count, int) else " was answered"
            on = "" if is_withheld(where) else f" on {quoted(where, 60)}"
            text = f"The query {quoted(sql, ERROR_CHARACTERS_MAX)}{gave}{on} on {moment(row.ts)}."
            why = "one of the latest queries that were answered"
            drafts.append(Draft(text, "query", (f"activity:{row.activity_id}",), why, row.ts))
    return drafts


# -- figures -------------------------------------------------------------------------------------------------------


def used(today: Used, week: Used, day: str, since: str, source: str) -> list[Draft]:
    """day, since: how today and the week's beginning are called. Sessions that came to nothing are no news: the first one
    of a project is told before anything has happened in it, and it is that one itself."""
    drafts = []
    for found, when, why in (
        (today, f"Today ({day})", "what today came to"), (week, f"In the seven days since {since}", "what the week came to"),
    ):  # fmt: skip
        if found.tokens or found.unpriced or found.cost_usd is not None:
            text = f"{when}: {_cost(found.cost_usd, found.unpriced)}, {found.tokens:,} tokens, {_many(found.sessions, 'session')}."
            drafts.append(Draft(text, "usage", (source,), why))
    return drafts


def tools(named: Iterable[Named], source: str) -> list[Draft]:
    calls, failed = _summed(named, "tool")
    if not sum(calls.values()):
        return []
    worst = sorted((name for name in failed if failed[name]), key=lambda name: (-failed[name], name))[:NAMES_TOLD]
    most = ", ".join(f"{quoted(name, 80)} {failed[name]:,} of {calls[name]:,}" for name in worst)
    good = 100 * (1 - sum(failed.values()) / sum(calls.values()))
    text = f"In seven days {good:.1f} % of {_many(sum(calls.values()), 'tool call')} succeeded" + (
        f"; most failures: {most}." if most else "."
    )
    return [Draft(text, "usage", (source,), "how well tools work")]


def _summed(named: Iterable[Named], kind: str) -> tuple[dict[str, int], dict[str, int]]:
    calls: dict[str, int] = {}
    failed: dict[str, int] = {}
    for one in named:
        if one.kind == kind:
            calls[one.name] = calls.get(one.name, 0) + one.calls
            failed[one.name] = failed.get(one.name, 0) + one.failed
    return calls, failed


def spent(named: Iterable[Named], source: str, *, by_project: bool) -> list[Draft]:
    """The dearest models of the week, and of all projects the dearest ones."""
    named = [one for one in named if one.kind == "model" and one.cost_usd]
    drafts = []
    for what, names in (("model", [one.name for one in named]), ("project", [one.project for one in named])):
        if what == "project" and not by_project:
            continue
        sums: dict[str, float] = {}
        for name, one in zip(names, named, strict=True):
            if name is not None:
                sums[name] = sums.get(name, 0.0) + (one.cost_usd or 0.0)
        most = sorted(sums, key=lambda name: (-sums[name], name))[:NAMES_TOLD]
        if most:
            told = ", ".join(f"{quoted(name)} {_cost(sums[name], 0)}" for name in most)
            drafts.append(
                Draft(f"Most of seven days' spend by {what}: {told}.", "usage", (source,), f"spend by {what}")
            )
    return drafts


def slow(rows: Iterable[tuple[str, int, float]], source: str) -> list[Draft]:
    """rows: tool, calls, ms within which 95 % of them ended; the slowest first"""
    most = [f"{quoted(name, 80)} {ms / 1000:,.1f} s" for name, calls, ms in rows if calls >= CALLS_MIN][:NAMES_TOLD]
    if not most:
        return []
    text = f"The slowest tools of seven days, by the time 95 % of calls stayed under: {', '.join(most)}."
    return [Draft(text, "usage", (source,), "where time goes")]


def _cost(cost_usd: float | None, unpriced: int) -> str:
    without = f"{_many(unpriced, 'response')} without a known price"
    if cost_usd is None:
        return without if unpriced else "nothing spent"
    return f"${cost_usd:,.2f}" + (f" and {without}" if unpriced else "")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


# -- insights ------------------------------------------------------------------------------------------------------


def insights(atoms: Iterable[Atom], project: str | None) -> list[Draft]:
    """project: whose context it is; what is about no project in particular is worth less there"""
    return [_insight(atom, 1.0 if atom.project == project else EVERYWHERE) for atom in atoms]


def _insight(atom: Atom, nearness: float) -> Draft:
    if atom.statement is None:
        return _figure(atom)
    sources = (f"atom:{atom.id}", *(f"activity:{each}" for each in atom.evidence[: SOURCES_MAX - 1]))
    by = {"claude": "Noted by Claude", "person": "Noted by a person"}.get(atom.author or "", "Found")
    text = f"{by}: {quoted(atom.statement, STATEMENT_CHARACTERS_MAX)}."
    return Draft(
        text, "insight", sources, f"an insight, confidence {atom.confidence:g}", atom.ts, nearness * atom.confidence
    )


def _figure(atom: Atom) -> Draft:
    per = "" if atom.grain is None else f" ({quoted(atom.grain, 40)})"
    text = f"The figure {quoted(atom.metric, 80)} of {quoted(atom.subject, 80)}{per}: {_value(atom)}."
    return Draft(
        text, "usage", (f"atom:{atom.id}",), "a figure that is kept", None, FIGURE_CONFIDENCE * atom.confidence
    )


def _value(atom: Atom) -> str:
    number = f"{atom.value:,.4g}" if isinstance(atom.value, int | float) else quoted(atom.value, 80)
    return number if atom.unit is None else f"{number} {plain(atom.unit)[:20]}"
