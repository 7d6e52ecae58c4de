-- open_thread: what was left unfinished.
-- Decides by: a command that builds, tests or lints failed when it was last run in the project, that session is over (it
-- ended, or was silent for an hour), and it had not failed in all the runs that are known; or a session is over, and tasks
-- that were made in it were not completed.
-- Confidence: 0.85 of a command, 0.8 of tasks.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'open_thread', 'threads', 'open',
    '{"days": 14, "silent_hours_min": 1}',
    '["tool_called.success", "task_created.task_id"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH sessions AS (
    SELECT
        customer, project_path, session_id,
        MAX(IFF(kind = 'end', 1, 0)) = 1 OR MAX(ts) < DATEADD(HOUR, -1, :now) AS is_over
    FROM SIGNAL
    WHERE customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, project_path, session_id
),

checks AS (
    SELECT
        s.customer, s.project_path, s.session_id, s.key, s.ts, s.activity_id, s.is_ok, s.text, sessions.is_over
    FROM SIGNAL AS s
    INNER JOIN sessions
        ON
            sessions.customer = s.customer AND EQUAL_NULL(sessions.project_path, s.project_path)
            AND sessions.session_id = s.session_id
    WHERE
        s.kind = 'command' AND s.is_ok IS NOT NULL
        AND REGEXP_LIKE(
            s.key,
            '(.*[ /;&])?(pytest|tox|nox|jest|vitest|mocha|rspec|phpunit|ctest|make|ninja|tsc|eslint|ruff|mypy|flake8|pylint|prettier|biome|gradlew?|mvn|bazel|just|(npm|pnpm|yarn|bun)( run)? (test|build|lint|check|typecheck)[a-z:-]*|(cargo|go|dotnet|swift|mix) (test|build|check|clippy|vet|fmt))( .*)?'
        )
),

last_runs AS (
    SELECT *, MAX(IFF(is_ok, 1, 0)) OVER (PARTITION BY customer, project_path, key) AS has_worked
    FROM checks
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer, project_path, key ORDER BY ts DESC, activity_id DESC) = 1
)

SELECT
    'open_thread',
    customer,
    project_path,
    key,
    NULL,
    1,
    0.85,
    ts,
    ts,
    TO_JSON(TO_VARIANT(LEFT(key, 160))) || ' failed when it was last run, on ' || ts::DATE::VARCHAR
    || COALESCE(', with ' || TO_JSON(TO_VARIANT(NULLIF(text, ''))), '') || '.',
    activity_id::VARCHAR
FROM last_runs
WHERE NOT is_ok AND is_over AND has_worked = 1;

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH tasks AS (
    SELECT
        customer, session_id, key,
        MAX_BY(project_path, ts) AS project_path,
        MAX(IFF(is_ok, 1, 0)) AS is_done,
        MIN(ts) AS ts,
        MAX_BY(text, ts) AS title,
        MAX_BY(activity_id::VARCHAR, ts) AS id
    FROM SIGNAL
    WHERE kind = 'task' AND customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, session_id, key
),

sessions AS (
    SELECT customer, session_id, MAX(ts) AS ts
    FROM SIGNAL
    WHERE customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, session_id
    HAVING MAX(IFF(kind = 'end', 1, 0)) = 1 OR MAX(ts) < DATEADD(HOUR, -1, :now)
)

SELECT
    'open_thread',
    t.customer,
    MAX(t.project_path),
    t.session_id,
    NULL,
    COUNT(*),
    0.8,
    MIN(t.ts),
    MAX(s.ts),
    'The session of ' || MAX(s.ts)::DATE::VARCHAR || ' ended with ' || COUNT(*)::VARCHAR
    || IFF(COUNT(*) = 1, ' task', ' tasks') || ' not completed'
    || COALESCE(': ' || LISTAGG(IFF(t.place <= 5, TO_JSON(TO_VARIANT(t.title)), NULL), ', ') WITHIN GROUP (ORDER BY t.place), '')
    || '.',
    LISTAGG(IFF(t.place <= 5, t.id, NULL), ' ') WITHIN GROUP (ORDER BY t.place)
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY customer, session_id ORDER BY ts, key) AS place
    FROM tasks
    WHERE is_done = 0
) AS t
INNER JOIN sessions AS s ON s.customer = t.customer AND s.session_id = t.session_id
GROUP BY t.customer, t.session_id;
