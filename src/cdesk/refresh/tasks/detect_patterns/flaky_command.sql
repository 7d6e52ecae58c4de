-- flaky_command: a command's outcome turns both ways by itself.
-- Decides by: within an hour of one session it worked and then failed, and another time failed and then worked, while no
-- file was changed and nothing else was run in between that changes something. (Failing and then working alone may be
-- somebody waiting for a server.)
-- Confidence: 0.95 with four turns or more, else 0.85.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'flaky_command', 'commands', 'turns',
    '{"days": 14, "hours_max": 1, "turns_min": 2}',
    '["tool_called.parameters", "tool_called.success"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH work AS (
    SELECT
        *,
        COUNT(*) OVER (PARTITION BY customer, session_id ORDER BY ts, activity_id ROWS UNBOUNDED PRECEDING) AS place
    FROM SIGNAL
    WHERE kind IN ('command', 'edit') AND NOT is_look AND customer IN (SELECT customer FROM SIGNAL_NOW)
),

runs AS (
    SELECT
        customer, project_path, key, ts, activity_id, is_ok, place, text,
        LAG(place) OVER (PARTITION BY customer, project_path, session_id, key ORDER BY ts, activity_id) AS place_before,
        LAG(is_ok) OVER (PARTITION BY customer, project_path, session_id, key ORDER BY ts, activity_id) AS was_ok,
        LAG(ts) OVER (PARTITION BY customer, project_path, session_id, key ORDER BY ts, activity_id) AS ts_before,
        LAG(activity_id) OVER (PARTITION BY customer, project_path, session_id, key ORDER BY ts, activity_id) AS id_before
    FROM work
    WHERE kind = 'command'
),

turns AS (
    SELECT
        *,
        COALESCE(
            is_ok <> was_ok AND place = place_before + 1 AND ts <= DATEADD(HOUR, 1, ts_before), FALSE
        ) AS is_turn
    FROM runs
)

SELECT
    'flaky_command',
    customer,
    project_path,
    key,
    NULL,
    COUNT_IF(is_turn),
    IFF(COUNT_IF(is_turn) >= 4, 0.95, 0.85),
    MIN(IFF(is_turn, ts_before, NULL)),
    MAX(IFF(is_turn, ts, NULL)),
    TO_JSON(TO_VARIANT(LEFT(key, 160))) || ' worked and failed with nothing changed in between: its outcome turned '
    || COUNT_IF(is_turn)::VARCHAR || ' times in ' || COUNT_IF(is_ok IS NOT NULL)::VARCHAR || ' runs'
    || COALESCE(', last failing with ' || TO_JSON(TO_VARIANT(NULLIF(MAX_BY(text, IFF(is_ok, NULL, ts)), ''))), '') || '.',
    LISTAGG(IFF(is_turn, id_before::VARCHAR || ' ' || activity_id::VARCHAR, NULL), ' ')
        WITHIN GROUP (ORDER BY ts DESC, activity_id)
FROM turns
GROUP BY customer, project_path, key
HAVING COUNT_IF(is_turn AND is_ok) >= 1 AND COUNT_IF(is_turn AND NOT is_ok) >= 1;
