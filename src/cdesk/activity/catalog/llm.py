"""What was asked of the model, what it answered, and what that cost."""

from cdesk.activity.catalog.shape import COMMON, Declaration, F, Family, Kind

_TOKENS: tuple[tuple[str, Kind, str, str], ...] = (
    ("model", "string", "model that answered; unknown ones are kept", ""),
    ("prompt_tokens", "integer", "input tokens neither read from nor written to the cache", "tokens"),
    ("completion_tokens", "integer", "output tokens, thinking included", "tokens"),
    ("cache_creation_tokens", "integer", "tokens written to the prompt cache", "tokens"),
    ("cache_creation_5m_tokens", "integer", "of these, kept for five minutes", "tokens"),
    ("cache_creation_1h_tokens", "integer", "of these, kept for an hour", "tokens"),
    ("cache_read_tokens", "integer", "tokens read from the prompt cache", "tokens"),
    ("total_tokens", "integer", "sum of prompt, completion, cache creation and cache read", "tokens"),
    ("thinking_tokens", "integer", "part of completion_tokens spent thinking", "tokens"),
    ("web_search_requests", "integer", "searches the API made", "requests"),
    ("speed", "string", "standard or fast", ""),
    ("service_tier", "string", "tier the API served it on", ""),
    ("cost_usd", "number", "price of the tokens by the dated book; null when unpriced", "USD"),
    ("is_priced", "boolean", "the book knows the model", ""),
    ("is_counted", "boolean", "the line is one that usage reports count (ccusage's rule)", ""),
)
_USAGE = tuple(
    F(name, kind, meaning, unit=unit, privacy="public", rule="usage") for name, kind, meaning, unit in _TOKENS
)

LLM = Family(
    "llm",
    "VW_LLM_EVENTS",
    (
        Declaration(
            "user_asked",
            "a person gave Claude a prompt",
            (
                F("prompt_text", "string", "what was typed, cut at the text limit", privacy="content"),
                F("prompt_hash", "string", "first 16 hex digits of the text's SHA-256"),
                F("prompt_length", "integer", "length of the whole text", unit="characters", privacy="public"),
                F("prompt_id", "string", "Claude Code's prompt id", privacy="public"),
                F("prompt_kind", "string", "human, command or bash", privacy="public", required=True),
                F("command_name", "string", "slash command, when one was used"),
                F("prompt_source", "string", "typed, sdk, …", privacy="public"),
                F("permission_mode", "string", "permission mode then", privacy="public"),
                F("image_count", "integer", "images attached", unit="images", privacy="public"),
                *COMMON,
            ),
        ),
        Declaration(
            "message_injected",
            "a machine-made message was put before the model",
            (
                F(
                    "kind",
                    "string",
                    "meta, compact_summary, task_notification, command_output, interrupt or agent_prompt",
                    privacy="public",
                    required=True,
                ),
                F("text", "string", "its text, cut at the text limit", privacy="content"),
                F("length", "integer", "length of the whole text", unit="characters", privacy="public"),
                F("prompt_id", "string", "Claude Code's prompt id", privacy="public"),
                *COMMON,
            ),
        ),
        Declaration(
            "claude_responded",
            "the model answered one API request",
            (
                *_USAGE,
                F("message_id", "string", "the API's message id", privacy="public"),
                F("request_id", "string", "the API's request id", privacy="public", rule="usage"),
                F("requested_model", "string", "model that was asked for", privacy="public"),
                F("stop_reason", "string", "why the model stopped", privacy="public"),
                F("effort", "string", "thinking effort asked for", privacy="public"),
                F("query_source", "string", "what asked: sdk, repl_main_thread, agent:…, compact, …", privacy="public"),
                F("reported_cost_usd", "number", "cost by Claude Code's own list", unit="USD", privacy="public"),
                F(
                    "latency_ms",
                    "number",
                    "time to the first token",
                    unit="ms",
                    privacy="public",
                    prefer=("otel", "transcript"),
                ),
                F(
                    "total_latency_ms",
                    "number",
                    "time to the last token",
                    unit="ms",
                    privacy="public",
                    prefer=("otel", "transcript"),
                ),
                F("response_text", "string", "the text blocks, cut at the text limit", privacy="content"),
                F("response_length", "integer", "length of the whole text", unit="characters", privacy="public"),
                F("prompt_hash", "string", "hash of the prompt it answers"),
                F("temperature", "number", "sampling temperature, where known", privacy="public"),
                F("max_tokens", "integer", "output limit asked for", unit="tokens", privacy="public"),
                F("stream", "boolean", "the answer was streamed", privacy="public"),
                *COMMON,
            ),
            aliases=("llm_call", "llm_response"),
        ),
        Declaration(
            "api_request_failed",
            "an API request ended in an error",
            (
                F("model", "string", "model that was asked", privacy="public"),
                F("request_id", "string", "the API's request id", privacy="public"),
                F("status", "integer", "HTTP status", privacy="public"),
                F("error_type", "string", "kind of error", privacy="public"),
                F("error", "string", "message", privacy="content"),
                F("retry_attempt", "integer", "which retry this was", privacy="public"),
                F("retry_in_ms", "number", "wait before the next try", unit="ms", privacy="public"),
                *COMMON,
            ),
        ),
    ),
)
