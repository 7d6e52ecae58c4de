"""Which facts Claude Code's telemetry tells. Events, metrics and spans of 2.1.330; attributes differ between versions.

A record is stored only if it names its fact the way the other sources do, or if no other source tells that fact;
everything else is counted by name and let go, so that one fact stays one row.

    event                      activity                                     identity
    user_prompt                user_asked                                   message.uuid, also prompt.id; else prompt.id
    api_request                claude_responded (counts in usage)           request_id
    assistant_response         claude_responded (its text)                  request_id
    api_error                  api_request_failed                           request_id
    tool_decision, tool_result tool_called; mcp_called; file_*              tool_use_id (and path)
    subagent_completed         subagent_completed                           agent_id
    mcp_server_connection      mcp_connection_changed                       the record itself
    skill_activated            skill_activated                              the record itself
    cdesk_self_test            self_test_arrived                            cdesk.test

    metric                     activity                                     identity
    session.count (fresh)      session_started                              session.id
    commit.count, pull_request.count, lines_of_code.count, active_time.total, code_edit_tool.decision
                               metric_recorded                              session, metric, attributes, interval

    span                       activity                                     identity
    llm_request, succeeded     claude_responded (its latency)               request_id

Numbers and booleans come as texts in some events and as themselves in others; both are read. Texts that Claude Code
withholds (`<REDACTED>`) and names it replaces (`mcp_tool`) count as not told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.model import JSON, Activity, Features, Person
from cdesk.activity.pricing import PriceBook, Usage
from cdesk.capture.lenient import COUNT_MAX, as_text, as_time, text_hash
from cdesk.capture.otlp.record import Attributes, LogRecord, Point, Sender, Span
from cdesk.capture.outcome import mcp_names, tool_category
from cdesk.capture.shorten import shorten, shorten_all

SERVICE = "claude-code"
SCOPE = "com.anthropic.claude_code"
PREFIX = "claude_code."
WITHHELD = frozenset({"<REDACTED>", ""})
UNNAMED_TOOL = "mcp_tool"
MACHINE_MADE = "<task-notification>"
PATH_CHARACTERS_MAX = 500
"""Claude Code cuts longer texts inside `tool_input`; a cut path would name another file."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_MAX = 253_402_300_799_000_000_000
_NOT_IN_TOOL_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\")
_CLEAR = "clear"

_EDITS = {"Read": ("file_read", "read"), "Write": ("file_written", "write"), "Edit": ("file_edited", "edit"),
          "MultiEdit": ("file_edited", "edit"), "NotebookEdit": ("file_edited", "edit")}  # fmt: skip
_METRICS = frozenset({
    "commit.count", "pull_request.count", "lines_of_code.count", "active_time.total", "code_edit_tool.decision",
})  # fmt: skip
_NOT_KEYS = frozenset({"user.email", "user.account_uuid", "user.account_id", "organization.id"})
"""Who was signed in is not part of what was measured, and may be told or not."""


class Unusable(ValueError):
    """A record of Claude Code's that says nothing usable; `str()` says what it lacks."""


def is_claude_code(sender: Sender) -> bool:
    """By its scope as well: `service.name` is the person's to set."""
    return sender.service == SERVICE or sender.scope.startswith(SCOPE)


def event_name(record: LogRecord) -> str:
    """Without its prefix; empty when the record has none."""
    body = record.body if isinstance(record.body, str) else ""
    return (as_text(record.attributes.get("event.name")) or record.event_name or body).removeprefix(PREFIX)


def event_time(record: LogRecord) -> datetime:
    """Raises Unusable."""
    at = as_time(record.attributes.get("event.timestamp")) or _time(record.at_ns)
    if at is None:
        raise Unusable("a record has neither event.timestamp nor timeUnixNano")
    return at


class ClaudeCode:
    """Turns one record at a time into what it tells; no record depends on another."""

    def __init__(self, person: Person, prices: PriceBook) -> None:
        self._person = person
        self._prices = prices

    def event(self, record: LogRecord) -> list[Activity]:
        """Empty when the event is one that is not stored. Raises Unusable."""
        name = event_name(record)
        if not name:
            raise Unusable("a record has no event.name")
        told = _Told(record.attributes, record.sender, event_time(record))
        match name:
            case "user_prompt":
                return list(self._prompt(told))
            case "api_request":
                return list(self._request(told))
            case "assistant_response":
                return list(self._response(told))
            case "api_error":
                return list(self._error(told))
            case "tool_decision" | "tool_result":
                return list(self._tool(told, is_result=name == "tool_result"))
            case "subagent_completed":
                return list(self._subagent(told))
            case "mcp_server_connection":
                return [self._mcp_connection(told)]
            case "skill_activated":
                return [self._skill(told)]
            case "cdesk_self_test":
                return list(self._self_test(told))
            case _:
                return []

    def point(self, point: Point) -> list[Activity]:
        """Empty when the metric is one that is not stored. Raises Unusable."""
        name = point.metric.removeprefix(PREFIX)
        at = _time(point.at_ns)
        if not name or at is None:
            raise Unusable("a data point has no metric name or no timeUnixNano")
        told = _Told(point.attributes, point.sender, at)
        if name == "session.count":
            return list(self._session_count(told, _time(point.start_ns) or at))
        if name not in _METRICS or not point.is_counter or not point.value:
            return []
        return [self._metric(told, name, point)]

    def span(self, span: Span) -> list[Activity]:
        """Empty when the span is one that is not stored."""
        at = _time(span.end_ns)
        told = _Told(span.attributes, span.sender, at or _EPOCH)
        request = told.text("request_id")
        is_answer = span.name == "claude_code.llm_request" and told.flag("success") is True
        if not is_answer or request is None or at is None or told.text("query_source_safe") == "model_validation":
            return []
        return [self._made(told, "claude_responded", activity_id("request", request), {
            "request_id": request, "latency_ms": told.number("ttft_ms"),
            "total_latency_ms": told.number("duration_ms"), "stop_reason": told.text("stop_reason"),
        })]  # fmt: skip

    # -- what was asked and answered -----------------------------------------------------------------------------------

    def _prompt(self, told: _Told) -> Iterator[Activity]:
        line, prompt = told.text("message.uuid"), told.text("prompt.id")
        command = told.text("command_name")
        if (line is None and prompt is None) or command == _CLEAR:
            return  # the transcript tells /clear in the session it begins, under no id that telemetry has
        by_prompt = activity_id("prompt-id", prompt) if prompt else None
        text = told.words("prompt")
        if text is not None and text.lstrip().startswith(MACHINE_MADE):
            return
        yield self._made(told, "user_asked", activity_id("prompt", line) if line else by_prompt or "", {
            "prompt_text": shorten(text) if text else None, "prompt_hash": text_hash(text) if text else None,
            "prompt_length": told.count("prompt_length"), "prompt_id": prompt,
            "prompt_kind": "command" if command else "human", "command_name": command,
        }, also=by_prompt if line else None)  # fmt: skip

    def _request(self, told: _Told) -> Iterator[Activity]:
        request = told.text("request_id")
        if request is None:
            return
        tokens = _tokens(told)
        cost = self._cost(told, tokens)
        yield self._made(told, "claude_responded", activity_id("request", request), {
            **tokens, "model": told.text("model"), "request_id": request, "speed": _speed(told), "cost_usd": cost,
            "is_priced": cost is not None, "is_counted": True, "reported_cost_usd": told.number("cost_usd"),
            "latency_ms": told.number("ttft_ms"), "total_latency_ms": told.number("duration_ms"),
            "query_source": told.text("query_source"), "effort": told.text("effort"),
        }, revenue=cost)  # fmt: skip

    def _response(self, told: _Told) -> Iterator[Activity]:
        request = told.text("request_id")
        if request is None:
            return
        text = told.words("response")
        yield self._made(told, "claude_responded", activity_id("request", request), {
            "request_id": request, "model": told.text("model"), "query_source": told.text("query_source"),
            "response_text": shorten(text) if text else None, "response_length": told.count("response_length"),
        })  # fmt: skip

    def _error(self, told: _Told) -> Iterator[Activity]:
        request = told.text("request_id")
        if request is None:
            return
        error = told.words("error")
        yield self._made(told, "api_request_failed", activity_id("failure", request), {
            "request_id": request, "model": told.text("model"), "status": told.count("status_code"),
            "error": shorten(error) if error else None, "retry_attempt": told.count("attempt"),
        })  # fmt: skip

    def _cost(self, told: _Told, tokens: Features) -> float | None:
        model = told.text("model")
        if model is None:
            return None
        usage = Usage(
            input_tokens=_whole(tokens["prompt_tokens"]), output_tokens=_whole(tokens["completion_tokens"]),
            cache_creation_5m_tokens=_whole(tokens["cache_creation_5m_tokens"]),
            cache_creation_1h_tokens=_whole(tokens["cache_creation_1h_tokens"]),
            cache_read_tokens=_whole(tokens["cache_read_tokens"]), speed="fast" if _speed(told) == "fast" else None,
        )  # fmt: skip
        return self._prices.cost(model, usage, told.at.date())

    # -- tools ---------------------------------------------------------------------------------------------------------

    def _tool(self, told: _Told, *, is_result: bool) -> Iterator[Activity]:
        call = told.text("tool_use_id")
        if call is None:
            return
        name = _tool_name(told)
        is_mcp = _is_mcp(told)
        server, tool = mcp_names(name) if name else (None, None)
        outcome = _outcome(told) if is_result else {}
        given = told.object("tool_input")
        yield self._made(told, "tool_called", activity_id("tool", call), {
            **outcome, "tool_use_id": call, "tool_name": name, "prompt_id": told.text("prompt.id"),
            "tool_category": tool_category(name) if name else "mcp" if is_mcp else None,
            "parameters": shorten_all(given) if given else None, "mcp_server": server, "mcp_tool": tool,
            "error_type": told.text("error_type"), "result_size": told.count("tool_result_size_bytes"),
            "permission_decision": told.text("decision"), "permission_mode": told.text("permission_mode"),
            "permission_source": told.text("source") or told.text("decision_source"),
        })  # fmt: skip
        if is_mcp:
            yield self._made(told, "mcp_called", activity_id("mcp", call), {
                **outcome, "tool_use_id": call, "method": tool, "mcp_server": server,
                "context_size": told.count("tool_result_size_bytes"),
            })  # fmt: skip
        if outcome.get("success") is True and given:
            yield from self._file(told, call, name or "", given)

    def _file(self, told: _Told, call: str, tool: str, given: Mapping[str, JSON]) -> Iterator[Activity]:
        path = as_text(given.get("file_path")) or as_text(given.get("notebook_path"))
        if tool not in _EDITS or path is None or len(path) > PATH_CHARACTERS_MAX or not _ABSOLUTE.match(path):
            return
        activity, operation = _EDITS[tool]
        suffix = path.rpartition("/")[2].rpartition(".")
        yield self._made(told, activity, activity_id("file", call, path), {
            "operation": operation, "file_path": path, "tool_use_id": call, "success": True,
            "file_type": suffix[2].lower() if suffix[0] else None,
        })  # fmt: skip

    # -- sessions ------------------------------------------------------------------------------------------------------

    def _subagent(self, told: _Told) -> Iterator[Activity]:
        agent = told.text("agent_id")
        if agent is None:
            return
        scope = "" if len(agent) > 8 else told.session or ""
        parent = told.text("parent_agent_id")
        yield self._made(told, "subagent_completed", activity_id("agent", scope, agent, "completed"), {
            "subagent_id": agent, "agent_type": told.text("agent_type"), "parent_agent_id": parent,
            "total_tokens": told.count("total_tokens"), "total_tool_uses": told.count("total_tool_uses"),
            "duration_ms": told.number("duration_ms"),
        }, agent=parent)  # fmt: skip

    def _session_count(self, told: _Told, started_at: datetime) -> Iterator[Activity]:
        if told.session is None or told.text("start_type") not in (None, "fresh"):
            return
        yield self._made(told, "session_started", activity_id("session", told.session, "started"), {
            "session_id": told.session, "event_type": "start", "entrypoint": told.text("app.entrypoint"),
        }, at=started_at)  # fmt: skip

    def _metric(self, told: _Told, name: str, point: Point) -> Activity:
        parts = sorted(
            (key, str(value)) for key, value in point.attributes.items() if key not in _NOT_KEYS and value is not None
        )
        interval = [str(point.start_ns), str(point.at_ns)] if point.is_delta else [str(point.start_ns)]
        key = activity_id("metric", point.metric, *interval, *(f"{name}={value}" for name, value in parts))
        return self._made(told, "metric_recorded", key, {
            "session_id": told.session, "event_type": "metric", "metric": name, "amount": point.value,
            "unit": point.unit or None, "kind": told.text("type"), "tool_name": told.text("tool_name"),
            "decision": told.text("decision"), "decision_source": told.text("source"),
            "language": told.text("language"), "model": told.text("model"),
        })  # fmt: skip

    def _mcp_connection(self, told: _Told) -> Activity:
        error = told.words("error")
        return self._made(told, "mcp_connection_changed", told.own_key("mcp_server_connection"), {
            "session_id": told.session, "event_type": "connection", "mcp_server": told.text("server_name"), "status": told.text("status"),
            "transport": told.text("transport_type"), "server_scope": told.text("server_scope"),
            "duration_ms": told.number("duration_ms"), "error": shorten(error) if error else told.text("error_code"),
        })  # fmt: skip

    def _skill(self, told: _Told) -> Activity:
        return self._made(told, "skill_activated", told.own_key("skill_activated"), {
            "session_id": told.session, "event_type": "skill", "skill_name": told.words("skill.name"),
            "skill_source": told.text("skill.source"), "invocation_trigger": told.text("invocation_trigger"), "prompt_id": told.text("prompt.id"),
        })  # fmt: skip

    def _self_test(self, told: _Told) -> Iterator[Activity]:
        """What `cdesk doctor` sends in Claude Code's name, to see whether it arrives."""
        if (test := told.text("cdesk.test")) is not None:
            yield self._made(told, "self_test_arrived", activity_id("self-test", "otel", test), {
                "event_type": "self_test", "severity": "info", "message": test,
            })  # fmt: skip

    # -- shared --------------------------------------------------------------------------------------------------------

    def _made(
        self, told: _Told, activity: str, key: str, features: Features, *, also: str | None = None,
        revenue: float | None = None, at: datetime | None = None, agent: str | None = None,
    ) -> Activity:  # fmt: skip
        known: Features = {name: value for name, value in features.items() if value is not None}
        version = told.sender.version or told.text("app.version")
        if version is not None:
            known["cli_version"] = version
        doer = agent if activity == "subagent_completed" else told.text("agent_id")
        if doer is not None:
            known["agent_id"] = doer
            known["is_sidechain"] = True
        return Activity(
            activity_id=key, also_id=also, ts=at or told.at, activity=activity, customer=self._person.customer,
            anonymous_customer_id=self._person.anonymous_customer_id, org_id=self._person.org_id,
            session_id=told.session, feature_json=known, revenue_impact=revenue, source="otel",
        )  # fmt: skip


class _Told:
    """A record's attributes, read as what they should be: the right kind of thing, or None."""

    __slots__ = ("_attributes", "at", "sender", "session")

    def __init__(self, attributes: Attributes, sender: Sender, at: datetime) -> None:
        self._attributes = attributes
        self.sender = sender
        self.at = at
        self.session = as_text(attributes.get("session.id"))

    def text(self, name: str) -> str | None:
        value = self._attributes.get(name)
        return shorten(value, PATH_CHARACTERS_MAX) if isinstance(value, str) and value else None

    def words(self, name: str) -> str | None:
        """What somebody wrote, unless Claude Code withholds it."""
        value = self._attributes.get(name)
        return value if isinstance(value, str) and value not in WITHHELD else None

    def count(self, name: str) -> int | None:
        value = self.number(name)
        return None if value is None or value != int(value) else int(value)

    def number(self, name: str) -> int | float | None:
        value = self._attributes.get(name)
        if isinstance(value, str):
            value = _parsed(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < COUNT_MAX
        return value if is_number and isinstance(value, int | float) else None

    def flag(self, name: str) -> bool | None:
        value = self._attributes.get(name)
        return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())

    def object(self, name: str) -> dict[str, JSON] | None:
        """A JSON object, told as text or as itself."""
        value = self._attributes.get(name)
        if isinstance(value, str) and value.startswith("{"):
            try:
                value = msgspec.json.decode(value.encode("utf-8", "replace"))
            except (ValueError, RecursionError):
                return None
        return value if isinstance(value, dict) and value else None

    def own_key(self, kind: str) -> str:
        """The record's own identity: its place in its process, for a fact that nothing else names."""
        sequence = self._attributes.get("event.sequence")
        return activity_id("telemetry", kind, self.session or "", self.at.isoformat(), str(sequence))


def _tokens(told: _Told) -> Features:
    read, written = told.count("input_tokens") or 0, told.count("output_tokens") or 0
    hour = told.count("cache_creation_1h_tokens") or 0
    five = told.count("cache_creation_5m_tokens")
    if five is None:
        five = max(0, (told.count("cache_creation_tokens") or 0) - hour)
    reused = told.count("cache_read_tokens") or 0
    return {
        "prompt_tokens": read, "completion_tokens": written, "cache_creation_tokens": five + hour,
        "cache_creation_5m_tokens": five, "cache_creation_1h_tokens": hour, "cache_read_tokens": reused,
        "total_tokens": read + written + five + hour + reused,
    }  # fmt: skip


def _speed(told: _Told) -> str | None:
    """Transcripts say `standard` for what telemetry calls `normal`."""
    speed = told.text("speed")
    return "standard" if speed == "normal" else speed


def _outcome(told: _Told) -> Features:
    error = told.words("error")
    return {
        "success": told.flag("success"), "latency_ms": told.number("duration_ms"),
        "error": shorten(error) if error else None,
    }  # fmt: skip


def _is_mcp(told: _Told) -> bool:
    name = told.text("tool_name") or ""
    return name == UNNAMED_TOOL or name.startswith("mcp__") or told.text("tool_source") == "mcp"


def _tool_name(told: _Told) -> str | None:
    """The name the model used. For an MCP tool it is put together from its parts, where those are told."""
    name = told.text("tool_name")
    if name != UNNAMED_TOOL:
        return name
    given = told.object("tool_parameters") or {}
    server, tool = as_text(given.get("mcp_server_name")), as_text(given.get("mcp_tool_name"))
    if server is None or tool is None:
        return None
    return "__".join(("mcp", *(_NOT_IN_TOOL_NAMES.sub("_", part) for part in (server, tool))))


def _parsed(text: str) -> int | float | None:
    if len(text) > 32:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and "." not in text else value


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def _time(ns: int) -> datetime | None:
    return _EPOCH + timedelta(microseconds=ns // 1000) if 0 < ns <= _NS_MAX else None
