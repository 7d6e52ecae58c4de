-- slow_command: what one waits for.
-- Decides by: of three or more runs that worked the quickest took 20 seconds or longer. (The quickest: transcripts count the
-- wait for a person's leave.)
-- Confidence: 0.9.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'slow_command', 'commands', 's',
    '{"days": 14, "runs_min": 3, "quickest_s_min": 20}',
    '["tool_called.parameters", "tool_called.latency_ms"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
SELECT
    'slow_command',
    customer,
    project_path,
    key,
    NULL,
    ROUND(MIN(amount) / 1000, 1)::DOUBLE,
    0.9,
    MIN(ts),
    MAX(ts),
    TO_JSON(TO_VARIANT(LEFT(key, 160))) || ' took ' || ROUND(MIN(amount) / 1000, 1)::VARCHAR || ' s or longer in each of '
    || COUNT(*)::VARCHAR || ' runs that worked, half of them '
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
        kind = 'command' AND is_ok AND amount BETWEEN 0 AND 86400000 AND NOT is_look
        AND customer IN (SELECT customer FROM SIGNAL_NOW)
) AS timed
GROUP BY customer, project_path, key
HAVING COUNT(*) >= 3 AND MIN(amount) >= 20000;
