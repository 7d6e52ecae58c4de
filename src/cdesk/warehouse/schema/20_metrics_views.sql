-- Figures over the stream: what was used, by whom, at what cost, how well it went.
-- Takes: CLAUDE_STREAM_V2 and the typed views. Gives: V_ERRORS, VW_PRODUCT_METRICS, V_EXECUTIVE_SUMMARY,
-- V_USER_ADOPTION, V_TOOL_USAGE_ANALYTICS, V_ERROR_ANALYSIS, V_PROJECT_ACTIVITY.
--
-- Users are customers, sessions are _session_id. Money is US dollars: the sum of revenue_impact; where answers went
-- unpriced and nothing was priced it is NULL, never 0, and unpriced_responses says how many. Tokens count each answer
-- once (is_counted). Days and hours are UTC. Durations below 0 or above 10^12 ms are left out. A ratio without a
-- denominator is NULL. docs/views.md has the formulas.

-- V_ERRORS: everything that failed, each failure once. A call of an MCP tool that Claude made is listed as the tool's.
-- recovered: a retry was scheduled, or cdesk says what it did about it.
CREATE OR REPLACE VIEW V_ERRORS COPY GRANTS AS
SELECT
    activity_id, ts, customer, _org_id, _session_id, project_path, git_branch,
    'tool' AS error_source,
    COALESCE(error_type, 'tool_failed') AS error_type,
    error_message,
    tool_name_normalized AS related_tool,
    FALSE AS recovered
FROM VW_TOOL_EVENTS
WHERE NOT success

UNION ALL

SELECT
    activity_id, ts, customer, _org_id, _session_id, project_path, git_branch,
    'llm' AS error_source,
    COALESCE(error_type, status::VARCHAR, 'api_request_failed') AS error_type,
    error_message,
    CAST(NULL AS VARCHAR) AS related_tool,
    retry_in_ms IS NOT NULL AS recovered
FROM VW_LLM_EVENTS
WHERE activity = 'api_request_failed'

UNION ALL

SELECT
    activity_id, ts, customer, _org_id, _session_id, project_path, git_branch,
    'sql' AS error_source,
    COALESCE(error_code, qh_error_code, 'sql_failed') AS error_type,
    COALESCE(error_message, qh_error_message) AS error_message,
    CAST(NULL AS VARCHAR) AS related_tool,
    FALSE AS recovered
FROM VW_SQL_EVENTS
WHERE status = 'failed'

UNION ALL

SELECT
    activity_id, ts, customer, _org_id, _session_id, project_path, git_branch,
    'mcp' AS error_source,
    'mcp_failed' AS error_type,
    error_message,
    method AS related_tool,
    FALSE AS recovered
FROM VW_MCP_EVENTS
WHERE NOT success AND tool_use_id IS NULL

UNION ALL

SELECT
    activity_id, ts, customer, _org_id, _session_id, project_path, git_branch,
    'system' AS error_source,
    COALESCE(event_type, activity) AS error_type,
    message AS error_message,
    CAST(NULL AS VARCHAR) AS related_tool,
    action_taken IS NOT NULL AS recovered
FROM VW_SYSTEM_EVENTS
WHERE severity IN ('error', 'critical');

-- VW_PRODUCT_METRICS: one row per hour and customer, last 7 days.
-- health_score is the mean of the components that have data, 0 to 100; NULL when none has:
--   mcp_latency_score   100 while the P95 of MCP calls is within 25 ms, else 100 * 25 / P95
--   tool_success_score  share of tool calls that succeeded, of those that ended
--   provenance_score    share of answers that lead back to an artifact or a run
-- health_inputs holds the counts they rest on.
CREATE OR REPLACE VIEW VW_PRODUCT_METRICS COPY GRANTS AS
WITH activities AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        COUNT(*) AS total_activities,
        COUNT(DISTINCT activity) AS unique_activity_types,
        COUNT(DISTINCT _session_id) AS sessions,
        COUNT(DISTINCT link) AS unique_artifacts,
        SUM(revenue_impact) AS priced_usd
    FROM CLAUDE_STREAM_V2
    WHERE ts >= DATEADD(DAY, -7, SYSDATE())
    GROUP BY DATE_TRUNC('HOUR', ts), customer
),

responses AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        COUNT(*) AS responses,
        COUNT_IF(is_unpriced) AS unpriced_responses,
        SUM(IFF(COALESCE(is_counted, TRUE), total_tokens, NULL)) AS total_tokens,
        SUM(IFF(COALESCE(is_counted, TRUE), prompt_tokens, NULL)) AS prompt_tokens,
        SUM(IFF(COALESCE(is_counted, TRUE), completion_tokens, NULL)) AS completion_tokens,
        SUM(IFF(COALESCE(is_counted, TRUE), cache_creation_tokens, NULL)) AS cache_creation_tokens,
        SUM(IFF(COALESCE(is_counted, TRUE), cache_read_tokens, NULL)) AS cache_read_tokens
    FROM VW_LLM_EVENTS
    WHERE ts >= DATEADD(DAY, -7, SYSDATE()) AND is_response
    GROUP BY DATE_TRUNC('HOUR', ts), customer
),

tools AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        COUNT(*) AS tool_calls,
        COUNT(success) AS tool_calls_ended,
        COUNT_IF(success) AS tool_calls_succeeded,
        PERCENTILE_CONT(0.95) WITHIN GROUP (
            ORDER BY IFF(latency_ms BETWEEN 0 AND 1e12, latency_ms, NULL)
        ) AS tool_p95_latency_ms
    FROM VW_TOOL_EVENTS
    WHERE ts >= DATEADD(DAY, -7, SYSDATE())
    GROUP BY DATE_TRUNC('HOUR', ts), customer
),

mcp_timed AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        IFF(latency_ms BETWEEN 0 AND 1e12, latency_ms, NULL) AS latency_ms
    FROM VW_MCP_EVENTS
    WHERE ts >= DATEADD(DAY, -7, SYSDATE())
),

mcp AS (
    SELECT
        hour,
        customer,
        COUNT(*) AS mcp_calls,
        COUNT(latency_ms) AS mcp_calls_timed,
        PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_latency_ms,
        PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_latency_ms,
        PERCENTILE_CONT(0.99) WITHIN GROUP (ORDER BY latency_ms) AS p99_latency_ms
    FROM mcp_timed
    GROUP BY hour, customer
),

answers AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        COUNT_IF(is_answer) AS answers,
        COUNT_IF(is_answer AND has_provenance) AS answers_with_provenance,
        SUM(credits_used) AS total_cost_credits
    FROM VW_SQL_EVENTS
    WHERE ts >= DATEADD(DAY, -7, SYSDATE())
    GROUP BY DATE_TRUNC('HOUR', ts), customer
),

counted AS (
    SELECT
        activities.hour,
        activities.customer,
        activities.total_activities,
        activities.unique_activity_types,
        activities.sessions,
        activities.unique_artifacts,
        COALESCE(activities.priced_usd, IFF(COALESCE(responses.unpriced_responses, 0) = 0, 0, NULL))
            AS total_cost_usd,
        answers.total_cost_credits,
        COALESCE(responses.responses, 0) AS responses,
        COALESCE(responses.unpriced_responses, 0) AS unpriced_responses,
        COALESCE(responses.total_tokens, 0) AS total_tokens,
        COALESCE(responses.prompt_tokens, 0) AS prompt_tokens,
        COALESCE(responses.completion_tokens, 0) AS completion_tokens,
        COALESCE(responses.cache_creation_tokens, 0) AS cache_creation_tokens,
        COALESCE(responses.cache_read_tokens, 0) AS cache_read_tokens,
        COALESCE(tools.tool_calls, 0) AS tool_calls,
        COALESCE(tools.tool_calls_ended, 0) AS tool_calls_ended,
        COALESCE(tools.tool_calls_succeeded, 0) AS tool_calls_succeeded,
        tools.tool_p95_latency_ms,
        COALESCE(mcp.mcp_calls, 0) AS mcp_calls,
        COALESCE(mcp.mcp_calls_timed, 0) AS mcp_calls_timed,
        mcp.p50_latency_ms,
        mcp.p95_latency_ms,
        mcp.p99_latency_ms,
        COALESCE(answers.answers, 0) AS answers,
        COALESCE(answers.answers_with_provenance, 0) AS answers_with_provenance
    FROM activities
    LEFT JOIN responses
        ON activities.hour = responses.hour AND EQUAL_NULL(activities.customer, responses.customer)
    LEFT JOIN tools
        ON activities.hour = tools.hour AND EQUAL_NULL(activities.customer, tools.customer)
    LEFT JOIN mcp
        ON activities.hour = mcp.hour AND EQUAL_NULL(activities.customer, mcp.customer)
    LEFT JOIN answers
        ON activities.hour = answers.hour AND EQUAL_NULL(activities.customer, answers.customer)
),

scored AS (
    SELECT
        counted.*,
        total_tokens / NULLIF(total_activities, 0) AS avg_tokens_per_activity,
        tool_calls_succeeded * 100.0 / NULLIF(tool_calls_ended, 0) AS success_rate_pct,
        answers_with_provenance * 100.0 / NULLIF(answers, 0) AS provenance_coverage_pct,
        CASE WHEN p95_latency_ms <= 25 THEN 'met' WHEN p95_latency_ms > 25 THEN 'missed' END AS mcp_latency_slo,
        CASE
            WHEN p95_latency_ms <= 25 THEN 100.0
            WHEN p95_latency_ms > 25 THEN 100.0 * 25 / NULLIF(p95_latency_ms, 0)
        END AS mcp_latency_score
    FROM counted
)

SELECT
    scored.*,
    success_rate_pct AS tool_success_score,
    provenance_coverage_pct AS provenance_score,
    (COALESCE(mcp_latency_score, 0) + COALESCE(success_rate_pct, 0) + COALESCE(provenance_coverage_pct, 0))
    / NULLIF(
        IFF(mcp_latency_score IS NULL, 0, 1) + IFF(success_rate_pct IS NULL, 0, 1)
        + IFF(provenance_coverage_pct IS NULL, 0, 1), 0
    ) AS health_score,
    OBJECT_CONSTRUCT_KEEP_NULL(
        'mcp_calls_timed', mcp_calls_timed,
        'mcp_p95_latency_ms', p95_latency_ms,
        'mcp_slo_ms', 25,
        'tool_calls_ended', tool_calls_ended,
        'tool_calls_succeeded', tool_calls_succeeded,
        'answers', answers,
        'answers_with_provenance', answers_with_provenance
    ) AS health_inputs
FROM scored;

-- V_EXECUTIVE_SUMMARY: the last 30 days in one row, also when there was nothing.
CREATE OR REPLACE VIEW V_EXECUTIVE_SUMMARY COPY GRANTS AS
WITH activities AS (
    SELECT
        COUNT(DISTINCT _session_id) AS total_sessions,
        COUNT(DISTINCT customer) AS unique_users,
        COUNT(*) AS total_activities,
        SUM(revenue_impact) AS priced_usd,
        COUNT(DISTINCT TO_DATE(ts)) AS days_active,
        COUNT(DISTINCT feature_json:project_path::VARCHAR) AS projects_touched,
        COUNT(DISTINCT feature_json:git_branch::VARCHAR) AS git_branches_worked,
        MAX(ts) AS last_activity
    FROM CLAUDE_STREAM_V2
    WHERE ts >= DATEADD(DAY, -30, SYSDATE())
),

responses AS (
    SELECT
        COUNT(*) AS responses,
        COUNT_IF(is_unpriced) AS unpriced_responses,
        AVG(IFF(total_latency_ms BETWEEN 0 AND 1e12, total_latency_ms, NULL)) AS avg_response_time_ms,
        MAX(IFF(total_latency_ms BETWEEN 0 AND 1e12, total_latency_ms, NULL)) AS max_response_time_ms,
        COALESCE(SUM(IFF(COALESCE(is_counted, TRUE), total_tokens, NULL)), 0) AS total_tokens_consumed
    FROM VW_LLM_EVENTS
    WHERE ts >= DATEADD(DAY, -30, SYSDATE()) AND is_response
),

tools AS (
    SELECT COUNT(*) AS tool_executions
    FROM VW_TOOL_EVENTS
    WHERE ts >= DATEADD(DAY, -30, SYSDATE())
),

files AS (
    SELECT COUNT(*) AS file_operations
    FROM VW_FILE_EVENTS
    WHERE ts >= DATEADD(DAY, -30, SYSDATE())
),

errors AS (
    SELECT COUNT(*) AS errors_encountered
    FROM V_ERRORS
    WHERE ts >= DATEADD(DAY, -30, SYSDATE())
)

SELECT
    TO_DATE(SYSDATE()) AS report_date,
    SYSDATE() AS last_updated,
    activities.total_sessions,
    activities.unique_users,
    activities.total_activities,
    tools.tool_executions,
    files.file_operations,
    errors.errors_encountered,
    COALESCE(activities.priced_usd, IFF(responses.unpriced_responses = 0, 0, NULL)) AS total_cost_usd,
    COALESCE(activities.priced_usd, IFF(responses.unpriced_responses = 0, 0, NULL))
    / NULLIF(activities.total_activities, 0) AS avg_cost_per_activity,
    responses.responses,
    responses.unpriced_responses,
    activities.days_active,
    activities.projects_touched,
    activities.git_branches_worked,
    responses.avg_response_time_ms,
    responses.max_response_time_ms,
    responses.total_tokens_consumed,
    activities.last_activity
FROM activities
CROSS JOIN responses
CROSS JOIN tools
CROSS JOIN files
CROSS JOIN errors;

-- V_USER_ADOPTION: one row per day with activity. previous_day_users is 0 after a day without any; growth is then NULL.
CREATE OR REPLACE VIEW V_USER_ADOPTION COPY GRANTS AS
WITH days AS (
    SELECT
        TO_DATE(ts) AS activity_date,
        COUNT(DISTINCT customer) AS daily_active_users,
        COUNT(DISTINCT _session_id) AS daily_sessions,
        COUNT(*) AS daily_activities,
        LISTAGG(DISTINCT customer, ', ') WITHIN GROUP (ORDER BY customer) AS user_list
    FROM CLAUDE_STREAM_V2
    GROUP BY TO_DATE(ts)
),

tools AS (
    SELECT
        TO_DATE(ts) AS activity_date,
        COUNT(DISTINCT tool_name_normalized) AS unique_tools_used
    FROM VW_TOOL_EVENTS
    GROUP BY TO_DATE(ts)
),

compared AS (
    SELECT
        days.*,
        CASE
            WHEN LAG(activity_date) OVER (ORDER BY activity_date) = DATEADD(DAY, -1, activity_date)
                THEN LAG(daily_active_users) OVER (ORDER BY activity_date)
            ELSE 0
        END AS previous_day_users
    FROM days
)

SELECT
    compared.activity_date,
    compared.daily_active_users,
    compared.daily_sessions,
    compared.daily_activities,
    compared.daily_activities / NULLIF(compared.daily_sessions, 0) AS avg_activities_per_session,
    COALESCE(tools.unique_tools_used, 0) AS unique_tools_used,
    compared.user_list,
    compared.previous_day_users,
    (compared.daily_active_users - compared.previous_day_users) * 100.0
    / NULLIF(compared.previous_day_users, 0) AS daily_growth_percentage
FROM compared
LEFT JOIN tools ON compared.activity_date = tools.activity_date;

-- V_TOOL_USAGE_ANALYTICS: one row per tool, over everything kept.
-- Tokens and cost of an answer are shared equally among the tools it called; NULL where no answer is known or priced.
CREATE OR REPLACE VIEW V_TOOL_USAGE_ANALYTICS COPY GRANTS AS
WITH calls AS (
    SELECT
        tool_name_normalized AS tool_name,
        ts,
        customer,
        _session_id,
        success,
        CASE WHEN latency_ms BETWEEN 0 AND 1e12 THEN latency_ms END AS latency_ms,
        message_id,
        COUNT(*) OVER (PARTITION BY message_id) AS calls_of_message
    FROM VW_TOOL_EVENTS
),

answers AS (
    SELECT
        message_id,
        SUM(total_tokens) AS total_tokens,
        SUM(revenue_impact) AS cost_usd
    FROM VW_LLM_EVENTS
    WHERE is_response AND COALESCE(is_counted, TRUE) AND message_id IS NOT NULL
    GROUP BY message_id
),

shared AS (
    SELECT
        calls.*,
        answers.total_tokens / NULLIF(calls.calls_of_message, 0) AS tokens,
        answers.cost_usd / NULLIF(calls.calls_of_message, 0) AS cost_usd
    FROM calls
    LEFT JOIN answers ON calls.message_id = answers.message_id
)

SELECT
    tool_name,
    COUNT(*) AS usage_count,
    COUNT(DISTINCT _session_id) AS unique_sessions,
    COUNT(DISTINCT customer) AS unique_users,
    AVG(latency_ms) AS avg_duration_ms,
    MIN(latency_ms) AS min_duration_ms,
    MAX(latency_ms) AS max_duration_ms,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_duration_ms,
    STDDEV(latency_ms) AS stddev_duration_ms,
    SUM(tokens) AS total_tokens,
    AVG(tokens) AS avg_tokens_per_call,
    COUNT_IF(success) AS successful_calls,
    COUNT_IF(success) * 100.0 / NULLIF(COUNT(success), 0) AS success_rate_percentage,
    SUM(cost_usd) AS total_cost,
    AVG(cost_usd) AS avg_cost_per_call,
    MIN(ts) AS first_used,
    MAX(ts) AS last_used,
    COUNT(DISTINCT DATE_TRUNC('HOUR', ts)) AS hours_in_use
FROM shared
GROUP BY tool_name;

-- V_ERROR_ANALYSIS: one row per day, source, type and message, over everything kept.
CREATE OR REPLACE VIEW V_ERROR_ANALYSIS COPY GRANTS AS
SELECT
    TO_DATE(ts) AS error_date,
    error_source,
    error_type,
    error_message,
    COUNT(*) AS error_count,
    COUNT(DISTINCT _session_id) AS affected_sessions,
    COUNT(DISTINCT customer) AS affected_users,
    LISTAGG(DISTINCT related_tool, ', ') WITHIN GROUP (ORDER BY related_tool) AS related_tools,
    COUNT_IF(recovered) AS errors_with_recovery,
    MAX(ts) AS last_occurrence,
    MIN(ts) AS first_occurrence
FROM V_ERRORS
GROUP BY TO_DATE(ts), error_source, error_type, error_message;

-- V_PROJECT_ACTIVITY: one row per project and branch, over everything kept. project_age_days: first to last activity.
-- total_lines_modified: lines added and removed, where not told the lines affected; reading modifies none.
CREATE OR REPLACE VIEW V_PROJECT_ACTIVITY COPY GRANTS AS
WITH activities AS (
    SELECT
        feature_json:project_path::VARCHAR AS project_path,
        feature_json:git_branch::VARCHAR AS git_branch,
        activity,
        ts,
        customer,
        _session_id,
        revenue_impact
    FROM CLAUDE_STREAM_V2
),

projects AS (
    SELECT
        project_path,
        git_branch,
        COUNT(DISTINCT _session_id) AS sessions,
        COUNT(DISTINCT customer) AS users,
        COUNT(*) AS total_activities,
        COUNT_IF(activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')) AS tool_calls,
        MIN(ts) AS first_activity,
        MAX(ts) AS last_activity,
        SUM(revenue_impact) AS priced_usd
    FROM activities
    WHERE project_path IS NOT NULL
    GROUP BY project_path, git_branch
),

files AS (
    SELECT
        project_path,
        git_branch,
        COUNT(*) AS file_operations,
        COUNT(DISTINCT file_path) AS files_touched,
        SUM(
            CASE
                WHEN operation = 'read' THEN 0
                WHEN lines_added IS NULL AND lines_removed IS NULL THEN lines_affected::DOUBLE
                ELSE COALESCE(lines_added, 0)::DOUBLE + COALESCE(lines_removed, 0)::DOUBLE
            END
        ) AS total_lines_modified
    FROM VW_FILE_EVENTS
    WHERE success OR success IS NULL
    GROUP BY project_path, git_branch
),

responses AS (
    SELECT
        project_path,
        git_branch,
        COUNT_IF(is_unpriced) AS unpriced_responses
    FROM VW_LLM_EVENTS
    WHERE is_response
    GROUP BY project_path, git_branch
)

SELECT
    projects.project_path,
    projects.git_branch,
    projects.sessions,
    projects.users,
    projects.total_activities,
    projects.tool_calls,
    COALESCE(files.file_operations, 0) AS file_operations,
    COALESCE(files.files_touched, 0) AS files_touched,
    COALESCE(files.total_lines_modified, 0) AS total_lines_modified,
    projects.first_activity,
    projects.last_activity,
    DATEDIFF('DAY', projects.first_activity, projects.last_activity) AS project_age_days,
    COALESCE(projects.priced_usd, IFF(COALESCE(responses.unpriced_responses, 0) = 0, 0, NULL)) AS project_cost,
    COALESCE(responses.unpriced_responses, 0) AS unpriced_responses
FROM projects
LEFT JOIN files
    ON projects.project_path = files.project_path AND EQUAL_NULL(projects.git_branch, files.git_branch)
LEFT JOIN responses
    ON projects.project_path = responses.project_path AND EQUAL_NULL(projects.git_branch, responses.git_branch);
