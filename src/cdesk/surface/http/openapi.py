"""`GET /openapi.json`: the whole service as OpenAPI 3.1, made from the records it reads and writes.

    OPERATIONS ──▶ one entry for every mounted route and method (HEAD goes with GET); tests compare both ways
    schemas    ──▶ msgspec's, of the Structs themselves; where an answer is built by hand, a Struct here says its shape

OpenAPI 3.1 has no word for lines of NDJSON and for server-sent events: their bodies are text here, and what each line
or event holds is named in the description and found under `components`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, TypeAlias, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdesk import __version__
from cdesk.activity.resolution import IdentityOperation
from cdesk.app import Imported, Replayed
from cdesk.artifact.artifacts import LISTED, LISTED_MAX, PAGE_ROWS, PAGE_ROWS_MAX
from cdesk.artifact.model import FORMS, Artifact
from cdesk.artifact.model import Page as ArtifactPage
from cdesk.capture.insight import CorrectRequest, RecordRequest, Remembered
from cdesk.capture.install import ROUTE as HOOK
from cdesk.capture.intake import Receipt
from cdesk.context.model import KINDS
from cdesk.cost.book import DAYS_MAX
from cdesk.query.ask import Answered, AskRequest, Sampled
from cdesk.query.cost import BYS as COST_BYS
from cdesk.query.cost import DAYS as COST_DAYS
from cdesk.query.cost import CostReport
from cdesk.query.estimate import Estimate
from cdesk.query.explain import Explanation
from cdesk.query.insights import FOUND, FOUND_MAX, Explained, Found
from cdesk.query.make import MakeRequest
from cdesk.query.page import DAYS, GRAINS, SERIES, Projects, Sessions, Timeline
from cdesk.query.questions import QuestionShown
from cdesk.query.render import MEDIA_TYPES
from cdesk.query.search import Hits, Search
from cdesk.query.template import ROLES
from cdesk.query.ticket import Submission, Ticket
from cdesk.query.usage import Breakdown
from cdesk.refresh.report import RunReport
from cdesk.surface.context import ContextAnswer
from cdesk.surface.dataset import DatasetAnswer, DatasetRequest
from cdesk.surface.http.answers import AskAnswer, Asked, ExplainRequest
from cdesk.surface.http.artifacts import AT_PAGE as ARTIFACTS_AT_PAGE
from cdesk.surface.http.artifacts import PATH as ARTIFACTS
from cdesk.surface.http.artifacts import Artifacts, HoldRequest, Link, LinkRequest, Shown
from cdesk.surface.http.artifacts import at_page as artifacts_at_page
from cdesk.surface.http.asked import EstimateRequest, ImportRequest, SqlRequest, UsageRequest
from cdesk.surface.http.context import PATH as CONTEXT
from cdesk.surface.http.cost import AT_PAGE as COST_AT_PAGE
from cdesk.surface.http.cost import PATH as COST
from cdesk.surface.http.dead_letters import PATH as DEAD_LETTERS
from cdesk.surface.http.dead_letters import Dropped, DropRequest, Letters, ReplayRequest
from cdesk.surface.http.drift import Incidents
from cdesk.surface.http.health import ACTS, Health, at_page
from cdesk.surface.http.health import PATH as HEALTH
from cdesk.surface.http.insights import PATH as INSIGHTS
from cdesk.surface.http.mcp import PATH as MCP
from cdesk.surface.http.metrics import PATH as METRICS
from cdesk.surface.http.page import Flow, Whole
from cdesk.surface.http.questions import DECISIONS, DecisionRequest, QuestionList
from cdesk.surface.http.questions import PATH as QUESTIONS
from cdesk.surface.http.questions import at_page as questions_at_page
from cdesk.surface.http.tasks import COUNT, Runs, Tasks
from cdesk.surface.http.tickets import PATH as QUERIES
from cdesk.surface.http.tickets import Queries
from cdesk.surface.http.tickets import at_page as queries_at_page
from cdesk.surface.http.told import ACTS as TOLD_ACTS
from cdesk.surface.http.told import PATH as TOLD_PAGE
from cdesk.surface.http.told import Behind, ToldPage
from cdesk.surface.http.told import at_page as at_told
from cdesk.surface.status import Status
from cdesk.upkeep.identity import IdentityOutcome, IdentityRequest
from cdesk.upload.drift import Settled, Told

PATH = "/openapi.json"
JSON, NDJSON, EVENTS, HTML, TEXT = (
    "application/json",
    "application/x-ndjson",
    "text/event-stream",
    "text/html",
    "text/plain",
)
PROTOBUF = "application/x-protobuf"

Schema: TypeAlias = dict[str, Any]
Door = Literal["open", "token", "ingest", "visit", "act", "link"]


# -- the shape of what is built by hand ----------------------------------------------------------------------------


class Error(msgspec.Struct, frozen=True):
    """What happened, and what can be done about it."""

    error: str


class RpcStatus(msgspec.Struct, frozen=True):
    """google.rpc.Status, as OTLP asks for."""

    code: int
    message: str


class Rpc(msgspec.Struct, frozen=True):
    """JSON-RPC 2.0, of the Model Context Protocol: result or error, and the id of the request where it had one."""

    jsonrpc: Literal["2.0"]
    id: str | int | None
    result: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class SqlAnswer(msgspec.Struct, frozen=True):
    """Times as ISO 8601 in UTC, bytes as hex, integers beyond 2^53 and what is not finite as text."""

    columns: list[str]
    rows: list[list[Any]]
    query_id: str
    estimate: Estimate | None = None
    sample: Sampled | None = None


class UsageTotals(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Sums over responses, dollars in totalCost; unpricedResponses is left out when it is 0."""

    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    total_tokens: int
    total_cost: float
    unpriced_responses: int | msgspec.UnsetType = msgspec.UNSET


class UsageRow(UsageTotals, frozen=True, rename="camel", kw_only=True):
    """Bears the one name it is by: date, week, month, sessionId, project, model or user."""

    models_used: list[str]
    model_breakdowns: list[Breakdown]
    date: str | msgspec.UnsetType = msgspec.UNSET
    week: str | msgspec.UnsetType = msgspec.UNSET
    month: str | msgspec.UnsetType = msgspec.UNSET
    session_id: str | msgspec.UnsetType = msgspec.UNSET
    project: str | msgspec.UnsetType = msgspec.UNSET
    model: str | msgspec.UnsetType = msgspec.UNSET
    user: str | msgspec.UnsetType = msgspec.UNSET
    project_path: str | msgspec.UnsetType | None = msgspec.UNSET
    first_activity: str | msgspec.UnsetType = msgspec.UNSET
    last_activity: str | msgspec.UnsetType = msgspec.UNSET


class ToolRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    tool: str
    calls: int
    succeeded: int
    failed: int
    average_latency_ms: float | None
    total_tokens: int
    total_cost: float


class UsageReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Rows under the name they are asked by, and their totals."""

    totals: UsageTotals
    excluded_responses: int | msgspec.UnsetType = msgspec.UNSET
    daily: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    weekly: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    monthly: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    session: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    project: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    model: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    user: list[UsageRow] | msgspec.UnsetType = msgspec.UNSET
    tool: list[ToolRow] | msgspec.UnsetType = msgspec.UNSET


class ImportProgress(msgspec.Struct, frozen=True):
    bytes: int
    bytes_total: int
    files: int


class ImportLine(msgspec.Struct, frozen=True):
    """One of the three; result or error comes once, as the last line."""

    progress: ImportProgress | msgspec.UnsetType = msgspec.UNSET
    result: Imported | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class IdentityProgress(msgspec.Struct, frozen=True):
    rows: int
    rows_total: int


class IdentityLine(msgspec.Struct, frozen=True):
    """One of the three; result or error comes once, as the last line."""

    progress: IdentityProgress | msgspec.UnsetType = msgspec.UNSET
    result: IdentityOutcome | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class LoginLink(msgspec.Struct, frozen=True):
    """path: of a login link, good once and for so many seconds"""

    path: str
    seconds: int


class GivenActivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """activity_id: any text, kept as the fact's identity · ts: ISO 8601, UTC where it names no offset"""

    activity: str
    ts: str
    customer: str
    feature_json: dict[str, Any] | str
    activity_id: str | None = None
    anonymous_customer_id: str | None = None
    revenue_impact: float | None = None
    link: str | None = None
    _org_id: str | None = None
    _session_id: str | None = None
    _query_tag: str | None = None


_STRUCTS: tuple[type, ...] = (
    Error, RpcStatus, Status, CostReport, DatasetRequest, DatasetAnswer, SqlRequest, SqlAnswer, EstimateRequest, Estimate, UsageRequest, UsageReport, ImportRequest, ImportLine,
    Incidents, Told, Settled,
    Letters, ReplayRequest, Replayed, DropRequest, Dropped,
    GivenActivity, Receipt, Tasks, Runs, RunReport, LoginLink, Whole, Flow, Health, ToldPage, Behind, Sessions, Timeline, Projects,
    IdentityOperation, IdentityRequest, IdentityLine, ContextAnswer, Found, Explained, RecordRequest, CorrectRequest,
    Artifacts, Artifact, Shown, ArtifactPage, MakeRequest, LinkRequest, Link, HoldRequest,
    Remembered, Search, Hits, ExplainRequest, Explanation, QuestionList, QuestionShown, AskRequest, Answered,
    DecisionRequest, Asked, AskAnswer, Submission, Ticket, Queries, Rpc,
)  # fmt: skip


# -- what can be asked ---------------------------------------------------------------------------------------------

ANYTHING: Schema = {}
WORDS: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "pattern": "^[^\\n]+$"}


def _of(struct: type) -> Schema:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


@dataclass(frozen=True, slots=True)
class Body:
    """content: media type → schema"""

    description: str
    content: dict[str, Schema]


@dataclass(frozen=True, slots=True)
class Operation:
    """path: as Starlette writes it · errors: those answered with `{"error": …}`, besides what the door answers"""

    method: str
    path: str
    summary: str
    answers: dict[int, Body]
    door: Door = "token"
    takes: Body | None = None
    is_body_required: bool = True
    parameters: tuple[Schema, ...] = ()
    errors: tuple[int, ...] = ()


def _told(struct: type, description: str) -> dict[int, Body]:
    return {200: Body(description, {JSON: _of(struct)})}


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "schema": WORDS, "description": description}


_DAYS = _query("days", {"type": "integer", "enum": list(DAYS), "default": DAYS[1]}, "How many days, up to now.")
_TZ = _query("tz", {"type": "string", "default": "UTC"}, "Whose days: an IANA time zone.")
_WHOLE_NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_READS = (500, 503)
_COST = (
    _query(
        "days",
        {"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": COST_DAYS},
        "How many days (UTC), today too.",
    ),
    _query(
        "by", {"type": "string", "enum": list(COST_BYS), "default": COST_BYS[0]}, "One row for each of these and day."
    ),
)
_FACTS_ARE_TAKEN = (500, 503, 507)
_FILE = {200: Body("A file of the page.", {HTML: WORDS}), 304: Body("The file is known by its ETag.", {})}
_SHELL = {**_FILE, 503: Body("A source checkout without the built page.", {HTML: WORDS})}
_ON = _query(
    "on", {"enum": ["duckdb", "snowflake"], "default": "duckdb"}, "This machine's own warehouse, or the team's."
)
_IF_NONE_MATCH = (_header("If-None-Match", "The ETag of a file that is known already."),)


def _otlp(signal: str, field: str) -> Operation:
    failures = {
        400: "The body is not an export. Never send it again.",
        413: "Over 32 MiB, on the wire or unpacked.",
        415: "Another Content-Type or Content-Encoding.",
        503: "The queue takes nothing now; `Retry-After` says when to try again.",
    }
    answered: Schema = {"type": "object", "properties": {"partialSuccess": {"type": "object"}}}
    return Operation(
        "POST", f"/v1/{signal}", f"OTLP/HTTP {signal}, plain, gzip or deflate.",
        {
            200: Body("All that was taken is durable; partial_success counts what was not.",
                      {JSON: answered, PROTOBUF: ANYTHING}),
            **{status: Body(why, {JSON: _of(RpcStatus), PROTOBUF: ANYTHING}) for status, why in failures.items()},
        },
        "ingest",
        Body(f"An export of {signal}, as opentelemetry-proto defines it.", {
            JSON: {"type": "object", "properties": {field: {"type": "array", "items": {"type": "object"}}}},
            PROTOBUF: ANYTHING,
        }),
        is_body_required=False,
    )  # fmt: skip


def _mcp() -> Operation:
    failures = {
        400: "Not a message, headers that say other than the body, or a revision that is not spoken here.",
        404: "No such method, in revision 2026-07-28.",
        406: "An Accept without JSON.",
        413: "Over 4 MiB.",
        415: "Another Content-Type.",
        503: "Too many listen.",
    }
    return Operation(
        "POST", MCP, "The Model Context Protocol, revisions 2026-07-28 and 2025-11-25, without sessions.",
        {
            200: Body("The answer; to subscriptions/listen, events.", {JSON: _of(Rpc), EVENTS: WORDS}),
            202: Body("A notification was taken.", {}),
            **{status: Body(why, {JSON: _of(Rpc)}) for status, why in failures.items()},
        },
        takes=Body("A request or notification.", {JSON: {
            "type": "object", "required": ["jsonrpc", "method"],
            "properties": {"jsonrpc": {"const": "2.0"}, "method": WORDS, "params": {"type": "object"}},
        }}),
    )  # fmt: skip


_OF_THE_SERVICE: tuple[Operation, ...] = (
    Operation("GET", "/healthz", "Is it there.", {200: Body("It is.", {TEXT: WORDS})}, "open"),
    Operation("GET", PATH, "This description.", {200: Body("OpenAPI 3.1.", {JSON: {"type": "object"}})}),
    Operation("GET", "/v1/status", "Is it running, is it flowing, what is in it.",
              _told(Status, "The status."), errors=_READS),
    Operation("POST", "/v1/sql", "One read-only SELECT, for at most 30 seconds.", _told(SqlAnswer, "Its rows."),
              takes=Body("The question.", {JSON: _of(SqlRequest)}), errors=(400, *_READS)),
    Operation("POST", "/v1/sql/estimate", "What a SELECT would read, without running it.", _told(Estimate, "Its size."),
              takes=Body("The question.", {JSON: _of(EstimateRequest)}), errors=(400, *_READS)),
    Operation("POST", "/v1/usage", "Tokens and dollars by day, week, month, session, project, model, tool or user.",
              _told(UsageReport, "The report."),
              takes=Body("What to report. `prices` is a price book of your own, see docs/pricing.md.",
                         {JSON: _of(UsageRequest)}), errors=(400, *_READS)),
    Operation("GET", COST, "What cdesk itself costs, day by day: this machine's accounts, and Snowflake's meters.",
              _told(CostReport, "The report."), parameters=_COST, errors=(400, *_READS)),
    Operation("POST", "/v1/search", "What was done, by words, kind, project, session and time; the newest first.",
              _told(Hits, "The activities."), takes=Body("What to look for.", {JSON: _of(Search)}),
              errors=(400, *_READS)),
    Operation("POST", "/v1/explain", "What stands behind a citation: an activity, an insight, or a query and a cell of its answer.",
              _told(Explanation, "What stands there."), takes=Body("The citation.", {JSON: _of(ExplainRequest)}),
              errors=(400, *_READS)),
    Operation("POST", "/v1/datasets", "An activity's rows, with what happened ever, before, after or in between.",
              _told(DatasetAnswer, "Its rows, and the SQL they come from."),
              takes=Body("The dataset.", {JSON: _of(DatasetRequest)}), errors=(400, *_READS)),
    Operation("GET", QUESTIONS, "Ready-made questions, with what they take and give.",
              _told(QuestionList, "Those the role may ask, by name."),
              parameters=(_query("role", {"type": "string", "enum": list(ROLES)}, "The owner's, where none is named."),),
              errors=(400, *_READS)),
    Operation("GET", f"{QUESTIONS}/{{name}}", "A question, its SQL, and what was decided about it.",
              _told(QuestionShown, "It."), errors=(400, *_READS)),
    Operation("POST", f"{QUESTIONS}/{{name}}", "The answer to a question, recorded or run.",
              _told(Answered, "Its rows and where they come from."),
              takes=Body("Its parameters.", {JSON: _of(AskRequest)}), is_body_required=False, errors=(400, *_READS)),
    *(Operation("POST", f"{QUESTIONS}/{{name}}/{word}", f"Decides that a question is {state}.",
                _told(QuestionShown, "It, as it stands now."),
                takes=Body("In which role, and why.", {JSON: _of(DecisionRequest)}), is_body_required=False,
                errors=(400, *_READS)) for word, state in DECISIONS.items()),
    Operation("POST", "/v1/ask", "The answer to a ready-made question, as the data is now.",
              _told(AskAnswer, "Its rows."),
              takes=Body("The question, by name.", {JSON: _of(Asked)}), errors=(400, *_READS)),
    _mcp(),
    Operation("GET", MCP, "Not offered: there is no standing stream.",
              {405: Body("POST is offered.", {JSON: _of(Rpc)})}),
    Operation("POST", "/v1/import", "Reads transcripts whole; what is known already changes nothing.",
              {200: Body("Lines of ImportLine: progress as it goes, then the result or an error.", {NDJSON: WORDS})},
              takes=Body("Claude's folders; without any, those of this machine.", {JSON: _of(ImportRequest)}),
              is_body_required=False, errors=(400,)),
    Operation("POST", "/v1/activities", "Takes activities from anybody; the same as `cdesk emit`.",
              {200: Body("Those accepted are durable now.", {JSON: _of(Receipt)}),
               422: Body("None was accepted, and the receipt says why.", {JSON: _of(Receipt)})},
              takes=Body("One activity, an array of them, or a line for each.", {
                  JSON: {"oneOf": [_of(GivenActivity), {"type": "array", "items": _of(GivenActivity)}]},
                  NDJSON: WORDS,
              }), is_body_required=False, errors=(400, *_FACTS_ARE_TAKEN)),
    Operation("GET", CONTEXT, "What Claude is told of a project, at once, however old it is.",
              {200: Body("It, with its sources; the ETag is its version.", {JSON: _of(ContextAnswer)}),
               304: Body("It says what is known by the ETag.", {})},
              parameters=(_query("project", WORDS, "Its folder; without one, all projects."),
                          _query("kind", {"type": "string", "enum": list(KINDS)}, "For whom."),
                          _query("customer", WORDS, "Whose; this machine's person, where none is named."),
                          *_IF_NONE_MATCH), errors=(400, *_READS)),
    Operation("GET", "/v1/identity", "Who did what: every operation, undone ones too.",
              {200: Body("In the order in which they were said.",
                         {JSON: {"type": "array", "items": _of(IdentityOperation)}})},
              parameters=(_ON,), errors=(400, *_READS)),
    Operation("GET", "/v1/identity/{number:path}", "One operation.",
              {200: Body("It.", {JSON: _of(IdentityOperation)})}, parameters=(_ON,), errors=(400, 404, *_READS)),
    Operation("POST", "/v1/identity", "Says who did what, or takes it back; the same as `cdesk identity`.",
              {200: Body("Lines of IdentityLine: progress as it goes, then the result or an error.", {NDJSON: WORDS})},
              takes=Body("A claim, or the number of an operation to undo.", {JSON: _of(IdentityRequest)}),
              errors=(400, *_READS)),
    Operation("GET", INSIGHTS, "What is remembered, what fits best first.", _told(Found, "The insights."),
              parameters=(
                  _query("text", WORDS, "Words of the statement, the subject or the metric."),
                  _query("subject", WORDS, "Of this subject."), _query("metric", WORDS, "Of this metric."),
                  _query("project_path", WORDS, "Of this project."), _query("customer", WORDS, "Of this customer."),
                  _query("since", {"type": "string", "format": "date-time"}, "Changed since then."),
                  _query("all", {"type": "boolean", "default": False}, "Also those that are not valid any more."),
                  _query("count", {**_WHOLE_NUMBER, "default": FOUND}, f"At most so many; {FOUND_MAX:,} are the limit."),
              ), errors=(400, *_READS)),
    Operation("GET", f"{INSIGHTS}/{{id}}", "One insight, by the beginning of its id, and where it is known from.",
              _told(Explained, "It, its evidence, and what was said about it since."), errors=(400, 404, *_READS)),
    Operation("POST", INSIGHTS, "Records an insight.", _told(Remembered, "It is durable, and an atom in a moment."),
              takes=Body("The insight.", {JSON: _of(RecordRequest)}), errors=(400, *_FACTS_ARE_TAKEN)),
    Operation("POST", f"{INSIGHTS}/{{id}}/corrections", "Silences, restores or corrects an insight.",
              _told(Remembered, "It is durable, and in effect in a moment."),
              takes=Body("What a person says.", {JSON: _of(CorrectRequest)}), errors=(400, 404, *_FACTS_ARE_TAKEN)),
    Operation("GET", ARTIFACTS, "Whole results that were kept, the latest first.", _told(Artifacts, "The artifacts."),
              parameters=(_query("count", {**_WHOLE_NUMBER, "default": LISTED}, f"At most so many; {LISTED_MAX:,} are the limit."),
                          _query("query_id", WORDS, "Those that answer this question.")), errors=(400, *_READS)),
    Operation("POST", ARTIFACTS, "Keeps the whole answer to one read-only SELECT.", _told(Artifact, "It is kept."),
              takes=Body("The question.", {JSON: _of(MakeRequest)}), errors=(400, *_READS)),
    Operation("GET", f"{ARTIFACTS}/{{id}}", "What an artifact holds, with a sample.", _told(Shown, "It."),
              errors=(404, *_READS)),
    Operation("DELETE", f"{ARTIFACTS}/{{id}}", "Deletes it, unless it is pinned or held.", _told(Artifact, "As it was."),
              errors=(400, 404, *_READS)),
    Operation("GET", f"{ARTIFACTS}/{{id}}/rows", "Some of its rows, in order.", _told(ArtifactPage, "A page."),
              parameters=(_query("cursor", WORDS, "The `cursor` of the page before."),
                          _query("limit", {**_WHOLE_NUMBER, "default": PAGE_ROWS}, f"At most so many; {PAGE_ROWS_MAX:,} are the limit.")),
              errors=(400, 404, 410, *_READS)),
    Operation("GET", f"{ARTIFACTS}/{{id}}/content", "All of it as a file; with the token, or by a link.",
              {200: Body("The file.", {kind.partition(";")[0]: ANYTHING for kind in MEDIA_TYPES.values()}),
               206: Body("The part that Range asks for.", {kind.partition(";")[0]: ANYTHING for kind in MEDIA_TYPES.values()}),
               304: Body("It is known by its ETag.", {}), 416: Body("It has no such part.", {})}, "link",
              parameters=(_query("format", {"type": "string", "enum": list(FORMS), "default": "json"}, "As what."),
                          *_IF_NONE_MATCH, _header("Range", "bytes=first-last: one part of it."),
                          _header("If-Range", "The ETag of what the part is for; otherwise all of it comes.")),
              errors=(400, 404, 410, *_READS)),
    Operation("POST", f"{ARTIFACTS}/{{id}}/link", "A link to its content that works without the token for ten minutes.",
              _told(Link, "The link."), takes=Body("In which format.", {JSON: _of(LinkRequest)}), is_body_required=False,
              errors=(400, 404, *_READS)),
    Operation("POST", f"{ARTIFACTS}/{{id}}/pin", "It neither expires nor can be deleted.", _told(Artifact, "It."),
              errors=(404, *_READS)),
    Operation("DELETE", f"{ARTIFACTS}/{{id}}/pin", "It expires again.", _told(Artifact, "It."), errors=(404, *_READS)),
    Operation("POST", f"{ARTIFACTS}/{{id}}/hold", "A legal hold: nobody deletes it until it is released.",
              _told(Artifact, "It."), takes=Body("Why.", {JSON: _of(HoldRequest)}), errors=(400, 404, *_READS)),
    Operation("POST", f"{ARTIFACTS}/of/{{query_id}}", "Keeps the recorded answer to a question; the same artifact again.",
              _told(Artifact, "It."), errors=(400, *_READS)),
    Operation("DELETE", f"{ARTIFACTS}/{{id}}/hold", "Releases its holds.", _told(Artifact, "It."),
              errors=(400, 404, *_READS)),
    Operation("POST", QUERIES, "Hands in a long question: one read-only SELECT, for at most ten minutes.",
              {202: Body("It is durable, and waits for its turn; `Location` says where it is.", {JSON: _of(Ticket)})},
              takes=Body("The question.", {JSON: _of(Submission)}), errors=(400, 429, *_READS)),
    Operation("GET", QUERIES, "Long questions, the latest first.", _told(Queries, "Their tickets."), errors=_READS),
    Operation("GET", f"{QUERIES}/{{ticket}}", "A long question as it stands, and how far it is.",
              _told(Ticket, "The ticket."), errors=(404, *_READS)),
    Operation("DELETE", f"{QUERIES}/{{ticket}}", "Cancels it; what has ended stays as it ended.",
              _told(Ticket, "The ticket as it stands."), errors=(404, *_READS)),
    Operation("GET", f"{QUERIES}/{{ticket}}/rows", "Some of its answer's rows, in order.", _told(ArtifactPage, "A page."),
              parameters=(_query("cursor", WORDS, "The `cursor` of the page before."),
                          _query("limit", {**_WHOLE_NUMBER, "default": PAGE_ROWS}, f"At most so many; {PAGE_ROWS_MAX:,} are the limit.")),
              errors=(400, 404, 409, 410, *_READS)),
    Operation("POST", HOOK, "What a hook of Claude Code tells; durable before it answers. Mostly it says nothing back.",
              {200: Body("Taken; nothing, or for the start of a session or a prompt the JSON that gives Claude its context.", {})}, "ingest",
              Body("The hook's payload.", {JSON: {"type": "object", "required": ["hook_event_name"], "properties": {
                  "hook_event_name": WORDS, "session_id": WORDS, "cwd": WORDS}}}),
              parameters=(_header("X-Cdesk-Received-Ns", "When somebody took it before us: Unix time in ns."),
                          _header("X-Cdesk-Answer", "The token of the command hook: it may hear what Claude is told.")),
              errors=(400, 413, *_FACTS_ARE_TAKEN)),
    Operation("GET", "/v1/drift", "What left the catalog's shape, those that want a decision first.",
              _told(Incidents, "The incidents."), errors=_READS),
    Operation("GET", "/v1/drift/{id}", "One incident, by the beginning of its id.",
              _told(Told, "It, and the first rows that wait for it."), errors=(400, *_READS)),
    Operation("POST", "/v1/drift/{id}/accept", "This home's catalog takes it from now on; rows that waited go in.",
              _told(Settled, "The incident now, and how many rows went in."), errors=(400, *_FACTS_ARE_TAKEN)),
    Operation("POST", "/v1/drift/{id}/release", "Rows that waited go in as they are; the catalog stays.",
              _told(Settled, "The incident now, and how many rows went in."), errors=(400, *_FACTS_ARE_TAKEN)),
    _otlp("logs", "resourceLogs"),
    _otlp("metrics", "resourceMetrics"),
    _otlp("traces", "resourceSpans"),
    Operation("GET", METRICS, "What the service counts, in Prometheus' text format.",
              {200: Body("Metrics.", {TEXT: WORDS})}, errors=_READS),
    Operation("GET", DEAD_LETTERS, "The lines set aside, with reason, place and how often they were seen.",
              _told(Letters, "The letters."), errors=(500,)),
    Operation("POST", f"{DEAD_LETTERS}/replay", "Gives them another chance; those durable in the queue are dropped.",
              _told(Replayed, "How many, and why the others stay."),
              takes=Body("Which ones; without any, all.", {JSON: _of(ReplayRequest)}),
              is_body_required=False, errors=(400, *_FACTS_ARE_TAKEN)),
    Operation("POST", f"{DEAD_LETTERS}/drop", "Forgets them.", _told(Dropped, "How many there were."),
              takes=Body("Which ones, or all.", {JSON: _of(DropRequest)}), errors=(400, *_FACTS_ARE_TAKEN)),
    Operation("GET", "/v1/tasks", "The tasks that keep derived tables up to date.", _told(Tasks, "In their order."),
              errors=_READS),
    Operation("GET", "/v1/tasks/history", "Their runs.", _told(Runs, "The latest first."),
              parameters=(_query("task", WORDS, "Only those of this one."),
                          _query("count", {**_WHOLE_NUMBER, "default": COUNT}, "At most so many; 1,000 are the limit.")),
              errors=(400, *_READS)),
    Operation("POST", "/v1/tasks/{name}/run", "Runs it now, also when it is suspended or nothing has changed.",
              _told(RunReport, "How it went; `error` says why it failed."), errors=(400, *_READS)),
    Operation("POST", "/v1/tasks/{name}/suspend", "It does not run until it is resumed.",
              _told(Tasks, "All tasks."), errors=(400, *_READS)),
    Operation("POST", "/v1/tasks/{name}/resume", "It runs again when there is something to do.",
              _told(Tasks, "All tasks."), errors=(400, *_READS)),
    Operation("POST", "/v1/page/key", "A login link for a browser.", _told(LoginLink, "The link.")),
    Operation("GET", "/v1/page/overview", "The first page.", _told(Whole, "Its figures, and what flows."), "visit",
              parameters=(_DAYS, _TZ, _query("by", {"type": "string", "enum": list(SERIES)}, "Series of the chart."),
                          _query("grain", {"type": "string", "enum": list(GRAINS)}, "Hours for up to 7 days.")),
              errors=(400, *_READS)),
    Operation("GET", "/v1/page/sessions", "Sessions, the latest first.", _told(Sessions, "A page of them."), "visit",
              parameters=(_query("limit", {**_WHOLE_NUMBER, "default": 50}, "At most so many; 200 are the limit."),
                          _query("project", WORDS, "Only those of this project."),
                          _query("after", WORDS, "The `next` of the page before.")), errors=(400, *_READS)),
    Operation("GET", "/v1/page/sessions/{id:path}", "One session as a timeline.", _told(Timeline, "A part of it."),
              "visit", parameters=(_query("offset", {**_WHOLE_NUMBER, "default": 0}, "The `next` of the part before."),),
              errors=(400, 404, *_READS)),
    Operation("GET", COST_AT_PAGE, "What cdesk itself costs; the same as `/v1/cost`.", _told(CostReport, "The report."),
              "visit", parameters=_COST, errors=(400, *_READS)),
    Operation("GET", "/v1/page/projects", "Projects, the dearest first.", _told(Projects, "All of them."), "visit",
              parameters=(_DAYS, _TZ), errors=(400, *_READS)),
    Operation("GET", "/v1/page/events", "What happens now, until the service stops.",
              {200: Body("Events named `flow`, each with a Flow; `failed`, with a text, is the last.", {EVENTS: WORDS})},
              "visit", errors=(503,)),
    Operation("GET", HEALTH, "How everything that keeps itself up to date feels, and what needs a person.",
              _told(Health, "All of it."), "visit", errors=_READS),
    Operation("GET", TOLD_PAGE, "What Claude is told line by line, when it was told, and what is kept from it.",
              _told(ToldPage, "Of this machine's person."), "visit",
              parameters=(_query("project", WORDS, "Its folder; without one, all projects."),
                          _query("kind", {"type": "string", "enum": list(KINDS)}, "For whom.")), errors=(400, *_READS)),
    Operation("GET", f"{TOLD_PAGE}/source", "What stands behind a line, or a cell of an answer.", _told(Behind, "It."), "visit",
              parameters=(_query("citation", WORDS, "activity:<id>, atom:<id> or cdesk:<query_id>."),
                          _query("row", {**_WHOLE_NUMBER, "minimum": 1}, "Of the answer that is cited."),
                          _query("column", WORDS, "By name; the first that counts, where none is named.")),
              errors=(400, *_READS)),
    *(Operation("GET", path, "The page.", _SHELL, "open", parameters=_IF_NONE_MATCH)
      for path in ("/", "/sessions", "/projects", "/questions", "/artifacts", "/tickets", "/explain", "/context",
                   "/cost", "/health")),
    *(Operation("GET", path, "The page.", _SHELL, "open", parameters=_IF_NONE_MATCH, errors=(404,))
      for path in ("/sessions/{id:path}", "/questions/{name:path}", "/artifacts/{id:path}", "/tickets/{id:path}")),
    Operation("GET", "/login", "The way in for a browser: a cookie for a key.",
              {303: Body("To the page; `/?login=failed` when the key is not good.", {})}, "open",
              parameters=(_query("key", WORDS, "Of a login link, good once."),)),
    Operation("GET", "/{name:path}", "A file of the built page; anything else needs the token to learn it is not there.",
              {200: Body("The file.", {"*/*": ANYTHING}), 304: _FILE[304]},
              parameters=_IF_NONE_MATCH, errors=(404,)),
)  # fmt: skip
OPERATIONS: tuple[Operation, ...] = (
    *_OF_THE_SERVICE,
    *(replace(operation, path=at_page(operation.path), door="act") for operation in _OF_THE_SERVICE
      if operation.path in ACTS),
    *(replace(operation, path=at_told(operation.path), door="act") for operation in _OF_THE_SERVICE
      if operation.path in TOLD_ACTS),
    *(replace(operation, path=questions_at_page(operation.path), door="visit" if operation.method == "GET" else "act")
      for operation in _OF_THE_SERVICE if operation.path in (QUESTIONS, f"{QUESTIONS}/{{name}}")),
    *(replace(operation, path=artifacts_at_page(operation.path), door="visit" if operation.method == "GET" else "act")
      for operation in _OF_THE_SERVICE if (operation.method, operation.path) in ARTIFACTS_AT_PAGE),
    *(replace(operation, path=queries_at_page(operation.path), door="visit" if operation.method == "GET" else "act")
      for operation in _OF_THE_SERVICE if operation.path.startswith(QUERIES) and operation.method != "POST"),
)  # fmt: skip
"""The page's acts are the service's own, at another door."""


# -- the document --------------------------------------------------------------------------------------------------

_WHY = {
    400: "The request is wrong; the message says how.",
    401: "The token is missing or wrong.",
    403: "A web page of another origin asks.",
    404: "There is nothing by this name.",
    409: "It is not answered; the message says how it stands.",
    410: "Its content is not there any more.",
    413: "The body is too large.",
    421: "The Host is not this machine's loopback name.",
    429: "As many are under way as may be. Try again later.",
    500: "The warehouse failed.",
    503: "Not now: the warehouse or the queue is held by somebody, or cannot be written. Try again later.",
    507: "The disk budget of the queue is spent. Try again later.",
}
_SECURITY: dict[Door, list[dict[str, list[str]]]] = {
    "open": [],
    "token": [{"token": []}],
    "ingest": [{"token": []}, {"ingest": []}],
    "link": [{"token": []}, {"link": []}],
    "visit": [{"token": []}, {"visit": []}],
    "act": [{"token": []}, {"visit": []}],
}
assert set(_SECURITY) == set(get_args(Door))


def routes(port: int) -> list[Route]:
    async def described(request: Request) -> Response:
        return Response(document(port), media_type=JSON)

    return [Route(PATH, described)]


@cache
def document(port: int) -> bytes:
    """Made once, when somebody asks."""
    paths: dict[str, dict[str, Schema]] = {}
    for operation in OPERATIONS:
        paths.setdefault(template(operation.path), {})[operation.method.lower()] = _operation(operation)
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    return msgspec.json.encode({
        "openapi": "3.1.0",
        "info": {"title": "cdesk", "version": __version__, "description": "Answers on this machine's loopback only."},
        "servers": [{"url": f"http://127.0.0.1:{port}"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _schemes(port)},
    })  # fmt: skip


def template(path: str) -> str:
    """Starlette's `{id:path}` as OpenAPI's `{id}`, which has no word for a name with slashes."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _operation(operation: Operation) -> Schema:
    door = (403, 421) if operation.door == "open" else (401, 403, 421)
    answers = {
        **{status: _answer(body) for status, body in operation.answers.items()},
        **{status: _answer(Body(_WHY[status], {JSON: _of(Error)})) for status in (*door, *operation.errors)},
    }
    found: Schema = {
        "operationId": _id(operation),
        "summary": operation.summary,
        "security": _SECURITY[operation.door],
        "responses": {str(status): answers[status] for status in sorted(answers)},
    }
    if parameters := [*_in_path(operation.path), *operation.parameters]:
        found["parameters"] = parameters
    if operation.takes:
        found["requestBody"] = {**_answer(operation.takes), "required": operation.is_body_required}
    return found


def _answer(body: Body) -> Schema:
    if not body.content:
        return {"description": body.description}
    return {"description": body.description, "content": {kind: {"schema": s} for kind, s in body.content.items()}}


def _in_path(path: str) -> list[Schema]:
    return [{"name": name, "in": "path", "required": True, "schema": _NAME} for name in re.findall(r"\{(\w+)", path)]


def _id(operation: Operation) -> str:
    words = re.findall(r"\w+", template(operation.path)) or ["page"]
    return "_".join([operation.method.lower(), *words])


def _schemes(port: int) -> dict[str, Schema]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "The text in $CDESK_HOME/token."},
        "ingest": {
            "type": "http", "scheme": "bearer",
            "description": "The text in $CDESK_HOME/ingest-token: opens only the doors facts come in by.",
        },
        "link": {
            "type": "apiKey", "in": "query", "name": "signature",
            "description": "Of a link to one artifact's content, with the format and the second at which it ends.",
        },
        "visit": {
            "type": "apiKey", "in": "cookie", "name": f"cdesk_{port}",
            "description": "What a login link gives a browser: opens only the page's reading routes, the questions of its questions page, links to, pins and keeping of artifacts, and the acts of its health and context pages when its own Origin sends JSON.",
        },
    }  # fmt: skip
