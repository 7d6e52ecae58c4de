-- task: roll_up_activity
-- meaning: the stream by hour, kept up to date by adding what changed
-- reads: ROLL_UP_ACTIVITY_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 s
-- writes: ACTIVITY_ROLLUP, LATENCY_ROLLUP, LINK_ROLLUP, STATEMENT_ROLLUP, METRICS_DUE
-- scratch: ROLLUP_CHANGED

-- Each changed row is read once: as it is now it counts 1, as it was before it counts -1. The rules are those of the
-- typed views, and of the page for what ends in _shown. What is new is written in the order of time, so that the next run
-- finds its hours without reading the others.

INSERT INTO ROLLUP_CHANGED (
    hour, customer, session_id, project_path, git_branch, activity, kind, sign, revenue_impact, link, model,
    is_counted_shown, tokens_in_out, tokens_shown, tool, is_success, latency_ms, tool_use_id, severity, is_counted,
    cost_usd, total_tokens, prompt_tokens, completion_tokens, cache_creation_tokens, cache_read_tokens
)
WITH typed AS (
    SELECT
        c.ts,
        c.customer,
        c._session_id AS session_id,
        c._project_path AS project_path,
        c.feature_json:git_branch::VARCHAR AS git_branch,
        c.activity,
        c._model,
        c._is_counted,
        c.revenue_impact,
        c.link,
        c._prompt_tokens::NUMBER(38, 0) AS _prompt_tokens,
        c._completion_tokens::NUMBER(38, 0) AS _completion_tokens,
        COALESCE(c._cache_creation_5m_tokens, 0)::NUMBER(38, 0)
        + COALESCE(c._cache_creation_1h_tokens, 0) + COALESCE(c._cache_read_tokens, 0) AS cache_tokens_shown,
        IFF(c.METADATA$ACTION = 'INSERT', 1, -1) AS sign,
        CASE
            WHEN c.activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution') THEN 'tool'
            WHEN c.activity IN ('claude_responded', 'llm_call', 'llm_response') THEN 'llm'
            WHEN c.activity IN ('mcp_called', 'mcp_call', 'get_context', 'refresh_context', 'store_artifact') THEN 'mcp'
            WHEN c.activity = 'api_request_failed' THEN 'api'
            WHEN c.activity IN (
                'backpressure', 'system_backpressure', 'schema_drift_detected', 'queue_rotated', 'queue_rotation',
                'artifacts_cleaned', 'artifact_cleanup', 'error_recovered', 'error_recovery',
                'telemetry_gap_noticed', 'self_test_arrived', 'line_kept', 'hook_ran', 'system_event'
            ) THEN 'system'
        END AS kind,
        c.feature_json
    FROM ROLL_UP_ACTIVITY_CHANGES AS c
),

-- Of a document only what its kind has is read: reading is what this task costs.
said AS (
    SELECT
        ts, customer, session_id, project_path, git_branch, activity, _model, _is_counted, revenue_impact, link,
        _prompt_tokens, _completion_tokens, cache_tokens_shown, sign, kind,
        IFF(kind = 'tool', feature_json:tool_name::VARCHAR, NULL) AS tool_name,
        IFF(kind = 'tool', feature_json:mcp_tool::VARCHAR, NULL) AS mcp_tool,
        IFF(kind IN ('tool', 'mcp'), feature_json:success::VARCHAR, NULL) AS success,
        IFF(kind IN ('tool', 'mcp'), feature_json:latency_ms::VARCHAR, NULL) AS latency_ms,
        IFF(kind = 'llm', feature_json:total_latency_ms::VARCHAR, NULL) AS total_latency_ms,
        IFF(kind = 'mcp', feature_json:tool_use_id::VARCHAR, NULL) AS tool_use_id,
        IFF(kind = 'system', feature_json:severity::VARCHAR, NULL) AS severity,
        IFF(kind = 'llm', feature_json:is_counted::VARCHAR, NULL) AS is_counted,
        IFF(kind = 'llm', feature_json:cost_usd::VARCHAR, NULL) AS cost_usd,
        IFF(kind = 'llm', feature_json:total_tokens::VARCHAR, NULL) AS total_tokens,
        IFF(kind = 'llm', feature_json:prompt_tokens::VARCHAR, NULL) AS prompt_tokens,
        IFF(kind = 'llm', feature_json:completion_tokens::VARCHAR, NULL) AS completion_tokens,
        IFF(kind = 'llm', feature_json:cache_creation_tokens::VARCHAR, NULL) AS cache_creation_tokens,
        IFF(kind = 'llm', feature_json:cache_read_tokens::VARCHAR, NULL) AS cache_read_tokens
    FROM typed
)

SELECT
    DATE_TRUNC('HOUR', ts),
    customer,
    session_id,
    project_path,
    git_branch,
    activity,
    kind,
    sign,
    revenue_impact,
    link,
    _model,
    COALESCE(_is_counted, TRUE),
    _prompt_tokens + _completion_tokens,
    COALESCE(_prompt_tokens, 0) + COALESCE(_completion_tokens, 0) + cache_tokens_shown,
    COALESCE(tool_name, mcp_tool),
    TRY_TO_BOOLEAN(success),
    TRY_TO_DOUBLE(COALESCE(total_latency_ms, latency_ms)),
    tool_use_id,
    severity,
    TRY_TO_BOOLEAN(is_counted),
    TRY_TO_DOUBLE(cost_usd),
    TRY_CAST(total_tokens AS BIGINT)::NUMBER(38, 0),
    TRY_CAST(prompt_tokens AS BIGINT)::NUMBER(38, 0),
    TRY_CAST(completion_tokens AS BIGINT)::NUMBER(38, 0),
    TRY_CAST(cache_creation_tokens AS BIGINT)::NUMBER(38, 0),
    TRY_CAST(cache_read_tokens AS BIGINT)::NUMBER(38, 0)
FROM said;

MERGE INTO ACTIVITY_ROLLUP AS t
USING (
    SELECT
        hour,
        customer,
        session_id,
        project_path,
        git_branch,
        activity,
        name,
        is_success,
        is_counted,
        SUM(activities) AS activities,
        SUM(errors) AS errors,
        SUM(priced) AS priced,
        SUM(cost_usd) AS cost_usd,
        SUM(unpriced) AS unpriced,
        SUM(unpriced_shown) AS unpriced_shown,
        SUM(tokens_shown) AS tokens_shown,
        SUM(total_tokens) AS total_tokens,
        SUM(prompt_tokens) AS prompt_tokens,
        SUM(completion_tokens) AS completion_tokens,
        SUM(cache_creation_tokens) AS cache_creation_tokens,
        SUM(cache_read_tokens) AS cache_read_tokens
    FROM (
        SELECT
            hour, customer, session_id, project_path, git_branch, activity,
            IFF(kind = 'tool', tool, IFF(kind IN ('llm', 'api'), model, NULL)) AS name,
            IFF(kind IN ('tool', 'mcp'), is_success, NULL) AS is_success,
            IFF(kind = 'llm', is_counted_shown, NULL) AS is_counted,
            sign AS activities,
            IFF(
                (kind = 'tool' AND NOT is_success) OR kind = 'api'
                OR (kind = 'mcp' AND NOT is_success AND tool_use_id IS NULL)
                OR (kind = 'system' AND severity IN ('error', 'critical')), sign, 0
            ) AS errors,
            IFF(revenue_impact IS NULL, 0, sign) AS priced,
            COALESCE(revenue_impact, 0) * sign AS cost_usd,
            IFF(
                kind = 'llm' AND COALESCE(is_counted, TRUE) AND COALESCE(cost_usd, revenue_impact) IS NULL
                AND COALESCE(total_tokens, 1) > 0, sign, 0
            ) AS unpriced,
            IFF(
                kind = 'llm' AND is_counted_shown AND revenue_impact IS NULL AND COALESCE(tokens_in_out, 1) > 0, sign, 0
            ) AS unpriced_shown,
            IFF(kind = 'llm' AND is_counted_shown, tokens_shown * sign, 0) AS tokens_shown,
            IFF(kind = 'llm' AND COALESCE(is_counted, TRUE), COALESCE(total_tokens, 0) * sign, 0) AS total_tokens,
            IFF(kind = 'llm' AND COALESCE(is_counted, TRUE), COALESCE(prompt_tokens, 0) * sign, 0) AS prompt_tokens,
            IFF(kind = 'llm' AND COALESCE(is_counted, TRUE), COALESCE(completion_tokens, 0) * sign, 0) AS completion_tokens,
            IFF(kind = 'llm' AND COALESCE(is_counted, TRUE), COALESCE(cache_creation_tokens, 0) * sign, 0) AS cache_creation_tokens,
            IFF(kind = 'llm' AND COALESCE(is_counted, TRUE), COALESCE(cache_read_tokens, 0) * sign, 0) AS cache_read_tokens
        FROM ROLLUP_CHANGED
    ) AS counted
    GROUP BY hour, customer, session_id, project_path, git_branch, activity, name, is_success, is_counted
    HAVING SUM(activities) <> 0 OR SUM(errors) <> 0 OR SUM(priced) <> 0 OR SUM(cost_usd) <> 0 OR SUM(unpriced) <> 0 OR
        SUM(unpriced_shown) <> 0 OR SUM(tokens_shown) <> 0 OR SUM(total_tokens) <> 0 OR SUM(prompt_tokens) <> 0 OR
        SUM(completion_tokens) <> 0 OR SUM(cache_creation_tokens) <> 0 OR SUM(cache_read_tokens) <> 0
    ORDER BY hour
) AS s
ON
    t.hour = s.hour
    AND EQUAL_NULL(t.customer, s.customer)
    AND EQUAL_NULL(t.session_id, s.session_id)
    AND EQUAL_NULL(t.project_path, s.project_path)
    AND EQUAL_NULL(t.git_branch, s.git_branch)
    AND t.activity = s.activity
    AND EQUAL_NULL(t.name, s.name)
    AND EQUAL_NULL(t.is_success, s.is_success)
    AND EQUAL_NULL(t.is_counted, s.is_counted)
WHEN MATCHED AND t.activities + s.activities <= 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET
    activities = t.activities + s.activities,
    errors = t.errors + s.errors,
    priced = t.priced + s.priced,
    cost_usd = t.cost_usd + s.cost_usd,
    unpriced = t.unpriced + s.unpriced,
    unpriced_shown = t.unpriced_shown + s.unpriced_shown,
    tokens_shown = t.tokens_shown + s.tokens_shown,
    total_tokens = t.total_tokens + s.total_tokens,
    prompt_tokens = t.prompt_tokens + s.prompt_tokens,
    completion_tokens = t.completion_tokens + s.completion_tokens,
    cache_creation_tokens = t.cache_creation_tokens + s.cache_creation_tokens,
    cache_read_tokens = t.cache_read_tokens + s.cache_read_tokens
WHEN NOT MATCHED THEN INSERT (
    hour, customer, session_id, project_path, git_branch, activity, name, is_success, is_counted, activities, errors,
    priced, cost_usd, unpriced, unpriced_shown, tokens_shown, total_tokens, prompt_tokens, completion_tokens,
    cache_creation_tokens, cache_read_tokens
) VALUES (
    s.hour, s.customer, s.session_id, s.project_path, s.git_branch, s.activity, s.name, s.is_success, s.is_counted,
    s.activities, s.errors, s.priced, s.cost_usd, s.unpriced, s.unpriced_shown, s.tokens_shown, s.total_tokens,
    s.prompt_tokens, s.completion_tokens, s.cache_creation_tokens, s.cache_read_tokens
);

MERGE INTO LATENCY_ROLLUP AS t
USING (
    SELECT
        hour,
        customer,
        kind,
        IFF(kind = 'tool', tool, NULL) AS name,
        CASE
            WHEN latency_ms < 1e-6 THEN 0
            ELSE ROUND(latency_ms, 2 - FLOOR(LOG(10, latency_ms))::INTEGER)
        END AS latency_ms,
        SUM(sign) AS calls
    FROM ROLLUP_CHANGED
    WHERE latency_ms BETWEEN 0 AND 1e12 AND kind IN ('tool', 'mcp', 'llm')
    GROUP BY 1, 2, 3, 4, 5
    HAVING SUM(sign) <> 0
    ORDER BY hour
) AS s
ON
    t.hour = s.hour
    AND EQUAL_NULL(t.customer, s.customer)
    AND t.kind = s.kind
    AND EQUAL_NULL(t.name, s.name)
    AND t.latency_ms = s.latency_ms
WHEN MATCHED AND t.calls + s.calls <= 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET
    calls = t.calls + s.calls
WHEN NOT MATCHED THEN INSERT (
    hour, customer, kind, name, latency_ms, calls
) VALUES (
    s.hour, s.customer, s.kind, s.name, s.latency_ms, s.calls
);

MERGE INTO LINK_ROLLUP AS t
USING (
    SELECT
        hour,
        customer,
        link,
        SUM(sign) AS activities
    FROM ROLLUP_CHANGED
    WHERE link IS NOT NULL
    GROUP BY hour, customer, link
    HAVING SUM(sign) <> 0
    ORDER BY hour
) AS s
ON
    t.hour = s.hour
    AND EQUAL_NULL(t.customer, s.customer)
    AND t.link = s.link
WHEN MATCHED AND t.activities + s.activities <= 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET
    activities = t.activities + s.activities
WHEN NOT MATCHED THEN INSERT (
    hour, customer, link, activities
) VALUES (
    s.hour, s.customer, s.link, s.activities
);

DELETE FROM STATEMENT_ROLLUP
WHERE activity_id IN (SELECT activity_id FROM ROLL_UP_ACTIVITY_CHANGES WHERE METADATA$ACTION = 'DELETE');

INSERT INTO STATEMENT_ROLLUP (activity_id, ts, customer, activity, query_id, success, link, credits_used)
SELECT
    activity_id,
    ts,
    customer,
    activity,
    feature_json:query_id::VARCHAR,
    IFF(activity = 'query_error', FALSE, TRY_TO_BOOLEAN(feature_json:success::VARCHAR)),
    link,
    TRY_TO_DOUBLE(feature_json:credits_used::VARCHAR)
FROM ROLL_UP_ACTIVITY_CHANGES
WHERE
    METADATA$ACTION = 'INSERT'
    AND activity IN (
        'sql_executed', 'query_complete', 'query_submitted', 'query_error', 'sql_execution', 'claude_sql_execution'
    );

INSERT INTO METRICS_DUE (hour, customer)
SELECT DISTINCT hour, customer
FROM ROLLUP_CHANGED
WHERE customer IS NOT NULL
EXCEPT
SELECT hour, customer
FROM METRICS_DUE;
