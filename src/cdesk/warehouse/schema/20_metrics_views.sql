-- Figures over the stream: what was used, by whom, at what cost, how well it went.
-- Takes: CLAUDE_STREAM_V2, the typed views and the rollups. Gives: V_ERRORS, V_STATEMENTS,
-- VW_PRODUCT_METRICS, V_EXECUTIVE_SUMMARY,
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

-- V_STATEMENTS: statements run for an answer, from the rollup, by the rules of VW_SQL_EVENTS.
CREATE OR REPLACE VIEW V_STATEMENTS COPY GRANTS AS
WITH runs AS (
    SELECT query_tag, error_code
    FROM QUERY_HISTORY
    WHERE query_tag LIKE 'cdesk:%'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY query_tag ORDER BY start_time DESC NULLS LAST, query_id DESC) = 1
),

judged AS (
    SELECT
        s.*,
        runs.query_tag IS NOT NULL AS has_run,
        NOT COALESCE(s.success, FALSE) AND (s.success = FALSE OR runs.error_code IS NOT NULL) AS failed
    FROM STATEMENT_ROLLUP AS s
    LEFT JOIN runs ON runs.query_tag = 'cdesk:' || s.query_id
)

SELECT
    activity_id,
    ts,
    customer,
    credits_used,
    COALESCE(failed, FALSE) AS is_failed,
    activity <> 'query_submitted' AND NOT COALESCE(failed, FALSE) AS is_answer,
    query_id IS NOT NULL AND (link IS NOT NULL OR has_run) AS has_provenance
FROM judged;

-- VW_PRODUCT_METRICS: one row per hour and customer, last 7 days (the hour that was under way then included).
-- From the rollups, as of the last run of roll_up_activity; percentiles are those of times to three significant digits.
-- health_score is the mean of the components that have data, 0 to 100; NULL when none has:
--   mcp_latency_score   100 while the P95 of MCP calls is within 25 ms, else 100 * 25 / P95
--   tool_success_score  share of tool calls that succeeded, of those that ended
--   provenance_score    share of answers that lead back to an artifact or a run
-- health_inputs holds the counts they rest on.
CREATE OR REPLACE VIEW VW_PRODUCT_METRICS COPY GRANTS AS
WITH rolled AS (
    SELECT
        r.*,
        activity IN ('claude_responded', 'llm_call', 'llm_response') AS is_response,
        activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') AS is_tool,
        activity IN ('mcp_called', 'mcp_call', 'get_context', 'refresh_context', 'store_artifact') AS is_mcp
    FROM ACTIVITY_ROLLUP AS r
    WHERE hour >= DATE_TRUNC('HOUR', DATEADD(DAY, -7, SYSDATE()))
),

activities AS (
    SELECT
        hour,
        customer,
        SUM(activities)::BIGINT AS total_activities,
        COUNT(DISTINCT activity) AS unique_activity_types,
        COUNT(DISTINCT session_id) AS sessions,
        IFF(SUM(priced) > 0, SUM(cost_usd), NULL) AS priced_usd,
        SUM(IFF(is_response, activities, 0))::BIGINT AS responses,
        SUM(unpriced)::BIGINT AS unpriced_responses,
        SUM(total_tokens) AS total_tokens,
        SUM(prompt_tokens) AS prompt_tokens,
        SUM(completion_tokens) AS completion_tokens,
        SUM(cache_creation_tokens) AS cache_creation_tokens,
        SUM(cache_read_tokens) AS cache_read_tokens,
        SUM(IFF(is_tool, activities, 0))::BIGINT AS tool_calls,
        SUM(IFF(is_tool AND is_success IS NOT NULL, activities, 0))::BIGINT AS tool_calls_ended,
        SUM(IFF(is_tool AND is_success, activities, 0))::BIGINT AS tool_calls_succeeded,
        SUM(IFF(is_mcp, activities, 0))::BIGINT AS mcp_calls
    FROM rolled
    GROUP BY hour, customer
),

artifacts AS (
    SELECT hour, customer, COUNT(DISTINCT link) AS unique_artifacts
    FROM LINK_ROLLUP
    WHERE hour >= DATE_TRUNC('HOUR', DATEADD(DAY, -7, SYSDATE()))
    GROUP BY hour, customer
),

timed AS (
    SELECT hour, customer, kind, latency_ms, SUM(calls) AS calls
    FROM LATENCY_ROLLUP
    WHERE hour >= DATE_TRUNC('HOUR', DATEADD(DAY, -7, SYSDATE())) AND kind IN ('tool', 'mcp')
    GROUP BY hour, customer, kind, latency_ms
),

placed AS (
    SELECT
        timed.*,
        SUM(calls) OVER (PARTITION BY hour, customer, kind ORDER BY latency_ms) AS up_to,
        SUM(calls) OVER (PARTITION BY hour, customer, kind) AS timed_calls
    FROM timed
),

times AS (
    SELECT
        hour,
        customer,
        MAX(IFF(kind = 'mcp', timed_calls, NULL))::BIGINT AS mcp_calls_timed,
        MIN(IFF(kind = 'mcp' AND up_to >= 0.5 * timed_calls, latency_ms, NULL)) AS p50_latency_ms,
        MIN(IFF(kind = 'mcp' AND up_to >= 0.95 * timed_calls, latency_ms, NULL)) AS p95_latency_ms,
        MIN(IFF(kind = 'mcp' AND up_to >= 0.99 * timed_calls, latency_ms, NULL)) AS p99_latency_ms,
        MIN(IFF(kind = 'tool' AND up_to >= 0.95 * timed_calls, latency_ms, NULL)) AS tool_p95_latency_ms
    FROM placed
    GROUP BY hour, customer
),

answers AS (
    SELECT
        DATE_TRUNC('HOUR', ts) AS hour,
        customer,
        COUNT_IF(is_answer) AS answers,
        COUNT_IF(is_answer AND has_provenance) AS answers_with_provenance,
        SUM(credits_used) AS total_cost_credits
    FROM V_STATEMENTS
    WHERE ts >= DATE_TRUNC('HOUR', DATEADD(DAY, -7, SYSDATE()))
    GROUP BY DATE_TRUNC('HOUR', ts), customer
),

counted AS (
    SELECT
        activities.hour,
        activities.customer,
        activities.total_activities,
        activities.unique_activity_types,
        activities.sessions,
        COALESCE(artifacts.unique_artifacts, 0) AS unique_artifacts,
        COALESCE(activities.priced_usd, IFF(activities.unpriced_responses = 0, 0, NULL)) AS total_cost_usd,
        answers.total_cost_credits,
        activities.responses,
        activities.unpriced_responses,
        activities.total_tokens,
        activities.prompt_tokens,
        activities.completion_tokens,
        activities.cache_creation_tokens,
        activities.cache_read_tokens,
        activities.tool_calls,
        activities.tool_calls_ended,
        activities.tool_calls_succeeded,
        times.tool_p95_latency_ms,
        activities.mcp_calls,
        COALESCE(times.mcp_calls_timed, 0) AS mcp_calls_timed,
        times.p50_latency_ms,
        times.p95_latency_ms,
        times.p99_latency_ms,
        COALESCE(answers.answers, 0) AS answers,
        COALESCE(answers.answers_with_provenance, 0) AS answers_with_provenance
    FROM activities
    LEFT JOIN artifacts
        ON activities.hour = artifacts.hour AND EQUAL_NULL(activities.customer, artifacts.customer)
    LEFT JOIN times
        ON activities.hour = times.hour AND EQUAL_NULL(activities.customer, times.customer)
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

-- V_EXECUTIVE_SUMMARY: the last 30 days (the hour that was under way then included) in one row, also when there was
-- nothing. From the rollups, as of the last run of roll_up_activity.
CREATE OR REPLACE VIEW V_EXECUTIVE_SUMMARY COPY GRANTS AS
WITH rolled AS (
    SELECT *
    FROM ACTIVITY_ROLLUP
    WHERE hour >= DATE_TRUNC('HOUR', DATEADD(DAY, -30, SYSDATE()))
),

activities AS (
    SELECT
        COUNT(DISTINCT session_id) AS total_sessions,
        COUNT(DISTINCT customer) AS unique_users,
        COALESCE(SUM(activities), 0)::BIGINT AS total_activities,
        IFF(SUM(priced) > 0, SUM(cost_usd), NULL) AS priced_usd,
        COUNT(DISTINCT TO_DATE(hour)) AS days_active,
        COUNT(DISTINCT project_path) AS projects_touched,
        COUNT(DISTINCT git_branch) AS git_branches_worked,
        COALESCE(SUM(
            IFF(activity IN ('claude_responded', 'llm_call', 'llm_response'), activities, 0)
        ), 0)::BIGINT AS responses,
        COALESCE(SUM(unpriced), 0)::BIGINT AS unpriced_responses,
        COALESCE(SUM(total_tokens), 0) AS total_tokens_consumed,
        COALESCE(SUM(
            IFF(activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution'), activities, 0)
        ), 0)::BIGINT AS tool_executions,
        COALESCE(SUM(IFF(
            activity IN (
                'file_read', 'file_created', 'file_written', 'file_edited', 'file_deleted', 'file_renamed',
                'claude_file_operation', 'file_op', 'file_operation'
            ), activities, 0
        )), 0)::BIGINT AS file_operations,
        COALESCE(SUM(errors), 0)::BIGINT AS errors_rolled
    FROM rolled
),

responses AS (
    SELECT
        SUM(latency_ms * calls) / NULLIF(SUM(calls), 0) AS avg_response_time_ms,
        MAX(latency_ms) AS max_response_time_ms
    FROM LATENCY_ROLLUP
    WHERE hour >= DATE_TRUNC('HOUR', DATEADD(DAY, -30, SYSDATE())) AND kind = 'llm'
),

-- whether a statement failed is in the query log, too
statements AS (
    SELECT COUNT(*) AS failed
    FROM V_STATEMENTS
    WHERE ts >= DATE_TRUNC('HOUR', DATEADD(DAY, -30, SYSDATE())) AND is_failed
),

newest AS (
    SELECT MAX(ts) AS last_activity
    FROM CLAUDE_STREAM_V2
    WHERE ts >= DATE_TRUNC('HOUR', DATEADD(DAY, -30, SYSDATE()))
)

SELECT
    TO_DATE(SYSDATE()) AS report_date,
    SYSDATE() AS last_updated,
    activities.total_sessions,
    activities.unique_users,
    activities.total_activities,
    activities.tool_executions,
    activities.file_operations,
    activities.errors_rolled + statements.failed AS errors_encountered,
    COALESCE(activities.priced_usd, IFF(activities.unpriced_responses = 0, 0, NULL)) AS total_cost_usd,
    COALESCE(activities.priced_usd, IFF(activities.unpriced_responses = 0, 0, NULL))
    / NULLIF(activities.total_activities, 0) AS avg_cost_per_activity,
    activities.responses,
    activities.unpriced_responses,
    activities.days_active,
    activities.projects_touched,
    activities.git_branches_worked,
    responses.avg_response_time_ms,
    responses.max_response_time_ms,
    activities.total_tokens_consumed,
    newest.last_activity
FROM activities
CROSS JOIN responses
CROSS JOIN statements
CROSS JOIN newest;

-- V_USER_ADOPTION: one row per day with activity. previous_day_users is 0 after a day without any; growth is then NULL.
CREATE OR REPLACE VIEW V_USER_ADOPTION COPY GRANTS AS
WITH days AS (
    SELECT
        TO_DATE(hour) AS activity_date,
        COUNT(DISTINCT customer) AS daily_active_users,
        COUNT(DISTINCT session_id) AS daily_sessions,
        SUM(activities)::BIGINT AS daily_activities,
        LISTAGG(DISTINCT customer, ', ') WITHIN GROUP (ORDER BY customer) AS user_list,
        COUNT(DISTINCT IFF(
            activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution'), name, NULL
        )) AS unique_tools_used
    FROM ACTIVITY_ROLLUP
    GROUP BY TO_DATE(hour)
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
    compared.unique_tools_used,
    compared.user_list,
    compared.previous_day_users,
    (compared.daily_active_users - compared.previous_day_users) * 100.0
    / NULLIF(compared.previous_day_users, 0) AS daily_growth_percentage
FROM compared;

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
