"""Turns what Claude Code tells its hooks into activities: one payload in, the facts it states out.

Payloads carry no time, so `received` is the moment of receipt, stamped once by whoever got the payload first and
part of the identity of facts that have no name of their own. All 33 events of 2.1.330 are typed below (`interfaces.md`
§1.5; optional fields come and go between versions). A field of an unexpected type is left out, never the payload.

    told by the hook                       becomes                               identity
    SessionStart startup, clear, fork      session_started                       session id
    SessionStart resume                    session_resumed                       receipt
    SessionEnd                             session_ended                         session id + last prompt id
    UserPromptSubmit, UserPromptExpansion  user_asked                            prompt id
      of a machine-made prompt             message_injected                      session id + hash of the text
    PreToolUse, PostToolUse(Failure),
    PostToolBatch, PermissionDenied        tool_called, mcp_called, file_*       tool_use_id
    SubagentStart, SubagentStop            subagent_started, subagent_completed  agent id
    TaskCreated, TaskCompleted             task_created, task_completed          session id + task id
    everything else                        an activity of its own                receipt

Four say nothing that another event or the transcript does not say better, and give no activity: PostCompact and
SessionStart `compact` (the transcript's boundary line knows the sizes), MessageDisplay (the transcript has the whole
response) and PreModelSwitch (PostModelSwitch says what came of it). So does the SubagentStop of Claude Code's own
summarizer: its agent type is empty and no such subagent ever began.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cdesk.activity.identity import activity_id
from cdesk.activity.merge import join
from cdesk.activity.model import Activity, Features, Person
from cdesk.capture.gate import Gate
from cdesk.capture.lenient import as_count, as_number, as_text, text_hash
from cdesk.capture.outcome import file_changes, mcp_names, measure, tool_category
from cdesk.capture.shorten import shorten, shorten_all
from cdesk.capture.surrogates import mend_surrogates

MISTYPED_FIELDS_MAX = 32
DURATION_MS_MAX = 366 * 86_400_000.0
MACHINE_MADE = "<task-notification>"
MACHINE_SOURCES = frozenset({"system", "loop_wakeup", "schedule_wakeup", "poll_event"})
SHORT_AGENT_ID = 8
"""Early subagent ids had seven digits: too few to be unique, so their session counts as well."""


class BadPayload(ValueError):
    """Not a hook payload; `str()` says why."""


# -- the payloads --------------------------------------------------------------------------------------------------


class Payload(msgspec.Struct, kw_only=True, tag_field="hook_event_name"):
    """What all events have in common; `agent_id` is there inside a subagent only."""

    session_id: str | None = None
    transcript_path: str | None = None
    cwd: str | None = None
    prompt_id: str | None = None
    permission_mode: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None


class SessionStart(Payload, tag=True):
    source: str | None = None
    model: str | None = None
    session_title: str | None = None
    seconds_since_last_response: float | None = None
    context_tokens: int | None = None
    prompt_cache_likely_expired: bool | None = None
    estimated_cache_write_usd: float | None = None


class Setup(Payload, tag=True):
    trigger: str | None = None


class InstructionsLoaded(Payload, tag=True):
    file_path: str | None = None
    memory_type: str | None = None
    load_reason: str | None = None
    trigger_file_path: str | None = None
    parent_file_path: str | None = None


class UserPromptSubmit(Payload, tag=True):
    prompt: str | None = None
    source: str | None = None
    session_title: str | None = None


class UserPromptExpansion(Payload, tag=True):
    expansion_type: str | None = None
    command_name: str | None = None
    command_args: str | None = None
    command_source: str | None = None
    prompt: str | None = None


class MessageDisplay(Payload, tag=True):
    turn_id: str | None = None
    message_id: str | None = None
    index: int | None = None
    final: bool | None = None
    delta: str | None = None


class _ToolPayload(Payload):
    tool_name: str | None = None
    tool_input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    mcp_server: dict[str, Any] | None = None


class PreToolUse(_ToolPayload, tag=True):
    pass


class PermissionRequest(_ToolPayload, tag=True):
    """Comes without tool_use_id."""

    permission_suggestions: list[Any] | None = None


class PermissionDenied(_ToolPayload, tag=True):
    reason: str | None = None


class PostToolUse(_ToolPayload, tag=True):
    tool_response: Any = None
    duration_ms: float | None = None


class PostToolUseFailure(_ToolPayload, tag=True):
    error: str | None = None
    is_interrupt: bool | None = None
    duration_ms: float | None = None


class BatchCall(msgspec.Struct):
    tool_name: str | None = None
    tool_input: Any = None
    tool_use_id: str | None = None
    tool_response: Any = None


class PostToolBatch(Payload, tag=True):
    """The one event that sees every call, those included that were denied or never ran."""

    tool_calls: list[BatchCall] | None = None


class Notification(Payload, tag=True):
    message: str | None = None
    title: str | None = None
    notification_type: str | None = None


class SubagentStart(Payload, tag=True):
    pass


class SubagentStop(Payload, tag=True):
    stop_hook_active: bool | None = None
    agent_transcript_path: str | None = None
    last_assistant_message: str | None = None


class _TaskPayload(Payload):
    task_id: str | None = None
    task_subject: str | None = None
    task_description: str | None = None
    teammate_name: str | None = None
    team_name: str | None = None


class TaskCreated(_TaskPayload, tag=True):
    pass


class TaskCompleted(_TaskPayload, tag=True):
    pass


class TeammateIdle(Payload, tag=True):
    teammate_name: str | None = None
    team_name: str | None = None


class Stop(Payload, tag=True):
    stop_hook_active: bool | None = None
    last_assistant_message: str | None = None
    background_tasks: list[Any] | None = None


class StopFailure(Payload, tag=True):
    error: str | None = None
    error_details: str | None = None
    last_assistant_message: str | None = None


class PreCompact(Payload, tag=True):
    trigger: str | None = None
    custom_instructions: str | None = None


class PostCompact(Payload, tag=True):
    trigger: str | None = None
    compact_summary: str | None = None


class _ModelPayload(Payload):
    from_model: str | None = None
    to_model: str | None = None
    requested_model: str | None = None
    source: str | None = None
    context_tokens: int | None = None
    prompt_cache_warm: bool | None = None
    estimated_cache_write_usd: float | None = None


class PreModelSwitch(_ModelPayload, tag=True):
    pass


class PostModelSwitch(_ModelPayload, tag=True):
    pass


class ConfigChange(Payload, tag=True):
    source: str | None = None
    file_path: str | None = None


class CwdChanged(Payload, tag=True):
    old_cwd: str | None = None
    new_cwd: str | None = None


class DirectoryAdded(Payload, tag=True):
    directory: str | None = None
    source: str | None = None


class FileChanged(Payload, tag=True):
    file_path: str | None = None
    event: str | None = None


class WorktreeCreate(Payload, tag=True):
    name: str | None = None


class WorktreeRemove(Payload, tag=True):
    worktree_path: str | None = None


class Elicitation(Payload, tag=True):
    mcp_server_name: str | None = None
    message: str | None = None
    mode: str | None = None
    elicitation_id: str | None = None


class ElicitationResult(Payload, tag=True):
    """What the person answered is not kept, only that they did."""

    mcp_server_name: str | None = None
    action: str | None = None
    mode: str | None = None
    elicitation_id: str | None = None


class SessionEnd(Payload, tag=True):
    reason: str | None = None


class CdeskSelfTest(Payload, tag=True):
    """No event of Claude Code: `cdesk doctor` sends it to see that what is told arrives."""

    test_id: str | None = None


AnyPayload = (
    SessionStart | Setup | InstructionsLoaded | UserPromptSubmit | UserPromptExpansion | MessageDisplay | PreToolUse
    | PermissionRequest | PermissionDenied | PostToolUse | PostToolUseFailure | PostToolBatch | Notification
    | SubagentStart | SubagentStop | TaskCreated | TaskCompleted | TeammateIdle | Stop | StopFailure | PreCompact
    | PostCompact | PreModelSwitch | PostModelSwitch | ConfigChange | CwdChanged | DirectoryAdded | FileChanged
    | WorktreeCreate | WorktreeRemove | Elicitation | ElicitationResult | SessionEnd | CdeskSelfTest
)  # fmt: skip

EVENTS: tuple[type[Payload], ...] = AnyPayload.__args__

_decoder = msgspec.json.Decoder(AnyPayload)
_FIELD = re.compile(r"at `\$\.(\w+)")


def read(raw: bytes) -> Payload | dict[str, Any]:
    """The payload, typed; a plain object when the event is not known yet. Raises BadPayload."""
    try:
        told: Payload = _decoder.decode(raw)
        return told
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError):
        raw = mend_surrogates(raw)
    return _without_mistyped(_object(raw))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"not valid JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(told, dict):
        raise BadPayload("a hook payload must be a JSON object")
    if not isinstance(told.get("hook_event_name"), str):
        raise BadPayload("hook_event_name is missing")
    return told


def _without_mistyped(told: dict[str, Any]) -> Payload | dict[str, Any]:
    for _ in range(MISTYPED_FIELDS_MAX):
        try:
            known: Payload = msgspec.convert(told, AnyPayload)
            return known
        except msgspec.ValidationError as error:
            found = _FIELD.search(str(error))
            if found is None or found[1] == "hook_event_name":
                break
            told = {name: value for name, value in told.items() if name != found[1]}
    return told


# -- the facts -----------------------------------------------------------------------------------------------------


def interpret(raw: bytes, received: datetime, person: Person) -> list[Activity]:
    """The facts one payload states; none when it states nothing new. Raises BadPayload."""
    told = read(raw)
    if isinstance(told, dict):
        return _unknown(told, raw, received, person)
    facts = _Facts(told, type(told).__name__, received, person)
    _TELL[type(told)](told, facts)
    return facts.found()


@dataclass(frozen=True, slots=True)
class Hooks:
    """Takes payloads in; what it says is taken is durable. Raises BadPayload, QueueFull and QueueError."""

    person: Person
    gate: Gate

    def take(self, raw: bytes, received_ns: int) -> int:
        """How many facts the payload stated."""
        activities = self.read(raw, received_ns)
        self.gate.admit(activities)
        return len(activities)

    def read(self, raw: bytes, received_ns: int) -> list[Activity]:
        """The facts the payload states; nothing of it is kept yet."""
        return interpret(raw, datetime.fromtimestamp(received_ns // 1000 / 1_000_000, UTC), self.person)


class _Facts:
    """Collects the facts of one payload, each with what all of them have in common."""

    def __init__(self, told: Payload, event: str, received: datetime, person: Person) -> None:
        self.told = told
        self.received = received
        self._event = event
        self._person = person
        self._facts: dict[str, Activity] = {}

    def add(
        self, activity: str, key: str, features: Features, *, at: datetime | None = None, session: bool = True
    ) -> None:
        told = self.told
        common: Features = {"project_path": told.cwd, "agent_id": told.agent_id}
        if session:
            common["is_sidechain"] = told.agent_id is not None
        seen = Activity(
            activity_id=key, ts=at or self.received, activity=activity, customer=self._person.customer,
            anonymous_customer_id=self._person.anonymous_customer_id, org_id=self._person.org_id,
            session_id=told.session_id or None if session else None, source="hook",
            feature_json={name: value for name, value in (common | features).items() if value is not None},
        )  # fmt: skip
        before = self._facts.get(key)
        self._facts[key] = seen if before is None else join(before, seen)

    def happened(self, activity: str, features: Features) -> None:
        """A fact without a name of its own: it happened in this session, told by this event, at this moment."""
        key = self.key("hook", self._event, self.told.agent_id or "", self.moment())
        self.add(activity, key, {"prompt_id": self.told.prompt_id, **features})

    def key(self, kind: str, *parts: str) -> str:
        return activity_id(kind, self.told.session_id or "", *parts)

    def moment(self) -> str:
        return self.received.isoformat()

    def found(self) -> list[Activity]:
        return list(self._facts.values())


def _session_start(told: SessionStart, facts: _Facts) -> None:
    session = told.session_id
    if not session or told.source == "compact":
        return
    if told.source == "resume":
        facts.add("session_resumed", facts.key("session", "resumed", facts.moment()), {
            "session_id": session, "event_type": "resume",
        })  # fmt: skip
        return
    facts.add("session_started", facts.key("session", "started"), {
        "session_id": session, "event_type": "start", "start_source": told.source, "model": told.model,
        "permission_mode": told.permission_mode,
    })  # fmt: skip


def _session_end(told: SessionEnd, facts: _Facts) -> None:
    """A session that is taken up again ends again: its last prompt tells the ends apart."""
    if told.session_id:
        facts.add("session_ended", facts.key("session", "ended", told.prompt_id or ""), {
            "session_id": told.session_id, "event_type": "end", "end_reason": told.reason,
        })  # fmt: skip


def _prompt(told: UserPromptSubmit, facts: _Facts) -> None:
    text = told.prompt
    if text is None:
        return
    if text.lstrip().startswith(MACHINE_MADE) or told.source in MACHINE_SOURCES:
        kind = told.source if told.source in MACHINE_SOURCES - {"system"} else "task_notification"
        facts.add("message_injected", facts.key("injected", text_hash(text)), {
            "kind": kind, "text": shorten(text), "length": len(text), "prompt_id": told.prompt_id,
        })  # fmt: skip
        return
    _asked(told, facts, text, {"prompt_kind": "human", "prompt_source": told.source})


def _expansion(told: UserPromptExpansion, facts: _Facts) -> None:
    """Follows the UserPromptSubmit of the same prompt, and knows that it was a command."""
    text = told.prompt if told.prompt is not None else f"/{told.command_name} {told.command_args or ''}".rstrip()
    _asked(told, facts, text, {"prompt_kind": "command", "command_name": told.command_name})


def _asked(told: Payload, facts: _Facts, text: str, features: Features) -> None:
    """Versions before 2.1.197 do not say which prompt it is: then the transcript alone tells it."""
    if told.prompt_id:
        facts.add("user_asked", activity_id("prompt-id", told.prompt_id), {
            "prompt_text": shorten(text), "prompt_hash": text_hash(text), "prompt_length": len(text),
            "prompt_id": told.prompt_id, "permission_mode": told.permission_mode, **features,
        })  # fmt: skip


# -- tools ---------------------------------------------------------------------------------------------------------


def _tool_before(told: PreToolUse, facts: _Facts) -> None:
    _called(told, facts, {})


def _tool_denied(told: PermissionDenied, facts: _Facts) -> None:
    outcome: Features = {"success": False, "error": _short(told.reason)}
    _called(told, facts, {**outcome, "error_type": "permission-denied", "permission_decision": "reject"}, outcome)


def _tool_done(told: PostToolUse, facts: _Facts) -> None:
    details = told.tool_response if isinstance(told.tool_response, dict) else {}
    outcome: Features = {"success": True, "latency_ms": _duration(told.duration_ms)}
    interrupted = details.get("interrupted")
    _called(told, facts, {
        **outcome, "interrupted": interrupted if isinstance(interrupted, bool) else None,
        "subagent_id": as_text(details.get("agentId")),
    }, outcome, at=_begun(told.duration_ms, facts))  # fmt: skip
    if told.tool_use_id and details:
        for change in file_changes(details):
            key = activity_id("file", told.tool_use_id, change.path)
            facts.add(change.activity, key, {"tool_use_id": told.tool_use_id, **change.features})
        _subagent_result(told.tool_use_id, details, facts)


def _tool_failed(told: PostToolUseFailure, facts: _Facts) -> None:
    outcome: Features = {
        "success": False, "latency_ms": _duration(told.duration_ms), "error": _short(told.error),
    }  # fmt: skip
    _called(
        told, facts, {**outcome, "error_type": "error", "interrupted": told.is_interrupt}, outcome,
        at=_begun(told.duration_ms, facts),
    )  # fmt: skip


def _tool_batch(told: PostToolBatch, facts: _Facts) -> None:
    for call in told.tool_calls or []:
        seen = PreToolUse(
            prompt_id=told.prompt_id, permission_mode=told.permission_mode, tool_name=call.tool_name,
            tool_use_id=call.tool_use_id, tool_input=call.tool_input if isinstance(call.tool_input, dict) else None,
        )  # fmt: skip
        size, kind = measure(call.tool_response)
        is_known = call.tool_response is not None
        result: Features = {"result_size": size, "result_type": kind} if is_known else {}
        _called(seen, facts, result, {"context_size": size} if is_known else {})


def _called(
    told: _ToolPayload, facts: _Facts, features: Features, mcp_features: Features | None = None, *, at: datetime | None = None
) -> None:  # fmt: skip
    """One call, and the MCP call that it is."""
    call, name = told.tool_use_id, told.tool_name
    if not call or not name:
        return
    server, tool = mcp_names(name)
    facts.add("tool_called", activity_id("tool", call), {
        "tool_name": name, "tool_use_id": call, "tool_category": tool_category(name),
        "parameters": shorten_all(told.tool_input) if told.tool_input is not None else None,
        "permission_mode": told.permission_mode, "prompt_id": told.prompt_id, "mcp_server": server, "mcp_tool": tool,
        **features,
    }, at=at)  # fmt: skip
    if server:
        facts.add("mcp_called", activity_id("mcp", call), {
            "method": tool, "mcp_server": server, "tool_use_id": call, **(mcp_features or {}),
        }, at=at)  # fmt: skip


def _duration(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= DURATION_MS_MAX else None


def _begun(duration_ms: float | None, facts: _Facts) -> datetime:
    return facts.received - timedelta(milliseconds=_duration(duration_ms) or 0.0)


def _permission_request(told: PermissionRequest, facts: _Facts) -> None:
    facts.happened("permission_requested", {
        "tool_name": told.tool_name, "permission_mode": told.permission_mode,
        "parameters": shorten_all(told.tool_input) if told.tool_input is not None else None,
    })  # fmt: skip


# -- subagents and tasks -------------------------------------------------------------------------------------------


def _subagent_start(told: SubagentStart, facts: _Facts) -> None:
    if told.agent_id:
        facts.add("subagent_started", _agent_key(told.agent_id, "started", facts), {
            "subagent_id": told.agent_id, "agent_type": told.agent_type,
        })  # fmt: skip


def _subagent_stop(told: SubagentStop, facts: _Facts) -> None:
    if told.agent_id and told.agent_type != "":
        facts.add("subagent_completed", _agent_key(told.agent_id, "completed", facts), {
            "subagent_id": told.agent_id, "agent_type": told.agent_type,
        })  # fmt: skip


def _subagent_result(call: str, details: dict[str, Any], facts: _Facts) -> None:
    """What the result of an Agent call says of the subagent, as `transcript/interpret.py` reads it."""
    agent = as_text(details.get("agentId"))
    link: Features = {
        "tool_use_id": call, "agent_type": as_text(details.get("agentType")) or as_text(details.get("agent_type")),
        "description": as_text(details.get("description")),
    }  # fmt: skip
    if agent is not None:
        facts.add("subagent_started", _agent_key(agent, "started", facts), {
            "subagent_id": agent, **link, "model": as_text(details.get("resolvedModel")),
        })  # fmt: skip
    if "totalToolUseCount" in details or "totalTokens" in details:
        key = _agent_key(agent, "completed", facts) if agent else activity_id("agent", call, "completed")
        facts.add("subagent_completed", key, {
            "subagent_id": agent or call, **link, "status": as_text(details.get("status")),
            "total_tokens": as_count(details.get("totalTokens")),
            "total_tool_uses": as_count(details.get("totalToolUseCount")),
            "duration_ms": as_number(details.get("totalDurationMs")),
        })  # fmt: skip


def _agent_key(agent: str, what: str, facts: _Facts) -> str:
    scope = "" if len(agent) > SHORT_AGENT_ID else facts.told.session_id or ""
    return activity_id("agent", scope, agent, what)


def _task(activity: str) -> Callable[[Any, _Facts], None]:
    def tell(told: _TaskPayload, facts: _Facts) -> None:
        if told.task_id:
            facts.add(activity, facts.key("task", told.task_id, activity), {
                "task_id": told.task_id, "title": _short(told.task_subject),
                "description": _short(told.task_description), "prompt_id": told.prompt_id,
            })  # fmt: skip

    return tell


def _teammate_idle(told: TeammateIdle, facts: _Facts) -> None:
    facts.happened("teammate_idled", {"agent_type": told.teammate_name or told.agent_type})


# -- the session ---------------------------------------------------------------------------------------------------


def _stop(told: Stop, facts: _Facts) -> None:
    facts.happened("claude_stopped", {"status": "completed"})


def _stop_failure(told: StopFailure, facts: _Facts) -> None:
    error = _short(told.error_details or told.last_assistant_message)
    facts.happened("claude_stopped", {"status": "failed", "kind": told.error, "error": error})


def _notification(told: Notification, facts: _Facts) -> None:
    facts.happened("notification_shown", {
        "kind": told.notification_type, "message": _short(told.message), "title": _short(told.title),
    })  # fmt: skip


def _compact(told: PreCompact, facts: _Facts) -> None:
    facts.happened("compaction_requested", {"trigger": told.trigger, "description": _short(told.custom_instructions)})


def _model_switch(told: PostModelSwitch, facts: _Facts) -> None:
    facts.happened("model_switched", {"from_model": told.from_model, "model": told.to_model, "kind": told.source})


def _setup(told: Setup, facts: _Facts) -> None:
    facts.happened("session_set_up", {"trigger": told.trigger})


def _instructions(told: InstructionsLoaded, facts: _Facts) -> None:
    facts.happened("instructions_loaded", {
        "path": told.file_path, "kind": told.memory_type, "trigger": told.load_reason,
    })  # fmt: skip


def _config(told: ConfigChange, facts: _Facts) -> None:
    facts.happened("config_changed", {"path": told.file_path, "kind": told.source})


def _cwd(told: CwdChanged, facts: _Facts) -> None:
    facts.happened("folder_changed", {"path": told.new_cwd})


def _directory(told: DirectoryAdded, facts: _Facts) -> None:
    facts.happened("folder_added", {"path": told.directory, "kind": told.source})


def _watched_file(told: FileChanged, facts: _Facts) -> None:
    facts.happened("watched_file_changed", {"path": told.file_path, "kind": told.event})


def _worktree_made(told: WorktreeCreate, facts: _Facts) -> None:
    facts.happened("worktree_requested", {"title": _short(told.name)})


def _worktree_gone(told: WorktreeRemove, facts: _Facts) -> None:
    facts.happened("worktree_removed", {"path": told.worktree_path})


def _elicitation(told: Elicitation, facts: _Facts) -> None:
    facts.happened("elicitation_requested", {
        "mcp_server": told.mcp_server_name, "kind": told.mode, "message": _short(told.message),
    })  # fmt: skip


def _elicitation_result(told: ElicitationResult, facts: _Facts) -> None:
    facts.happened("elicitation_answered", {
        "mcp_server": told.mcp_server_name, "kind": told.mode, "status": told.action,
    })  # fmt: skip


def _short(text: str | None) -> str | None:
    return shorten(text) if text else None


def _self_test(told: CdeskSelfTest, facts: _Facts) -> None:
    test = told.test_id or told.session_id
    if test:
        facts.add("self_test_arrived", activity_id("self-test", "hook", test), {
            "event_type": "self_test", "severity": "info", "message": test,
        }, session=False)  # fmt: skip


def _nothing(told: Payload, facts: _Facts) -> None:
    """Another event, or the transcript, says it better (see the top of this file)."""


def _unknown(told: dict[str, Any], raw: bytes, received: datetime, person: Person) -> list[Activity]:
    name = told["hook_event_name"]
    common = {name: as_text(told.get(name)) for name in ("session_id", "cwd", "prompt_id", "agent_id")}
    facts = _Facts(Payload(**common), shorten(name, 100), received, person)
    facts.happened("line_kept", {
        "event_type": "unknown_hook", "severity": "info", "line_type": f"hook/{shorten(name, 100)}",
        "message": f"a hook event {shorten(name, 100)} is not known yet", "line": shorten(raw.decode("utf-8", "replace")),
    })  # fmt: skip
    return facts.found()


_TELL: dict[type[Payload], Callable[[Any, _Facts], None]] = {
    SessionStart: _session_start, Setup: _setup, InstructionsLoaded: _instructions, UserPromptSubmit: _prompt,
    UserPromptExpansion: _expansion, MessageDisplay: _nothing, PreToolUse: _tool_before,
    PermissionRequest: _permission_request, PermissionDenied: _tool_denied, PostToolUse: _tool_done,
    PostToolUseFailure: _tool_failed, PostToolBatch: _tool_batch, Notification: _notification,
    SubagentStart: _subagent_start, SubagentStop: _subagent_stop, TaskCreated: _task("task_created"),
    TaskCompleted: _task("task_completed"), TeammateIdle: _teammate_idle, Stop: _stop, StopFailure: _stop_failure,
    PreCompact: _compact, PostCompact: _nothing, PreModelSwitch: _nothing, PostModelSwitch: _model_switch,
    ConfigChange: _config, CwdChanged: _cwd, DirectoryAdded: _directory, FileChanged: _watched_file,
    WorktreeCreate: _worktree_made, WorktreeRemove: _worktree_gone, Elicitation: _elicitation,
    ElicitationResult: _elicitation_result, SessionEnd: _session_end, CdeskSelfTest: _self_test,
}  # fmt: skip
