-- One view for each family of activities, every declared feature a typed column.
-- Takes: CLAUDE_STREAM_V2, QUERY_HISTORY. Gives: VW_SQL_EVENTS, VW_LLM_EVENTS, VW_TOOL_EVENTS, VW_FILE_EVENTS,
-- VW_SESSION_EVENTS, VW_MCP_EVENTS, VW_SYSTEM_EVENTS.
--
-- A value of the wrong type reads NULL, never an error: every feature is read as text and tried as its type. Columns
-- carry the feature's name or the original system's (docs/views.md lists the renamed ones). Money is US dollars,
-- latencies are ms, sizes are bytes, times are UTC. The filters name the original's activities too.
--
-- Two ways to read a key mean the same on Snowflake. On DuckDB feature_json:key reads just that key's own column,
-- which is fast while some row of each row group has the key, and slow where none has, or where it holds an object.
-- GET(feature_json, 'key') reads the document whole, but only of the family's rows: it is for families and keys that
-- are rare. The two do not mix well in one query, so the rare families use GET throughout.

-- VW_SQL_EVENTS: statements run for an answer, each with its row of the query log.
-- The log is found by its tag, cdesk:<query_id>; of several runs under one tag the last to start speaks. Columns of the
-- original that our log does not hold stay, as NULL. is_answer: the statement gave an answer. has_provenance: whoever
-- has the answer can go back to an artifact or to the run.
CREATE OR REPLACE VIEW VW_SQL_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        GET(feature_json, 'query_id')::VARCHAR AS query_id,
        GET(feature_json, 'sql')::VARCHAR AS sql_text,
        GET(feature_json, 'warehouse')::VARCHAR AS warehouse,
        GET(feature_json, 'role')::VARCHAR AS role,
        GET(feature_json, 'database')::VARCHAR AS database,
        GET(feature_json, 'schema')::VARCHAR AS schema,
        TRY_CAST(GET(feature_json, 'rows')::VARCHAR AS BIGINT) AS rows_returned,
        TRY_CAST(GET(feature_json, 'bytes_scanned')::VARCHAR AS BIGINT) AS bytes_scanned,
        TRY_TO_DOUBLE(GET(feature_json, 'duration_ms')::VARCHAR) AS duration_ms,
        TRY_TO_DOUBLE(GET(feature_json, 'credits_used')::VARCHAR) AS credits_used,
        CASE
            WHEN activity = 'query_error' THEN FALSE
            ELSE TRY_TO_BOOLEAN(GET(feature_json, 'success')::VARCHAR)
        END AS success,
        GET(feature_json, 'error')::VARCHAR AS error_message,
        GET(feature_json, 'error_code')::VARCHAR AS error_code,
        GET(feature_json, 'project_path')::VARCHAR AS project_path,
        GET(feature_json, 'git_branch')::VARCHAR AS git_branch,
        GET(feature_json, 'cli_version')::VARCHAR AS cli_version,
        GET(feature_json, 'agent_id')::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(GET(feature_json, 'is_sidechain')::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN (
        'sql_executed', 'query_complete', 'query_submitted', 'query_error', 'sql_execution', 'claude_sql_execution'
    )
),

runs AS (
    SELECT *
    FROM QUERY_HISTORY
    WHERE query_tag LIKE 'cdesk:%'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY query_tag ORDER BY start_time DESC NULLS LAST, query_id DESC) = 1
),

matched AS (
    SELECT
        typed.*,
        typed.link AS artifact_id,
        typed.revenue_impact AS total_cost_usd,
        runs.query_id AS snowflake_query_id,
        runs.query_text AS actual_query_text,
        runs.database_name AS actual_database,
        runs.schema_name AS actual_schema,
        runs.warehouse_name AS actual_warehouse,
        runs.role_name AS actual_role,
        runs.start_time AS qh_start_time,
        runs.end_time AS qh_end_time,
        runs.execution_status AS qh_execution_status,
        runs.total_elapsed_time AS qh_total_elapsed_time_ms,
        CAST(NULL AS VARCHAR) AS warehouse_size,
        CAST(NULL AS VARCHAR) AS warehouse_type,
        runs.bytes_scanned AS qh_bytes_scanned,
        CAST(NULL AS BIGINT) AS bytes_written,
        runs.rows_produced AS qh_rows_produced,
        CAST(NULL AS BIGINT) AS rows_inserted,
        CAST(NULL AS BIGINT) AS rows_updated,
        CAST(NULL AS BIGINT) AS rows_deleted,
        runs.credits_used_cloud_services AS qh_credits,
        runs.execution_time AS qh_execution_time_ms,
        runs.compilation_time,
        CAST(NULL AS DOUBLE) AS queued_provisioning_time,
        CAST(NULL AS DOUBLE) AS queued_repair_time,
        CAST(NULL AS DOUBLE) AS queued_overload_time,
        CAST(NULL AS DOUBLE) AS list_external_files_time,
        runs.error_code AS qh_error_code,
        runs.error_message AS qh_error_message,
        CASE
            WHEN typed.success THEN 'success'
            WHEN typed.success = FALSE OR runs.error_code IS NOT NULL THEN 'failed'
            WHEN typed.link IS NOT NULL THEN 'completed'
            ELSE 'unknown'
        END AS status
    FROM typed
    LEFT JOIN runs ON runs.query_tag = 'cdesk:' || typed.query_id
)

SELECT
    matched.*,
    activity <> 'query_submitted' AND status <> 'failed' AS is_answer,
    query_id IS NOT NULL AND (artifact_id IS NOT NULL OR snowflake_query_id IS NOT NULL) AS has_provenance
FROM matched;

-- VW_LLM_EVENTS: prompts, the answers of the model with their tokens and price, and failed requests.
-- estimated_cost_usd is what the dated price book said when the answer was recorded; NULL is unpriced, never 0.
-- is_unpriced: an answer that used tokens (or does not say) and has no price. Lines that usage reports leave out
-- (is_counted false) are never called unpriced.
CREATE OR REPLACE VIEW VW_LLM_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        feature_json:prompt_text::VARCHAR AS prompt_text,
        feature_json:prompt_hash::VARCHAR AS prompt_hash,
        TRY_CAST(feature_json:prompt_length::VARCHAR AS BIGINT) AS prompt_length,
        feature_json:prompt_id::VARCHAR AS prompt_id,
        feature_json:prompt_kind::VARCHAR AS prompt_kind,
        feature_json:command_name::VARCHAR AS command_name,
        feature_json:prompt_source::VARCHAR AS prompt_source,
        feature_json:permission_mode::VARCHAR AS permission_mode,
        TRY_CAST(feature_json:image_count::VARCHAR AS BIGINT) AS image_count,
        GET(feature_json, 'kind')::VARCHAR AS kind,
        GET(feature_json, 'text')::VARCHAR AS text,
        TRY_CAST(GET(feature_json, 'length')::VARCHAR AS BIGINT) AS length,
        feature_json:model::VARCHAR AS model,
        TRY_CAST(feature_json:prompt_tokens::VARCHAR AS BIGINT) AS prompt_tokens,
        TRY_CAST(feature_json:completion_tokens::VARCHAR AS BIGINT) AS completion_tokens,
        TRY_CAST(feature_json:cache_creation_tokens::VARCHAR AS BIGINT) AS cache_creation_tokens,
        TRY_CAST(feature_json:cache_creation_5m_tokens::VARCHAR AS BIGINT) AS cache_creation_5m_tokens,
        TRY_CAST(feature_json:cache_creation_1h_tokens::VARCHAR AS BIGINT) AS cache_creation_1h_tokens,
        TRY_CAST(feature_json:cache_read_tokens::VARCHAR AS BIGINT) AS cache_read_tokens,
        TRY_CAST(feature_json:total_tokens::VARCHAR AS BIGINT) AS total_tokens,
        TRY_CAST(feature_json:thinking_tokens::VARCHAR AS BIGINT) AS thinking_tokens,
        TRY_CAST(feature_json:web_search_requests::VARCHAR AS BIGINT) AS web_search_requests,
        feature_json:speed::VARCHAR AS speed,
        feature_json:service_tier::VARCHAR AS service_tier,
        TRY_TO_DOUBLE(feature_json:cost_usd::VARCHAR) AS cost_usd,
        TRY_TO_BOOLEAN(feature_json:is_priced::VARCHAR) AS is_priced,
        TRY_TO_BOOLEAN(feature_json:is_counted::VARCHAR) AS is_counted,
        feature_json:message_id::VARCHAR AS message_id,
        feature_json:request_id::VARCHAR AS request_id,
        feature_json:requested_model::VARCHAR AS requested_model,
        feature_json:stop_reason::VARCHAR AS stop_reason,
        feature_json:effort::VARCHAR AS effort,
        feature_json:query_source::VARCHAR AS query_source,
        TRY_TO_DOUBLE(feature_json:reported_cost_usd::VARCHAR) AS reported_cost_usd,
        TRY_TO_DOUBLE(feature_json:latency_ms::VARCHAR) AS time_to_first_token_ms,
        TRY_TO_DOUBLE(feature_json:total_latency_ms::VARCHAR) AS total_latency_ms,
        feature_json:response_text::VARCHAR AS response_text,
        TRY_CAST(feature_json:response_length::VARCHAR AS BIGINT) AS response_length,
        TRY_TO_DOUBLE(feature_json:temperature::VARCHAR) AS temperature,
        TRY_CAST(feature_json:max_tokens::VARCHAR AS BIGINT) AS max_tokens,
        TRY_TO_BOOLEAN(feature_json:stream::VARCHAR) AS is_streamed,
        TRY_CAST(GET(feature_json, 'status')::VARCHAR AS BIGINT) AS status,
        feature_json:error_type::VARCHAR AS error_type,
        feature_json:error::VARCHAR AS error_message,
        TRY_CAST(GET(feature_json, 'retry_attempt')::VARCHAR AS BIGINT) AS retry_attempt,
        TRY_TO_DOUBLE(GET(feature_json, 'retry_in_ms')::VARCHAR) AS retry_in_ms,
        feature_json:project_path::VARCHAR AS project_path,
        feature_json:git_branch::VARCHAR AS git_branch,
        feature_json:cli_version::VARCHAR AS cli_version,
        feature_json:agent_id::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(feature_json:is_sidechain::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN (
        'user_asked', 'message_injected', 'claude_responded', 'llm_call', 'llm_response', 'api_request_failed'
    )
)

SELECT
    typed.*,
    link AS artifact_id,
    COALESCE(cost_usd, revenue_impact) AS estimated_cost_usd,
    CASE
        WHEN time_to_first_token_ms < 300 THEN 'fast'
        WHEN time_to_first_token_ms < 1000 THEN 'normal'
        WHEN time_to_first_token_ms >= 1000 THEN 'slow'
    END AS latency_category,
    activity IN ('claude_responded', 'llm_call', 'llm_response') AS is_response,
    activity IN ('claude_responded', 'llm_call', 'llm_response')
    AND COALESCE(is_counted, TRUE)
    AND COALESCE(cost_usd, revenue_impact) IS NULL
    AND COALESCE(total_tokens, 1) > 0 AS is_unpriced
FROM typed;

-- VW_TOOL_EVENTS: tools that Claude called.
-- success_flag is 1, 0, or NULL until the call ended; a call without a latency has no tier.
CREATE OR REPLACE VIEW VW_TOOL_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        feature_json:tool_name::VARCHAR AS tool_name,
        feature_json:tool_use_id::VARCHAR AS tool_use_id,
        feature_json:tool_category::VARCHAR AS tool_category,
        STRIP_NULL_VALUE(GET(feature_json, 'parameters')) AS parameters,
        TRY_TO_BOOLEAN(feature_json:success::VARCHAR) AS success,
        TRY_TO_DOUBLE(feature_json:latency_ms::VARCHAR) AS latency_ms,
        feature_json:error::VARCHAR AS error_message,
        feature_json:error_type::VARCHAR AS error_type,
        TRY_CAST(feature_json:result_size::VARCHAR AS BIGINT) AS result_size_bytes,
        feature_json:result_type::VARCHAR AS result_type,
        TRY_TO_BOOLEAN(feature_json:interrupted::VARCHAR) AS interrupted,
        feature_json:permission_decision::VARCHAR AS permission_decision,
        feature_json:permission_source::VARCHAR AS permission_source,
        feature_json:permission_mode::VARCHAR AS permission_mode,
        feature_json:mcp_server::VARCHAR AS mcp_server,
        feature_json:mcp_tool::VARCHAR AS mcp_tool,
        feature_json:subagent_id::VARCHAR AS subagent_id,
        feature_json:message_id::VARCHAR AS message_id,
        feature_json:prompt_id::VARCHAR AS prompt_id,
        feature_json:project_path::VARCHAR AS project_path,
        feature_json:git_branch::VARCHAR AS git_branch,
        feature_json:cli_version::VARCHAR AS cli_version,
        feature_json:agent_id::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(feature_json:is_sidechain::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
)

SELECT
    typed.*,
    COALESCE(tool_name, mcp_tool) AS tool_name_normalized,
    CASE
        WHEN latency_ms < 25 THEN 'excellent'
        WHEN latency_ms < 100 THEN 'good'
        WHEN latency_ms < 500 THEN 'acceptable'
        WHEN latency_ms >= 500 THEN 'poor'
    END AS performance_tier,
    CASE WHEN success THEN 1 WHEN NOT success THEN 0 END AS success_flag
FROM typed;

-- VW_FILE_EVENTS: files that Claude's tools read and changed.
-- bytes_changed counts a file that was not there, or is no longer, as empty.
CREATE OR REPLACE VIEW VW_FILE_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        feature_json:operation::VARCHAR AS operation,
        feature_json:file_path::VARCHAR AS file_path,
        feature_json:file_type::VARCHAR AS file_type,
        TRY_CAST(feature_json:lines_affected::VARCHAR AS BIGINT) AS lines_affected,
        TRY_CAST(feature_json:lines_added::VARCHAR AS BIGINT) AS lines_added,
        TRY_CAST(feature_json:lines_removed::VARCHAR AS BIGINT) AS lines_removed,
        TRY_CAST(feature_json:bytes_before::VARCHAR AS BIGINT) AS bytes_before,
        TRY_CAST(feature_json:bytes_after::VARCHAR AS BIGINT) AS bytes_after,
        TRY_TO_BOOLEAN(feature_json:success::VARCHAR) AS success,
        TRY_TO_BOOLEAN(feature_json:git_tracked::VARCHAR) AS git_tracked,
        TRY_TO_BOOLEAN(feature_json:user_modified::VARCHAR) AS user_modified,
        feature_json:tool_use_id::VARCHAR AS tool_use_id,
        feature_json:project_path::VARCHAR AS project_path,
        feature_json:git_branch::VARCHAR AS git_branch,
        feature_json:cli_version::VARCHAR AS cli_version,
        feature_json:agent_id::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(feature_json:is_sidechain::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN (
        'file_read', 'file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed',
        'claude_file_operation', 'file_op', 'file_operation'
    )
),

sized AS (
    SELECT
        typed.*,
        CASE WHEN operation = 'create' THEN COALESCE(bytes_before, 0) ELSE bytes_before END AS size_before,
        CASE WHEN operation = 'delete' THEN COALESCE(bytes_after, 0) ELSE bytes_after END AS size_after
    FROM typed
)

SELECT
    sized.* EXCLUDE (size_before, size_after),
    COALESCE(link, 'file://' || file_path) AS file_link,
    CASE WHEN size_before >= 0 AND size_after >= 0 THEN size_after - size_before END AS bytes_changed,
    CASE
        WHEN operation IN ('create', 'write') THEN 'write'
        WHEN operation = 'read' THEN 'read'
        WHEN operation = 'edit' THEN 'modify'
        WHEN operation = 'rename' THEN 'rename'
        WHEN operation = 'delete' THEN 'delete'
        ELSE 'other'
    END AS operation_category
FROM sized;

-- VW_SESSION_EVENTS: sessions, their subagents and turns, from start to end.
-- session_cost_usd is Claude Code's own total where it told one, else the row's own cost; NULL where neither is known.
CREATE OR REPLACE VIEW VW_SESSION_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        COALESCE(GET(feature_json, 'session_id')::VARCHAR, _session_id) AS session_id,
        GET(feature_json, 'event_type')::VARCHAR AS event_type,
        GET(feature_json, 'user')::VARCHAR AS user,
        GET(feature_json, 'host')::VARCHAR AS host,
        GET(feature_json, 'entrypoint')::VARCHAR AS entrypoint,
        TRY_CAST(GET(feature_json, 'total_activities')::VARCHAR AS BIGINT) AS total_activities,
        TRY_CAST(GET(feature_json, 'total_tokens')::VARCHAR AS BIGINT) AS total_tokens,
        TRY_TO_DOUBLE(GET(feature_json, 'session_duration_ms')::VARCHAR) AS session_duration_ms,
        GET(feature_json, 'start_source')::VARCHAR AS start_source,
        GET(feature_json, 'model')::VARCHAR AS model,
        GET(feature_json, 'forked_from')::VARCHAR AS forked_from,
        GET(feature_json, 'permission_mode')::VARCHAR AS permission_mode,
        GET(feature_json, 'end_reason')::VARCHAR AS end_reason,
        TRY_TO_DOUBLE(GET(feature_json, 'total_cost_usd')::VARCHAR) AS total_cost_usd,
        TRY_TO_DOUBLE(GET(feature_json, 'api_duration_ms')::VARCHAR) AS api_duration_ms,
        TRY_TO_DOUBLE(GET(feature_json, 'tool_duration_ms')::VARCHAR) AS tool_duration_ms,
        TRY_CAST(GET(feature_json, 'lines_added')::VARCHAR AS BIGINT) AS lines_added,
        TRY_CAST(GET(feature_json, 'lines_removed')::VARCHAR AS BIGINT) AS lines_removed,
        STRIP_NULL_VALUE(GET(feature_json, 'model_usage')) AS model_usage,
        GET(feature_json, 'title')::VARCHAR AS title,
        TRY_CAST(GET(feature_json, 'context_size')::VARCHAR AS BIGINT) AS context_size,
        GET(feature_json, 'hook_event')::VARCHAR AS hook_event,
        GET(feature_json, 'context_version')::VARCHAR AS context_version,
        TRY_TO_DOUBLE(GET(feature_json, 'context_age_ms')::VARCHAR) AS context_age_ms,
        TRY_TO_BOOLEAN(GET(feature_json, 'stale')::VARCHAR) AS stale,
        TRY_TO_BOOLEAN(GET(feature_json, 'is_whole')::VARCHAR) AS is_whole,
        GET(feature_json, 'channel')::VARCHAR AS channel,
        GET(feature_json, 'text')::VARCHAR AS text,
        STRIP_NULL_VALUE(GET(feature_json, 'statements')) AS statements,
        GET(feature_json, 'trigger')::VARCHAR AS triggered_by,
        TRY_CAST(GET(feature_json, 'pre_tokens')::VARCHAR AS BIGINT) AS pre_tokens,
        TRY_CAST(GET(feature_json, 'post_tokens')::VARCHAR AS BIGINT) AS post_tokens,
        TRY_TO_DOUBLE(GET(feature_json, 'duration_ms')::VARCHAR) AS duration_ms,
        TRY_CAST(GET(feature_json, 'message_count')::VARCHAR AS BIGINT) AS message_count,
        GET(feature_json, 'prompt_id')::VARCHAR AS prompt_id,
        GET(feature_json, 'metric')::VARCHAR AS metric,
        TRY_TO_DOUBLE(GET(feature_json, 'amount')::VARCHAR) AS amount,
        GET(feature_json, 'unit')::VARCHAR AS unit,
        GET(feature_json, 'kind')::VARCHAR AS kind,
        GET(feature_json, 'tool_name')::VARCHAR AS tool_name,
        GET(feature_json, 'decision')::VARCHAR AS decision,
        GET(feature_json, 'decision_source')::VARCHAR AS decision_source,
        GET(feature_json, 'language')::VARCHAR AS language,
        GET(feature_json, 'mcp_server')::VARCHAR AS mcp_server,
        GET(feature_json, 'status')::VARCHAR AS status,
        GET(feature_json, 'transport')::VARCHAR AS transport,
        GET(feature_json, 'server_scope')::VARCHAR AS server_scope,
        GET(feature_json, 'error')::VARCHAR AS error,
        GET(feature_json, 'skill_name')::VARCHAR AS skill_name,
        GET(feature_json, 'skill_source')::VARCHAR AS skill_source,
        GET(feature_json, 'invocation_trigger')::VARCHAR AS invocation_trigger,
        STRIP_NULL_VALUE(GET(feature_json, 'parameters')) AS parameters,
        GET(feature_json, 'message')::VARCHAR AS message,
        GET(feature_json, 'task_id')::VARCHAR AS task_id,
        GET(feature_json, 'description')::VARCHAR AS description,
        GET(feature_json, 'agent_type')::VARCHAR AS agent_type,
        GET(feature_json, 'from_model')::VARCHAR AS from_model,
        GET(feature_json, 'path')::VARCHAR AS path,
        GET(feature_json, 'subagent_id')::VARCHAR AS subagent_id,
        GET(feature_json, 'tool_use_id')::VARCHAR AS tool_use_id,
        GET(feature_json, 'parent_agent_id')::VARCHAR AS parent_agent_id,
        TRY_CAST(GET(feature_json, 'spawn_depth')::VARCHAR AS BIGINT) AS spawn_depth,
        TRY_CAST(GET(feature_json, 'total_tool_uses')::VARCHAR AS BIGINT) AS total_tool_uses,
        GET(feature_json, 'project_path')::VARCHAR AS project_path,
        GET(feature_json, 'git_branch')::VARCHAR AS git_branch,
        GET(feature_json, 'cli_version')::VARCHAR AS cli_version,
        GET(feature_json, 'agent_id')::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(GET(feature_json, 'is_sidechain')::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN (
        'session_started', 'session_start', 'claude_session_start', 'session_resumed',
        'session_ended', 'session_end', 'claude_session_end',
        'session_heartbeat', 'session_totalled', 'session_titled',
        'context_hydrated', 'claude_context_hydration', 'context_compacted',
        'turn_completed', 'metric_recorded', 'skill_activated', 'mcp_connection_changed',
        'subagent_started', 'subagent_completed',
        'permission_requested', 'claude_stopped', 'notification_shown', 'task_created', 'task_completed',
        'teammate_idled', 'model_switched', 'compaction_requested', 'session_set_up', 'instructions_loaded',
        'config_changed', 'folder_changed', 'folder_added', 'watched_file_changed', 'worktree_requested',
        'worktree_removed', 'elicitation_requested', 'elicitation_answered'
    )
)

SELECT
    typed.*,
    CASE
        WHEN activity IN ('session_started', 'session_start', 'claude_session_start') THEN 'started'
        WHEN activity = 'session_resumed' THEN 'resumed'
        WHEN activity IN ('session_ended', 'session_end', 'claude_session_end') THEN 'completed'
        WHEN activity IN ('context_hydrated', 'claude_context_hydration') THEN 'hydrating'
        ELSE 'active'
    END AS session_status,
    COALESCE(total_cost_usd, revenue_impact) AS session_cost_usd
FROM typed;

-- VW_MCP_EVENTS: calls to MCP servers, cdesk's own among them.
-- The aim is 25 ms; a call that tells no latency, or nothing of a cache, has no status.
CREATE OR REPLACE VIEW VW_MCP_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        COALESCE(
            GET(feature_json, 'method')::VARCHAR,
            CASE WHEN activity IN ('get_context', 'refresh_context', 'store_artifact') THEN activity END
        ) AS method,
        GET(feature_json, 'mcp_server')::VARCHAR AS mcp_server,
        GET(feature_json, 'tool_use_id')::VARCHAR AS tool_use_id,
        TRY_TO_DOUBLE(GET(feature_json, 'latency_ms')::VARCHAR) AS latency_ms,
        TRY_TO_BOOLEAN(GET(feature_json, 'success')::VARCHAR) AS success,
        GET(feature_json, 'error')::VARCHAR AS error_message,
        TRY_TO_BOOLEAN(GET(feature_json, 'cache_hit')::VARCHAR) AS cache_hit,
        TRY_TO_DOUBLE(GET(feature_json, 'cache_age_ms')::VARCHAR) AS cache_age_ms,
        TRY_TO_BOOLEAN(GET(feature_json, 'stale')::VARCHAR) AS is_stale_while_revalidate,
        TRY_CAST(GET(feature_json, 'context_size')::VARCHAR AS BIGINT) AS context_size_bytes,
        GET(feature_json, 'project_path')::VARCHAR AS project_path,
        GET(feature_json, 'git_branch')::VARCHAR AS git_branch,
        GET(feature_json, 'cli_version')::VARCHAR AS cli_version,
        GET(feature_json, 'agent_id')::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(GET(feature_json, 'is_sidechain')::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN ('mcp_called', 'mcp_call', 'get_context', 'refresh_context', 'store_artifact')
)

SELECT
    typed.*,
    CASE WHEN latency_ms <= 25 THEN 'within_slo' WHEN latency_ms > 25 THEN 'slo_breach' END AS latency_slo_status,
    CASE
        WHEN cache_hit AND cache_age_ms < 30000 THEN 'fresh_hit'
        WHEN cache_hit AND is_stale_while_revalidate THEN 'stale_hit'
        WHEN cache_hit THEN 'hit'
        WHEN NOT cache_hit THEN 'miss'
    END AS cache_status
FROM typed;

-- VW_SYSTEM_EVENTS: what happened to cdesk itself.
-- alert_priority: 1 is the most urgent, 4 the least.
CREATE OR REPLACE VIEW VW_SYSTEM_EVENTS COPY GRANTS AS
WITH typed AS (
    SELECT
        activity_id, ts, activity, customer, anonymous_customer_id, revenue_impact, link,
        activity_occurrence, activity_repeated_at, _org_id, _session_id, _source,
        GET(feature_json, 'event_type')::VARCHAR AS event_type,
        GET(feature_json, 'severity')::VARCHAR AS severity,
        GET(feature_json, 'message')::VARCHAR AS message,
        STRIP_NULL_VALUE(GET(feature_json, 'metrics')) AS metrics,
        GET(feature_json, 'action_taken')::VARCHAR AS action_taken,
        GET(feature_json, 'task')::VARCHAR AS task,
        GET(feature_json, 'line_type')::VARCHAR AS line_type,
        GET(feature_json, 'line')::VARCHAR AS line,
        GET(feature_json, 'prompt_id')::VARCHAR AS prompt_id,
        GET(feature_json, 'hook_event')::VARCHAR AS hook_event,
        GET(feature_json, 'hook_name')::VARCHAR AS hook_name,
        GET(feature_json, 'outcome')::VARCHAR AS outcome,
        TRY_CAST(GET(feature_json, 'exit_code')::VARCHAR AS BIGINT) AS exit_code,
        TRY_TO_DOUBLE(GET(feature_json, 'duration_ms')::VARCHAR) AS duration_ms,
        GET(feature_json, 'project_path')::VARCHAR AS project_path,
        GET(feature_json, 'git_branch')::VARCHAR AS git_branch,
        GET(feature_json, 'cli_version')::VARCHAR AS cli_version,
        GET(feature_json, 'agent_id')::VARCHAR AS agent_id,
        TRY_TO_BOOLEAN(GET(feature_json, 'is_sidechain')::VARCHAR) AS is_sidechain
    FROM CLAUDE_STREAM_V2
    WHERE activity IN (
        'backpressure', 'system_backpressure', 'schema_drift_detected', 'queue_rotated', 'queue_rotation',
        'artifacts_cleaned', 'artifact_cleanup', 'error_recovered', 'error_recovery', 'task_suspended', 'budget_reached',
        'telemetry_gap_noticed', 'self_test_arrived', 'line_kept', 'hook_ran', 'system_event'
    )
)

SELECT
    typed.*,
    CASE severity
        WHEN 'critical' THEN 'unhealthy'
        WHEN 'error' THEN 'degraded'
        WHEN 'warning' THEN 'warning'
        ELSE 'healthy'
    END AS system_health,
    CASE
        WHEN
            (activity IN ('backpressure', 'system_backpressure') OR event_type = 'backpressure')
            AND severity IN ('error', 'critical') THEN 1
        WHEN activity = 'schema_drift_detected' OR event_type IN ('schema_drift', 'schema_drift_detected') THEN 2
        WHEN severity = 'critical' THEN 1
        WHEN severity = 'error' THEN 2
        WHEN severity = 'warning' THEN 3
        ELSE 4
    END AS alert_priority
FROM typed;
