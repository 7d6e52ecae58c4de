-- task: calculate_metrics
-- meaning: what each customer used, and how well it went, as atoms by the hour and by the day
-- reads: CALCULATE_METRICS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 5 s
-- after: roll_up_activity
-- writes: INSIGHT_ATOMS, METRICS_DUE

-- METRICS_DUE is written together with the rollups that figures are calculated from, too: what this task saw before the
-- rollups did is calculated again. An atom's id says of whom, what and when; a figure that grows during its hour is the
-- same atom with another value. A figure that can no longer be told makes its atom stale. The next hour's atom
-- supersedes this one's.

INSERT INTO METRICS_DUE (hour, customer)
SELECT DISTINCT DATE_TRUNC('HOUR', ts), customer
FROM CALCULATE_METRICS_CHANGES
WHERE customer IS NOT NULL
EXCEPT
SELECT hour, customer
FROM METRICS_DUE;

MERGE INTO INSIGHT_ATOMS AS t
USING (
    WITH periods AS (
        SELECT DISTINCT customer, 'hourly' AS grain, hour AS starts, DATEADD(HOUR, 1, hour) AS ends
        FROM METRICS_DUE
        UNION ALL
        SELECT DISTINCT
            customer, 'daily' AS grain, DATE_TRUNC('DAY', hour) AS starts,
            DATEADD(DAY, 1, DATE_TRUNC('DAY', hour)) AS ends
        FROM METRICS_DUE
    ),

    sums AS (
        SELECT
            p.customer,
            p.grain,
            p.starts,
            COALESCE(SUM(r.priced), 0) AS priced,
            COALESCE(SUM(r.cost_usd), 0) AS cost_usd,
            COALESCE(SUM(r.unpriced), 0) AS unpriced,
            COALESCE(SUM(r.total_tokens), 0) AS tokens,
            COUNT(DISTINCT r.session_id) AS sessions,
            COALESCE(SUM(r.errors), 0) AS errors,
            SUM(IFF(
                r.activity IN ('claude_responded', 'llm_call', 'llm_response'), r.activities, 0
            )) AS responses,
            SUM(IFF(
                r.activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
                AND r.is_success IS NOT NULL, r.activities, 0
            )) AS ended,
            SUM(IFF(
                r.activity IN ('tool_called', 'claude_tool_call', 'tool_call', 'tool_execution')
                AND r.is_success, r.activities, 0
            )) AS succeeded
        FROM periods AS p
        LEFT JOIN (
            SELECT * FROM ACTIVITY_ROLLUP WHERE hour >= (SELECT DATE_TRUNC('DAY', MIN(hour)) FROM METRICS_DUE)
        ) AS r
            ON r.customer = p.customer AND r.hour >= p.starts AND r.hour < p.ends
        GROUP BY p.customer, p.grain, p.starts
    ),

    placed AS (
        SELECT
            p.customer,
            p.grain,
            p.starts,
            l.kind,
            l.latency_ms,
            SUM(l.calls) OVER (PARTITION BY p.customer, p.grain, p.starts, l.kind ORDER BY l.latency_ms) AS up_to,
            SUM(l.calls) OVER (PARTITION BY p.customer, p.grain, p.starts, l.kind) AS calls
        FROM periods AS p
        LEFT JOIN (
            SELECT * FROM LATENCY_ROLLUP
            WHERE hour >= (SELECT DATE_TRUNC('DAY', MIN(hour)) FROM METRICS_DUE) AND kind IN ('tool', 'mcp')
        ) AS l
            ON l.customer = p.customer AND l.hour >= p.starts AND l.hour < p.ends
    ),

    times AS (
        SELECT
            customer,
            grain,
            starts,
            MIN(IFF(kind = 'tool' AND up_to >= 0.95 * calls, latency_ms, NULL)) AS tool_p95_ms,
            MIN(IFF(kind = 'mcp' AND up_to >= 0.95 * calls, latency_ms, NULL)) AS mcp_p95_ms
        FROM placed
        GROUP BY customer, grain, starts
    ),

    statements AS (
        SELECT
            p.customer,
            p.grain,
            p.starts,
            COUNT(s.activity_id) AS statements,
            COUNT_IF(NOT s.is_failed) AS succeeded
        FROM periods AS p
        LEFT JOIN (
            SELECT * FROM V_STATEMENTS WHERE ts >= (SELECT DATE_TRUNC('DAY', MIN(hour)) FROM METRICS_DUE)
        ) AS s
            ON s.customer = p.customer AND s.ts >= p.starts AND s.ts < p.ends
        GROUP BY p.customer, p.grain, p.starts
    ),

    measured AS (
        SELECT sums.*, times.tool_p95_ms, times.mcp_p95_ms, s.statements, s.succeeded AS answered
        FROM sums
        INNER JOIN times
            ON times.customer = sums.customer AND times.grain = sums.grain AND times.starts = sums.starts
        INNER JOIN statements AS s
            ON s.customer = sums.customer AND s.grain = sums.grain AND s.starts = sums.starts
    ),

    figures AS (
        SELECT
            measured.customer,
            measured.grain,
            measured.starts,
            m.subject,
            m.metric,
            CASE (m.subject || '/' || m.metric)
                WHEN 'usage/cost_usd' THEN IFF(priced > 0, cost_usd, IFF(unpriced = 0 AND responses > 0, 0, NULL))
                WHEN 'usage/tokens' THEN IFF(responses > 0, tokens, NULL)::DOUBLE
                WHEN 'usage/sessions' THEN NULLIF(sessions, 0)::DOUBLE
                WHEN 'tools/success_rate' THEN (succeeded * 100.0 / NULLIF(ended, 0))::DOUBLE
                WHEN 'tools/failures' THEN IFF(ended > 0 OR errors > 0, errors, NULL)::DOUBLE
                WHEN 'tools/latency_p95' THEN tool_p95_ms
                WHEN 'system_performance/hourly_latency_p95' THEN mcp_p95_ms
                WHEN 'query_performance/success_rate' THEN (answered * 100.0 / NULLIF(statements, 0))::DOUBLE
            END::DOUBLE AS value
        FROM measured
        CROSS JOIN (
            VALUES
            ('usage', 'cost_usd', NULL),
            ('usage', 'tokens', NULL),
            ('usage', 'sessions', NULL),
            ('tools', 'success_rate', NULL),
            ('tools', 'failures', NULL),
            ('tools', 'latency_p95', NULL),
            ('system_performance', 'hourly_latency_p95', 'hourly'),
            ('query_performance', 'success_rate', 'daily')
        ) AS m (subject, metric, only_grain)
        WHERE COALESCE(m.only_grain, measured.grain) = measured.grain
    )

    SELECT
        MD5(customer || '|' || subject || '|' || metric || '|' || grain || '||' || starts::VARCHAR) AS id,
        figures.*,
        IFF(grain = 'hourly', DATEADD(DAY, 1, starts), DATEADD(DAY, 30, starts)) AS valid_until
    FROM figures
    ORDER BY starts
) AS s
ON t.id = s.id AND t.valid_from = s.starts
WHEN MATCHED AND s.value IS NULL AND NOT t.is_stale THEN UPDATE SET
    is_stale = TRUE, ts = :now
WHEN MATCHED AND s.value IS NOT NULL AND (
    t.is_stale OR NOT EQUAL_NULL(TRY_TO_DOUBLE(t.value::VARCHAR), s.value)
) THEN UPDATE SET
    value = TO_VARIANT(s.value), is_stale = FALSE, ts = :now
WHEN NOT MATCHED AND s.value IS NOT NULL THEN INSERT (
    id, ts, customer, subject, metric, value, unit, grain, confidence, derivation_method, derivation, valid_from,
    valid_until, is_stale, usage_count, schema_version, is_quarantined
) VALUES (
    s.id, :now, s.customer, s.subject, s.metric, TO_VARIANT(s.value),
    CASE (s.subject || '/' || s.metric)
        WHEN 'usage/cost_usd' THEN 'usd'
        WHEN 'usage/tokens' THEN 'tokens'
        WHEN 'usage/sessions' THEN 'sessions'
        WHEN 'tools/success_rate' THEN 'percent'
        WHEN 'tools/failures' THEN 'failures'
        WHEN 'tools/latency_p95' THEN 'ms'
        WHEN 'system_performance/hourly_latency_p95' THEN 'ms'
        WHEN 'query_performance/success_rate' THEN 'percent'
    END,
    s.grain, IFF(s.subject = 'query_performance', 0.95, 1.0),
    'aggregate_calculation',
    PARSE_JSON(CASE (s.subject || '/' || s.metric)
        WHEN 'usage/cost_usd' THEN '{"task": "calculate_metrics", "features": ["claude_responded.cost_usd"]}'
        WHEN 'usage/tokens' THEN '{"task": "calculate_metrics", "features": ["claude_responded.total_tokens", "claude_responded.is_counted"]}'
        WHEN 'usage/sessions' THEN '{"task": "calculate_metrics", "features": []}'
        WHEN 'tools/success_rate' THEN '{"task": "calculate_metrics", "features": ["tool_called.success"]}'
        WHEN 'tools/failures' THEN '{"task": "calculate_metrics", "features": ["tool_called.success", "mcp_called.success"]}'
        WHEN 'tools/latency_p95' THEN '{"task": "calculate_metrics", "features": ["tool_called.latency_ms"]}'
        WHEN 'system_performance/hourly_latency_p95' THEN '{"task": "calculate_metrics", "features": ["mcp_called.latency_ms"]}'
        WHEN 'query_performance/success_rate' THEN '{"task": "calculate_metrics", "features": ["sql_executed.success"]}'
    END), s.starts, s.valid_until, FALSE, 0, 1, FALSE
);

-- Of the same figure one atom is not superseded: the latest. Only where there are more the chain is put in order.
UPDATE INSIGHT_ATOMS
SET superseded_by = later.next_id
FROM (
    SELECT
        a.id,
        LEAD(a.id) OVER (PARTITION BY a.customer, a.subject, a.metric, a.grain ORDER BY a.valid_from) AS next_id
    FROM INSIGHT_ATOMS AS a
    INNER JOIN (
        SELECT customer, subject, metric, grain
        FROM INSIGHT_ATOMS
        WHERE
            derivation_method = 'aggregate_calculation' AND superseded_by IS NULL
            AND customer IN (SELECT customer FROM METRICS_DUE)
        GROUP BY customer, subject, metric, grain
        HAVING COUNT(*) > 1
    ) AS chains
        ON
            a.customer = chains.customer AND a.subject = chains.subject AND a.metric = chains.metric
            AND a.grain = chains.grain
    WHERE a.derivation_method = 'aggregate_calculation'
) AS later
WHERE INSIGHT_ATOMS.id = later.id AND NOT EQUAL_NULL(INSIGHT_ATOMS.superseded_by, later.next_id);

DELETE FROM METRICS_DUE;
