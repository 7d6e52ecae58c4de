-- slow_tool: a tool outside of Claude Code that is waited for.
-- Decides by: of five or more calls that worked the quickest took 3 seconds or longer. (The quickest: transcripts count the
-- wait for a person's leave.)
-- Confidence: 0.9.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'slow_tool', 'tools', 's',
    '{"days": 14, "runs_min": 5, "quickest_s_min": 3}',
    '["tool_called.tool_name", "tool_called.latency_ms"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
SELECT
    'slow_tool',
    customer,
    project_path,
    key,
    NULL,
    ROUND(MIN(amount) / 1000, 1)::DOUBLE,
    0.9,
    MIN(ts),
    MAX(ts),
    TO_JSON(TO_VARIANT(LEFT(key, 160))) || ' took ' || ROUND(MIN(amount) / 1000, 1)::VARCHAR || ' s or longer in each of '
    || COUNT(*)::VARCHAR || ' calls that worked, half of them '
    || ROUND(MEDIAN(amount) / 1000, 1)::VARCHAR || ' s or longer.',
    LISTAGG(IFF(place <= 5, activity_id::VARCHAR, NULL), ' ') WITHIN GROUP (ORDER BY place)
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY customer, project_path, key ORDER BY ts DESC, activity_id
        ) AS place
    FROM SIGNAL
    WHERE
        kind = 'tool' AND is_ok AND amount BETWEEN 0 AND 86400000 AND NOT is_look
        AND customer IN (SELECT customer FROM SIGNAL_NOW)
) AS timed
GROUP BY customer, project_path, key
HAVING COUNT(*) >= 5 AND MIN(amount) >= 3000;
