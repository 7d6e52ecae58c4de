-- files_change_together: who changes one of two files changes the other.
-- Decides by: both were changed in the same session three times or more, and that is three fifths or more of the sessions
-- that changed either. Sessions that changed over 30 files say nothing.
-- Confidence: that share.

INSERT INTO DETECTOR (rule, subject, unit, parameters, features)
VALUES (
    'files_change_together', 'files', 'sessions',
    '{"days": 14, "sessions_min": 3, "share_min": 0.6, "files_max": 30}',
    '["file_edited.file_path"]'
);

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
