"""The tools: for each what it is called, when to use it, what it takes and gives as records, and what it does.

Schemas are made from the records, and arguments are read by them, so that the two cannot differ.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON
from cdesk.clock import SYSTEM_CLOCK
from cdesk.context.model import Context, ContextKey, Kind
from cdesk.errors import CdeskError, UsageError
from cdesk.surface.mcp import page
from cdesk.surface.mcp.called import Call, told, tool_use_id
from cdesk.surface.mcp.desk import Desk
from cdesk.surface.mcp.quote import NOTE, quoted, quoted_all

EVERY_PROJECT = "*"
NAME_CHARACTERS_MAX = 100
STATEMENT_CHARACTERS_MAX = 500
EVIDENCE_MAX = 50
FOUND_CHARACTERS_MAX = 240
"""Of one text in a list of activities."""
EXPLAINED_CHARACTERS_MAX = 4_000
EXPLAINED_ACTIVITIES_MAX = 50
SEARCH_ROWS_MAX = 200
ARTIFACT_ROWS = 500
"""Of one page that the service is asked for."""
TICKETS = "/v1/queries"
DAYS_MAX = 366
ROLE = "agent"
"""Who Claude is when it asks."""
DATASET_CHARACTERS_MAX = 20_000

Meta = msgspec.Meta
Tokens: TypeAlias = Annotated[
    int, Meta(ge=page.TOKENS_MIN, le=page.TOKENS_MAX, description="About how many tokens the answer may take.")
]
Cursor: TypeAlias = Annotated[
    str | None, Meta(description="The cursor of the answer before, with otherwise the same arguments: what comes next.")
]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
By: TypeAlias = Literal["daily", "weekly", "monthly", "session", "project", "model", "tool", "user"]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a tool takes."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gives."""


# -- get_context -------------------------------------------------------------------------------------------------


class GetContext(Arguments, frozen=True):
    project: Annotated[
        str | None,
        Meta(description="Absolute folder of the project. Left out: the one this session works in. '*': all projects."),
    ] = None
    kind: Annotated[Kind, Meta(description="For whom: engineer, analyst, executive, or default for a bit of all.")] = (
        "default"
    )
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class Fact(msgspec.Struct, frozen=True):
    """A statement of fact. sources: citations that `explain` takes"""

    text: str
    section: str
    sources: tuple[str, ...]


class GivenContext(Given, frozen=True):
    """age_seconds: since it was made, null when there is none · refresh: whether a newer one is being made"""

    project: str | None
    kind: Kind
    statements: list[Fact]
    age_seconds: float | None
    is_stale: bool
    refresh: Literal["not needed", "asked for", "under way", "needs the service"]
    data_as_of: str | None
    note: str
    cursor: str | None = None


def _get_context(desk: Desk, asked: GetContext, call: Running) -> GivenContext:
    project = desk.caller.project_path if asked.project is None else asked.project
    key = ContextKey(desk.person().customer, None if project == EVERY_PROJECT else project, asked.kind)
    begin = page.place(asked.cursor, "get_context", int)
    context = desk.context(key)
    now = SYSTEM_CLOCK.now_ns() / 1e9
    is_stale = context is None or context.is_stale(now)
    refresh: Any = "not needed" if not is_stale else "asked for" if desk.want(key) else "under way"
    if is_stale and not desk.is_served():
        refresh = "needs the service"
    call.cache_hit, call.stale = context is not None, is_stale
    if context is None:
        return GivenContext(
            project=key.project_path, kind=key.kind, statements=[], age_seconds=None, is_stale=True, refresh=refresh,
            data_as_of=None, note=_NOT_SERVED if refresh == "needs the service" else _NOT_MADE,
        )  # fmt: skip
    age = context.age_seconds(now)
    call.age_ms = round(age * 1000, 1)
    start = begin[0] if begin else 0
    left = context.statements[start:]
    facts = [Fact(quoted(one.text, EXPLAINED_CHARACTERS_MAX), one.section, one.sources) for one in left]
    count = page.fitting(facts, asked.max_tokens)
    shown = msgspec.structs.replace(context, statements=left[:count])
    call.text = desk.rendered(shown, now, asked.max_tokens * page.CHARACTERS_PER_TOKEN)
    return GivenContext(
        project=key.project_path, kind=key.kind, statements=facts[:count], age_seconds=round(age, 1),
        is_stale=is_stale, refresh=refresh, data_as_of=_as_of(context), note=NOTE,
        cursor=page.cursor("get_context", start + count) if count < len(left) else None,
    )  # fmt: skip


_NOT_MADE = "There is no context for this yet; it is being made. Ask again in a few seconds."
_NOT_SERVED = "There is no context for this yet, and cdesk's service is not running. Start it with `cdesk up`."


def _as_of(context: Context) -> str | None:
    return None if context.data_as_of is None else datetime.fromtimestamp(context.data_as_of, UTC).isoformat()


# -- record_insight, log_event -----------------------------------------------------------------------------------


class RecordInsight(Arguments, frozen=True):
    subject: Annotated[Name, Meta(description="What it is about, such as 'tests/api' or 'deploys'.")]
    metric: Annotated[Name, Meta(description="What is said of it, such as 'fix_command', 'convention', 'p95_ms'.")]
    statement: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=STATEMENT_CHARACTERS_MAX,
            description="One plain sentence that the next session understands without this conversation. No secrets.",
        ),
    ]
    value: Annotated[
        bool | int | float | str | None, Meta(description="The figure or word itself, if there is one.")
    ] = None
    unit: Annotated[Name | None, Meta(description="Of the value, such as 'ms', 'USD', 'tests'.")] = None
    grain: Annotated[Name | None, Meta(description="What one value stands for, such as 'daily' or 'per run'.")] = None
    confidence: Annotated[float, Meta(ge=0, le=1, description="1: seen and checked. 0.5: likely.")] = 0.8
    valid_until: Annotated[str | None, Meta(description="ISO 8601; left out: 90 days.")] = None
    evidence: Annotated[
        list[str], Meta(max_length=EVIDENCE_MAX, description="Citations it rests on, such as 'activity:<id>'.")
    ] = []
    project: Annotated[
        str | None, Meta(description="Absolute folder. Left out: this session's. '*': true of all projects.")
    ] = None
    replaces: Annotated[str | None, Meta(description="The insight that this one makes untrue: 'atom:<id>'.")] = None


class Recorded(Given, frozen=True):
    """cite: how to name it · is_durable: it is on disk"""

    cite: str
    is_durable: bool
    note: str


def _record_insight(desk: Desk, asked: RecordInsight, call: Running) -> Recorded:
    project = desk.caller.project_path if asked.project is None else asked.project
    until = None if asked.valid_until is None else _time(asked.valid_until, "valid_until").isoformat()
    features: dict[str, JSON] = {
        "subject": asked.subject, "metric": asked.metric, "statement": asked.statement, "value": asked.value,
        "unit": asked.unit, "grain": asked.grain, "confidence": asked.confidence, "valid_until": until,
        "evidence": [_activity_cited(one) for one in asked.evidence],
        "project_path": None if project == EVERY_PROJECT else project, "author": "claude",
        "replaces": None if asked.replaces is None else _cited(asked.replaces, "atom"),
    }  # fmt: skip
    at_ns = SYSTEM_CLOCK.now_ns()
    named = call.tool_use_id or f"{at_ns} {SYSTEM_CLOCK.name()}"
    insight = told(
        "insight_recorded", activity_id("insight", named), features, at_ns, desk.caller, desk.person()
    )  # fmt: skip
    kept = desk.admit([insight])
    if not kept:
        raise CdeskError("it was not kept: consent excludes this source or project.", "See [consent] in config.toml.")
    return Recorded(
        cite=f"activity:{insight.activity_id}", is_durable=True,
        note=f"Recorded. It is atom:{insight.activity_id} as soon as the service has taken it in.",
    )  # fmt: skip


class LogEvent(Arguments, frozen=True):
    activity: Annotated[Name, Meta(description="What happened, as subject_verb in the past tense: 'app_deployed'.")]
    features: Annotated[dict[str, Any], Meta(description="What is known about it. No secrets.")] = {}
    ts: Annotated[str | None, Meta(description="When, ISO 8601. Left out: now.")] = None
    event_id: Annotated[
        Name | None, Meta(description="Its own identity: telling the same one again changes nothing.")
    ] = None
    link: Annotated[
        Annotated[str, Meta(max_length=1_000)] | None, Meta(description="Where more about it is found.")
    ] = None


def _log_event(desk: Desk, asked: LogEvent, call: Running) -> Recorded:
    from cdesk.activity.catalog import CATALOG, FAMILIES
    from cdesk.capture.intake import Unacceptable, activity

    if asked.activity in _NOT_ANYBODYS or any(
        asked.activity == one.activity
        for family in FAMILIES
        if family.name in ("mcp", "system")
        for one in family.activities
    ):
        raise UsageError(
            f"{asked.activity} is not for this tool to tell.",
            _NOT_ANYBODYS.get(asked.activity, "cdesk tells it itself."),
        )
    person, caller = desk.person(), desk.caller
    at = SYSTEM_CLOCK.now()
    given = {
        "activity": asked.activity, "ts": asked.ts or at.isoformat(), "customer": person.customer,
        "feature_json": {"project_path": caller.project_path, **asked.features}, "link": asked.link,
        "activity_id": asked.event_id or call.tool_use_id or f"{at.isoformat()} {SYSTEM_CLOCK.name()}",
        "anonymous_customer_id": person.anonymous_customer_id, "_org_id": person.org_id,
        "_session_id": caller.session_id,
    }  # fmt: skip
    try:
        event = activity(given)
    except Unacceptable as error:
        raise UsageError(f"{error}.") from None
    is_kept = desk.admit([msgspec.structs.replace(event, source="mcp")])
    if not is_kept:
        raise CdeskError("it was not kept: consent excludes this source or project.", "See [consent] in config.toml.")
    known = "" if asked.activity in CATALOG else " The catalog does not know this name; it is kept as it is."
    return Recorded(cite=f"activity:{event.activity_id}", is_durable=True, note=f"Recorded.{known}")


_NOT_ANYBODYS = {
    "insight_recorded": "Use record_insight.",
    "insight_corrected": "A person corrects insights, with `cdesk insight` or on the page.",
}


# -- usage -------------------------------------------------------------------------------------------------------


class GetUsage(Arguments, frozen=True):
    by: Annotated[By, Meta(description="One row per …")] = "daily"
    since: Annotated[str | None, Meta(description="First day, such as 2026-11-01.")] = None
    until: Annotated[str | None, Meta(description="Last day, inclusive.")] = None
    timezone: Annotated[str | None, Meta(description="Where days begin. Left out: the person's own.")] = None
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class GivenUsage(Given, frozen=True):
    """rows: the latest first when by time, else the dearest; dollars in totalCost, null where no price is known
    totals: over all rows, also those that are not shown"""

    by: By
    timezone: str
    rows: list[dict[str, Any]]
    totals: dict[str, Any]
    note: str
    cursor: str | None = None


def _usage(desk: Desk, asked: GetUsage, call: Running) -> GivenUsage:
    timezone = asked.timezone or desk.timezone()
    start = (page.place(asked.cursor, "usage", int) or [0])[0]
    report = desk.ask("/v1/usage", {
        "by": asked.by, "timezone": timezone,
        "since": _day(asked.since, "since"), "until": _day(asked.until, "until"),
    })  # fmt: skip
    rows = [quoted_all(_without_breakdown(row), FOUND_CHARACTERS_MAX) for row in report[asked.by]]
    if asked.by in ("daily", "weekly", "monthly"):
        rows.reverse()
    left = rows[start:]
    count = page.fitting(left, asked.max_tokens)
    return GivenUsage(
        by=asked.by, timezone=timezone, rows=left[:count], totals=report["totals"], note=_DOLLARS,
        cursor=page.cursor("usage", start + count) if count < len(left) else None,
    )  # fmt: skip


_DOLLARS = "totalCost is US dollars by the dated price book; unpricedResponses are not in it."


def _without_breakdown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "modelBreakdowns"}


# -- search_activity, explain ------------------------------------------------------------------------------------


class SearchActivity(Arguments, frozen=True):
    text: Annotated[
        Annotated[str, Meta(max_length=200)] | None,
        Meta(description="Words that all occur in what is recorded: of a command, an error, a path, a prompt."),
    ] = None
    activity: Annotated[
        Name | None,
        Meta(
            description="Only this one: user_asked, claude_responded, tool_called, file_edited, api_request_failed, "
            "session_started, insight_recorded, …"
        ),
    ] = None
    project: Annotated[
        str | None, Meta(description="Absolute folder. Left out: this session's. '*': all projects.")
    ] = None
    session: Annotated[Name | None, Meta(description="Only of this Claude Code session.")] = None
    since: Annotated[str | None, Meta(description="ISO 8601 time or day. Left out: from the beginning.")] = None
    until: Annotated[str | None, Meta(description="ISO 8601 time or day, exclusive. Left out: now.")] = None
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """One activity. data: what was recorded, long texts cut"""

    cite: str
    ts: str
    activity: str
    data: dict[str, Any]
    session: str | None = None
    project: str | None = None
    cost_usd: float | None = None


class GivenActivities(Given, frozen=True):
    """activities: the newest first"""

    activities: list[Found]
    note: str
    cursor: str | None = None


def _search_activity(desk: Desk, asked: SearchActivity, call: Running) -> GivenActivities:
    project = desk.caller.project_path if asked.project is None else asked.project
    after = page.place(asked.cursor, "search_activity", str, str)
    answer = desk.ask("/v1/search", {
        "text": asked.text, "activity": asked.activity, "session": asked.session,
        "project": None if project == EVERY_PROJECT else project,
        "since": None if asked.since is None else _time(asked.since, "since").isoformat(),
        "until": None if asked.until is None else _time(asked.until, "until").isoformat(),
        "after": after, "rows_max": SEARCH_ROWS_MAX,
    })  # fmt: skip
    found = [_found(row) for row in answer["activities"]]
    count = page.fitting(found, asked.max_tokens)
    is_all = count == len(found) and not answer["has_more"]
    last = found[count - 1] if found else None
    return GivenActivities(
        activities=found[:count], note=NOTE,
        cursor=None if is_all or last is None else page.cursor("search_activity", last.ts, last.cite[9:]),
    )  # fmt: skip


def _found(row: Mapping[str, Any]) -> Found:
    data = {name: value for name, value in row["features"].items() if name not in _SHOWN_ELSEWHERE}
    return Found(
        cite=f"activity:{row['id']}", ts=row["ts"], activity=quoted(row["activity"], NAME_CHARACTERS_MAX),
        data=quoted_all(data, FOUND_CHARACTERS_MAX), session=row["session"], project=row["project"],
        cost_usd=row["cost_usd"],
    )  # fmt: skip


_SHOWN_ELSEWHERE = frozenset({"project_path", "cli_version", "git_branch", "tool_use_id", "is_sidechain"})


class Explain(Arguments, frozen=True):
    citation: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="'activity:<id>', 'atom:<id>', 'cdesk:<query_id>' or 'artifact:<id>'.",
        ),
    ]
    row: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Of the answer that is cited, from 1: which activities are behind it."),
    ] = None
    column: Annotated[Name | None, Meta(description="Of that row. Left out: the first that counts something.")] = None


class Explained(Given, frozen=True):
    """said: what stands there · comes_from: citations one step back, which explain takes, too; of a row the first
    EXPLAINED_ACTIVITIES_MAX · behind: how many activities are behind the cell"""

    citation: str
    is_a: Literal["activity", "insight", "query", "artifact"]
    said: dict[str, Any]
    comes_from: list[str]
    note: str
    behind: int | None = None


def _explain(desk: Desk, asked: Explain, call: Running) -> Explained:
    cell = {name: value for name, value in (("row", asked.row), ("column", asked.column)) if value is not None}
    answer = desk.ask("/v1/explain", {"citation": asked.citation, **cell})
    behind = answer.get("cell")
    return Explained(
        citation=answer["citation"], is_a=answer["is_a"], said=quoted_all(answer["said"], EXPLAINED_CHARACTERS_MAX),
        comes_from=answer["comes_from"][:EXPLAINED_ACTIVITIES_MAX], note=NOTE,
        behind=len(behind["activities"]) if behind else None,
    )  # fmt: skip


# -- list_questions, ask -----------------------------------------------------------------------------------------


class ListQuestions(Arguments, frozen=True):
    pass


class Question(msgspec.Struct, frozen=True):
    """parameters: names with what each may be · columns: names with what each holds"""

    name: str
    title: str
    description: str
    parameters: dict[str, str]
    columns: dict[str, str]


class GivenQuestions(Given, frozen=True):
    questions: list[Question]


def _list_questions(desk: Desk, asked: ListQuestions, call: Running) -> GivenQuestions:
    answer = desk.ask(f"/v1/questions?role={ROLE}", {})
    return GivenQuestions(questions=[
        Question(
            name=one["name"], title=one["title"], description=one["description"],
            parameters={each["name"]: _parameter(each) for each in one["parameters"]},
            columns={each["name"]: each["description"] for each in one["columns"]},
        )
        for one in answer["questions"]
    ])  # fmt: skip


def _parameter(one: Mapping[str, Any]) -> str:
    """In one line: its type, bounds, default, and meaning."""
    bounds = f" {one['min']:g} to {one['max']:g}" if one["min"] is not None else ""
    kind = " or ".join(one["choices"]) if one["choices"] else "list of text" if one["type"] == "list" else one["type"]
    default = ", may be left out" if one["is_optional"] else f", {one['default']} by default"
    return f"{kind}{bounds}{default}: {one['description']}"


class Ask(Arguments, frozen=True):
    question: Annotated[Name, Meta(description="Its name, from list_questions.")]
    days: Annotated[
        Annotated[int, Meta(ge=1, le=DAYS_MAX)] | None,
        Meta(description="So many days back from now. Left out: the question's own."),
    ] = None
    project: Annotated[
        str | None,
        Meta(description="Absolute folder, where the question takes one. Left out: this session's. '*': all projects."),
    ] = None
    parameters: Annotated[dict[str, Any], Meta(description="Its other parameters, by name.")] = {}
    fresh: Annotated[
        bool, Meta(description="Ask anew when the data has changed. Left out: a recorded answer will do.")
    ] = False
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class GivenAnswer(Given, frozen=True):
    """rows: by column, in the question's order · cite: the query that gave them, which explain takes
    data_as_of: the newest activity then · is_current: the data has brought no news since; else ask with fresh
    watermark: to be told with the figures, where only a part of the rows was read"""

    question: str
    columns: list[str]
    rows: list[list[Any]]
    cite: str
    data_as_of: str | None
    is_current: bool
    note: str
    watermark: str | None = None
    cursor: str | None = None


def _ask(desk: Desk, asked: Ask, call: Running) -> GivenAnswer:
    project = desk.caller.project_path if asked.project is None else asked.project
    start = (page.place(asked.cursor, "ask", int) or [0])[0]
    answer = desk.ask("/v1/ask", {
        "question": asked.question, "days": asked.days, "project": None if project == EVERY_PROJECT else project,
        "parameters": asked.parameters, "fresh": asked.fresh, "role": ROLE,
    })  # fmt: skip
    left = [quoted_all(row, FOUND_CHARACTERS_MAX) for row in answer["rows"][start:]]
    count = page.fitting(left, asked.max_tokens)
    return GivenAnswer(
        question=asked.question, columns=answer["columns"], rows=left[:count], cite=f"cdesk:{answer['query_id']}",
        data_as_of=answer["data_as_of"], is_current=answer["is_current"], note=NOTE, watermark=answer["watermark"],
        cursor=page.cursor("ask", start + count) if count < len(left) else None,
    )  # fmt: skip


# -- get_artifact ------------------------------------------------------------------------------------------------


class GetArtifact(Arguments, frozen=True):
    artifact: Annotated[
        str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, description="Its id, or 'artifact:<id>'.")
    ]
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class ArtifactColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    type: str
    unit: str | None = None


class GivenArtifact(Given, frozen=True):
    """rows: in order, as many as the budget holds · offset: of the first, from 0 · row_count: of all of it
    cites: the query it answers"""

    artifact: str
    title: str
    columns: list[ArtifactColumn]
    rows: list[list[Any]]
    offset: int
    row_count: int
    cites: str | None
    note: str
    cursor: str | None = None


def _get_artifact(desk: Desk, asked: GetArtifact, call: Running) -> GivenArtifact:
    """A page of the service holds more rows than the budget: the cursor says which page, and how many were given of it."""
    at = f"/v1/artifacts/{quote(_cited(asked.artifact, 'artifact'), safe='')}"
    of_page, skip = page.place(asked.cursor, "get_artifact", str, int) or ("", 0)
    whole = desk.ask(at, {})
    found = desk.ask(f"{at}/rows?{urlencode({'limit': ARTIFACT_ROWS} | ({'cursor': of_page} if of_page else {}))}", {})
    left = [quoted_all(row, FOUND_CHARACTERS_MAX) for row in found["rows"][skip:]]
    count = page.fitting(left, asked.max_tokens)
    if count < len(left):
        following: str | None = page.cursor("get_artifact", of_page, skip + count)
    else:
        following = page.cursor("get_artifact", found["cursor"], 0) if found["cursor"] else None
    return GivenArtifact(
        artifact=f"artifact:{whole['artifact_id']}", title=quoted(whole["title"], FOUND_CHARACTERS_MAX),
        columns=[
            ArtifactColumn(quoted(one["name"], NAME_CHARACTERS_MAX), one["type"], one["unit"]) for one in whole["columns"]
        ],
        rows=left[:count], offset=found["offset"] + skip, row_count=whole["row_count"],
        cites=f"cdesk:{whole['query_id']}" if whole["query_id"] else None, note=NOTE, cursor=following,
    )  # fmt: skip


# -- submit_query, get_ticket ------------------------------------------------------------------------------------


class SubmitQuery(Arguments, frozen=True):
    sql: Annotated[str, Meta(min_length=1, description="One read-only SELECT.")]
    title: Annotated[str, Meta(max_length=NAME_CHARACTERS_MAX, description="What it is, for people.")] = ""
    over_cap: Annotated[
        Literal["refuse", "sample"],
        Meta(
            description="What to do when it would read too much: sample answers from a part, with a ± to each figure."
        ),
    ] = "refuse"


class GetTicket(Arguments, frozen=True):
    ticket: Annotated[
        str, Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, description="As submit_query gave it: tk_….")
    ]
    max_tokens: Tokens = page.TOKENS


class GivenTicket(Given, frozen=True):
    """state: queued or running, until it is done, failed, cancelled or lost · progress: from 0 to 1, where it is known
    bytes_expected: to be read, as far as it is known
    watermark: to be told with the figures, where only a part of the rows was read
    answer: its first rows, when it is done; get_artifact goes on with the answer's cursor"""

    ticket: str
    state: str
    progress: float | None
    error: str | None
    expires_at: str
    bytes_expected: int | None = None
    watermark: str | None = None
    answer: GivenArtifact | None = None


def _submit_query(desk: Desk, asked: SubmitQuery, call: Running) -> GivenTicket:
    return _given_ticket(desk.ask(TICKETS, {
        "sql": asked.sql, "title": asked.title, "role": ROLE, "over_cap": asked.over_cap,
    }))  # fmt: skip


def _get_ticket(desk: Desk, asked: GetTicket, call: Running) -> GivenTicket:
    ticket = desk.ask(f"{TICKETS}/{quote(asked.ticket, safe='')}", {})
    if ticket["artifact_id"] is None:
        return _given_ticket(ticket)
    first = GetArtifact(artifact=ticket["artifact_id"], max_tokens=asked.max_tokens)
    return _given_ticket(ticket, _get_artifact(desk, first, call))


def _given_ticket(ticket: Mapping[str, Any], answer: GivenArtifact | None = None) -> GivenTicket:
    error = ticket["error"]
    return GivenTicket(
        ticket=ticket["ticket"], state=ticket["state"], progress=ticket["progress"],
        error=None if error is None else quoted(error, FOUND_CHARACTERS_MAX), expires_at=str(ticket["expires_at"]),
        bytes_expected=ticket["estimate"] and ticket["estimate"]["bytes"],
        watermark=ticket["sample"] and ticket["sample"]["watermark"], answer=answer,
    )  # fmt: skip


# -- dataset -----------------------------------------------------------------------------------------------------


class AskDataset(Arguments, frozen=True):
    dataset: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=DATASET_CHARACTERS_MAX,
            description="primary all|first|last|nth(2)|every month ACTIVITY [where NAME = 'x' and …] show NAME [as NAME], … "
            "append first|last|nth(2)|aggregate ever|before|after|in between|between before ACTIVITY [where …] "
            "[join NAME = primary.NAME] show NAME, … (of an aggregate: count(NAME), sum(NAME), avg, min, max, listagg). "
            "A NAME is a column (activity_id, ts, customer, …) or a feature, with :integer, :number, :boolean or :timestamp "
            "where it is no text.",
        ),
    ]
    bounds: Annotated[
        Literal["default", "narrator", "bcodell", "tnightengale"], Meta(description="Whose rules on equal times.")
    ] = "default"
    max_tokens: Tokens = page.TOKENS
    cursor: Cursor = None


class GivenRows(Given, frozen=True):
    """rows: by column, in the order of time · cite: the query that gave them"""

    columns: list[str]
    rows: list[list[Any]]
    cite: str
    note: str
    cursor: str | None = None


def _dataset(desk: Desk, asked: AskDataset, call: Running) -> GivenRows:
    start = (page.place(asked.cursor, "dataset", int) or [0])[0]
    answer = desk.ask("/v1/datasets", {"definition": asked.dataset, "bounds": asked.bounds})
    left = [quoted_all(row, FOUND_CHARACTERS_MAX) for row in answer["rows"][start:]]
    count = page.fitting(left, asked.max_tokens)
    return GivenRows(
        columns=answer["columns"], rows=left[:count], cite=f"cdesk:{answer['query_id']}", note=NOTE,
        cursor=page.cursor("dataset", start + count) if count < len(left) else None,
    )  # fmt: skip


# -- all of them -------------------------------------------------------------------------------------------------


class Running(msgspec.Struct, kw_only=True):
    """A call under way. text: what people read, where that is not the answer's own JSON"""

    tool_use_id: str | None
    text: str | None = None
    cache_hit: bool | None = None
    age_ms: float | None = None
    stale: bool | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """waits_for: what the slowest part of it is"""

    name: str
    title: str
    description: str
    takes: type[Arguments]
    gives: type[Given]
    run: Callable[[Desk, Any, Running], Given]
    waits_for: Literal["nothing", "disk", "service"]
    is_read_only: bool = True

    def schema(self) -> dict[str, Any]:
        """As `tools/list` tells it."""
        return {
            "name": self.name, "title": self.title, "description": self.description,
            "inputSchema": _schema(self.takes), "outputSchema": _schema(self.gives),
            "annotations": {
                "title": self.title, "readOnlyHint": self.is_read_only, "destructiveHint": False,
                "idempotentHint": self.is_read_only, "openWorldHint": False,
            },
        }  # fmt: skip


_TOOLS = (
    Tool(
        name="get_context", title="What matters here now",
        description="Statements of fact about this project or person, each with its sources: recent failures and what "
        "fixed them, open threads, files, spend, insights. Use it at the start of work, and whenever it would help to "
        "know what happened before. From a cache: milliseconds. It says how old it is.",
        takes=GetContext, gives=GivenContext, run=_get_context, waits_for="nothing",
    ),
    Tool(
        name="record_insight", title="Remember something learned",
        description="Keeps one durable insight for later sessions: a command that fixed a recurring failure, a "
        "convention, a decision and its reason, a figure. Use it when you learned something that is not in the code or "
        "its docs and will matter again. Cite the activities it rests on.",
        takes=RecordInsight, gives=Recorded, run=_record_insight, waits_for="disk", is_read_only=False,
    ),
    Tool(
        name="log_event", title="Record that something happened",
        description="Appends one activity to the person's stream, such as app_deployed or review_requested. Use it for "
        "happenings worth counting that cdesk cannot see by itself; tool calls, prompts and files it sees.",
        takes=LogEvent, gives=Recorded, run=_log_event, waits_for="disk", is_read_only=False,
    ),
    Tool(
        name="usage", title="Tokens and dollars",
        description="Tokens and dollars by day, week, month, session, project, model, tool or user, each response "
        "counted once. Use it for any question about cost or consumption.",
        takes=GetUsage, gives=GivenUsage, run=_usage, waits_for="service",
    ),
    Tool(
        name="search_activity", title="Search what was done",
        description="Recorded activities by words, kind, project, session and time, the newest first, each with its "
        "citation. Use it to find what was done before: a command, an error, an edit of a file, a prompt.",
        takes=SearchActivity, gives=GivenActivities, run=_search_activity, waits_for="service",
    ),
    Tool(
        name="explain", title="Where a citation comes from",
        description="What stands behind a citation: the recorded activity, the insight with its derivation and validity, "
        "or the query with its text. Use it before you rely on a statement, or when asked how you know.",
        takes=Explain, gives=Explained, run=_explain, waits_for="service",
    ),
    Tool(
        name="list_questions", title="Ready-made questions",
        description="The questions that ask can answer, with what each takes and the columns it gives.",
        takes=ListQuestions, gives=GivenQuestions, run=_list_questions, waits_for="service",
    ),
    Tool(
        name="ask", title="Answer a ready-made question",
        description="Rows that answer one of the questions of list_questions: cost by anything, tools and their "
        "failures, sessions and their timelines, caches, subagents, MCP servers, edits, insights. The answer cites its "
        "query, and says as of when it is.",
        takes=Ask, gives=GivenAnswer, run=_ask, waits_for="service",
    ),
    Tool(
        name="get_artifact", title="Page through a kept result",
        description="Rows of a whole result that was kept as an artifact, in order and within the budget, with its columns "
        "and the query it answers. Use it for the rest of a long answer, or for a result somebody names as artifact:<id>.",
        takes=GetArtifact, gives=GivenArtifact, run=_get_artifact, waits_for="service",
    ),
    Tool(
        name="submit_query", title="Hand in a long question",
        description="Runs one read-only SELECT in the background and gives its ticket at once. Use it for what takes longer "
        "than you want to wait, and get_ticket for how it stands. The answer is kept for 24 hours.",
        takes=SubmitQuery, gives=GivenTicket, run=_submit_query, waits_for="service", is_read_only=False,
    ),
    Tool(
        name="get_ticket", title="How a long question stands",
        description="State and progress of what submit_query handed in, and its first rows when it is done.",
        takes=GetTicket, gives=GivenTicket, run=_get_ticket, waits_for="service",
    ),
    Tool(
        name="dataset", title="What happened before, after and in between",
        description="The rows of one activity, each with what else the same customer did ever, before, after or until the "
        "next time. Use it for sequences and conversions no ready-made question covers: what followed each failed tool "
        "call, the first edit after a prompt, dollars between two sessions. One append never adds or drops a row.",
        takes=AskDataset, gives=GivenRows, run=_dataset, waits_for="service",
    ),
)  # fmt: skip
TOOLS: dict[str, Tool] = {tool.name: tool for tool in _TOOLS}


@cache
def described() -> list[dict[str, Any]]:
    return [tool.schema() for tool in _TOOLS]


def call(tool: Tool, arguments: dict[str, Any], meta: dict[str, Any], desk: Desk) -> tuple[dict[str, Any], Call]:
    """The result of one call, and what is to be recorded of it. Never raises."""
    began_ns, began = SYSTEM_CLOCK.now_ns(), SYSTEM_CLOCK.monotonic()
    running = Running(tool_use_id=tool_use_id(meta))
    error: str | None = None
    try:
        given = tool.run(desk, _read(tool, arguments), running)
        content = msgspec.json.encode(given)
        result: dict[str, Any] = {
            "content": [{"type": "text", "text": running.text or content.decode()}],
            "structuredContent": msgspec.Raw(content), "isError": False,
        }  # fmt: skip
        size = len(content)
    except Exception as failure:
        error = _told(tool, failure)
        result = {"content": [{"type": "text", "text": error}], "isError": True}
        size = len(error)
    latency = round((SYSTEM_CLOCK.monotonic() - began) * 1000, 3)
    return result, Call(
        method=tool.name, tool_use_id=running.tool_use_id, began_ns=began_ns, latency_ms=latency, size=size, error=error,
        cache_hit=running.cache_hit, age_ms=running.age_ms, stale=running.stale,
    )  # fmt: skip


def _told(tool: Tool, failure: Exception) -> str:
    """One line for the model; what is our own mistake also goes to the log."""
    if isinstance(failure, CdeskError):
        return str(failure)
    if isinstance(failure, OSError):
        return f"{failure.strerror or failure}. Look at `cdesk doctor`."
    import traceback

    traceback.print_exception(failure, file=sys.stderr)
    return f"cdesk made a mistake in {tool.name}; its log says more."


def _read(tool: Tool, arguments: dict[str, Any]) -> Any:
    try:
        return msgspec.convert(arguments, tool.takes)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(tool.takes)) or "none"
        raise UsageError(f"wrong arguments: {error}.", f"{tool.name} takes: {known}.") from None


def _schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    """The record's JSON Schema, an object at its root, as MCP wants it."""
    (_root,), parts = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    own = parts.pop(record.__name__)
    own.pop("title", None)
    if not own.get("properties"):
        return {"type": "object", "additionalProperties": False}
    return {**own, **({"$defs": parts} if parts else {})}


def _time(given: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{name} is no time: {given[:40]!r}.", "Write it as 2026-11-23T09:00:00Z.") from None


def _day(given: str | None, name: str) -> str | None:
    return None if given is None else _time(given, name).date().isoformat()


def _cited(given: str, kind: str) -> str:
    found = given.removeprefix(f"{kind}:").strip()
    if not found or ":" in found or len(found) > NAME_CHARACTERS_MAX or not found.isprintable():
        raise UsageError(f"{given[:60]!r} is no citation of that kind.", f"Write it as {kind}:<id>.")
    return found


def _activity_cited(given: str) -> str:
    try:
        return str(UUID(_cited(given, "activity")))
    except ValueError:
        raise UsageError(f"{given[:60]!r} names no activity.", "Write it as activity:<id>.") from None
