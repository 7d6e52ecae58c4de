-- recurring_failure: a command fails again and again with the same message; with what was run before it went on.
-- Decides by: the command failed in two sessions or more with the same message (figures in it may differ).
-- Its fix, where there is one: what was run last, and changed something, between a failure and the same command's next
-- success in that session; or what was run right after it, and worked, where the command itself never did. One that came
-- twice, or in each case that there was.
-- Confidence: 0.9 when the fix came twice, else 0.75.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'recurring_failure', 'commands', 'failures',
    '{"days": 14, "sessions_min": 2}',
    '["tool_called.parameters", "tool_called.success", "tool_called.error"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH runs AS (
    SELECT
        *,
        REGEXP_REPLACE(COALESCE(text, ''), '[0-9]+', '#') AS message,
        MIN(IFF(is_ok, ts, NULL)) OVER (
            PARTITION BY customer, project_path, session_id, key
            ORDER BY ts, activity_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS mended_at,
        MAX(IFF(is_ok, 1, 0)) OVER (PARTITION BY customer, project_path, key) AS has_worked,
        LEAD(key) OVER (PARTITION BY customer, project_path, session_id ORDER BY ts, activity_id) AS next_key,
        LEAD(is_ok) OVER (PARTITION BY customer, project_path, session_id ORDER BY ts, activity_id) AS next_is_ok
    FROM SIGNAL
    WHERE kind = 'command' AND NOT is_look AND customer IN (SELECT customer FROM SIGNAL_NOW)
),

failures AS (
    SELECT *
    FROM runs
    WHERE NOT is_ok
    QUALIFY
        MIN(session_id) OVER (PARTITION BY customer, project_path, key, message)
        <> MAX(session_id) OVER (PARTITION BY customer, project_path, key, message)
),

mended AS (
    SELECT f.activity_id, MAX_BY(c.key, c.ts) AS fix
    FROM failures AS f
    INNER JOIN runs AS c
        ON
            c.customer = f.customer AND c.session_id = f.session_id AND c.ts > f.ts AND c.ts < f.mended_at
            AND c.is_ok AND c.key <> f.key
    GROUP BY f.activity_id
),

cases AS (
    SELECT
        f.*,
        COALESCE(m.fix, IFF(f.has_worked = 0 AND f.next_is_ok AND f.next_key <> f.key, f.next_key, NULL)) AS fix
    FROM failures AS f
    LEFT JOIN mended AS m ON m.activity_id = f.activity_id
),

fixes AS (
    SELECT
        customer, project_path, key, message, fix,
        COUNT(DISTINCT session_id) AS fixed,
        SUM(COUNT(DISTINCT session_id)) OVER (PARTITION BY customer, project_path, key, message) AS fixed_by_any
    FROM cases
    WHERE fix IS NOT NULL
    GROUP BY customer, project_path, key, message, fix
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY customer, project_path, key, message ORDER BY COUNT(DISTINCT session_id) DESC, fix
    ) = 1
),

found AS (
    SELECT
        customer, project_path, key, message,
        COUNT(*) AS times,
        COUNT(DISTINCT session_id) AS sessions,
        MIN(ts) AS first_ts,
        MAX(ts) AS last_ts,
        MAX_BY(text, ts) AS text,
        LISTAGG(IFF(place <= 5, activity_id::VARCHAR, NULL), ' ') WITHIN GROUP (ORDER BY ts, activity_id) AS evidence
    FROM (
        SELECT
            *,
            ROW_NUMBER() OVER (
                PARTITION BY customer, project_path, key, message ORDER BY ts DESC, activity_id
            ) AS place
        FROM cases
    ) AS numbered
    GROUP BY customer, project_path, key, message
)

SELECT
    'recurring_failure',
    f.customer,
    f.project_path,
    f.key || ' ' || f.message,
    IFF(x.fixed >= 2 OR x.fixed = x.fixed_by_any, x.fix, NULL),
    f.times,
    IFF(x.fixed >= 2, 0.9, 0.75),
    f.first_ts,
    f.last_ts,
    TO_JSON(TO_VARIANT(LEFT(f.key, 160))) || ' failed ' || f.times::VARCHAR || ' times in ' || f.sessions::VARCHAR
    || ' sessions' || IFF(f.text <> '', ' with ' || TO_JSON(TO_VARIANT(f.text)), '')
    || COALESCE('; ' || IFF(
        x.fixed >= 2 OR x.fixed = x.fixed_by_any,
        TO_JSON(TO_VARIANT(LEFT(x.fix, 160))) || ' was run before it went on, in ' || x.fixed::VARCHAR
        || IFF(x.fixed = 1, ' session', ' sessions'), NULL
    ), '') || '.',
    f.evidence
FROM found AS f
LEFT JOIN fixes AS x
    ON
        x.customer = f.customer AND EQUAL_NULL(x.project_path, f.project_path) AND x.key = f.key
        AND x.message = f.message;
