"""Sessions, their subagents and turns, from start to end."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family, Feature

_SEED = (
    F("session_id", "string", "Claude Code's session id", privacy="public", required=True),
    F(
        "event_type",
        "string",
        "start, resume, end, heartbeat, totals, compaction, hydration, turn, metric, connection or skill",
        privacy="public",
        required=True,
    ),
    F("user", "string", "operating system user", privacy="personal"),
    F("host", "string", "machine's name", privacy="personal"),
    F("entrypoint", "string", "cli, sdk-cli, …", privacy="public"),
    F("total_activities", "integer", "activities so far, where told", privacy="public", rule="totals"),
    F("total_tokens", "integer", "tokens so far, where told", unit="tokens", privacy="public", rule="totals"),
    F("session_duration_ms", "number", "length so far, where told", unit="ms", privacy="public", rule="totals"),
)
_AGENT = (
    F("subagent_id", "string", "the subagent", privacy="public", required=True),
    F("agent_type", "string", "kind of subagent", privacy="public"),
    F("tool_use_id", "string", "Agent call that started it: its parent", privacy="public"),
    F("parent_agent_id", "string", "subagent that started it; null for the main thread", privacy="public"),
    F("description", "string", "what it was started for", privacy="content"),
)


def _session(name: str, meaning: str, *own: Feature, aliases: tuple[str, ...] = ()) -> Declaration:
    return Declaration(name, meaning, (*_SEED, *own, *COMMON), aliases=aliases)


def _told(name: str, meaning: str, *own: Feature) -> Declaration:
    """What only a hook tells: it happened while Claude worked on a prompt."""
    return Declaration(
        name, meaning, (*own, F("prompt_id", "string", "Claude Code's prompt id", privacy="public"), *COMMON)
    )


def _kind(meaning: str) -> Feature:
    return F("kind", "string", meaning, privacy="public")


def _path(meaning: str) -> Feature:
    return F("path", "string", meaning)


_TASK = (
    F("task_id", "string", "its number in the list", privacy="public", required=True),
    F("title", "string", "what is to be done", privacy="content"),
    F("description", "string", "more about it", privacy="content"),
)
_MCP_SERVER = F("mcp_server", "string", "server's name", privacy="public", required=True)

SESSION = Family(
    "session",
    "VW_SESSION_EVENTS",
    (
        _session(
            "session_started",
            "a session began",
            F("start_source", "string", "startup, clear, fork, …", privacy="public"),
            F("model", "string", "model at the start", privacy="public"),
            F("forked_from", "string", "session it was forked from", privacy="public"),
            F("permission_mode", "string", "permission mode at the start", privacy="public"),
            aliases=("session_start", "claude_session_start"),
        ),
        _session("session_resumed", "a session was taken up again"),
        _session(
            "session_ended",
            "a session ended",
            F("end_reason", "string", "clear, logout, prompt_input_exit, other, …", privacy="public"),
            aliases=("session_end", "claude_session_end"),
        ),
        _session("session_heartbeat", "a session was still there"),
        _session(
            "session_totalled",
            "Claude Code's own totals of a session; the latest stand",
            F(
                "total_cost_usd",
                "number",
                "cost by Claude Code's own list",
                unit="USD",
                privacy="public",
                rule="totals",
            ),
            F("api_duration_ms", "number", "time in API requests", unit="ms", privacy="public", rule="totals"),
            F("tool_duration_ms", "number", "time in tools", unit="ms", privacy="public", rule="totals"),
            F("lines_added", "integer", "lines of code added", unit="lines", privacy="public", rule="totals"),
            F("lines_removed", "integer", "lines of code removed", unit="lines", privacy="public", rule="totals"),
            F("model_usage", "object", "tokens and cost by model", privacy="public", rule="totals"),
        ),
        _session(
            "session_titled",
            "a session was given a title",
            F("title", "string", "its title", privacy="content"),
        ),
        _session(
            "context_hydrated",
            "context was given to a session",
            F("hook_event", "string", "event at which it was given", privacy="public"),
            F("kind", "string", "for which kind of reader", privacy="public"),
            F("context_version", "string", "version of the context it is from", privacy="public"),
            F("context_size", "integer", "size of it", unit="bytes", privacy="public"),
            F("context_age_ms", "number", "how long ago it was put together", unit="ms", privacy="public"),
            F("stale", "boolean", "older than it should be", privacy="public"),
            F("is_whole", "boolean", "all of it, not only what is new", privacy="public"),
            F("channel", "string", "service, or file when no service answered", privacy="public"),
            F("text", "string", "what Claude was told, to the letter", privacy="content"),
            F("statements", "array", "its statements, each with section, sources and why", privacy="content"),
            aliases=("claude_context_hydration",),
        ),
        _session(
            "context_compacted",
            "a session's context was compacted",
            F("trigger", "string", "manual or auto", privacy="public"),
            F("pre_tokens", "integer", "tokens before", unit="tokens", privacy="public"),
            F("post_tokens", "integer", "tokens after", unit="tokens", privacy="public"),
            F("duration_ms", "number", "time it took", unit="ms", privacy="public"),
        ),
        _session(
            "turn_completed",
            "Claude finished working on a prompt",
            F("duration_ms", "number", "time it took", unit="ms", privacy="public"),
            F("message_count", "integer", "messages in the session by then", privacy="public"),
            F("prompt_id", "string", "Claude Code's prompt id", privacy="public"),
        ),
        _session(
            "metric_recorded",
            "Claude Code counted something over an interval; amounts add up",
            F("metric", "string", "commit.count, lines_of_code.count, active_time.total, …", privacy="public"),
            F("amount", "number", "how much", privacy="public"),
            F("unit", "string", "its unit, where it has one", privacy="public"),
            F("kind", "string", "added or removed; user or cli", privacy="public"),
            F("tool_name", "string", "tool that was decided about", privacy="public"),
            F("decision", "string", "accept or reject", privacy="public"),
            F("decision_source", "string", "who decided: config, hook, user, …", privacy="public"),
            F("language", "string", "language of the edited file", privacy="public"),
            F("model", "string", "model that did it", privacy="public"),
        ),
        _session(
            "mcp_connection_changed",
            "Claude Code connected to an MCP server, failed to, or let it go",
            F("mcp_server", "string", "server's name", privacy="public"),
            F("status", "string", "connected, disconnected or failed", privacy="public"),
            F("transport", "string", "stdio, http, …", privacy="public"),
            F("server_scope", "string", "where it is configured: user, project, dynamic, …", privacy="public"),
            F("duration_ms", "number", "time to connect, or that it was connected", unit="ms", privacy="public"),
            F("error", "string", "message of the failure", privacy="content"),
        ),
        _session(
            "skill_activated",
            "a skill was taken up",
            F("skill_name", "string", "its name"),
            F("skill_source", "string", "where it comes from: projectSettings, plugin, …", privacy="public"),
            F("invocation_trigger", "string", "who asked for it: user-slash, …", privacy="public"),
            F("prompt_id", "string", "Claude Code's prompt id", privacy="public"),
        ),
        _told(
            "permission_requested",
            "the person was asked whether a tool may run",
            F("tool_name", "string", "the tool", privacy="public", required=True),
            F("parameters", "object", "what it was to be given, long texts cut", privacy="content"),
            F("permission_mode", "string", "permission mode then", privacy="public"),
        ),
        _told(
            "claude_stopped",
            "Claude ended its turn",
            F("status", "string", "completed or failed", privacy="public", required=True),
            _kind("kind of failure: rate_limit, overloaded, …"),
            F("error", "string", "message of the failure", privacy="content"),
        ),
        _told(
            "notification_shown",
            "Claude Code wanted the person's attention",
            _kind("permission_prompt, idle_prompt, …"),
            F("message", "string", "what it said", privacy="content"),
            F("title", "string", "its headline", privacy="content"),
        ),
        _told("task_created", "a task was put on the session's list", *_TASK),
        _told("task_completed", "a task of the session's list was done", *_TASK),
        _told(
            "teammate_idled", "a teammate ran out of work", F("agent_type", "string", "the teammate", privacy="public")
        ),
        _told(
            "model_switched",
            "a session went on with another model",
            F("model", "string", "model from then on", privacy="public", required=True),
            F("from_model", "string", "model until then", privacy="public"),
            _kind("who switched: command, picker, sdk, auto, resume"),
        ),
        _told(
            "compaction_requested",
            "a session's context was about to be compacted",
            F("trigger", "string", "manual or auto", privacy="public"),
            F("description", "string", "what the person asked to keep", privacy="content"),
        ),
        _told(
            "session_set_up", "a project was set up", F("trigger", "string", "init or maintenance", privacy="public")
        ),
        _told(
            "instructions_loaded",
            "a file of instructions was put before the model",
            _path("the file"),
            _kind("User, Project, Local or Managed"),
            F("trigger", "string", "why: session_start, nested_traversal, …", privacy="public"),
        ),
        _told(
            "config_changed", "settings changed", _path("settings file"), _kind("user_settings, project_settings, …")
        ),
        _told("folder_changed", "the session went to another folder", _path("the folder it is in now")),
        _told("folder_added", "a folder was opened to the session", _path("the folder"), _kind("slash_command, …")),
        _told(
            "watched_file_changed",
            "a file that a hook watches changed",
            _path("the file"),
            _kind("change, add, unlink"),
        ),
        _told("worktree_requested", "a worktree was asked for", F("title", "string", "its name", privacy="content")),
        _told("worktree_removed", "a worktree was removed", _path("where it was")),
        _told(
            "elicitation_requested",
            "an MCP server asked the person something",
            _MCP_SERVER,
            _kind("form or url"),
            F("message", "string", "what it asked", privacy="content"),
        ),
        _told(
            "elicitation_answered",
            "the person answered an MCP server; the answer itself is not kept",
            _MCP_SERVER,
            _kind("form or url"),
            F("status", "string", "accept, decline or cancel", privacy="public"),
        ),
        Declaration(
            "subagent_started",
            "a subagent began",
            (
                *_AGENT,
                F("spawn_depth", "integer", "1 below the main thread", privacy="public"),
                F("model", "string", "model it runs on", privacy="public"),
                *COMMON,
            ),
        ),
        Declaration(
            "subagent_completed",
            "a subagent ended",
            (
                *_AGENT,
                F("status", "string", "completed, async_launched, …", privacy="public"),
                F("total_tokens", "integer", "tokens it used", unit="tokens", privacy="public"),
                F("total_tool_uses", "integer", "tools it called", privacy="public"),
                F("duration_ms", "number", "time it took", unit="ms", privacy="public"),
                *COMMON,
            ),
        ),
    ),
)
