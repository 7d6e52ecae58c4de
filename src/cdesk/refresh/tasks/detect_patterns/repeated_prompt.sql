-- repeated_prompt: the same words are given session after session.
-- Decides by: 12 characters or more, in three sessions or more. What machines put in (it begins with a tag) does not count.
-- Confidence: 0.9.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'repeated_prompt', 'prompts', 'sessions',
    '{"days": 14, "sessions_min": 3, "characters_min": 12}',
    '["user_asked.prompt_text", "user_asked.prompt_hash"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
SELECT
    'repeated_prompt',
    customer,
    project_path,
    key,
    NULL,
    COUNT(*),
    0.9,
    MIN(ts),
    MAX(ts),
    'The prompt ' || TO_JSON(TO_VARIANT(LEFT(MAX_BY(text, ts), 200))) || ' was given in ' || COUNT(*)::VARCHAR
    || ' sessions.',
    LISTAGG(IFF(place <= 5, id, NULL), ' ') WITHIN GROUP (ORDER BY place)
FROM (
    SELECT
        customer, project_path, key, session_id, MAX(ts) AS ts, MAX_BY(activity_id::VARCHAR, ts) AS id,
        MAX_BY(text, ts) AS text,
        ROW_NUMBER() OVER (PARTITION BY customer, project_path, key ORDER BY MAX(ts) DESC, session_id) AS place
    FROM SIGNAL
    WHERE
        kind = 'prompt' AND customer IN (SELECT customer FROM SIGNAL_NOW) AND LENGTH(TRIM(text)) >= 12
        AND NOT STARTSWITH(TRIM(text), '<')
    GROUP BY customer, project_path, key, session_id
) AS given
GROUP BY customer, project_path, key
HAVING COUNT(*) >= 3;
