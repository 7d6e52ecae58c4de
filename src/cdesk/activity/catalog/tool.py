"""Tools that Claude called."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family

TOOL = Family(
    "tool",
    "VW_TOOL_EVENTS",
    (
        Declaration(
            "tool_called",
            "Claude called a tool",
            (
                F("tool_name", "string", "name the model used; null where only the result was told", privacy="public"),
                F("tool_use_id", "string", "the API's id of the call", privacy="public", required=True),
                F(
                    "tool_category",
                    "string",
                    "file, search, execute, analyze, transform, agent, plan or mcp",
                    privacy="public",
                ),
                F("parameters", "object", "what the tool was given, long texts cut", privacy="content"),
                F("success", "boolean", "the tool did what was asked; null until it ended", privacy="public"),
                F(
                    "latency_ms",
                    "number",
                    "run time where told, else time from call to result",
                    unit="ms",
                    privacy="public",
                    prefer=("otel", "hook", "transcript"),
                ),
                F("error", "string", "message of the failure", privacy="content"),
                F("error_type", "string", "kind of failure", privacy="public"),
                F("result_size", "integer", "size of what the model was given back", unit="bytes", privacy="public"),
                F("result_type", "string", "text, image, structured or none", privacy="public"),
                F("interrupted", "boolean", "the person stopped it", privacy="public"),
                F("permission_decision", "string", "accept or reject", privacy="public"),
                F("permission_source", "string", "who decided: config, hook, user, …", privacy="public"),
                F("permission_mode", "string", "permission mode then", privacy="public"),
                F("mcp_server", "string", "MCP server, for its tools", privacy="public"),
                F("mcp_tool", "string", "name the server gives the tool", privacy="public"),
                F("subagent_id", "string", "subagent the call started", privacy="public"),
                F("message_id", "string", "response that called it", privacy="public"),
                F("prompt_id", "string", "prompt it works on", privacy="public"),
                *COMMON,
            ),
            aliases=("claude_tool_call", "tool_call", "tool_execution"),
        ),
    ),
)
