"""Turns transcript lines into activities. Line types and their fields: Claude Code 1.0 to 2.1.330.

What makes it more than a table of line types:

* One API response is several `assistant` lines, one per content block, each with the whole usage. They carry one
  identity and meet again here and in the warehouse.
* A tool call is told by an `assistant` line and its result by a `user` line, possibly in different pieces of the
  file; what is still open travels in `Thread`.
* A fork copies the earlier lines of its origin with the session id rewritten. Newer versions mark copied responses
  (`requestSessionId`); everything before the last mark is then the origin's, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.merge import join
from cdesk.activity.model import JSON, Activity, Features, Person
from cdesk.activity.pricing import PriceBook, Usage
from cdesk.capture.lenient import as_count, as_number, as_text, as_time, text_hash
from cdesk.capture.outcome import file_changes, mcp_names, measure, plain, tool_category
from cdesk.capture.shorten import shorten, shorten_all
from cdesk.capture.surrogates import has_surrogates, mend_surrogates

OPEN_CALLS_MAX = 1_000
OPEN_RESPONSES_MAX = 64
OPEN_REQUESTS_MAX = 16

USAGE_MARKER = b'"usage":{'
"""ccusage counts only lines that contain these bytes, as Claude Code writes them."""
_UNCOUNTED = re.compile(
    rb'"(?:id|cwd|model|speed|costUSD|version|sessionId|requestId|isApiErrorMessage'
    rb'|cache_read_input_tokens|cache_creation_input_tokens)":null'
)
_COUNTED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-]\d\d:\d\d)")
_SEMVER = re.compile(r"\d+\.\d+\.\d")
_COMMAND = re.compile(r"<command-name>\s*/?([^<]*?)\s*</command-name>")

STATE_LINES = frozenset({
    "summary", "last-prompt", "custom-title", "agent-name", "ai-title", "mode", "permission-mode", "tools-used",
    "file-history-snapshot", "worktree-state", "relocated", "atis-latch", "queue-operation", "api-request",
    "api-request-shape", "api-request-blob", "progress", "cost-state", "attachment", "system", "user", "assistant",
})  # fmt: skip
SYSTEM_LINES = frozenset({
    None, "compact_boundary", "stop_hook_summary", "local_command", "api_error", "turn_duration", "away_summary",
    "informational", "microcompact_boundary", "init",
})  # fmt: skip


class Thread(msgspec.Struct, omit_defaults=True):
    """What a half-read file leaves open: calls without result (name and start), output limits of requests without
    response, the session and agent already introduced, the session last named, the last time read, and the session this one was forked from."""

    calls: dict[str, tuple[str, datetime]] = msgspec.field(default_factory=dict)
    texts: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    limits: dict[str, int] = msgspec.field(default_factory=dict)
    session: str | None = None
    agent: str | None = None
    named: str | None = None
    last_at: datetime | None = None
    forked_from: str | None = None


class Line(msgspec.Struct, rename="camel"):
    """The fields this house reads, unchecked; all others are passed over without being decoded."""

    type: Any = None
    subtype: Any = None
    uuid: Any = None
    timestamp: Any = None
    session_id: Any = None
    request_session_id: Any = None
    cwd: Any = None
    version: Any = None
    git_branch: Any = None
    entrypoint: Any = None
    is_sidechain: Any = None
    agent_id: Any = None
    message: Any = None
    request_id: Any = None
    cost_usd: Any = msgspec.field(name="costUSD", default=None)
    requested_model: Any = None
    effort: Any = None
    is_api_error_message: Any = None
    api_error_status: Any = None
    error: Any = None
    prompt_id: Any = None
    prompt_source: Any = None
    is_meta: Any = None
    is_compact_summary: Any = None
    permission_mode: Any = None
    permission_decision: Any = None
    tool_denial_kind: Any = None
    tool_use_result: Any = None
    attachment: Any = None
    data: Any = None
    compact_metadata: Any = None
    retry_attempt: Any = None
    retry_in_ms: Any = None
    duration_ms: Any = None
    message_count: Any = None
    custom_title: Any = None
    summary: Any = None
    id: Any = None
    params: Any = None
    request_ref: Any = None
    start_time: Any = None
    total_duration: Any = None
    total_cost_usd: Any = msgspec.field(name="totalCostUSD", default=None)
    total_api_duration: Any = msgspec.field(name="totalAPIDuration", default=None)
    total_tool_duration: Any = None
    total_lines_added: Any = None
    total_lines_removed: Any = None
    model_usage: Any = None


_decoder = msgspec.json.Decoder(Line)


class Interpreter:
    """Feeds on the lines of one file, in order."""

    def __init__(self, path: Path, person: Person, prices: PriceBook, thread: Thread) -> None:
        self._path = path
        self._person = person
        self._prices = prices
        self._calls = dict(thread.calls)
        self._texts = {key: dict(parts) for key, parts in thread.texts.items()}
        self._session = thread.session
        self._agent = thread.agent
        self._last_at = thread.last_at
        self._limits = dict(thread.limits)
        self._batch: dict[str, Activity] = {}
        self._raw = b""
        self._line = Line()
        self._at = datetime(1970, 1, 1, tzinfo=UTC)
        self._session_id = thread.named
        self._forked_from = thread.forked_from
        self._origin: str | None = None

    def thread(self) -> Thread:
        return Thread(
            dict(list(self._calls.items())[-OPEN_CALLS_MAX:]),
            dict(list(self._texts.items())[-1:]),
            dict(list(self._limits.items())[-OPEN_REQUESTS_MAX:]),
            self._session,
            self._agent,
            self._session_id,
            self._last_at,
            self._forked_from,
        )

    def flush(self) -> list[Activity]:
        """The activities of all lines fed since the last flush, one observation each."""
        batch = list(self._batch.values())
        self._batch.clear()
        return batch

    def feed(self, raw: bytes, origin: str | None = None) -> str | None:
        """Takes one line, `origin` being the session it was copied from into a fork. Gives back why it cannot be used,
        or None."""
        try:
            line = _decode(raw)
        except msgspec.ValidationError:
            return "a transcript line must be a JSON object"
        except (ValueError, RecursionError) as error:
            return f"not valid JSON: {_one_line(error)}"
        self._raw, self._line, self._origin = raw, line, origin
        self._forked_from = origin or self._forked_from
        line.type, line.subtype = as_text(line.type), as_text(line.subtype)
        self._session_id = as_text(line.session_id) or self._session_id
        try:
            return self._line_read(line, as_time(line.timestamp))
        except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            return f"the line could not be understood: {_one_line(error)}"

    def _line_read(self, line: Line, at: datetime | None) -> str | None:
        if at is None:
            return self._timeless(line)
        self._at = self._last_at = at
        return self._threaded(line)

    # -- by line type ------------------------------------------------------------------------------------------

    def _timeless(self, line: Line) -> str | None:
        """Lines without a time of their own: state of the session, for the most part."""
        kind = line.type
        if kind == "cost-state":
            self._totals(line)
        elif kind in ("custom-title", "summary", "ai-title") and self._last_at is not None:
            self._at = self._last_at
            self._title(as_text(line.custom_title) or as_text(line.summary))
        elif kind in ("user", "assistant", "system", "attachment") or line.message is not None:
            return "the line has no valid timestamp" if kind not in ("api-request-blob",) else None
        elif kind not in STATE_LINES:
            self._unknown(line)
        return None

    def _threaded(self, line: Line) -> str | None:
        kind = line.type
        message = line.message if isinstance(line.message, dict) else None
        if kind in ("user", "assistant") and message is None:
            return f"a line of type {kind} must have a message"
        if kind in ("user", "assistant", "system", "attachment", None):
            self._introduce(line)
        if message is not None and (isinstance(message.get("usage"), dict) or kind == "assistant"):
            self._response(line, message, line.request_id, line.is_sidechain)
        elif kind == "user" and message is not None:
            self._user(line, message)
        elif kind == "system":
            self._system(line)
        elif kind == "attachment":
            self._attachment(line)
        elif kind == "progress":
            self._progress(line)
        elif kind == "api-request":
            self._request(line)
        elif kind not in STATE_LINES:
            self._unknown(line)
        return None

    def _introduce(self, line: Line) -> None:
        """The first line of a session, or of a subagent, says that it began."""
        if (agent := as_text(line.agent_id)) and agent != self._agent:
            self._agent = agent
            self._subagent_started(agent)
        session = self._own_session()
        if session and session != self._session and line.is_sidechain is not True and not self._is_copied():
            self._session = session
            self._add("session_started", activity_id("session", session, "started"), {
                "session_id": session, "event_type": "start", "entrypoint": as_text(line.entrypoint),
                "permission_mode": as_text(line.permission_mode),
                "forked_from": self._forked_from,
            })  # fmt: skip

    def _response(self, line: Line, message: dict[str, Any], request: Any, sidechain: Any, at: Any = None) -> None:
        usage = message["usage"] if isinstance(message.get("usage"), dict) else {}
        tokens = _tokens(usage)
        if line.is_api_error_message is True:
            self._api_error(line, message)
        if message.get("model") == "<synthetic>" and not tokens.get("total_tokens"):
            return
        message_id, request_id = as_text(message.get("id")), as_text(request)
        key = activity_id("response", message_id, request_id or "") if message_id else self._line_id()
        alone = activity_id("response", message_id) if message_id else None
        if sidechain is True and alone is not None:
            key, alone = alone, None
        asked = activity_id("request", request_id) if request_id else None
        text = self._response_text(key, line, message)
        cost = self._cost(message.get("model"), tokens)
        self._add("claude_responded", key, {
            **tokens,
            "model": as_text(message.get("model")), "message_id": message_id, "request_id": request_id,
            "requested_model": as_text(line.requested_model), "stop_reason": as_text(message.get("stop_reason")),
            "effort": as_text(line.effort), "response_text": shorten(text) if text else None,
            "response_length": len(text) if text else None,
            "cost_usd": cost, "is_priced": cost is not None,
            "is_counted": self._is_counted(line, message, request, usage, at or line.timestamp),
            "is_sidechain": sidechain is True,
            "max_tokens": self._limits.get(as_text(line.request_ref) or ""),
        }, also=alone, also_2=asked, revenue=cost)  # fmt: skip
        for block in _blocks(message):
            if block.get("type") in ("tool_use", "server_tool_use"):
                self._tool_use(block, message_id)

    def _user(self, line: Line, message: dict[str, Any]) -> None:
        blocks = _blocks(message)
        results = [block for block in blocks if block.get("type") == "tool_result"]
        for block in results:
            self._tool_result(line, block, line.tool_use_result if len(results) == 1 else None)
        if results:
            return
        content = message.get("content")
        text = content if isinstance(content, str) else "\n".join(
            t for b in blocks if b.get("type") == "text" and (t := as_text(b.get("text"))) is not None
        )  # fmt: skip
        images = sum(1 for block in blocks if block.get("type") == "image")
        if text or images:
            self._prompt(line, text, images)

    def _prompt(self, line: Line, text: str, images: int) -> None:
        kind = _prompt_kind(line, text)
        prompt_id = as_text(line.prompt_id)
        if kind not in ("human", "command", "bash"):
            session = self._own_session()
            told = kind == "task_notification" and session is not None
            self._add("message_injected", self._line_id("prompt" if told else "line"), {
                "kind": kind, "text": shorten(text), "length": len(text), "prompt_id": prompt_id,
            }, also=activity_id("injected", session or "", text_hash(text)) if told else None)  # fmt: skip
            return
        command = _COMMAND.search(text) if kind == "command" else None
        self._add("user_asked", self._line_id("prompt"), {
            "prompt_text": shorten(text), "prompt_hash": text_hash(text), "prompt_length": len(text),
            "prompt_id": prompt_id, "prompt_kind": kind, "command_name": command[1] if command else None,
            "prompt_source": as_text(line.prompt_source), "permission_mode": as_text(line.permission_mode),
            "image_count": images,
        }, also=activity_id("prompt-id", prompt_id) if prompt_id and not self._is_copied() else None)  # fmt: skip

    def _system(self, line: Line) -> None:
        match line.subtype:
            case "compact_boundary":
                facts = line.compact_metadata if isinstance(line.compact_metadata, dict) else {}
                self._session_fact("context_compacted", "compaction", self._line_id(), {
                    "trigger": as_text(facts.get("trigger")), "pre_tokens": as_count(facts.get("preTokens")),
                    "post_tokens": as_count(facts.get("postTokens")), "duration_ms": as_number(facts.get("durationMs")),
                })  # fmt: skip
            case "turn_duration":
                self._session_fact("turn_completed", "turn", self._line_id(), {
                    "duration_ms": as_number(line.duration_ms), "message_count": as_count(line.message_count),
                })  # fmt: skip
            case "api_error":
                error = line.error if isinstance(line.error, dict) else {}
                self._add("api_request_failed", self._failure_id(error.get("requestId")), {
                    "request_id": as_text(error.get("requestId")), "status": as_count(error.get("status")),
                    "error_type": _error_type(error), "error": shorten(as_text(error.get("message")) or ""),
                    "retry_attempt": as_count(line.retry_attempt), "retry_in_ms": as_number(line.retry_in_ms),
                })  # fmt: skip
            case known if known not in SYSTEM_LINES:
                self._unknown(line)

    def _attachment(self, line: Line) -> None:
        attachment = line.attachment if isinstance(line.attachment, dict) else {}
        kind = as_text(attachment.get("type")) or ""
        if kind.startswith("hook_") and "hookEvent" in attachment and kind not in ("hook_additional_context",):
            self._add("hook_ran", self._line_id(), {
                "event_type": "hook_ran", "severity": "warning" if "error" in kind else "info",
                "hook_event": as_text(attachment.get("hookEvent")), "hook_name": as_text(attachment.get("hookName")),
                "outcome": kind.removeprefix("hook_"), "exit_code": as_count(attachment.get("exitCode")),
                "duration_ms": as_number(attachment.get("durationMs")),
            })  # fmt: skip
        elif kind == "queued_command" and (text := as_text(attachment.get("prompt"))):
            is_human = attachment.get("commandMode") in (None, "prompt") and not text.startswith("<task-notification>")
            self._prompt(line if is_human else msgspec.structs.replace(line, prompt_source="system"), text, 0)

    def _progress(self, line: Line) -> None:
        """Before subagents had files of their own, their responses came as progress of the Agent call."""
        data = line.data if isinstance(line.data, dict) else {}
        told = data.get("message")
        outer: dict[str, Any] = told if isinstance(told, dict) else {}
        message, at = outer.get("message"), as_time(outer.get("timestamp"))
        if isinstance(message, dict) and isinstance(message.get("usage"), dict) and at is not None:
            self._at = at
            bare = msgspec.structs.replace(line, version=None, session_id=None, uuid=outer.get("uuid"))
            self._response(bare, message, outer.get("requestId"), outer.get("isSidechain"), outer.get("timestamp"))

    def _request(self, line: Line) -> None:
        limit = as_count(line.params.get("max_tokens")) if isinstance(line.params, dict) else None
        if limit is not None and (name := as_text(line.id)):
            self._limits[name] = limit

    def _totals(self, line: Line) -> None:
        started, length = as_number(line.start_time), as_number(line.total_duration)
        session = self._own_session()
        if session is None or started is None or length is None or not 0 <= started + length < 4e12:
            return
        self._at = datetime.fromtimestamp((started + length) / 1000, UTC)
        usage = line.model_usage if isinstance(line.model_usage, dict) else {}
        self._session_fact("session_totalled", "totals", activity_id("session", session, "totalled"), {
            "session_duration_ms": length, "total_cost_usd": as_number(line.total_cost_usd),
            "api_duration_ms": as_number(line.total_api_duration),
            "tool_duration_ms": as_number(line.total_tool_duration), "lines_added": as_count(line.total_lines_added),
            "lines_removed": as_count(line.total_lines_removed), "model_usage": usage,
            "total_tokens": sum(_model_tokens(by_model) for by_model in usage.values()) or None,
        })  # fmt: skip

    def _title(self, title: str | None) -> None:
        session = self._own_session()
        if title and session:
            identity = activity_id("session", session, "titled", title)
            self._session_fact("session_titled", "title", identity, {"title": shorten(title)})

    def _api_error(self, line: Line, message: dict[str, Any]) -> None:
        text = "\n".join(t for block in _blocks(message) if (t := as_text(block.get("text"))))
        self._add("api_request_failed", self._failure_id(line.request_id), {
            "request_id": as_text(line.request_id), "status": as_count(line.api_error_status),
            "error_type": as_text(line.error), "error": shorten(text),
        })  # fmt: skip

    def _unknown(self, line: Line) -> None:
        name = as_text(line.type) or "none"
        if name == "system":
            name = f"system/{as_text(line.subtype)}"
        if self._last_at is None and as_time(line.timestamp) is None:
            self._at = datetime.fromtimestamp(0, UTC)
        elif self._last_at is not None:
            self._at = self._last_at
        self._add("line_kept", self._line_id(), {
            "event_type": "unknown_line", "severity": "info", "line_type": name,
            "message": f"a transcript line of type {name} is not known yet",
            "line": shorten(self._raw.decode("utf-8", "replace")),
        })  # fmt: skip

    # -- tools -------------------------------------------------------------------------------------------------

    def _tool_use(self, block: dict[str, Any], message_id: str | None) -> None:
        call, name = as_text(block.get("id")), as_text(block.get("name"))
        if call is None or name is None:
            return
        self._calls[call] = (name, self._at)
        server, tool = mcp_names(name)
        given = block.get("input")
        self._add("tool_called", activity_id("tool", call), {
            "tool_name": name, "tool_use_id": call, "message_id": message_id,
            "tool_category": tool_category(name),
            "parameters": shorten_all(given) if isinstance(given, dict) else None,
            "mcp_server": server, "mcp_tool": tool,
        })  # fmt: skip
        if server:
            self._add("mcp_called", activity_id("mcp", call), {
                "method": tool, "mcp_server": server, "tool_use_id": call,
            })  # fmt: skip

    def _tool_result(self, line: Line, block: dict[str, Any], result: Any) -> None:
        call = as_text(block.get("tool_use_id"))
        if call is None:
            return
        name, started = self._calls.pop(call, (None, None))
        content = block.get("content")
        size, kind = measure(content)
        success = block.get("is_error") is not True
        details = result if isinstance(result, dict) else {}
        told = as_number(details.get("durationMs")) or as_number(details.get("totalDurationMs"))
        latency = told if told is not None else _elapsed(started, self._at)
        error = None if success else shorten(plain(content))
        permission = line.permission_decision if isinstance(line.permission_decision, dict) else {}
        outcome: Features = {"success": success, "latency_ms": latency, "error": error}
        self._add("tool_called", activity_id("tool", call), {
            **outcome, "tool_use_id": call, "tool_name": name, "result_size": size, "result_type": kind,
            "error_type": None if success else as_text(line.tool_denial_kind) or "error",
            "interrupted": details.get("interrupted") if isinstance(details.get("interrupted"), bool) else None,
            "permission_decision": as_text(permission.get("decision")),
            "permission_source": as_text(permission.get("source")),
            "subagent_id": as_text(details.get("agentId")), "prompt_id": as_text(line.prompt_id),
        }, at=started)  # fmt: skip
        if name and (server := mcp_names(name)[0]):
            self._add("mcp_called", activity_id("mcp", call), {
                **outcome, "tool_use_id": call, "mcp_server": server, "context_size": size,
            }, at=started)  # fmt: skip
        if success and details:
            self._files(call, details)
            self._subagent_result(call, details)

    def _files(self, call: str, details: dict[str, Any]) -> None:
        for change in file_changes(details):
            features = {"tool_use_id": call, **change.features}
            self._add(change.activity, activity_id("file", call, change.path), features)

    # -- subagents ---------------------------------------------------------------------------------------------

    def _subagent_started(self, agent: str) -> None:
        meta = self._meta(agent)
        self._add("subagent_started", self._agent_key(agent, "started"), {
            "subagent_id": agent, "agent_type": as_text(meta.get("agentType")),
            "tool_use_id": as_text(meta.get("toolUseId")), "parent_agent_id": as_text(meta.get("parentAgentId")),
            "description": as_text(meta.get("description")), "spawn_depth": as_count(meta.get("spawnDepth")),
            "model": as_text(meta.get("model")),
        })  # fmt: skip

    def _subagent_result(self, call: str, details: dict[str, Any]) -> None:
        agent = as_text(details.get("agentId"))
        link: Features = {
            "tool_use_id": call,
            "agent_type": as_text(details.get("agentType")) or as_text(details.get("agent_type")),
            "description": as_text(details.get("description")),
        }
        if agent is not None:
            self._add("subagent_started", self._agent_key(agent, "started"), {
                "subagent_id": agent, **link, "model": as_text(details.get("resolvedModel")),
            })  # fmt: skip
        if "totalToolUseCount" in details or "totalTokens" in details:
            key = self._agent_key(agent, "completed") if agent else activity_id("agent", call, "completed")
            self._add("subagent_completed", key, {
                "subagent_id": agent or call, **link, "status": as_text(details.get("status")),
                "total_tokens": as_count(details.get("totalTokens")),
                "total_tool_uses": as_count(details.get("totalToolUseCount")),
                "duration_ms": as_number(details.get("totalDurationMs")),
            })  # fmt: skip

    def _agent_key(self, agent: str, what: str) -> str:
        """Early subagent ids had seven digits: too few to be unique, so their session counts as well."""
        scope = "" if len(agent) > 8 else self._own_session() or ""
        return activity_id("agent", scope, agent, what)

    def _meta(self, agent: str) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(self._path.with_name(f"agent-{agent}.meta.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    # -- shared ------------------------------------------------------------------------------------------------

    def _session_fact(self, activity: str, event: str, key: str, features: Features) -> None:
        self._add(activity, key, {"session_id": self._own_session(), "event_type": event, **features})

    def _add(
        self, activity: str, key: str, features: Features, *,
        also: str | None = None, also_2: str | None = None, revenue: float | None = None, at: datetime | None = None,
    ) -> None:  # fmt: skip
        line = self._line
        known: Features = {name: value for name, value in features.items() if value is not None}
        for name, value in (
            ("project_path", line.cwd), ("git_branch", line.git_branch), ("cli_version", line.version),
            ("agent_id", line.agent_id),
        ):  # fmt: skip
            if isinstance(value, str):
                known[name] = value
        if "is_sidechain" not in known and isinstance(line.is_sidechain, bool):
            known["is_sidechain"] = line.is_sidechain
        seen = Activity(
            activity_id=key, also_id=also, also_id_2=also_2, ts=at or self._at, activity=activity, customer=self._person.customer,
            anonymous_customer_id=self._person.anonymous_customer_id, org_id=self._person.org_id,
            session_id=self._own_session(), feature_json=known, revenue_impact=revenue, source="transcript",
        )  # fmt: skip
        before = self._batch.get(key)
        self._batch[key] = seen if before is None else join(before, seen)

    def _line_id(self, kind: str = "line") -> str:
        uuid = as_text(self._line.uuid)
        if uuid is None:
            return activity_id("content", sha256(self._raw).hexdigest())
        return activity_id(kind, uuid)

    def _failure_id(self, request: Any) -> str:
        """Telemetry knows a failed request by its id; a connection that never came about has none."""
        return activity_id("failure", request) if as_text(request) else self._line_id()

    def _own_session(self) -> str | None:
        """The session it happened in: for a line copied into a fork, the origin's."""
        return as_text(self._line.request_session_id) or self._origin or self._session_id

    def _is_copied(self) -> bool:
        """A fork's copy of its origin's line: session id and prompt id are rewritten and say nothing true."""
        return self._own_session() != self._session_id

    def _response_text(self, key: str, line: Line, message: dict[str, Any]) -> str:
        texts = [t for b in _blocks(message) if b.get("type") == "text" and (t := as_text(b.get("text")))]
        if isinstance(message.get("content"), str):
            texts = [message["content"]]
        parts = self._texts.setdefault(key, {})
        if texts:
            parts[as_text(line.uuid) or str(len(parts))] = "\n\n".join(texts)
        while len(self._texts) > OPEN_RESPONSES_MAX:
            del self._texts[next(iter(self._texts))]
        return "\n\n".join(parts.values())

    def _cost(self, model: Any, tokens: Features) -> float | None:
        if not isinstance(model, str) or not tokens:
            return None
        usage = Usage(
            input_tokens=_whole(tokens.get("prompt_tokens")), output_tokens=_whole(tokens.get("completion_tokens")),
            cache_creation_5m_tokens=_whole(tokens.get("cache_creation_5m_tokens")),
            cache_creation_1h_tokens=_whole(tokens.get("cache_creation_1h_tokens")),
            cache_read_tokens=_whole(tokens.get("cache_read_tokens")),
            speed="fast" if tokens.get("speed") == "fast" else None,
        )  # fmt: skip
        return self._prices.cost(model, usage, self._at.date())

    def _is_counted(self, line: Line, message: dict[str, Any], request: Any, usage: dict[str, Any], at: Any) -> bool:
        """ccusage's rule (`adapter/claude/daily.rs`): which lines its reports count."""
        raw = self._raw
        if USAGE_MARKER not in raw or (b":null" in raw and _UNCOUNTED.search(raw)):
            return False
        if not isinstance(at, str) or not _COUNTED_TIME.fullmatch(at):
            return False
        if any(as_count(usage.get(name)) is None for name in ("input_tokens", "output_tokens")):
            return False
        version = line.version
        texts = (line.session_id, request, message.get("id"), message.get("model"))
        return (version is None or (isinstance(version, str) and _SEMVER.match(version) is not None)) and all(
            text is None or (isinstance(text, str) and text != "") for text in texts
        )


# -- small readings of unchecked values ------------------------------------------------------------------------


def _decode(raw: bytes) -> Line:
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        raise
    except ValueError:
        # JavaScript writes half of a cut emoji as a lone \ud8xx; everything else about the line is sound.
        if not has_surrogates(raw):
            raise
        return _decoder.decode(mend_surrogates(raw))


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) else 0


def _elapsed(start: datetime | None, end: datetime) -> float | None:
    return None if start is None or end < start else round((end - start).total_seconds() * 1000, 3)


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _tokens(usage: dict[str, Any]) -> Features:
    """Token features of one `usage` object; empty when it says nothing."""
    read, written = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    if read is None and written is None:
        return {}
    split = usage.get("cache_creation")
    cached = as_count(usage.get("cache_creation_input_tokens")) or 0
    if isinstance(split, dict):
        five = as_count(split.get("ephemeral_5m_input_tokens")) or 0
        hour = as_count(split.get("ephemeral_1h_input_tokens")) or 0
    else:
        five, hour = cached, 0
    reused = as_count(usage.get("cache_read_input_tokens")) or 0
    details = usage.get("output_tokens_details")
    server = usage.get("server_tool_use")
    return {
        "prompt_tokens": read or 0, "completion_tokens": written or 0, "cache_creation_tokens": five + hour,
        "cache_creation_5m_tokens": five, "cache_creation_1h_tokens": hour, "cache_read_tokens": reused,
        "total_tokens": (read or 0) + (written or 0) + five + hour + reused,
        "thinking_tokens": as_count(details.get("thinking_tokens")) if isinstance(details, dict) else None,
        "web_search_requests": as_count(server.get("web_search_requests")) if isinstance(server, dict) else None,
        "speed": as_text(usage.get("speed")), "service_tier": as_text(usage.get("service_tier")),
    }  # fmt: skip


def _model_tokens(by_model: Any) -> int:
    names = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")
    return sum(as_count(by_model.get(name)) or 0 for name in names) if isinstance(by_model, dict) else 0


_INJECTED: tuple[tuple[str, Callable[[Line, str], bool]], ...] = (
    ("compact_summary", lambda line, text: line.is_compact_summary is True),
    ("meta", lambda line, text: line.is_meta is True),
    ("task_notification", lambda line, text: line.prompt_source == "system" or text.startswith("<task-notification>")),
    ("agent_prompt", lambda line, text: line.is_sidechain is True),
    ("interrupt", lambda line, text: text.startswith("[Request interrupted by user")),
    ("command_output", lambda line, text: text.startswith(("<local-command-std", "<bash-std", "<user-memory-input"))),
    ("command", lambda line, text: text.startswith(("<command-name>", "<command-message>"))),
    ("bash", lambda line, text: text.startswith("<bash-input>")),
)


def _prompt_kind(line: Line, text: str) -> str:
    return next((kind for kind, holds in _INJECTED if holds(line, text.lstrip())), "human")


def _error_type(error: dict[str, Any]) -> str | None:
    found = re.search(r'"type":\s*"(\w+_error)"', as_text(error.get("message")) or "")
    return found[1] if found else None
