-- task: detect_patterns
-- meaning: atoms of what recurs: failures and their fixes, flaky and slow commands, checks, files, prompts, threads, cost
-- reads: DETECT_PATTERNS_CHANGES on CLAUDE_STREAM_V2 (standard, initial rows)
-- when: changes
-- fresh: 1 min
-- after: note_signals
-- writes: INSIGHT_ATOMS, SIGNAL, SIGNAL_DUE
-- scratch: DETECTED_ATOM, SIGNAL_NOW

-- Only customers that did something since the last run are looked at, 14 days back. note_signals says which they are; of
-- the changes themselves no more is read than who made them (cost is looked up in the stream). One run looks at 500 customers
-- at most, those that wait longest; the others have their turn in the next. Of a rule the 20 findings of a project that weigh
-- most are kept.
--
-- A finding's id says of whom, what and where; what is found again is the same atom, and one that is not found any more is
-- stale. Each statement quotes what came from outside as JSON text, and names the activities that it rests on.

INSERT INTO SIGNAL_DUE (customer)
SELECT DISTINCT customer
FROM DETECT_PATTERNS_CHANGES
WHERE customer IS NOT NULL;

DELETE FROM SIGNAL
WHERE ts < DATEADD(DAY, -14, :now);

INSERT INTO SIGNAL_NOW (customer)
SELECT customer
FROM SIGNAL_DUE
GROUP BY customer
ORDER BY COUNT(*) DESC, customer
LIMIT 500;

-- recurring_failure: a command failed in two sessions or more with the same message (figures in it may differ).
-- Its fix, where there is one: what was run last, and changed something, between a failure and the same command's next
-- success in that session; or what was run right after it, and worked, where the command itself never did. One that came
-- twice, or in each case that there was.
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

-- flaky_command: within an hour of one session a command worked and then failed, and another time failed and then worked,
-- while no file was changed and nothing else was run in between that changes something. (Failing and then working alone
-- may be somebody waiting for a server.)
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

-- files_change_together: two files were changed in the same session three times or more, and that is three fifths or more of
-- the sessions that changed either. Sessions that changed over 30 files say nothing.
INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH edits AS (
    SELECT
        customer,
        project_path,
        session_id,
        IFF(STARTSWITH(key, project_path || '/'), SUBSTR(key, LENGTH(project_path) + 2), key) AS file,
        MAX(ts) AS ts,
        MAX_BY(activity_id::VARCHAR, ts) AS id
    FROM SIGNAL
    WHERE kind = 'edit' AND customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, project_path, session_id, 4
    QUALIFY COUNT(*) OVER (PARTITION BY customer, project_path, session_id) <= 30
),

files AS (
    SELECT customer, project_path, file, COUNT(*) AS sessions
    FROM edits
    GROUP BY customer, project_path, file
    HAVING COUNT(*) >= 3
),

often AS (
    SELECT edits.*, files.sessions
    FROM edits
    INNER JOIN files
        ON
            files.customer = edits.customer AND EQUAL_NULL(files.project_path, edits.project_path)
            AND files.file = edits.file
),

pairs AS (
    SELECT
        a.customer, a.project_path, a.file AS one, b.file AS other,
        COUNT(*) AS both,
        MAX(a.sessions + b.sessions) - COUNT(*) AS either,
        MIN(GREATEST(a.ts, b.ts)) AS first_ts,
        MAX(GREATEST(a.ts, b.ts)) AS last_ts
    FROM often AS a
    INNER JOIN often AS b
        ON
            b.customer = a.customer AND EQUAL_NULL(b.project_path, a.project_path) AND b.session_id = a.session_id
            AND b.file > a.file
    GROUP BY a.customer, a.project_path, a.file, b.file
    HAVING COUNT(*) >= 3 AND COUNT(*) >= 0.6 * (MAX(a.sessions + b.sessions) - COUNT(*))
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY a.customer, a.project_path ORDER BY COUNT(*) DESC, a.file, b.file
    ) <= 20
),

shared AS (
    SELECT
        p.*,
        a.id || ' ' || b.id AS ids,
        ROW_NUMBER() OVER (
            PARTITION BY p.customer, p.project_path, p.one, p.other ORDER BY GREATEST(a.ts, b.ts) DESC, a.id
        ) AS place
    FROM pairs AS p
    INNER JOIN often AS a
        ON a.customer = p.customer AND EQUAL_NULL(a.project_path, p.project_path) AND a.file = p.one
    INNER JOIN often AS b
        ON
            b.customer = p.customer AND EQUAL_NULL(b.project_path, p.project_path) AND b.file = p.other
            AND b.session_id = a.session_id
)

SELECT
    'files_change_together',
    customer,
    project_path,
    one || ' ' || other,
    NULL,
    MAX(both),
    ROUND(MAX(both)::DOUBLE / NULLIF(MAX(either), 0), 2),
    MAX(first_ts),
    MAX(last_ts),
    TO_JSON(TO_VARIANT(one)) || ' and ' || TO_JSON(TO_VARIANT(other)) || ' changed together in ' || MAX(both)::VARCHAR
    || ' of the ' || MAX(either)::VARCHAR || ' sessions that changed either.',
    LISTAGG(ids, ' ') WITHIN GROUP (ORDER BY place)
FROM shared
WHERE place <= 3
GROUP BY customer, project_path, one, other;

-- repeated_prompt: the same words, 12 characters or more, were given in three sessions or more. What machines put in (it
-- begins with a tag) does not count.
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

-- check_command: a command that builds, tests or lints was run after the last change, and worked when it was last run, in
-- three sessions or more, and in four fifths or more of those that changed files and ran any such command after.
-- open_thread: such a command failed when it was last run in the project, that session is over (it ended, or was silent for
-- an hour), and it had not failed in all the runs that are known.
INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH sessions AS (
    SELECT
        customer, project_path, session_id,
        MAX(IFF(kind = 'edit', ts, NULL)) AS changed_at,
        MAX(IFF(kind = 'end', 1, 0)) = 1 OR MAX(ts) < DATEADD(HOUR, -1, :now) AS is_over
    FROM SIGNAL
    WHERE customer IN (SELECT customer FROM SIGNAL_NOW)
    GROUP BY customer, project_path, session_id
),

checks AS (
    SELECT
        s.customer, s.project_path, s.session_id, s.key, s.ts, s.activity_id, s.is_ok, s.text, sessions.changed_at,
        sessions.is_over
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
),

last_runs AS (
    SELECT *, MAX(IFF(is_ok, 1, 0)) OVER (PARTITION BY customer, project_path, key) AS has_worked
    FROM checks
    QUALIFY ROW_NUMBER() OVER (PARTITION BY customer, project_path, key ORDER BY ts DESC, activity_id DESC) = 1
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
HAVING COUNT(*) >= 3 AND COUNT(*) >= 0.8 * MAX(c.sessions)

UNION ALL

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

-- open_thread, too: a session is over, and tasks that were made in it were not completed.
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

-- slow_command, slow_tool: half of the runs of a command, three or more, took 30 seconds or longer; of the calls of a tool
-- outside of Claude Code, five or more, 5 seconds.
INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
SELECT
    IFF(kind = 'command', 'slow_command', 'slow_tool'),
    customer,
    project_path,
    key,
    NULL,
    ROUND(MEDIAN(amount) / 1000, 1)::DOUBLE,
    0.9,
    MIN(ts),
    MAX(ts),
    TO_JSON(TO_VARIANT(LEFT(key, 160))) || ' took ' || ROUND(MEDIAN(amount) / 1000, 1)::VARCHAR
    || ' s or longer in half of its ' || COUNT(*)::VARCHAR || ' runs, at most '
    || ROUND(MAX(amount) / 1000, 1)::VARCHAR || ' s.',
    LISTAGG(IFF(place <= 5, activity_id::VARCHAR, NULL), ' ') WITHIN GROUP (ORDER BY place)
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (
            PARTITION BY customer, project_path, kind, key ORDER BY amount DESC, activity_id
        ) AS place
    FROM SIGNAL
    WHERE
        kind IN ('command', 'tool') AND amount BETWEEN 0 AND 86400000 AND NOT is_look
        AND customer IN (SELECT customer FROM SIGNAL_NOW)
) AS timed
GROUP BY customer, project_path, kind, key
HAVING
    (kind = 'command' AND COUNT(*) >= 3 AND MEDIAN(amount) >= 30000)
    OR (kind = 'tool' AND COUNT(*) >= 5 AND MEDIAN(amount) >= 5000);

-- cost_spike: a day cost three times the median of the customer's days before it, of which there are five or more within
-- 14 days, and at least 5 dollars more.
INSERT INTO DETECTED_ATOM (
    rule, customer, project_path, key, fix, value, confidence, first_ts, last_ts, statement, evidence
)
WITH spent AS (
    SELECT customer, ts::DATE AS day, ts, activity_id, revenue_impact
    FROM CLAUDE_STREAM_V2
    WHERE
        ts >= DATE_TRUNC('DAY', DATEADD(DAY, -14, :now)) AND revenue_impact > 0
        AND activity IN ('claude_responded', 'llm_call', 'llm_response')
        AND customer IN (SELECT customer FROM SIGNAL_NOW)
),

days AS (
    SELECT customer, day, SUM(revenue_impact) AS cost_usd, MIN(ts) AS first_ts, MAX(ts) AS last_ts
    FROM spent
    GROUP BY customer, day
),

spikes AS (
    SELECT d.customer, d.day, d.cost_usd, d.first_ts, d.last_ts, MEDIAN(b.cost_usd) AS usual
    FROM days AS d
    INNER JOIN days AS b ON b.customer = d.customer AND b.day < d.day
    GROUP BY d.customer, d.day, d.cost_usd, d.first_ts, d.last_ts
    HAVING COUNT(*) >= 5 AND d.cost_usd >= 3 * MEDIAN(b.cost_usd) AND d.cost_usd >= 5 + MEDIAN(b.cost_usd)
),

dearest AS (
    SELECT
        spent.customer, spent.day, spent.activity_id,
        ROW_NUMBER() OVER (
            PARTITION BY spent.customer, spent.day ORDER BY spent.revenue_impact DESC, spent.activity_id
        ) AS place
    FROM spent
    INNER JOIN spikes ON spikes.customer = spent.customer AND spikes.day = spent.day
    QUALIFY place <= 5
)

SELECT
    'cost_spike',
    s.customer,
    NULL,
    s.day::VARCHAR,
    NULL,
    ROUND(MAX(s.cost_usd), 2)::DOUBLE,
    0.95,
    MAX(s.first_ts),
    MAX(s.last_ts),
    'On ' || s.day::VARCHAR || ' Claude cost ' || ROUND(MAX(s.cost_usd), 2)::VARCHAR || ' dollars, '
    || ROUND(MAX(s.cost_usd / NULLIF(s.usual, 0)), 1)::VARCHAR || ' times the usual day ('
    || ROUND(MAX(s.usual), 2)::VARCHAR || ').',
    LISTAGG(d.activity_id::VARCHAR, ' ') WITHIN GROUP (ORDER BY d.place)
FROM spikes AS s
INNER JOIN dearest AS d ON d.customer = s.customer AND d.day = s.day
GROUP BY s.customer, s.day;

DELETE FROM DETECTED_ATOM
USING (
    SELECT rule, customer, project_path, key
    FROM DETECTED_ATOM
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY rule, customer, project_path ORDER BY value DESC, last_ts DESC, key
    ) > 20
) AS many
WHERE
    DETECTED_ATOM.rule = many.rule AND DETECTED_ATOM.customer = many.customer AND DETECTED_ATOM.key = many.key
    AND EQUAL_NULL(DETECTED_ATOM.project_path, many.project_path);

-- What was found becomes atoms.
MERGE INTO INSIGHT_ATOMS AS t
USING (
    SELECT
        MD5('detected|' || d.rule || '|' || d.customer || '|' || COALESCE(d.project_path, '') || '|' || d.key) AS id,
        d.customer,
        r.subject,
        d.rule,
        d.value,
        r.unit,
        d.confidence,
        d.first_ts,
        DATEADD(DAY, 14, d.last_ts) AS valid_until,
        TO_JSON(OBJECT_CONSTRUCT('key', d.key, 'fix', d.fix)) AS filter,
        TO_JSON(OBJECT_CONSTRUCT(
            'task', 'detect_patterns',
            'method', 'detected',
            'rule', d.rule,
            'parameters', PARSE_JSON(r.parameters),
            'project_path', d.project_path,
            'statement', d.statement,
            'evidence', PARSE_JSON('["' || REPLACE(TRIM(d.evidence), ' ', '","') || '"]'),
            'features', PARSE_JSON(r.features)
        )) AS derivation
    FROM DETECTED_ATOM AS d
    INNER JOIN (
        VALUES
        ('recurring_failure', 'commands', 'failures', '{"days": 14, "sessions_min": 2}', '["tool_called.parameters", "tool_called.success", "tool_called.error"]'),
        ('flaky_command', 'commands', 'turns', '{"days": 14, "hours_max": 1, "turns_min": 2}', '["tool_called.parameters", "tool_called.success"]'),
        ('check_command', 'commands', 'sessions', '{"days": 14, "sessions_min": 3, "share_min": 0.8}', '["tool_called.parameters", "tool_called.success"]'),
        ('slow_command', 'commands', 's', '{"days": 14, "runs_min": 3, "median_s_min": 30}', '["tool_called.parameters", "tool_called.latency_ms"]'),
        ('slow_tool', 'tools', 's', '{"days": 14, "runs_min": 5, "median_s_min": 5}', '["tool_called.tool_name", "tool_called.latency_ms"]'),
        ('files_change_together', 'files', 'sessions', '{"days": 14, "sessions_min": 3, "share_min": 0.6, "files_max": 30}', '["file_edited.file_path"]'),
        ('repeated_prompt', 'prompts', 'sessions', '{"days": 14, "sessions_min": 3, "characters_min": 12}', '["user_asked.prompt_text", "user_asked.prompt_hash"]'),
        ('open_thread', 'threads', 'open', '{"days": 14, "silent_hours_min": 1}', '["tool_called.success", "task_created.task_id"]'),
        ('cost_spike', 'cost', 'usd', '{"days": 14, "days_min": 5, "times_min": 3, "more_usd_min": 5}', '["claude_responded.cost_usd"]')
    ) AS r (rule, subject, unit, parameters, features) ON r.rule = d.rule
) AS s
ON t.id = s.id
WHEN MATCHED AND (
    t.is_stale OR t.confidence <> s.confidence OR t.valid_from <> s.first_ts OR t.valid_until <> s.valid_until
    OR NOT EQUAL_NULL(TRY_TO_DOUBLE(t.value::VARCHAR), s.value)
    OR TO_JSON(t.filter_json) <> s.filter OR TO_JSON(t.derivation) <> s.derivation
) THEN UPDATE SET
    ts = :now, value = TO_VARIANT(s.value), confidence = s.confidence, filter_json = PARSE_JSON(s.filter),
    derivation = PARSE_JSON(s.derivation), valid_from = s.first_ts, valid_until = s.valid_until, is_stale = FALSE
WHEN NOT MATCHED THEN INSERT (
    id, ts, customer, subject, metric, value, unit, filter_json, confidence, derivation_method, derivation, valid_from,
    valid_until, is_stale, usage_count, schema_version, is_quarantined, is_silenced
) VALUES (
    s.id, :now, s.customer, s.subject, s.rule, TO_VARIANT(s.value), s.unit, PARSE_JSON(s.filter), s.confidence,
    'detected', PARSE_JSON(s.derivation), s.first_ts, s.valid_until, FALSE, 0, 1, FALSE, FALSE
);

UPDATE INSIGHT_ATOMS
SET is_stale = TRUE, ts = :now
WHERE
    derivation_method = 'detected' AND NOT is_stale
    AND customer IN (SELECT customer FROM SIGNAL_NOW)
    AND id NOT IN (
        SELECT MD5('detected|' || rule || '|' || customer || '|' || COALESCE(project_path, '') || '|' || key)
        FROM DETECTED_ATOM
    );

DELETE FROM SIGNAL_DUE
WHERE customer IN (SELECT customer FROM SIGNAL_NOW);
