-- Completeness: what each source saw of the facts it can see, and what it missed.
-- Takes: CLAUDE_STREAM_V2. Gives: V_COMPLETENESS (per session and source), V_COMPLETENESS_OVERALL (per source).
-- A source counts in a session only when it told something of it; the transcript, the record of last resort, always.

CREATE OR REPLACE VIEW V_COMPLETENESS AS
WITH can_see AS (
    SELECT column1 AS source, column2 AS activity
    FROM VALUES
        ('transcript', 'user_asked'), ('hook', 'user_asked'), ('otel', 'user_asked'),
        ('transcript', 'claude_responded'), ('otel', 'claude_responded'),
        ('transcript', 'tool_called'), ('hook', 'tool_called'), ('otel', 'tool_called'),
        ('transcript', 'mcp_called'), ('hook', 'mcp_called'),
        ('transcript', 'file_read'), ('hook', 'file_read'),
        ('transcript', 'file_created'), ('hook', 'file_created'),
        ('transcript', 'file_written'), ('hook', 'file_written'),
        ('transcript', 'file_edited'), ('hook', 'file_edited'),
        ('transcript', 'session_started'), ('hook', 'session_started')
),

facts AS (
    SELECT
        s._session_id AS session_id,
        s._project_path AS project_path,
        s.ts AS ts,
        c.source AS source,
        CASE WHEN CONTAINS(s._source, c.source) THEN 1 ELSE 0 END AS was_seen,
        CASE WHEN s._source = 'transcript' AND c.source <> 'transcript' THEN 1 ELSE 0 END AS is_only_in_transcript
    FROM CLAUDE_STREAM_V2 AS s
    INNER JOIN can_see AS c ON s.activity = c.activity
    WHERE s._session_id IS NOT NULL
)

SELECT
    session_id,
    source,
    MIN(project_path) AS project_path,
    COUNT(*) AS facts,
    SUM(was_seen) AS seen,
    COUNT(*) - SUM(was_seen) AS missed,
    SUM(is_only_in_transcript) AS repaired,
    SUM(was_seen) * 100.0 / NULLIF(COUNT(*), 0) AS completeness_pct,
    MIN(ts) AS first_ts,
    MAX(ts) AS last_ts
FROM facts
GROUP BY session_id, source
HAVING SUM(was_seen) > 0 OR source = 'transcript';

CREATE OR REPLACE VIEW V_COMPLETENESS_OVERALL AS
SELECT
    source,
    COUNT(*) AS sessions,
    SUM(facts) AS facts,
    SUM(seen) AS seen,
    SUM(missed) AS missed,
    SUM(repaired) AS repaired,
    SUM(seen) * 100.0 / NULLIF(SUM(facts), 0) AS completeness_pct,
    MAX(last_ts) AS last_ts
FROM V_COMPLETENESS
GROUP BY source;
