"""Calls to MCP servers, cdesk's own among them."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family

MCP = Family(
    "mcp",
    "VW_MCP_EVENTS",
    (
        Declaration(
            "mcp_called",
            "a tool of an MCP server was called",
            (
                F("method", "string", "tool or protocol method", privacy="public", required=True),
                F("mcp_server", "string", "server's name", privacy="public"),
                F("tool_use_id", "string", "the API's id of the call", privacy="public"),
                F(
                    "latency_ms",
                    "number",
                    "wall time",
                    unit="ms",
                    privacy="public",
                    prefer=("mcp", "otel", "hook", "transcript"),
                ),
                F("success", "boolean", "it worked", privacy="public"),
                F("error", "string", "message of the failure", privacy="content"),
                F("cache_hit", "boolean", "answered from the context cache", privacy="public"),
                F("cache_age_ms", "number", "age of what was answered", unit="ms", privacy="public"),
                F("stale", "boolean", "served stale while revalidating", privacy="public"),
                F("context_size", "integer", "size of the answer", unit="bytes", privacy="public"),
                *COMMON,
            ),
            aliases=("mcp_call", "get_context", "refresh_context", "store_artifact"),
        ),
    ),
)
