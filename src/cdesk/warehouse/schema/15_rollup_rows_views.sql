-- Single activities in the form in which rollups count them, for who adds to a rollup what it does not hold yet.
-- Takes: CLAUDE_STREAM_V2, _STREAM_BEFORE. Gives: V_ROLLUP_ROWS, V_ROLLUP_ROWS_BEFORE.
--
-- The rules are those of the task roll_up_activity: summed by hour, V_ROLLUP_ROWS is ACTIVITY_ROLLUP.
--
-- The two views say the same of two tables. One view over both would be read eight times slower: through a UNION DuckDB
-- reads documents whole, not key by key. A test holds them together.

-- V_ROLLUP_ROWS: each row of the stream as it is now.
CREATE OR REPLACE VIEW V_ROLLUP_ROWS COPY GRANTS AS
SELECT
    activity_id,
    ts,
    customer,
    _session_id AS session_id,
    _project_path AS project_path,
    activity,
    CASE
        WHEN activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
            THEN COALESCE(feature_json:tool_name::VARCHAR, feature_json:mcp_tool::VARCHAR)
        WHEN activity IN ('claude_responded', 'llm_call', 'llm_response', 'api_request_failed') THEN _model
    END AS name,
    CASE
        WHEN activity IN (
            'tool_called', 'claude_tool_call', 'tool_call', 'tool_execution', 'mcp_called', 'mcp_call', 'get_context',
            'refresh_context', 'store_artifact'
        ) THEN TRY_TO_BOOLEAN(feature_json:success::VARCHAR)
    END AS is_success,
    CASE WHEN activity IN ('claude_responded', 'llm_call', 'llm_response') THEN COALESCE(_is_counted, TRUE) END AS is_counted,
    1 AS activities,
    IFF(revenue_impact IS NULL, 0, 1) AS priced,
    COALESCE(revenue_impact, 0) AS cost_usd,
    IFF(
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
        AND revenue_impact IS NULL AND COALESCE(_prompt_tokens::NUMBER(38, 0) + _completion_tokens, 1) > 0, 1, 0
    ) AS unpriced_shown,
    IFF(
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE),
        COALESCE(_prompt_tokens, 0)::NUMBER(38, 0) + COALESCE(_completion_tokens, 0)
        + COALESCE(_cache_creation_5m_tokens, 0) + COALESCE(_cache_creation_1h_tokens, 0)
        + COALESCE(_cache_read_tokens, 0), 0
    ) AS tokens_shown,
    _seq,
    _first_seq
FROM CLAUDE_STREAM_V2;

-- V_ROLLUP_ROWS_BEFORE: rows as they stood before a commit replaced or deleted them, while a consumer needs them.
CREATE OR REPLACE VIEW V_ROLLUP_ROWS_BEFORE COPY GRANTS AS
SELECT
    activity_id,
    ts,
    customer,
    _session_id AS session_id,
    _project_path AS project_path,
    activity,
    CASE
        WHEN activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
            THEN COALESCE(feature_json:tool_name::VARCHAR, feature_json:mcp_tool::VARCHAR)
        WHEN activity IN ('claude_responded', 'llm_call', 'llm_response', 'api_request_failed') THEN _model
    END AS name,
    CASE
        WHEN activity IN (
            'tool_called', 'claude_tool_call', 'tool_call', 'tool_execution', 'mcp_called', 'mcp_call', 'get_context',
            'refresh_context', 'store_artifact'
        ) THEN TRY_TO_BOOLEAN(feature_json:success::VARCHAR)
    END AS is_success,
    CASE WHEN activity IN ('claude_responded', 'llm_call', 'llm_response') THEN COALESCE(_is_counted, TRUE) END AS is_counted,
    1 AS activities,
    IFF(revenue_impact IS NULL, 0, 1) AS priced,
    COALESCE(revenue_impact, 0) AS cost_usd,
    IFF(
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE)
        AND revenue_impact IS NULL AND COALESCE(_prompt_tokens::NUMBER(38, 0) + _completion_tokens, 1) > 0, 1, 0
    ) AS unpriced_shown,
    IFF(
        activity IN ('claude_responded', 'llm_call', 'llm_response') AND COALESCE(_is_counted, TRUE),
        COALESCE(_prompt_tokens, 0)::NUMBER(38, 0) + COALESCE(_completion_tokens, 0)
        + COALESCE(_cache_creation_5m_tokens, 0) + COALESCE(_cache_creation_1h_tokens, 0)
        + COALESCE(_cache_read_tokens, 0), 0
    ) AS tokens_shown,
    _replaced_seq,
    _first_seq
FROM _STREAM_BEFORE;
