-- check_command: what builds, tests or lints here, when work is about to be called done.
-- Decides by: it was run after the last change, and worked when it was last run, in three sessions or more, and in four
-- fifths or more of those that changed files and ran any such command after.
-- Confidence: that share.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'check_command', 'commands', 'sessions',
    '{"days": 14, "sessions_min": 3, "share_min": 0.8}',
    '["tool_called.parameters", "tool_called.success"]'
);

INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH sessions AS (
    SELECT
        customer, project_path, session_id,
        MAX(IFF(kind = 'edit', ts, NULL)) AS changed_at
    FROM SIGNAL
    WHERE customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, project_path, session_id
),

checks AS (
    SELECT
        s.customer, s.project_path, s.session_id, s.key, s.ts, s.activity_id, s.is_ok, sessions.changed_at
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

after AS (
    SELECT
        customer, project_path, session_id, key,
        MAX(ts) AS ts,
        MAX_BY(is_ok, ts) AS is_ok,
        MAX_BY(activity_id::VARCHAR, ts) AS id
    FROM checks
    WHERE ts > changed_at
    GROUP BY customer, project_path, session_id, key
),

counted AS (
    SELECT customer, project_path, COUNT(DISTINCT session_id) AS sessions
    FROM after
    GROUP BY customer, project_path
),

passed AS (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY customer, project_path, key ORDER BY ts DESC, id) AS place
    FROM after
    WHERE is_ok
)

SELECT
    'check_command',
    p.customer,
    p.project_path,
    p.key,
    NULL,
    COUNT(*),
    ROUND(COUNT(*)::DOUBLE / NULLIF(MAX(c.sessions), 0), 2),
    MIN(p.ts),
    MAX(p.ts),
    TO_JSON(TO_VARIANT(LEFT(p.key, 160))) || ' was run after the last change, and worked, in ' || COUNT(*)::VARCHAR
    || ' of ' || MAX(c.sessions)::VARCHAR || ' sessions that changed files and checked them.',
    LISTAGG(IFF(p.place <= 5, p.id, NULL), ' ') WITHIN GROUP (ORDER BY p.place)
FROM passed AS p
INNER JOIN counted AS c ON c.customer = p.customer AND EQUAL_NULL(c.project_path, p.project_path)
GROUP BY p.customer, p.project_path, p.key
HAVING COUNT(*) >= 3 AND COUNT(*) >= 0.8 * MAX(c.sessions);
